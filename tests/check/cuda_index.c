/* SPDX-License-Identifier: MIT */
/* The index on the device against the CPU's, bit for bit: sites and faults. */
#include "cells.h"
#include "cuda_sites.h"
#include "device.h"

#include "base/half.h"

#include <string.h>

/* Frames of several densities through the same memory: each must clear what the last one left. */
static void run_frames(struct check *check, struct twin_frame *f, const struct spc__geometry *g)
{
    for (int i = 0; i < 3; i++) {
        int64_t count;
        int32_t(*rows)[4] = cells_rows(check, f->levels[0].grid, cells_density(check), &count);

        twin_frame_run(check, f, rows[0], count, (int32_t)count);
        twin_check_input(check, f, rows[0], count);
        for (int level = 1; level < f->num_levels; level++)
            twin_check_strided(check, f, level, &g[level]);
        check_release(check);
    }
}

static void test_sites(struct check *check)
{
    for (int round = 0; device_usable(check) && round < TWIN_ROUNDS; round++) {
        struct twin twins[TWIN_MAX_LEVELS];
        struct spc__geometry g[TWIN_MAX_LEVELS];
        struct twin_frame f = {0};
        int32_t grid[3];

        twin_random_grid(check, round, grid);
        twin_make(&twins[0], grid, twin_cells(grid));
        for (int i = 1; i < TWIN_MAX_LEVELS; i++) {
            f.makers[i].in_level = (int)check_int(check, 0, i - 1);
            twin_random_geometry(check, &g[i], twins[f.makers[i].in_level].cpu.grid, grid);
            f.makers[i].geometry = twin_geometry(&g[i]);
            twin_make(&twins[i], grid, twin_cells(grid));
        }
        twin_frame_make(check, &f, twins, TWIN_MAX_LEVELS);
        run_frames(check, &f, g);
        for (int i = 0; i < TWIN_MAX_LEVELS; i++)
            twin_clear(&twins[i]);
        device_release();
    }
}

/* So many tiles that their counts are summed in groups; the last rows in the last tiles. */
static void test_large(struct check *check)
{
    static const int32_t grid[3] = {3, 1500, 3300};
    enum { ROWS = 5000 };
    int32_t(*rows)[4] = check_alloc(check, ROWS * sizeof(*rows));
    struct twin twin;
    struct twin_frame f = {0};

    if (!device_usable(check))
        return;
    for (int32_t i = 0; i < ROWS; i++) {
        rows[i][0] = 0;
        rows[i][1] = (int32_t)check_int(check, 0, grid[0] - 1);
        rows[i][2] = i * (grid[1] - 1) / (ROWS - 1);
        rows[i][3] = (int32_t)((int64_t)i * 7919 % grid[2]);
    }
    twin_make(&twin, grid, ROWS);
    twin_frame_make(check, &f, &twin, 1);
    twin_frame_run(check, &f, rows[0], ROWS, ROWS);
    twin_check_input(check, &f, rows[0], ROWS);
    twin_clear(&twin);
    device_release();
}

/* Features of either type, with any number of channels, in rows as long as they need. */
static void check_places(struct check *check, struct twin_frame *f, const int32_t *rows,
                         int32_t count, bool half)
{
    int32_t channels = (int32_t)check_int(check, 1, 40), stride = (channels + 15) / 16 * 16;
    size_t values = (size_t)count * (size_t)channels, padded = (size_t)count * (size_t)stride;
    uint16_t *halves = check_alloc(check, values * sizeof(*halves));
    float *floats = check_alloc(check, values * sizeof(*floats));
    uint16_t *expected = check_alloc(check, padded * sizeof(*expected));
    uint16_t *actual = check_alloc(check, padded * sizeof(*actual));
    int32_t *map = check_alloc(check, (size_t)count * sizeof(*map));

    for (size_t i = 0; i < values; i++) {
        floats[i] = check_float(check, -100, 100);
        halves[i] = spc__half_from_float(floats[i]);
    }
    f->input.features = half ? device_copy(halves, values * sizeof(*halves))
                             : device_copy(floats, values * sizeof(*floats));
    f->input.feature_type = half ? SPC_DTYPE_F16 : SPC_DTYPE_F32;
    f->input.channels = channels;
    f->input.padded = device_alloc(padded * sizeof(*actual));
    f->input.padded_stride = stride;
    twin_frame_run(check, f, rows, count, count);
    device_read(map, f->input.row_of_input, (size_t)count * sizeof(*map));
    device_read(actual, f->input.padded, padded * sizeof(*actual));
    memset(expected, 0, padded * sizeof(*expected));
    for (int32_t i = 0; i < count; i++)
        memcpy(expected + (size_t)map[i] * (size_t)stride, halves + (size_t)i * (size_t)channels,
               (size_t)channels * sizeof(*halves));
    check_same(check, "padded features", actual, expected, padded * sizeof(*actual));
    twin_check_input(check, f, rows, count);
    check_release(check);
}

