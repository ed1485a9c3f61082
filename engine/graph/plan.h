/* SPDX-License-Identifier: MIT */
/*
 * A plan: a graph after its passes, element types, and where every value lives.
 *
 * Values that are alive at the same time get disjoint ranges of one arena; outputs have memory of
 * their own. A backend allocates the arena in the memory of its device and follows the plan.
 */
#ifndef SPC_GRAPH_PLAN_H
#define SPC_GRAPH_PLAN_H

#include "graph/graph.h"

/* Checked by the caller, but for the precision. */
struct spc__plan_options {
    enum spc_precision precision; /* never AUTO */
    enum spc_dtype output_type;   /* F32 or F16; NONE: the precision's own */
    int64_t max_voxels;           /* 1 to SPC__MAX_SITES */
    int64_t site_bound;           /* 0: the nodes' own; to SPC__MAX_SITES */
    bool expose_all;
    size_t alignment; /* of every value's offset; a power of two */
};

struct spc__storage {
    enum spc_dtype dtype;
    size_t offset;  /* into the arena; unused where output >= 0 */
    size_t size;    /* bytes at the bound */
    int output;     /* index in `outputs`, -1 if in the arena; a value that is an output twice has
                       its first index here */
    int alias;      /* value whose memory this one shares (Reshape); -1: its own */
    bool used;      /* false: fused away */
};

struct spc__plan {
    struct spc__graph graph; /* borrows the model's blocks */
    enum spc_precision precision;
    int64_t max_voxels;
    struct spc__storage *values; /* [graph.num_values] */
    size_t arena_size;
    enum spc_dtype *output_types; /* [graph.num_outputs] type the caller gets; differs from the
                                     value's own where output_type was asked for */
};

/* Copies `graph`, runs the passes, and lays out memory. Free with spc__plan_clear(). */
enum spc_status spc__plan_make(struct spc__plan *plan, const struct spc__graph *graph,
                               const struct spc__plan_options *options, struct spc_error *err);
void spc__plan_clear(struct spc__plan *plan);

/* The value whose memory `value` uses. */
int spc__plan_root(const struct spc__plan *plan, int value);

#endif
