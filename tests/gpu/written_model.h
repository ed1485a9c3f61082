/* SPDX-License-Identifier: MIT */
/* Models that a test of sessions writes itself, on the grid that frames are for. */
#ifndef SPC_TEST_GPU_WRITTEN_MODEL_H
#define SPC_TEST_GPU_WRITTEN_MODEL_H

#include "onnx_writer.h" /* before a global it would shadow */

#include "frames.h"

#define F32 1 /* of ONNX */

/* Makes a node a submanifold convolution of `kernel` offsets an axis. */
static inline void make_submanifold(struct onnx_buffer *node, int64_t cin, int64_t cout,
                                    int64_t kernel, const char *activation)
{
    static const int64_t one[3] = {1, 1, 1}, grid[3] = {9, 32, 32};
    const int64_t size[3] = {kernel, kernel, kernel};
    const int64_t padding[3] = {kernel / 2, kernel / 2, kernel / 2};

    onnx_attribute_int(node, "ndim", 3);
    onnx_attribute_int(node, "in_channels", cin);
    onnx_attribute_int(node, "out_channels", cout);
    onnx_attribute_int(node, "subm", 1);
    onnx_attribute_int(node, "inverse", 0);
    onnx_attribute_ints(node, "kernel_size", size, 3);
    onnx_attribute_ints(node, "stride", one, 3);
    onnx_attribute_ints(node, "padding", padding, 3);
    onnx_attribute_ints(node, "input_spatial_shape", grid, 3);
    onnx_attribute_ints(node, "output_spatial_shape", grid, 3);
    onnx_attribute_text(node, "rulebook", "");
    onnx_attribute_text(node, "activation", activation);
}

/* Makes a graph the model of the sessions that follow; the graph is gone then. */
static inline void load_graph(struct onnx_buffer *graph)
{
    struct onnx_buffer file = onnx_model(graph);
    struct spc_model_options options;
    enum spc_status status;
    struct spc_error err;

    spc_model_options_default(&options);
    options.index_order = SPC_INDEX_ZYX;
    status = spc_model_load_memory(file.data, file.size, &options, &model, &err);
    if (status)
        fprintf(stderr, "%s\n", err.message);
    CHECK(!status);
    onnx_free(&file);
}

#endif
