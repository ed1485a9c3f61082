/* SPDX-License-Identifier: MIT */
/* Who makes and who reads each value of a graph. */
#ifndef SPC_GRAPH_USES_H
#define SPC_GRAPH_USES_H

#include "graph/graph.h"

struct spc__use {
    int maker;   /* node; -1: the graph input, or no one */
    int readers; /* places that read it: node inputs, residuals, graph outputs */
    int last;    /* the last node that reads it; -1: none */
    bool output; /* is a graph output */
};

/* An array of one entry per value, released with free(); NULL where memory is short. */
struct spc__use *spc__graph_uses(const struct spc__graph *graph);

#endif
