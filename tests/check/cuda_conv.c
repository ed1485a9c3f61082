/* SPDX-License-Identifier: MIT */
/* The fast convolution of every kind against sums in double precision. */
#include "cuda_blobs.h"
#include "cuda_layers.h"
#include "device.h"

#include "base/half.h"
#include "cuda/conv.h"

#include <math.h>
#include <string.h>

#define EXTRA_ROWS 3 /* of the bound, past the rows there are */

struct conv_case {
    struct host_blobs blobs;
    struct spc_cuda_conv_fast conv; /* device memory */
    int64_t rows, in_rows;
    uint16_t *in, *residual;
    float *weights, *bias, *expected; /* weights and bias as fp16 has them */
};

static float half_float(struct check *check, float low, float high)
{
    return spc__half_to_float(spc__half_from_float(check_float(check, low, high)));
}

static uint16_t *random_halves(struct check *check, size_t count)
{
    uint16_t *halves = check_alloc(check, count * sizeof(*halves) + 1);

    for (size_t i = 0; i < count; i++)
        halves[i] = spc__half_from_float(check_float(check, -1.0f, 1.0f));
    return halves;
}

static float apply(const struct spc_cuda_conv_fast *conv, double x)
{
    switch (conv->act) {
    case SPC__ACT_NONE:
        break;
    case SPC__ACT_RELU:
        return x < 0 ? 0.0f : (float)x;
    case SPC__ACT_LEAKY_RELU:
        return (float)(x < 0 ? conv->slope * x : x);
    case SPC__ACT_SIGMOID:
        return (float)(1.0 / (1.0 + exp(-x)));
    }
    return (float)x;
}

/* One output row in double precision. */
static void expect_row(const struct conv_case *c, int64_t row, double *sums)
{
    int cin = c->conv.cin, cout = c->conv.cout;

    for (int o = 0; o < cout; o++)
        sums[o] = c->bias[o];
    for (int k = 0; k < c->blobs.offsets; k++) {
        int32_t from = c->blobs.neighbours[k * c->rows + row];

        for (int i = 0; from >= 0 && i < cin; i++) {
            double x = spc__half_to_float(c->in[from * c->conv.in_stride + i]);

            for (int o = 0; o < cout; o++)
                sums[o] += x * c->weights[((int64_t)k * cin + i) * cout + o];
        }
    }
    for (int o = 0; o < cout; o++) {
        double add = c->residual ? spc__half_to_float(c->residual[row * cout + o]) : 0.0;

        c->expected[row * cout + o] = apply(&c->conv, sums[o] + add);
    }
}

static void make_values(struct check *check, struct conv_case *c, bool residual)
{
    int cin = c->conv.cin, cout = c->conv.cout;
    size_t weights = (size_t)c->blobs.offsets * (size_t)cin * (size_t)cout;
    float scale = 1.0f / sqrtf((float)cin * 4.0f);
    double *sums = check_alloc(check, (size_t)cout * sizeof(*sums));

    c->in = random_halves(check, (size_t)(c->in_rows * c->conv.in_stride));
    c->residual = residual ? random_halves(check, (size_t)(c->rows * cout)) : NULL;
    c->weights = check_alloc(check, weights * sizeof(float));
    c->bias = check_alloc(check, (size_t)cout * sizeof(float));
    c->expected = check_alloc(check, (size_t)(c->rows * cout) * sizeof(float) + 1);
    for (size_t i = 0; i < weights; i++)
        c->weights[i] = half_float(check, -scale, scale);
    for (int o = 0; o < cout; o++)
        c->bias[o] = half_float(check, -1.0f, 1.0f);
    for (int64_t row = 0; row < c->rows; row++)
        expect_row(c, row, sums);
}

static void upload(struct check *check, struct conv_case *c)
{
    struct spc_cuda_conv_fast *conv = &c->conv;
    size_t packed = spc_cuda_conv_packed_size(conv->cin, conv->cout, c->blobs.form.groups,
                                              c->blobs.form.run);
    uint16_t *image = check_alloc(check, packed);
    int32_t rows = (int32_t)c->rows;

    spc_cuda_conv_pack(c->weights, conv->cin, conv->cout, c->blobs.form.groups, c->blobs.form.run,
                       image);
    conv->bound = c->rows + EXTRA_ROWS;
    conv->blobs = c->blobs.form;
    conv->blobs.blobs = device_blobs(check, &c->blobs, conv->bound);
    conv->in = device_copy(c->in, (size_t)(c->in_rows * conv->in_stride) * 2);
    conv->residual = c->residual ? device_copy(c->residual, (size_t)(c->rows * conv->cout) * 2)
                                 : NULL;
    conv->weights = device_copy(image, packed);
    conv->bias = device_copy(c->bias, (size_t)conv->cout * sizeof(float));
    conv->count = device_copy(&rows, sizeof(rows));
}

