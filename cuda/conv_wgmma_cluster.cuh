/* SPDX-License-Identifier: MIT */
/*
 * The fast convolution on Hopper for frames of any size: where there are fewer tiles than blocks,
 * the blocks of a cluster share a tile. Each multiplies some of its steps; the sums meet in shared
 * memory, of which each block finishes some channels.
 *
 * How many blocks share a tile follows from the number of tiles, and the steps of a block from its
 * place; sums are added in the order of places: equal frames give equal bits.
 */
#ifndef SPC_CUDA_CONV_WGMMA_CLUSTER_CUH
#define SPC_CUDA_CONV_WGMMA_CLUSTER_CUH

#include "cuda/conv_wgmma_products.cuh"

/* Sums are added up in parts of a tile, which the blocks that share it take in turn. */
#define PART_CHANNELS 32
#define PART_SUMS 16 /* of one thread */
#define PART_BYTES (CONSUMERS * PART_SUMS * 4)

/* Threads of a block. Where two share a multiprocessor, registers are given from the warp that
 * orders to those that compute: by whole warpgroups only. */
template <int BLOCKS> static constexpr int cluster_threads()
{
    return CONSUMERS + (BLOCKS == 1 ? 32 : 128);
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

/* A block's place among those that share a tile: as many as the largest power of two, up to a
 * cluster, for which there are blocks enough. Where it is more than one, a block has one tile at
 * most. */
struct share {
    int rank, size;
};

static __device__ __forceinline__ struct share find_share(int tiles)
{
    int size = cluster_size();

    while (size > 1 && (int64_t)tiles * size > gridDim.x)
        size /= 2;
    return {(int)blockIdx.x % size, size};
}

/* The steps that are this block's. */
static __device__ __forceinline__ uint32_t own_steps(const struct conv_job &job,
                                                     const struct share &share)
{
    int steps = job.conv.blobs.groups * job.conv.blobs.run;
    int first = share.rank * steps / share.size, end = (share.rank + 1) * steps / share.size;

    return (end < 32 ? below(end) : ~0u) & ~below(first);
}

/* The warp that orders. It meets the others where blocks wait for one another. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void order_shared(const struct conv_job &job,
                                                    const struct places &at)
{
    struct turn turn = {0, 0};
    struct share share;
    int tiles;
    uint32_t parity = 0;

    if (!job.conv.blobs_settled)
        wait_for_previous();
    tiles = (int)spc_cuda_blob_tiles(conv_rows(job.conv));
    share = find_share(tiles);
#pragma unroll 1
    for (int i = blockIdx.x / share.size; i < tiles; i += gridDim.x / share.size) {
        order_tile<DEPTH, WIDTH>(job, at, i, own_steps(job, share), parity, turn);
        parity ^= 1;
        if (share.size > 1) {
            cluster_sync();
            cluster_sync();
        }
    }
    /* A kernel must not end before the one in front of it. */
    wait_for_previous();
}

/* Where a block has what block `from` summed of a part: in the memory of weights and halo. */
static __device__ __forceinline__ uint32_t part_at(const struct places &at,
                                                   const struct share &share, int part, int from,
                                                   int thread)
{
    return at.ring + (part / share.size * share.size + from) * PART_BYTES + thread * 16;
}

/* Sends the parts of this block's sums to the blocks that finish them. Blocks of one tile begin at
 * a multiple of their number in the cluster. */
template <int WIDTH>
static __device__ __forceinline__ void send(const float (&acc)[WIDTH / 8][4],
                                            const struct places &at, const struct share &share,
                                            int thread)
{
    int first = cluster_rank() - share.rank;

#pragma unroll
    for (int part = 0; part < WIDTH / PART_CHANNELS; part++) {
        uint32_t to = part_at(at, share, part, share.rank, thread);
        int rank = part % share.size;

        if (rank != share.rank)
            to = address_in(to, first + rank);
#pragma unroll
        for (int j = 0; j < PART_SUMS / 4; j++) {
            const float(&sums)[4] = acc[part * (PART_SUMS / 4) + j];

            if (rank == share.rank)
                store_shared(to + j * CONSUMERS * 16, sums);
            else
                store_there(to + j * CONSUMERS * 16, sums);
        }
    }
}

