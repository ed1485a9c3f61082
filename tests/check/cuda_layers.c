/* SPDX-License-Identifier: MIT */
/* How fast the fast convolution is in each layer of CenterPoint, on its frame. */
#include "centerpoint.h"
#include "cuda_blobs.h"
#include "cuda_layers.h"
#include "device.h"

#include "base/pool.h"
#include "cuda/conv.h"

#include <stdlib.h>
#include <string.h>

#define LAUNCHES 10 /* of a graph */
#define SMALL_ROWS (30 * SPC_CUDA_BLOB_ROWS) /* of a deep level, in a frame of 1,000 voxels */

struct layer {
    int cin, cout, in_stride;
    int in_level, out_level;
};

static const struct layer layers[] = {
    {5, 16, 16, 0, 0},  {16, 16, 16, 0, 0}, {16, 32, 16, 0, 1},   {32, 32, 32, 1, 1},
    {32, 64, 32, 1, 2}, {64, 64, 64, 2, 2}, {64, 128, 64, 2, 3}, {128, 128, 128, 3, 3},
    {128, 128, 128, 3, 4},
};

struct run {
    struct spc_cuda_conv_fast conv;
    enum spc_cuda_conv_way way;
};

/* A chain of launches, each of which may overlap the one before it. */
static cudaError_t launch_chain(void *context, cudaStream_t stream)
{
    const struct run *run = context;
    cudaError_t code = cudaSuccess;

    for (int i = 0; i < LAUNCHES && !code; i++)
        code = spc_cuda_conv_fast(&run->conv, run->way, stream);
    return code;
}

static void make_levels(struct check *check, struct spc__sites *sites)
{
    int32_t(*indices)[4] = check_alloc(check, (size_t)CENTERPOINT_BOUND * sizeof(*indices));
    int32_t *map = check_alloc(check, (size_t)CENTERPOINT_BOUND * sizeof(*map));
    struct spc__pool *pool = spc__pool_create(1, NULL);
    bool real;
    int64_t count = centerpoint_rows(check, indices, &real);

    for (int i = 0; i < CENTERPOINT_LEVELS; i++) {
        const struct spc__geometry *g = i ? &centerpoint_down[i - 1] : NULL;

        if (spc__sites_init(&sites[i], centerpoint_grids[i], CENTERPOINT_BOUND, NULL) ||
            (i && spc__sites_from_strided(&sites[i], &sites[i - 1], g->kernel, g->stride,
                                          g->padding, g->dilation, "level", pool, NULL)) ||
            (!i && spc__sites_from_indices(&sites[0], indices[0], count, SPC_INDEX_ZYX, map,
                                           NULL)))
            abort();
    }
    spc__pool_destroy(pool);
}

/* Random values; weights are used as they lie, packed or not. */
static void *random_device(struct check *check, size_t halves)
{
    uint16_t *values = check_alloc(check, halves * sizeof(*values));
    void *memory;

    for (size_t i = 0; i < halves; i++)
        values[i] = (uint16_t)(check_random(check) & 0xb7ff); /* below 1, of both signs */
    memory = device_copy(values, halves * sizeof(*values));
    return memory;
}

/* Of the layer's output rows no more than the first `most`. */
static void bench_layer(struct check *check, const struct layer *layer,
                        const struct spc__sites *sites, int64_t most)
{
    const struct spc__sites *in = &sites[layer->in_level], *out = &sites[layer->out_level];
    bool subm = in == out;
    struct host_blobs blobs;
    int32_t count = (int32_t)(out->count < most ? out->count : most);
    struct run run = {.way = SPC_CUDA_CONV_WAYS};
    double flop;

    sites_blobs(check, &blobs, subm ? &centerpoint_subm : &centerpoint_down[layer->in_level], in,
                out, subm ? SPC_CUDA_HALO_SUBM : SPC_CUDA_HALO_STRIDED);
    flop = 2.0 * (double)blobs.pairs * layer->cin * layer->cout * LAUNCHES * count /
           (double)out->count; /* about, where rows are left out */
    run.conv = (struct spc_cuda_conv_fast){
        .in = random_device(check, (size_t)(in->count * layer->in_stride)),
        .weights = random_device(check, spc_cuda_conv_packed_size(layer->cin, layer->cout,
                                                                  blobs.form.groups,
                                                                  blobs.form.run) / 2),
        .bias = device_alloc((size_t)layer->cout * sizeof(float)),
        .residual = subm ? random_device(check, (size_t)(out->count * layer->cout)) : NULL,
        .out = device_alloc((size_t)(out->count * layer->cout) * 2),
        .cin = layer->cin,
        .cout = layer->cout,
        .in_stride = layer->in_stride,
        .blobs = blobs.form,
        .count = device_copy(&count, sizeof(count)),
        .bound = CENTERPOINT_BOUND,
        .act = SPC__ACT_RELU,
        .blobs_settled = true,
    };
    run.conv.blobs.blobs = device_blobs(check, &blobs, CENTERPOINT_BOUND);
    while (--run.way > SPC_CUDA_CONV_BEST) {
        char label[64];

        snprintf(label, sizeof(label), "%s %d > %d, %d rows, %d of them",
                 spc_cuda_conv_way_name(run.way), layer->cin, layer->cout, count, LAUNCHES);
        if (spc_cuda_conv_fast(&run.conv, run.way, NULL) != cudaErrorNotSupported)
            device_bench(check, label, flop, "flop", launch_chain, &run);
    }
    device_release();
}

static void bench_some(struct check *check, int64_t most)
{
    struct spc__sites sites[CENTERPOINT_LEVELS];

    if (!device_usable(check))
        return;
    make_levels(check, sites);
    for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++)
        bench_layer(check, &layers[i], sites, most);
    for (int i = 0; i < CENTERPOINT_LEVELS; i++)
        spc__sites_clear(&sites[i]);
}

void bench_layers(struct check *check)
{
    bench_some(check, INT64_MAX);
}

void bench_small_layers(struct check *check)
{
    bench_some(check, SMALL_ROWS);
}
