/* SPDX-License-Identifier: MIT */
/*
 * Tile blobs: a block makes the blobs of 128 output rows at a time, three threads a row.
 *
 * Every thread looks up a third of the columns that its row meets. The input rows that the tile
 * meets lie close to one another, because neighbours in space are neighbours in row order but for
 * a few strips of tiles. Each that is met sets a byte in shared memory, between the lowest and the
 * highest of them; atomics on bits would mostly wait for one another. Bytes become bits, and their
 * running sum turns an input row into its place in the halo.
 */
#include "cuda/blob.h"
#include "cuda/index.h"
#include "cuda/launch.cuh"
#include "cuda/sites.cuh"

#define ROWS SPC_CUDA_BLOB_ROWS
#define PARTS 3 /* threads of a row: with fewer, each waits more than it works */
#define THREADS (ROWS * PARTS)
#define WARPS (THREADS / 32)
/* As many as a multiprocessor has threads for: 2048 on the large GPUs, 1536 on others. */
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ == 800 || __CUDA_ARCH__ == 900 || \
    __CUDA_ARCH__ == 1000 || __CUDA_ARCH__ == 1030
#define BLOCKS_PER_SM 5
#else
#define BLOCKS_PER_SM 4
#endif
#define MAX_JOBS 12          /* of a launch: its parameters have 4 KB */
#define MAX_BLOCKS (132 * BLOCKS_PER_SM) /* as many as a large GPU runs at once */
#define UNIT 16 /* input rows whose bytes are read at once */
#define SPAN_UNITS (SPC_CUDA_BLOB_SPAN / UNIT)
#define ALL ~0u

struct job {
    struct spc_cuda_sites out, in;
    struct spc_cuda_geometry geometry;
    struct spc_cuda_blobs blobs;
};

struct jobs {
    int32_t num_jobs;
    struct job jobs[MAX_JOBS];
};

static_assert(sizeof(struct jobs) <= 4096, "kernel parameters");

struct shared {
    uint4 met[SPAN_UNITS];      /* a byte an input row */
    uint32_t units[SPAN_UNITS]; /* the same as bits, and above them how many earlier units have */
    int32_t lowest[WARPS], highest[WARPS], sums[WARPS];
    uint32_t active[WARPS];
};

/* What a row meets in one group, as a wide blob has it: the lowest input row and which members. */
static __device__ __forceinline__ uint32_t make_entry(uint32_t place, uint32_t present,
                                                      int64_t bound)
{
    if (!present || place + __popc(present) > bound) /* beyond it there are no rows */
        return 0;
    return place | present << SPC_CUDA_BLOB_WIDE_SHIFT;
}

static __device__ __forceinline__ uint32_t present_of(uint32_t entry)
{
    return entry >> SPC_CUDA_BLOB_WIDE_SHIFT;
}

static __device__ __forceinline__ uint32_t place_of(uint32_t entry)
{
    return entry & ((1u << SPC_CUDA_BLOB_WIDE_SHIFT) - 1);
}

/* Members z0 .. z0 + run - 1 of a column that is one word. */
static __device__ __forceinline__ uint32_t column_entry(const struct job &j, uint64_t mask,
                                                        uint32_t base, int32_t z0)
{
    uint32_t present = (uint32_t)(z0 >= 0 ? mask >> z0 : mask << -z0) & ((1u << j.blobs.run) - 1);

    return make_entry(base + __popcll(mask & ((1ull << max(z0, 0)) - 1)), present, j.in.bound);
}

/* Any group of any geometry, member by member. */
static __device__ __forceinline__ uint32_t group_entry(const struct job &j, short4 at,
                                                       int32_t group)
{
    const struct spc_cuda_geometry &g = j.geometry;
    uint32_t place = 0, present = 0;

    for (int32_t m = 0; m < j.blobs.run; m++) {
        int32_t k = m * j.blobs.groups + group, kx = k % g.kernel[2];
        int32_t ky = k / g.kernel[2] % g.kernel[1], kz = k / g.kernel[2] / g.kernel[1];
        int32_t row = spc_cuda_row(j.in, spc_cuda_meets(g, 0, at.x, kz),
                                   spc_cuda_meets(g, 1, at.y, ky), spc_cuda_meets(g, 2, at.z, kx));

        if (row < 0)
            continue;
        place = present ? place : row;
        present |= 1u << m;
    }
    return make_entry(place, present, j.in.bound);
}

