/* SPDX-License-Identifier: MIT */
/* Frames of index cases: run on the device, compared with the CPU. */
#include "cuda_sites.h"
#include "device.h"

#include <string.h>

static size_t report_size(int levels)
{
    return sizeof(struct spc_cuda_report) + (size_t)levels * sizeof(int32_t);
}

void twin_frame_make(struct check *check, struct twin_frame *f, struct twin *twins, int num_levels)
{
    size_t bound = (size_t)twins[0].cuda.bound;

    f->twins = twins;
    f->num_levels = num_levels;
    for (int i = 0; i < num_levels; i++)
        f->levels[i] = twins[i].cuda;
    f->indices = device_alloc(bound * 4 * sizeof(int32_t));
    f->num_voxels = device_alloc(sizeof(int32_t));
    f->report = device_alloc(report_size(num_levels));
    f->input = (struct spc_cuda_input){
        .indices = f->indices,
        .num_voxels = (int32_t)bound,
        .device_count = f->num_voxels,
        .order = SPC_INDEX_ZYX,
        .row_of_input = device_alloc(bound * sizeof(int32_t)),
    };
    device_ok(check, "reset", spc_cuda_index_reset(f->levels, num_levels, f->report, NULL));
}

cudaError_t twin_frame_launch(struct twin_frame *f, cudaStream_t stream)
{
    cudaError_t code = spc_cuda_index_clear(f->levels, f->num_levels, f->report, stream);

    if (!code)
        code = spc_cuda_index_mark(f->levels, &f->input, f->report, stream);
    if (!code)
        code = spc_cuda_index_rank(f->levels, 1, f->report->totals, stream);
    if (!code)
        code = spc_cuda_index_place(f->levels, &f->input, f->report, stream);
    return code ? code
                : spc_cuda_index_strided(f->levels, f->makers, 1, f->num_levels, false, f->report,
                                         stream);
}

void twin_frame_run(struct check *check, struct twin_frame *f, const int32_t *rows,
                    int64_t num_rows, int32_t count)
{
    device_ok(check, "indices", cudaMemcpy(f->indices, rows, (size_t)num_rows * 4 * sizeof(*rows),
                                           cudaMemcpyHostToDevice));
    device_ok(check, "count",
              cudaMemcpy(f->num_voxels, &count, sizeof(count), cudaMemcpyHostToDevice));
    device_ok(check, "frame", twin_frame_launch(f, NULL));
}

struct spc_cuda_report *twin_frame_report(struct check *check, const struct twin_frame *f)
{
    struct spc_cuda_report *report = check_alloc(check, report_size(f->num_levels));

    device_read(report, f->report, report_size(f->num_levels));
    return report;
}

void twin_random_geometry(struct check *check, struct spc__geometry *g, const int32_t in[3],
                          int32_t out[3])
{
    bool common = check_int(check, 0, 1); /* what the fast ways are for */

    memset(g, 0, sizeof(*g));
    for (int a = 0; a < 3; a++) {
        int32_t room;

        g->kernel[a] = common ? 3 : (int32_t)check_int(check, 1, 5);
        g->dilation[a] = common ? 1 : (int32_t)check_int(check, 1, 3);
        g->stride[a] = common ? 2 : (int32_t)check_int(check, 1, 4);
        g->padding[a] = (int32_t)check_int(check, 0, common ? 1 : 3);
        room = in[a] + 2 * g->padding[a] - g->dilation[a] * (g->kernel[a] - 1) - 1;
        out[a] = room < 0 ? 1 : room / g->stride[a] + 1;
    }
}

void twin_random_grid(struct check *check, int round, int32_t grid[3])
{
    static const int32_t depths[] = {1, 2, 21, 41, 63, 64, 65, 130};

    grid[0] = depths[round % (int)(sizeof(depths) / sizeof(depths[0]))];
    grid[1] = (int32_t)check_int(check, 1, 40);
    grid[2] = (int32_t)check_int(check, 1, 60);
}

int64_t twin_cells(const int32_t grid[3])
{
    return (int64_t)grid[0] * grid[1] * grid[2];
}

void twin_check_input(struct check *check, struct twin_frame *f, const int32_t *rows, int64_t count)
{
    int32_t *expected = check_alloc(check, (size_t)count * sizeof(*expected));
    int32_t *map = check_alloc(check, (size_t)count * sizeof(*map));
    struct spc_cuda_report *report = twin_frame_report(check, f);

    check_true(check,
               !spc__sites_from_indices(&f->twins[0].cpu, rows, count, SPC_INDEX_ZYX, expected,
                                        NULL),
               "the CPU refuses the sites");
    device_read(map, f->input.row_of_input, (size_t)count * sizeof(*map));
    check_same(check, "rows of input rows", map, expected, (size_t)count * sizeof(*map));
    check_true(check, report->num_voxels == count && !report->input_fault,
               "the report has %d voxels and fault %d", report->num_voxels, report->input_fault);
    twin_same(check, &f->twins[0]);
    check_true(check, report->totals[0] == f->twins[0].cpu.count, "level 0 has %d sites in all",
               report->totals[0]);
}

void twin_check_strided(struct check *check, struct twin_frame *f, int level,
                        const struct spc__geometry *g)
{
    struct spc__pool *pool = spc__pool_create(1, NULL);
    struct spc__sites *out = &f->twins[level].cpu;
    struct spc_cuda_report *report = twin_frame_report(check, f);

    check_true(check,
               !spc__sites_from_strided(out, &f->twins[f->makers[level].in_level].cpu, g->kernel,
                                        g->stride, g->padding, g->dilation, "node", pool, NULL),
               "the CPU refuses strided sites");
    twin_same(check, &f->twins[level]);
    check_true(check, report->totals[level] == out->count, "level %d has %d sites in all", level,
               report->totals[level]);
    spc__pool_destroy(pool);
}
