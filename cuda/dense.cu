/* SPDX-License-Identifier: MIT */
/* Dense tensors: scatter, which writes every element once, and transpose. */
#include "cuda/common.cuh"
#include "cuda/kernels.h"
#include "cuda/launch.cuh"
#include "cuda/sites.cuh"

#define THREADS 256
#define CELLS 64    /* cells of a block */
#define CHANNELS 32 /* channels that go through shared memory at a time */
#define PACKED_CELLS 128 /* the same where they are packed */
#define PACKED_CHANNELS 64

/*
 * A block makes `CELLS` cells that follow one another in memory, for all channels: cells of one
 * line along y or x, whichever runs faster, and of all its z where z runs faster still. It looks
 * the cells' rows up, then brings some channels at a time through shared memory: reads run along
 * a row's channels, writes along whatever is contiguous in the output.
 */
struct scatter_lines {
    const void *in;
    void *out;
    struct spc_cuda_sites sites;
    int64_t channel_stride, line_stride, z_stride, other_stride;
    int32_t channels;
    int32_t cells;    /* of a line, with its z where those are inside, */
    int32_t line;     /* of which so many are on one line of the grid; else lines follow */
    int32_t others;   /* lines side by side */
    bool along_y;     /* the line runs along y, else along x */
    bool z_inside;    /* else blockIdx.z is z */
    bool channels_first; /* neighbours in memory are channels of one cell */
    bool nchw32;
    bool early;
};

/* z and the place along the line of cell `i` of the line. */
static __device__ __forceinline__ void split_cell(const struct scatter_lines &s, int32_t i,
                                                  int32_t *z, int32_t *along)
{
    int32_t depth = s.sites.grid[0];

    *z = s.z_inside ? i % depth : (int32_t)blockIdx.z;
    *along = s.z_inside ? i / depth : i;
}

static __device__ __forceinline__ int64_t element_at(const struct scatter_lines &s, int32_t i,
                                                     int32_t c)
{
    int32_t z, along;

    split_cell(s, i, &z, &along);
    if (s.nchw32) {
        int64_t q = (int64_t)c * s.sites.grid[0] + z;

        return ((q / 32 * s.sites.grid[1] + blockIdx.y) * s.sites.grid[2] + along) * 32 + q % 32;
    }
    return c * s.channel_stride + z * s.z_stride + along * s.line_stride +
           blockIdx.y * s.other_stride;
}

/* The rows of the block's cells, -1 for none. */
static __device__ __forceinline__ void find_rows(const struct scatter_lines &s, int32_t first,
                                                 int32_t *rows)
{
    int32_t i = first + threadIdx.x, z, along;

    if (threadIdx.x >= CELLS)
        return;
    split_cell(s, i, &z, &along);
    rows[threadIdx.x] = i >= s.cells
                            ? -1
                            : spc_cuda_row(s.sites, z, s.along_y ? along : (int32_t)blockIdx.y,
                                           s.along_y ? (int32_t)blockIdx.y : along);
}

template <typename T>
static __global__ void __launch_bounds__(THREADS) scatter(struct scatter_lines s)
{
    __shared__ int32_t rows[CELLS];
    __shared__ T values[CHANNELS][CELLS + 1];
    int32_t first = blockIdx.x * CELLS;

    settle();
    find_rows(s, first, rows);
    for (int32_t c0 = 0; c0 < s.channels; c0 += CHANNELS) {
        __syncthreads();
        for (int j = threadIdx.x; j < CELLS * CHANNELS; j += THREADS) {
            int32_t c = j % CHANNELS, i = j / CHANNELS, row = rows[i];

            values[c][i] = row >= 0 && c0 + c < s.channels
                               ? ((const T *)s.in)[(int64_t)row * s.channels + c0 + c]
                               : (T)0;
        }
        __syncthreads();
        for (int j = threadIdx.x; j < CELLS * CHANNELS; j += THREADS) {
            int32_t c = s.channels_first ? j % CHANNELS : j / CELLS;
            int32_t i = s.channels_first ? j / CHANNELS : j % CELLS;

            if (first + i < s.cells && c0 + c < s.channels)
                ((T *)s.out)[element_at(s, first + i, c0 + c)] = values[c][i];
        }
    }
}

/*
 * The same where cells of a line follow one another in memory and a row's channels are a multiple
 * of 16 bytes, as in [C][Z][Y][X]: whole planes are one line where they have no gaps, each block
 * has 64 channels, and stores are of several cells, a `unit`. Most units of a frame are empty.
 * `early`: those are written while the kernel in front still computes the rest.
 */
