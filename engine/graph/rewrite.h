/* SPDX-License-Identifier: MIT */
/* What the passes share; private to graph/. */
#ifndef SPC_GRAPH_REWRITE_H
#define SPC_GRAPH_REWRITE_H

#include "graph/build.h"
#include "graph/passes.h"
#include "graph/uses.h"

/* The node that makes `value`, where that is an `op` and nobody but one node reads the value, so
 * that the reader may be merged into the maker; else -1. */
static inline int spc__only_maker(const struct spc__graph *graph, const struct spc__use *uses,
                                  int value, enum spc__op op)
{
    int maker = uses[value].maker;

    return maker >= 0 && graph->nodes[maker].op == op && uses[value].readers == 1 ? maker : -1;
}

/* Lets node `into` make what `node` makes, under both their names, and marks `node` for
 * spc__graph_sweep(). */
enum spc_status spc__graph_merge(struct spc__graph *graph, struct spc__use *uses, int into,
                                 int node, struct spc_error *err);

#endif
