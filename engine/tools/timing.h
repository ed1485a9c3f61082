/* SPDX-License-Identifier: MIT */
/* The clock, and what is said of a series of times. */
#ifndef SPC_TOOLS_TIMING_H
#define SPC_TOOLS_TIMING_H

/* Milliseconds of a clock that never goes back. */
double timing_now(void);

struct timing {
    double median, min, p99; /* of the samples, in their unit; 0 where there are none */
};

/* Sorts `samples`. */
struct timing timing_of(double *samples, int count);

#endif
