/* SPDX-License-Identifier: MIT */
/* Convolution kernel for AVX-512. */
#include "cpu/x86/kernels_x86.h"

#include <immintrin.h>

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 24")
#endif

struct tile {
    const float *in;
    const int32_t *in_rows;
    const uint16_t *out_rows;
    const float *weights;
    float *acc;
    int64_t stride;
    int cin;
};

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
    static void name(const struct tile *t, int64_t pairs)                                          \
    {                                                                                              \
        int64_t tiles = (pairs + most - 1) / most, first = 0;                                      \
                                                                                                   \
        for (int64_t left = tiles; left; left--) {                                                 \
            int64_t rows = (pairs - first + left - 1) / left;                                      \
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
    struct tile t = {in, in_rows, out_rows, weights, acc, panels * SPC__PANEL, cin};

    for (int panel = 0; panel < panels;) {
        int step = panels - panel >= 4 && cin <= WIDE_CIN ? 4 : panels - panel >= 2 ? 2 : 1;

        t.weights = weights + (int64_t)panel * cin * SPC__PANEL;
        t.acc = acc + panel * SPC__PANEL;
        if (step == 4)
            sweep_4(&t, pairs);
        else if (step == 2)
            sweep_2(&t, pairs);
        else
            sweep_1(&t, pairs);
        panel += step;
    }
}
