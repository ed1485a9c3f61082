/* SPDX-License-Identifier: MIT */
/* The scatter of sparse rows into a dense tensor. Memory, not arithmetic, bounds it: the plain C
 * version is the only one. */
#include "cpu/kernels_c.h"

#define SCATTER(type)                                                                              \
    static void scatter_##type(const struct spc__scatter *scatter, const type *in,                 \
                               int64_t in_stride, type *out)                                       \
    {                                                                                              \
        for (int64_t row = 0; row < scatter->rows; row++) {                                        \
            const type *values = in + row * in_stride;                                             \
            type *cell = out + scatter->cells[row];                                                \
                                                                                                   \
            for (int64_t c = 0; c < scatter->channels; c++)                                        \
                cell[c * scatter->channel_stride] = values[c];                                     \
        }                                                                                          \
    }

SCATTER(uint8_t)
SCATTER(uint16_t)
SCATTER(uint32_t)

void spc__scatter_c(const struct spc__scatter *scatter, const void *in, int64_t in_stride,
                    void *out)
{
    switch (scatter->size) {
    case 1:
        scatter_uint8_t(scatter, in, in_stride, out);
        break;
    case 2:
        scatter_uint16_t(scatter, in, in_stride, out);
        break;
    default:
        scatter_uint32_t(scatter, in, in_stride, out);
        break;
    }
}
