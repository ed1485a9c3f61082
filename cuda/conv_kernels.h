/* SPDX-License-Identifier: MIT */
/* Between the fast convolution's dispatch and its kernels; nobody else includes it. */
#ifndef SPC_CUDA_CONV_KERNELS_H
#define SPC_CUDA_CONV_KERNELS_H

#include "cuda/conv.h"
#include "cuda/conv_shape.h"

#define SPC_CUDA_SHARED_SM90 (228 * 1024) /* shared memory of a multiprocessor, sm_90 */
#define SPC_CUDA_SHARED_BLOCK 2048        /* of it the runtime's own and static, of each block */

#define SPC_CUDA_MMA_STAGES 3    /* of weights, in the mma.sync kernel */
#define SPC_CUDA_MMA_STATIC 1024 /* bytes of its static shared memory, and more */

/* A launch: the caller's description and what follows from it. */
struct conv_job {
    struct spc_cuda_conv_fast conv;
    int32_t blocks, chunks;
    int32_t capacity;    /* halo rows that fit into shared memory */
    int32_t table_steps; /* steps that fit into the table */
    int32_t step_images; /* of packed weights: a kernel may be shallower than these */
};

#ifdef __cplusplus
extern "C" {
#endif

/* Kernels of the shapes that spc_cuda_conv_shape() gives; on Hopper, narrow ones are up to 32 input
 * channels deep. cudaErrorNotSupported where this build has none. `processors`: multiprocessors of
 * the device. `cluster`: blocks that share a tile where tiles are few, 1, 2 or 4. */
cudaError_t spc_cuda_conv_teams(struct conv_job *job, struct spc_cuda_conv_shape shape,
                                int processors, cudaStream_t stream);
cudaError_t spc_cuda_conv_wgmma_narrow(struct conv_job *job, struct spc_cuda_conv_shape shape,
                                       int processors, cudaStream_t stream);
cudaError_t spc_cuda_conv_wgmma_wide(struct conv_job *job, struct spc_cuda_conv_shape shape,
                                     int cluster, int processors, cudaStream_t stream);
cudaError_t spc_cuda_conv_mma(struct conv_job *job, struct spc_cuda_conv_shape shape,
                              int processors, size_t shared, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

static inline struct conv_job spc_cuda_conv_job(const struct spc_cuda_conv_fast *conv)
{
    struct spc_cuda_conv_shape shape = spc_cuda_conv_shape(conv->cin, conv->cout);
    struct conv_job job = {*conv, shape.blocks, shape.chunks, 0, 0, 0};

    job.step_images = shape.depth / spc_cuda_conv_slice(shape);
    /* Up to a whole batch of the shallowest kernel, four steps. */
    job.table_steps = (conv->blobs.groups * conv->blobs.run + 3) / 4 * 4;
    return job;
}

/* Shared memory of the mma.sync kernel but for the halo: a ring of weights, 64 input channels by
 * `width` to a stage, the table, the blob, and what is static. */
static inline size_t spc_cuda_mma_fixed(const struct conv_job *job, int32_t width)
{
    size_t stage = SPC_CUDA_CONV_SLICE * (size_t)width * sizeof(uint16_t);
    size_t table = (size_t)job->table_steps * SPC_CUDA_BLOB_ROWS * sizeof(uint16_t);

    return SPC_CUDA_MMA_STAGES * stage + table + (size_t)job->conv.blobs.stride +
           SPC_CUDA_MMA_STATIC;
}

/* Halo rows that `bytes` of shared memory hold: no more than blobs have. */
static inline int32_t spc_cuda_halo_capacity(const struct conv_job *job, size_t bytes,
                                             size_t row_bytes)
{
    int32_t rows = (int32_t)(bytes / row_bytes) - 8, most = job->conv.blobs.max_halo;

    /* A pass over a tile that does not fit copies all its rows for each of four steps. */
    if (most < 4 * SPC_CUDA_BLOB_ROWS)
        most = 4 * SPC_CUDA_BLOB_ROWS;
    return rows < most ? rows : most;
}

/* The depth that the mma.sync kernel takes a shape with. Shared memory of 99 KB, as sm_86, 89 and
 * 120 give a block, holds 140 halo rows of 128 channels, but most tiles meet 200 to 300: twice as
 * many fit of half the depth. */
static inline int32_t spc_cuda_mma_depth(const struct conv_job *job,
                                         struct spc_cuda_conv_shape shape, size_t shared)
{
    size_t fixed = spc_cuda_mma_fixed(job, shape.width), row = (size_t)shape.depth * 2;

    return shape.depth > SPC_CUDA_CONV_SLICE &&
                   (fixed >= shared || spc_cuda_halo_capacity(job, shared - fixed, row) <
                                           2 * SPC_CUDA_BLOB_ROWS)
               ? SPC_CUDA_CONV_SLICE
               : shape.depth;
}

/* Whether shared memory holds the rows of one batch of steps, each row for itself: what a tile
 * needs whose halo does not fit. Hopper's kernels have more memory, and need no more of it. */
static inline bool spc_cuda_mma_fits(const struct conv_job *job, struct spc_cuda_conv_shape shape,
                                     size_t shared)
{
    size_t fixed = spc_cuda_mma_fixed(job, shape.width);
    size_t row = (size_t)spc_cuda_mma_depth(job, shape, shared) * 2;
    int32_t steps = SPC_CUDA_CONV_SLICE / spc_cuda_conv_slice(shape);

    return fixed < shared &&
           spc_cuda_halo_capacity(job, shared - fixed, row) >= steps * SPC_CUDA_BLOB_ROWS;
}

/* Thread blocks for tiles, for each block of output channels, where `resident` of them fit onto the
 * device at once. */
static inline unsigned spc_cuda_conv_grid(const struct conv_job *job, int resident)
{
    int64_t tiles = spc_cuda_blob_tiles(job->conv.bound);
    int64_t most = (resident + job->blocks - 1) / job->blocks;

    return (unsigned)(tiles < 1 ? 1 : tiles < most ? tiles : most);
}

#endif
