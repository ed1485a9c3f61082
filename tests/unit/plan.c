/* SPDX-License-Identifier: MIT */
/* Plans: bounds, types, and memory in which nothing alive overlaps. */
#include "graph_fixture.h"

#include "base/mem.h"
#include "graph/arena.h"
#include "graph/plan.h"

static struct spc__graph graph;
static struct spc__plan plan;
static struct spc_error err;

static uint32_t seed = 7;

static int random_below(int n)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return (int)(seed % (uint32_t)n);
}

static struct spc__plan_options options(void)
{
    return (struct spc__plan_options){
        .precision = SPC_PRECISION_FP32, .max_voxels = 1000, .alignment = 64};
}

static const struct spc__storage *stored(const char *name)
{
    return &plan.values[spc__graph_find(&plan.graph, name)];
}

TEST(types_and_sizes)
{
    struct spc__plan_options opts = options();

    REQUIRE(!fixture_init(&graph, &err));
    fixture_subm(&graph, "in", "a", 4, 8);
    spc__graph_add_scatter(&graph, "s", 1, "s", SPC_INDEX_ZYX, SPC_LAYOUT_LINEAR, 0, &err);
    fixture_output(&graph, "s");
    fixture_output(&graph, "a");
    fixture_output(&graph, "s");
    REQUIRE(!spc__graph_finish(&graph, &err));

    REQUIRE(!spc__plan_make(&plan, &graph, &opts, &err));
    CHECK_INT(plan.precision, SPC_PRECISION_FP32);
    CHECK_INT(stored("in")->dtype, SPC_DTYPE_F32);
    CHECK_INT(stored("in")->size, 1000 * 4 * 4);
    CHECK_INT(stored("in")->output, -1);
    CHECK_INT(stored("a")->size, 1000 * 8 * 4);
    CHECK_INT(stored("a")->output, 1);
    CHECK_INT(stored("s")->size, (int64_t)8 * 41 * 64 * 48 * 4);
    CHECK_INT(stored("s")->output, 0);            /* its first index */
    CHECK_INT(plan.arena_size, 1000 * 4 * 4 + 0); /* only the input; a multiple of 64 */
    CHECK_INT(plan.output_types[2], SPC_DTYPE_F32);
    spc__plan_clear(&plan);

    opts.precision = SPC_PRECISION_FP16;
    REQUIRE(!spc__plan_make(&plan, &graph, &opts, &err));
    CHECK_INT(stored("a")->dtype, SPC_DTYPE_F16);
    CHECK_INT(stored("a")->size, 1000 * 8 * 2);
    CHECK_INT(plan.output_types[0], SPC_DTYPE_F16);
    spc__plan_clear(&plan);

    opts.output_type = SPC_DTYPE_F32;
    REQUIRE(!spc__plan_make(&plan, &graph, &opts, &err));
    CHECK_INT(stored("a")->dtype, SPC_DTYPE_F16);
    CHECK_INT(plan.output_types[1], SPC_DTYPE_F32);
    spc__plan_clear(&plan);
    spc__graph_clear(&graph);
}

TEST(weights_beyond_half)
{
    struct spc__plan_options opts = options();
    struct spc__conv_params params;

    REQUIRE(!fixture_init(&graph, &err));
    params = fixture_params(&graph, SPC__SUBM, 1, 1, 4, 2);
    ((float *)graph.blocks[0])[7] = -65519.0f; /* the last that rounds to 65504 */
    fixture_add(&graph, "a", "in", "a", &params, &err);
    fixture_output(&graph, "a");
    opts.precision = SPC_PRECISION_FP16;
    REQUIRE(!spc__plan_make(&plan, &graph, &opts, &err));
    spc__plan_clear(&plan);
    ((float *)graph.blocks[0])[7] = -65520.0f;
    CHECK_INT(spc__plan_make(&plan, &graph, &opts, &err), SPC_ERR_UNSUPPORTED);
    CHECK_TEXT(err.message, "node 'a': its weights reach -65520");
    opts.precision = SPC_PRECISION_FP32;
    REQUIRE(!spc__plan_make(&plan, &graph, &opts, &err));
    spc__plan_clear(&plan);
    spc__graph_clear(&graph);
}

