/* SPDX-License-Identifier: MIT */
/*
 * From points to lists: the cell of each point, the row of each cell, and for each row the numbers
 * of its points, in the order in which they happen to arrive; voxel_means.cu sorts them.
 */
#include "cuda/block.cuh"
#include "cuda/common.cuh"
#include "cuda/launch.cuh"
#include "cuda/sites.cuh"
#include "cuda/voxel_points.cuh"
#include "cuda/voxel_steps.h"

#define THREADS SPC_CUDA_BLOCK
#define WARPS (THREADS / 32)
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

/* The number of a cell's bit: 64 a word. */
static __device__ __forceinline__ unsigned long long cell_of(const struct spc_cuda_sites &sites,
                                                             int32_t z, int32_t y, int32_t x)
{
    int64_t word = spc_cuda_column(sites, y, x) * sites.words + (z >> 6);

    return (unsigned long long)word * 64 + (z & 63);
}

/* Marks a cell. Many points of a frame meet near the sensor, and atomics on one place come one
 * after the other: of those of a warp that meet, one marks for all. */
static __device__ __forceinline__ void mark(const struct spc_cuda_sites &sites,
                                            struct spc_cuda_groups &groups,
                                            unsigned long long cell)
{
    uint32_t peers = __match_any_sync(__activemask(), cell);

    if (threadIdx.x % 32 == __ffs(peers) - 1)
        spc_cuda_mark(sites, groups, (int64_t)(cell / 64), (int32_t)(cell & 63));
}

/* Marks the cell of every point; returns how many of this thread's are in range. */
template <bool plain>
static __device__ __forceinline__ uint32_t mark_points(const struct spc_cuda_voxels &v,
                                                       const struct spc_cuda_points &points,
                                                       struct spc_cuda_groups &groups)
{
    uint32_t step = gridDim.x * THREADS, count = points.count, inside = 0;

    for (uint32_t i = blockIdx.x * THREADS + threadIdx.x; i < count; i += step) {
        int32_t x = axis_cell(v, 0, spc_cuda_field<plain>(points, i, 0));
        int32_t y = axis_cell(v, 1, spc_cuda_field<plain>(points, i, 1));
        int32_t z = axis_cell(v, 2, spc_cuda_field<plain>(points, i, 2));
        bool here = (x | y | z) >= 0;

        unsigned long long cell = here ? cell_of(v.sites, z, y, x) : NOWHERE;

        v.place[i] = cell;
        inside += here;
        if (here)
            mark(v.sites, groups, cell);
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
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        v.sums->over = 0;
        v.sums->short_points = v.sums->long_points = v.sums->num_long = 0;
    }
    inside = points.plain ? mark_points<true>(v, points, groups)
                          : mark_points<false>(v, points, groups);
    spc_cuda_add_groups(v.sites, groups);
    spc_cuda_add_up(&v.sums->inside, inside);
}

/* ---- lists ---- */

/* Adds 1, and returns what was there; the threads of a warp that have the same row add together. */
static __device__ __forceinline__ uint32_t count_one(uint32_t *count, uint32_t row)
{
    uint32_t active = __activemask(), peers = __match_any_sync(active, row);
    uint32_t lane = threadIdx.x % 32, leader = __ffs(peers) - 1, before = 0;

    if (lane == leader)
        before = atomicAdd(count, __popc(peers));
    return __shfl_sync(active, before, leader) + __popc(peers & ((1u << lane) - 1));
}

/* The row of each point's cell, and the point's place among those of that row. */
static __global__ void __launch_bounds__(THREADS)
    count_points(const __grid_constant__ struct spc_cuda_voxels v)
{
    uint32_t step = gridDim.x * THREADS, count;

    let_next_start();
    wait_for_previous();
    count = v.points->count;
    for (uint32_t i = blockIdx.x * THREADS + threadIdx.x; i < count; i += step) {
        unsigned long long cell = v.place[i], below = (1ull << (cell & 63)) - 1, to = NOWHERE;
        uint32_t row;

        if (cell == NOWHERE)
            continue;
        row = v.sites.base[cell / 64] + __popcll(v.sites.mask[cell / 64] & below);
        if (row < v.sites.bound)
            to = (unsigned long long)row << 32 | count_one(&v.list_count[row], row);
        v.place[i] = to;
    }
}