/* The entries of one thread: of groups first, first + step, ... of its row. They are kept for
 * 3 x 3 columns of one word, a row of the three for each thread; else looked up each time. */
template <bool COLUMNS> struct entries;

template <> struct entries<true> {
    uint32_t kept[PARTS];
    int32_t first;
    static constexpr int32_t step = 1, count = PARTS;

    __device__ __forceinline__ entries(const struct job &j, short4 at, bool there)
        : first(threadIdx.x / ROWS * PARTS)
    {
        const struct spc_cuda_geometry &g = j.geometry;
        int32_t z0 = spc_cuda_meets(g, 0, at.x, 0), columns, y;
        uint64_t mask[PARTS];

        y = spc_cuda_meets(g, 1, at.y, threadIdx.x / ROWS);
        there = there && z0 > -64 && z0 < 64 && (uint32_t)y < (uint32_t)j.in.grid[1];
        columns = there ? (int32_t)spc_cuda_column(j.in, y, 0) : 0;
#pragma unroll
        for (int i = 0; i < PARTS; i++) { /* all loads before the first use */
            int32_t x = spc_cuda_meets(g, 2, at.z, i), column;
            bool inside = there && (uint32_t)x < (uint32_t)j.in.grid[2];

            column = columns + (int32_t)spc_cuda_column(j.in, 0, x);
            mask[i] = inside ? __ldcg(j.in.mask + column) : 0;
            kept[i] = inside ? __ldcg(j.in.base + column) : 0;
        }
#pragma unroll
        for (int i = 0; i < PARTS; i++)
            kept[i] = column_entry(j, mask[i], kept[i], z0);
    }
    __device__ __forceinline__ uint32_t get(int32_t i) const
    {
        return kept[i];
    }
};

template <> struct entries<false> {
    const struct job &job;
    short4 at;
    bool there;
    int32_t first, count;
    static constexpr int32_t step = PARTS;

    __device__ __forceinline__ entries(const struct job &j, short4 at_, bool there_)
        : job(j), at(at_), there(there_), first(threadIdx.x / ROWS),
          count((j.blobs.groups - first + PARTS - 1) / PARTS)
    {
    }
    __device__ __forceinline__ uint32_t get(int32_t i) const
    {
        return there ? group_entry(job, at, first + i * step) : 0;
    }
};

/* What the tile meets as a whole. */
struct extent {
    int32_t first; /* lowest input row, rounded down to a unit */
    int32_t units; /* 0: nothing is met */
    uint32_t active;
};

template <class Entries>
static __device__ __forceinline__ struct extent find_extent(struct shared &s, const Entries &rows,
                                                            int32_t run)
{
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int32_t lowest = INT32_MAX, highest = -1;
    uint32_t active = 0;

#pragma unroll
    for (int32_t i = 0; i < rows.count; i++) {
        uint32_t entry = rows.get(i);

        if (!entry)
            continue;
        lowest = min(lowest, (int32_t)place_of(entry));
        highest = max(highest, (int32_t)place_of(entry) + __popc(present_of(entry)) - 1);
        active |= present_of(entry) << ((rows.first + i * rows.step) * run);
    }
    lowest = __reduce_min_sync(ALL, lowest);
    highest = __reduce_max_sync(ALL, highest);
    active = __reduce_or_sync(ALL, active);
    if (lane == 0) {
        s.lowest[warp] = lowest;
        s.highest[warp] = highest;
        s.active[warp] = active;
    }
    __syncthreads();
    active = 0;
    for (int i = 0; i < WARPS; i++) {
        lowest = min(lowest, s.lowest[i]);
        highest = max(highest, s.highest[i]);
        active |= s.active[i];
    }
    if (highest < 0)
        return {0, 0, 0};
    return {lowest / UNIT * UNIT, highest / UNIT - lowest / UNIT + 1, active};
}

