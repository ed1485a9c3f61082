/* SPDX-License-Identifier: MIT */
/* The kernels for aarch64; their contracts are in kernels.h. */
#ifndef SPC_CPU_ARM_KERNELS_ARM_H
#define SPC_CPU_ARM_KERNELS_ARM_H

#include "cpu/kernels.h"

void spc__conv_neon(const float *in, const int32_t *in_rows, const uint16_t *out_rows,
                    int64_t pairs, const float *weights, int cin, int panels, float *acc);
void spc__finish_f32_neon(const struct spc__finish *finish, const float *acc, float *out);
void spc__finish_f16_neon(const struct spc__finish *finish, const float *acc, uint16_t *out);
void spc__add_f32_neon(const struct spc__finish *finish, const float *x, float *out);
void spc__add_f16_neon(const struct spc__finish *finish, const uint16_t *x, uint16_t *out);
void spc__widen_neon(const uint16_t *in, float *out, int64_t count);
void spc__narrow_neon(const float *in, uint16_t *out, int64_t count);

#endif
