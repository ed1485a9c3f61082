/* SPDX-License-Identifier: MIT */
/* The reference kernels; their contracts are in kernels.h. Versions for an instruction set may
 * call them for what they have no faster way to do. */
#ifndef SPC_CPU_KERNELS_C_H
#define SPC_CPU_KERNELS_C_H

#include "cpu/kernels.h"

void spc__conv_c(const float *in, const int32_t *in_rows, const uint16_t *out_rows, int64_t pairs,
                 const float *weights, int cin, int panels, float *acc);
void spc__finish_f32_c(const struct spc__finish *finish, const float *acc, float *out);
void spc__finish_f16_c(const struct spc__finish *finish, const float *acc, uint16_t *out);
void spc__add_f32_c(const struct spc__finish *finish, const float *x, float *out);
void spc__add_f16_c(const struct spc__finish *finish, const uint16_t *x, uint16_t *out);
void spc__widen_c(const uint16_t *in, float *out, int64_t count);
void spc__narrow_c(const float *in, uint16_t *out, int64_t count);
void spc__scatter_c(const struct spc__scatter *scatter, const void *in, int64_t in_stride,
                    void *out);

#endif
