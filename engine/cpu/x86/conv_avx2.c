/* SPDX-License-Identifier: MIT */
/*
 * Convolution kernel for AVX2 with FMA.
 *
 * Tiles of 6 rows x 16 channels: 12 of the 16 registers hold sums, 8 loads feed 12 FMAs.
 * One core of an EPYC 9005 (sgemm 2048^3: 122 GFLOP/s with OpenBLAS' Haswell kernels), all in L1:
 * 127 to 132 GFLOP/s from 16 channels on. On a CenterPoint frame, where rows are gathered from L2:
 * 128 > 128 channels 122 GFLOP/s, 64 > 64 122, 32 > 32 120 (110 without the prefetch), 16 > 16 95
 * (72 without).
 */
#include "cpu/tile.h"
#include "cpu/x86/kernels_x86.h"

#include <immintrin.h>

/* rows x 16 sums, in registers over all of cin. */
static inline __attribute__((always_inline)) void tile(const struct tile *t, int64_t first,
                                                       const int rows)
{
    const float *in[6], *w = t->weights;
    __m256 sum[6][2];
    int64_t cin = t->cin;

    UNROLL for (int r = 0; r < rows; r++)
    {
        const float *acc = t->acc + t->out_rows[first + r] * t->stride;

        in[r] = t->in + t->in_rows[first + r] * cin;
        sum[r][0] = _mm256_load_ps(acc);
        sum[r][1] = _mm256_load_ps(acc + 8);
    }
    prefetch(t, first + 2 * rows, rows);
    for (int64_t c = 0; c < cin; c++, w += SPC__PANEL) {
        __m256 b0 = _mm256_load_ps(w), b1 = _mm256_load_ps(w + 8);

        UNROLL for (int r = 0; r < rows; r++)
        {
            __m256 a = _mm256_broadcast_ss(in[r] + c);

            sum[r][0] = _mm256_fmadd_ps(a, b0, sum[r][0]);
            sum[r][1] = _mm256_fmadd_ps(a, b1, sum[r][1]);
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
    {
        float *acc = t->acc + t->out_rows[first + r] * t->stride;

        _mm256_store_ps(acc, sum[r][0]);
        _mm256_store_ps(acc + 8, sum[r][1]);
    }
}

#define KERNEL(name) spc__##name##_avx2
#include "cpu/conv_rows6.h"
