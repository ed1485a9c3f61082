/* SPDX-License-Identifier: MIT */
/*
 * Recorded frames whose pointers change: more sets of them than recordings are kept, features of
 * either type, every output in the caller's memory. Each frame gives the same bits, where it
 * wants them.
 *
 *     test-gpu-pointers
 */
#include "written_model.h"

#define SETS 20
#define FRAMES (6 * SETS)
#define OFFSETS 27 /* of a kernel */

/* ---- a network of wide convolutions, whose kernels run in clusters where a GPU has them ---- */

static const struct {
    const char *name, *in, *weights, *out;
    int cin, cout;
} convs[OUTPUTS] = {
    {"conv0", "in", "w0", "a", FEATURES, 64},
    {"conv1", "a", "w1", "b", 64, 64},
    {"conv2", "b", "w2", "c", 64, 128},
};

static void add_weights(struct onnx_buffer *graph, int i)
{
    const int64_t dims[5] = {convs[i].cout, 3, 3, 3, convs[i].cin};
    size_t count = (size_t)OFFSETS * (size_t)convs[i].cin * (size_t)convs[i].cout;
    float *weights = malloc(count * sizeof(*weights));

    for (size_t w = 0; w < count; w++)
        weights[w] = ((float)(next_random() % 2001) - 1000.0f) / 16000.0f;
    onnx_initializer(graph, convs[i].weights, F32, dims, 5, weights, count * sizeof(*weights));
    free(weights);
}

static void add_conv(struct onnx_buffer *graph, int i)
{
    const int64_t dims[2] = {-1, convs[i].cout};
    struct onnx_buffer node = onnx_node("SparseConvolution", convs[i].name, convs[i].in,
                                        convs[i].weights, NULL, convs[i].out);

    make_submanifold(&node, convs[i].cin, convs[i].cout, 3, "ReLU");
    onnx_attribute_int(&node, "output_bound", MAX_ROWS);
    onnx_message(graph, 1, &node);
    add_weights(graph, i);
    onnx_value_info(graph, 12, convs[i].out, F32, dims, 2);
}

static void load_wide(void)
{
    static const int64_t dims[2] = {-1, FEATURES};
    struct onnx_buffer graph = {0};

    onnx_value_info(&graph, 11, "in", F32, dims, 2);
    for (int i = 0; i < OUTPUTS; i++)
        add_conv(&graph, i);
    load_graph(&graph);
}

/* ---- frames ---- */

/* The frame's features as float16, where those of float32 were. */
static void use_half(struct spc_voxels *voxels, const struct device_frame *device,
                     const struct frame *frame)
{
    static uint16_t half[MAX_ROWS * FEATURES];

    spc_convert_f32_to_f16(frame->features[0], half, (size_t)(frame->rows * FEATURES));
    CHECK(!cudaMemcpy(device->features, half, sizeof(half), cudaMemcpyHostToDevice));
    voxels->feature_type = SPC_DTYPE_F16;
}

/* The frame into set `set` of the outputs' memory. */
static void check_set(struct spc_session *session, struct device_frame *device,
                      const struct frame *frame, char *memory, int set, bool half,
                      const struct result *expected)
{
    struct spc_voxels voxels = device_voxels(device, NULL);
    struct spc_output where[OUTPUTS] = {0};
    struct result result;

    to_device(device, frame, (int32_t)frame->rows, NULL);
    if (half)
        use_half(&voxels, device, frame);
    for (int o = 0; o < OUTPUTS; o++)
        where[o] = (struct spc_output){.memory = SPC_MEMORY_CUDA,
                                       .capacity = MAX_BYTES,
                                       .data = memory + (set * OUTPUTS + o) * MAX_BYTES};
    REQUIRE(!cudaMemset(memory, 0x55, SETS * OUTPUTS * MAX_BYTES));
    REQUIRE(!run(session, &voxels, where, &result));
    CHECK(same_result(&result, expected));
    drop(&result);
}

static void check_pointers(enum spc_precision precision)
{
    struct spc_session_options options = options_for("cuda");
    struct device_frame device[2];
    struct spc_session *session;
    struct result expected;
    struct spc_voxels voxels;
    static struct frame frame;
    char *memory;

    options.precision = precision;
    options.cuda_graph = false;
    session = open_session(&options);
    REQUIRE(session && !cudaMalloc((void **)&memory, SETS * OUTPUTS * MAX_BYTES));
    make_frame(&frame, 1200);
    for (int i = 0; i < MAX_ROWS; i++) /* exact in float16 */
        for (int c = 0; c < FEATURES; c++)
            frame.features[i][c] = (float)(next_random() % 33) / 16.0f - 1.0f;
    voxels = host_voxels(&frame);
    REQUIRE(!run(session, &voxels, NULL, &expected));
    spc_session_free(&session);
    options.cuda_graph = true;
    session = open_session(&options);
    REQUIRE(session);
    for (int i = 0; i < 2; i++)
        device_frame_alloc(&device[i], MAX_ROWS);
    for (int i = 0; i < FRAMES; i++) /* some sets again soon, all of them after others */
        check_set(session, &device[i / 2 % 2], &frame, memory,
                  (i % 4 == 3 ? i - 2 : i) * 7 % SETS, i % 3 == 0, &expected);
    for (int i = 0; i < 2; i++)
        device_frame_free(&device[i]);
    drop(&expected);
    cudaFree(memory);
    spc_session_free(&session);
}

TEST(small_network)
{
    check_pointers(SPC_PRECISION_FP16);
    check_pointers(SPC_PRECISION_FP32);
}

TEST(wide_network)
{
    spc_model_free(&model);
    load_wide();
    REQUIRE(model);
    check_pointers(SPC_PRECISION_FP16);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    RUN(small_network);
    RUN(wide_network);
    spc_model_free(&model);
    return test_result();
}
