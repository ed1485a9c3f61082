/* SPDX-License-Identifier: MIT */
/* See bench.h. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* OpenBLAS's threads go on looking for work for some ten milliseconds. */
#define SETTLE_MICROSECONDS 40000

double bench_rate(const struct bench_row *row)
{
    return row->time.median > 0 ? row->gflop / row->time.median * 1e3 : 0;
}

double bench_percent(const struct bench_row *row)
{
    return row->sgemm.median > 0 ? 100 * bench_rate(row) / row->sgemm.median : 0;
}

double bench_best_percent(const struct bench_row *row)
{
    double product = row->best_sgemm, frame = row->time.min;

    return product > 0 && frame > 0 ? 100 * row->gflop / frame * 1e3 / product : 0;
}

/* Peak resident memory counts from here on. Where the kernel does not allow that, it counts from
 * the program's start. */
static void reset_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");

    if (!file)
        return;
    fputs("5", file);
    fclose(file);
}

static double peak_mb(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long kilobytes = 0;

    if (!file)
        return 0;
    while (fgets(line, sizeof(line), file))
        if (sscanf(line, "VmHWM: %ld", &kilobytes) == 1)
            break;
    fclose(file);
    return (double)kilobytes * 1024 / 1e6;
}

/* Frames and, in turn with them, matrix products: both see the machine in the same state. */
static int time_frames(struct run *run, const struct spc_voxels *voxels,
                       const struct bench_plan *plan, int threads, double *frame_ms,
                       double *sgemm_rate)
{
    for (int i = -plan->warmup; i < plan->repeat; i++) {
        double start, rate = 0;
        int code;

        if (plan->blas) {
            rate = blas_sgemm(plan->blas, threads);
            usleep(SETTLE_MICROSECONDS);
        }
        start = timing_now();
        code = run_frame(run, voxels, NULL, 0);
        if (code)
            return code;
        if (i < 0)
            continue;
        frame_ms[i] = timing_now() - start;
        sgemm_rate[i] = rate;
    }
    return EXIT_OK;
}

static int measure_frames(struct run *run, const struct spc_voxels *voxels,
                          const struct bench_plan *plan, struct bench_row *row)
{
    double *samples = calloc(2 * (size_t)plan->repeat, sizeof(*samples));
    int code;

    if (!samples)
        return tool_fail(run->tool, "out of memory");
    code = time_frames(run, voxels, plan, row->session.threads, samples, samples + plan->repeat);
    row->time = timing_of(samples, plan->repeat);
    row->sgemm = timing_of(samples + plan->repeat, plan->repeat);
    row->best_sgemm = samples[2 * plan->repeat - 1]; /* they are sorted now */
    free(samples);
    return code;
}

static int measure_steps(struct run *run, const struct spc_voxels *voxels,
                         const struct bench_plan *plan, struct bench_row *row)
{
    int code = EXIT_OK;

    if (!steps_init(&row->steps, run->session, plan->repeat))
        return tool_fail(run->tool, "out of memory");
    for (int i = -plan->warmup; i < plan->repeat && !code; i++) {
        code = run_frame(run, voxels, NULL, 0);
        if (!code && i >= 0)
            steps_add(&row->steps, run->session);
    }
    if (code) {
        steps_clear(&row->steps);
        return code;
    }
    steps_finish(&row->steps);
    row->index_ms = steps_index_ms(&row->steps);
    row->gflop = steps_gflop(&row->steps);
    return EXIT_OK;
}

int bench_measure(struct run *run, const struct run_options *options, const struct frame *frame,
                  const struct bench_plan *plan, struct bench_row *row)
{
    struct spc_voxels voxels = frame_voxels(frame);
    struct spc_error err;
    int code;

    *row = (struct bench_row){.voxels = voxels.num_voxels};
    spc_session_free(&run->session); /* the row before's must not count */
    reset_peak();
    code = run_start(run, options, false, false);
    if (code)
        return code;
    spc_session_get_info(run->session, &row->session);
    if (plan->tune && spc_session_tune(run->session, &voxels, &err))
        return tool_fail(run->tool, "%s", err.message);
    code = measure_frames(run, &voxels, plan, row);
    row->peak_mb = peak_mb();
    if (!code)
        code = run_start(run, options, false, true);
    return code ? code : measure_steps(run, &voxels, plan, row);
}
