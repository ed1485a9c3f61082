/* SPDX-License-Identifier: MIT */
/* Pairs of a rulebook: storage, and the two passes (count, write) of every way to build them. */
#include "cpu/pairs_build.h"

#include "base/error.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum spc_status spc__pairs_init(struct spc__pairs *pairs, int offsets, int64_t max_rows,
                                int min_window, struct spc_error *err)
{
    memset(pairs, 0, sizeof(*pairs));
    pairs->offsets = offsets;
    pairs->max_rows = max_rows;
    pairs->max_windows = (max_rows + min_window - 1) / min_window;
    pairs->start = spc__alloc((size_t)pairs->max_windows,
                              ((size_t)offsets + 1) * sizeof(*pairs->start));
    pairs->in = spc__alloc((size_t)max_rows, (size_t)offsets * sizeof(*pairs->in));
    pairs->out = spc__alloc((size_t)max_rows, (size_t)offsets * sizeof(*pairs->out));
    if (!pairs->start || !pairs->in || !pairs->out) {
        size_t bytes = spc__pairs_bytes(pairs);

        spc__pairs_clear(pairs);
        return spc__fail_memory(err, bytes, "the pairs of a rulebook");
    }
    return SPC_OK;
}

void spc__pairs_clear(struct spc__pairs *pairs)
{
    free(pairs->start);
    free(pairs->in);
    free(pairs->out);
    memset(pairs, 0, sizeof(*pairs));
}

size_t spc__pairs_bytes(const struct spc__pairs *pairs)
{
    size_t row = (size_t)pairs->offsets * (sizeof(*pairs->in) + sizeof(*pairs->out));

    return (size_t)pairs->max_windows * ((size_t)pairs->offsets + 1) * sizeof(*pairs->start) +
           (size_t)pairs->max_rows * row;
}

/* Turns the counts of start into first places; returns the number of pairs. */
static int64_t counts_to_places(struct spc__pairs *pairs)
{
    int64_t *start = pairs->start, place = 0;

    for (int64_t w = 0; w < pairs->num_windows; w++) {
        for (int k = 0; k < pairs->offsets; k++, start++) {
            int64_t n = *start;

            *start = place;
            place += n;
        }
        *start++ = place;
    }
    return place;
}

static void count_window(void *context, int64_t window, int worker)
{
    const struct spc__pairs_job *job = context;
    size_t entries = (size_t)job->pairs->offsets + 1;
    int64_t *counts = job->pairs->start + (size_t)window * entries;

    (void)worker;
    memset(counts, 0, entries * sizeof(*counts));
    job->count(job, window, counts);
}

/* The writer leaves each offset's place at its end, which is the next one's start: moving all up
 * by one restores the starts. */
static void write_window(void *context, int64_t window, int worker)
{
    const struct spc__pairs_job *job = context;
    size_t offsets = (size_t)job->pairs->offsets;
    int64_t *places = job->pairs->start + (size_t)window * (offsets + 1), first = places[0];

    (void)worker;
    job->write(job, window, places);
    memmove(places + 1, places, offsets * sizeof(*places));
    places[0] = first;
}

void spc__pairs_run(struct spc__pairs_job *job, int window, struct spc__pool *pool)
{
    struct spc__pairs *pairs = job->pairs;

    pairs->window = window;
    pairs->num_windows = (job->out->count + window - 1) / window;
    spc__pool_run(pool, pairs->num_windows, count_window, job);
    pairs->num_pairs = counts_to_places(pairs);
    spc__pool_run(pool, pairs->num_windows, write_window, job);
}

bool spc__pairs_columns_fit(const struct spc__geometry *g, const struct spc__sites *in,
                            const struct spc__sites *out)
{
    const struct spc__sites *coarse = g->inverse ? in : out;
    int32_t stride = g->subm ? 1 : g->stride[0];

    return in->words == 1 && out->words == 1 && (coarse->grid[0] - 1) * stride < 64 &&
           g->kernel[0] * g->dilation[0] + g->padding[0] < 64;
}

void spc__pairs_build(struct spc__pairs *pairs, const struct spc__geometry *geometry,
                      const struct spc__sites *in, const struct spc__sites *out, int window,
                      struct spc__pool *pool)
{
    struct spc__pairs_job job = {pairs, geometry, in, out, spc__pairs_count_columns,
                                 spc__pairs_write_columns};

    if (!spc__pairs_columns_fit(geometry, in, out)) {
        spc__pairs_build_c(pairs, geometry, in, out, window, pool);
        return;
    }
#if defined(__x86_64__)
    if (__builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi2")) {
        job.count = spc__pairs_count_bmi2;
        job.write = spc__pairs_write_bmi2;
    }
#endif
    spc__pairs_run(&job, window, pool);
}
