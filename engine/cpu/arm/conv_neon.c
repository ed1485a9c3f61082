/* SPDX-License-Identifier: MIT */
/*
 * Convolution kernel for NEON.
 *
 * Tiles of 6 rows x 16 channels: 24 of the 32 registers hold sums, 4 the weights of an input
 * channel; 10 loads feed 24 FMAs.
 */
#include "cpu/arm/kernels_arm.h"
#include "cpu/tile.h"

#include <arm_neon.h>

/* rows x 16 sums, in registers over all of cin. */
static inline __attribute__((always_inline)) void tile(const struct tile *t, int64_t first,
                                                       const int rows)
{
    const float *in[6], *w = t->weights;
    float32x4_t sum[6][4];
    int64_t cin = t->cin;

    UNROLL for (int r = 0; r < rows; r++)
    {
        const float *acc = t->acc + t->out_rows[first + r] * t->stride;

        in[r] = t->in + t->in_rows[first + r] * cin;
        UNROLL for (int q = 0; q < 4; q++) sum[r][q] = vld1q_f32(acc + 4 * q);
    }
    prefetch(t, first + 2 * rows, rows);
    for (int64_t c = 0; c < cin; c++, w += SPC__PANEL) {
        float32x4_t b[4];

        UNROLL for (int q = 0; q < 4; q++) b[q] = vld1q_f32(w + 4 * q);
        UNROLL for (int r = 0; r < rows; r++)
        {
            float a = in[r][c];

            UNROLL for (int q = 0; q < 4; q++) sum[r][q] = vfmaq_n_f32(sum[r][q], b[q], a);
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
    {
        float *acc = t->acc + t->out_rows[first + r] * t->stride;

        UNROLL for (int q = 0; q < 4; q++) vst1q_f32(acc + 4 * q, sum[r][q]);
    }
}

#define KERNEL(name) spc__##name##_neon
#include "cpu/conv_rows6.h"
