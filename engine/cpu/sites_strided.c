/* SPDX-License-Identifier: MIT */
/*
 * The output sites of a strided convolution.
 *
 * Work is cut by rows of output tiles, so that no two tasks write the same words. An output row y
 * takes the input rows that a kernel offset maps to it; their columns are OR-ed first, then the
 * occupancy is pooled along z once per column, then OR-ed into the output columns along x.
 */
#include "cpu/columns.h"

#include "base/error.h"

#include <inttypes.h>
#include <string.h>

struct strided {
    struct spc__sites *out;
    const struct spc__sites *in;
    const int32_t *kernel, *stride, *padding, *dilation;
    bool shifts; /* z can be pooled by whole-word shifts */
    bool marking;
};

/* Output coordinate that input i reaches through kernel offset k, or -1. */
static int32_t target(const struct strided *job, int axis, int32_t i, int32_t k)
{
    int32_t t = i + job->padding[axis] - k * job->dilation[axis];

    if (t < 0 || t % job->stride[axis] || t / job->stride[axis] >= job->out->grid[axis])
        return -1;
    return t / job->stride[axis];
}

/* Marks the column's tile, or ORs `words` into the column. */
static void emit(const struct strided *job, int32_t y, int32_t x, const uint64_t *words)
{
    struct spc__sites *out = job->out;
    int32_t tile = spc__tile(out, y, x), slot;
    uint64_t *mask;

    if (job->marking) {
        spc__sites_mark(out, tile);
        return;
    }
    slot = out->slot_of_tile[tile];
    if (slot < 0 || slot >= out->num_slots)
        return;
    mask = out->mask + ((int64_t)slot * SPC__TILE_COLUMNS + spc__column_in_tile(y, x)) * out->words;
    for (int32_t w = 0; w < out->words; w++)
        mask[w] |= words[w];
}

static void emit_row(const struct strided *job, int32_t y, int32_t in_x, const uint64_t *words)
{
    for (int32_t k = 0; k < job->kernel[2]; k++) {
        int32_t x = target(job, 2, in_x, k);

        if (x >= 0)
            emit(job, y, x, words);
    }
}

/* Bits 0, 2, 4, ... moved to 0, 1, 2, ... */
static uint64_t even_bits(uint64_t v)
{
    v &= 0x5555555555555555;
    v = (v | v >> 1) & 0x3333333333333333;
    v = (v | v >> 2) & 0x0f0f0f0f0f0f0f0f;
    v = (v | v >> 4) & 0x00ff00ff00ff00ff;
    v = (v | v >> 8) & 0x0000ffff0000ffff;
    return (v | v >> 16) & 0x00000000ffffffff;
}

/* One-word columns, stride 1 or 2. */
static uint64_t pool_shifts(const struct strided *job, uint64_t word)
{
    uint64_t pooled = 0;

    for (int32_t k = 0; k < job->kernel[0]; k++) {
        int32_t up = job->padding[0] - k * job->dilation[0];

        if (up > -64 && up < 64)
            pooled |= up >= 0 ? word << up : word >> -up;
    }
    if (job->stride[0] == 2)
        pooled = even_bits(pooled);
    return pooled & (~(uint64_t)0 >> (64 - job->out->grid[0]));
}

/* Any geometry; false where nothing is left. */
static bool pool_bits(const struct strided *job, const uint64_t *words, uint64_t *pooled)
{
    bool any = false;

    memset(pooled, 0, (size_t)job->out->words * sizeof(*pooled));
    for (int32_t w = 0; w < job->in->words; w++) {
        for (uint64_t bits = words[w]; bits; bits &= bits - 1) {
            for (int32_t k = 0; k < job->kernel[0]; k++) {
                int32_t z = target(job, 0, w * 64 + __builtin_ctzll(bits), k);

                if (z < 0)
                    continue;
                pooled[z / 64] |= (uint64_t)1 << (z % 64);
                any = true;
            }
        }
    }
    return any;
}

/* Words of row `in_y` in the column of tiles `tile_x`, or NULL: [SPC__TILE_X][words]. */
static const uint64_t *row_words(const struct spc__sites *in, int32_t in_y, int32_t tile_x)
{
    int64_t column = spc__column(in, in_y, tile_x * SPC__TILE_X);

    return column < 0 ? NULL : in->mask + column * in->words;
}

static void row_by_shifts(const struct strided *job, int32_t y, int32_t tile_x)
{
    uint64_t sum[SPC__TILE_X] = {0};
    bool any = false;

    for (int32_t k = 0; k < job->kernel[1]; k++) {
        int32_t in_y = y * job->stride[1] + k * job->dilation[1] - job->padding[1];
        const uint64_t *words = row_words(job->in, in_y, tile_x);

        if (!words)
            continue;
        any = true;
        for (int i = 0; i < SPC__TILE_X; i++)
            sum[i] |= words[i];
    }
    for (int i = 0; any && i < SPC__TILE_X; i++) {
        uint64_t pooled = sum[i] ? pool_shifts(job, sum[i]) : 0;

        if (pooled)
            emit_row(job, y, tile_x * SPC__TILE_X + i, &pooled);
    }
}

static void row_by_bits(const struct strided *job, int32_t y, int32_t tile_x)
{
    uint64_t pooled[SPC__MAX_WORDS];

    for (int32_t k = 0; k < job->kernel[1]; k++) {
        int32_t in_y = y * job->stride[1] + k * job->dilation[1] - job->padding[1];
        const uint64_t *words = row_words(job->in, in_y, tile_x);

        for (int i = 0; words && i < SPC__TILE_X; i++, words += job->in->words)
            if (pool_bits(job, words, pooled))
                emit_row(job, y, tile_x * SPC__TILE_X + i, pooled);
    }
}

static void tile_row(void *context, int64_t task, int worker)
{
    const struct strided *job = context;
    int32_t y = (int32_t)task * SPC__TILE_Y, end = y + SPC__TILE_Y;

    (void)worker;
    if (end > job->out->grid[1])
        end = job->out->grid[1];
    for (; y < end; y++)
        for (int32_t tile_x = 0; tile_x < job->in->tiles_x; tile_x++)
            (job->shifts ? row_by_shifts : row_by_bits)(job, y, tile_x);
}

static bool pools_by_shifts(const struct strided *job)
{
    return job->in->words == 1 && job->out->words == 1 && job->stride[0] <= 2 &&
           (job->out->grid[0] - 1) * job->stride[0] < 64;
}

enum spc_status spc__sites_from_strided(struct spc__sites *out, const struct spc__sites *in,
                                        const int32_t kernel[3], const int32_t stride[3],
                                        const int32_t padding[3], const int32_t dilation[3],
                                        const char *node, struct spc__pool *pool,
                                        struct spc_error *err)
{
    struct strided job = {out, in, kernel, stride, padding, dilation, false, true};
    int32_t tiles;
    int64_t count = 0;

    job.shifts = pools_by_shifts(&job);
    spc__sites_begin(out);
    spc__pool_run(pool, out->tiles_y, tile_row, &job);
    tiles = spc__sites_number(out);
    job.marking = false;
    do {
        spc__pool_run(pool, out->tiles_y, tile_row, &job);
        count += spc__sites_rank(out);
    } while (spc__sites_next(out, &tiles));
    if (count > out->bound) {
        spc__sites_begin(out);
        return spc__fail(err, SPC_ERR_CAPACITY,
                         "node %s: %" PRId64 " output sites, but the plan's bound is %" PRId64
                         ": raise output_bound in the model or the session's site_bound",
                         node, count, out->bound);
    }
    spc__sites_finish(out, count);
    return SPC_OK;
}
