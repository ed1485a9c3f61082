/* SPDX-License-Identifier: MIT */
/* What the functions that build a graph share; private to graph/. */
#ifndef SPC_GRAPH_BUILD_H
#define SPC_GRAPH_BUILD_H

#include "graph/graph.h"

/* Names in messages are cut, so that the rest of a message always fits. */
#define SPC__NAME "'%.96s'"
#define SPC__GRID "%d,%d,%d (z,y,x)"
#define SPC__GRID_ARGS(grid) (grid)[0], (grid)[1], (grid)[2]

struct spc__new_node {
    enum spc__op op;
    const char *name, *op_type;
    const char *key; /* NULL: "" */
    int in[2];       /* -1 where unused */
    const char *out;
};

/* Room for one more element of `size` bytes behind `count` of them. */
enum spc_status spc__graph_grow(void **array, int count, size_t size, struct spc_error *err);

/* Appends a node and the value it makes, which the caller completes: graph->values[(*node)->out].
 * The value starts as a copy of in[0]'s description. Pointers hold until the next append. */
enum spc_status spc__graph_append(struct spc__graph *graph, const struct spc__new_node *what,
                                  struct spc__node **node, struct spc_error *err);

/* Fails unless `in` is a value of this kind. */
enum spc_status spc__graph_check_input(const struct spc__graph *graph, const char *node, int in,
                                       enum spc__value_kind kind, struct spc_error *err);

/* Name of the node that makes `value`, or "the graph input". */
const char *spc__graph_maker(const struct spc__graph *graph, int value);

/* Removes the nodes whose `out` is -1, and points levels at the nodes that are left. */
void spc__graph_sweep(struct spc__graph *graph);

/* Cells of a grid. */
int64_t spc__grid_cells(const int32_t grid[3]);

#endif