TEST(precision_refused)
{
    struct spc__plan_options opts;

    REQUIRE(!fixture_init(&graph, &err));
    fixture_subm(&graph, "in", "a", 4, 8);
    fixture_output(&graph, "a");
    REQUIRE(!spc__graph_finish(&graph, &err));
#define REFUSED(change, code, text)                                                                \
    do {                                                                                           \
        opts = options();                                                                          \
        change;                                                                                    \
        CHECK_INT(spc__plan_make(&plan, &graph, &opts, &err), code);                               \
        CHECK_TEXT(err.message, text);                                                             \
        spc__plan_clear(&plan);                                                                    \
    } while (0)
    REFUSED(opts.precision = SPC_PRECISION_INT8, SPC_ERR_UNSUPPORTED, "precision int8");
    REFUSED(opts.precision = SPC_PRECISION_AUTO, SPC_ERR_ARGUMENT, "precision 0");
#undef REFUSED
    spc__graph_clear(&graph);
}

/* Bounds: the input's, the nodes', an override, and what the geometry allows at most. */
TEST(level_bounds)
{
    struct spc__plan_options opts = options();

    REQUIRE(!fixture_init(&graph, &err));
    fixture_down(&graph, "in", "a", "", 4, 8); /* 3x3x3, stride 2: up to 8 sites of one */
    {
        struct spc__conv_params params = fixture_params(&graph, SPC__STRIDED, 3, 2, 8, 8);

        params.dilation[0] = 2; /* 3 offsets reach a site or none: up to 3 * 2 * 2 of one */
        params.bound = 900;
        fixture_add(&graph, "b", "a", "b", &params, &err);
    }
    fixture_output(&graph, "b");
    REQUIRE(!spc__graph_finish(&graph, &err));
    REQUIRE(!spc__plan_make(&plan, &graph, &opts, &err));
    CHECK_INT(plan.graph.levels[0].bound, 1000);
    CHECK_INT(plan.graph.levels[1].bound, 8000);
    CHECK_INT(plan.graph.levels[2].bound, 900);
    CHECK_INT(stored("b")->size, 900 * 8 * 4);
    spc__plan_clear(&plan);

    opts.max_voxels = 5;
    REQUIRE(!spc__plan_make(&plan, &graph, &opts, &err));
    CHECK_INT(plan.graph.levels[1].bound, 40);
    CHECK_INT(plan.graph.levels[2].bound, 480);
    CHECK_INT(graph.levels[1].bound, 21 * 32 * 24); /* the model's own stays */
    spc__plan_clear(&plan);

    opts.max_voxels = 200000;
    opts.site_bound = 1500;
    REQUIRE(!spc__plan_make(&plan, &graph, &opts, &err));
    CHECK_INT(plan.graph.levels[0].bound, 200000);
    CHECK_INT(plan.graph.levels[1].bound, 1500);
    CHECK_INT(plan.graph.levels[2].bound, 1500);
    spc__plan_clear(&plan);

    opts.site_bound = SPC__MAX_SITES;
    REQUIRE(!spc__plan_make(&plan, &graph, &opts, &err));
    CHECK_INT(plan.graph.levels[1].bound, 21 * 32 * 24);
    spc__plan_clear(&plan);
    spc__graph_clear(&graph);
}

/* Most outputs o in 0 .. cells-1 of any one input i along an axis, by trying. */
static int most_outputs(const struct spc__rulebook *book, int a, int32_t in, int32_t out)
{
    int most = 0;

    for (int i = 0; i < in; i++) {
        int count = 0;

        for (int o = 0; o < out; o++)
            for (int k = 0; k < book->kernel[a]; k++)
                count += o * book->stride[a] + k * book->dilation[a] - book->padding[a] == i;
        most = count > most ? count : most;
    }
    return most;
}

