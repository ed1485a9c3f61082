/* SPDX-License-Identifier: MIT */
/* Epilogue, addition and conversion of every instruction set: the reference's bits. */
#include "check.h"

#include "cpu/kernels_c.h"

#include <math.h>
#include <string.h>

/* The same bits, or NaN in both. */
static bool same_f32(const float *a, const float *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(&a[i], &b[i], sizeof(*a)) && !(isnan(a[i]) && isnan(b[i])))
            return false;
    return true;
}

static bool is_nan16(uint16_t h)
{
    return (h & 0x7fff) > 0x7c00;
}

static bool same_f16(const uint16_t *a, const uint16_t *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (a[i] != b[i] && !(is_nan16(a[i]) && is_nan16(b[i])))
            return false;
    return true;
}

static float any_float(struct check *check)
{
    switch (check_int(check, 0, 19)) {
    case 0:
        return NAN;
    case 1:
        return INFINITY;
    case 2:
        return -INFINITY;
    case 3:
        return check_odd_float(check);
    default:
        return check_float(check, -3.0f, 3.0f);
    }
}

struct data {
    struct spc__finish finish;
    size_t count;          /* values of the output */
    float *acc, *f32;      /* f32: residual */
    uint16_t *x16, *f16;   /* f16: residual */
    float *out, *expected;
    uint16_t *out16, *expected16;
};

static void make_data(struct check *check, struct data *data, int64_t rows, int64_t channels,
                      int64_t stride)
{
    size_t count = (size_t)(rows * channels), acc = (size_t)(rows * stride);

    memset(data, 0, sizeof(*data));
    data->finish = (struct spc__finish){.rows = rows, .channels = channels, .stride = stride};
    data->count = count;
    data->acc = check_alloc(check, acc * sizeof(float));
    data->f32 = check_alloc(check, count * sizeof(float));
    data->x16 = check_alloc(check, count * sizeof(uint16_t));
    data->f16 = check_alloc(check, count * sizeof(uint16_t));
    data->out = check_alloc(check, count * sizeof(float));
    data->expected = check_alloc(check, count * sizeof(float));
    data->out16 = check_alloc(check, count * sizeof(uint16_t));
    data->expected16 = check_alloc(check, count * sizeof(uint16_t));
    for (size_t i = 0; i < acc; i++)
        data->acc[i] = any_float(check);
    for (size_t i = 0; i < count; i++) {
        data->f32[i] = any_float(check);
        data->x16[i] = (uint16_t)check_int(check, 0, 65535);
        data->f16[i] = (uint16_t)check_int(check, 0, 65535);
    }
}

static void compare_all(struct check *check, struct data *data)
{
    struct spc__finish f32 = data->finish, f16 = data->finish;
    const struct spc__kernels *kernels;

    f32.residual = data->finish.residual ? data->f32 : NULL;
    f16.residual = data->finish.residual ? data->f16 : NULL;
    for (int i = 1; (kernels = spc__kernels_at(i)); i++) {
        if (!check_isa(check, kernels->isa))
            continue;
        spc__finish_f32_c(&f32, data->acc, data->expected);
        kernels->finish_f32(&f32, data->acc, data->out);
        check_true(check, same_f32(data->out, data->expected, data->count), "%s: finish_f32",
                   kernels->isa);
        spc__finish_f16_c(&f16, data->acc, data->expected16);
        kernels->finish_f16(&f16, data->acc, data->out16);
        check_true(check, same_f16(data->out16, data->expected16, data->count), "%s: finish_f16",
                   kernels->isa);
        spc__add_f32_c(&f32, data->acc, data->expected);
        check_poison(check, data->out);
        kernels->add_f32(&f32, data->acc, data->out);
        check_true(check, same_f32(data->out, data->expected, data->count), "%s: add_f32",
                   kernels->isa);
        spc__add_f16_c(&f16, data->x16, data->expected16);
        check_poison(check, data->out16);
        kernels->add_f16(&f16, data->x16, data->out16);
        check_true(check, same_f16(data->out16, data->expected16, data->count), "%s: add_f16",
                   kernels->isa);
    }
}

