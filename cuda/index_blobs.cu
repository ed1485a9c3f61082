/* SPDX-License-Identifier: MIT */
/*
 * Tile blobs: a block makes the blobs of 128 output rows at a time, three threads a row.
 *
 * Every thread looks up a third of the columns that its row meets. The input rows that the tile
 * meets lie close to one another, because neighbours in space are neighbours in row order but for
 * a few strips of tiles. Each that is met sets a byte in shared memory, at its number modulo the
 * widest span; atomics on bits would mostly wait for one another. Bytes become bits, and their
 * running sum turns an input row into its place in the halo. A block's barriers are what it waits
 * for most: there are three.
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
#define UNIT 8 /* input rows whose bytes are read at once */
#define SPAN_UNITS (SPC_CUDA_BLOB_SPAN / UNIT)
#define SPAN_MASK (SPC_CUDA_BLOB_SPAN - 1)
#define ALL ~0u

struct job {
    struct spc_cuda_sites out, in;
    struct spc_cuda_geometry geometry;
    struct spc_cuda_blobs blobs;
};

struct jobs {
    int32_t num_jobs;
    bool settled;
    struct job jobs[MAX_JOBS];
};

static_assert(sizeof(struct jobs) <= 4096, "kernel parameters");

struct shared {
    /* Input row r is byte r % SPC_CUDA_BLOB_SPAN; all are 0 between tiles. */
    uint2 met[SPAN_UNITS];
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

/* The entries of one thread. Where a group is a column of one word, and each thread has at most
 * PARTS, they are kept; else looked up each time. */
template <bool COLUMNS> struct entries;

/* Of groups part * PARTS, part * PARTS + 1, ...: a kernel's row for 3 x 3 columns. */
template <> struct entries<true> {
    uint32_t kept[PARTS];
    int32_t first, count;
    static constexpr int32_t step = 1, unroll = PARTS;

    __device__ __forceinline__ entries(const struct job &j, short4 at, bool there)
        : first(threadIdx.x / ROWS * PARTS), count(min(PARTS, max(j.blobs.groups - first, 0)))
    {
        const struct spc_cuda_geometry &g = j.geometry;
        int32_t z0 = spc_cuda_meets(g, 0, at.x, 0), ky = first / g.kernel[2];
        int32_t kx = first - ky * g.kernel[2];
        uint64_t mask[PARTS];

        there = there && z0 > -64 && z0 < 64;
#pragma unroll
        for (int i = 0; i < PARTS; i++) { /* all loads before the first use */
            int32_t y = spc_cuda_meets(g, 1, at.y, ky), x = spc_cuda_meets(g, 2, at.z, kx);
            int32_t column = (int32_t)spc_cuda_column(j.in, y, x);
            bool inside = there && i < count && (uint32_t)y < (uint32_t)j.in.grid[1] &&
                          (uint32_t)x < (uint32_t)j.in.grid[2];

            mask[i] = inside ? __ldcg(j.in.mask + column) : 0;
            kept[i] = inside ? __ldcg(j.in.base + column) : 0;
            kx++;
            ky += kx == g.kernel[2];
            kx = kx == g.kernel[2] ? 0 : kx;
        }
#pragma unroll
        for (int i = 0; i < PARTS; i++)
            kept[i] = column_entry(j, mask[i], kept[i], z0);
    }
    static __device__ constexpr int32_t most()
    {
        return PARTS;
    }
    /* 0 past the last. */
    __device__ __forceinline__ uint32_t get(int32_t i) const
    {
        return kept[i];
    }
};

/* Of groups part, part + PARTS, ... */
template <> struct entries<false> {
    const struct job &job;
    short4 at;
    bool there;
    int32_t first, count;
    static constexpr int32_t step = PARTS, unroll = 1;

    __device__ __forceinline__ entries(const struct job &j, short4 at_, bool there_)
        : job(j), at(at_), there(there_), first(threadIdx.x / ROWS),
          count((j.blobs.groups - first + PARTS - 1) / PARTS)
    {
    }
    __device__ __forceinline__ int32_t most() const
    {
        return count;
    }
    __device__ __forceinline__ uint32_t get(int32_t i) const
    {
        return there ? group_entry(job, at, first + i * step) : 0;
    }
};

/* What the tile meets as a whole. */
struct extent {
    int32_t unit;  /* of the lowest input row */
    int32_t units; /* 0: nothing is met */
    uint32_t active;
};

/* Sets the bytes of the input rows that this thread's entries meet. */
template <class Entries>
static __device__ __forceinline__ void mark_met(struct shared &s, const Entries &rows, int32_t run)
{
    int32_t lowest = INT32_MAX, highest = -1;
    uint32_t active = 0;

#pragma unroll Entries::unroll
    for (int32_t i = 0; i < rows.most(); i++) {
        uint32_t entry = rows.get(i), present = present_of(entry), place = place_of(entry);
        int32_t members = __popc(present);

        if (!entry)
            continue;
        lowest = min(lowest, (int32_t)place);
        highest = max(highest, (int32_t)place + members - 1);
        active |= present << ((rows.first + i * rows.step) * run);
#pragma unroll
        for (int m = 0; m < SPC_CUDA_BLOB_MAX_RUN; m++)
            if (m < members)
                ((uint8_t *)s.met)[(place + m) & SPAN_MASK] = 1;
    }
    lowest = __reduce_min_sync(ALL, lowest);
    highest = __reduce_max_sync(ALL, highest);
    active = __reduce_or_sync(ALL, active);
    if (threadIdx.x % 32 == 0) {
        s.lowest[threadIdx.x / 32] = lowest;
        s.highest[threadIdx.x / 32] = highest;
        s.active[threadIdx.x / 32] = active;
    }
    __syncthreads();
}

static __device__ __forceinline__ struct extent find_extent(const struct shared &s)
{
    int warp = min((int)threadIdx.x % 32, WARPS - 1); /* of which this lane reads what it left */
    int32_t lowest = __reduce_min_sync(ALL, s.lowest[warp]);
    int32_t highest = __reduce_max_sync(ALL, s.highest[warp]);
    uint32_t active = __reduce_or_sync(ALL, s.active[warp]);

    if (highest < 0)
        return {0, 0, 0};
    return {lowest / UNIT, highest / UNIT - lowest / UNIT + 1, active};
}

/* Bytes of 0 and 1 to bits: bit i is byte i. */
static __device__ __forceinline__ uint32_t bits_of(uint2 bytes)
{
    return (bytes.x * 0x01020408 >> 24) | (bytes.y * 0x01020408 >> 24) << 4;
}

/* This thread's neighbouring units of the tile, counted from its first. */
struct part {
    int32_t first, end;
};

/* The running sum of the rows that are met, whose bytes it clears; returns their number. */
static __device__ __forceinline__ int32_t sum_met(struct shared &s, const struct extent &extent,
                                                  struct part part)
{
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int32_t own = 0, sum, sums;

#pragma unroll 1
    for (int32_t i = part.first; i < part.end; i++) {
        int32_t unit = (extent.unit + i) % SPAN_UNITS;
        uint32_t bits = bits_of(s.met[unit]);

        s.met[unit] = make_uint2(0, 0);
        s.units[unit] = bits;
        own += __popc(bits);
    }
    sum = own;
    for (int d = 1; d < 32; d *= 2) {
        int32_t other = __shfl_up_sync(ALL, sum, d);

        sum += lane >= d ? other : 0;
    }
    if (lane == 31)
        s.sums[warp] = sum;
    __syncthreads();
    sums = lane < WARPS ? s.sums[lane] : 0;
    sum += (int32_t)__reduce_add_sync(ALL, lane < warp ? sums : 0) - own;
#pragma unroll 1
    for (int32_t i = part.first; i < part.end; i++) {
        uint32_t *unit = &s.units[(extent.unit + i) % SPAN_UNITS];

        own = __popc(*unit);
        *unit |= (uint32_t)sum << UNIT;
        sum += own;
    }
    __syncthreads();
    return (int32_t)__reduce_add_sync(ALL, sums);
}

static __device__ __forceinline__ void write_halo(const struct shared &s,
                                                  const struct extent &extent, struct part part,
                                                  int32_t *halo)
{
#pragma unroll 1
    for (int32_t i = part.first; i < part.end; i++) {
        uint32_t unit = s.units[(extent.unit + i) % SPAN_UNITS];
        int32_t *to = halo + (unit >> UNIT), row = (extent.unit + i) * UNIT - 1;

#pragma unroll 1
        for (uint32_t bits = unit & ((1u << UNIT) - 1); bits; bits &= bits - 1)
            *to++ = row + __ffs(bits);
    }
}

template <class Entries>
static __device__ __forceinline__ void write_narrow(const struct shared &s, const Entries &rows,
                                                    uint16_t *to)
{
    to += rows.first * ROWS + threadIdx.x % ROWS;
#pragma unroll Entries::unroll
    for (int32_t i = 0; i < rows.most(); i++) {
        uint32_t entry = rows.get(i), at = place_of(entry), unit, place;

        if (entry) {
            unit = s.units[at / UNIT % SPAN_UNITS];
            place = (unit >> UNIT) + __popc(unit & ((1u << (at % UNIT)) - 1));
            entry = place | present_of(entry) << SPC_CUDA_BLOB_NARROW_SHIFT;
        }
        if (i < rows.count)
            to[i * rows.step * ROWS] = (uint16_t)entry;
    }
}

template <class Entries>
static __device__ __forceinline__ void write_wide(const Entries &rows, uint32_t *to)
{
    to += rows.first * ROWS + threadIdx.x % ROWS;
#pragma unroll Entries::unroll
    for (int32_t i = 0; i < rows.most(); i++)
        if (i < rows.count)
            to[i * rows.step * ROWS] = rows.get(i);
}

/* Whoever comes here has left the barrier before which the tile before was read. */
static __device__ __forceinline__ void clear_met(struct shared &s)
{
    for (int32_t i = threadIdx.x; i < SPAN_UNITS; i += THREADS)
        s.met[i] = make_uint2(0, 0);
    __syncthreads();
}

template <class Entries>
static __device__ __forceinline__ void make_blob(struct shared &s, const struct job &j,
                                                 const Entries &rows, uint8_t *blob)
{
    uint8_t *body = blob + sizeof(struct spc_cuda_blob_header);
    struct extent extent;
    int32_t halo = -1, each;
    struct part part;

    mark_met(s, rows, j.blobs.run);
    extent = find_extent(s);
    each = (extent.units + THREADS - 1) / THREADS;
    part.first = min((int32_t)threadIdx.x * each, extent.units);
    part.end = min(part.first + each, extent.units);
    if (extent.units <= SPAN_UNITS)
        halo = sum_met(s, extent, part);
    else
        clear_met(s);
    halo = halo <= j.blobs.max_halo ? halo : -1;
    if (threadIdx.x == 0)
        *(uint4 *)blob = make_uint4(extent.active, halo, 0, 0);
    if (halo >= 0) {
        write_halo(s, extent, part,
                   (int32_t *)(body + (int64_t)j.blobs.groups * ROWS * sizeof(uint16_t)));
        write_narrow(s, rows, (uint16_t *)body);
    } else {
        write_wide(rows, (uint32_t *)body);
    }
}

static __device__ __forceinline__ bool by_columns(const struct job &j)
{
    return j.in.words == 1 && !j.geometry.inverse && j.blobs.groups <= PARTS * PARTS &&
           j.blobs.groups == j.geometry.kernel[1] * j.geometry.kernel[2];
}

/* Coordinates of this thread's row of a tile; anything where there is none. */
static __device__ __forceinline__ short4 coords_of(const struct job &j, int32_t tile)
{
    int64_t row = (int64_t)tile * ROWS + threadIdx.x % ROWS;

    return row < j.out.bound ? __ldcg((const short4 *)j.out.coords + row)
                             : make_short4(0, 0, 0, 0);
}

static __device__ __forceinline__ void make_tile(struct shared &s, const struct job &j,
                                                 int32_t tile, int32_t rows, short4 at)
{
    bool there = tile * ROWS + (int32_t)threadIdx.x % ROWS < rows;
    uint8_t *blob = j.blobs.blobs + tile * j.blobs.stride;

    if (by_columns(j))
        make_blob(s, j, entries<true>(j, at, there), blob);
    else
        make_blob(s, j, entries<false>(j, at, there), blob);
}

/* Blocks go through the tiles of all jobs, one job after another. */
static __global__ void __launch_bounds__(THREADS, BLOCKS_PER_SM)
    make_blobs(const __grid_constant__ struct jobs jobs)
{
    __shared__ struct shared s;
    int32_t tile = blockIdx.x, lane = threadIdx.x % 32, counts = 0;
    short4 at;

    let_next_start();
    clear_met(s);
    if (!jobs.settled)
        wait_for_previous();
    at = coords_of(jobs.jobs[0], tile); /* before it is known whether there is such a tile, */
    if (lane < jobs.num_jobs) /* at once: one after another they would wait for memory each */
        counts = __ldcg(jobs.jobs[lane].out.count);
    for (int32_t i = 0; i < jobs.num_jobs; i++) {
        int32_t rows = __shfl_sync(ALL, counts, i), tiles = (rows + ROWS - 1) / ROWS;

        for (; tile < tiles; tile += gridDim.x) {
            if (i || tile != (int32_t)blockIdx.x)
                at = coords_of(jobs.jobs[i], tile);
            make_tile(s, jobs.jobs[i], tile, rows, at);
        }
        tile -= tiles;
    }
    if (jobs.settled)
        wait_for_previous();
}

extern "C" cudaError_t spc_cuda_index_blobs(const struct spc_cuda_blob_job *jobs, int num_jobs,
                                            bool settled, cudaStream_t stream)
{
    cudaError_t code = cudaSuccess;

    for (int first = 0; first < num_jobs && !code; first += MAX_JOBS) {
        struct jobs batch = {};
        int64_t tiles = 0;

        batch.settled = settled && !first;
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
