/* SPDX-License-Identifier: MIT */
/*
 * The fast convolution on Hopper with a ring of weights: two warpgroups a block, and blocks go
 * through tiles with the stride of the grid, because the number of tiles is known on the device
 * only.
 */
#ifndef SPC_CUDA_CONV_WGMMA_RING_CUH
#define SPC_CUDA_CONV_WGMMA_RING_CUH

#include "cuda/conv_wgmma_products.cuh"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

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
        struct self self = {thread, thread % 32, row, rows, true};

        barrier_wait(barrier_at(at, BLOB_FULL), parity);
        parity ^= 1;
        compute_tile<DEPTH, WIDTH>(job, at, self, turn);
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
    int thread = threadIdx.x;
    struct places at = open_block<DEPTH, WIDTH>(job, memory, barriers);

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
    size_t bytes = share_out<DEPTH, WIDTH, BLOCKS>(job);
    cudaError_t code = spc_cuda_allow_shared((const void *)conv_wgmma<DEPTH, WIDTH, BLOCKS>);

    return code ? code
                : spc_cuda_launch(conv_wgmma<DEPTH, WIDTH, BLOCKS>,
                                  dim3(spc_cuda_conv_grid(job, processors * BLOCKS), job->blocks),
                                  THREADS, bytes, stream, *job);
}

#endif
