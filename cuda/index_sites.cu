/* SPDX-License-Identifier: MIT */
/* The sites of every level: marking columns' words, then giving every site its row. */
#include "cuda/common.cuh"
#include "cuda/index.h"
#include "cuda/sites.cuh"

#define THREADS 256
#define SCAN_THREADS 1024

/* ---- rows of marked sites: tiles' counts, their running sum, rows ---- */

/* The sum of one value a thread over the block, to every thread; `scratch` holds 33 words. */
static __device__ __forceinline__ int32_t scan_block(int32_t value, int32_t *scratch,
                                                     int32_t *total)
{
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    int32_t sum = value;

    for (int d = 1; d < 32; d *= 2) {
        int32_t other = __shfl_up_sync(~0u, sum, d);

        sum += lane >= d ? other : 0;
    }
    if (lane == 31)
        scratch[warp] = sum;
    __syncthreads();
    if (warp == 0) {
        int32_t own = lane < warps ? scratch[lane] : 0, all = own;

        for (int d = 1; d < 32; d *= 2) {
            int32_t other = __shfl_up_sync(~0u, all, d);

            all += lane >= d ? other : 0;
        }
        scratch[lane] = all - own;
        if (lane == 31)
            scratch[32] = all;
    }
    __syncthreads();
    *total = scratch[32];
    sum += scratch[warp] - value;
    __syncthreads();
    return sum;
}

/* Sites of a column. */
static __device__ __forceinline__ int32_t column_sites(const struct spc_cuda_sites &sites,
                                                       int64_t column)
{
    int32_t count = 0;

    for (int32_t w = 0; w < sites.words; w++)
        count += __popcll(sites.mask[column * sites.words + w]);
    return count;
}

/* A block a tile: its sites, kept in tile_start until the running sum replaces them. */
static __global__ void __launch_bounds__(SPC_CUDA_TILE_COLUMNS) count_tiles(
    struct spc_cuda_sites sites)
{
    __shared__ int32_t scratch[33];
    int32_t count =
        column_sites(sites, (int64_t)blockIdx.x * SPC_CUDA_TILE_COLUMNS + threadIdx.x);
    int32_t total;

    scan_block(count, scratch, &total);
    if (threadIdx.x == 0)
        sites.tile_start[blockIdx.x] = total;
}

/* One block: the running sum over all tiles; each thread has a run of neighbouring tiles. */
static __global__ void __launch_bounds__(SCAN_THREADS) sum_tiles(struct spc_cuda_sites sites,
                                                                 int32_t *total_sites)
{
    __shared__ int32_t scratch[33];
    int32_t tiles = sites.tiles_y * sites.tiles_x, run = (tiles + SCAN_THREADS - 1) / SCAN_THREADS;
    int32_t first = threadIdx.x * run, last = min(first + run, tiles), sum = 0, total, start;

    for (int32_t i = first; i < last; i++)
        sum += sites.tile_start[i];
    start = scan_block(sum, scratch, &total);
    for (int32_t i = first; i < last; i++) {
        int32_t count = sites.tile_start[i];

        sites.tile_start[i] = start;
        start += count;
    }
    if (threadIdx.x == 0) {
        *total_sites = total;
        *sites.count = (int32_t)min((int64_t)total, sites.bound);
    }
}

/* A block a tile: the row of every word, the coordinates of every row. */
static __global__ void __launch_bounds__(SPC_CUDA_TILE_COLUMNS) number_sites(
    struct spc_cuda_sites sites)
{
    __shared__ int32_t scratch[33];
    int64_t column = (int64_t)blockIdx.x * SPC_CUDA_TILE_COLUMNS + threadIdx.x;
    int32_t y = blockIdx.x / sites.tiles_x * SPC_CUDA_TILE_Y + threadIdx.x / SPC_CUDA_TILE_X;
    int32_t x = blockIdx.x % sites.tiles_x * SPC_CUDA_TILE_X + threadIdx.x % SPC_CUDA_TILE_X;
    int32_t total, row;

