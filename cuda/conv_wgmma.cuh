/* SPDX-License-Identifier: MIT */
/*
 * The pieces of the fast convolution on Hopper (sm_90a): where things are in shared memory, the
 * ring of weights, and the warp that orders them. See conv_wgmma_products.cuh for the products.
 *
 * Two warpgroups compute, 64 rows of a tile each, and a warp of its own does nothing but order:
 * images of weights come through a ring of stages by bulk copies. Rows are gathered by ldmatrix
 * from the halo in shared memory into registers, for warpgroup matrix instructions.
 *
 * A kernel reads and writes nothing but blobs, counts and weights before it calls settle(), the
 * first two only where they are `blobs_settled`.
 */
#ifndef SPC_CUDA_CONV_WGMMA_CUH
#define SPC_CUDA_CONV_WGMMA_CUH

#include "cuda/conv_kernels.h"
#include "cuda/conv_tile.cuh"
#include "cuda/hopper.cuh"
#include "cuda/launch.cuh"

#include <cuda_runtime.h>

#define CONSUMERS 256 /* threads that compute: two warpgroups, 64 rows each */
#define THREADS (CONSUMERS + 32)
#define STAGES 4
#define ALIGNMENT 1024 /* of swizzled images and of the halo */

/* Gives the halo what BLOCKS blocks of a multiprocessor leave of its shared memory; returns the
 * bytes of one of them, where open_block() finds ring, halo, table and blob. */
template <int DEPTH, int WIDTH, int BLOCKS> static inline size_t share_out(struct conv_job *job)
{
    size_t table = (size_t)job->table_steps * TILE_ROWS * 2;
    size_t fixed = STAGES * shape<DEPTH, WIDTH>::stage + table + (size_t)job->conv.blobs.stride;
    size_t room = SPC_CUDA_SHARED_SM90 / BLOCKS - SPC_CUDA_SHARED_BLOCK;

    job->capacity = spc_cuda_halo_capacity(job, room - fixed, DEPTH * 2);
    return fixed + (size_t)(job->capacity + ZERO_ROWS) * DEPTH * 2;
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

static __device__ __forceinline__ void consumers_sync()
{
    asm volatile("bar.sync 1, %0;" ::"n"(CONSUMERS) : "memory");
}

/* Where things are in shared memory. */
struct places {
    uint32_t ring, halo;
    uint16_t *table;
    uint8_t *blob;
    uint32_t barriers; /* of 8 bytes, see below */
};

/* Barriers: a stage's weights are there, or have been read; the same of the blob. */
#define FULL 0
#define EMPTY STAGES
#define BLOB_FULL (2 * STAGES)
#define BLOB_EMPTY (2 * STAGES + 1)
#define BARRIERS (2 * STAGES + 2)

static __device__ __forceinline__ uint32_t barrier_at(const struct places &at, int index)
{
    return at.barriers + index * 8;
}

/* The ring as one side sees it: a stage, and the parity of its present round. */
struct turn {
    int stage;
    uint32_t parity;
};

static __device__ __forceinline__ void advance(struct turn &turn)
{
    if (++turn.stage == STAGES) {
        turn.stage = 0;
        turn.parity ^= 1;
    }
}

/* Finds its places in the block's shared memory, and prepares barriers and rows of zeros. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ struct places open_block(const struct conv_job &job,
                                                           uint8_t *memory, uint64_t *barriers)
{
    constexpr int ring = STAGES * shape<DEPTH, WIDTH>::stage;
    uint8_t *table = memory + ring + (job.capacity + ZERO_ROWS) * DEPTH * 2;
    /* The last through a shuffle, or the compiler works it out anew in every loop. */
    struct places at = {shared_address(memory), shared_address(memory) + ring, (uint16_t *)table,
                        table + job.table_steps * TILE_ROWS * 2,
                        __shfl_sync(~0u, shared_address(barriers), 0)};

    if (threadIdx.x == 0) {
        for (int i = 0; i < STAGES; i++) {
            barrier_init(barrier_at(at, FULL + i), 1);
            barrier_init(barrier_at(at, EMPTY + i), CONSUMERS / 32);
        }
        barrier_init(barrier_at(at, BLOB_FULL), 1);
        barrier_init(barrier_at(at, BLOB_EMPTY), CONSUMERS / 32);
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    clear_zero_rows<DEPTH>(memory + ring, threadIdx.x);
    __syncthreads();
    return at;
}

/* ---- the warp that orders weights and blobs ---- */

/* Orders the images of all active steps of one chunk of input channels. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void order_chunk(const struct conv_job &job, uint32_t active,
                                                   const uint8_t *weights,
                                                   const struct places &at, struct turn &turn)
{
    using form = shape<DEPTH, WIDTH>;
    int zeros = job.conv.blobs.groups * job.conv.blobs.run; /* the image of no step */

    while (active) {
        const uint8_t *from[form::batch_steps];

        for (int i = 0; i < form::batch_steps; i++) {
            int step = active ? __ffs(active) - 1 : zeros;

            from[i] = weights + (int64_t)step * form::slices * form::image;
            active &= active - 1;
        }
        for (int slice = 0; slice < form::slices; slice++) {
            uint32_t full = barrier_at(at, FULL + turn.stage);

            barrier_wait(barrier_at(at, EMPTY + turn.stage), turn.parity ^ 1);
            barrier_expect(full, form::stage);
            for (int i = 0; i < form::batch_steps; i++)
                bulk_copy(at.ring + turn.stage * form::stage + i * form::image,
                          from[i] + slice * form::image, form::image, full);
            advance(turn);
        }
    }
}

/* Orders a tile's blob, waits for it and then orders the weights of those of its active steps that
 * are `mine`, for every chunk. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void order_tile(const struct conv_job &job,
                                                  const struct places &at, int tile, uint32_t mine,
                                                  uint32_t parity, struct turn &turn)
{
    int64_t chunk_bytes =
        (int64_t)(job.conv.blobs.groups * job.conv.blobs.run + 1) * DEPTH * WIDTH * 2;
    uint32_t full = barrier_at(at, BLOB_FULL);

    barrier_wait(barrier_at(at, BLOB_EMPTY), parity ^ 1);
    barrier_expect(full, (int)job.conv.blobs.stride);
    bulk_copy(shared_address(at.blob), blob_of(job, tile), (int)job.conv.blobs.stride, full);
    barrier_wait(full, parity);
    mine &= ((const struct spc_cuda_blob_header *)at.blob)->active;
    for (int chunk = 0; chunk < job.chunks; chunk++)
        order_chunk<DEPTH, WIDTH>(job, mine,
                                  (const uint8_t *)job.conv.weights +
                                      (blockIdx.y * job.chunks + chunk) * chunk_bytes,
                                  at, turn);
}

template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void order_weights(const struct conv_job &job,
                                                     const struct places &at)
{
    struct turn turn = {0, 0};
    int tiles;
    uint32_t parity = 0;

    if (!job.conv.blobs_settled)
        wait_for_previous();
    tiles = (int)spc_cuda_blob_tiles(conv_rows(job.conv));
    for (int i = blockIdx.x; i < tiles; i += gridDim.x) {
        order_tile<DEPTH, WIDTH>(job, at, i, ~0u, parity, turn);
        parity ^= 1;
    }
    /* A kernel must not end before the one in front of it. */
    wait_for_previous();
}

#endif

#endif
