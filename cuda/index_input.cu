/* SPDX-License-Identifier: MIT */
/* Level 0: marking the columns of the input's voxels, the row of every voxel with its features,
 * and clearing after the frame. */
#include "cuda/common.cuh"
#include "cuda/index.h"
#include "cuda/launch.cuh"
#include "cuda/sites.cuh"

#define THREADS 512
#define WARPS (THREADS / 32)

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

    return make_int4(__ldg(row), __ldg(row + (xyz ? 3 : 1)), __ldg(row + 2),
                     __ldg(row + (xyz ? 1 : 3)));
}

/* ---- marking ---- */

/* Rows that the caller has memory for, as far as they matter. */
static __host__ __device__ __forceinline__ int32_t rows_there(const struct spc_cuda_sites &sites,
                                                              const struct spc_cuda_input &input)
{
    return input.num_voxels < sites.bound ? input.num_voxels : (int32_t)sites.bound;
}

/* Rows of this frame as the caller counts them, to all threads of the block. */
static __device__ __forceinline__ int32_t rows_given(const struct spc_cuda_input &input)
{
    __shared__ int32_t given;

    if (!input.device_count)
        return input.num_voxels;
    if (threadIdx.x == 0) /* it may be host memory, which is slow to read */
        given = *input.device_count;
    __syncthreads();
    return given;
}

/* false where the voxel is refused: outside, or there already. */
static __device__ __forceinline__ bool mark(const struct spc_cuda_sites &sites, int4 c,
                                            struct spc_cuda_groups &groups)
{
    if (c.x || !spc_cuda_inside(sites, c.y, c.z, c.w))
        return false;
    return spc_cuda_mark(sites, groups,
                         spc_cuda_column(sites, c.z, c.w) * sites.words + (c.y >> 6), c.y & 63);
}

static __global__ void __launch_bounds__(THREADS)
    mark_input(const __grid_constant__ struct marking m)
{
    __shared__ struct spc_cuda_groups groups;
    int64_t step = (int64_t)gridDim.x * THREADS;
    int32_t given, rows;

    let_next_start();
    spc_cuda_begin_groups(groups);
    wait_for_previous();
    given = rows_given(m.input);
    rows = max(min(given, rows_there(m.sites, m.input)), 0);
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        m.report->num_voxels = given;
        m.report->num_rows = rows;
    }
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < rows; i += step)
        if (!mark(m.sites, cell_of(m.input, i), groups))
            m.report->input_fault = 1; /* every writer writes the same */
    spc_cuda_add_groups(m.sites, groups);
}

static unsigned blocks_of(const struct spc_cuda_sites *level, const struct spc_cuda_input *input)
{
    return spc_cuda_blocks(rows_there(*level, *input), THREADS);
}

extern "C" cudaError_t spc_cuda_index_mark(const struct spc_cuda_sites *level,
                                           const struct spc_cuda_input *input,
                                           struct spc_cuda_report *report, cudaStream_t stream)
{
    struct marking m = {*level, *input, report};

    return spc_cuda_launch(mark_input, blocks_of(level, input), THREADS, 0, stream, m);
}

extern "C" cudaError_t spc_cuda_index_mark_again(cudaGraphExec_t graph, cudaGraphNode_t node,
                                                 const struct spc_cuda_sites *level,
                                                 const struct spc_cuda_input *input,
                                                 struct spc_cuda_report *report)
{
    struct marking m = {*level, *input, report};
    void *parameters[] = {&m};
    struct cudaKernelNodeParams launch = {};

    launch.func = (void *)mark_input;
    launch.gridDim = dim3(blocks_of(level, input));
    launch.blockDim = dim3(THREADS);
    launch.kernelParams = parameters;
    return cudaGraphExecKernelNodeSetParams(graph, node, &launch);
}

/* ---- rows ---- */

#define PLACE_THREADS 256
#define UNIT 8 /* channels that are stored at once */

/* `UNIT` channels of an input row from `first` on, zeros past the last. */
template <typename In>
static __device__ __forceinline__ uint4 load_unit(const struct spc_cuda_input &input, int64_t i,
                                                  int32_t first)
{
    const In *from = (const In *)input.features + i * input.channels;
    union {
        uint4 all;
        __half channel[UNIT];
    } unit;

#pragma unroll
    for (int c = 0; c < UNIT; c++)
        store(&unit.channel[c], first + c < input.channels ? to_float(__ldg(from + first + c))
                                                           : 0.0f);
    return unit.all;
}

