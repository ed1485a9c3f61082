/* SPDX-License-Identifier: MIT */
/*
 * Fusion and folding: what the graph looks like afterwards, and that it still computes the same.
 * The latter on random graphs, evaluated with values that stand for whole expressions.
 */
#include "graph_fixture.h"

#include "graph/passes.h"

static struct spc__graph graph;
static struct spc_error err;

static uint32_t seed = 1;

static int random_below(int n)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return (int)(seed % (uint32_t)n);
}

static int at(const char *name)
{
    return spc__graph_find(&graph, name);
}

static void finish_and_fuse(void)
{
    CHECK_INT(spc__graph_finish(&graph, &err), SPC_OK);
    CHECK_INT(spc__pass_fuse(&graph, &err), SPC_OK);
}

/* A residual block as CenterPoint and BEVFusion have it. */
TEST(residual_block)
{
    REQUIRE(!fixture_init(&graph, &err));
    fixture_subm(&graph, "in", "c0", 4, 4);
    fixture_relu(&graph, "c0", "r0");
    fixture_subm(&graph, "r0", "c1", 4, 4);
    fixture_relu(&graph, "c1", "r1");
    fixture_subm(&graph, "r1", "c2", 4, 4);
    fixture_sum(&graph, "c2", "r0", "a", &err);
    fixture_relu(&graph, "a", "r2");
    fixture_output(&graph, "r2");
    finish_and_fuse();
    REQUIRE(graph.num_nodes == 3);
    CHECK(!strcmp(graph.nodes[0].name, "c0+r0"));
    CHECK(!strcmp(graph.nodes[1].name, "c1+r1"));
    CHECK(!strcmp(graph.nodes[2].name, "c2+a+r2"));
    CHECK_INT(graph.nodes[2].residual, at("r0"));
    CHECK_INT(graph.nodes[2].out, at("r2"));
    CHECK_INT(graph.nodes[2].act, SPC__ACT_RELU);
    CHECK_INT(graph.nodes[1].residual, -1);
    spc__graph_clear(&graph);
}

/* Of two convolutions the later one adds; the earlier one's result is there by then. */
TEST(later_convolution_adds)
{
    for (int swap = 0; swap < 2; swap++) {
        REQUIRE(!fixture_init(&graph, &err));
        fixture_subm(&graph, "in", "c0", 4, 8);
        fixture_subm(&graph, "in", "c1", 4, 8);
        fixture_sum(&graph, swap ? "c1" : "c0", swap ? "c0" : "c1", "a", &err);
        fixture_output(&graph, "a");
        finish_and_fuse();
        REQUIRE(graph.num_nodes == 2);
        CHECK_INT(graph.nodes[1].residual, at("c0"));
        CHECK_INT(graph.nodes[1].out, at("a"));
        spc__graph_clear(&graph);
    }
}

/* The ranges of an addition go with it: first that of the convolution's sum. */
TEST(ranges_follow)
{
    const float amax[2] = {3, 5};

    REQUIRE(!fixture_init(&graph, &err));
    fixture_subm(&graph, "in", "c", 4, 4);
    CHECK_INT(spc__graph_add_add(&graph, "a", "Add", 0, 1, "a", amax, SPC__STORE_INT8,
                                 SPC__STORE_INT8, &err),
              SPC_OK);
    fixture_output(&graph, "a");
    finish_and_fuse();
    REQUIRE(graph.num_nodes == 1);
    CHECK_NEAR(graph.nodes[0].add_amax[0], 5, 0);
    CHECK_NEAR(graph.nodes[0].add_amax[1], 3, 0);
    CHECK_INT(graph.nodes[0].store, SPC__STORE_INT8);
    spc__graph_clear(&graph);
}

/* The graph input may be the residual. */
TEST(input_as_residual)
{
    REQUIRE(!fixture_init(&graph, &err));
    fixture_subm(&graph, "in", "c", 4, 4);
    fixture_sum(&graph, "in", "c", "a", &err);
    fixture_output(&graph, "a");
    finish_and_fuse();
    REQUIRE(graph.num_nodes == 1);
    CHECK_INT(graph.nodes[0].residual, 0);
    spc__graph_clear(&graph);
}

