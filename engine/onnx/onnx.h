/* SPDX-License-Identifier: MIT */
/*
 * The ONNX loader: bytes of a file to a graph. What protobuf generates stays in this folder.
 */
#ifndef SPC_ONNX_ONNX_H
#define SPC_ONNX_ONNX_H

#include "base/log.h"
#include "graph/graph.h"

struct spc__onnx_options {
    enum spc_index_order index_order; /* AUTO: from the file */
    struct spc__log log;
};

/* Builds `*graph` with one graph node per node of the file, in its order, ready for
 * spc__graph_finish(). On failure nothing is left to clear.
 * Errors: SPC_ERR_FORMAT (no ONNX), SPC_ERR_MODEL (inconsistent), SPC_ERR_UNSUPPORTED,
 * SPC_ERR_MEMORY. Thread-safety: any thread. */
enum spc_status spc__onnx_load(const void *data, size_t size,
                               const struct spc__onnx_options *options, struct spc__graph *graph,
                               struct spc_error *err);

#endif
