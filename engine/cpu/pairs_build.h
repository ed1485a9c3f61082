/* SPDX-License-Identifier: MIT */
/* Between pairs.c and the ways to find the pairs of one window. */
#ifndef SPC_CPU_PAIRS_BUILD_H
#define SPC_CPU_PAIRS_BUILD_H

#include "cpu/pairs.h"

#define SPC__PAIRS_SLACK 8

struct spc__pairs_job {
    struct spc__pairs *pairs;
    const struct spc__geometry *geometry;
    const struct spc__sites *in, *out;
    /* Writes the lists of all offsets one behind the other, from start[0] on, and fills
     * start[1 .. offsets]. May spoil SPC__PAIRS_SLACK entries behind the last list. */
    void (*window)(const struct spc__pairs_job *job, int64_t first_row, int64_t end_row,
                   int64_t *start);
};

void spc__pairs_run(struct spc__pairs_job *job, int window, struct spc__pool *pool);

/* Input coordinate that meets output coordinate `o` at kernel offset k along an axis, or one
 * below 0 where there is none. It may lie beyond the grid. */
static inline int32_t spc__pairs_input(const struct spc__geometry *g, int axis, int32_t o,
                                       int32_t k)
{
    int32_t t;

    if (g->subm)
        return o + (k - g->kernel[axis] / 2) * g->dilation[axis];
    if (!g->inverse)
        return o * g->stride[axis] + k * g->dilation[axis] - g->padding[axis];
    t = o + g->padding[axis] - k * g->dilation[axis];
    return t < 0 || t % g->stride[axis] ? -1 : t / g->stride[axis];
}

/* ---- by columns ---- */

#define SPC__PAIRS_MAX_KERNEL 15
#define SPC__PAIRS_MAX_AREA 4096
#define SPC__PAIRS_MAX_CELLS (9 * (SPC__MAX_WINDOW + SPC__PAIRS_SLACK))

/* Most input coordinates that `tile` output coordinates in a row can meet along an axis, from the
 * first to the last. */
static inline int32_t spc__pairs_area(const struct spc__geometry *g, int axis, int32_t tile)
{
    int32_t reach = (g->kernel[axis] - 1) * g->dilation[axis];

    if (g->subm)
        return tile + reach;
    return g->inverse ? (tile - 1 + reach) / g->stride[axis] + 2
                      : (tile - 1) * g->stride[axis] + reach + 1;
}

/* Whether words of 64 bits hold both sides' columns on the finer side's scale, and every shift,
 * and what a window needs fits on the stack: then pairs can be found by columns. */
bool spc__pairs_columns_fit(const struct spc__geometry *g, const struct spc__sites *in,
                            const struct spc__sites *out, int window);
void spc__pairs_columns_any(const struct spc__pairs_job *job, int64_t first_row, int64_t end_row,
                            int64_t *start);
void spc__pairs_columns_bmi2(const struct spc__pairs_job *job, int64_t first_row, int64_t end_row,
                             int64_t *start);
void spc__pairs_columns_avx512(const struct spc__pairs_job *job, int64_t first_row,
                               int64_t end_row, int64_t *start);

/* Whether this x86 processor has the parts of AVX-512 that columns_avx512 is compiled for. */
bool spc__pairs_has_avx512(void);

/* ---- by rows ---- */

/* Whether what a window needs fits on the stack. */
bool spc__pairs_rows_fit(const struct spc__geometry *g, int window);
void spc__pairs_rows_any(const struct spc__pairs_job *job, int64_t first_row, int64_t end_row,
                         int64_t *start);
void spc__pairs_rows_bmi2(const struct spc__pairs_job *job, int64_t first_row, int64_t end_row,
                          int64_t *start);

#endif
