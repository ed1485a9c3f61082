/* SPDX-License-Identifier: MIT */
/* The CPU backend against a network computed cell by cell: the same bits in fp32 and fp16. */
#include "backend.h"
#include "cpu/kernels.h"
#include "net_reference.h"

static const int32_t grid[3] = {9, 20, 36};

static uint32_t seed = 1;

static float random_float(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)(int32_t)(seed >> 8) / (float)(1 << 23) - 1.0f;
}

static const float *random_block(struct spc__graph *graph, int64_t count)
{
    float *block = spc__graph_block(graph, (size_t)count);

    for (int64_t i = 0; block && i < count; i++)
        block[i] = random_float() * 0.3f;
    return block;
}

struct shape {
    enum spc__rulebook_kind kind;
    const char *key;
    int32_t kernel[3], stride[3], padding[3], dilation[3];
};

static const struct shape subm = {SPC__SUBM, "", {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}};
static const struct shape down = {
    SPC__STRIDED, "down", {3, 3, 3}, {2, 2, 2}, {1, 1, 1}, {1, 1, 1}};
static const struct shape up = {SPC__INVERSE, "down", {3, 3, 3}, {2, 2, 2}, {1, 1, 1}, {1, 1, 1}};

static int conv(struct spc__graph *graph, const struct shape *shape, int in, const char *out,
                int32_t cout, bool bias, enum spc__act act)
{
    int32_t cin = graph->values[in].channels;
    int64_t offsets = (int64_t)shape->kernel[0] * shape->kernel[1] * shape->kernel[2];
    struct spc__conv_params params = {
        .kind = shape->kind, .key = shape->key, .cin = cin, .cout = cout, .act = act,
        .act_slope = 0.1f, .weights = random_block(graph, offsets * cin * cout),
        .bias = bias ? random_block(graph, cout) : NULL};
    struct spc_error err;

    memcpy(params.kernel, shape->kernel, sizeof(params.kernel));
    memcpy(params.stride, shape->stride, sizeof(params.stride));
    memcpy(params.padding, shape->padding, sizeof(params.padding));
    memcpy(params.dilation, shape->dilation, sizeof(params.dilation));
    if (spc__graph_add_conv(graph, out, "SparseConvolution", in, out, &params, &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    return spc__graph_find(graph, out);
}

static int add(struct spc__graph *graph, int a, int b, const char *out)
{
    static const float none[2];

    spc__graph_add_add(graph, out, "Add", a, b, out, none, SPC__STORE_FP16, SPC__STORE_FP16, NULL);
    return spc__graph_find(graph, out);
}

static int act(struct spc__graph *graph, int in, const char *out, enum spc__act kind)
{
    spc__graph_add_act(graph, out, "Relu", in, out, kind, 0.1f, NULL);
    return spc__graph_find(graph, out);
}

static int scatter(struct spc__graph *graph, int in, const char *out, enum spc_layout layout)
{
    spc__graph_add_scatter(graph, out, in, out, SPC_INDEX_ZYX, layout, 0.0f, NULL);
    return spc__graph_find(graph, out);
}

/* A U-Net with a residual block, every activation and every dense layout. */
static void make_graph(struct spc__graph *graph)
{
    static const int64_t perm[] = {0, 1, 3, 2, 4};
    int a, b, c, low;

    CHECK(!spc__graph_init(graph, SPC_INDEX_ZYX, "in", 5, grid, NULL));
    a = conv(graph, &subm, 0, "a", 16, true, SPC__ACT_RELU);
    b = conv(graph, &subm, a, "b", 16, false, SPC__ACT_NONE);
    c = act(graph, add(graph, b, a, "sum"), "c", SPC__ACT_RELU);
    low = conv(graph, &down, c, "low", 33, true, SPC__ACT_LEAKY_RELU);
    a = conv(graph, &up, low, "up", 7, true, SPC__ACT_SIGMOID);
    spc__graph_add_output(graph, a, NULL);
    spc__graph_add_output(graph, c, NULL);
    a = conv(graph, &subm, low, "deep", 40, true, SPC__ACT_NONE);
    spc__graph_add_output(graph, scatter(graph, a, "nchw", SPC_LAYOUT_LINEAR), NULL);
    spc__graph_add_output(graph, scatter(graph, low, "nchw32", SPC_LAYOUT_NCHW32), NULL);
    spc__graph_add_output(graph, scatter(graph, low, "nhwzc", SPC_LAYOUT_NHWZC), NULL);
    a = act(graph, scatter(graph, low, "dense", SPC_LAYOUT_LINEAR), "relu", SPC__ACT_RELU);
    spc__graph_add_transpose(graph, "turned", a, "turned", perm, 5, NULL);
    a = spc__graph_find(graph, "turned");
    a = add(graph, a, a, "twice");
    spc__graph_add_reshape(graph, "flat", a, "flat", (const int64_t[]){1, -1}, 2, NULL);
    spc__graph_add_output(graph, spc__graph_find(graph, "flat"), NULL);
    CHECK(!spc__graph_finish(graph, NULL));
}

#define MAX_VOXELS 3000

struct frame {
    float features[MAX_VOXELS * 5];
    uint16_t half[MAX_VOXELS * 5];
    int32_t indices[MAX_VOXELS * 4];
    struct spc_voxels voxels;
};

/* Distinct cells in no order. */
static void make_frame(struct frame *frame, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        int64_t cell = (i * 1237 + 77) % (9 * 20 * 36);

        frame->indices[4 * i] = 0;
        net_at(cell, grid, frame->indices + 4 * i + 1);
    }
    for (int64_t i = 0; i < count * 5; i++) {
        frame->half[i] = spc__half_from_float(random_float());
        frame->features[i] = spc__half_to_float(frame->half[i]);
    }
    frame->voxels = (struct spc_voxels){.feature_type = SPC_DTYPE_F32, .features = frame->features,
                                        .indices = frame->indices, .num_voxels = count};
}

/* The values behind an output, as float32. */
static float output_value(const struct spc_output *output, int64_t i)
{
    if (output->dtype == SPC_DTYPE_F16)
        return spc__half_to_float(((const uint16_t *)output->data)[i]);
    return ((const float *)output->data)[i];
}

static int64_t wrong_sparse(const struct net *net, int value, const struct spc_output *output)
{
    const struct spc__value *v = &net->graph->values[value];
    const int32_t *g = net->graph->levels[v->level].grid;
    int64_t wrong = 0, sites = 0;

    for (int64_t cell = 0; cell < net_cells(g); cell++)
        sites += net->active[v->level][cell];
    wrong += sites != output->num_sites;
    for (int64_t row = 0; row < output->num_sites; row++) {
        const int32_t *at = output->indices + 4 * row;
        int64_t cell = ((int64_t)at[1] * g[1] + at[2]) * g[2] + at[3];

        wrong += at[0] != 0 || !net->active[v->level][cell];
        for (int c = 0; c < v->channels; c++) {
            float x = output_value(output, row * v->channels + c);
            float expected = net->values[value][cell * v->channels + c];

            wrong += memcmp(&x, &expected, sizeof(x)) != 0;
        }
    }
    return wrong;
}

static int64_t wrong_values(const struct net *net, int value, const struct spc_output *output)
{
    int64_t wrong = 0;

    if (net->graph->values[value].kind == SPC__SPARSE)
        return wrong_sparse(net, value, output);
    for (int64_t i = 0; i < net_elements(net->graph, value); i++) {
        float x = output_value(output, i);

        wrong += memcmp(&x, &net->values[value][i], sizeof(x)) != 0;
    }
    return wrong;
}

struct session {
    struct spc__plan plan;
    struct spc__shared *shared;
    void *instance;
};

static bool open_session(struct session *session, const struct spc__graph *graph,
                         const struct spc__plan_options *plan_options,
                         const struct spc__backend_options *options, struct spc_error *err)
{
    memset(session, 0, sizeof(*session));
    if (spc__plan_make(&session->plan, graph, plan_options, err))
        return false;
    session->shared = spc__shared_create();
    return !spc__backend_cpu.create(&session->plan, session->shared, options, &session->instance,
                                    err);
}

static void close_session(struct session *session)
{
    if (session->instance)
        spc__backend_cpu.destroy(session->instance);
    spc__shared_destroy(session->shared);
    spc__plan_clear(&session->plan);
}

static struct spc__plan_options default_plan(enum spc_precision precision)
{
    return (struct spc__plan_options){
        .precision = precision, .max_voxels = MAX_VOXELS, .alignment = spc__backend_cpu.alignment};
}

/* Runs `voxels` and compares every output with the reference run of the planned graph. */
static void check_frame(struct session *session, const struct frame *frame, bool own_memory)
{
    const struct spc__graph *graph = &session->plan.graph;
    int64_t count = frame->voxels.num_voxels;
    struct spc_output outputs[64] = {0};
    struct spc_error err = {0};
    struct net net;

    REQUIRE(graph->num_outputs <= 64);
    net_run(&net, graph, session->plan.precision == SPC_PRECISION_FP16, frame->features,
            frame->indices, count);
    for (int i = 0; i < graph->num_outputs && own_memory; i++) {
        outputs[i].capacity = session->plan.values[graph->outputs[i]].size * 2;
        outputs[i].data = malloc(outputs[i].capacity);
    }
    CHECK_INT(spc__backend_cpu.submit(session->instance, &frame->voxels, outputs,
                                      graph->num_outputs, &err), SPC_OK);
    CHECK_INT(spc__backend_cpu.wait(session->instance, &err), SPC_OK);
    for (int i = 0; i < graph->num_outputs; i++) {
        CHECK_INT(wrong_values(&net, graph->outputs[i], &outputs[i]), 0);
        CHECK_INT(outputs[i].dtype, session->plan.output_types[i]);
        if (own_memory)
            free(outputs[i].data);
    }
    net_clear(&net);
}

static void check_session(const struct spc__graph *graph,
                          const struct spc__plan_options *plan_options,
                          const struct spc__backend_options *options, struct frame *frame)
{
    struct session session;
    struct spc_error err = {0};

    if (open_session(&session, graph, plan_options, options, &err)) {
        make_frame(frame, 300);
        check_frame(&session, frame, false);
        make_frame(frame, 1000);
        frame->voxels.features = frame->half;
        frame->voxels.feature_type = SPC_DTYPE_F16;
        check_frame(&session, frame, true);
        make_frame(frame, 0);
        check_frame(&session, frame, false);
        make_frame(frame, 1);
        check_frame(&session, frame, false);
    }
    CHECK_TEXT(err.message, "");
    CHECK(session.instance != NULL);
    close_session(&session);
}

static struct spc__graph network;
static struct frame frame;

TEST(every_isa_precision_and_number_of_threads)
{
    const struct spc__kernels *kernels;

    for (int i = 0; (kernels = spc__kernels_at(i)); i++)
        for (int threads = 1; threads <= 3; threads += 2)
            for (int half = 0; half < 2; half++) {
                struct spc__plan_options plan =
                    default_plan(half ? SPC_PRECISION_FP16 : SPC_PRECISION_FP32);
                struct spc__backend_options options = {.threads = threads, .isa = kernels->isa};

                check_session(&network, &plan, &options, &frame);
            }
}

TEST(all_values_exposed)
{
    struct spc__plan_options plan = default_plan(SPC_PRECISION_FP32);
    struct spc__backend_options options = {.threads = 2};

    plan.expose_all = true;
    check_session(&network, &plan, &options, &frame);
    plan.precision = SPC_PRECISION_FP16;
    check_session(&network, &plan, &options, &frame);
}

/* Outputs of the other type: fp16 values widened are exact, so the same comparison holds. */
TEST(output_type)
{
    struct spc__plan_options plan = default_plan(SPC_PRECISION_FP16);
    struct spc__backend_options options = {.threads = 2};

    plan.output_type = SPC_DTYPE_F32;
    check_session(&network, &plan, &options, &frame);
    plan.expose_all = true;
    check_session(&network, &plan, &options, &frame);
}

TEST(input_row_order)
{
    struct spc__plan_options plan = default_plan(SPC_PRECISION_FP32);
    struct spc__backend_options options = {.threads = 2, .row_order = SPC_ROWS_INPUT};
    struct spc_output outputs[2] = {0};
    struct session session;

    check_session(&network, &plan, &options, &frame);
    REQUIRE(open_session(&session, &network, &plan, &options, NULL));
    make_frame(&frame, 900);
    REQUIRE(!spc__backend_cpu.submit(session.instance, &frame.voxels, outputs, 2, NULL));
    CHECK_INT(outputs[0].num_sites, 900);
    CHECK(!memcmp(outputs[0].indices, frame.indices, 900 * 4 * sizeof(int32_t)));
    close_session(&session);
}

TEST(errors_leave_the_session_usable)
{
    struct spc__plan_options plan = default_plan(SPC_PRECISION_FP32);
    struct spc__backend_options options = {.threads = 2};
    struct spc_output output = {0};
    struct session session;
    struct spc_error err;

    plan.site_bound = 300;
    REQUIRE(open_session(&session, &network, &plan, &options, &err));
    make_frame(&frame, 2000);
    CHECK_INT(spc__backend_cpu.submit(session.instance, &frame.voxels, &output, 1, &err),
              SPC_ERR_CAPACITY);
    CHECK_TEXT(err.message, "low");
    CHECK_TEXT(err.message, "300");
    CHECK(output.data == NULL && output.size == 0);
    make_frame(&frame, 20);
    memcpy(frame.indices + 4 * 13, frame.indices + 4 * 5, 4 * sizeof(int32_t));
    CHECK_INT(spc__backend_cpu.submit(session.instance, &frame.voxels, &output, 1, &err),
              SPC_ERR_INPUT);
    make_frame(&frame, 20);
    check_frame(&session, &frame, false);
    close_session(&session);
}

/* Two convolutions that share weights and have their own biases: packed once, computed apart. */
TEST(shared_weights)
{
    struct spc__plan_options plan = default_plan(SPC_PRECISION_FP32);
    struct spc__backend_options options = {.threads = 1};
    struct spc__backend_info one, two;
    struct spc__graph graph;
    struct session session;
    int a;

    CHECK(!spc__graph_init(&graph, SPC_INDEX_ZYX, "in", 5, grid, NULL));
    a = conv(&graph, &subm, 0, "a", 5, true, SPC__ACT_NONE);
    spc__graph_add_output(&graph, a, NULL);
    REQUIRE(open_session(&session, &graph, &plan, &options, NULL));
    spc__backend_cpu.get_info(session.instance, &one);
    close_session(&session);

    spc__graph_add_output(&graph, conv(&graph, &subm, a, "b", 5, true, SPC__ACT_NONE), NULL);
    graph.nodes[1].weights = graph.nodes[0].weights;
    CHECK(!spc__graph_finish(&graph, NULL));
    REQUIRE(open_session(&session, &graph, &plan, &options, NULL));
    spc__backend_cpu.get_info(session.instance, &two);
    CHECK_INT(two.shared_bytes, one.shared_bytes);
    make_frame(&frame, 300);
    check_frame(&session, &frame, false);
    close_session(&session);
    spc__graph_clear(&graph);
}

/* Sessions of both precisions share a model, but not its packed weights. */
TEST(precisions_of_one_model)
{
    struct spc__plan_options fp16 = default_plan(SPC_PRECISION_FP16);
    struct spc__plan_options fp32 = default_plan(SPC_PRECISION_FP32);
    struct spc__backend_options options = {.threads = 1};
    struct session half, full = {.instance = NULL};

    REQUIRE(open_session(&half, &network, &fp16, &options, NULL));
    REQUIRE(!spc__plan_make(&full.plan, &network, &fp32, NULL));
    REQUIRE(!spc__backend_cpu.create(&full.plan, half.shared, &options, &full.instance, NULL));
    make_frame(&frame, 300);
    check_frame(&full, &frame, false);
    check_frame(&half, &frame, false);
    close_session(&full);
    close_session(&half);
}

TEST(unknown_and_missing_isa)
{
    struct spc__plan_options plan = default_plan(SPC_PRECISION_FP32);
    struct spc__backend_options options = {.threads = 1, .isa = "mmx"};
    struct session session;
    struct spc_error err = {0};

    CHECK(!open_session(&session, &network, &plan, &options, &err));
    CHECK_INT(err.status, SPC_ERR_ARGUMENT);
    CHECK_TEXT(err.message, "mmx");
    close_session(&session);
#if defined(__aarch64__)
    options.isa = "avx2";
#else
    options.isa = "neon";
#endif
    CHECK(!open_session(&session, &network, &plan, &options, &err));
    CHECK_INT(err.status, SPC_ERR_BACKEND);
    CHECK_TEXT(err.message, options.isa);
    close_session(&session);
}

/* Steps are named, timed where asked for, and count what was multiplied. */
TEST(profile)
{
    struct spc__plan_options plan = default_plan(SPC_PRECISION_FP32);
    struct spc__backend_options options = {.threads = 1, .profile = true};
    struct spc__backend_info info;
    struct spc_step_profile step;
    struct session session;
    double total = 0.0;
    int convs = 0;

    REQUIRE(open_session(&session, &network, &plan, &options, NULL));
    make_frame(&frame, 1500);
    REQUIRE(!spc__backend_cpu.submit(session.instance, &frame.voxels, NULL, 0, NULL));
    spc__backend_cpu.get_info(session.instance, &info);
    CHECK(info.threads == 1 && info.shared_bytes > 0 && info.host_bytes > 0);
    for (int i = 0; i < info.num_steps; i++) {
        spc__backend_cpu.get_step(session.instance, i, &step);
        CHECK(step.name[0] && step.op[0] && step.milliseconds >= 0.0);
        total += step.milliseconds;
        if (strcmp(step.op, "SparseConvolution"))
            continue;
        convs++;
        CHECK(step.pairs > 0 && step.sites_out > 0);
        CHECK_NEAR(step.gflop,
                   2e-9 * (double)step.pairs * step.in_channels * step.out_channels, 1e-12);
    }
    CHECK(total > 0.0);
    CHECK_INT(convs, 5);
    close_session(&session);
}

int main(void)
{
    make_graph(&network);
    RUN(every_isa_precision_and_number_of_threads);
    RUN(all_values_exposed);
    RUN(output_type);
    RUN(input_row_order);
    RUN(errors_leave_the_session_usable);
    RUN(shared_weights);
    RUN(precisions_of_one_model);
    RUN(unknown_and_missing_isa);
    RUN(profile);
    spc__graph_clear(&network);
    return test_result();
}
