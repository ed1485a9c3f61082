/* SPDX-License-Identifier: MIT */
/*
 * Convolution kernel for AVX-512.
 *
 * Tiles of 6 rows x 64 channels: 24 of the 32 registers hold sums, and an FMA costs 10/24 of a
 * load. Up to 128 input channels a sweep's 64 columns of weights stay in L1; beyond, and for fewer
 * output channels, tiles are 12 x 32 (14/24 of a load) or 12 x 16 (13/12: bound by loads).
 * One core of an EPYC 9005 (sgemm 2048^3: 237 GFLOP/s with OpenBLAS' SkylakeX kernels), all in
 * L1: 64 > 64 channels 255 GFLOP/s, 32 > 32 223, 16 > 16 157. On a CenterPoint frame, where rows
 * are gathered from L2: 128 > 128 239, 64 > 64 237, 32 > 32 194 (168 without the prefetch),
 * 16 > 16 118 (78 without); 12 x 32 everywhere is 1 to 3 % slower from 64 channels on.
 */
#include "cpu/tile.h"
#include "cpu/x86/kernels_x86.h"

#include <immintrin.h>

/* rows x (16 * panels) sums, in registers over all of cin. */
static inline __attribute__((always_inline)) void tile(const struct tile *t, int64_t first,
                                                       const int rows, const int panels)
{
    const float *in[24], *w[4];
    __m512 sum[24][4];
    int64_t cin = t->cin;

    UNROLL for (int r = 0; r < rows; r++)
    {
        const float *acc = t->acc + t->out_rows[first + r] * t->stride;

        in[r] = t->in + t->in_rows[first + r] * cin;
        UNROLL for (int p = 0; p < panels; p++) sum[r][p] = _mm512_load_ps(acc + p * SPC__PANEL);
    }
    prefetch(t, first + 2 * rows, rows);
    UNROLL for (int p = 0; p < panels; p++) w[p] = t->weights + p * cin * SPC__PANEL;
    for (int64_t c = 0; c < cin; c++) {
        __m512 b[4];

        UNROLL for (int p = 0; p < panels; p++) b[p] = _mm512_load_ps(w[p] + c * SPC__PANEL);
        UNROLL for (int r = 0; r < rows; r++)
        {
            __m512 a = _mm512_set1_ps(in[r][c]);

            UNROLL for (int p = 0; p < panels; p++)
                sum[r][p] = _mm512_fmadd_ps(a, b[p], sum[r][p]);
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
    {
        float *acc = t->acc + t->out_rows[first + r] * t->stride;

        UNROLL for (int p = 0; p < panels; p++) _mm512_store_ps(acc + p * SPC__PANEL, sum[r][p]);
    }
}

#define CASE(r, p)                                                                                 \
    case r:                                                                                        \
        tile(t, first, r, p);                                                                      \
        break
#define CASES_6(p)                                                                                 \
    CASE(1, p);                                                                                    \
    CASE(2, p);                                                                                    \
    CASE(3, p);                                                                                    \
    CASE(4, p);                                                                                    \
    CASE(5, p);                                                                                    \
    CASE(6, p)
#define CASES_12(p)                                                                                \
    CASES_6(p);                                                                                    \
    CASE(7, p);                                                                                    \
    CASE(8, p);                                                                                    \
    CASE(9, p);                                                                                    \
    CASE(10, p);                                                                                   \
    CASE(11, p);                                                                                   \
    CASE(12, p)

/* All pairs against `panels` panels, in tiles of at most `most` rows that are as even as can be. */
#define SWEEP(name, panels, most, cases)                                                           \
    static void name(const struct tile *t)                                                         \
    {                                                                                              \
        int64_t first = 0;                                                                         \
                                                                                                   \
        for (int64_t left = (t->pairs + most - 1) / most; left; left--) {                          \
            int64_t rows = (t->pairs - first + left - 1) / left;                                   \
                                                                                                   \
            switch (rows) {                                                                        \
                cases(panels);                                                                     \
            }                                                                                      \
            first += rows;                                                                         \
        }                                                                                          \
    }

SWEEP(sweep_4, 4, 6, CASES_6)
SWEEP(sweep_2, 2, 12, CASES_12)
SWEEP(sweep_1, 1, 12, CASES_12)

/* Most input channels for which four panels stay in L1. */
#define WIDE_CIN 128

void spc__conv_avx512(const float *in, const int32_t *in_rows, const uint16_t *out_rows,
                      int64_t pairs, const float *weights, int cin, int panels, float *acc)
{
    struct tile t = {in, in_rows, out_rows, weights, acc, panels * SPC__PANEL, pairs, cin};

    for (int panel = 0; panel < panels;) {
        int step = panels - panel >= 4 && cin <= WIDE_CIN ? 4 : panels - panel >= 2 ? 2 : 1;

        t.weights = weights + (int64_t)panel * cin * SPC__PANEL;
        t.acc = acc + panel * SPC__PANEL;
        if (step == 4)
            sweep_4(&t);
        else if (step == 2)
            sweep_2(&t);
        else
            sweep_1(&t);
        panel += step;
    }
}