/* Nothing joins where someone else reads what is between, or the order would change. */
TEST(not_fused)
{
    REQUIRE(!fixture_init(&graph, &err));
    fixture_subm(&graph, "in", "c0", 4, 4);
    fixture_relu(&graph, "c0", "r0"); /* c0 is an output */
    fixture_subm(&graph, "in", "c1", 4, 4);
    fixture_relu(&graph, "c1", "r1"); /* c1 is read twice */
    fixture_sum(&graph, "c1", "r1", "a0", &err);
    fixture_subm(&graph, "in", "c2", 4, 4);
    fixture_sum(&graph, "c2", "c2", "a1", &err); /* doubles */
    fixture_subm(&graph, "in", "c3", 4, 4);
    fixture_relu(&graph, "c3", "r3");
    fixture_subm(&graph, "in", "c4", 4, 4);
    fixture_sum(&graph, "r3", "a1", "a2", &err); /* the activation comes before the addition */
    fixture_relu(&graph, "a2", "r4");
    fixture_sum(&graph, "c4", "r4", "a3", &err); /* a2+r4 is not there when c4 runs */
    fixture_output(&graph, "c0");
    fixture_output(&graph, "r0");
    fixture_output(&graph, "a0");
    fixture_output(&graph, "a3");
    finish_and_fuse();
    REQUIRE(graph.num_nodes == 11);
    CHECK_INT(graph.nodes[0].act, SPC__ACT_NONE);
    CHECK_INT(graph.nodes[1].op, SPC__OP_ACT);
    CHECK_INT(graph.nodes[2].act, SPC__ACT_NONE);
    CHECK_INT(graph.nodes[3].op, SPC__OP_ACT);
    CHECK_INT(graph.nodes[4].op, SPC__OP_ADD);
    CHECK_INT(graph.nodes[6].op, SPC__OP_ADD);
    CHECK(!strcmp(graph.nodes[7].name, "c3+r3"));
    CHECK_INT(graph.nodes[7].residual, -1);
    CHECK_INT(graph.nodes[8].residual, -1);
    CHECK(!strcmp(graph.nodes[9].name, "a2+r4"));
    CHECK(!strcmp(graph.nodes[10].name, "a3"));
    spc__graph_clear(&graph);
}

TEST(exposed_graph_is_not_fused)
{
    REQUIRE(!fixture_init(&graph, &err));
    fixture_subm(&graph, "in", "c", 4, 4);
    fixture_sum(&graph, "in", "c", "a", &err);
    fixture_relu(&graph, "a", "r");
    fixture_output(&graph, "r");
    REQUIRE(!spc__graph_finish(&graph, &err));
    CHECK_INT(spc__pass_expose_all(&graph, &err), SPC_OK);
    CHECK_INT(spc__pass_fuse(&graph, &err), SPC_OK);
    CHECK_INT(graph.num_nodes, 3);
    REQUIRE(graph.num_outputs == 4);
    CHECK_INT(graph.outputs[0], 0);
    CHECK_INT(graph.outputs[1], at("c"));
    CHECK_INT(graph.outputs[3], at("r"));
    spc__graph_clear(&graph);
}

/* ---- random sparse graphs ---------------------------------------------------------------- */

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t h = (a ^ b * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;

    return h ^ h >> 32;
}

/* Sums commute, as in IEEE 754, but are not associative. */
static uint64_t sum(uint64_t a, uint64_t b)
{
    return mix(a + b, a ^ b);
}

/* Gives each value a number that stands for its expression; 0: not computed yet. */
static int evaluate(const struct spc__graph *g, uint64_t *values)
{
    int too_early = 0;

    values[0] = 12345;
    for (int n = 0; n < g->num_nodes; n++) {
        const struct spc__node *node = &g->nodes[n];
        uint64_t x = values[node->in[0]];

        too_early += !x || (node->in[1] >= 0 && !values[node->in[1]]) ||
                     (node->residual >= 0 && !values[node->residual]);
        if (node->op == SPC__OP_CONV)
            x = mix(x, (uint64_t)(uintptr_t)node->weights);
        if (node->op == SPC__OP_ADD)
            x = sum(x, values[node->in[1]]);
        if (node->residual >= 0)
            x = sum(x, values[node->residual]);
        values[node->out] = node->act ? mix(x, node->act) : x;
    }
    return too_early;
}

