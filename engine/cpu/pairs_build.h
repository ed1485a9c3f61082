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

/* Whether words of 64 bits hold both sides' columns on the finer side's scale, and every shift:
 * then pairs can be found by columns. */
bool spc__pairs_columns_fit(const struct spc__geometry *g, const struct spc__sites *in,
                            const struct spc__sites *out);
void spc__pairs_count_columns(const struct spc__pairs_job *job, int64_t window, int64_t *counts);
void spc__pairs_write_columns(const struct spc__pairs_job *job, int64_t window, int64_t *places);
void spc__pairs_count_bmi2(const struct spc__pairs_job *job, int64_t window, int64_t *counts);
void spc__pairs_write_bmi2(const struct spc__pairs_job *job, int64_t window, int64_t *places);

#endif
