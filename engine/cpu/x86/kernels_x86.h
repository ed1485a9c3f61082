/* SPDX-License-Identifier: MIT */
/* The kernels for x86-64; their contracts are in kernels.h. */
#ifndef SPC_CPU_X86_KERNELS_X86_H
#define SPC_CPU_X86_KERNELS_X86_H

#include "cpu/kernels.h"

void spc__conv_avx2(const float *in, const int32_t *in_rows, const uint16_t *out_rows,
                    int64_t pairs, const float *weights, int cin, int panels, float *acc);
void spc__conv_avx512(const float *in, const int32_t *in_rows, const uint16_t *out_rows,
                      int64_t pairs, const float *weights, int cin, int panels, float *acc);

void spc__finish_f32_avx2(const struct spc__finish *finish, const float *acc, float *out);
void spc__finish_f16_avx2(const struct spc__finish *finish, const float *acc, uint16_t *out);
void spc__add_f32_avx2(const struct spc__finish *finish, const float *x, float *out);
void spc__add_f16_avx2(const struct spc__finish *finish, const uint16_t *x, uint16_t *out);
void spc__widen_avx2(const uint16_t *in, float *out, int64_t count);
void spc__narrow_avx2(const float *in, uint16_t *out, int64_t count);

#endif
