/* SPDX-License-Identifier: MIT */
/* Numbers that say how far two arrays are apart. */
#ifndef SPC_TOOLS_COMPARE_H
#define SPC_TOOLS_COMPARE_H

#include <spc/spc.h>

/* Of one side. Minimum to deviation are over its finite values. */
struct compare_side {
    int64_t nans, infinities, finite;
    double min, max, absmax, mean, std;
};

#define COMPARE_LEVELS 3 /* 75, 50 and 25 % of the largest difference */

struct compare_result {
    int64_t count;       /* pairs of values */
    int64_t compared;    /* pairs of which both are finite: what the differences are over */
    int64_t mismatched;  /* pairs with NaN or infinity that are not the same on both sides */
    double max, mean, sum, std; /* of |a - b| */
    int64_t max_at;             /* element of the largest one; -1 where there is none */
    double level[COMPARE_LEVELS];
    int64_t above[COMPARE_LEVELS]; /* differences above level[i] */
    int64_t nonzero;
    double cosine; /* 1 where both sides are all zero */
    double rel_l2; /* |a - b| / |b|; 0 where both are all zero */
    struct compare_side a, b;
};

/* `count` values of each side. */
void compare_values(const double *a, const double *b, int64_t count, struct compare_result *result);

/* Any array's values as doubles (64-bit integers beyond 2^53 are rounded); NULL where memory is
 * short. Release with free(). */
double *compare_load(const struct spc_array *array);

/* Rows with the same index on both sides. */
struct compare_match {
    int64_t rows;            /* in both */
    int64_t only_a, only_b;  /* in one of them */
    int64_t *row_a, *row_b;  /* [rows]; release with free() */
};

/* Matches index rows of `width` int32. Returns NULL, or what is wrong: the same index twice on one
 * side, or memory. */
const char *compare_match_rows(const int32_t *a, int64_t rows_a, const int32_t *b, int64_t rows_b,
                               int width, struct compare_match *match);

#endif
