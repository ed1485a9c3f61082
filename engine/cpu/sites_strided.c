/* SPDX-License-Identifier: MIT */
/*
 * The output sites of a strided convolution.
 *
 * Usually by whole words, one tile of output columns at a time: the input lines that the kernel's
 * y offsets map to an output line are OR-ed, then the columns that its x offsets map to an output
 * column, then the occupancy is pooled along z. What does not fit words goes bit by bit. Work is
 * cut by rows of output tiles, so that no two tasks write the same words.
 */
#include "cpu/columns.h"

#include "graph/refuse.h"

#include <string.h>

#define MAX_LINE 256 /* input columns that a line of a tile can meet */

struct strided {
    struct spc__sites *out;
    const struct spc__sites *in;
    const int32_t *kernel, *stride, *padding, *dilation;
    int32_t line; /* by words: input columns of a line */
    bool marking; /* else writing */
};

/* ---- by words ---- */

/* Whether some input tile has columns that output columns of this tile can meet. */
static bool any_input(const struct strided *job, int32_t y, int32_t x)
{
    const struct spc__sites *in = job->in;
    int32_t first[2], last[2], tile[2] = {SPC__TILE_Y, SPC__TILE_X}, at[2] = {y, x};

    for (int a = 0; a < 2; a++) {
        int32_t reach = (job->kernel[a + 1] - 1) * job->dilation[a + 1];

        first[a] = at[a] * job->stride[a + 1] - job->padding[a + 1];
        last[a] = first[a] + (tile[a] - 1) * job->stride[a + 1] + reach;
        if (last[a] < 0 || first[a] >= in->grid[a + 1])
            return false;
        first[a] = first[a] > 0 ? first[a] / tile[a] : 0;
        last[a] = (last[a] < in->grid[a + 1] ? last[a] : in->grid[a + 1] - 1) / tile[a];
    }
    for (int32_t ty = first[0]; ty <= last[0]; ty++)
        for (int32_t tx = first[1]; tx <= last[1]; tx++)
            if (in->slot_of_tile[ty * in->tiles_x + tx] >= 0)
                return true;
    return false;
}

/* ORs the input columns x .. x + job->line of line y into `line`. */
static void or_line(const struct strided *job, int32_t y, int32_t x, uint64_t *line)
{
    const struct spc__sites *in = job->in;
    int32_t end = x + job->line < in->grid[2] ? x + job->line : in->grid[2];
    int32_t i = x < 0 ? 0 : x;

    while (i < end) {
        int32_t stop = (i / SPC__TILE_X + 1) * SPC__TILE_X;
        int64_t column = spc__column(in, y, i);
        const uint64_t *words = in->mask + column;

        stop = stop < end ? stop : end;
        if (column < 0) {
            i = stop;
            continue;
        }
        for (; i < stop; i++)
            line[i - x] |= *words++;
    }
}

/* Bits 0, 2, 4, ... moved to 0, 1, 2, ... */
static inline uint64_t even_bits(uint64_t v)
{
    v &= 0x5555555555555555;
    v = (v | v >> 1) & 0x3333333333333333;
    v = (v | v >> 2) & 0x0f0f0f0f0f0f0f0f;
    v = (v | v >> 4) & 0x00ff00ff00ff00ff;
    v = (v | v >> 8) & 0x0000ffff0000ffff;
    return (v | v >> 16) & 0x00000000ffffffff;
}

static void pool_z(const struct strided *job, uint64_t words[SPC__TILE_X])
{
    uint64_t inside = ~(uint64_t)0 >> (64 - job->out->grid[0]);
    uint64_t pooled[SPC__TILE_X] = {0};

    for (int32_t k = 0; k < job->kernel[0]; k++) {
        int32_t down = k * job->dilation[0] - job->padding[0];

        for (int i = 0; i < SPC__TILE_X; i++)
            pooled[i] |= down >= 0 ? words[i] >> down : words[i] << -down;
    }
    for (int i = 0; i < SPC__TILE_X; i++)
        words[i] = (job->stride[0] == 2 ? even_bits(pooled[i]) : pooled[i]) & inside;
}

