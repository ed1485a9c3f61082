/* SPDX-License-Identifier: MIT */
/*
 * What fp16 leaves in float32: sums and biases. A convolution whose sum is -40000 with a bias of
 * 70000, more than float16 holds, gives 30000 on every backend.
 *
 *     test-gpu-rounding
 */
#include "written_model.h"

#define COUT 8 /* channels that the fast convolution takes */

static void load_biased(void)
{
    static const int64_t in[2] = {-1, FEATURES}, out[2] = {-1, COUT};
    static const int64_t weight_dims[5] = {COUT, 1, 1, 1, FEATURES}, bias_dims[1] = {COUT};
    struct onnx_buffer graph = {0};
    struct onnx_buffer node = onnx_node("SparseConvolution", "conv", "in", "w", "b", "out");
    float weights[COUT][FEATURES] = {{0}}, bias[COUT];

    for (int o = 0; o < COUT; o++) {
        weights[o][0] = -40000;
        bias[o] = 70000;
    }
    onnx_value_info(&graph, 11, "in", F32, in, 2);
    make_submanifold(&node, FEATURES, COUT, 1, "None");
    onnx_message(&graph, 1, &node);
    onnx_initializer(&graph, "w", F32, weight_dims, 5, weights, sizeof(weights));
    onnx_initializer(&graph, "b", F32, bias_dims, 1, bias, sizeof(bias));
    onnx_value_info(&graph, 12, "out", F32, out, 2);
    load_graph(&graph);
}

static void check_bias(const char *backend)
{
    struct spc_session_options options = options_for(backend);
    struct spc_output out = {0};
    struct spc_session *session;
    static struct frame frame;
    struct spc_voxels voxels;

    options.precision = SPC_PRECISION_FP16;
    options.output_type = SPC_DTYPE_F32;
    session = open_session(&options);
    REQUIRE(session);
    make_frame(&frame, 300);
    for (int64_t i = 0; i < frame.rows; i++)
        frame.features[i][0] = 1;
    voxels = host_voxels(&frame);
    REQUIRE(!spc_session_run(session, &voxels, &out, 1, NULL));
    REQUIRE(out.num_sites == 300 && out.dims[1] == COUT);
    for (int64_t i = 0; i < 300 * COUT; i++)
        CHECK_NEAR(((const float *)out.data)[i], 30000, 0);
    spc_session_free(&session);
}

TEST(biases)
{
    spc_model_free(&model);
    load_biased();
    REQUIRE(model);
    check_bias("cpu");
    check_bias("cuda");
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    RUN(biases);
    spc_model_free(&model);
    return test_result();
}
