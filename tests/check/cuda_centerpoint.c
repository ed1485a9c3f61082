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
#define CHANNELS 5 /* of the input, */
#define PADDED 16  /* and as the first convolution reads it */

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

enum part {
    MARK,      /* level 0 is marked, and cleared at the end, as in all that follow */
    RANK,      /* + its rows */
    TABLE,     /* + its neighbours */
    PLACE,     /* or + the input's rows */
    BLOBS,     /* + its blobs: until a first convolution can start */
    LEVELS_UP, /* + other levels */
    ALL,       /* + their blobs */
};

static cudaError_t run_strided(struct network *n, cudaStream_t stream)
{
    return spc_cuda_index_strided(n->frame.levels, n->frame.makers, 1, LEVELS, false,
                                  n->frame.report, stream);
}

static cudaError_t run_table(struct network *n, cudaStream_t stream)
{
    const struct spc_cuda_sites *sites = &n->frame.levels[0];

    return spc_cuda_index_neighbours(sites, sites, &n->jobs[0].geometry, n->nbr,
                                     CENTERPOINT_BOUND, stream);
}

static cudaError_t run_parts(struct network *n, enum part part, cudaStream_t stream)
{
    struct twin_frame *f = &n->frame;
    cudaError_t code = spc_cuda_index_mark(f->levels, &f->input, f->report, stream);

    if (!code && part >= RANK)
        code = spc_cuda_index_rank(f->levels, 1, f->report->totals, stream);
    if (!code && part == TABLE)
        code = run_table(n, stream);
    if (!code && part >= PLACE)
        code = spc_cuda_index_place(f->levels, &f->input, f->report, stream);
    if (!code && part >= BLOBS)
        code = spc_cuda_index_blobs(n->jobs, 1, SPC_CUDA_SETTLED, stream);
    if (!code && part >= LEVELS_UP)
        code = run_strided(n, stream);
    if (!code && part >= ALL)
        code = spc_cuda_index_blobs(n->jobs + 1, JOBS - 1, SPC_CUDA_BEHIND, stream);
    return code ? code : spc_cuda_index_clear(f->levels, f->num_levels, f->report, stream);
}

struct timed {
    struct network *network;
    enum part part;
};

static cudaError_t run(void *context, cudaStream_t stream)
{
    const struct timed *timed = context;

    return run_parts(timed->network, timed->part, stream);
}

static void bench_centerpoint(struct check *check)
{
    static const int32_t counts[] = {0, 17748, 1000}; /* 0: all; else the first so many */
    static const char *const labels[] = {"marks", "+ rows", "+ neighbours", "rows + places",
                                         "+ blobs", "+ other levels", "+ their blobs"};
    struct network n;

    if (!device_usable(check))
        return;
    make_network(check, &n);
    n.frame.input.features = device_alloc(CENTERPOINT_BOUND * CHANNELS * sizeof(float));
    n.frame.input.channels = CHANNELS;
    n.frame.input.padded = device_alloc(CENTERPOINT_BOUND * PADDED * sizeof(uint16_t));
    n.frame.input.padded_stride = PADDED;
    n.frame.input.row_of_input = NULL;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]) && counts[i] <= n.count; i++) {
        int32_t count = counts[i] ? counts[i] : n.count;

        twin_frame_run(check, &n.frame, n.rows[0], n.count, count);
        device_ok(check, "clear",
                  spc_cuda_index_clear(n.frame.levels, LEVELS, n.frame.report, NULL));
        for (int part = MARK; part <= ALL; part++) {
            struct timed timed = {&n, (enum part)part};

            device_bench(check, labels[part], count, "voxel", run, &timed);
        }
    }
    clear_network(&n);
}

const struct check_case check_cuda_frame[] = {
    {"centerpoint", test_centerpoint, bench_centerpoint},
    {NULL, NULL, NULL},
};