static void test_places(struct check *check)
{
    static const int32_t grid[3] = {41, 24, 40};
    struct twin twin;
    struct twin_frame f = {0};

    if (!device_usable(check))
        return;
    twin_make(&twin, grid, twin_cells(grid));
    twin_frame_make(check, &f, &twin, 1);
    for (int i = 0; i < 4; i++) {
        int64_t count;
        int32_t(*rows)[4] = cells_rows(check, grid, cells_density(check), &count);

        check_places(check, &f, rows[0], (int32_t)count, i % 2);
    }
    twin_clear(&twin);
    device_release();
}

/* ---- faults ---- */

static void expect_fault(struct check *check, struct twin_frame *f, int32_t rows[][4],
                         const char *what)
{
    struct spc_cuda_report *report;

    twin_frame_run(check, f, rows[0], 3, 3);
    report = twin_frame_report(check, f);
    check_true(check, report->input_fault != 0, "no fault with %s", what);
    twin_frame_run(check, f, rows[0], 3, 2);
    report = twin_frame_report(check, f);
    check_true(check, !report->input_fault && report->totals[0] == 2,
               "a good frame after %s has fault %d and %d sites", what, report->input_fault,
               report->totals[0]);
}

static void test_faults(struct check *check)
{
    static const int32_t grid[3] = {5, 20, 20};
    int32_t bad[][4] = {{1, 0, 0, 0},  {0, 5, 0, 0}, {0, 0, 20, 0},         {0, 0, 0, 20},
                        {0, -1, 0, 0}, {0, 4, 3, 2}, {0, 0, INT32_MIN, 0}, {-1, 0, 0, 0}};
    struct twin twin;
    struct twin_frame f = {0};

    if (!device_usable(check))
        return;
    twin_make(&twin, grid, 4);
    twin_frame_make(check, &f, &twin, 1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int32_t rows[3][4] = {{0, 4, 3, 2}, {0, 1, 2, 3}};

        memcpy(rows[2], bad[i], sizeof(bad[i]));
        expect_fault(check, &f, rows, "a bad row");
    }
    twin_clear(&twin);
    device_release();
}

/* More voxels and more strided sites than the bounds: true totals, counts at the bound. */
static void test_bounds(struct check *check)
{
    static const int32_t grid[3] = {40, 40, 40};
    struct spc__geometry g = {false, false, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}};
    struct twin twins[2];
    struct twin_frame f = {0};
    struct spc_cuda_report *report;
    int64_t count;
    int32_t(*rows)[4], counts[2];

    if (!device_usable(check))
        return;
    rows = cells_rows(check, grid, 100, &count);
    twin_make(&twins[0], grid, count);
    twin_make(&twins[1], grid, 300);
    f.makers[1].geometry = twin_geometry(&g);
    twin_frame_make(check, &f, twins, 2);
    for (int32_t given = -1; given <= count + 1; given += (int32_t)count + 2) {
        twin_frame_run(check, &f, rows[0], count, given);
        report = twin_frame_report(check, &f);
        device_read(&counts[0], f.levels[0].count, sizeof(counts[0]));
        device_read(&counts[1], f.levels[1].count, sizeof(counts[1]));
        check_true(check, report->num_voxels == given, "the report has %d voxels, not %d",
                   report->num_voxels, given);
        check_true(check, counts[0] == (given < 0 ? 0 : count) && counts[0] == report->totals[0],
                   "%d of %lld voxels were taken", counts[0], (long long)count);
        check_true(check, given < 0 ? !report->totals[1] : report->totals[1] > 300,
                   "%d strided sites in all", report->totals[1]);
        check_true(check, counts[1] == (given < 0 ? 0 : 300), "%d strided sites", counts[1]);
    }
    twin_clear(&twins[0]);
    twin_clear(&twins[1]);
    device_release();
}

const struct check_case check_cuda_index[] = {
    {"sites", test_sites, NULL},   {"large", test_large, NULL},   {"places", test_places, NULL},
    {"faults", test_faults, NULL}, {"bounds", test_bounds, NULL}, {NULL, NULL, NULL},
};
