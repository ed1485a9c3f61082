/* SPDX-License-Identifier: MIT */
/* Convolution kernel for AVX2. */
#include "cpu/x86/kernels_x86.h"

#include <immintrin.h>

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 6")
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

/* All pairs against one panel, in tiles of at most 6 rows that are as even as can be. */
static void sweep(const struct tile *t, int64_t pairs)
{
    int64_t first = 0;

    for (int64_t left = (pairs + 5) / 6; left; left--) {
        int64_t rows = (pairs - first + left - 1) / left;

        switch (rows) {
        case 1:
            tile(t, first, 1);
            break;
        case 2:
            tile(t, first, 2);
            break;
        case 3:
            tile(t, first, 3);
            break;
        case 4:
            tile(t, first, 4);
            break;
        case 5:
            tile(t, first, 5);
            break;
        default:
            tile(t, first, 6);
            break;
        }
        first += rows;
    }
}

void spc__conv_avx2(const float *in, const int32_t *in_rows, const uint16_t *out_rows,
                    int64_t pairs, const float *weights, int cin, int panels, float *acc)
{
    struct tile t = {in, in_rows, out_rows, weights, acc, panels * SPC__PANEL, cin};

    for (int panel = 0; panel < panels; panel++) {
        sweep(&t, pairs);
        t.weights += (int64_t)cin * SPC__PANEL;
        t.acc += SPC__PANEL;
    }
}