static __device__ __forceinline__ void add_shared(float (&sums)[4], uint32_t address)
{
    float v[4];

    asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(v[0]), "=f"(v[1]), "=f"(v[2]), "=f"(v[3])
                 : "r"(address)
                 : "memory");
#pragma unroll
    for (int i = 0; i < 4; i++)
        sums[i] += v[i];
}

/* Adds up and finishes this block's parts. */
template <int WIDTH>
static __device__ __forceinline__ void finish_parts(const struct conv_job &job,
                                                    const struct places &at,
                                                    const struct share &share,
                                                    const struct self &self)
{
    constexpr int tiles = PART_SUMS / 4;

#pragma unroll 1
    for (int part = share.rank; part < WIDTH / PART_CHANNELS; part += share.size) {
        float acc[tiles][4];
        int channel = blockIdx.y * WIDTH + part * PART_CHANNELS;

        begin_sums<tiles, tiles>(job.conv, acc, self.row, self.rows, channel, self.lane);
#pragma unroll 1
        for (int from = 0; from < share.size; from++) {
            uint32_t sums = part_at(at, share, part, from, self.thread);

#pragma unroll
            for (int j = 0; j < tiles; j++)
                add_shared(acc[j], sums + j * CONSUMERS * 16);
        }
        finish_sums<tiles, tiles>(job.conv, acc, self.row, self.rows, channel, self.lane);
    }
}

/* This block's steps of a tile, and its parts of the sums. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void compute_share(const struct conv_job &job,
                                                     const struct places &at,
                                                     const struct share &share,
                                                     const struct self &self, struct turn &turn)
{
    struct tile tile = open_tile<DEPTH, WIDTH>(job, at.blob, own_steps(job, share));
    float acc[WIDTH / 8][4] = {};

    sum_tile<DEPTH, WIDTH>(acc, job, tile, at, self, turn);
    cluster_sync(); /* nobody reads weights or halos any more */
    send<WIDTH>(acc, at, share, self.thread);
    cluster_sync();
    finish_parts<WIDTH>(job, at, share, self);
}

template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void compute_shared(const struct conv_job &job,
                                                      const struct places &at, int thread)
{
    struct turn turn = {0, 0};
    struct share share;
    uint32_t parity = 0;
    int rows, tiles;

    if (!job.conv.blobs_settled)
        settle();
    rows = conv_rows(job.conv);
    tiles = (int)spc_cuda_blob_tiles(rows);
    share = find_share(tiles);
#pragma unroll 1
    for (int i = blockIdx.x / share.size; i < tiles; i += gridDim.x / share.size) {
        int row = i * TILE_ROWS + thread / 32 * 16 + thread % 32 / 4;
        struct self self = {thread, thread % 32, row, rows, share.size == 1};

        barrier_wait(barrier_at(at, BLOB_FULL), parity);
        parity ^= 1;
        if (self.alone)
            compute_tile<DEPTH, WIDTH>(job, at, self, turn);
        else
            compute_share<DEPTH, WIDTH>(job, at, share, self, turn);
    }
}

#endif

template <int DEPTH, int WIDTH, int BLOCKS>
static __global__ void __launch_bounds__(cluster_threads<BLOCKS>(), BLOCKS)
    conv_cluster(const __grid_constant__ struct conv_job job)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ __align__(ALIGNMENT) uint8_t memory[];
    __shared__ uint64_t barriers[BARRIERS];
    int thread = threadIdx.x;
    struct places at = open_block<DEPTH, WIDTH>(job, memory, barriers);

    if (thread >= CONSUMERS) {
        if constexpr (BLOCKS > 1)
            give_registers<32>(); /* of 80 each */
        if (thread == CONSUMERS)
            order_shared<DEPTH, WIDTH>(job, at);
    } else {
        if constexpr (BLOCKS > 1)
            take_registers<104>();
        compute_shared<DEPTH, WIDTH>(job, at, thread);
    }
#endif
}

#endif
