/* SPDX-License-Identifier: MIT */
/*
 * From lists to voxels. Float32 sums depend on their order, and the lists' order on chance: so a
 * list is sorted by point number first. A block takes some rows, sorts their lists by counting,
 * brings all of their points into shared memory, and has then a thread for every feature of every
 * row. Blocks of their own take the few voxels of many points, others leave the sites empty for
 * the next frame.
 */
#include "cuda/block.cuh"
#include "cuda/common.cuh"
#include "cuda/launch.cuh"
#include "cuda/sites.cuh"
#include "cuda/voxel_long.cuh"
#include "cuda/voxel_points.cuh"
#include "cuda/voxel_steps.h"

#define THREADS SPC_CUDA_BLOCK
#define WARPS (THREADS / 32)
#define ROWS 128        /* of a block */
#define LONG_BLOCKS 132 /* that take long lists */
#define STAGE (ROWS * SPC_CUDA_SHORT_LIST) /* values */
#define PART 8 /* points of a list that a thread sorts */
#define PARTS (SPC_CUDA_SHORT_LIST / PART)

struct row_scratch {
    union {
        uint32_t listed[ROWS * SPC_CUDA_SHORT_LIST]; /* points of lists of several parts */
        float stage[STAGE];
    };
    uint32_t sorted[ROWS * SPC_CUDA_SHORT_LIST];
    uint32_t start[ROWS + 1];    /* where the points of a row begin in these */
    uint16_t part[ROWS * PARTS]; /* parts of lists that have several: row * PARTS + number */
    uint32_t parts;
};

union scratch {
    struct row_scratch rows;
    struct long_scratch list;
};

/* ---- rows ---- */

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

struct part {
    uint32_t point[PART];
};

static __device__ __forceinline__ struct part load_part(const struct spc_cuda_voxels &v,
                                                        uint32_t row, uint32_t number)
{
    const uint4 *from =
        (const uint4 *)(v.list + (uint64_t)row * SPC_CUDA_SHORT_LIST + number * PART);
    uint4 low = __ldcg(from), high = __ldcg(from + 1);

    return {{low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w}};
}

/* Puts a list of one part where its points' ranks are. */
static __device__ __forceinline__ void sort_part(const struct part &part, uint32_t count,
                                                 uint32_t *sorted)
{
#pragma unroll
    for (uint32_t i = 0; i < PART; i++) {
        uint32_t rank = 0;

#pragma unroll
        for (uint32_t k = 0; k < PART; k++)
            rank += k != i && k < count && part.point[k] < part.point[i];
        if (i < count)
            sorted[rank] = part.point[i];
    }
}

/* The list of the row in each thread, if it is of one part; others wait as parts. Empties it. */
static __device__ __forceinline__ void load_lists(const struct spc_cuda_voxels &v, uint32_t first,
                                                  uint32_t rows, struct row_scratch &s)
{
    uint32_t i = threadIdx.x, count = 0, start, all;
    struct part part;

    if (i < rows) {
        count = v.count[first + i];
        part = load_part(v, first + i, 0);
        if (count <= SPC_CUDA_SHORT_LIST)
            v.count[first + i] = 0;
        else
            count = 0; /* here */
    }
    start = spc_cuda_sum_before(count, &all);
    if (i <= rows)
        s.start[i] = start;
    if (count <= PART)
        sort_part(part, count, s.sorted + start);
    else
        for (uint32_t k = 0; k * PART < count; k++)
            s.part[atomicAdd(&s.parts, 1)] = (uint16_t)(i * PARTS + k);
}

static __device__ __forceinline__ void load_parts(const struct spc_cuda_voxels &v, uint32_t first,
                                                  struct row_scratch &s)
{
    for (uint32_t i = threadIdx.x; i < s.parts; i += THREADS) {
        uint32_t row = s.part[i] / PARTS, number = s.part[i] % PARTS;
        uint32_t at = s.start[row] + number * PART, end = s.start[row + 1];
        struct part part = load_part(v, first + row, number);

#pragma unroll
        for (uint32_t k = 0; k < PART; k++)
            if (at + k < end)
                s.listed[at + k] = part.point[k];
    }
}

