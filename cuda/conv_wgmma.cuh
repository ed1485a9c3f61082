/* SPDX-License-Identifier: MIT */
/*
 * The pieces of the fast convolution on Hopper (sm_90a): where things are in shared memory, the
 * ring of weights, the warp that orders them, and the products.
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
#include "cuda/conv_sums.cuh"
#include "cuda/conv_tile.cuh"
#include "cuda/hopper.cuh"
#include "cuda/launch.cuh"

#include <cuda_runtime.h>

#define CONSUMERS 256 /* threads that compute: two warpgroups, 64 rows each */
#define THREADS (CONSUMERS + 32)
#define STAGES 4
#define ALIGNMENT 1024 /* of swizzled images and of the halo */

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

template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void order_weights(const struct conv_job &job,
                                                     const struct places &at)
{
    struct turn turn = {0, 0};
    int tiles;
    uint32_t parity = 0;
    int64_t chunk_bytes =
        (int64_t)(job.conv.blobs.groups * job.conv.blobs.run + 1) * DEPTH * WIDTH * 2;

    if (!job.conv.blobs_settled)
        wait_for_previous();
    tiles = (int)spc_cuda_blob_tiles(conv_rows(job.conv));
    for (int i = blockIdx.x; i < tiles; i += gridDim.x) {
        uint32_t active;

        barrier_wait(barrier_at(at, BLOB_EMPTY), parity ^ 1);
        barrier_expect(barrier_at(at, BLOB_FULL), (int)job.conv.blobs.stride);
        bulk_copy(shared_address(at.blob), blob_of(job, i), (int)job.conv.blobs.stride,
                  barrier_at(at, BLOB_FULL));
        barrier_wait(barrier_at(at, BLOB_FULL), parity);
        parity ^= 1;
        active = ((const struct spc_cuda_blob_header *)at.blob)->active;
        for (int chunk = 0; chunk < job.chunks; chunk++)
            order_chunk<DEPTH, WIDTH>(job, active,
                                      (const uint8_t *)job.conv.weights +
                                          (blockIdx.y * job.chunks + chunk) * chunk_bytes,
                                      at, turn);
    }
    /* A kernel must not end before the one in front of it. */
    wait_for_previous();
}

/* ---- the warpgroups that compute ---- */

/* The k16 fragments of 16 rows a warp, of one batch. `row` points into the table. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void load_batch(uint32_t (&rows)[BATCH_K16][4],
                                                  const uint16_t *row, uint32_t halo, int lane,
                                                  int batch)
{
    constexpr int k16s = shape<DEPTH, WIDTH>::k16s;
    uint32_t address = 0;

#pragma unroll
    for (int e = 0; e < BATCH_K16; e++) {
        int k16 = k16s <= BATCH_K16 ? e % k16s : batch % (k16s / BATCH_K16) * BATCH_K16 + e;

        if (e % k16s == 0) {
            int step = k16s <= BATCH_K16 ? batch * (BATCH_K16 / k16s) + e / k16s
                                         : batch / (k16s / BATCH_K16);

            address = halo + row[step * TILE_ROWS] * 16 ^ (lane & 16);
        }
        load_matrices(rows[e], address ^ k16 << 5);
    }
}

/* Waits for a batch's weights and starts its products; goes on to the next stage. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void start_batch(float (&acc)[WIDTH / 8][4],
                                                   const uint32_t (&rows)[BATCH_K16][4],
                                                   const struct places &at, struct turn &turn)
{
    using form = shape<DEPTH, WIDTH>;
    constexpr int k16s = form::slice / 16;

    barrier_wait(barrier_at(at, FULL + turn.stage), turn.parity);
    wgmma_fence();
#pragma unroll
    for (int e = 0; e < BATCH_K16; e++)
        wgmma(acc, rows[e],
              wgmma_columns<form::slice>(at.ring + turn.stage * form::stage +
                                         e / k16s * form::image) +
                  e % k16s * 2);
    wgmma_commit();
    advance(turn);
}

/* Gives the stage of the batch that has ended back. */
static __device__ __forceinline__ void release(const struct places &at, int lane, int &stage)
{
    if (lane == 0)
        barrier_arrive(barrier_at(at, EMPTY + stage));
    stage = stage + 1 == STAGES ? 0 : stage + 1;
}

/* Adds the products of batches whose table and rows are in shared memory, one after the other:
 * for narrow blocks, many of which share a multiprocessor. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void multiply_in_turn(float (&acc)[WIDTH / 8][4],
                                                        const struct places &at,
                                                        const uint16_t *row, int lane,
                                                        int batches, struct turn &turn)
{
    uint32_t rows[BATCH_K16][4];

#pragma unroll 1
    for (int batch = 0; batch < batches; batch++) {
        int stage = turn.stage;

        load_batch<DEPTH, WIDTH>(rows, row, at.halo, lane, batch);
        start_batch<DEPTH, WIDTH>(acc, rows, at, turn);
        wgmma_wait<0>();
        release(at, lane, stage);
    }
}

/* The same for wide blocks: a batch starts before the one in front of it has ended, and the rows of
 * the next are loaded meanwhile. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void multiply_ahead(float (&acc)[WIDTH / 8][4],
                                                      const struct places &at,
                                                      const uint16_t *row, int lane, int batches,
                                                      struct turn &turn)
{
    uint32_t even[BATCH_K16][4], odd[BATCH_K16][4];
    int stage = turn.stage, last = batches - 1;

    load_batch<DEPTH, WIDTH>(even, row, at.halo, lane, 0);
    start_batch<DEPTH, WIDTH>(acc, even, at, turn);
    load_batch<DEPTH, WIDTH>(odd, row, at.halo, lane, min(1, last));
#pragma unroll 1
    for (int batch = 1; batch < batches; batch += 2) {
        start_batch<DEPTH, WIDTH>(acc, odd, at, turn);
        wgmma_wait<1>();
        release(at, lane, stage);
        load_batch<DEPTH, WIDTH>(even, row, at.halo, lane, min(batch + 1, last));
        if (batch == last)
            break;
        start_batch<DEPTH, WIDTH>(acc, even, at, turn);
        wgmma_wait<1>();
        release(at, lane, stage);
        load_batch<DEPTH, WIDTH>(odd, row, at.halo, lane, min(batch + 2, last));
    }
    wgmma_wait<0>();
    release(at, lane, stage);
}

template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void multiply_pass(float (&acc)[WIDTH / 8][4],
                                                     const struct places &at,
                                                     const uint16_t *row, int lane, int steps,
                                                     struct turn &turn)
{
    using form = shape<DEPTH, WIDTH>;
    int batches = (steps + form::batch_steps - 1) / form::batch_steps * form::slices;

    if (!batches)
        return;
    if constexpr (WIDTH < 64)
        multiply_in_turn<DEPTH, WIDTH>(acc, at, row, lane, batches, turn);
    else
        multiply_ahead<DEPTH, WIDTH>(acc, at, row, lane, batches, turn);
}

#endif

#endif
