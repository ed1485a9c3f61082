/* SPDX-License-Identifier: MIT */
/*
 * From lists to voxels. Float32 sums depend on their order, and the lists' order on chance: so a
 * list is sorted by point number first. Nearly all are short: a block takes those of some rows
 * together, finds each point's rank in its list by counting, and has then a thread for every
 * feature of every row. Blocks of their own take the longer lists, through a bitmap of point
 * numbers.
 */
#include "cuda/block.cuh"
#include "cuda/common.cuh"
#include "cuda/launch.cuh"
#include "cuda/sites.cuh"
#include "cuda/voxel_points.cuh"
#include "cuda/voxel_steps.h"

#define THREADS SPC_CUDA_BLOCK
#define ROWS 128        /* of a block */
#define AHEAD 4         /* values that a thread reads before it adds them */
#define LONG_BLOCKS 132 /* that take long lists */
/* Words of the bitmap that a thread looks through: odd, so that threads meet no bank twice. Point
 * numbers are sorted 335,872 at a time. */
#define WINDOW_PART 41
#define WINDOW_WORDS (WINDOW_PART * THREADS)

/* What a block needs, one way or the other. */
union scratch {
    struct {
        uint32_t listed[ROWS * SPC_CUDA_SHORT_LIST], sorted[ROWS * SPC_CUDA_SHORT_LIST];
        uint32_t start[ROWS]; /* of each row's list in these */
        uint8_t count[ROWS];  /* points of it; 0 where it is long */
        uint8_t row[ROWS * SPC_CUDA_SHORT_LIST];
    } rows;
    uint32_t bits[WINDOW_WORDS];
    float stage[WINDOW_WORDS];
};

static __device__ __forceinline__ void store_feature(const struct spc_cuda_voxels &v,
                                                     const struct spc_cuda_points &points,
                                                     uint32_t row, int f, float value)
{
    int64_t at = (int64_t)row * points.num_fields + f;

    if (v.feature_type == SPC_DTYPE_F16)
        store((__half *)points.features + at, value);
    else
        store((float *)points.features + at, value);
}

/* ---- short lists ---- */

static __device__ __forceinline__ void store_indices(const struct spc_cuda_voxels &v,
                                                     const struct spc_cuda_points &points,
                                                     uint32_t first, uint32_t rows)
{
    bool xyz = v.order == SPC_INDEX_XYZ;

    for (uint32_t i = threadIdx.x; i < 4 * rows; i += THREADS) {
        short4 c = spc_cuda_coords(v.sites, first + i / 4);
        uint32_t column = i % 4;

        points.indices[4 * (int64_t)first + i] = column == 0            ? 0
                                                 : column == 2          ? c.y
                                                 : (column == 1) != xyz ? c.x
                                                                        : c.z;
    }
}

/* The short lists of these rows lie one behind the other, in the order of the rows. Returns how
 * many points they have, and where they begin in `*begin`. */
static __device__ __forceinline__ uint32_t load_lists(const struct spc_cuda_voxels &v,
                                                      uint32_t first, uint32_t rows,
                                                      union scratch &s, uint32_t *begin)
{
    __shared__ uint32_t low, high;
    uint32_t i = threadIdx.x, count = 0, at = 0;

    if (i < rows) {
        count = v.list_count[first + i];
        at = v.list_first[first + i];
        v.list_count[first + i] = 0;
        count = count > SPC_CUDA_SHORT_LIST ? 0 : count;
    }
    if (i == 0) {
        low = ~0u;
        high = 0;
    }
    __syncthreads();
    if (count) {
        atomicMin(&low, at);
        atomicMax(&high, at + count);
    }
    __syncthreads();
    *begin = low;
    if (i < rows) {
        s.rows.start[i] = at - low;
        s.rows.count[i] = (uint8_t)count;
    }
    for (uint32_t k = 0; k < count; k++)
        s.rows.row[at - low + k] = (uint8_t)i;
    return high > low ? high - low : 0;
}

