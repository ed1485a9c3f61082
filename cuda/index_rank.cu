/* SPDX-License-Identifier: MIT */
/*
 * From marked sites to rows: the running sum over tiles, the row of every word, the coordinates
 * of every row.
 *
 * All levels go in one launch. A warp has a tile. What lies before a block's tiles are the groups
 * before theirs, and tiles of their group: loads that do not wait for one another.
 */
#include "cuda/index.h"
#include "cuda/launch.cuh"
#include "cuda/sites.cuh"

#define THREADS 256
#define WARPS (THREADS / 32)
#define ALL ~0u

struct batch {
    int32_t num_levels;
    int32_t first_block[SPC_CUDA_MAX_LEVELS + 1];
    struct spc_cuda_sites levels[SPC_CUDA_MAX_LEVELS];
    int32_t *totals;
};

static struct batch make_batch(const struct spc_cuda_sites *levels, int num_levels,
                               int32_t *totals)
{
    struct batch batch = {};

    batch.num_levels = num_levels;
    batch.totals = totals;
    for (int i = 0; i < num_levels; i++) {
        int32_t tiles = levels[i].tiles_y * levels[i].tiles_x;

        batch.levels[i] = levels[i];
        batch.first_block[i + 1] = batch.first_block[i] + (tiles + WARPS - 1) / WARPS;
    }
    return batch;
}

/* Level of this block; `*block` becomes the block's number in it. */
static __device__ __forceinline__ int level_of_block(const struct batch &batch, int32_t *block)
{
    int level = 0;

    while (level + 1 < batch.num_levels && (int32_t)blockIdx.x >= batch.first_block[level + 1])
        level++;
    *block = blockIdx.x - batch.first_block[level];
    return level;
}

/* ---- running sums ---- */

/* The sum over the warp of values below 2^42, in two halves: there is an instruction for each. */
static __device__ __forceinline__ int64_t sum_warp(int64_t value)
{
    int64_t high = __reduce_add_sync(ALL, (uint32_t)(value >> 16));

    return (high << 16) + __reduce_add_sync(ALL, (uint32_t)value & 0xffff);
}

/* Sum of the values in the lanes before this one. */
static __device__ __forceinline__ int32_t sum_before(int32_t value)
{
    int32_t sum = value;

    for (int d = 1; d < 32; d *= 2) {
        int32_t other = __shfl_up_sync(ALL, sum, d);

        sum += (int)(threadIdx.x % 32) >= d ? other : 0;
    }
    return sum - value;
}

/* Sites of all groups before the one of `tile`, and of its tiles before that: this thread's
 * share. */
static __device__ __forceinline__ int64_t sites_before(const struct spc_cuda_sites &sites,
                                                       int32_t tile)
{
    int32_t group = tile >> sites.group_shift;
    int64_t sum = 0;

    for (int32_t i = threadIdx.x; i < group; i += THREADS)
        sum += __ldcg(sites.group_count + i);
    for (int32_t i = (group << sites.group_shift) + threadIdx.x; i < tile; i += THREADS)
        sum += __ldcg(sites.tile_count + i);
    return sum;
}

/* ---- rows ---- */

/* Four neighbouring words of a tile. */
struct four_words {
    uint64_t bits[4];
};

static __device__ __forceinline__ struct four_words load_words(const uint64_t *mask)
{
    ulonglong2 low = __ldcg((const ulonglong2 *)mask);
    ulonglong2 high = __ldcg((const ulonglong2 *)mask + 1);

    return {{low.x, low.y, high.x, high.y}};
}

/* Coordinates of rows from `row` on: z is that of `at` plus the number of each bit. */
static __device__ __forceinline__ void write_half(const struct spc_cuda_sites &sites, uint2 at,
                                                  uint32_t bits, uint32_t row)
{
    uint32_t bound = (uint32_t)min(sites.bound, (int64_t)UINT32_MAX);

#pragma unroll 1
    for (; bits && row < bound; bits &= bits - 1, row++)
        ((uint2 *)sites.coords)[row] = make_uint2(at.x + __ffs(bits) - 1, at.y);
}

/* Coordinates of the sites of word `i` of a tile, rows from `row` on. Most frames have few sites in
 * one half of it. */
