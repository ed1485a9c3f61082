/* SPDX-License-Identifier: MIT */
/* Looking sites up on the device, and what those share that mark them. */
#ifndef SPC_CUDA_SITES_CUH
#define SPC_CUDA_SITES_CUH

#include "cuda/index.h"

/* Number of the column at (y, x), which is inside the grid. */
static __device__ __forceinline__ int64_t spc_cuda_column(const struct spc_cuda_sites &sites,
                                                          int32_t y, int32_t x)
{
    uint32_t tile = (uint32_t)y / SPC_CUDA_TILE_Y * sites.tiles_x + (uint32_t)x / SPC_CUDA_TILE_X;

    return (int64_t)tile * SPC_CUDA_TILE_COLUMNS +
           (uint32_t)y % SPC_CUDA_TILE_Y * SPC_CUDA_TILE_X + (uint32_t)x % SPC_CUDA_TILE_X;
}

static __device__ __forceinline__ bool spc_cuda_inside(const struct spc_cuda_sites &sites,
                                                       int32_t z, int32_t y, int32_t x)
{
    return (uint32_t)z < (uint32_t)sites.grid[0] && (uint32_t)y < (uint32_t)sites.grid[1] &&
           (uint32_t)x < (uint32_t)sites.grid[2];
}

/* Row of the site at (z, y, x), or -1: also for coordinates outside the grid, and for a site
 * beyond the bound. */
static __device__ __forceinline__ int32_t spc_cuda_row(const struct spc_cuda_sites &sites,
                                                       int32_t z, int32_t y, int32_t x)
{
    int64_t word;
    uint64_t bits, bit = 1ull << (z & 63);
    uint32_t row;

    if (!spc_cuda_inside(sites, z, y, x))
        return -1;
    word = spc_cuda_column(sites, y, x) * sites.words + (z >> 6);
    bits = __ldcg(sites.mask + word); /* some callers run before the kernel in front has ended */
    row = __ldcg(sites.base + word) + __popcll(bits & (bit - 1));
    return bits & bit && row < sites.bound ? (int32_t)row : -1;
}

/* z, y, x of a row; w is 0. */
static __device__ __forceinline__ short4 spc_cuda_coords(const struct spc_cuda_sites &sites,
                                                         int64_t row)
{
    return ((const short4 *)sites.coords)[row];
}

/* How many sites a block has marked in each group, in shared memory: counters in global memory are
 * few, and all blocks would wait for one another. Every thread of the block calls these. */
struct spc_cuda_groups {
    int32_t count[SPC_CUDA_MAX_GROUPS];
};

static __device__ __forceinline__ void spc_cuda_begin_groups(struct spc_cuda_groups &groups)
{
    for (int32_t i = threadIdx.x; i < SPC_CUDA_MAX_GROUPS; i += blockDim.x)
        groups.count[i] = 0;
    __syncthreads();
}

static __device__ __forceinline__ void spc_cuda_add_groups(const struct spc_cuda_sites &sites,
                                                           const struct spc_cuda_groups &groups)
{
    __syncthreads();
    for (int32_t i = threadIdx.x; i < SPC_CUDA_MAX_GROUPS; i += blockDim.x)
        if (groups.count[i])
            atomicAdd((unsigned long long *)&sites.group_count[i],
                      (unsigned long long)groups.count[i]);
}

/* Marks bit `z` of a word; false where it was there already. */
static __device__ __forceinline__ bool spc_cuda_mark(const struct spc_cuda_sites &sites,
                                                     struct spc_cuda_groups &groups, int64_t word,
                                                     int32_t z)
{
    unsigned long long bit = 1ull << z;
    int32_t tile = (int32_t)(word / (SPC_CUDA_TILE_COLUMNS * sites.words));

    if (atomicOr((unsigned long long *)&sites.mask[word], bit) & bit)
        return false;
    atomicAdd(&sites.tile_count[tile], 1);
    atomicAdd(&groups.count[tile >> sites.group_shift], 1);
    return true;
}

#define SPC_CUDA_CLEAR_TILES 8 /* of a warp */

/* Empties a warp's tiles; only those that had sites are written. */
static __device__ __forceinline__ void spc_cuda_clear_tiles(const struct spc_cuda_sites &sites,
                                                            int32_t warp)
{
    int32_t lane = threadIdx.x % 32, tile = warp * SPC_CUDA_CLEAR_TILES, count = 0;

    if (lane < SPC_CUDA_CLEAR_TILES && tile + lane < sites.tiles_y * sites.tiles_x)
        count = sites.tile_count[tile + lane];
    for (uint32_t full = __ballot_sync(~0u, count != 0); full; full &= full - 1) {
        ulonglong2 *mask = (ulonglong2 *)(sites.mask + (int64_t)(tile + __ffs(full) - 1) *
                                                           SPC_CUDA_TILE_COLUMNS * sites.words);

        for (int i = lane; i < SPC_CUDA_TILE_COLUMNS / 2 * sites.words; i += 32)
            mask[i] = make_ulonglong2(0, 0);
    }
    if (count)
        sites.tile_count[tile + lane] = 0;
}

static __device__ __forceinline__ void spc_cuda_clear_groups(const struct spc_cuda_sites &sites)
{
    for (int32_t i = threadIdx.x; i < SPC_CUDA_MAX_GROUPS; i += blockDim.x)
        sites.group_count[i] = 0;
}

/* spc_cuda_index_rank(); `overlap` as for spc_cuda_launch_as(). */
cudaError_t spc_cuda_rank_levels(const struct spc_cuda_sites *levels, int num_levels,
                                 int32_t *totals, bool overlap, cudaStream_t stream);

/* Input coordinate on one axis that offset k of the output coordinate meets; -1: none. */
static __device__ __forceinline__ int32_t spc_cuda_meets(const struct spc_cuda_geometry &g,
                                                         int axis, int32_t at, int32_t k)
{
    int32_t t;

    if (g.subm)
        return at + (k - g.kernel[axis] / 2) * g.dilation[axis];
    if (!g.inverse)
        return at * g.stride[axis] + k * g.dilation[axis] - g.padding[axis];
    t = at + g.padding[axis] - k * g.dilation[axis];
    return t < 0 || t % g.stride[axis] ? -1 : t / g.stride[axis];
}

#endif