/* A thread a row. Its first channels are read while the row is looked up. */
template <typename In>
static __device__ __forceinline__ void place_row(const struct marking &m, int64_t i)
{
    const struct spc_cuda_input &input = m.input;
    uint4 unit = input.padded ? load_unit<In>(input, i, 0) : make_uint4(0, 0, 0, 0);
    int4 c = cell_of(input, i);
    int32_t row = c.x ? -1 : spc_cuda_row(m.sites, c.y, c.z, c.w);
    uint4 *to = (uint4 *)input.padded + (int64_t)row * (input.padded_stride / UNIT);

    if (input.row_of_input)
        input.row_of_input[i] = row;
    if (!input.padded || row < 0)
        return;
    *to = unit;
    for (int32_t first = UNIT; first < input.padded_stride; first += UNIT)
        *++to = load_unit<In>(input, i, first);
}

template <typename In>
static __global__ void __launch_bounds__(PLACE_THREADS)
    place_rows(const __grid_constant__ struct marking m)
{
    int64_t step = (int64_t)gridDim.x * PLACE_THREADS;
    int32_t rows;

    settle();
    rows = __ldcg(&m.report->num_rows);
    for (int64_t i = (int64_t)blockIdx.x * PLACE_THREADS + threadIdx.x; i < rows; i += step)
        place_row<In>(m, i);
}

extern "C" cudaError_t spc_cuda_index_place(const struct spc_cuda_sites *level,
                                            const struct spc_cuda_input *input,
                                            struct spc_cuda_report *report, cudaStream_t stream)
{
    struct marking m = {*level, *input, report};
    unsigned blocks = spc_cuda_blocks(level->bound, PLACE_THREADS);

    return input->feature_type == SPC_DTYPE_F16
               ? spc_cuda_launch(place_rows<__half>, blocks, PLACE_THREADS, 0, stream, m)
               : spc_cuda_launch(place_rows<float>, blocks, PLACE_THREADS, 0, stream, m);
}

/* ---- clearing ---- */

struct clearing {
    int32_t num_levels;
    struct spc_cuda_sites levels[SPC_CUDA_MAX_LEVELS];
    struct spc_cuda_report *report;
};

static_assert(sizeof(struct clearing) <= 4096, "kernel parameters");

/* The first blocks clear the groups of a level each. */
static __global__ void __launch_bounds__(THREADS)
    clear_index(const __grid_constant__ struct clearing c)
{
    int32_t block = (int32_t)blockIdx.x - c.num_levels;

    if (block >= 0)
        spc_cuda_clear_tiles(c.levels[0], block * WARPS + (int32_t)threadIdx.x / 32);
    else
        spc_cuda_clear_groups(c.levels[blockIdx.x]);
    if (blockIdx.x == 0 && threadIdx.x == 0)
        c.report->input_fault = 0;
}

extern "C" cudaError_t spc_cuda_index_clear(const struct spc_cuda_sites *levels, int num_levels,
                                            struct spc_cuda_report *report, cudaStream_t stream)
{
    int32_t tiles = levels[0].tiles_y * levels[0].tiles_x, each = WARPS * SPC_CUDA_CLEAR_TILES;
    struct clearing c = {};

    c.num_levels = num_levels;
    c.report = report;
    for (int i = 0; i < num_levels; i++)
        c.levels[i] = levels[i];
    clear_index<<<num_levels + (tiles + each - 1) / each, THREADS, 0, stream>>>(c);
    return cudaGetLastError();
}

extern "C" cudaError_t spc_cuda_index_reset(const struct spc_cuda_sites *levels, int num_levels,
                                            struct spc_cuda_report *report, cudaStream_t stream)
{
    cudaError_t code =
        report ? cudaMemsetAsync(report, 0, sizeof(*report), stream) : cudaSuccess;

    for (int i = 0; i < num_levels && !code; i++) {
        const struct spc_cuda_sites *sites = &levels[i];
        size_t tiles = (size_t)sites->tiles_y * (size_t)sites->tiles_x;
        size_t words = tiles * SPC_CUDA_TILE_COLUMNS * (size_t)sites->words;

        code = cudaMemsetAsync(sites->tile_count, 0, tiles * sizeof(int32_t), stream);
        if (!code)
            code = cudaMemsetAsync(sites->group_count, 0,
                                   SPC_CUDA_MAX_GROUPS * sizeof(*sites->group_count), stream);
        if (!code)
            code = cudaMemsetAsync(sites->mask, 0, words * sizeof(*sites->mask), stream);
        if (!code) /* read beside the mask, and not used, where that is 0 */
            code = cudaMemsetAsync(sites->base, 0, words * sizeof(*sites->base), stream);
        if (!code) /* read before it is known how many rows there are */
            code = cudaMemsetAsync(sites->coords, 0,
                                   (size_t)sites->bound * 4 * sizeof(*sites->coords), stream);
        if (!code)
            code = cudaMemsetAsync(sites->count, 0, sizeof(*sites->count), stream);
    }
    return code;
}