    row = scan_block(column_sites(sites, column), scratch, &total);
    if (!total)
        return;
    row += sites.tile_start[blockIdx.x];
    for (int32_t w = 0; w < sites.words; w++) {
        uint64_t bits = sites.mask[column * sites.words + w];

        sites.base[column * sites.words + w] = row;
        for (; bits; bits &= bits - 1, row++) {
            if (row >= sites.bound)
                continue;
            sites.coords[3 * (int64_t)row] = w * 64 + __ffsll(bits) - 1;
            sites.coords[3 * (int64_t)row + 1] = y;
            sites.coords[3 * (int64_t)row + 2] = x;
        }
    }
}

static cudaError_t give_rows(const struct spc_cuda_sites *sites, int32_t *total,
                             cudaStream_t stream)
{
    int tiles = sites->tiles_y * sites->tiles_x;

    count_tiles<<<tiles, SPC_CUDA_TILE_COLUMNS, 0, stream>>>(*sites);
    sum_tiles<<<1, SCAN_THREADS, 0, stream>>>(*sites, total);
    number_sites<<<tiles, SPC_CUDA_TILE_COLUMNS, 0, stream>>>(*sites);
    return cudaGetLastError();
}

/* ---- level 0 ---- */

/* Batch, z, y, x of an input row. */
static __device__ __forceinline__ int4 cell_of(const struct spc_cuda_input &input, int64_t i)
{
    const int32_t *row = input.indices + 4 * i; /* aligned to 4 bytes only */
    bool xyz = input.order == SPC_INDEX_XYZ;

    return make_int4(row[0], row[xyz ? 3 : 1], row[2], row[xyz ? 1 : 3]);
}

static __device__ __forceinline__ int64_t rows_given(const struct spc_cuda_sites &sites,
                                                     const struct spc_cuda_input &input)
{
    int64_t rows = *input.num_voxels;

    return rows < 0 ? 0 : rows < sites.bound ? rows : sites.bound;
}

static __global__ void __launch_bounds__(THREADS) mark_input(struct spc_cuda_sites sites,
                                                             struct spc_cuda_input input,
                                                             struct spc_cuda_report *report)
{
    int64_t rows = rows_given(sites, input), step = (int64_t)gridDim.x * THREADS;

    if (blockIdx.x == 0 && threadIdx.x == 0)
        report->num_voxels = *input.num_voxels;
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < rows; i += step) {
        int4 c = cell_of(input, i);
        unsigned long long bit = 1ull << (c.y & 63), *word, before = bit;

        if (!c.x && spc_cuda_inside(sites, c.y, c.z, c.w)) {
            word = (unsigned long long *)&sites
                       .mask[spc_cuda_column(sites, c.z, c.w) * sites.words + (c.y >> 6)];
            before = atomicOr(word, bit);
        }
        if (before & bit)
            report->input_fault = 1; /* every writer writes the same */
    }
}

static __global__ void __launch_bounds__(THREADS) find_rows(struct spc_cuda_sites sites,
                                                            struct spc_cuda_input input)
{
    int64_t rows = rows_given(sites, input), step = (int64_t)gridDim.x * THREADS;

    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < rows; i += step) {
        int4 c = cell_of(input, i);

        input.row_of_input[i] = c.x ? -1 : spc_cuda_row(sites, c.y, c.z, c.w);
    }
}

extern "C" cudaError_t spc_cuda_index_input(const struct spc_cuda_sites *sites,
                                            const struct spc_cuda_input *input,
                                            struct spc_cuda_report *report, cudaStream_t stream)
{
    size_t words = (size_t)sites->tiles_y * sites->tiles_x * SPC_CUDA_TILE_COLUMNS * sites->words;
    unsigned blocks = spc_cuda_blocks(sites->bound, THREADS);
    cudaError_t code = cudaMemsetAsync(sites->mask, 0, words * sizeof(uint64_t), stream);