/* A bound must never be below what one site can make, or a valid frame would be refused. */
TEST(bounds_hold_what_one_site_makes)
{
    struct spc__plan_options opts = options();
    int tight = 0;

    opts.max_voxels = 1;
    for (int round = 0; round < 300; round++) {
        struct spc__conv_params params;
        int64_t most = 1;

        REQUIRE(!fixture_init(&graph, &err));
        params = fixture_params(&graph, SPC__STRIDED, 5, 1, 4, 4);
        for (int a = 0; a < 3; a++) {
            params.kernel[a] = 1 + random_below(5);
            params.stride[a] = 1 + random_below(4);
            params.dilation[a] = 1 + random_below(4);
            params.padding[a] = random_below(4);
        }
        REQUIRE(!fixture_add(&graph, "a", "in", "a", &params, &err));
        fixture_output(&graph, "a");
        REQUIRE(!spc__graph_finish(&graph, &err));
        REQUIRE(!spc__plan_make(&plan, &graph, &opts, &err));
        for (int a = 0; a < 3 && graph.num_levels > 1; a++)
            most *= most_outputs(&graph.rulebooks[0], a, fixture_grid[a], graph.levels[1].grid[a]);
        CHECK(plan.graph.levels[graph.num_levels - 1].bound >= most);
        tight += plan.graph.levels[graph.num_levels - 1].bound == most;
        spc__plan_clear(&plan);
        spc__graph_clear(&graph);
    }
    CHECK(tight > 250);
}

/* A plain chain needs two buffers, however long it is. */
TEST(chain_needs_two_buffers)
{
    struct spc__plan_options opts = options();
    char from[8] = "in", to[8];

    REQUIRE(!fixture_init(&graph, &err));
    for (int i = 0; i < 9; i++) {
        snprintf(to, sizeof(to), "v%d", i);
        CHECK_INT(fixture_subm(&graph, from, to, 4, 4), SPC_OK);
        memcpy(from, to, sizeof(to));
    }
    fixture_output(&graph, to);
    REQUIRE(!spc__graph_finish(&graph, &err));
    REQUIRE(!spc__plan_make(&plan, &graph, &opts, &err));
    CHECK_INT(plan.arena_size, 2 * 1000 * 4 * 4);
    CHECK_INT(stored("v0")->offset, 1000 * 4 * 4);
    CHECK_INT(stored("v1")->offset, 0);
    CHECK_INT(stored("v8")->output, 0);
    spc__plan_clear(&plan);
    spc__graph_clear(&graph);
}

TEST(fused_values_are_unused)
{
    struct spc__plan_options opts = options();

    REQUIRE(!fixture_init(&graph, &err));
    fixture_subm(&graph, "in", "c", 4, 4);
    fixture_sum(&graph, "c", "in", "a", &err);
    fixture_relu(&graph, "a", "r");
    fixture_output(&graph, "r");
    REQUIRE(!spc__graph_finish(&graph, &err));
    REQUIRE(!spc__plan_make(&plan, &graph, &opts, &err));
    CHECK_INT(plan.graph.num_nodes, 1);
    CHECK(stored("in")->used && stored("r")->used);
    CHECK(!stored("c")->used && !stored("a")->used);
    CHECK_INT(plan.arena_size, 1000 * 4 * 4);
    spc__plan_clear(&plan);

    opts.expose_all = true;
    REQUIRE(!spc__plan_make(&plan, &graph, &opts, &err));
    CHECK_INT(plan.graph.num_nodes, 3);
    CHECK_INT(plan.graph.num_outputs, 4);
    CHECK_INT(stored("in")->output, 0);
    CHECK_INT(stored("a")->output, 2);
    CHECK_INT(plan.arena_size, 0);
    CHECK_INT(plan.output_types[3], SPC_DTYPE_F32);
    spc__plan_clear(&plan);
    spc__graph_clear(&graph);
}

