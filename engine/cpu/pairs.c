/* SPDX-License-Identifier: MIT */
/* Pairs of a rulebook: storage, and the choice of the way to build them. */
#include "cpu/pairs_build.h"

#include "base/error.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* Every window has room for all that it can have, and for what writers may spoil.
 * Memory that no pair reaches is never touched. */
static int64_t window_room(const struct spc__pairs *pairs)
{
    return (int64_t)pairs->window * pairs->offsets + SPC__PAIRS_SLACK;
}

static size_t most_entries(const struct spc__pairs *pairs)
{
    return (size_t)pairs->max_rows * (size_t)pairs->offsets +
           (size_t)pairs->max_windows * SPC__PAIRS_SLACK;
}

enum spc_status spc__pairs_init(struct spc__pairs *pairs, int offsets, int64_t max_rows,
                                int min_window, struct spc_error *err)
{
    memset(pairs, 0, sizeof(*pairs));
    pairs->offsets = offsets;
    pairs->max_rows = max_rows;
    pairs->max_windows = (max_rows + min_window - 1) / min_window;
    pairs->start = spc__alloc((size_t)pairs->max_windows,
                              ((size_t)offsets + 1) * sizeof(*pairs->start));
    pairs->in = spc__alloc(most_entries(pairs), sizeof(*pairs->in));
    pairs->out = spc__alloc(most_entries(pairs), sizeof(*pairs->out));
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
    return (size_t)pairs->max_windows * ((size_t)pairs->offsets + 1) * sizeof(*pairs->start) +
           most_entries(pairs) * (sizeof(*pairs->in) + sizeof(*pairs->out));
}

static void build_window(void *context, int64_t window, int worker)
{
    const struct spc__pairs_job *job = context;
    const struct spc__pairs *pairs = job->pairs;
    int64_t *start = pairs->start + window * (pairs->offsets + 1);
    int64_t first = window * pairs->window, end = first + pairs->window;

    (void)worker;
    start[0] = window * window_room(pairs);
    job->window(job, first, end < job->out->count ? end : job->out->count, start);
}

void spc__pairs_run(struct spc__pairs_job *job, int window, struct spc__pool *pool)
{
    struct spc__pairs *pairs = job->pairs;
    const int64_t *start = pairs->start;

    pairs->window = window;
    pairs->num_windows = (job->out->count + window - 1) / window;
    pairs->num_pairs = 0;
    spc__pool_run(pool, pairs->num_windows, build_window, job);
    for (int64_t w = 0; w < pairs->num_windows; w++, start += pairs->offsets + 1)
        pairs->num_pairs += start[pairs->offsets] - start[0];
}

bool spc__pairs_columns_fit(const struct spc__geometry *g, const struct spc__sites *in,
                            const struct spc__sites *out, int window)
{
    const struct spc__sites *coarse = g->inverse ? in : out;
    int64_t rows = spc__pairs_area(g, 1, SPC__TILE_Y), columns = spc__pairs_area(g, 2, SPC__TILE_X);
    int32_t stride = g->subm ? 1 : g->stride[0];

    return in->words == 1 && out->words == 1 && (int64_t)(coarse->grid[0] - 1) * stride < 64 &&
           g->kernel[0] <= SPC__PAIRS_MAX_KERNEL && g->kernel[1] <= SPC__PAIRS_MAX_KERNEL &&
           g->kernel[2] <= SPC__PAIRS_MAX_KERNEL &&
           g->kernel[0] * g->dilation[0] + g->padding[0] < 64 &&
           (rows + 1) * (columns + 1) <= SPC__PAIRS_MAX_AREA &&
           spc__pairs_rows_fit(g, window);
}

bool spc__pairs_rows_fit(const struct spc__geometry *g, int window)
{
    int64_t cells = (int64_t)g->kernel[1] * g->kernel[2] * (window + SPC__PAIRS_SLACK);

    return cells <= SPC__PAIRS_MAX_CELLS;
}

struct ways {
    void (*columns)(const struct spc__pairs_job *job, int64_t first_row, int64_t end_row,
                    int64_t *start);
    void (*rows)(const struct spc__pairs_job *job, int64_t first_row, int64_t end_row,
                 int64_t *start);
};

#if defined(__x86_64__)
bool spc__pairs_has_avx512(void)
{
    return __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi2") &&
           __builtin_cpu_supports("avx512vpopcntdq");
}
#endif

static struct ways choose(const char *isa)
{
    struct ways ways = {spc__pairs_columns_any, spc__pairs_rows_any};

    if (isa && !strcmp(isa, "c"))
        return ways;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi2"))
        ways = (struct ways){spc__pairs_columns_bmi2, spc__pairs_rows_bmi2};
    if (spc__pairs_has_avx512() && (!isa || !strcmp(isa, "avx512")))
        ways.columns = spc__pairs_columns_avx512;
#endif
    return ways;
}

void spc__pairs_build(struct spc__pairs *pairs, const struct spc__geometry *geometry,
                      const struct spc__sites *in, const struct spc__sites *out, int window,
                      struct spc__pool *pool)
{
    struct ways ways = choose(pairs->isa);
    struct spc__pairs_job job = {pairs, geometry, in, out, NULL};

    if (spc__pairs_columns_fit(geometry, in, out, window))
        job.window = ways.columns;
    else if (spc__pairs_rows_fit(geometry, window))
        job.window = ways.rows;
    if (job.window)
        spc__pairs_run(&job, window, pool);
    else
        spc__pairs_build_c(pairs, geometry, in, out, window, pool);
}
