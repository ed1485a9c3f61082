/* SPDX-License-Identifier: MIT */
/*
 * From points to lists: the cell of each point, the row of each cell, and for each row the numbers
 * of its points, in the order in which they happen to arrive; voxel_means.cu sorts them. And the
 * launches of a frame. Warps stay together, from their first point to their last.
 */
#include "cuda/common.cuh"
#include "cuda/launch.cuh"
#include "cuda/sites.cuh"
#include "cuda/voxel_more.cuh"
#include "cuda/voxel_points.cuh"
#include "cuda/voxel_steps.h"

#define THREADS 512
#define NOWHERE ~0ull

/* ---- cells ---- */

/* Cell of coordinate p along an axis (x, y, z), or -1; as the CPU's axis_cell(). */
static __device__ __forceinline__ int32_t axis_cell(const struct spc_cuda_voxels &v, int axis,
                                                    float p)
{
    if (!(p >= v.range[axis] && p < v.range[axis + 3])) /* NaN is outside, too */
        return -1;
    return min((int32_t)((p - v.range[axis]) / v.size[axis]), v.cells_in_range[axis] - 1);
}

/* The number of the bit of a point's cell, 64 a word; or NOWHERE. */
template <bool plain>
static __device__ __forceinline__ unsigned long long
cell_of(const struct spc_cuda_voxels &v, const struct spc_cuda_points &points, uint32_t i)
{
    const unsigned char *at = points.data + (uint64_t)i * points.stride;
    float px = spc_cuda_value<plain>(at + points.offset[0], points.type[0]);
    float py = spc_cuda_value<plain>(at + points.offset[1], points.type[1]);
    float pz = spc_cuda_value<plain>(at + points.offset[2], points.type[2]);
    int32_t x = axis_cell(v, 0, px), y = axis_cell(v, 1, py), z = axis_cell(v, 2, pz);
    int64_t word;

    if ((x | y | z) < 0)
        return NOWHERE;
    word = spc_cuda_column(v.sites, y, x) * v.sites.words + (z >> 6);
    return (unsigned long long)word * 64 + (z & 63);
}

/* Marks the cell of the point in each thread. Many points of a frame meet near the sensor, and
 * atomics on one place come one after the other: of those of a warp that meet, one marks for
 * all. */
static __device__ __forceinline__ void mark(const struct spc_cuda_sites &sites,
                                            struct spc_cuda_groups &groups,
                                            unsigned long long cell)
{
    uint32_t peers = __match_any_sync(~0u, cell);

    if (cell != NOWHERE && threadIdx.x % 32 == __ffs(peers) - 1)
        spc_cuda_mark(sites, groups, (int64_t)(cell / 64), (int32_t)(cell & 63));
}

/* Marks the cell of every point; returns how many of the block's are in range. */
template <bool plain>
static __device__ __forceinline__ uint32_t mark_points(const struct spc_cuda_voxels &v,
                                                       const struct spc_cuda_points &points,
                                                       struct spc_cuda_groups &groups)
{
    uint32_t step = gridDim.x * THREADS, count = points.count, inside = 0;

    for (uint32_t first = blockIdx.x * THREADS; first < count; first += step) {
        uint32_t i = first + threadIdx.x;
        unsigned long long cell = i < count ? cell_of<plain>(v, points, i) : NOWHERE;

        if (i < count)
            v.cell[i] = cell;
        mark(v.sites, groups, cell);
        inside += __syncthreads_count(cell != NOWHERE);
    }
    return inside;
}

static __global__ void __launch_bounds__(THREADS)
    mark_cells(const __grid_constant__ struct spc_cuda_voxels v,
               const __grid_constant__ struct spc_cuda_points points)
{
    __shared__ struct spc_cuda_groups groups;
    uint32_t inside;

    let_next_start();
    spc_cuda_begin_groups(groups);
    wait_for_previous();
    if (blockIdx.x == 0 && threadIdx.x < sizeof(points) / sizeof(uint32_t))
        ((uint32_t *)v.points)[threadIdx.x] = ((const uint32_t *)&points)[threadIdx.x];
    inside = points.plain ? mark_points<true>(v, points, groups)
                          : mark_points<false>(v, points, groups);
    if (threadIdx.x == 0)
        v.inside[blockIdx.x] = inside; /* a sum of all blocks' would make them wait */
    spc_cuda_add_groups(v.sites, groups);
}

