/* SPDX-License-Identifier: MIT */
/*
 * From marked sites to rows: the running sum over tiles, the row of every word, the coordinates
 * of every row; and clearing for the next frame, of tiles that had sites only.
 *
 * All levels go in one launch. Tiles are summed in groups first. Then every warp has a tile and
 * adds up by itself what lies before it: the groups, and its group's tiles. Both are a few
 * independent loads, which is cheaper than waiting for another warp.
 */
#include "cuda/index_steps.h"
#include "cuda/launch.cuh"
#include "cuda/sites.cuh"

#define THREADS 256
#define WARPS (THREADS / 32)
#define CLEAR_TILES 8    /* of a warp */
#define LEAST_GROUP 128  /* tiles: an int4 a lane */
#define ALL ~0u

struct batch {
    int32_t num_levels;
    int32_t first_block[SPC_CUDA_MAX_LEVELS + 1];
    struct spc_cuda_sites levels[SPC_CUDA_MAX_LEVELS];
    int32_t *totals;
};

static int32_t tiles_of(const struct spc_cuda_sites *sites)
{
    return sites->tiles_y * sites->tiles_x;
}

/* Tiles of a group. */
static __host__ __device__ __forceinline__ int32_t group_of(int32_t tiles)
{
    int32_t group = LEAST_GROUP;

    while ((int64_t)group * SPC_CUDA_MAX_GROUPS < tiles)
        group *= 2;
    return group;
}

