/* SPDX-License-Identifier: MIT */
/* Level 0: marking the columns of the input's voxels, and the row of every voxel. */
#include "cuda/common.cuh"
#include "cuda/index_steps.h"
#include "cuda/launch.cuh"
#include "cuda/sites.cuh"

#define THREADS 256

struct marking {
    struct spc_cuda_sites sites;
    struct spc_cuda_input input;
    struct spc_cuda_report *report;
};

/* Batch, z, y, x of an input row. */
static __device__ __forceinline__ int4 cell_of(const struct spc_cuda_input &input, int64_t i)
{
    const int32_t *row = input.indices + 4 * i; /* aligned to 4 bytes only */
    bool xyz = input.order == SPC_INDEX_XYZ;

    return make_int4(row[0], row[xyz ? 3 : 1], row[2], row[xyz ? 1 : 3]);
}

/* Rows of this frame, to all threads of the block; one thread reads, for it may be host memory. */
static __device__ __forceinline__ int64_t rows_given(const struct marking &m)
{
    __shared__ int32_t given;

    if (threadIdx.x == 0)
        given = *m.input.num_voxels;
    __syncthreads();
    return given < 0 ? 0 : min((int64_t)given, m.sites.bound);
}

/* false where the voxel is refused: outside, or there already. */
static __device__ __forceinline__ bool mark(const struct spc_cuda_sites &sites, int4 c)
{
    unsigned long long bit = 1ull << (c.y & 63);
    int64_t column;

    if (c.x || !spc_cuda_inside(sites, c.y, c.z, c.w))
        return false;
    column = spc_cuda_column(sites, c.z, c.w);
    if (atomicOr((unsigned long long *)&sites.mask[column * sites.words + (c.y >> 6)], bit) & bit)
        return false;
    atomicAdd(&sites.tile_count[column / SPC_CUDA_TILE_COLUMNS], 1);
    return true;
}

/* Reads the first rows before the columns are clear: the frame's input was complete before the
 * kernel that clears let this one start. */
static __global__ void __launch_bounds__(THREADS)
    mark_input(const __grid_constant__ struct marking m)
{
    int64_t step = (int64_t)gridDim.x * THREADS, rows = rows_given(m);
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    int4 cell = i < rows ? cell_of(m.input, i) : make_int4(0, 0, 0, 0);

    wait_for_previous();
    let_next_start(); /* as above */
    while (i < rows) {
        if (!mark(m.sites, cell))
            m.report->input_fault = 1; /* every writer writes the same */
        i += step;
        if (i < rows)
            cell = cell_of(m.input, i);
    }
}

static __global__ void __launch_bounds__(THREADS)
    find_rows(const __grid_constant__ struct marking m)
{
    int64_t step = (int64_t)gridDim.x * THREADS, rows;

    let_next_start();
    wait_for_previous();
    rows = min((int64_t)max(m.report->num_voxels, 0), m.sites.bound);
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < rows; i += step) {
        int4 c = cell_of(m.input, i);

        m.input.row_of_input[i] = c.x ? -1 : spc_cuda_row(m.sites, c.y, c.z, c.w);
    }
}

extern "C" cudaError_t spc_cuda_index_input(const struct spc_cuda_sites *levels, int num_levels,
                                            const struct spc_cuda_input *input,
                                            struct spc_cuda_report *report, cudaStream_t stream)
{
    struct marking m = {levels[0], *input, report};
    unsigned blocks = spc_cuda_blocks(levels[0].bound, THREADS);
    cudaError_t code =
        spc_cuda_index_clear(levels, num_levels, input->num_voxels, report, stream);

    if (!code)
        code = spc_cuda_launch(mark_input, blocks, THREADS, 0, stream, m);
    if (!code)
        code = spc_cuda_index_rank(levels, 1, report->totals, stream);
    if (!code)
        code = spc_cuda_launch(find_rows, blocks, THREADS, 0, stream, m);
    return code;
}
