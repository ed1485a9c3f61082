/* SPDX-License-Identifier: MIT */
/* Row kernels for NEON. */
#include "cpu/arm/kernels_arm.h"

#include <arm_neon.h>

#define KERNEL(name) spc__##name##_neon
#define LANES 4

typedef float32x4_t vector;

static inline vector load_f32(const float *p)
{
    return vld1q_f32(p);
}

static inline void store_f32(float *p, vector x)
{
    vst1q_f32(p, x);
}

static inline vector load_f16(const uint16_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

static inline void store_f16(uint16_t *p, vector x)
{
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(x)));
}

static inline vector add(vector x, vector y)
{
    return vaddq_f32(x, y);
}

/* The comparison is false for NaN, which stays. */
static inline vector activate(vector x, const struct spc__finish *finish)
{
    uint32x4_t negative = vcltzq_f32(x);

    if (finish->act == SPC__ACT_RELU)
        return vbslq_f32(negative, vdupq_n_f32(0.0f), x);
    if (finish->act == SPC__ACT_LEAKY_RELU)
        return vbslq_f32(negative, vmulq_n_f32(x, finish->slope), x);
    return x;
}

#include "cpu/rows_vector.h"