template <class Entries>
static __device__ __forceinline__ void mark_met(struct shared &s, const Entries &rows,
                                                const struct extent &extent)
{
    for (int32_t i = threadIdx.x; i < extent.units; i += THREADS)
        s.met[i] = make_uint4(0, 0, 0, 0);
    __syncthreads();
#pragma unroll
    for (int32_t i = 0; i < rows.count; i++) {
        uint32_t entry = rows.get(i);
        uint8_t *met = (uint8_t *)s.met + place_of(entry) - extent.first;

#pragma unroll
        for (int m = 0; m < SPC_CUDA_BLOB_MAX_RUN; m++)
            if (m < __popc(present_of(entry)))
                met[m] = 1;
    }
    __syncthreads();
}

/* Bytes of 0 and 1 to bits: bit i is byte i. */
static __device__ __forceinline__ uint32_t bits_of(uint32_t bytes)
{
    return bytes * 0x01020408 >> 24;
}

static __device__ __forceinline__ uint32_t bits_of(uint4 bytes)
{
    return bits_of(bytes.x) | bits_of(bytes.y) << 4 | bits_of(bytes.z) << 8 |
           bits_of(bytes.w) << 12;
}

/* The running sum of the rows that are met; returns their number. Each thread has neighbouring
 * units, from `*unit` to `*end`. */
static __device__ __forceinline__ int32_t sum_met(struct shared &s, int32_t units, int32_t *unit,
                                                  int32_t *end)
{
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int32_t each = (units + THREADS - 1) / THREADS, own = 0, sum, total = 0;

    *unit = min((int32_t)threadIdx.x * each, units);
    *end = min(*unit + each, units);
    for (int32_t i = *unit; i < *end; i++) {
        s.units[i] = bits_of(s.met[i]);
        own += __popc(s.units[i]);
    }
    sum = own;
    for (int d = 1; d < 32; d *= 2) {
        int32_t other = __shfl_up_sync(ALL, sum, d);

        sum += lane >= d ? other : 0;
    }
    if (lane == 31)
        s.sums[warp] = sum;
    __syncthreads();
    sum -= own;
    for (int i = 0; i < WARPS; i++) {
        sum += i < warp ? s.sums[i] : 0;
        total += s.sums[i];
    }
    for (int32_t i = *unit; i < *end; i++) {
        own = __popc(s.units[i]);
        s.units[i] |= (uint32_t)sum << UNIT;
        sum += own;
    }
    __syncthreads();
    return total;
}

static __device__ __forceinline__ void write_halo(const struct shared &s, int32_t first,
                                                  int32_t unit, int32_t end, int32_t *halo)
{
    for (; unit < end; unit++) {
        int32_t *to = halo + (s.units[unit] >> UNIT);

        for (uint32_t bits = s.units[unit] & ((1u << UNIT) - 1); bits; bits &= bits - 1)
            *to++ = first + unit * UNIT + __ffs(bits) - 1;
    }
}

template <class Entries>
static __device__ __forceinline__ void write_narrow(const struct shared &s, const Entries &rows,
                                                    int32_t first, uint16_t *to)
{
    to += rows.first * ROWS + threadIdx.x % ROWS;
#pragma unroll
    for (int32_t i = 0; i < rows.count; i++) {
        uint32_t entry = rows.get(i), at = place_of(entry) - first, unit, place;

        if (entry) {
            unit = s.units[at / UNIT];
            place = (unit >> UNIT) + __popc(unit & ((1u << (at % UNIT)) - 1));
            entry = place | present_of(entry) << SPC_CUDA_BLOB_NARROW_SHIFT;
        }
        to[i * rows.step * ROWS] = (uint16_t)entry;
    }
}

template <class Entries>
static __device__ __forceinline__ void write_wide(const Entries &rows, uint32_t *to)
{
    to += rows.first * ROWS + threadIdx.x % ROWS;
#pragma unroll
    for (int32_t i = 0; i < rows.count; i++)
        to[i * rows.step * ROWS] = rows.get(i);
}

