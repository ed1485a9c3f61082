/* SPDX-License-Identifier: MIT */
/* Neighbour tables and tile blobs of the device against the CPU's pairs. */
#include "cells.h"
#include "cuda_sites.h"
#include "device.h"

#include "cuda/blob.h"

#include <stdlib.h>

static void check_neighbours(struct check *check, const int32_t *expected,
                             const struct spc__geometry *g, const struct twin *in,
                             const struct twin *out)
{
    struct spc_cuda_geometry geometry = twin_geometry(g);
    size_t size = (size_t)(g->kernel[0] * g->kernel[1] * g->kernel[2]) *
                  (size_t)out->cpu.count * sizeof(int32_t);
    int32_t *nbr = check_alloc(check, size), *device = device_alloc(size);

    device_ok(check, "neighbours",
              spc_cuda_index_neighbours(&out->cuda, &in->cuda, &geometry, device, out->cpu.count,
                                        NULL));
    device_read(nbr, device, size);
    check_same(check, "neighbours", nbr, expected, size);
}

/* Input row that an entry gives for a member, -1: none; -2 where it points past the halo. */
static int32_t member_row(const struct spc_cuda_blob_header *header,
                          const struct spc_cuda_blobs *blobs, int entry, int member)
{
    const uint16_t *narrow = (const uint16_t *)(header + 1);
    const uint32_t *wide = (const uint32_t *)(header + 1);
    const int32_t *halo = (const int32_t *)(narrow + blobs->groups * SPC_CUDA_BLOB_ROWS);
    int shift = header->halo < 0 ? SPC_CUDA_BLOB_WIDE_SHIFT : SPC_CUDA_BLOB_NARROW_SHIFT;
    uint32_t value = header->halo < 0 ? wide[entry] : narrow[entry], present = value >> shift;
    int32_t place = (int32_t)(value & ((1u << shift) - 1));

    if (!(present >> member & 1))
        return -1;
    place += __builtin_popcount(present & ((1u << member) - 1));
    if (header->halo < 0)
        return place;
    return place < header->halo ? halo[place] : -2;
}

static void check_blob(struct check *check, const struct spc_cuda_blob_header *header,
                       const struct spc_cuda_blobs *blobs, const int32_t *nbr, int64_t first,
                       int64_t rows)
{
    int offsets = blobs->groups * blobs->run;
    uint32_t active = 0;
    bool same = true;

    for (int k = 0; k < offsets; k++)
        for (int i = 0; i < SPC_CUDA_BLOB_ROWS; i++) {
            int group = k % blobs->groups, member = k / blobs->groups;
            int32_t row = first + i < rows ? nbr[k * rows + first + i] : -1;

            if (row >= 0)
                active |= 1u << (group * blobs->run + member);
            same = same && row == member_row(header, blobs, group * SPC_CUDA_BLOB_ROWS + i, member);
        }
    check_true(check, same, "a neighbour in the blob of row %lld is wrong", (long long)first);
    check_true(check, header->active == active, "active offsets %x, expected %x", header->active,
               active);
}