/* ---- lists ---- */

/* The row of a cell, UINT32_MAX where it has none. */
static __device__ __forceinline__ uint32_t row_of(const struct spc_cuda_sites &sites,
                                                  unsigned long long cell)
{
    unsigned long long below = (1ull << (cell & 63)) - 1;
    uint32_t row;

    if (cell == NOWHERE)
        return UINT32_MAX;
    row = sites.base[cell / 64] + __popcll(sites.mask[cell / 64] & below);
    return row < sites.bound ? row : UINT32_MAX;
}

/* How many points of its row came before the one in each thread; the threads of a warp that have
 * the same row count together. */
static __device__ __forceinline__ uint32_t count_one(const struct spc_cuda_voxels &v, uint32_t row)
{
    uint32_t peers = __match_any_sync(~0u, row);
    uint32_t lane = threadIdx.x % 32, leader = __ffs(peers) - 1, before = 0;

    if (lane == leader && row != UINT32_MAX)
        before = atomicAdd(&v.count[row], __popc(peers));
    return __shfl_sync(~0u, before, leader) + __popc(peers & ((1u << lane) - 1));
}

static __device__ __forceinline__ void put_point(const struct spc_cuda_voxels &v, uint32_t row,
                                                 uint32_t before, uint32_t point)
{
    if (before < SPC_CUDA_SHORT_LIST) {
        v.list[(uint64_t)row * SPC_CUDA_SHORT_LIST + before] = point;
        return;
    }
    spc_cuda_put_more(v, row, before, point);
    if (before == SPC_CUDA_SHORT_LIST)
        v.long_rows[atomicAdd(&v.sums->num_long, 1)] = row;
}

static __global__ void __launch_bounds__(THREADS)
    list_points(const __grid_constant__ struct spc_cuda_voxels v)
{
    uint32_t step = gridDim.x * THREADS, count, over = 0;

    let_next_start();
    wait_for_previous();
    count = v.points->count;
    for (uint32_t first = blockIdx.x * THREADS; first < count; first += step) {
        uint32_t i = first + threadIdx.x, row = row_of(v.sites, i < count ? v.cell[i] : NOWHERE);
        uint32_t before = count_one(v, row);

        if (row != UINT32_MAX)
            put_point(v, row, before, i);
        if (v.limit < UINT32_MAX)
            over += __syncthreads_count(row != UINT32_MAX && before >= v.limit);
    }
    if (threadIdx.x == 0)
        v.over[blockIdx.x] = over;
}

/* ---- launches ---- */

extern "C" cudaError_t spc_cuda_voxelize(const struct spc_cuda_voxels *v,
                                         const struct spc_cuda_points *points,
                                         cudaStream_t stream)
{
    unsigned blocks = min(spc_cuda_blocks(v->room, THREADS), SPC_CUDA_LIST_BLOCKS);
    cudaError_t code = spc_cuda_launch(mark_cells, blocks, THREADS, 0, stream, *v, *points);

    if (!code)
        code = spc_cuda_index_rank(&v->sites, 1, v->total, stream);
    if (!code)
        code = spc_cuda_launch(list_points, blocks, THREADS, 0, stream, *v);
    return code ? code : spc_cuda_voxel_means(v, blocks, stream);
}

extern "C" cudaError_t spc_cuda_voxelize_again(cudaGraphExec_t exec, cudaGraph_t recorded,
                                               const struct spc_cuda_voxels *v,
                                               const struct spc_cuda_points *points)
{
    void *arguments[] = {(void *)v, (void *)points};
    struct cudaKernelNodeParams kernel;
    cudaGraphNode_t mark;
    size_t roots = 1;
    cudaError_t code = cudaGraphGetRootNodes(recorded, &mark, &roots);

    if (!code)
        code = cudaGraphKernelNodeGetParams(mark, &kernel);
    kernel.kernelParams = arguments;
    return code ? code : cudaGraphExecKernelNodeSetParams(exec, mark, &kernel);
}