/* A Reshape that stays shares its input's memory; as an output it has its own. */
TEST(reshape_is_an_alias)
{
    const int64_t flat[1] = {-1}, square[2] = {4 * 41, 64 * 48};
    struct spc__plan_options opts = options();

    REQUIRE(!fixture_init(&graph, &err));
    spc__graph_add_scatter(&graph, "s", 0, "s", SPC_INDEX_ZYX, SPC_LAYOUT_LINEAR, 0, &err);
    fixture_relu(&graph, "s", "t");
    spc__graph_add_reshape(&graph, "f", spc__graph_find(&graph, "t"), "f", flat, 1, &err);
    spc__graph_add_reshape(&graph, "q", spc__graph_find(&graph, "f"), "q", square, 2, &err);
    fixture_relu(&graph, "s", "u"); /* t must outlive this one, as q is read below */
    fixture_relu(&graph, "q", "w");
    fixture_output(&graph, "u");
    fixture_output(&graph, "w");
    fixture_output(&graph, "f");
    REQUIRE(!spc__graph_finish(&graph, &err));
    REQUIRE(!spc__plan_make(&plan, &graph, &opts, &err));
    CHECK_INT(stored("f")->alias, -1);
    CHECK_INT(stored("f")->output, 2);
    CHECK_INT(stored("q")->alias, spc__graph_find(&plan.graph, "f"));
    spc__plan_clear(&plan);
    graph.num_outputs = 2;
    REQUIRE(!spc__plan_make(&plan, &graph, &opts, &err));
    CHECK_INT(stored("f")->alias, spc__graph_find(&plan.graph, "t"));
    CHECK_INT(stored("q")->alias, spc__graph_find(&plan.graph, "t"));
    CHECK(stored("s")->offset != stored("t")->offset);
    spc__plan_clear(&plan);
    spc__graph_clear(&graph);
}

/* ---- memory, by brute force --------------------------------------------------------------- */

/* Where a value's bytes are. */
static int root_of(int v)
{
    return plan.values[v].alias >= 0 ? plan.values[v].alias : v;
}

static bool reads(const struct spc__node *node, int v)
{
    return (node->in[0] >= 0 && root_of(node->in[0]) == v) ||
           (node->in[1] >= 0 && root_of(node->in[1]) == v) ||
           (node->residual >= 0 && root_of(node->residual) == v);
}

/* Whether the bytes of `v` matter while node `n` runs. */
static bool alive(int v, int n)
{
    bool made = v == 0;

    for (int m = 0; m <= n; m++)
        made |= plan.graph.nodes[m].out == v;
    if (!made)
        return false;
    if (plan.graph.nodes[n].out == v)
        return true;
    for (int m = n; m < plan.graph.num_nodes; m++)
        if (reads(&plan.graph.nodes[m], v))
            return true;
    return false;
}

/* Pairs of values that share a byte while both are alive. */
static int count_overlaps(void)
{
    int overlaps = 0;

    for (int n = 0; n < plan.graph.num_nodes; n++)
        for (int v = 0; v < plan.graph.num_values; v++)
            for (int w = v + 1; w < plan.graph.num_values; w++) {
                const struct spc__storage *a = &plan.values[v], *b = &plan.values[w];

                if (a->output >= 0 || b->output >= 0 || a->alias >= 0 || b->alias >= 0 ||
                    !alive(v, n) || !alive(w, n))
                    continue;
                overlaps += a->offset < b->offset + b->size && b->offset < a->offset + a->size;
            }
    return overlaps;
}

