/* SPDX-License-Identifier: MIT */
/*
 * The pairs of a rulebook: which input row meets which kernel offset for which output row.
 *
 * Output rows are cut into windows. Within a window the pairs are grouped by kernel offset, within
 * an offset ordered by output row; an output row has at most one pair per offset. A convolution
 * goes through a window offset by offset, so every output row sums its offsets in ascending order,
 * whatever the window size or the number of threads.
 */
#ifndef SPC_CPU_PAIRS_H
#define SPC_CPU_PAIRS_H

#include "cpu/sites.h"

#define SPC__MAX_WINDOW 1024

struct spc__pairs {
    int offsets;         /* kernel offsets K */
    int64_t max_rows;    /* most output rows */
    int64_t max_windows;
    const char *isa;     /* highest instruction set to use; NULL, as init sets it: any */
    int window;          /* output rows of a window, of this frame */
    int64_t num_windows; /* of this frame */
    int64_t num_pairs;   /* of this frame */
    /* Pairs of (window w, offset k): [start[w * (K + 1) + k], start[w * (K + 1) + k + 1]).
     * Windows leave gaps between one another. int64: they may reach beyond 2^31. */
    int64_t *start;      /* [max_windows * (K + 1)] */
    int32_t *in;         /* input row */
    uint16_t *out;       /* output row - w * window */
};

/* Geometry of a rulebook as spc__rulebook has it, by raw values. */
struct spc__geometry {
    bool subm;           /* stride and padding are not used */
    bool inverse;        /* pairs of the strided geometry with in and out swapped */
    int32_t kernel[3], stride[3], padding[3], dilation[3]; /* z, y, x */
};

/* `min_window`: the smallest window that build will be called with. */
enum spc_status spc__pairs_init(struct spc__pairs *pairs, int offsets, int64_t max_rows,
                                int min_window, struct spc_error *err);
void spc__pairs_clear(struct spc__pairs *pairs);
size_t spc__pairs_bytes(const struct spc__pairs *pairs);

/* All pairs between `in` and `out` (the same for subm). The reference: one lookup per output row
 * and offset. */
void spc__pairs_build_c(struct spc__pairs *pairs, const struct spc__geometry *geometry,
                        const struct spc__sites *in, const struct spc__sites *out, int window,
                        struct spc__pool *pool);
/* The same pairs, fast: by whole columns of 64-bit words where geometry allows it, else by rows.
 * Takes up to 256 KB of stack. */
void spc__pairs_build(struct spc__pairs *pairs, const struct spc__geometry *geometry,
                      const struct spc__sites *in, const struct spc__sites *out, int window,
                      struct spc__pool *pool);

#endif