    if (!code)
        code = cudaMemsetAsync(report, 0, sizeof(*report), stream);
    if (code)
        return code;
    mark_input<<<blocks, THREADS, 0, stream>>>(*sites, *input, report);
    code = give_rows(sites, &report->totals[0], stream);
    if (code)
        return code;
    find_rows<<<blocks, THREADS, 0, stream>>>(*sites, *input);
    return cudaGetLastError();
}

/* ---- further levels ---- */

struct strided {
    struct spc_cuda_sites out, in;
    struct spc_cuda_geometry geometry;
};

/* Word `w` of the OR of the input columns that the column at (y, x) meets. */
static __device__ __forceinline__ uint64_t or_columns(const struct strided &s, int32_t y,
                                                      int32_t x, int32_t w)
{
    const struct spc_cuda_geometry &g = s.geometry;
    uint64_t bits = 0;

    for (int32_t ky = 0; ky < g.kernel[1]; ky++)
        for (int32_t kx = 0; kx < g.kernel[2]; kx++) {
            int32_t in_y = y * g.stride[1] + ky * g.dilation[1] - g.padding[1];
            int32_t in_x = x * g.stride[2] + kx * g.dilation[2] - g.padding[2];

            if (spc_cuda_inside(s.in, 0, in_y, in_x))
                bits |= s.in.mask[spc_cuda_column(s.in, in_y, in_x) * s.in.words + w];
        }
    return bits;
}

/* ORs into output word `w` what input word `in_w`, already OR-ed over the columns, reaches. */
static __device__ __forceinline__ uint64_t pool(const struct strided &s, uint64_t bits,
                                                int32_t in_w, int32_t w)
{
    const struct spc_cuda_geometry &g = s.geometry;
    uint64_t pooled = 0;

    for (; bits; bits &= bits - 1)
        for (int32_t k = 0; k < g.kernel[0]; k++) {
            int32_t t = in_w * 64 + __ffsll(bits) - 1 + g.padding[0] - k * g.dilation[0];
            int32_t z = t / g.stride[0];

            if (t >= 0 && z * g.stride[0] == t && z < s.out.grid[0] && z / 64 == w)
                pooled |= 1ull << (z & 63);
        }
    return pooled;
}

/* A thread an output column and word. Columns of the last tiles that lie outside the grid are
 * cleared too: the sums run over whole tiles. */
static __global__ void __launch_bounds__(THREADS) mark_strided(struct strided s, int64_t words)
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x, column = i / s.out.words;
    int32_t w = (int32_t)(i - column * s.out.words), tile, y, x;
    uint64_t pooled = 0;

    if (i >= words)
        return;
    tile = (int32_t)(column / SPC_CUDA_TILE_COLUMNS);
    y = tile / s.out.tiles_x * SPC_CUDA_TILE_Y +
        (int32_t)(column % SPC_CUDA_TILE_COLUMNS) / SPC_CUDA_TILE_X;
    x = tile % s.out.tiles_x * SPC_CUDA_TILE_X + (int32_t)(column % SPC_CUDA_TILE_X);
    if (spc_cuda_inside(s.out, 0, y, x))
        for (int32_t in_w = 0; in_w < s.in.words; in_w++)
            pooled |= pool(s, or_columns(s, y, x, in_w), in_w, w);
    s.out.mask[i] = pooled;
}

extern "C" cudaError_t spc_cuda_index_strided(const struct spc_cuda_sites *out,
                                              const struct spc_cuda_sites *in,
                                              const struct spc_cuda_geometry *geometry, int level,
                                              struct spc_cuda_report *report, cudaStream_t stream)
{
    struct strided s = {*out, *in, *geometry};
    int64_t words =
        (int64_t)out->tiles_y * out->tiles_x * SPC_CUDA_TILE_COLUMNS * out->words;

    mark_strided<<<(unsigned)((words + THREADS - 1) / THREADS), THREADS, 0, stream>>>(s, words);
    return give_rows(out, &report->totals[level], stream);
}