/* Puts the points of all parts where their ranks among those of their rows are. */
static __device__ __forceinline__ void sort_parts(struct row_scratch &s)
{
    for (uint32_t i = threadIdx.x; i < s.parts; i += THREADS) {
        uint32_t row = s.part[i] / PARTS, start = s.start[row], end = s.start[row + 1];
        uint32_t at = start + s.part[i] % PARTS * PART, point[PART], rank[PART] = {};

#pragma unroll
        for (uint32_t j = 0; j < PART; j++)
            point[j] = s.listed[min(at + j, end - 1)]; /* the last one again and again */
#pragma unroll 4
        for (uint32_t k = start; k < end; k++)
#pragma unroll
            for (uint32_t j = 0; j < PART; j++)
                rank[j] += s.listed[k] < point[j];
#pragma unroll
        for (uint32_t j = 0; j < PART; j++)
            s.sorted[start + rank[j]] = point[j];
    }
}

/* The mean of a field of `count` items from `stage` on, added in their order. */
static __device__ __forceinline__ float mean_of(const float *stage, uint32_t fields,
                                                uint32_t count)
{
    float sum = 0.0f;

    for (uint32_t i = 0; i < count; i += PART) {
        float term[PART];

#pragma unroll
        for (uint32_t j = 0; j < PART; j++)
            if (i + j < count)
                term[j] = stage[(i + j) * fields];
#pragma unroll
        for (uint32_t j = 0; j < PART; j++)
            if (i + j < count)
                sum += term[j];
    }
    return sum / (float)count;
}

/* The rows whose points are sorted: as many at once as the stage can take. */
template <bool plain>
static __device__ __forceinline__ void average_sorted(const struct spc_cuda_voxels &v,
                                                      const struct spc_cuda_points &points,
                                                      uint32_t first, uint32_t rows,
                                                      struct row_scratch &s)
{
    struct spc_cuda_share share = spc_cuda_share(points.num_fields);
    uint32_t most = STAGE / share.fields, i = threadIdx.x;

    for (uint32_t begin = 0, end; begin < rows; begin = end) {
        uint32_t from = s.start[begin];

        /* Nobody reads the stage any more, or the lists that were there. */
        end = begin + __syncthreads_count(i >= begin && i < rows && s.start[i + 1] - from <= most);
        spc_cuda_gather<plain, plain ? 6 : 2>(points, share, s.sorted + from,
                                              s.start[end] - from, s.stage);
        __syncthreads();
        for (uint32_t row = begin + share.first; row < end && share.first < share.step;
             row += share.step) {
            uint32_t start = s.start[row], count = min(s.start[row + 1] - start, v.limit);
            const float *stage = s.stage + (start - from) * share.fields + share.field;

            if (count)
                spc_cuda_store_mean(v, points, first + row, share.field,
                                    mean_of(stage, share.fields, count));
        }
    }
}

/* ROWS rows from `first` on, as far as there are as many. */
template <bool plain>
static __device__ __forceinline__ void average_rows(const struct spc_cuda_voxels &v,
                                                    const struct spc_cuda_points &points,
                                                    uint32_t first, uint32_t rows,
                                                    struct row_scratch &s)
{
    if (threadIdx.x == 0)
        s.parts = 0;
    __syncthreads();
    load_lists(v, first, rows, s);
    store_indices(v, points, first, rows);
    __syncthreads();
    if (s.parts) {
        load_parts(v, first, s);
        __syncthreads();
        sort_parts(s);
    }
    average_sorted<plain>(v, points, first, rows, s);
    __syncthreads();
}

/* ---- the frame's end ---- */

/* One block: what the host and the next step want to know. */
static __device__ void report(const struct spc_cuda_voxels &v, uint32_t listing, int32_t total)
{
    bool fits = total <= v.sites.bound;
    uint32_t inside = 0, over = 0, all_inside, all_over;

    for (uint32_t i = threadIdx.x; i < listing; i += THREADS) {
        inside += v.inside[i];
        over += v.over[i];
    }
    spc_cuda_sum_before(inside, &all_inside);
    spc_cuda_sum_before(over, &all_over);
    if (threadIdx.x)
        return;
    v.report->inside = all_inside;
    v.report->over = all_over;
    v.report->total = total;
    *v.points->count_out = fits ? total : -1;
    if (!fits)
        v.sums->num_long = 0; /* nobody looks at them */
}

