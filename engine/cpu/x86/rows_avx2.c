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

/* max gives its second operand, x, where x is NaN or -0. A comparison and a mask would say the
 * same, but clang 14 turns them into a maximum that loses the sign of -0. */
static inline vector activate(vector x, const struct spc__finish *finish)
{
    vector zero = _mm256_setzero_ps();

    if (finish->act == SPC__ACT_RELU)
        return _mm256_max_ps(zero, x);
    if (finish->act == SPC__ACT_LEAKY_RELU)
        return _mm256_blendv_ps(x, _mm256_mul_ps(_mm256_set1_ps(finish->slope), x),
                                _mm256_cmp_ps(x, zero, _CMP_LT_OQ));
    return x;
}

#include "cpu/rows_vector.h"
