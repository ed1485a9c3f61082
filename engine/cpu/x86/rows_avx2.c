/* SPDX-License-Identifier: MIT */
/* Row kernels for AVX2 with F16C; AVX-512 machines use them too, since memory bounds them. */
#include "cpu/kernels.h"
#include "cpu/x86/kernels_x86.h"

#include <immintrin.h>

#define KERNEL(name) spc__##name##_avx2
#define LANES 8

typedef __m256 vector;

static inline vector load_f32(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline void store_f32(float *p, vector x)
{
    _mm256_storeu_ps(p, x);
}

static inline vector load_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

static inline void store_f16(uint16_t *p, vector x)
{
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

static inline vector add(vector x, vector y)
{
    return _mm256_add_ps(x, y);
}

/* The comparison is false for NaN, which stays. */
static inline vector activate(vector x, const struct spc__finish *finish)
{
    vector negative = _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_LT_OQ);

    if (finish->act == SPC__ACT_RELU)
        return _mm256_andnot_ps(negative, x);
    if (finish->act == SPC__ACT_LEAKY_RELU)
        return _mm256_blendv_ps(x, _mm256_mul_ps(_mm256_set1_ps(finish->slope), x), negative);
    return x;
}

#include "cpu/rows_vector.h"
