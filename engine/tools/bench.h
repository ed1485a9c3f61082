/* SPDX-License-Identifier: MIT */
/* Measuring one session on one frame. */
#ifndef SPC_TOOLS_BENCH_H
#define SPC_TOOLS_BENCH_H

#include "blas.h"
#include "frame.h"
#include "run.h"
#include "steps.h"
#include "timing.h"

struct bench_plan {
    int repeat, warmup;
    bool tune;         /* choose kernels on the frame first */
    struct blas *blas; /* NULL: no comparison */
};

struct bench_row {
    struct spc_session_info session;
    int64_t voxels;
    struct timing time;  /* milliseconds of a frame */
    struct timing sgemm; /* GFLOP/s; with plan.blas */
    double best_sgemm;   /* the fastest product's */
    double index_ms, gflop;
    double peak_mb; /* of the frames without step times */
    struct steps steps; /* release with steps_clear() */
};

/* Runs the frames twice: first as an application would, for times and memory, then with the time
 * of each step. Prints what is wrong and returns an exit code; after a failure `row` owns
 * nothing. */
int bench_measure(struct run *run, const struct run_options *options, const struct frame *frame,
                  const struct bench_plan *plan, struct bench_row *row);

/* GFLOP/s of the median frame. */
double bench_rate(const struct bench_row *row);
/* Part of sgemm's rate: median to median, and the fastest frame to the fastest product, which is
 * the steadier one on a machine that others use too. */
double bench_percent(const struct bench_row *row);
double bench_best_percent(const struct bench_row *row);

#endif