static int compare_rows(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

/* The halo is what the neighbours are, each once; wide only where that is too much. */
static void check_halo(struct check *check, const struct spc_cuda_blob_header *header,
                       const struct spc_cuda_blobs *blobs, const int32_t *nbr, int64_t first,
                       int64_t rows)
{
    const int32_t *halo = (const int32_t *)((const uint16_t *)(header + 1) +
                                            blobs->groups * SPC_CUDA_BLOB_ROWS);
    int offsets = blobs->groups * blobs->run, n = 0, unique = 0;
    int32_t *all = check_alloc(check, (size_t)offsets * SPC_CUDA_BLOB_ROWS * sizeof(*all));
    bool narrow;

    for (int k = 0; k < offsets; k++)
        for (int64_t row = first; row < rows && row < first + SPC_CUDA_BLOB_ROWS; row++)
            if (nbr[k * rows + row] >= 0)
                all[n++] = nbr[k * rows + row];
    qsort(all, (size_t)n, sizeof(*all), compare_rows);
    for (int i = 0; i < n; i++)
        if (!i || all[i] != all[i - 1])
            all[unique++] = all[i];
    narrow = unique <= blobs->max_halo &&
             (!unique || all[unique - 1] / 16 - all[0] / 16 < SPC_CUDA_BLOB_SPAN / 16);
    if (check_true(check, header->halo == (narrow ? unique : -1), "a halo of %d rows, expected %d",
                   header->halo, narrow ? unique : -1) &&
        header->halo > 0)
        check_same(check, "halo", halo, all, (size_t)unique * sizeof(*all));
}

/* A rulebook between twins. */
struct rulebook {
    const struct spc__geometry *geometry;
    const struct twin *in, *out;
    const int32_t *nbr; /* what the CPU says */
    struct spc_cuda_blobs blobs;
    size_t size;
};

/* Memory for its blobs; false where its kernel is too large for any. */
static bool make_blobs(struct rulebook *r, int32_t max_halo)
{
    const struct spc__geometry *g = r->geometry;

    if (!spc_cuda_blobs_shape(&r->blobs, g->kernel, g->dilation, g->inverse, max_halo))
        return false;
    r->size = (size_t)(spc_cuda_blob_tiles(r->out->cuda.bound) * r->blobs.stride);
    r->blobs.blobs = device_alloc(r->size);
    return true;
}

static void check_blobs(struct check *check, const struct rulebook *r)
{
    int64_t rows = r->out->cpu.count;
    uint8_t *copy = check_alloc(check, r->size);

    device_read(copy, r->blobs.blobs, r->size);
    for (int64_t row = 0; row < rows; row += SPC_CUDA_BLOB_ROWS) {
        const void *blob = copy + row / SPC_CUDA_BLOB_ROWS * r->blobs.stride;

        check_blob(check, blob, &r->blobs, r->nbr, row, rows);
        check_halo(check, blob, &r->blobs, r->nbr, row, rows);
    }
}

#define MOST_TOGETHER 3

/* Blobs of some rulebooks in one call, where their kernels are small enough. */
static void run_blobs(struct check *check, const struct rulebook *rulebooks, int count,
                      int32_t max_halo, enum spc_cuda_order order)
{
    struct rulebook made[MOST_TOGETHER];
    struct spc_cuda_blob_job jobs[MOST_TOGETHER] = {0};
    int num_jobs = 0;

    for (int i = 0; i < count; i++) {
        struct rulebook *r = &made[num_jobs];

        *r = rulebooks[i];
        if (make_blobs(r, max_halo))
            jobs[num_jobs++] = (struct spc_cuda_blob_job){r->out->cuda, r->in->cuda,
                                                          twin_geometry(r->geometry), &r->blobs};
    }
    device_ok(check, "blobs", spc_cuda_index_blobs(jobs, num_jobs, order, NULL));
    for (int i = 0; i < num_jobs; i++)
        check_blobs(check, &made[i]);
}

/* Rulebooks of different kinds, which different kernels take, in one call; the second alone too. */
static void check_together(struct check *check, struct rulebook *rulebooks, int count,
                           enum spc_cuda_order order)
{
    for (int i = 0; i < count; i++)
        rulebooks[i].nbr = twin_neighbours(check, rulebooks[i].geometry, &rulebooks[i].in->cpu,
                                           &rulebooks[i].out->cpu);
    run_blobs(check, rulebooks, count, SPC_CUDA_BLOB_MAX_HALO, order);
    run_blobs(check, rulebooks + 1, 1, SPC_CUDA_BLOB_MAX_HALO, order);
    check_release(check);
}

void twin_check_tables(struct check *check, const struct spc__geometry *g, const struct twin *in,
                       const struct twin *out)
{
    int32_t *nbr = twin_neighbours(check, g, &in->cpu, &out->cpu);
    struct rulebook rulebook = {.geometry = g, .in = in, .out = out, .nbr = nbr};

    check_neighbours(check, nbr, g, in, out);
    run_blobs(check, &rulebook, 1, SPC_CUDA_BLOB_MAX_HALO, SPC_CUDA_BEHIND);
    run_blobs(check, &rulebook, 1, (int32_t)check_int(check, 1, 200), SPC_CUDA_BEHIND);
    check_release(check);
}

static void test_tables(struct check *check)
{
    for (int round = 0; device_usable(check) && round < TWIN_ROUNDS; round++) {
        struct twin twins[2];
        struct spc__geometry g[3]; /* submanifold, strided, inverse */
        struct rulebook rulebooks[] = {{.geometry = &g[0], .in = &twins[0], .out = &twins[0]},
                                       {.geometry = &g[2], .in = &twins[1], .out = &twins[0]},
                                       {.geometry = &g[1], .in = &twins[0], .out = &twins[1]}};
        struct twin_frame f = {0};
        int32_t grid[3], (*rows)[4];
        int64_t count;

        twin_random_grid(check, round, grid);
        twin_make(&twins[0], grid, twin_cells(grid));
        twin_random_geometry(check, &g[1], twins[0].cpu.grid, grid);
        f.makers[1].geometry = twin_geometry(&g[1]);
        twin_make(&twins[1], grid, twin_cells(grid));
        twin_frame_make(check, &f, twins, 2);
        rows = cells_rows(check, f.levels[0].grid, cells_density(check), &count);
        twin_frame_run(check, &f, rows[0], count, (int32_t)count);
        twin_check_input(check, &f, rows[0], count);
        twin_check_strided(check, &f, 1, &g[1]);
        twin_check_tables(check, &g[1], &twins[0], &twins[1]);
        g[2] = g[1];
        g[2].inverse = true;
        twin_check_tables(check, &g[2], &twins[1], &twins[0]);
        g[0] = (struct spc__geometry){.subm = true};
        for (int a = 0; a < 3; a++) {
            g[0].kernel[a] = g[1].kernel[a] | 1;
            g[0].dilation[a] = g[1].dilation[a];
        }
        twin_check_tables(check, &g[0], &twins[0], &twins[0]);
        check_together(check, rulebooks, MOST_TOGETHER,
                       (enum spc_cuda_order)check_int(check, SPC_CUDA_BEHIND, SPC_CUDA_BESIDE));
        twin_clear(&twins[0]);
        twin_clear(&twins[1]);
        device_release();
    }
}

const struct check_case check_cuda_tables[] = {
    {"random", test_tables, NULL},
    {NULL, NULL, NULL},
};