static void test_finish(struct check *check)
{
    static const int channels[] = {1, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64};
    static const int rows[] = {0, 1, 2, 7, 18};

    for (int c = 0; c < 13; c++)
        for (int r = 0; r < 5; r++)
            for (int variant = 0; variant < 8; variant++) {
                struct data data;

                make_data(check, &data, rows[r], channels[c], (channels[c] + 15) / 16 * 16);
                data.finish.act = (enum spc__act)(variant / 2);
                data.finish.slope = 0.01f;
                data.finish.residual = variant % 2 ? &data : NULL; /* compare_all takes its own */
                compare_all(check, &data);
                check_release(check);
            }
}

/* Every binary16 value widened; floats around every rounding step narrowed. */
static void test_convert(struct check *check)
{
    const struct spc__kernels *kernels;
    uint16_t *in = check_alloc(check, 65536 * sizeof(*in));
    float *out = check_alloc(check, 65536 * sizeof(*out));
    float *expected = check_alloc(check, 65536 * sizeof(*out));
    uint16_t *back = check_alloc(check, 65536 * sizeof(*back));
    uint16_t *expected_back = check_alloc(check, 65536 * sizeof(*back));

    for (int i = 0; i < 65536; i++)
        in[i] = (uint16_t)i;
    spc__widen_c(in, expected, 65536);
    for (int i = 1; (kernels = spc__kernels_at(i)); i++) {
        if (!check_isa(check, kernels->isa))
            continue;
        kernels->widen(in, out, 65536);
        check_true(check, same_f32(out, expected, 65536), "%s: widen", kernels->isa);
        for (int j = 0; j < 65536; j++)
            out[j] = expected[j] * (1.0f + (float)check_int(check, -8, 8) * 0x1p-14f);
        spc__narrow_c(out, expected_back, 65536);
        kernels->narrow(out, back, 65536);
        check_true(check, same_f16(back, expected_back, 65536), "%s: narrow", kernels->isa);
    }
    check_release(check);
}

/* Counts around the vector length, checked by the guard zones. */
static void test_convert_counts(struct check *check)
{
    const struct spc__kernels *kernels;

    for (int64_t count = 0; count < 40; count++) {
        uint16_t *in = check_alloc(check, (size_t)count * sizeof(*in));
        float *out = check_alloc(check, (size_t)count * sizeof(*out));
        uint16_t *back = check_alloc(check, (size_t)count * sizeof(*back));

        for (int64_t i = 0; i < count; i++)
            in[i] = (uint16_t)check_int(check, 0, 0x7bff);
        for (int i = 0; (kernels = spc__kernels_at(i)); i++) {
            if (!check_isa(check, kernels->isa))
                continue;
            check_poison(check, out);
            check_poison(check, back);
            kernels->widen(in, out, count);
            kernels->narrow(out, back, count);
            check_same(check, kernels->isa, back, in, (size_t)count * sizeof(*in));
        }
        check_release(check);
    }
}

struct bench {
    const struct spc__kernels *kernels;
    struct data data;
};

static void run_finish_f32(void *context)
{
    struct bench *bench = context;

    bench->kernels->finish_f32(&bench->data.finish, bench->data.acc, bench->data.out);
}

static void run_finish_f16(void *context)
{
    struct bench *bench = context;

    bench->kernels->finish_f16(&bench->data.finish, bench->data.acc, bench->data.out16);
}

static void bench_finish(struct check *check)
{
    struct bench bench;
    char label[64];

    make_data(check, &bench.data, 512, 128, 128);
    bench.data.finish.act = SPC__ACT_RELU;
    for (int i = 0; (bench.kernels = spc__kernels_at(i)); i++) {
        if (!check_isa(check, bench.kernels->isa))
            continue;
        bench.data.finish.residual = bench.data.f32;
        snprintf(label, sizeof(label), "%s f32", bench.kernels->isa);
        check_bench(check, label, (double)bench.data.count, "value", run_finish_f32, &bench);
        bench.data.finish.residual = bench.data.f16;
        snprintf(label, sizeof(label), "%s f16", bench.kernels->isa);
        check_bench(check, label, (double)bench.data.count, "value", run_finish_f16, &bench);
    }
    check_release(check);
}

const struct check_case check_rows[] = {
    {"finish", test_finish, bench_finish},
    {"convert", test_convert, NULL},
    {"convert_counts", test_convert_counts, NULL},
    {NULL, NULL, NULL},
};
