/* SPDX-License-Identifier: MIT */
/* See timing.h. */
#include "timing.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

double timing_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

struct timing timing_of(double *samples, int count)
{
    struct timing timing = {0, 0, 0};

    if (!count)
        return timing;
    qsort(samples, (size_t)count, sizeof(*samples), by_value);
    timing.min = samples[0];
    timing.median = (samples[(count - 1) / 2] + samples[count / 2]) / 2;
    timing.p99 = samples[(int)ceil(0.99 * count) - 1];
    return timing;
}
