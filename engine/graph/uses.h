/* SPDX-License-Identifier: MIT */
/* Who makes and who reads each value of a graph, and what of its index that takes. */
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

/* Whether a node reads or writes values of a level, or of one made from it; level 0 is always used.
 * Its name in a table of steps, and a rulebook's: of the input, or the first convolution that uses
 * the rulebook, "" where none does. */
bool spc__level_is_used(const struct spc__graph *graph, int level);
const char *spc__level_user(const struct spc__graph *graph, int level);
const char *spc__rulebook_user(const struct spc__graph *graph, int rulebook);

#endif
