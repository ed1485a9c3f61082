/* SPDX-License-Identifier: MIT */
/* float32 <-> binary16 for whole arrays; the processor's own conversion gives the bits of
 * base/half.h and is used where it is there. */
#include "base/half.h"

#include <spc/spc.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

/* Below this, asking the processor (slow in a virtual machine) costs more than it saves. */
#define ASK_FROM 1024

static bool has_f16c(size_t count)
{
    unsigned a, b, c, d;

    return count >= ASK_FROM && __builtin_cpu_supports("avx") && __get_cpuid(1, &a, &b, &c, &d) &&
           (c & bit_F16C);
}

/* Both return how many elements they did: a multiple of 8. */
__attribute__((target("avx,f16c"))) static size_t to_half_f16c(const float *src, uint16_t *dst,
                                                               size_t count)
{
    size_t i;

    for (i = 0; i + 8 <= count; i += 8) {
        __m256 values = _mm256_loadu_ps(src + i);

        _mm_storeu_si128((__m128i *)(dst + i),
                         _mm256_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    }
    return i;
}

__attribute__((target("avx,f16c"))) static size_t to_float_f16c(const uint16_t *src, float *dst,
                                                                size_t count)
{
    size_t i;

    for (i = 0; i + 8 <= count; i += 8)
        _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(src + i))));
    return i;
}
#endif

void spc_convert_f32_to_f16(const float *src, uint16_t *dst, size_t count)
{
    size_t done = 0;

#if defined(__x86_64__)
    if (has_f16c(count))
        done = to_half_f16c(src, dst, count);
#endif
    for (size_t i = done; i < count; i++)
        dst[i] = spc__half_from_float(src[i]);
}

void spc_convert_f16_to_f32(const uint16_t *src, float *dst, size_t count)
{
    size_t done = 0;

#if defined(__x86_64__)
    if (has_f16c(count))
        done = to_float_f16c(src, dst, count);
#endif
    for (size_t i = done; i < count; i++)
        dst[i] = spc__half_to_float(src[i]);
}
