/* SPDX-License-Identifier: MIT */
/*
 * Rewrites of a graph copy. Each keeps the results of every graph output bit for bit in fp32
 * (additions keep their order: convolution + bias, + residual, activation).
 */
#ifndef SPC_GRAPH_PASSES_H
#define SPC_GRAPH_PASSES_H

#include "graph/graph.h"

/* Conv followed by Add followed by Relu becomes one conv where no one else reads what is between:
 * activation into its producer, Add into the later of its two convolutions as its residual. */
enum spc_status spc__pass_fuse(struct spc__graph *graph, struct spc_error *err);

/* ScatterDense + Transpose + Reshape chains become one ScatterDense with other strides. Chains
 * that strides cannot express stay as they are. */
enum spc_status spc__pass_fold_dense(struct spc__graph *graph, struct spc_error *err);

/* All values become outputs, in node order behind the input, so that nothing can be fused. */
enum spc_status spc__pass_expose_all(struct spc__graph *graph, struct spc_error *err);

#endif
