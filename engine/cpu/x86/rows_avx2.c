/* SPDX-License-Identifier: MIT */
/* Row kernels for AVX2 with F16C; AVX-512 machines use them too, since memory bounds them. */
#include "base/half.h"
#include "cpu/activate.h"
#include "cpu/kernels_c.h"
#include "cpu/x86/kernels_x86.h"

#include <immintrin.h>

static inline __m256 load_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

static inline void store_f16(uint16_t *p, __m256 x)
{
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

/* Everything but the sigmoid. The comparison is false for NaN, which stays. */
static inline __m256 activate(__m256 x, const struct spc__finish *finish)
{
    __m256 negative = _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_LT_OQ);

    if (finish->act == SPC__ACT_RELU)
        return _mm256_andnot_ps(negative, x);
    if (finish->act == SPC__ACT_LEAKY_RELU)
        return _mm256_blendv_ps(x, _mm256_mul_ps(_mm256_set1_ps(finish->slope), x), negative);
    return x;
}

static void finish_row_f32(const struct spc__finish *finish, const float *x, const float *residual,
                           float *out)
{
    int64_t c = 0;

    for (; c + 8 <= finish->channels; c += 8) {
        __m256 v = _mm256_loadu_ps(x + c);

        if (residual)
            v = _mm256_add_ps(v, _mm256_loadu_ps(residual + c));
        _mm256_storeu_ps(out + c, activate(v, finish));
    }
    for (; c < finish->channels; c++)
        out[c] = spc__activate(residual ? x[c] + residual[c] : x[c], finish->act, finish->slope);
}

static void finish_row_f16(const struct spc__finish *finish, const float *x,
                           const uint16_t *residual, uint16_t *out)
{
    int64_t c = 0;

    for (; c + 8 <= finish->channels; c += 8) {
        __m256 v = _mm256_loadu_ps(x + c);

        if (residual)
            v = _mm256_add_ps(v, load_f16(residual + c));
        store_f16(out + c, activate(v, finish));
    }
    for (; c < finish->channels; c++) {
        float v = residual ? x[c] + spc__half_to_float(residual[c]) : x[c];

        out[c] = spc__half_from_float(spc__activate(v, finish->act, finish->slope));
    }
}

void spc__finish_f32_avx2(const struct spc__finish *finish, const float *acc, float *out)
{
    const float *residual = finish->residual;

    if (finish->act == SPC__ACT_SIGMOID) {
        spc__finish_f32_c(finish, acc, out);
        return;
    }
    for (int64_t row = 0; row < finish->rows; row++)
        finish_row_f32(finish, acc + row * finish->stride,
                       residual ? residual + row * finish->channels : NULL,
                       out + row * finish->channels);
}

void spc__finish_f16_avx2(const struct spc__finish *finish, const float *acc, uint16_t *out)
{
    const uint16_t *residual = finish->residual;

    if (finish->act == SPC__ACT_SIGMOID) {
        spc__finish_f16_c(finish, acc, out);
        return;
    }
    for (int64_t row = 0; row < finish->rows; row++)
        finish_row_f16(finish, acc + row * finish->stride,
                       residual ? residual + row * finish->channels : NULL,
                       out + row * finish->channels);
}

void spc__add_f32_avx2(const struct spc__finish *finish, const float *x, float *out)
{
    struct spc__finish line = *finish;

    line.stride = line.channels = finish->rows * finish->channels;
    line.rows = 1;
    spc__finish_f32_avx2(&line, x, out);
}

void spc__add_f16_avx2(const struct spc__finish *finish, const uint16_t *x, uint16_t *out)
{
    const uint16_t *residual = finish->residual;
    int64_t count = finish->rows * finish->channels, i = 0;
    struct spc__finish rest = {.rows = 1, .act = finish->act, .slope = finish->slope};

    for (; finish->act != SPC__ACT_SIGMOID && i + 8 <= count; i += 8) {
        __m256 v = load_f16(x + i);

        if (residual)
            v = _mm256_add_ps(v, load_f16(residual + i));
        store_f16(out + i, activate(v, finish));
    }
    rest.channels = count - i;
    rest.residual = residual ? residual + i : NULL;
    spc__add_f16_c(&rest, x + i, out + i);
}

void spc__widen_avx2(const uint16_t *in, float *out, int64_t count)
{
    int64_t i = 0;

    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(out + i, load_f16(in + i));
    spc__widen_c(in + i, out + i, count - i);
}

void spc__narrow_avx2(const float *in, uint16_t *out, int64_t count)
{
    int64_t i = 0;

    for (; i + 8 <= count; i += 8)
        store_f16(out + i, _mm256_loadu_ps(in + i));
    spc__narrow_c(in + i, out + i, count - i);
}