template <typename T, typename Unit> struct packed {
    static constexpr int VECTOR = sizeof(Unit) / sizeof(T), UNITS = PACKED_CELLS / VECTOR;
    static constexpr int DEEP = 16 / sizeof(T); /* channels that are read at once */
    static constexpr int LOADS = PACKED_CELLS * PACKED_CHANNELS / DEEP / THREADS;

    int32_t rows[PACKED_CELLS];
    bool full[UNITS]; /* some cell of the unit has a row */
    alignas(16) T values[PACKED_CHANNELS][PACKED_CELLS + VECTOR];

    __device__ __forceinline__ void find(const struct scatter_lines &s, int32_t first)
    {
        int32_t i = first + threadIdx.x, along = i % s.line, other = i / s.line + blockIdx.y;
        int32_t row = -1, lane = threadIdx.x % 32;
        uint32_t found;

        if (threadIdx.x < PACKED_CELLS && i < s.cells)
            row = spc_cuda_row(s.sites, blockIdx.z, s.along_y ? along : other,
                               s.along_y ? other : along);
        found = __ballot_sync(~0u, row >= 0) >> lane / VECTOR * VECTOR & ((1u << VECTOR) - 1);
        if (threadIdx.x < PACKED_CELLS) {
            rows[threadIdx.x] = row;
            full[threadIdx.x / VECTOR] = found != 0;
        }
    }
    /* Channels c0 ... of all cells to shared memory. */
    __device__ __forceinline__ void load(const struct scatter_lines &s, int32_t c0)
    {
        int32_t i = threadIdx.x % PACKED_CELLS, row = rows[i];
        union {
            uint4 all;
            T channel[DEEP];
        } loaded[LOADS];

#pragma unroll
        for (int l = 0; l < LOADS; l++) {
            int c = c0 + (l * THREADS + threadIdx.x) / PACKED_CELLS * DEEP;
            const T *from = (const T *)s.in + (int64_t)row * s.channels + c;

            loaded[l].all =
                row >= 0 && c < s.channels ? *(const uint4 *)from : make_uint4(0, 0, 0, 0);
        }
#pragma unroll
        for (int l = 0; l < LOADS; l++)
#pragma unroll
            for (int c = 0; c < DEEP; c++)
                values[(l * THREADS + threadIdx.x) / PACKED_CELLS * DEEP + c][i] =
                    loaded[l].channel[c];
    }
    /* Writes the units that are as `which`: full ones from shared memory, empty ones as zeros. */
    __device__ __forceinline__ void write(const struct scatter_lines &s, int32_t first, int32_t c0,
                                          bool which) const
    {
        for (int j = threadIdx.x; j < PACKED_CHANNELS * UNITS; j += THREADS) {
            int unit = j % UNITS, c = j / UNITS;
            Unit *to = (Unit *)((T *)s.out + element_at(s, first + unit * VECTOR, c0 + c));

            if (full[unit] == which && first + unit * VECTOR < s.cells && c0 + c < s.channels)
                *to = which ? *(const Unit *)&values[c][unit * VECTOR] : Unit();
        }
    }
};

template <typename T, typename Unit>
static __global__ void __launch_bounds__(THREADS)
    scatter_packed(const __grid_constant__ struct scatter_lines s)
{
    __shared__ struct packed<T, Unit> p;
    int32_t chunks = (s.channels + PACKED_CHANNELS - 1) / PACKED_CHANNELS;
    int32_t first = blockIdx.x / chunks * PACKED_CELLS, c0 = blockIdx.x % chunks * PACKED_CHANNELS;

    if (!s.early)
        wait_for_previous();
    p.find(s, first);
    __syncthreads();
    p.write(s, first, c0, false);
    if (s.early)
        wait_for_previous();
    let_next_start();
    p.load(s, c0);
    __syncthreads();
    p.write(s, first, c0, true);
}

/* The stride of an axis, for comparing: one of a single cell runs nowhere. */
static int64_t reach(int64_t stride, int32_t cells)
{
    return cells > 1 ? stride : INT64_MAX;
}

static struct scatter_lines make_lines(const struct spc_cuda_scatter *scatter)
{
    const int32_t *grid = scatter->sites.grid;
    const int64_t *stride = scatter->stride;
    struct scatter_lines s = {};
    int64_t z = reach(stride[1], grid[0]), y = reach(stride[2], grid[1]);
    int64_t x = reach(stride[3], grid[2]), line;