template <bool plain>
static __device__ __forceinline__ void average_long_lists(const struct spc_cuda_voxels &v,
                                                          const struct spc_cuda_points &points,
                                                          uint32_t lists, struct long_scratch &s)
{
    if (!lists)
        return;
    for (uint32_t i = blockIdx.x; i < lists; i += LONG_BLOCKS)
        average_long<plain>(v, points, v.long_rows[i], s);
    __syncthreads();
    if (threadIdx.x == 0 && atomicAdd(&v.sums->long_blocks, 1) == LONG_BLOCKS - 1)
        v.sums->num_long = v.sums->long_points = v.sums->long_blocks = 0;
}

template <bool plain>
static __device__ __forceinline__ void average_all(const struct spc_cuda_voxels &v,
                                                   const struct spc_cuda_points &points,
                                                   uint32_t rows, uint32_t lists,
                                                   uint32_t averaging, union scratch &s)
{
    if (blockIdx.x < LONG_BLOCKS) {
        average_long_lists<plain>(v, points, lists, s.list);
        return;
    }
    for (uint32_t first = (blockIdx.x - LONG_BLOCKS) * ROWS; first < rows;
         first += (averaging - LONG_BLOCKS) * ROWS)
        average_rows<plain>(v, points, first, min((uint32_t)ROWS, rows - first), s.rows);
}

/* Where there are more voxels than the bound: all lists. */
static __device__ __forceinline__ void empty_lists(const struct spc_cuda_voxels &v,
                                                   uint32_t blocks)
{
    uint32_t first = blockIdx.x * THREADS + threadIdx.x, step = blocks * THREADS;

    for (uint32_t i = first; i < v.sites.bound; i += step)
        v.count[i] = 0;
    for (uint32_t i = first; i < v.num_records; i += step)
        v.records[i].key = 0;
}

/* The first `averaging` blocks average; one reports; the others clear the sites, which does not
 * disturb: coordinates of all rows are there. */
static __global__ void __launch_bounds__(THREADS)
    average_lists(const __grid_constant__ struct spc_cuda_voxels v, uint32_t averaging,
                  uint32_t listing)
{
    __shared__ struct spc_cuda_points points;
    __shared__ union scratch s;
    uint32_t rows, lists;
    int32_t total;

    let_next_start();
    wait_for_previous();
    total = *v.total;
    rows = *v.sites.count;
    lists = v.sums->num_long;
    if (blockIdx.x == averaging) {
        report(v, listing, total);
        spc_cuda_clear_groups(v.sites);
        return;
    }
    if (blockIdx.x > averaging) {
        spc_cuda_clear_tiles(v.sites, (blockIdx.x - averaging - 1) * WARPS + threadIdx.x / 32);
        return;
    }
    if (threadIdx.x < sizeof(points) / sizeof(uint32_t))
        ((uint32_t *)&points)[threadIdx.x] = ((const uint32_t *)v.points)[threadIdx.x];
    __syncthreads();
    if (total > v.sites.bound)
        empty_lists(v, averaging);
    else if (points.plain)
        average_all<true>(v, points, rows, lists, averaging, s);
    else
        average_all<false>(v, points, rows, lists, averaging, s);
}

extern "C" cudaError_t spc_cuda_voxel_means(const struct spc_cuda_voxels *v, uint32_t listing,
                                            cudaStream_t stream)
{
    uint32_t averaging = LONG_BLOCKS + spc_cuda_blocks(v->sites.bound, ROWS);
    unsigned tiles = (unsigned)(v->sites.tiles_y * v->sites.tiles_x);
    unsigned clearing = (tiles + WARPS * SPC_CUDA_CLEAR_TILES - 1) /
                        (WARPS * SPC_CUDA_CLEAR_TILES);

    return spc_cuda_launch(average_lists, averaging + 1 + clearing, THREADS, 0, stream, *v,
                           averaging, listing);
}
