/* SPDX-License-Identifier: MIT */
/* The convolution kernel of every instruction set: the reference's bits. */
#include "check.h"

#include "cpu/kernels_c.h"

#include <string.h>

#define MAX_ROWS 256 /* of input and of a window */

struct job {
    int cin, panels;
    int64_t pairs;
    float *in, *weights, *acc;
    int32_t *in_rows;
    uint16_t *out_rows;
    const struct spc__kernels *kernels;
};

static size_t acc_bytes(const struct job *job)
{
    return (size_t)MAX_ROWS * (size_t)job->panels * SPC__PANEL * sizeof(float);
}

/* `pairs` of MAX_ROWS output rows, ascending. */
static void choose_rows(struct check *check, struct job *job)
{
    int64_t chosen = 0;

    for (int64_t row = 0; row < MAX_ROWS; row++)
        if (check_int(check, 0, MAX_ROWS - row - 1) < job->pairs - chosen)
            job->out_rows[chosen++] = (uint16_t)row;
    for (int64_t p = 0; p < job->pairs; p++)
        job->in_rows[p] = (int32_t)check_int(check, 0, MAX_ROWS - 1);
}

static void make_job(struct check *check, struct job *job)
{
    size_t in = (size_t)MAX_ROWS * (size_t)job->cin;
    size_t weights = (size_t)job->cin * (size_t)job->panels * SPC__PANEL;

    job->in = check_alloc(check, in * sizeof(float));
    job->weights = check_alloc(check, weights * sizeof(float));
    job->acc = check_alloc(check, acc_bytes(job));
    job->in_rows = check_alloc(check, (size_t)job->pairs * sizeof(*job->in_rows));
    job->out_rows = check_alloc(check, (size_t)job->pairs * sizeof(*job->out_rows));
    for (size_t i = 0; i < in; i++)
        job->in[i] = check_float(check, -2.0f, 2.0f);
    for (size_t i = 0; i < weights; i++)
        job->weights[i] = check_float(check, -1.0f, 1.0f);
    for (size_t i = 0; i < acc_bytes(job) / sizeof(float); i++)
        job->acc[i] = check_float(check, -1.0f, 1.0f);
    choose_rows(check, job);
}

static void run_job(void *context)
{
    const struct job *job = context;

    job->kernels->conv(job->in, job->in_rows, job->out_rows, job->pairs, job->weights, job->cin,
                       job->panels, job->acc);
}

static void compare(struct check *check, int cin, int cout, int64_t pairs)
{
    struct job job = {.cin = cin, .panels = (cout + SPC__PANEL - 1) / SPC__PANEL, .pairs = pairs};
    float *start, *expected;

    make_job(check, &job);
    start = check_alloc(check, acc_bytes(&job));
    expected = check_alloc(check, acc_bytes(&job));
    memcpy(start, job.acc, acc_bytes(&job));
    spc__conv_c(job.in, job.in_rows, job.out_rows, pairs, job.weights, cin, job.panels, job.acc);
    memcpy(expected, job.acc, acc_bytes(&job));
    for (int i = 1; (job.kernels = spc__kernels_at(i)); i++) {
        if (!check_isa(check, job.kernels->isa))
            continue;
        memcpy(job.acc, start, acc_bytes(&job));
        run_job(&job);
        check_true(check, !memcmp(job.acc, expected, acc_bytes(&job)),
                   "%s: %d > %d channels, %d pairs: other bits than the reference",
                   job.kernels->isa, cin, cout, (int)pairs);
    }
    check_release(check);
}

static const int channels[] = {1, 3, 4, 5, 8, 15, 16, 17, 24, 32, 33, 48, 64, 96, 128, 256};
static const int num_channels = sizeof(channels) / sizeof(channels[0]);

static void test_channels(struct check *check)
{
    for (int i = 0; i < num_channels; i++)
        for (int o = 0; o < num_channels; o++)
            compare(check, channels[i], channels[o], check_int(check, 1, 40));
}

/* Every remainder of every tile height, and none at all. */
static void test_pairs(struct check *check)
{
    static const int widths[] = {16, 32, 48, 64};

    for (int w = 0; w < 4; w++) {
        for (int64_t pairs = 0; pairs <= 50; pairs++)
            compare(check, 7, widths[w], pairs);
        compare(check, 16, widths[w], MAX_ROWS - 1);
        compare(check, 16, widths[w], MAX_ROWS);
    }
}

/* Values of every kind, and one row that is not finite: it must stay where it is. */
static void test_values(struct check *check)
{
    struct job job = {.cin = 33, .panels = 3, .pairs = 100};
    float *start, *expected;

    make_job(check, &job);
    for (int i = 0; i < MAX_ROWS * job.cin; i++)
        job.in[i] = check_odd_float(check);
    start = check_alloc(check, acc_bytes(&job));
    expected = check_alloc(check, acc_bytes(&job));
    memcpy(start, job.acc, acc_bytes(&job));
    spc__conv_c(job.in, job.in_rows, job.out_rows, job.pairs, job.weights, job.cin, job.panels,
                job.acc);
    memcpy(expected, job.acc, acc_bytes(&job));
    for (int i = 1; (job.kernels = spc__kernels_at(i)); i++) {
        if (!check_isa(check, job.kernels->isa))
            continue;
        memcpy(job.acc, start, acc_bytes(&job));
        run_job(&job);
        check_close(check, job.kernels->isa, job.acc, expected, acc_bytes(&job) / sizeof(float),
                    0.0, 0.0);
    }
    check_release(check);
}

/* Windows as CenterPoint has them: three rows in five meet an offset. */
static void bench_channels(struct check *check)
{
    static const int shapes[][2] = {{5, 16}, {16, 16}, {32, 32}, {64, 64}, {128, 128}, {256, 256}};

    for (int s = 0; s < 6; s++) {
        struct job job = {.cin = shapes[s][0], .panels = shapes[s][1] / SPC__PANEL, .pairs = 154};
        double flop = 2.0 * (double)job.pairs * shapes[s][0] * shapes[s][1];

        make_job(check, &job);
        for (int i = 0; (job.kernels = spc__kernels_at(i)); i++) {
            char label[64];

            if (!check_isa(check, job.kernels->isa))
                continue;
            snprintf(label, sizeof(label), "%s %d > %d", job.kernels->isa, shapes[s][0],
                     shapes[s][1]);
            check_bench(check, label, flop, "flop", run_job, &job);
        }
        check_release(check);
    }
}

const struct check_case check_conv[] = {
    {"channels", test_channels, bench_channels},
    {"pairs", test_pairs, NULL},
    {"values", test_values, NULL},
    {NULL, NULL, NULL},
};