/* Runs a case into new memory, poisoned; reads all of it, rows past the last included. */
static cudaError_t run_way(struct conv_case *c, enum spc_cuda_conv_way way, uint16_t *actual,
                           size_t size)
{
    cudaError_t code;

    c->conv.out = device_alloc(size);
    code = spc_cuda_conv_fast(&c->conv, way, NULL);
    if (!code)
        device_read(actual, c->conv.out, size);
    return code;
}

static void compare(struct check *check, struct conv_case *c, enum spc_cuda_conv_way way)
{
    size_t count = (size_t)(c->rows * c->conv.cout);
    size_t all = count + (size_t)(EXTRA_ROWS * c->conv.cout);
    size_t size = all * sizeof(uint16_t);
    uint16_t *actual = check_alloc(check, size), *again = check_alloc(check, size);
    float *values = check_alloc(check, count * sizeof(*values) + 1);
    const char *name = spc_cuda_conv_way_name(way);
    cudaError_t code = run_way(c, way, actual, size);
    bool untouched = true;

    if (way > SPC_CUDA_CONV_MMA && code == cudaErrorNotSupported)
        return;
    if (!device_ok(check, name, code) || !device_ok(check, name, run_way(c, way, again, size)))
        return;
    for (size_t i = 0; i < count; i++)
        values[i] = spc__half_to_float(actual[i]);
    check_close(check, name, values, c->expected, count, 1e-3, 2e-3);
    for (size_t i = count; i < all; i++)
        untouched = untouched && actual[i] == 0xa5a5;
    check_true(check, untouched, "%s wrote past the last row", name);
    check_true(check, !memcmp(actual, again, size), "%s: a second run gives other bits", name);
}

struct setup {
    int cin, cout, in_stride;
    int kernel[3];
    int64_t rows, in_rows, reach; /* reach: how far apart input rows of a tile are */
    int32_t max_halo;
    bool residual, settled;
    enum spc__act act;
};

static void run_setup(struct check *check, const struct setup *s)
{
    struct conv_case c = {.rows = s->rows, .in_rows = s->in_rows};

    c.conv = (struct spc_cuda_conv_fast){
        .cin = s->cin,
        .cout = s->cout,
        .in_stride = s->in_stride ? s->in_stride : s->cin,
        .act = s->act,
        .slope = 0.25f,
        .blobs_settled = s->settled,
    };
    random_blobs(check, &c.blobs, s->kernel, s->rows, s->in_rows, s->reach, s->max_halo);
    check_true(check,
               spc_cuda_conv_fast_supported(s->cin, s->cout, c.conv.in_stride, &c.blobs.form),
               "%d > %d channels are refused", s->cin, s->cout);
    make_values(check, &c, s->residual);
    upload(check, &c);
    for (int way = SPC_CUDA_CONV_BEST; way < SPC_CUDA_CONV_WAYS; way++)
        compare(check, &c, (enum spc_cuda_conv_way)way);
    device_release();
    check_release(check);
}

static void test_channels(struct check *check)
{
    static const int counts[][3] = {
        {5, 16, 16},   {16, 16, 16},    {16, 32, 16},   {32, 32, 32},    {32, 64, 32},
        {64, 64, 64},  {64, 128, 64},   {128, 128, 128}, {128, 64, 128}, {64, 16, 64},
        {16, 128, 16}, {24, 40, 24},    {48, 96, 48},   {80, 8, 80},     {8, 24, 8},
        {160, 192, 160}, {256, 256, 256}, {3, 256, 8},
    };

    if (!device_usable(check))
        return;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct setup s = {.cin = counts[i][0],
                          .cout = counts[i][1],
                          .in_stride = counts[i][2],
                          .kernel = {3, 3, 3},
                          .rows = check_int(check, 1, 400),
                          .in_rows = 500,
                          .reach = 120,
                          .max_halo = SPC_CUDA_HALO_SUBM,
                          .residual = i % 2,
                          .settled = i % 3 == 0,
                          .act = (enum spc__act)(i % 4)};

        run_setup(check, &s);
    }
}

/* Rows around the edges of tiles, and none at all; numbers of tiles up to more than the blocks of
 * any kernel take at once. */
