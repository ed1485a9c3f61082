/* SPDX-License-Identifier: MIT */
/* Between pairs.c and the ways to find the pairs of one window. */
#ifndef SPC_CPU_PAIRS_BUILD_H
#define SPC_CPU_PAIRS_BUILD_H

#include "cpu/pairs.h"

struct spc__pairs_job {
    struct spc__pairs *pairs;
    const struct spc__geometry *geometry;
    const struct spc__sites *in, *out;
    /* Adds the number of pairs of each offset to counts[offsets]. */
    void (*count)(const struct spc__pairs_job *job, int64_t window, int64_t *counts);
    /* Writes each offset's pairs from places[offset] on and advances it. */
    void (*write)(const struct spc__pairs_job *job, int64_t window, int64_t *places);
};

/* Counts and writes all windows. */
void spc__pairs_run(struct spc__pairs_job *job, int window, struct spc__pool *pool);

#endif