static void build_random(int nodes)
{
    static const int32_t widths[] = {1, 3, 4, 16};
    char name[16];

    fixture_init(&graph, &err);
    for (int n = 0; n < nodes; n++) {
        int in = random_below(graph.num_values);
        int other = random_below(graph.num_values);
        const struct spc__value *value = &graph.values[in];
        int kind = value->kind == SPC__DENSE ? 3 + random_below(2) : random_below(4);
        struct spc__conv_params params;

        snprintf(name, sizeof(name), "v%d", n);
        if (kind == 4) {
            const int64_t flat[1] = {-1};

            spc__graph_add_reshape(&graph, name, in, name, flat, 1, &err);
        } else if (kind == 3) {
            spc__graph_add_act(&graph, name, "Relu", in, name, SPC__ACT_RELU, 0, &err);
        } else if (kind == 2) {
            spc__graph_add_scatter(&graph, name, in, name, SPC_INDEX_ZYX, SPC_LAYOUT_LINEAR, 0,
                                   &err);
        } else if (kind == 1) { /* fails where the two do not fit, which is fine here */
            spc__graph_add_add(&graph, name, "Add", in, other, name, NULL, 0, 0, &err);
        } else {
            enum spc__rulebook_kind form = random_below(3) ? SPC__SUBM : SPC__STRIDED;

            params = fixture_params(&graph, form, 3, 2, value->channels, widths[random_below(4)]);
            spc__graph_add_conv(&graph, name, "SparseConvolution", in, name, &params, &err);
        }
    }
    spc__graph_add_output(&graph, graph.num_values - 1, &err);
    spc__graph_add_output(&graph, random_below(graph.num_values), &err);
    spc__graph_finish(&graph, &err);
}

TEST(random_plans_do_not_overlap)
{
    int aliases = 0, shared = 0;

    for (int round = 0; round < 300; round++) {
        struct spc__plan_options opts = options();
        size_t total = 0;

        opts.alignment = (size_t)1 << random_below(9);
        opts.max_voxels = 1 + random_below(3000);
        build_random(4 + random_below(30));
        REQUIRE(!spc__plan_make(&plan, &graph, &opts, &err));
        CHECK_INT(count_overlaps(), 0);
        for (int v = 0; v < plan.graph.num_values; v++) {
            const struct spc__storage *own = &plan.values[v];

            aliases += own->alias >= 0;
            if (!own->used || own->output >= 0 || own->alias >= 0)
                continue;
            CHECK_INT(own->offset % opts.alignment, 0);
            CHECK(own->offset + own->size <= plan.arena_size);
            total += spc__round_up(own->size, opts.alignment);
        }
        CHECK(plan.arena_size <= total);
        shared += plan.arena_size < total;
        spc__plan_clear(&plan);
        spc__graph_clear(&graph);
    }
    CHECK(aliases > 50);
    CHECK(shared > 100);
}

/* Gaps are used, the smallest that fits first. */
TEST(arena_fills_gaps)
{
    struct spc__block blocks[] = {
        {0, 9, 100, 0}, /* at 0 */
        {0, 4, 90, 0},  /* at 128, free from step 5 on */
        {0, 9, 80, 0},  /* at 256 */
        {0, 4, 30, 0},  /* at 384, free from step 5 on */
        {0, 9, 20, 0},  /* at 448 */
        {5, 9, 10, 0},  /* fits both gaps: the smaller one, 384 */
    };
    size_t size;

    REQUIRE(!spc__arena_lay_out(blocks, 6, 64, &size, &err));
    CHECK_INT(blocks[0].offset, 0);
    CHECK_INT(blocks[1].offset, 128);
    CHECK_INT(blocks[2].offset, 256);
    CHECK_INT(blocks[3].offset, 384);
    CHECK_INT(blocks[4].offset, 448);
    CHECK_INT(blocks[5].offset, 384);
    CHECK_INT(size, 512);
}

int main(void)
{
    RUN(types_and_sizes);
    RUN(weights_beyond_half);
    RUN(precision_refused);
    RUN(level_bounds);
    RUN(bounds_hold_what_one_site_makes);
    RUN(chain_needs_two_buffers);
    RUN(fused_values_are_unused);
    RUN(reshape_is_an_alias);
    RUN(random_plans_do_not_overlap);
    RUN(arena_fills_gaps);
    return test_result();
}