/* Puts every point where its rank among those of its row is. */
static __device__ __forceinline__ void sort_lists(const struct spc_cuda_voxels &v, uint32_t begin,
                                                  uint32_t points, union scratch &s)
{
    for (uint32_t i = threadIdx.x; i < points; i += THREADS)
        s.rows.listed[i] = v.list[begin + i];
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < points; i += THREADS) {
        uint32_t row = s.rows.row[i], to = s.rows.start[row], point = s.rows.listed[i];
        const uint32_t *list = s.rows.listed + to;

        for (uint32_t k = 0; k < s.rows.count[row]; k++)
            to += list[k] < point;
        s.rows.sorted[to] = point;
    }
    __syncthreads();
}

/* The mean of field `f` of a sorted list. */
template <bool plain>
static __device__ __forceinline__ float mean_of(const struct spc_cuda_points &points,
                                                const uint32_t *sorted, uint32_t count, int f)
{
    float sum = 0.0f;

    for (uint32_t k = 0; k < count; k += AHEAD) {
        float value[AHEAD];

#pragma unroll
        for (int j = 0; j < AHEAD; j++) /* together, so that none waits for another */
            if (k + j < count)
                value[j] = spc_cuda_field<plain>(points, sorted[k + j], f);
#pragma unroll
        for (int j = 0; j < AHEAD; j++)
            if (k + j < count)
                sum += value[j];
    }
    return sum / (float)count;
}

/* The short lists of ROWS rows from `first` on, as far as there are as many. */
template <bool plain>
static __device__ __forceinline__ void average_rows(const struct spc_cuda_voxels &v,
                                                    const struct spc_cuda_points &points,
                                                    uint32_t first, uint32_t rows,
                                                    union scratch &s)
{
    uint32_t begin, listed = load_lists(v, first, rows, s, &begin);
    uint32_t fields = points.num_fields;

    store_indices(v, points, first, rows);
    sort_lists(v, begin, listed, s);
#pragma unroll 2
    for (uint32_t i = threadIdx.x; i < rows * fields; i += THREADS) {
        uint32_t row = i / fields, count = min((uint32_t)s.rows.count[row], v.limit);

        if (count)
            store_feature(v, points, first + row, i - row * fields,
                          mean_of<plain>(points, s.rows.sorted + s.rows.start[row], count,
                                         i - row * fields));
    }
    __syncthreads();
}

/* ---- long lists ---- */

/* Writes those of the list's numbers in order that lie in the window that begins at `low`; returns
 * how many. `bits` is shared memory. */
static __device__ __forceinline__ uint32_t sort_window(const struct spc_cuda_voxels &v,
                                                       const struct spc_cuda_long_list &list,
                                                       uint32_t low, uint32_t *bits,
                                                       uint32_t *sorted)
{
    uint32_t *mine = bits + threadIdx.x * WINDOW_PART, count = 0, all;

    for (int w = 0; w < WINDOW_PART; w++)
        mine[w] = 0;
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < list.count; i += THREADS) {
        uint32_t at = v.list[list.first + i] - low;

        if (at < WINDOW_WORDS * 32)
            atomicOr(&bits[at / 32], 1u << at % 32);
    }
    __syncthreads();
    for (int w = 0; w < WINDOW_PART; w++)
        count += __popc(mine[w]);
    sorted += spc_cuda_sum_before(count, &all);
    for (int w = 0; w < WINDOW_PART; w++)
        for (uint32_t b = mine[w]; b; b &= b - 1)
            *sorted++ = low + (threadIdx.x * WINDOW_PART + w) * 32 + __ffs(b) - 1;
    return all;
}

/* The first `count` points of a sorted list. All threads read ahead, to `stage` in shared memory,
 * what a few sum in order. */
