/* SPDX-License-Identifier: MIT */
/* The scatter into a dense tensor, against index arithmetic: it fills its cells and no others. */
#include "check.h"

#include "cpu/kernels.h"

#include <string.h>

#define CELLS 40 /* of one channel */

struct job {
    struct spc__scatter scatter;
    const struct spc__kernels *kernels;
    unsigned char *in, *out;
    int64_t in_stride;
};

static void run_job(void *context)
{
    const struct job *job = context;

    job->kernels->scatter(&job->scatter, job->in, job->in_stride, job->out);
}

/* Cells in no order, each at most once. */
static void choose_cells(struct check *check, int64_t *cells, int64_t rows, int64_t count,
                         int64_t step)
{
    int64_t offset = check_int(check, 0, count - 1);

    for (int64_t row = 0; row < rows; row++)
        cells[row] = (row * 7 + offset) % count * step;
}

static void compare(struct check *check, int size, int64_t rows, int64_t channels, bool last)
{
    /* Channels are planes, or the innermost axis. */
    int64_t cell_step = last ? channels : 1, in_stride = channels + 3;
    size_t bytes = (size_t)(CELLS * channels * size), in_bytes = (size_t)(rows * in_stride * size);
    int64_t *cells = check_alloc(check, (size_t)rows * sizeof(*cells));
    unsigned char *expected = check_alloc(check, bytes);
    struct job job = {{rows, channels, last ? 1 : CELLS, cells, size}, NULL, NULL, NULL, in_stride};

    job.in = check_alloc(check, in_bytes);
    job.out = check_alloc(check, bytes);
    for (size_t i = 0; i < in_bytes; i++)
        job.in[i] = (unsigned char)check_int(check, 0, 255);
    choose_cells(check, cells, rows, CELLS, cell_step);
    memset(expected, 0xa5, bytes);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < channels; c++)
            memcpy(expected + (cells[r] + c * job.scatter.channel_stride) * size,
                   job.in + (r * in_stride + c) * size, (size_t)size);
    for (int i = 0; (job.kernels = spc__kernels_at(i)); i++) {
        if (!check_isa(check, job.kernels->isa))
            continue;
        memset(job.out, 0xa5, bytes);
        run_job(&job);
        check_same(check, job.kernels->isa, job.out, expected, bytes);
    }
    check_release(check);
}

static void test_scatter(struct check *check)
{
    static const int channels[] = {1, 3, 4, 8, 17, 64};

    for (int size = 1; size <= 4; size *= 2)
        for (int c = 0; c < 6; c++)
            for (int64_t rows = 0; rows <= CELLS; rows += 13)
                for (int last = 0; last < 2; last++)
                    compare(check, size, rows, channels[c], last);
}

/* Two channels of CenterPoint's output, as the backend calls it. */
static void bench_scatter(struct check *check)
{
    int64_t rows = 7658, *cells = check_alloc(check, (size_t)rows * sizeof(*cells));
    struct job job = {{rows, 2, 64800, cells, 4}, NULL, NULL, NULL, 128};

    job.in = check_alloc(check, (size_t)rows * 128 * 4);
    job.out = check_alloc(check, 2 * 64800 * 4);
    choose_cells(check, cells, rows, 64800, 1);
    for (int i = 0; (job.kernels = spc__kernels_at(i)); i++)
        if (check_isa(check, job.kernels->isa))
            check_bench(check, job.kernels->isa, (double)rows * 2, "value", run_job, &job);
    check_release(check);
}

const struct check_case check_dense[] = {
    {"scatter", test_scatter, bench_scatter},
    {NULL, NULL, NULL},
};
