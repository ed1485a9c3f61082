/* SPDX-License-Identifier: MIT */
/*
 * The fast convolution on Hopper with a ring of weights: two warpgroups a block, and blocks go
 * through tiles with the stride of the grid, because the number of tiles is known on the device
 * only.
 */
#ifndef SPC_CUDA_CONV_WGMMA_RING_CUH
#define SPC_CUDA_CONV_WGMMA_RING_CUH

#include "cuda/conv_wgmma.cuh"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

/* A thread's place in its block, and the rows of its sums in the tile. */
struct self {
    int thread, lane;
    int row, rows; /* first of its sums, and all that there are */
};

/* One tile: all chunks of input channels, all passes; one where no step is active. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void sum_tile(float (&acc)[WIDTH / 8][4],
                                                const struct conv_job &job,
                                                const struct places &at, const struct self &self,
                                                struct turn &turn)
{
    struct tile tile = open_tile<DEPTH, WIDTH>(job, at.blob);
    const uint16_t *row = at.table + self.thread / 32 * 16 + self.lane % 16;
    int chunk = 0, first = 0;

#pragma unroll 1
    while (chunk < job.chunks) {
        int steps = min(tile.pass_steps, tile.steps - first);
        struct pass pass = {first, steps, chunk * DEPTH, at.halo, at.table};

        consumers_sync(); /* nobody reads what the pass before left */
        if (!tile.direct)
            settle();
        fill_table<DEPTH, WIDTH, CONSUMERS>(job, tile, pass, self.thread);
        settle();
        if (tile.direct)
            copy_halo<DEPTH, WIDTH, CONSUMERS>(job, tile, pass, self.thread);
        copy_commit();
        if (!chunk && !first)
            begin_sums<WIDTH / 8, shape<DEPTH, WIDTH>::group>(
                job.conv, acc, self.row, self.rows, blockIdx.y * WIDTH, self.lane);
        first += steps;
        if (first >= tile.steps) {
            first = 0;
            chunk++;
        }
        if (self.lane == 0 && chunk == job.chunks)
            barrier_arrive(barrier_at(at, BLOB_EMPTY));
        copy_wait<0>();
        consumers_sync();
        multiply_pass<DEPTH, WIDTH>(acc, at, row, self.lane, steps, turn);
    }
}

template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void compute(const struct conv_job &job,
                                               const struct places &at, int thread)
{
    struct turn turn = {0, 0};
    uint32_t parity = 0;
    int rows, tiles;

    if (!job.conv.blobs_settled)
        settle();
    rows = conv_rows(job.conv);
    tiles = (int)spc_cuda_blob_tiles(rows);
#pragma unroll 1
    for (int i = blockIdx.x; i < tiles; i += gridDim.x) {
        int row = i * TILE_ROWS + thread / 32 * 16 + thread % 32 / 4;
        struct self self = {thread, thread % 32, row, rows};
        float acc[WIDTH / 8][4];

        barrier_wait(barrier_at(at, BLOB_FULL), parity);
        parity ^= 1;
        sum_tile<DEPTH, WIDTH>(acc, job, at, self, turn);
        finish_sums<WIDTH / 8, shape<DEPTH, WIDTH>::group>(job.conv, acc, row, rows,
                                                           blockIdx.y * WIDTH, self.lane);
    }
}

#endif

template <int DEPTH, int WIDTH, int BLOCKS>
static __global__ void __launch_bounds__(THREADS, BLOCKS)
    conv_wgmma(const __grid_constant__ struct conv_job job)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ __align__(ALIGNMENT) uint8_t memory[];
    __shared__ uint64_t barriers[BARRIERS];
    constexpr int ring = STAGES * shape<DEPTH, WIDTH>::stage;
    int thread = threadIdx.x;
    uint8_t *table = memory + ring + (job.capacity + ZERO_ROWS) * DEPTH * 2;
    /* The last through a shuffle, or the compiler works it out anew in every loop. */
    struct places at = {shared_address(memory), shared_address(memory) + ring, (uint16_t *)table,
                        table + job.table_steps * TILE_ROWS * 2,
                        __shfl_sync(~0u, shared_address(barriers), 0)};

    if (thread == 0) {
        for (int i = 0; i < STAGES; i++) {
            barrier_init(barrier_at(at, FULL + i), 1);
            barrier_init(barrier_at(at, EMPTY + i), CONSUMERS / 32);
        }
        barrier_init(barrier_at(at, BLOB_FULL), 1);
        barrier_init(barrier_at(at, BLOB_EMPTY), CONSUMERS / 32);
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    clear_zero_rows<DEPTH>(memory + ring, thread);
    __syncthreads();
    if (thread >= CONSUMERS) {
        if (thread == CONSUMERS)
            order_weights<DEPTH, WIDTH>(job, at);
        return;
    }
    compute<DEPTH, WIDTH>(job, at, thread);
#endif
}

/* ---- launching ---- */

template <int DEPTH, int WIDTH, int BLOCKS>
static cudaError_t launch_ring(struct conv_job *job, int processors, cudaStream_t stream)
{
    using form = shape<DEPTH, WIDTH>;
    size_t table = (size_t)job->table_steps * TILE_ROWS * 2;
    size_t fixed = STAGES * form::stage + table + (size_t)job->conv.blobs.stride;
    size_t room = SPC_CUDA_SHARED_SM90 / BLOCKS - SPC_CUDA_SHARED_BLOCK;
    cudaError_t code;

    job->capacity = spc_cuda_halo_capacity(job, room - fixed, DEPTH * 2);
    fixed += (size_t)(job->capacity + ZERO_ROWS) * DEPTH * 2;
    code = spc_cuda_allow_shared((const void *)conv_wgmma<DEPTH, WIDTH, BLOCKS>);
    return code ? code
                : spc_cuda_launch(conv_wgmma<DEPTH, WIDTH, BLOCKS>,
                                  dim3(spc_cuda_conv_grid(job, processors * BLOCKS), job->blocks),
                                  THREADS, fixed, stream, *job);
}

#endif