    s.in = scatter->in;
    s.out = scatter->out;
    s.sites = scatter->sites;
    s.channels = scatter->channels;
    s.nchw32 = scatter->nchw32;
    s.along_y = !s.nchw32 && y < x;
    line = s.along_y ? y : x;
    s.z_inside = !s.nchw32 && z < line;
    s.channels_first = s.nchw32 || reach(stride[0], s.channels) < (z < line ? z : line);
    s.channel_stride = stride[0];
    s.z_stride = stride[1];
    s.line_stride = stride[s.along_y ? 2 : 3];
    s.other_stride = stride[s.along_y ? 3 : 2];
    s.line = grid[s.along_y ? 1 : 2];
    s.cells = s.line * (s.z_inside ? grid[0] : 1);
    s.others = grid[s.along_y ? 2 : 1];
    s.early = scatter->early;
    return s;
}

/* The same with all lines of a plane as one, where they follow one another without a gap. */
static struct scatter_lines join_lines(struct scatter_lines s)
{
    if (s.other_stride == s.cells && (int64_t)s.cells * s.others <= INT32_MAX - PACKED_CELLS) {
        s.cells *= s.others;
        s.others = 1;
    }
    return s;
}

/* Whether scatter_packed() can do it: whole 16-byte units of channels, whole aligned units of
 * `size` bytes of cells. */
static bool is_packed(const struct scatter_lines &s, int32_t element, int32_t size)
{
    int64_t unit = size / element;

    return !s.nchw32 && !s.z_inside && !s.channels_first && s.line_stride == 1 &&
           s.cells % unit == 0 && s.z_stride % unit == 0 &&
           (s.others == 1 || s.other_stride % unit == 0) && s.channel_stride % unit == 0 &&
           (uintptr_t)s.out % size == 0 && s.channels * element % 16 == 0 &&
           (uintptr_t)s.in % 16 == 0;
}

template <typename T, typename Unit>
static cudaError_t launch_packed(const struct scatter_lines &s, cudaStream_t stream)
{
    int32_t blocks = (s.cells + PACKED_CELLS - 1) / PACKED_CELLS;
    int32_t chunks = (s.channels + PACKED_CHANNELS - 1) / PACKED_CHANNELS;
    dim3 grid(blocks * chunks, s.others, s.sites.grid[0]);

    return spc_cuda_launch(scatter_packed<T, Unit>, grid, THREADS, 0, stream, s);
}

template <typename T>
static cudaError_t launch_scatter(const struct scatter_lines &s, cudaStream_t stream)
{
    struct scatter_lines joined = join_lines(s);
    dim3 grid((s.cells + CELLS - 1) / CELLS, s.others, s.z_inside ? 1 : s.sites.grid[0]);

    if constexpr (sizeof(T) > 1) {
        if (is_packed(joined, sizeof(T), sizeof(uint4)))
            return launch_packed<T, uint4>(joined, stream);
        if (is_packed(joined, sizeof(T), sizeof(uint2)))
            return launch_packed<T, uint2>(joined, stream);
    }
    return spc_cuda_launch(scatter<T>, grid, THREADS, 0, stream, s);
}

extern "C" cudaError_t spc_cuda_scatter(const struct spc_cuda_scatter *scatter, cudaStream_t stream)
{
    struct scatter_lines s = make_lines(scatter);

    if (scatter->element == 1)
        return launch_scatter<uint8_t>(s, stream);
    if (scatter->element == 2)
        return launch_scatter<uint16_t>(s, stream);
    return launch_scatter<uint32_t>(s, stream);
}

template <typename T>
static __global__ void __launch_bounds__(THREADS) transpose(struct spc_cuda_transpose t,
                                                            int64_t elements)
{
    int64_t step = (int64_t)gridDim.x * THREADS;

    settle();
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < elements; i += step) {
        int64_t from = 0, rest = i;

        for (int d = t.rank - 1; d >= 0; d--) {
            int64_t outer = rest / t.dims[d];

            from += (rest - outer * t.dims[d]) * t.stride[d];
            rest = outer;
        }
        ((T *)t.out)[i] = ((const T *)t.in)[from];
    }
}

extern "C" cudaError_t spc_cuda_transpose(const struct spc_cuda_transpose *t, cudaStream_t stream)
{
    int64_t elements = 1;
    unsigned blocks;

    for (int d = 0; d < t->rank; d++)
        elements *= t->dims[d];
    blocks = spc_cuda_blocks(elements, THREADS);
    if (t->element == 1)
        return spc_cuda_launch(transpose<uint8_t>, blocks, THREADS, 0, stream, *t, elements);
    if (t->element == 2)
        return spc_cuda_launch(transpose<uint16_t>, blocks, THREADS, 0, stream, *t, elements);
    return spc_cuda_launch(transpose<uint32_t>, blocks, THREADS, 0, stream, *t, elements);
}