static struct batch make_batch(const struct spc_cuda_sites *levels, int num_levels,
                               int32_t tiles_per_block)
{
    struct batch batch = {};

    batch.num_levels = num_levels;
    for (int i = 0; i < num_levels; i++) {
        batch.levels[i] = levels[i];
        batch.first_block[i + 1] =
            batch.first_block[i] + (tiles_of(&levels[i]) + tiles_per_block - 1) / tiles_per_block;
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

/* ---- clearing ---- */

static __global__ void __launch_bounds__(THREADS)
    clear_tiles(const __grid_constant__ struct batch batch, const int32_t *num_voxels,
                struct spc_cuda_report *report)
{
    int lane = threadIdx.x % 32;
    int32_t block, tile, count = 0, tiles;
    const struct spc_cuda_sites &sites = batch.levels[level_of_block(batch, &block)];

    wait_for_previous();
    let_next_start(); /* only now: the next kernel reads the input without waiting for this one */
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        report->num_voxels = *num_voxels;
        report->input_fault = 0;
    }
    tile = (block * THREADS + threadIdx.x) / 32 * CLEAR_TILES;
    tiles = sites.tiles_y * sites.tiles_x;
    if (lane < CLEAR_TILES && tile + lane < tiles)
        count = sites.tile_count[tile + lane];
    for (uint32_t full = __ballot_sync(ALL, count != 0); full; full &= full - 1) {
        ulonglong2 *mask = (ulonglong2 *)(sites.mask + (int64_t)(tile + __ffs(full) - 1) *
                                                           SPC_CUDA_TILE_COLUMNS * sites.words);

        for (int i = lane; i < SPC_CUDA_TILE_COLUMNS / 2 * sites.words; i += 32)
            mask[i] = make_ulonglong2(0, 0);
    }
    if (count)
        sites.tile_count[tile + lane] = 0;
}

extern "C" cudaError_t spc_cuda_index_clear(const struct spc_cuda_sites *levels, int num_levels,
                                            const int32_t *num_voxels,
                                            struct spc_cuda_report *report, cudaStream_t stream)
{
    struct batch batch = make_batch(levels, num_levels, WARPS * CLEAR_TILES);

    return spc_cuda_launch(clear_tiles, batch.first_block[num_levels], THREADS, 0, stream,
                           batch, num_voxels, report);
}

extern "C" cudaError_t spc_cuda_index_reset(const struct spc_cuda_sites *levels, int num_levels,
                                            cudaStream_t stream)
{
    cudaError_t code = cudaSuccess;

    for (int i = 0; i < num_levels && !code; i++) {
        const struct spc_cuda_sites *sites = &levels[i];
        size_t tiles = (size_t)tiles_of(sites);
        size_t words = tiles * SPC_CUDA_TILE_COLUMNS * (size_t)sites->words;

        code = cudaMemsetAsync(sites->tile_count, 0, tiles * sizeof(int32_t), stream);
        if (!code)
            code = cudaMemsetAsync(sites->mask, 0, words * sizeof(*sites->mask), stream);
        if (!code) /* read beside the mask, and not used, where that is 0 */
            code = cudaMemsetAsync(sites->base, 0, words * sizeof(*sites->base), stream);
        if (!code)
            code = cudaMemsetAsync(sites->count, 0, sizeof(*sites->count), stream);
    }
    return code;
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

/* This lane's share of the tiles first .. end - 1; `first` is a multiple of 4. */
static __device__ __forceinline__ int64_t part_of_tiles(const struct spc_cuda_sites &sites,
                                                        int32_t first, int32_t end)
{
    int64_t sum = 0;

    for (int32_t i = first + threadIdx.x % 32 * 4; i < end; i += 128) {
        const int32_t *counts = sites.tile_count + i;

        for (int j = 0; j < 4; j++)
            sum += i + j < end ? __ldcg(counts + j) : 0;
    }
    return sum;
}

/* A warp a group. */
static __global__ void __launch_bounds__(THREADS)
    sum_groups(const __grid_constant__ struct batch batch)
{
    int32_t block;
    const struct spc_cuda_sites &sites = batch.levels[level_of_block(batch, &block)];
    int32_t tiles = sites.tiles_y * sites.tiles_x, group = group_of(tiles);
    int32_t i = block * WARPS + threadIdx.x / 32;
    int64_t sum;

    let_next_start();
    wait_for_previous();
    if (i >= (tiles + group - 1) / group)
        return;
    sum = sum_warp(part_of_tiles(sites, i * group, min((i + 1) * group, tiles)));
    if (threadIdx.x % 32 == 0)
        sites.group_count[i] = sum;
}

/* Sites of all tiles before `tile`, to all lanes. */
static __device__ __forceinline__ int64_t sites_before(const struct spc_cuda_sites &sites,
                                                       int32_t tile, int32_t group)
{
    int64_t sum = part_of_tiles(sites, tile / group * group, tile);

    for (int32_t i = threadIdx.x % 32; i < tile / group; i += 32)
        sum += __ldcg(sites.group_count + i);
    return sum_warp(sum);
}

/* ---- rows ---- */

/* Four neighbouring words of a tile. */
struct four_words {
    uint64_t bits[4];

    __device__ __forceinline__ four_words(const uint64_t *mask)
    {
        ulonglong2 low = __ldcg((const ulonglong2 *)mask);
        ulonglong2 high = __ldcg((const ulonglong2 *)mask + 1);

        bits[0] = low.x;
        bits[1] = low.y;
        bits[2] = high.x;
        bits[3] = high.y;
    }
};

/* Coordinates of the sites of one word, rows from `row` on. */
static __device__ __forceinline__ void write_coords(const struct spc_cuda_sites &sites,
                                                    int32_t tile, int32_t i, uint64_t bits,
                                                    uint32_t row)
{
    int32_t column = i / sites.words, z = i % sites.words * 64;
    short y = (short)(tile / sites.tiles_x * SPC_CUDA_TILE_Y + column / SPC_CUDA_TILE_X);
    short x = (short)(tile % sites.tiles_x * SPC_CUDA_TILE_X + column % SPC_CUDA_TILE_X);

    for (; bits && row < sites.bound; bits &= bits - 1, row++)
        ((short4 *)sites.coords)[row] = make_short4((short)(z + __ffsll(bits) - 1), y, x, 0);
}

/* The words of each lane, the first of them number `i` of the tile; returns the next row. */
static __device__ __forceinline__ uint32_t rank_words(const struct spc_cuda_sites &sites,
                                                      int32_t tile, int32_t i,
                                                      const struct four_words &words, uint32_t row)
{
    uint32_t rows[4], sum = 0, before;

    for (int j = 0; j < 4; j++) {
        rows[j] = sum;
        sum += __popcll(words.bits[j]);
    }
    before = row + sum_before(sum);
    for (int j = 0; j < 4; j++)
        rows[j] += before;
    *(uint4 *)(sites.base + (int64_t)tile * SPC_CUDA_TILE_COLUMNS * sites.words + i) =
        make_uint4(rows[0], rows[1], rows[2], rows[3]);
    for (int j = 0; j < 4; j++)
        write_coords(sites, tile, i + j, words.bits[j], rows[j]);
    return __shfl_sync(ALL, before + sum, 31);
}

/* A warp a tile. */
static __global__ void __launch_bounds__(THREADS)
    rank_tiles(const __grid_constant__ struct batch batch)
{
    int32_t block, level = level_of_block(batch, &block), tile, tiles, count;
    int32_t i = threadIdx.x % 32 * 4;
    const struct spc_cuda_sites &sites = batch.levels[level];
    const uint64_t *mask;
    int64_t row;
    uint32_t next;

    let_next_start();
    wait_for_previous();
    tiles = sites.tiles_y * sites.tiles_x;
    tile = block * WARPS + threadIdx.x / 32;
    if (tile >= tiles)
        return;
    count = __ldcg(sites.tile_count + tile);
    if (!count && tile + 1 < tiles)
        return;
    mask = sites.mask + (int64_t)tile * SPC_CUDA_TILE_COLUMNS * sites.words + i;
    struct four_words words(mask); /* first, so that it does not wait for the sums */

    row = sites_before(sites, tile, group_of(tiles));
    if (tile + 1 == tiles && threadIdx.x % 32 == 0) {
        *sites.count = (int32_t)min(row + count, sites.bound);
        batch.totals[level] = (int32_t)min(row + count, (int64_t)INT32_MAX);
    }
    /* Past the bound every row is refused, whatever it is; it must only not wrap around. */
    next = (uint32_t)min(row, (int64_t)INT32_MAX);
    next = rank_words(sites, tile, i, words, next);
    for (int32_t w = 1; w < sites.words; w++)
        next = rank_words(sites, tile, i + w * 128, four_words(mask + w * 128), next);
}

extern "C" cudaError_t spc_cuda_index_rank(const struct spc_cuda_sites *levels, int num_levels,
                                           int32_t *totals, cudaStream_t stream)
{
    struct batch groups = make_batch(levels, num_levels, WARPS * LEAST_GROUP);
    struct batch tiles = make_batch(levels, num_levels, WARPS);
    cudaError_t code =
        spc_cuda_launch(sum_groups, groups.first_block[num_levels], THREADS, 0, stream, groups);

    tiles.totals = totals;
    return code ? code
                : spc_cuda_launch(rank_tiles, tiles.first_block[num_levels], THREADS, 0, stream,
                                  tiles);
}
