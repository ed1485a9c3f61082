/* SPDX-License-Identifier: MIT */
/* References of the kernels that go over whole rows: epilogue, addition, conversion. */
#include "base/half.h"
#include "cpu/activate.h"
#include "cpu/kernels_c.h"

void spc__finish_f32_c(const struct spc__finish *finish, const float *acc, float *out)
{
    const float *residual = finish->residual;

    for (int64_t row = 0; row < finish->rows; row++)
        for (int64_t c = 0; c < finish->channels; c++) {
            int64_t i = row * finish->channels + c;
            float x = acc[row * finish->stride + c];

            if (residual)
                x += residual[i];
            out[i] = spc__activate(x, finish->act, finish->slope);
        }
}

void spc__finish_f16_c(const struct spc__finish *finish, const float *acc, uint16_t *out)
{
    const uint16_t *residual = finish->residual;

    for (int64_t row = 0; row < finish->rows; row++)
        for (int64_t c = 0; c < finish->channels; c++) {
            int64_t i = row * finish->channels + c;
            float x = acc[row * finish->stride + c];

            if (residual)
                x += spc__half_to_float(residual[i]);
            out[i] = spc__half_from_float(spc__activate(x, finish->act, finish->slope));
        }
}

void spc__add_f32_c(const struct spc__finish *finish, const float *x, float *out)
{
    const float *residual = finish->residual;

    for (int64_t i = 0; i < finish->rows * finish->channels; i++)
        out[i] = spc__activate(residual ? x[i] + residual[i] : x[i], finish->act, finish->slope);
}

void spc__add_f16_c(const struct spc__finish *finish, const uint16_t *x, uint16_t *out)
{
    const uint16_t *residual = finish->residual;

    for (int64_t i = 0; i < finish->rows * finish->channels; i++) {
        float sum = spc__half_to_float(x[i]);

        if (residual)
            sum += spc__half_to_float(residual[i]);
        out[i] = spc__half_from_float(spc__activate(sum, finish->act, finish->slope));
    }
}

void spc__widen_c(const uint16_t *in, float *out, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = spc__half_to_float(in[i]);
}

void spc__narrow_c(const float *in, uint16_t *out, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = spc__half_from_float(in[i]);
}