static void build_random(int nodes)
{
    char name[16];

    fixture_init(&graph, &err);
    for (int n = 0; n < nodes; n++) {
        int in = graph.num_values - 1 - random_below(graph.num_values < 4 ? graph.num_values : 4);
        int other = random_below(graph.num_values);
        int kind = random_below(4);
        struct spc__conv_params params = fixture_params(&graph, SPC__SUBM, 1, 1, 4, 4);

        snprintf(name, sizeof(name), "v%d", n);
        if (kind < 2)
            spc__graph_add_conv(&graph, name, "SparseConvolution", in, name, &params, &err);
        else if (kind == 2)
            spc__graph_add_add(&graph, name, "Add", in, other, name, NULL, 0, 0, &err);
        else
            spc__graph_add_act(&graph, name, "Relu", in, name, SPC__ACT_RELU, 0, &err);
        if (!random_below(8))
            spc__graph_add_output(&graph, graph.num_values - 1, &err);
    }
    spc__graph_add_output(&graph, graph.num_values - 1, &err);
    spc__graph_finish(&graph, &err);
}

TEST(random_fusion_keeps_results)
{
    uint64_t before[64], after[64];
    int merged = 0, residuals = 0;

    for (int round = 0; round < 500; round++) {
        int nodes;

        build_random(3 + random_below(40));
        nodes = graph.num_nodes;
        memset(before, 0, sizeof(before));
        memset(after, 0, sizeof(after));
        CHECK_INT(evaluate(&graph, before), 0);
        CHECK_INT(spc__pass_fuse(&graph, &err), SPC_OK);
        CHECK_INT(evaluate(&graph, after), 0);
        for (int o = 0; o < graph.num_outputs; o++)
            CHECK(before[graph.outputs[o]] == after[graph.outputs[o]]);
        merged += nodes - graph.num_nodes;
        for (int n = 0; n < graph.num_nodes; n++)
            residuals += graph.nodes[n].residual >= 0;
        spc__graph_clear(&graph);
    }
    CHECK(merged > 1000); /* the rounds did try it */
    CHECK(residuals > 200);
}

/* ---- dense chains ------------------------------------------------------------------------- */

#define MOST 4096

static int64_t count_elements(const struct spc__value *value)
{
    int64_t count = 1;

    for (int d = 0; d < value->rank; d++)
        count *= value->dims[d];
    return count;
}

/* out[i0, i1, ...] = in[...] with out dim d being in dim perm[d]; by plain index arithmetic. */
static void transpose(const struct spc__value *in, const int *perm, const int *from, int *to)
{
    int64_t count = count_elements(in);

    for (int64_t i = 0; i < count; i++) {
        int64_t index[SPC_MAX_RANK], rest = i, target = 0;

        for (int d = in->rank - 1; d >= 0; d--) {
            index[d] = rest % in->dims[d];
            rest /= in->dims[d];
        }
        for (int d = 0; d < in->rank; d++)
            target = target * in->dims[perm[d]] + index[perm[d]];
        to[target] = from[i];
    }
}

/* The graph's output, where the scattered element (c, z, y, x) has the value ((c*Z+z)*Y+y)*X+x.
 * `defined`: ScatterDense by its definition, else by the node's strides. */
