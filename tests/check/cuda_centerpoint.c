/* SPDX-License-Identifier: MIT */
/* The index of CenterPoint's backbone on the device, for its frame: checked, and timed by parts. */
#include "centerpoint.h"
#include "cuda_sites.h"
#include "device.h"

#include "cuda/blob.h"

#include <stdlib.h>
#include <string.h>

#define LEVELS CENTERPOINT_LEVELS
#define JOBS (2 * LEVELS - 2)

struct network {
    struct twin twins[LEVELS];
    struct twin_frame frame;
    struct spc_cuda_blobs blobs[JOBS];
    struct spc_cuda_blob_job jobs[JOBS];
    int32_t *nbr;
    int32_t (*rows)[4];
    int32_t count;
};

static void add_job(struct network *n, int job, const struct spc__geometry *g, int in, int out)
{
    struct spc_cuda_blobs *blobs = &n->blobs[job];

    n->jobs[job] = (struct spc_cuda_blob_job){n->twins[out].cuda, n->twins[in].cuda,
                                              twin_geometry(g), blobs};
    if (!spc_cuda_blobs_shape(blobs, g->kernel, g->dilation, g->inverse,
                              SPC_CUDA_BLOB_MAX_HALO))
        abort();
    blobs->blobs = device_alloc((size_t)(spc_cuda_blob_tiles(CENTERPOINT_BOUND) * blobs->stride));
}

static void make_network(struct check *check, struct network *n)
{
    bool real;

    memset(n, 0, sizeof(*n));
    n->rows = check_alloc(check, CENTERPOINT_BOUND * sizeof(*n->rows));
    n->count = (int32_t)centerpoint_rows(check, n->rows, &real);
    for (int i = 0; i < LEVELS; i++)
        twin_make(&n->twins[i], centerpoint_grids[i], CENTERPOINT_BOUND);
    for (int i = 1; i < LEVELS; i++)
        n->frame.makers[i] =
            (struct spc_cuda_maker){i - 1, twin_geometry(&centerpoint_down[i - 1])};
    twin_frame_make(check, &n->frame, n->twins, LEVELS);
    for (int i = 0; i < LEVELS - 1; i++) {
        add_job(n, i, &centerpoint_subm, i, i);
        add_job(n, LEVELS - 1 + i, &centerpoint_down[i], i, i + 1);
    }
    n->nbr = device_alloc((size_t)27 * CENTERPOINT_BOUND * sizeof(int32_t));
}

static void clear_network(struct network *n)
{
    for (int i = 0; i < LEVELS; i++)
        twin_clear(&n->twins[i]);
    device_release();
}

static void test_centerpoint(struct check *check)
{
    struct network n;

    if (!device_usable(check))
        return;
    make_network(check, &n);
    for (int round = 0; round < 2; round++) {
        twin_frame_run(check, &n.frame, n.rows[0], n.count, n.count);
        twin_check_input(check, &n.frame, n.rows[0], n.count);
        for (int i = 1; i < LEVELS; i++)
            twin_check_strided(check, &n.frame, i, &centerpoint_down[i - 1]);
    }
    for (int i = 0; i < LEVELS - 1; i++) {
        twin_check_tables(check, &centerpoint_subm, &n.twins[i], &n.twins[i]);
        twin_check_tables(check, &centerpoint_down[i], &n.twins[i], &n.twins[i + 1]);
    }
    clear_network(&n);
}

/* ---- timing: each adds to what comes before it ---- */

static cudaError_t run_input(void *context, cudaStream_t stream)
{
    struct network *n = context;

    return spc_cuda_index_input(n->frame.levels, LEVELS, &n->frame.input, n->frame.report, stream);
}

static cudaError_t run_input_blobs(void *context, cudaStream_t stream)
{
    struct network *n = context;
    cudaError_t code = run_input(n, stream);

    return code ? code : spc_cuda_index_blobs(n->jobs, 1, stream);
}

static cudaError_t run_input_table(void *context, cudaStream_t stream)
{
    struct network *n = context;
    const struct spc_cuda_sites *sites = &n->frame.levels[0];
    cudaError_t code = run_input(n, stream);

    return code ? code
                : spc_cuda_index_neighbours(sites, sites, &n->jobs[0].geometry, n->nbr,
                                            CENTERPOINT_BOUND, stream);
}

static cudaError_t run_levels(void *context, cudaStream_t stream)
{
    struct network *n = context;
    cudaError_t code = run_input_blobs(n, stream);

    return code ? code
                : spc_cuda_index_strided(n->frame.levels, n->frame.makers, LEVELS, n->frame.report,
                                         stream);
}

static cudaError_t run_all(void *context, cudaStream_t stream)
{
    struct network *n = context;
    cudaError_t code = run_levels(n, stream);

    return code ? code : spc_cuda_index_blobs(n->jobs + 1, JOBS - 1, stream);
}

static void bench_centerpoint(struct check *check)
{
    struct network n;

    if (!device_usable(check))
        return;
    make_network(check, &n);
    twin_frame_run(check, &n.frame, n.rows[0], n.count, n.count);
    device_bench(check, "level 0", n.count, "voxel", run_input, &n);
    device_bench(check, "+ its neighbours", n.count, "voxel", run_input_table, &n);
    device_bench(check, "+ its blobs", n.count, "voxel", run_input_blobs, &n);
    device_bench(check, "+ other levels", n.count, "voxel", run_levels, &n);
    device_bench(check, "+ their blobs", n.count, "voxel", run_all, &n);
    clear_network(&n);
}

const struct check_case check_cuda_frame[] = {
    {"centerpoint", test_centerpoint, bench_centerpoint},
    {NULL, NULL, NULL},
};