/* Room for the lists of the rows first .. first + THREADS - 1; returns how many points of this
 * thread's are beyond the limit. Who comes first takes the first room, which nothing that is
 * computed shows. */
static __device__ __forceinline__ uint32_t allot_rows(const struct spc_cuda_voxels &v,
                                                      uint32_t first, uint32_t rows)
{
    __shared__ uint32_t begin;
    uint32_t row = first + threadIdx.x, all;
    uint32_t count = row < rows ? v.list_count[row] : 0;
    bool is_long = count > SPC_CUDA_SHORT_LIST;
    uint32_t at = spc_cuda_sum_before(is_long ? 0 : count, &all);

    if (threadIdx.x == 0)
        begin = atomicAdd(&v.sums->short_points, all);
    __syncthreads();
    if (is_long) {
        uint32_t from_end = atomicAdd(&v.sums->long_points, count) + count;

        v.long_lists[atomicAdd(&v.sums->num_long, 1)] = {row, v.room - from_end, count};
        v.list_first[row] = v.room - from_end;
    } else if (row < rows) {
        v.list_first[row] = begin + at;
    }
    __syncthreads();
    return count > v.limit ? count - v.limit : 0;
}

/* The first `allotting` blocks allot; the others clear, which no longer disturbs: all rows are
 * known. */
static __global__ void __launch_bounds__(THREADS)
    allot_lists(const __grid_constant__ struct spc_cuda_voxels v, uint32_t allotting)
{
    uint32_t rows, over = 0;

    let_next_start();
    wait_for_previous();
    if (blockIdx.x >= allotting) {
        if (blockIdx.x == allotting)
            spc_cuda_clear_groups(v.sites);
        spc_cuda_clear_tiles(v.sites, (blockIdx.x - allotting) * WARPS + threadIdx.x / 32);
        return;
    }
    rows = *v.sites.count;
    for (uint32_t first = blockIdx.x * THREADS; first < rows; first += allotting * THREADS)
        over += allot_rows(v, first, rows);
    spc_cuda_add_up(&v.sums->over, over);
}

static __global__ void __launch_bounds__(THREADS)
    fill_lists(const __grid_constant__ struct spc_cuda_voxels v)
{
    uint32_t step = gridDim.x * THREADS, count;

    let_next_start();
    wait_for_previous();
    count = v.points->count;
    for (uint32_t i = blockIdx.x * THREADS + threadIdx.x; i < count; i += step) {
        unsigned long long place = v.place[i];

        if (place != NOWHERE)
            v.list[v.list_first[place >> 32] + (uint32_t)place] = i;
    }
}

/* ---- launches ---- */

static cudaError_t make_lists(const struct spc_cuda_voxels *v, cudaStream_t stream)
{
    unsigned blocks = spc_cuda_blocks(v->room, THREADS);
    unsigned allotting = spc_cuda_blocks(v->sites.bound, THREADS);
    unsigned tiles = (unsigned)(v->sites.tiles_y * v->sites.tiles_x);
    unsigned clearing = (tiles + WARPS * SPC_CUDA_CLEAR_TILES - 1) /
                        (WARPS * SPC_CUDA_CLEAR_TILES);
    cudaError_t code = spc_cuda_launch(count_points, blocks, THREADS, 0, stream, *v);

    if (!code)
        code = spc_cuda_launch(allot_lists, allotting + clearing, THREADS, 0, stream, *v,
                               allotting);
    return code ? code : spc_cuda_launch(fill_lists, blocks, THREADS, 0, stream, *v);
}

extern "C" cudaError_t spc_cuda_voxelize(const struct spc_cuda_voxels *v,
                                         const struct spc_cuda_points *points,
                                         cudaStream_t stream)
{
    cudaError_t code = spc_cuda_launch(mark_cells, spc_cuda_blocks(v->room, THREADS), THREADS, 0,
                                       stream, *v, *points);

    if (!code)
        code = spc_cuda_index_rank(&v->sites, 1, v->total, stream);
    if (!code)
        code = make_lists(v, stream);
    return code ? code : spc_cuda_voxel_means(v, stream);
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