template <bool plain>
static __device__ __forceinline__ void average_sorted(const struct spc_cuda_voxels &v,
                                                      const struct spc_cuda_points &points,
                                                      uint32_t row, const uint32_t *sorted,
                                                      uint32_t count, float *stage)
{
    uint32_t fields = points.num_fields, f = threadIdx.x, chunk = WINDOW_WORDS / fields;
    float sum = 0.0f;

    for (uint32_t k = 0; k < count; k += chunk) {
        uint32_t n = min(chunk, count - k);

        __syncthreads();
#pragma unroll 8
        for (uint32_t i = threadIdx.x; i < n * fields; i += THREADS)
            stage[i] = spc_cuda_field<plain>(points, sorted[k + i / fields], i % fields);
        __syncthreads();
        if (f < fields)
#pragma unroll 16
            for (uint32_t i = 0; i < n; i++)
                sum += stage[i * fields + f];
    }
    if (f < fields)
        store_feature(v, points, row, f, sum / (float)count);
    __syncthreads();
}

template <bool plain>
static __device__ __forceinline__ void average_long(const struct spc_cuda_voxels &v,
                                                    const struct spc_cuda_points &points,
                                                    const struct spc_cuda_long_list &list,
                                                    union scratch &s)
{
    uint32_t *sorted = v.sorted + list.first, done = 0;

    for (uint32_t low = 0; done < list.count; low += WINDOW_WORDS * 32)
        done += sort_window(v, list, low, s.bits, sorted + done);
    average_sorted<plain>(v, points, list.row, sorted, min(list.count, v.limit), s.stage);
}

/* ---- the frame's end ---- */

/* One thread: what the host and the next step want to know. */
static __device__ void report(const struct spc_cuda_voxels &v,
                              const struct spc_cuda_points &points, int32_t total, bool fits)
{
    v.report->inside = v.sums->inside;
    v.report->over = v.sums->over;
    v.report->total = total;
    *points.count_out = fits ? total : -1;
    v.sums->inside = 0; /* for the next frame, which adds to it before it could clear it */
}

/* Where there are more voxels than the bound, the lists are emptied only. */
template <bool plain>
static __device__ __forceinline__ void average_all(const struct spc_cuda_voxels &v,
                                                   const struct spc_cuda_points &points,
                                                   uint32_t rows, bool fits, union scratch &s)
{
    uint32_t lists = fits ? v.sums->num_long : 0;

    if (blockIdx.x < LONG_BLOCKS) {
        for (uint32_t i = blockIdx.x; i < lists; i += LONG_BLOCKS)
            average_long<plain>(v, points, v.long_lists[i], s);
        return;
    }
    for (uint32_t first = (blockIdx.x - LONG_BLOCKS) * ROWS; first < rows;
         first += (gridDim.x - LONG_BLOCKS) * ROWS) {
        uint32_t here = min((uint32_t)ROWS, rows - first);

        if (fits)
            average_rows<plain>(v, points, first, here, s);
        else if (threadIdx.x < here)
            v.list_count[first + threadIdx.x] = 0;
    }
}

static __global__ void __launch_bounds__(THREADS)
    average_lists(const __grid_constant__ struct spc_cuda_voxels v)
{
    __shared__ struct spc_cuda_points points;
    __shared__ union scratch s;
    uint32_t rows;
    int32_t total;
    bool fits;

    let_next_start();
    wait_for_previous();
    if (threadIdx.x < sizeof(points) / sizeof(uint32_t))
        ((uint32_t *)&points)[threadIdx.x] = ((const uint32_t *)v.points)[threadIdx.x];
    total = *v.total;
    fits = total <= v.sites.bound;
    rows = *v.sites.count;
    __syncthreads();
    if (blockIdx.x == 0 && threadIdx.x == 0)
        report(v, points, total, fits);
    if (points.plain)
        average_all<true>(v, points, rows, fits, s);
    else
        average_all<false>(v, points, rows, fits, s);
}

extern "C" cudaError_t spc_cuda_voxel_means(const struct spc_cuda_voxels *v, cudaStream_t stream)
{
    unsigned blocks = spc_cuda_blocks(v->sites.bound, ROWS);

    return spc_cuda_launch(average_lists, LONG_BLOCKS + blocks, THREADS, 0, stream, *v);
}