static void test_rows(struct check *check)
{
    static const int64_t rows[] = {0,   1,   7,    63,    64,    65,    127,
                                   128, 129, 1000, 20000, 40000, 110000};

    if (!device_usable(check))
        return;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct setup s = {.cin = 16,
                          .cout = 16,
                          .kernel = {3, 3, 3},
                          .rows = rows[i],
                          .in_rows = rows[i] + 200,
                          .reach = 150,
                          .max_halo = SPC_CUDA_HALO_SUBM,
                          .act = SPC__ACT_RELU};

        run_setup(check, &s);
        s.cin = s.cout = 32;
        s.residual = true;
        if (rows[i] < 100000) /* or the reference takes seconds */
            run_setup(check, &s);
    }
}

/* Numbers of tiles from less to more than any device has clusters and multiprocessors, so that 4,
 * 2 and single blocks have a tile. */
static void test_clusters(struct check *check)
{
    static const struct setup setups[] = {
        {64, 64, 64, {3, 3, 3}, 700, 900, 200, SPC_CUDA_HALO_SUBM, true, true, SPC__ACT_RELU},
        {64, 64, 64, {3, 3, 1}, 12000, 12000, 150, 128, true, false, SPC__ACT_LEAKY_RELU},
        {64, 64, 64, {3, 1, 1}, 40000, 40000, 100, SPC_CUDA_HALO_SUBM, false, true, SPC__ACT_NONE},
        {64, 128, 64, {3, 3, 3}, 3000, 9000, 500, SPC_CUDA_HALO_STRIDED, false, true,
         SPC__ACT_RELU},
        {128, 128, 128, {3, 3, 3}, 700, 900, 200, SPC_CUDA_HALO_SUBM, true, true, SPC__ACT_RELU},
        {128, 128, 128, {1, 3, 3}, 7000, 7000, 300, SPC_CUDA_HALO_STRIDED, false, false,
         SPC__ACT_SIGMOID},
        {128, 128, 128, {1, 3, 3}, 2000, 9000, 900, SPC_CUDA_BLOB_MAX_HALO, true, true,
         SPC__ACT_RELU},
        {128, 128, 128, {3, 1, 1}, 18000, 18000, 200, SPC_CUDA_HALO_SUBM, true, true,
         SPC__ACT_RELU},
        {256, 192, 256, {2, 2, 1}, 2000, 2000, 200, SPC_CUDA_HALO_SUBM, true, true,
         SPC__ACT_RELU},
    };

    if (!device_usable(check))
        return;
    for (size_t i = 0; i < sizeof(setups) / sizeof(setups[0]); i++)
        run_setup(check, &setups[i]);
}

static void test_kernels(struct check *check)
{
    static const int kernels[][3] = {{1, 1, 1}, {3, 1, 1}, {1, 3, 3}, {2, 2, 2}, {1, 5, 5},
                                     {3, 3, 1}, {5, 1, 1}, {2, 3, 5}, {4, 4, 2}};

    if (!device_usable(check))
        return;
    for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
        struct setup s = {.cin = 16 << i % 4,
                          .cout = 16 << (i + 1) / 2 % 4,
                          .kernel = {kernels[i][0], kernels[i][1], kernels[i][2]},
                          .rows = 300,
                          .in_rows = 600,
                          .reach = 200,
                          .max_halo = SPC_CUDA_HALO_STRIDED,
                          .residual = i % 2};

        run_setup(check, &s);
    }
}

/* Halos that are too large: for shared memory, or for a blob, which is wide then. */
static void test_halos(struct check *check)
{
    static const int channels[][2] = {{16, 16}, {16, 32},   {32, 32},
                                      {64, 64}, {128, 128}, {256, 64}};

    if (!device_usable(check))
        return;
    for (size_t i = 0; i < sizeof(channels) / sizeof(channels[0]); i++) {
        struct setup s = {.cin = channels[i][0],
                          .cout = channels[i][1],
                          .kernel = {3, 3, 3},
                          .rows = 500,
                          .in_rows = 3000,
                          .reach = 900,
                          .max_halo = SPC_CUDA_BLOB_MAX_HALO,
                          .act = SPC__ACT_RELU};

        run_setup(check, &s);
        s.reach = 3000;
        run_setup(check, &s);
        s.reach = 300;
        s.max_halo = 128;
        run_setup(check, &s);
    }
}

const struct check_case check_cuda_conv[] = {
    {"channels", test_channels, bench_layers},
    {"rows", test_rows, NULL},
    {"clusters", test_clusters, bench_small_layers},
    {"kernels", test_kernels, NULL},
    {"halos", test_halos, NULL},
    {NULL, NULL, NULL},
};
