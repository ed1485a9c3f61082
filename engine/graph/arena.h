/* SPDX-License-Identifier: MIT */
/* Laying blocks that live for a while into one arena. */
#ifndef SPC_GRAPH_ARENA_H
#define SPC_GRAPH_ARENA_H

#include <spc/spc.h>

/* A block that is needed from step `first` to step `last`, both included. */
struct spc__block {
    int first, last;
    size_t size;
    size_t offset; /* result, a multiple of the alignment */
};

/* Gives offsets such that blocks which live at the same time do not overlap: largest first, each
 * into the smallest gap that holds it. The same blocks always get the same offsets.
 * `alignment` is a power of two. */
enum spc_status spc__arena_lay_out(struct spc__block *blocks, int count, size_t alignment,
                                   size_t *size, struct spc_error *err);

#endif
