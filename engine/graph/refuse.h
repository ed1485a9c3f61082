/* SPDX-License-Identifier: MIT */
/* What is said of a frame that cannot be computed: the same words from every backend. */
#ifndef SPC_GRAPH_REFUSE_H
#define SPC_GRAPH_REFUSE_H

#include "graph/graph.h"

/* More input rows than the session takes: SPC_ERR_CAPACITY. */
enum spc_status spc__refuse_count(int64_t count, int64_t bound, struct spc_error *err);

/* Input row `i`, the four numbers at `row`, has a wrong batch or lies outside `grid` (z, y, x):
 * SPC_ERR_INPUT. */
enum spc_status spc__refuse_row(const int32_t *row, int64_t i, enum spc_index_order order,
                                const int32_t grid[3], struct spc_error *err);

/* Input rows `first` and `i` are both the voxel at `row`: SPC_ERR_INPUT. */
enum spc_status spc__refuse_duplicate(const int32_t *row, int64_t first, int64_t i,
                                      enum spc_index_order order, struct spc_error *err);

/* More output sites of `node` than its bound: SPC_ERR_CAPACITY. */
enum spc_status spc__refuse_sites(const char *node, int64_t count, int64_t bound,
                                  struct spc_error *err);

/* The name of the node that makes a level; where only its inverse is left, it has no maker. */
const char *spc__level_name(const struct spc__graph *graph, int level);

#endif