/* The output words of line y, from column x on; false where all are empty. */
static bool make_line(const struct strided *job, int32_t y, int32_t x, uint64_t words[SPC__TILE_X])
{
    int32_t first = x * job->stride[2] - job->padding[2];
    int32_t columns = job->out->grid[2] - x < SPC__TILE_X ? job->out->grid[2] - x : SPC__TILE_X;
    uint64_t line[MAX_LINE], any = 0;

    memset(line, 0, (size_t)job->line * sizeof(*line));
    for (int32_t k = 0; k < job->kernel[1]; k++)
        or_line(job, y * job->stride[1] + k * job->dilation[1] - job->padding[1], first, line);
    memset(words, 0, SPC__TILE_X * sizeof(*words));
    for (int32_t i = 0; i < columns; i++) {
        for (int32_t k = 0; k < job->kernel[2]; k++)
            words[i] |= line[i * job->stride[2] + k * job->dilation[2]];
        any |= words[i];
    }
    if (!any)
        return false;
    pool_z(job, words);
    any = 0;
    for (int i = 0; i < SPC__TILE_X; i++)
        any |= words[i];
    return any != 0;
}

static void tile_by_words(const struct strided *job, int32_t tile, int32_t y, int32_t x)
{
    struct spc__sites *out = job->out;
    int32_t slot = out->slot_of_tile[tile];
    uint64_t words[SPC__TILE_X];

    if (job->marking ? !any_input(job, y, x) : slot < 0 || slot >= out->num_slots)
        return;
    for (int32_t i = 0; i < SPC__TILE_Y && y + i < out->grid[1]; i++) {
        if (!make_line(job, y + i, x, words))
            continue;
        if (job->marking) {
            spc__sites_mark(out, tile);
            return;
        }
        memcpy(out->mask + (int64_t)slot * SPC__TILE_COLUMNS + i * SPC__TILE_X, words,
               sizeof(words));
    }
}

static bool fits_words(const struct strided *job)
{
    int64_t line = (int64_t)(SPC__TILE_X - 1) * job->stride[2] +
                   (int64_t)(job->kernel[2] - 1) * job->dilation[2] + 1;

    return line <= MAX_LINE && job->in->words == 1 && job->out->words == 1 &&
           job->stride[0] <= 2 && (job->out->grid[0] - 1) * job->stride[0] < 64 &&
           job->kernel[0] * job->dilation[0] + job->padding[0] < 64;
}

/* ---- by bits: any geometry ---- */

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

/* false where nothing is left */
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

/* One input line's part in one tile, for output line y. */
static void line_by_bits(const struct strided *job, int32_t y, int32_t in_y, int32_t tile_x)
{
    const struct spc__sites *in = job->in;
    int64_t column = spc__column(in, in_y, tile_x * SPC__TILE_X);
    uint64_t pooled[SPC__MAX_WORDS];

    for (int i = 0; column >= 0 && i < SPC__TILE_X; i++, column++)
        if (pool_bits(job, in->mask + column * in->words, pooled))
            emit_row(job, y, tile_x * SPC__TILE_X + i, pooled);
}

static void row_by_bits(const struct strided *job, int32_t y)
{
    for (int32_t k = 0; k < job->kernel[1]; k++)
        for (int32_t tile_x = 0; tile_x < job->in->tiles_x; tile_x++)
            line_by_bits(job, y, y * job->stride[1] + k * job->dilation[1] - job->padding[1],
                         tile_x);
}

/* ---- both ---- */

static void tile_row(void *context, int64_t task, int worker)
{
    const struct strided *job = context;
    int32_t y = (int32_t)task * SPC__TILE_Y;

    (void)worker;
    if (job->line) {
        for (int32_t tx = 0; tx < job->out->tiles_x; tx++)
            tile_by_words(job, (int32_t)task * job->out->tiles_x + tx, y, tx * SPC__TILE_X);
        return;
    }
    for (int32_t i = 0; i < SPC__TILE_Y && y + i < job->out->grid[1]; i++)
        row_by_bits(job, y + i);
}

enum spc_status spc__sites_from_strided(struct spc__sites *out, const struct spc__sites *in,
                                        const int32_t kernel[3], const int32_t stride[3],
                                        const int32_t padding[3], const int32_t dilation[3],
                                        const char *node, struct spc__pool *pool,
                                        struct spc_error *err)
{
    struct strided job = {out, in, kernel, stride, padding, dilation, 0, true};
    int32_t tiles;
    int64_t count = 0;

    if (fits_words(&job))
        job.line = (SPC__TILE_X - 1) * stride[2] + (kernel[2] - 1) * dilation[2] + 1;
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
        return spc__refuse_sites(node, count, out->bound, err);
    }
    spc__sites_finish(out, count);
    return SPC_OK;
}
