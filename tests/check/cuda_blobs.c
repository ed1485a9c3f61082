/* SPDX-License-Identifier: MIT */
/* Tile blobs from neighbour tables, on the host. */
#include "cuda_blobs.h"
#include "device.h"

#include "base/pool.h"

#include <stdlib.h>
#include <string.h>

/* The neighbour of row `row` of the tile that begins at `first`, in step `step`. */
static int32_t neighbour(const struct host_blobs *blobs, int64_t rows, int64_t row, int step)
{
    int k = step % blobs->form.run * blobs->form.groups + step / blobs->form.run;

    return row < rows ? blobs->neighbours[k * rows + row] : -1;
}

static int by_value(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return x < y ? -1 : x > y;
}

/* The input rows that a tile meets, each once, ascending. */
static int collect_halo(const struct host_blobs *blobs, int64_t rows, int64_t first, int32_t *halo,
                        uint32_t *active)
{
    int count = 0, unique = 0;

    *active = 0;
    for (int step = 0; step < blobs->offsets; step++)
        for (int r = 0; r < SPC_CUDA_BLOB_ROWS; r++) {
            int32_t from = neighbour(blobs, rows, first + r, step);

            if (from < 0)
                continue;
            halo[count++] = from;
            *active |= 1u << step;
        }
    qsort(halo, (size_t)count, sizeof(*halo), by_value);
    for (int i = 0; i < count; i++)
        if (!i || halo[i] != halo[i - 1])
            halo[unique++] = halo[i];
    return unique;
}

/* Lowest member's place and present bits of one entry. */
static uint32_t make_entry(const struct host_blobs *blobs, int64_t rows, int64_t row, int group,
                           const int32_t *halo, int count, bool wide)
{
    int shift = wide ? SPC_CUDA_BLOB_WIDE_SHIFT : SPC_CUDA_BLOB_NARROW_SHIFT;
    uint32_t entry = 0;
    int32_t lowest = -1;

    for (int m = 0; m < blobs->form.run; m++) {
        int32_t from = neighbour(blobs, rows, row, group * blobs->form.run + m);

        if (from < 0)
            continue;
        lowest = lowest < 0 ? from : lowest;
        entry |= 1u << (shift + m);
    }
    if (lowest < 0)
        return 0;
    if (wide)
        return entry | (uint32_t)lowest;
    return entry | (uint32_t)((int32_t *)bsearch(&lowest, halo, (size_t)count, sizeof(*halo),
                                                 by_value) - halo);
}

static void make_blob(struct host_blobs *blobs, int64_t rows, int64_t first, int32_t *halo)
{
    uint8_t *blob = blobs->form.blobs + first / SPC_CUDA_BLOB_ROWS * blobs->form.stride;
    struct spc_cuda_blob_header header = {0};
    int count = collect_halo(blobs, rows, first, halo, &header.active);
    bool wide = count > blobs->form.max_halo;
    uint16_t *narrow = (uint16_t *)(blob + sizeof(header));
    uint32_t *words = (uint32_t *)(blob + sizeof(header));
    size_t entries = (size_t)blobs->form.groups * SPC_CUDA_BLOB_ROWS;

    header.halo = wide ? -1 : count;
    memcpy(blob, &header, sizeof(header));
    for (size_t i = 0; i < entries; i++) {
        uint32_t entry = make_entry(blobs, rows, first + (int64_t)(i % SPC_CUDA_BLOB_ROWS),
                                    (int)(i / SPC_CUDA_BLOB_ROWS), halo, count, wide);

        if (wide)
            words[i] = entry;
        else
            narrow[i] = (uint16_t)entry;
    }
    if (!wide)
        memcpy(narrow + entries, halo, (size_t)count * sizeof(*halo));
}

