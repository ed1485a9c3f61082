/* SPDX-License-Identifier: MIT */
/*
 * Where the channel and grid axes of a scattered value run in its memory.
 *
 * A Reshape changes dims but not memory; a Transpose permutes whole dims. As long as every dim
 * that moves is a product of whole axes, memory stays some order of c, z, y, x. Axes of one cell
 * are left out: they run nowhere.
 */
#ifndef SPC_GRAPH_AXES_H
#define SPC_GRAPH_AXES_H

#include "graph/graph.h"

/* Cells of axis c, z, y, x (0 to 3) of the sites that `value` was scattered from. */
int64_t spc__axis_size(const struct spc__graph *graph, const struct spc__value *value, int axis);

/* Sets the axes of a value whose memory runs in this order, outermost first. */
void spc__axes_set(const struct spc__graph *graph, struct spc__value *value, const int order[4]);

/* Cuts the axes into one run per dim: dim d holds axes first[d] to first[d + 1] - 1. False where
 * a dim is no product of whole axes. */
bool spc__axes_split(const struct spc__graph *graph, const struct spc__value *value,
                     int first[SPC_MAX_RANK + 1]);

/* Axes of `out`, made from `in` by Transpose; unknown where whole axes do not move. */
void spc__axes_transpose(const struct spc__graph *graph, const struct spc__value *in,
                         const int *perm, struct spc__value *out);

/* Element strides of c, z, y, x; 0 for an axis of one cell. The axes must be known. */
void spc__axes_strides(const struct spc__graph *graph, const struct spc__value *value,
                       int64_t strides[4]);

#endif