template <class Entries>
static __device__ __forceinline__ void make_blob(struct shared &s, const struct job &j,
                                                 const Entries &rows, uint8_t *blob)
{
    struct extent extent = find_extent(s, rows, j.blobs.run);
    bool narrow = extent.units <= SPAN_UNITS;
    int32_t halo = 0, unit = 0, end = 0;
    uint8_t *body = blob + sizeof(struct spc_cuda_blob_header);

    if (narrow) {
        mark_met(s, rows, extent);
        halo = sum_met(s, extent.units, &unit, &end);
        narrow = halo <= j.blobs.max_halo;
    }
    if (threadIdx.x == 0)
        *(uint4 *)blob = make_uint4(extent.active, narrow ? halo : -1, 0, 0);
    if (narrow) {
        write_halo(s, extent.first, unit, end,
                   (int32_t *)(body + (int64_t)j.blobs.groups * ROWS * sizeof(uint16_t)));
        write_narrow(s, rows, extent.first, (uint16_t *)body);
    } else {
        write_wide(rows, (uint32_t *)body);
    }
}

static __device__ __forceinline__ bool by_columns(const struct job &j)
{
    return j.in.words == 1 && !j.geometry.inverse && j.geometry.kernel[1] == 3 &&
           j.geometry.kernel[2] == 3 && j.blobs.groups == PARTS * PARTS;
}

static __device__ __forceinline__ void make_tile(struct shared &s, const struct job &j,
                                                 int32_t tile, int32_t rows)
{
    int32_t row = tile * ROWS + threadIdx.x % ROWS;
    uint8_t *blob = j.blobs.blobs + tile * j.blobs.stride;
    short4 at = make_short4(0, 0, 0, 0);

    if (row < rows)
        at = spc_cuda_coords(j.out, row);
    if (by_columns(j))
        make_blob(s, j, entries<true>(j, at, row < rows), blob);
    else
        make_blob(s, j, entries<false>(j, at, row < rows), blob);
}

/* Blocks go through the tiles of all jobs, one job after another. */
static __global__ void __launch_bounds__(THREADS, BLOCKS_PER_SM)
    make_blobs(const __grid_constant__ struct jobs jobs)
{
    __shared__ struct shared s;
    int32_t tile = blockIdx.x, lane = threadIdx.x % 32, counts = 0;

    let_next_start();
    wait_for_previous();
    if (lane < jobs.num_jobs) /* at once: one after another they would wait for memory each */
        counts = __ldcg(jobs.jobs[lane].out.count);
    for (int32_t i = 0; i < jobs.num_jobs; i++) {
        int32_t rows = __shfl_sync(ALL, counts, i), tiles = (rows + ROWS - 1) / ROWS;

        for (; tile < tiles; tile += gridDim.x) {
            make_tile(s, jobs.jobs[i], tile, rows);
            __syncthreads();
        }
        tile -= tiles;
    }
}

extern "C" cudaError_t spc_cuda_index_blobs(const struct spc_cuda_blob_job *jobs, int num_jobs,
                                            cudaStream_t stream)
{
    cudaError_t code = cudaSuccess;

    for (int first = 0; first < num_jobs && !code; first += MAX_JOBS) {
        struct jobs batch = {};
        int64_t tiles = 0;

        batch.num_jobs = num_jobs - first < MAX_JOBS ? num_jobs - first : MAX_JOBS;
        for (int i = 0; i < batch.num_jobs; i++) {
            const struct spc_cuda_blob_job *job = &jobs[first + i];

            batch.jobs[i] = {job->out, job->in, job->geometry, *job->blobs};
            tiles += spc_cuda_blob_tiles(job->out.bound);
        }
        code = spc_cuda_launch(make_blobs, (unsigned)(tiles < MAX_BLOCKS ? tiles : MAX_BLOCKS),
                               THREADS, 0, stream, batch);
    }
    return code;
}