static void make_blobs(struct check *check, struct host_blobs *blobs, int64_t rows)
{
    int32_t *halo = check_alloc(check, (size_t)blobs->offsets * SPC_CUDA_BLOB_ROWS * sizeof(*halo));

    blobs->bytes = (size_t)(spc_cuda_blob_tiles(rows) * blobs->form.stride);
    blobs->form.blobs = check_alloc(check, blobs->bytes + 1);
    for (int64_t first = 0; first < rows; first += SPC_CUDA_BLOB_ROWS)
        make_blob(blobs, rows, first, halo);
    blobs->pairs = 0;
    for (int64_t i = 0; i < blobs->offsets * rows; i++)
        blobs->pairs += blobs->neighbours[i] >= 0;
}

static void make_form(struct check *check, struct host_blobs *blobs, const int kernel[3],
                      int64_t rows, int32_t max_halo)
{
    const int32_t extent[3] = {kernel[0], kernel[1], kernel[2]}, dilation[3] = {1, 1, 1};

    check_true(check, spc_cuda_blobs_shape(&blobs->form, extent, dilation, false, max_halo),
               "a kernel of %d x %d x %d is refused", kernel[0], kernel[1], kernel[2]);
    blobs->offsets = kernel[0] * kernel[1] * kernel[2];
    blobs->neighbours =
        check_alloc(check, (size_t)(blobs->offsets * rows) * sizeof(*blobs->neighbours) + 1);
    for (int64_t i = 0; i < blobs->offsets * rows; i++)
        blobs->neighbours[i] = -1;
}

void random_blobs(struct check *check, struct host_blobs *blobs, const int kernel[3],
                  int64_t rows, int64_t in_rows, int64_t reach, int32_t max_halo)
{
    int64_t lowest = 0;
    uint32_t met = 0;

    make_form(check, blobs, kernel, rows, max_halo);
    for (int64_t row = 0; row < rows; row++) {
        if (row % SPC_CUDA_BLOB_ROWS == 0) {
            lowest = check_int(check, 0, in_rows - reach);
            met = (uint32_t)check_random(check) | (uint32_t)check_random(check);
        }
        for (int group = 0; group < blobs->form.groups; group++) {
            int64_t from = lowest + check_int(check, 0, reach - blobs->form.run);
            int chance = (int)check_int(check, 0, 2);

            for (int m = 0; m < blobs->form.run; m++) {
                if (!(met >> (group * blobs->form.run + m) & 1) || check_int(check, 0, 2) < chance)
                    continue;
                blobs->neighbours[(m * blobs->form.groups + group) * rows + row] = (int32_t)from++;
            }
        }
    }
    make_blobs(check, blobs, rows);
}

void sites_blobs(struct check *check, struct host_blobs *blobs,
                 const struct spc__geometry *geometry, const struct spc__sites *in,
                 const struct spc__sites *out, int32_t max_halo)
{
    struct spc__pool *pool = spc__pool_create(1, NULL);
    struct spc__pairs pairs;

    make_form(check, blobs, geometry->kernel, out->count, max_halo);
    if (!pool || spc__pairs_init(&pairs, blobs->offsets, out->bound, 256, NULL))
        abort();
    spc__pairs_build(&pairs, geometry, in, out, 256, pool);
    for (int64_t w = 0; w < pairs.num_windows; w++)
        for (int k = 0; k < blobs->offsets; k++) {
            const int64_t *start = pairs.start + w * (blobs->offsets + 1) + k;

            for (int64_t p = start[0]; p < start[1]; p++)
                blobs->neighbours[k * out->count + w * pairs.window + pairs.out[p]] = pairs.in[p];
        }
    make_blobs(check, blobs, out->count);
    spc__pairs_clear(&pairs);
    spc__pool_destroy(pool);
}

void *device_blobs(struct check *check, const struct host_blobs *blobs, int64_t bound)
{
    size_t bytes = (size_t)(spc_cuda_blob_tiles(bound) * blobs->form.stride);
    void *all = check_alloc(check, bytes);

    memcpy(all, blobs->form.blobs, blobs->bytes);
    return device_copy(all, bytes);
}