static void run_dense(bool defined, enum spc_index_order format, int *result)
{
    static int buffer[2][MOST];
    int current = 0;

    for (int n = 0; n < graph.num_nodes; n++) {
        const struct spc__node *node = &graph.nodes[n];
        const struct spc__value *in = &graph.values[node->in[0]];
        const int32_t *g = graph.levels[0].grid;
        const int64_t *s = node->scatter_stride;
        int id = 0;

        if (node->op == SPC__OP_TRANSPOSE) {
            transpose(in, node->perm, buffer[current], buffer[!current]);
            current = !current;
        }
        if (node->op != SPC__OP_SCATTER)
            continue;
        memset(buffer, 0xff, sizeof(buffer));
        for (int c = 0; c < in->channels; c++)
            for (int z = 0; z < g[0]; z++)
                for (int y = 0; y < g[1]; y++)
                    for (int x = 0; x < g[2]; x++, id++) {
                        int64_t linear = format == SPC_INDEX_XYZ
                                             ? ((int64_t)(c * g[2] + x) * g[1] + y) * g[0] + z
                                             : id;

                        buffer[0][defined ? linear : c * s[0] + z * s[1] + y * s[2] + x * s[3]] =
                            id;
                    }
    }
    memcpy(result, buffer[current], sizeof(buffer[0]));
}

/* Behind the last value: a random permutation, or dims with two neighbours merged, one split, or
 * a 1 inserted. */
static void add_random_step(int step)
{
    const struct spc__value *value = &graph.values[graph.num_values - 1];
    int64_t dims[SPC_MAX_RANK], perm[SPC_MAX_RANK];
    int rank = value->rank, d = random_below(rank), in = graph.num_values - 1;
    char name[16];

    snprintf(name, sizeof(name), "step%d", step);
    memcpy(dims, value->dims, sizeof(dims));
    if (random_below(2)) {
        for (int i = 0; i < rank; i++)
            perm[i] = i;
        for (int i = rank - 1; i > 0; i--) {
            int j = random_below(i + 1);
            int64_t keep = perm[i];

            perm[i] = perm[j];
            perm[j] = keep;
        }
        CHECK_INT(spc__graph_add_transpose(&graph, name, in, name, perm, rank, &err), SPC_OK);
        return;
    }
    if (rank > 1 && random_below(2)) { /* merge d and the next */
        d = d == rank - 1 ? d - 1 : d;
        dims[d] *= dims[d + 1];
        memmove(&dims[d + 1], &dims[d + 2], sizeof(*dims) * (size_t)(rank - d - 2));
        rank--;
    } else if (rank < SPC_MAX_RANK) { /* split d by a divisor, perhaps 1 or all of it */
        int64_t part = 1 + random_below((int)dims[d]);

        while (dims[d] % part)
            part++;
        memmove(&dims[d + 1], &dims[d], sizeof(*dims) * (size_t)(rank - d));
        dims[d] = part;
        dims[d + 1] /= part;
        rank++;
    }
    CHECK_INT(spc__graph_add_reshape(&graph, name, in, name, dims, rank, &err), SPC_OK);
}

TEST(random_folding_keeps_elements)
{
    static int expected[MOST], actual[MOST];
    int folded = 0, partly = 0;

    for (int round = 0; round < 2000; round++) {
        int cells = random_below(4 * 6 * 6);
        int32_t grid[3] = {1 + cells / 36, 1 + cells / 6 % 6, 1 + cells % 6};
        enum spc_index_order format = random_below(2) ? SPC_INDEX_XYZ : SPC_INDEX_ZYX;
        int steps = 1 + random_below(9), transposes = 0;

        REQUIRE(!spc__graph_init(&graph, SPC_INDEX_ZYX, "in", 1 + random_below(6), grid, &err));
        CHECK_INT(spc__graph_add_scatter(&graph, "s", 0, "s", format, SPC_LAYOUT_LINEAR, 0, &err),
                  SPC_OK);
        for (int i = 0; i < steps; i++)
            add_random_step(i);
        CHECK_INT(spc__graph_add_output(&graph, graph.num_values - 1, &err), SPC_OK);
        REQUIRE(!spc__graph_finish(&graph, &err));
        run_dense(true, format, expected);
        run_dense(false, format, actual);
        CHECK(!memcmp(expected, actual, sizeof(actual)));
        CHECK_INT(spc__pass_fold_dense(&graph, &err), SPC_OK);
        run_dense(false, format, actual);
        CHECK(!memcmp(expected, actual, sizeof(actual)));
        for (int n = 0; n < graph.num_nodes; n++)
            transposes += graph.nodes[n].op == SPC__OP_TRANSPOSE;
        CHECK(transposes || graph.num_nodes == 1); /* a Reshape alone is always folded */
        folded += graph.num_nodes == 1;
        partly += graph.num_nodes > 1;
        spc__graph_clear(&graph);
    }
    CHECK(folded > 500);
    CHECK(partly > 100);
}