static __device__ __forceinline__ void write_coords(const struct spc_cuda_sites &sites,
                                                    int32_t tile, int32_t i, uint64_t bits,
                                                    uint32_t row)
{
    int32_t column = sites.words == 1 ? i : i / sites.words, z = (i - column * sites.words) * 64;
    int32_t y = tile / sites.tiles_x * SPC_CUDA_TILE_Y + column / SPC_CUDA_TILE_X;
    int32_t x = tile % sites.tiles_x * SPC_CUDA_TILE_X + column % SPC_CUDA_TILE_X;
    uint2 at = make_uint2((uint32_t)z | (uint32_t)y << 16, (uint32_t)x); /* z, y, x, 0 */

    write_half(sites, at, (uint32_t)bits, row);
    at.x += 32;
    write_half(sites, at, (uint32_t)(bits >> 32), row + __popc((uint32_t)bits));
}

/* The words of each lane, the first of them number `i` of the tile; returns the next row. */
static __device__ __forceinline__ uint32_t rank_words(const struct spc_cuda_sites &sites,
                                                      int32_t tile, int32_t i,
                                                      struct four_words words, uint32_t row)
{
    uint32_t first = __popcll(words.bits[0]), second = first + __popcll(words.bits[1]);
    uint32_t third = second + __popcll(words.bits[2]), sum = third + __popcll(words.bits[3]);

    row += sum_before(sum);
    *(uint4 *)(sites.base + (int64_t)tile * SPC_CUDA_TILE_COLUMNS * sites.words + i) =
        make_uint4(row, row + first, row + second, row + third);
    sum += row;
#pragma unroll 1 /* four at once would need too many registers */
    for (int j = 0; j < 4; j++) {
        write_coords(sites, tile, i + j, words.bits[0], row);
        row += __popcll(words.bits[0]);
        words = {{words.bits[1], words.bits[2], words.bits[3], 0}};
    }
    return __shfl_sync(ALL, sum, 31);
}

/* All words of a tile; the first ones are loaded already. */
static __device__ __forceinline__ void rank_tile(const struct spc_cuda_sites &sites, int32_t tile,
                                                 struct four_words words, uint32_t row)
{
    int32_t i = threadIdx.x % 32 * 4, end = SPC_CUDA_TILE_COLUMNS * sites.words;

#pragma unroll 1
    while (true) {
        row = rank_words(sites, tile, i, words, row);
        i += 128;
        if (i >= end)
            break;
        words = load_words(sites.mask + (int64_t)tile * end + i);
    }
}

/* Most blocks of a frame have no sites: they end as soon as they know. */
static __global__ void __launch_bounds__(THREADS)
    rank_tiles(const __grid_constant__ struct batch batch)
{
    __shared__ int64_t shares[WARPS];
    int32_t block, level = level_of_block(batch, &block), warp = threadIdx.x / 32;
    int32_t lane = threadIdx.x % 32, count;
    const struct spc_cuda_sites &sites = batch.levels[level];
    int32_t tiles = sites.tiles_y * sites.tiles_x, first = block * WARPS, tile = first + warp;
    struct four_words words = {};
    int64_t row;

    let_next_start();
    wait_for_previous();
    count = lane < WARPS && first + lane < tiles ? __ldcg(sites.tile_count + first + lane) : 0;
    row = sites_before(sites, first);
    if (!__any_sync(ALL, count) && first + WARPS < tiles)
        return;
    if (__shfl_sync(ALL, count, warp)) /* before the running sums are known */
        words = load_words(sites.mask + (int64_t)tile * SPC_CUDA_TILE_COLUMNS * sites.words +
                           lane * 4);
    row = sum_warp(row);
    if (lane == 0)
        shares[warp] = row;
    __syncthreads();
    row = sum_warp((lane < WARPS ? shares[lane] : 0) + (lane < warp ? count : 0));
    count = __shfl_sync(ALL, count, warp);
    if (tile + 1 == tiles && lane == 0) {
        *sites.count = (int32_t)min(row + count, sites.bound);
        batch.totals[level] = (int32_t)min(row + count, (int64_t)INT32_MAX);
    }
    /* Past the bound every row is refused, whatever it is; it must only not wrap around. */
    if (count)
        rank_tile(sites, tile, words, (uint32_t)min(row, (int64_t)INT32_MAX));
}

cudaError_t spc_cuda_rank_levels(const struct spc_cuda_sites *levels, int num_levels,
                                 int32_t *totals, bool overlap, cudaStream_t stream)
{
    struct batch batch = make_batch(levels, num_levels, totals);

    return spc_cuda_launch_as(overlap, rank_tiles, batch.first_block[num_levels], THREADS, 0,
                              stream, batch);
}

extern "C" cudaError_t spc_cuda_index_rank(const struct spc_cuda_sites *levels, int num_levels,
                                           int32_t *totals, cudaStream_t stream)
{
    return spc_cuda_rank_levels(levels, num_levels, totals, true, stream);
}
