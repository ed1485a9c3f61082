/* SPDX-License-Identifier: MIT */
/* Looking sites up, on the device. */
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
    bits = sites.mask[word];
    row = sites.base[word] + __popcll(bits & (bit - 1));
    return bits & bit && row < sites.bound ? (int32_t)row : -1;
}

/* z, y, x of a row; w is 0. */
static __device__ __forceinline__ short4 spc_cuda_coords(const struct spc_cuda_sites &sites,
                                                         int64_t row)
{
    return ((const short4 *)sites.coords)[row];
}

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