/* BEVFusion, index order xyz: [C][X][Y][Z] to [C*Z][X][Y]. */
TEST(fold_bevfusion)
{
    const int64_t perm[5] = {0, 1, 4, 2, 3}, dims[4] = {1, 4 * 41, 48, 64};
    const int64_t stride[4] = {41 * 48 * 64, 48 * 64, 1, 64};

    REQUIRE(!fixture_init(&graph, &err));
    spc__graph_add_scatter(&graph, "s", 0, "s", SPC_INDEX_XYZ, SPC_LAYOUT_LINEAR, 0, &err);
    spc__graph_add_transpose(&graph, "t", 1, "t", perm, 5, &err);
    CHECK_INT(spc__graph_add_reshape(&graph, "r", 2, "r", dims, 4, &err), SPC_OK);
    fixture_output(&graph, "r");
    REQUIRE(!spc__graph_finish(&graph, &err));
    CHECK_INT(spc__pass_fold_dense(&graph, &err), SPC_OK);
    REQUIRE(graph.num_nodes == 1);
    CHECK(!strcmp(graph.nodes[0].name, "s+t+r"));
    CHECK_INT(graph.nodes[0].out, at("r"));
    for (int a = 0; a < 4; a++)
        CHECK_INT(graph.nodes[0].scatter_stride[a], stride[a]);
    spc__graph_clear(&graph);
}

/* However long the chain, the name stays readable. */
TEST(folded_names_stay_short)
{
    const int64_t dims[5] = {1, 4, 41, 64, 48};
    char name[32];

    REQUIRE(!fixture_init(&graph, &err));
    spc__graph_add_scatter(&graph, "s", 0, "s", SPC_INDEX_ZYX, SPC_LAYOUT_LINEAR, 0, &err);
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "reshape%d", i);
        CHECK_INT(spc__graph_add_reshape(&graph, name, i + 1, name, dims, 5, &err), SPC_OK);
    }
    fixture_output(&graph, name);
    REQUIRE(!spc__graph_finish(&graph, &err));
    CHECK_INT(spc__pass_fold_dense(&graph, &err), SPC_OK);
    REQUIRE(graph.num_nodes == 1);
    CHECK(strlen(graph.nodes[0].name) <= 512);
    CHECK_INT(graph.nodes[0].out, at(name));
    spc__graph_clear(&graph);
}

/* A value that is an output, or read twice, stays. */
TEST(not_folded)
{
    const int64_t perm[5] = {0, 1, 2, 4, 3}, dims[4] = {1, 4 * 41, 64, 48};

    REQUIRE(!fixture_init(&graph, &err));
    spc__graph_add_scatter(&graph, "s", 0, "s", SPC_INDEX_ZYX, SPC_LAYOUT_LINEAR, 0, &err);
    spc__graph_add_transpose(&graph, "t", 1, "t", perm, 5, &err);
    spc__graph_add_reshape(&graph, "r", 1, "r", dims, 4, &err);
    fixture_output(&graph, "t");
    fixture_output(&graph, "r");
    REQUIRE(!spc__graph_finish(&graph, &err));
    CHECK_INT(spc__pass_fold_dense(&graph, &err), SPC_OK);
    CHECK_INT(graph.num_nodes, 3);
    CHECK_INT(graph.nodes[0].scatter_stride[3], 1);
    spc__graph_clear(&graph);
}

int main(void)
{
    RUN(residual_block);
    RUN(later_convolution_adds);
    RUN(ranges_follow);
    RUN(input_as_residual);
    RUN(not_fused);
    RUN(exposed_graph_is_not_fused);
    RUN(random_fusion_keeps_results);
    RUN(random_folding_keeps_elements);
    RUN(fold_bevfusion);
    RUN(folded_names_stay_short);
    RUN(not_folded);
    return test_result();
}
