/* SPDX-License-Identifier: MIT */
/* What the convolution kernels of the instruction sets have in common. */
#ifndef SPC_CPU_TILE_H
#define SPC_CPU_TILE_H

#include "cpu/kernels.h"

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 12")
#endif

/* A sweep of tiles over the pairs, against one or more panels of weights. */
struct tile {
    const float *in;
    const int32_t *in_rows;
    const uint16_t *out_rows;
    const float *weights;
    float *acc;
    int64_t stride, pairs;
    int cin;
};

/* Input rows of the tile after the next, which a gather finds in L2 at best. */
static inline __attribute__((always_inline)) void prefetch(const struct tile *t, int64_t first,
                                                           const int rows)
{
    if (t->cin < 16 || first + rows > t->pairs)
        return;
    UNROLL for (int r = 0; r < rows; r++)
    {
        const float *in = t->in + (int64_t)t->in_rows[first + r] * t->cin;

        for (int c = 0; c < t->cin; c += 16)
            __builtin_prefetch(in + c);
    }
}

#endif
