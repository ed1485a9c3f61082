/* SPDX-License-Identifier: MIT */
/*
 * Row kernels in terms of short vectors. The file that includes this defines
 *
 *     KERNEL(name)                 the kernel's full name
 *     vector, LANES                a vector of floats
 *     load_f32, store_f32, load_f16, store_f16, add
 *     activate(x, finish)          every activation but the sigmoid, which stays scalar
 */
#include "base/half.h"
#include "cpu/activate.h"
#include "cpu/kernels_c.h"

static void finish_row_f32(const struct spc__finish *finish, const float *x, const float *residual,
                           float *out)
{
    int64_t c = 0;

    for (; c + LANES <= finish->channels; c += LANES) {
        vector v = load_f32(x + c);

        if (residual)
            v = add(v, load_f32(residual + c));
        store_f32(out + c, activate(v, finish));
    }
    for (; c < finish->channels; c++)
        out[c] = spc__activate(residual ? x[c] + residual[c] : x[c], finish->act, finish->slope);
}

static void finish_row_f16(const struct spc__finish *finish, const float *x,
                           const uint16_t *residual, uint16_t *out)
{
    int64_t c = 0;

    for (; c + LANES <= finish->channels; c += LANES) {
        vector v = load_f32(x + c);

        if (residual)
            v = add(v, load_f16(residual + c));
        store_f16(out + c, activate(v, finish));
    }
    for (; c < finish->channels; c++) {
        float v = residual ? x[c] + spc__half_to_float(residual[c]) : x[c];

        out[c] = spc__half_from_float(spc__activate(v, finish->act, finish->slope));
    }
}

void KERNEL(finish_f32)(const struct spc__finish *finish, const float *acc, float *out)
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

void KERNEL(finish_f16)(const struct spc__finish *finish, const float *acc, uint16_t *out)
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

void KERNEL(add_f32)(const struct spc__finish *finish, const float *x, float *out)
{
    struct spc__finish line = *finish;

    line.stride = line.channels = finish->rows * finish->channels;
    line.rows = 1;
    KERNEL(finish_f32)(&line, x, out);
}

void KERNEL(add_f16)(const struct spc__finish *finish, const uint16_t *x, uint16_t *out)
{
    const uint16_t *residual = finish->residual;
    int64_t count = finish->rows * finish->channels, i = 0;
    struct spc__finish rest = {.rows = 1, .act = finish->act, .slope = finish->slope};

    for (; finish->act != SPC__ACT_SIGMOID && i + LANES <= count; i += LANES) {
        vector v = load_f16(x + i);

        if (residual)
            v = add(v, load_f16(residual + i));
        store_f16(out + i, activate(v, finish));
    }
    rest.channels = count - i;
    rest.residual = residual ? residual + i : NULL;
    spc__add_f16_c(&rest, x + i, out + i);
}

void KERNEL(widen)(const uint16_t *in, float *out, int64_t count)
{
    int64_t i = 0;

    for (; i + LANES <= count; i += LANES)
        store_f32(out + i, load_f16(in + i));
    spc__widen_c(in + i, out + i, count - i);
}

void KERNEL(narrow)(const float *in, uint16_t *out, int64_t count)
{
    int64_t i = 0;

    for (; i + LANES <= count; i += LANES)
        store_f16(out + i, load_f32(in + i));
    spc__narrow_c(in + i, out + i, count - i);
}
