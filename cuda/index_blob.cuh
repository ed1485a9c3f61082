/* SPDX-License-Identifier: MIT */
/*
 * Tile blobs: a block makes the blobs of 128 output rows at a time, three threads for two rows.
 *
 * Every thread looks up a third of the columns that its rows meet. The input rows that the tile
 * meets lie close to one another, because neighbours in space are neighbours in row order but for
 * a few strips of tiles. Each that is met sets a byte in shared memory, at its number modulo the
 * widest span; atomics on bits would mostly wait for one another. Bytes become bits, and their
 * running sum turns an input row into its place in the halo.
 *
 * The time goes into issuing instructions: there is a kernel for columns of one word, and another
 * for everything else, which would take the first one's registers.
 */
#ifndef SPC_CUDA_INDEX_BLOB_CUH
#define SPC_CUDA_INDEX_BLOB_CUH

#include "cuda/blob.h"
#include "cuda/index.h"
#include "cuda/launch.cuh"
#include "cuda/sites.cuh"

#define ROWS SPC_CUDA_BLOB_ROWS
#define PARTS 3 /* threads of a row, */
#define OWN 2   /* and rows of a thread: more of them share what a tile takes beside its entries */
#define THREADS (ROWS / OWN * PARTS)
#define WARPS (THREADS / 32)
#define BLOCKS_PER_SM 6 /* 56 registers a thread, which the loads of both rows take */
#define MAX_JOBS 12 /* of a launch: its parameters have 4 KB */
#define UNIT 16 /* input rows whose bytes are read at once */
#define SPAN_UNITS (SPC_CUDA_BLOB_SPAN / UNIT)
#define SPAN_MASK (SPC_CUDA_BLOB_SPAN - 1)
#define ALL ~0u

struct shared {
    /* Input row r is byte r % SPC_CUDA_BLOB_SPAN; all are 0 between tiles. */
    uint4 met[SPAN_UNITS];
    uint32_t units[SPAN_UNITS]; /* the same as bits, and above them how many earlier units have */
    uint32_t lowest[WARPS], end[WARPS], active[WARPS];
    int32_t sums[WARPS];
};

/* ---- shared memory ---- */

/* Addresses in shared memory, kept in one register: the compiler would make the array's anew for
 * each access. */
struct shared_bytes {
    uint32_t met, units;

    __device__ __forceinline__ shared_bytes(struct shared &s)
    {
        asm volatile("{ .reg .u64 t; cvta.to.shared.u64 t, %1; cvt.u32.u64 %0, t; }"
                     : "=r"(met) : "l"(&s));
        units = met + sizeof(s.met);
    }
    __device__ __forceinline__ void mark(uint32_t row) const
    {
        asm volatile("st.shared.u8 [%0], %1;" ::"r"(met + (row & SPAN_MASK)), "r"(1) : "memory");
    }
    /* The unit of a row. */
    __device__ __forceinline__ uint32_t unit(uint32_t row) const
    {
        uint32_t unit, at = units + (row / UNIT % SPAN_UNITS) * (uint32_t)sizeof(unit);

        asm volatile("ld.shared.u32 %0, [%1];" : "=r"(unit) : "r"(at) : "memory");
        return unit;
    }
};

/* ---- entries ---- */

/* What a row meets in one group, as a wide blob has it: the lowest input row and which members. */
static __device__ __forceinline__ uint32_t make_entry(uint32_t place, uint32_t present,
                                                      uint32_t bound)
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

/* ---- a tile ---- */

/* What the tile meets as a whole. */
struct extent {
    int32_t unit;  /* of the lowest input row */
    int32_t units; /* 0: nothing is met */
    uint32_t active;
};

/* Sets the bytes of the input rows that this thread's entries meet. */
template <class Entries>
static __device__ __forceinline__ void mark_met(struct shared &s, const struct shared_bytes &bytes,
                                                const Entries (&rows)[OWN], int32_t run)
{
    uint32_t lowest = UINT32_MAX, end = 0, active = 0;

#pragma unroll
    for (int r = 0; r < OWN; r++)
#pragma unroll Entries::unroll
        for (int32_t i = 0; i < rows[r].most(); i++) {
            uint32_t entry = rows[r].get(i), present = present_of(entry), place = place_of(entry);
            uint32_t members = __popc(present);

            lowest = entry ? min(lowest, place) : lowest;
            end = max(end, place + members); /* an entry of 0 changes nothing */
            active |= present << ((rows[r].first + i * rows[r].step) * run);
#pragma unroll
            for (uint32_t m = 0; m < SPC_CUDA_BLOB_MAX_RUN; m++)
                if (m < members)
                    bytes.mark(place + m);
        }
    lowest = __reduce_min_sync(ALL, lowest);
    end = __reduce_max_sync(ALL, end);
    active = __reduce_or_sync(ALL, active);
    if (threadIdx.x % 32 == 0) {
        s.lowest[threadIdx.x / 32] = lowest;
        s.end[threadIdx.x / 32] = end;
        s.active[threadIdx.x / 32] = active;
    }
    __syncthreads();
}

static __device__ __forceinline__ struct extent find_extent(const struct shared &s)
{
    int warp = min((int)threadIdx.x % 32, WARPS - 1); /* of which this lane reads what it left */
    uint32_t lowest = __reduce_min_sync(ALL, s.lowest[warp]);
    uint32_t end = __reduce_max_sync(ALL, s.end[warp]);
    uint32_t active = __reduce_or_sync(ALL, s.active[warp]);

    if (!end)
        return {0, 0, 0};
    return {(int32_t)(lowest / UNIT), (int32_t)((end - 1) / UNIT - lowest / UNIT + 1), active};
}

/* Four bytes of 0 and 1 to bits: bit i is byte i. */
static __device__ __forceinline__ uint32_t bits_of(uint32_t bytes)
{
    return bytes * 0x01020408 >> 24;
}

static __device__ __forceinline__ uint32_t bits_of(uint4 bytes)
{
    return bits_of(bytes.x) | bits_of(bytes.y) << 4 | bits_of(bytes.z) << 8 |
           bits_of(bytes.w) << 12;
}

/* The sum over the lanes up to this one. */
static __device__ __forceinline__ int32_t sum_up_to(int32_t value)
{
#pragma unroll
    for (int d = 1; d < 32; d *= 2) {
        int32_t other = __shfl_up_sync(ALL, value, d);

        value += (int)threadIdx.x % 32 >= d ? other : 0;
    }
    return value;
}

/* The running sum of the rows that are met, whose bytes it clears; returns their number. A thread
 * has neighbouring units, mostly one or none. */
static __device__ __forceinline__ int32_t sum_met(struct shared &s, const struct extent &extent)
{
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int32_t each = extent.units <= THREADS ? 1 : SPAN_UNITS / THREADS + 1, sum = 0, sums;
    int32_t first = threadIdx.x * each, end = min(first + each, extent.units);
    bool used = warp * 32 * each < extent.units; /* the same for the whole warp */

    if (used) {
#pragma unroll 1
        for (int32_t i = first; i < end; i++) {
            uint32_t unit = (uint32_t)(extent.unit + i) % SPAN_UNITS;
            uint32_t bits = bits_of(s.met[unit]);

            s.met[unit] = make_uint4(0, 0, 0, 0);
            s.units[unit] = bits;
            sum += __popc(bits);
        }
        sum = sum_up_to(sum);
    }
    if (lane == 31)
        s.sums[warp] = sum;
    __syncthreads();
    sums = lane < WARPS ? s.sums[lane] : 0;
    if (used) {
        sum += (int32_t)__reduce_add_sync(ALL, lane < warp ? sums : 0);
#pragma unroll 1
        for (int32_t i = end - 1; i >= first; i--) {
            uint32_t *unit = &s.units[(uint32_t)(extent.unit + i) % SPAN_UNITS];

            sum -= __popc(*unit);
            *unit |= (uint32_t)sum << UNIT;
        }
    }
    __syncthreads();
    return (int32_t)__reduce_add_sync(ALL, sums);
}

/* This thread's rows of a tile. */
static __device__ __forceinline__ int32_t own_row(int r)
{
    return r * (ROWS / OWN) + (int32_t)threadIdx.x % (ROWS / OWN);
}

/* Where rows are met by several threads, all write the same into the halo. */
template <class Entries>
static __device__ __forceinline__ void write_narrow(const struct shared_bytes &bytes,
                                                    const Entries &rows, uint16_t *to,
                                                    int32_t *halo)
{
    to += rows.first * ROWS;
#pragma unroll Entries::unroll
    for (int32_t i = 0; i < rows.most(); i++) {
        uint32_t entry = rows.get(i), at = place_of(entry), present = present_of(entry);
        uint32_t unit = bytes.unit(at), members = __popc(present);
        uint32_t place = (unit >> UNIT) + __popc(unit & ((1u << (at % UNIT)) - 1));
        int32_t *slots = halo + place;

#pragma unroll
        for (uint32_t m = 0; m < SPC_CUDA_BLOB_MAX_RUN; m++)
            if (m < members)
                slots[m] = (int32_t)(at + m);
        if (i < rows.count)
            to[i * rows.step * ROWS] =
                entry ? (uint16_t)(place | present << SPC_CUDA_BLOB_NARROW_SHIFT) : 0;
    }
}

template <class Entries>
static __device__ __forceinline__ void write_wide(const Entries &rows, uint32_t *to)
{
    to += rows.first * ROWS;
#pragma unroll Entries::unroll
    for (int32_t i = 0; i < rows.most(); i++)
        if (i < rows.count)
            to[i * rows.step * ROWS] = rows.get(i);
}

/* Whoever comes here has left the barrier before which the tile before was read. */
static __device__ __forceinline__ void clear_met(struct shared &s)
{
    for (int32_t i = threadIdx.x; i < SPAN_UNITS; i += THREADS)
        s.met[i] = make_uint4(0, 0, 0, 0);
    __syncthreads();
}

template <class Entries>
static __device__ __forceinline__ void make_blob(struct shared &s,
                                                 const struct shared_bytes &bytes,
                                                 const Entries (&rows)[OWN],
                                                 const struct spc_cuda_blobs &blobs, int32_t tile)
{
    uint8_t *blob = blobs.blobs + (uint32_t)tile * (uint64_t)(uint32_t)blobs.stride;
    uint8_t *body = blob + sizeof(struct spc_cuda_blob_header);
    struct extent extent;
    int32_t halo = -1;

    mark_met(s, bytes, rows, blobs.run);
    extent = find_extent(s);
    if (extent.units <= SPAN_UNITS)
        halo = sum_met(s, extent);
    else
        clear_met(s);
    halo = halo <= blobs.max_halo ? halo : -1;
    if (threadIdx.x == 0)
        *(uint4 *)blob = make_uint4(extent.active, halo, 0, 0);
#pragma unroll
    for (int r = 0; r < OWN; r++)
        if (halo >= 0)
            write_narrow(bytes, rows[r], (uint16_t *)body + own_row(r),
                         (int32_t *)(body + blobs.groups * (ROWS * (int32_t)sizeof(uint16_t))));
        else
            write_wide(rows[r], (uint32_t *)body + own_row(r));
}

/* ---- jobs ---- */

template <class Job> struct batch {
    int32_t num_jobs;
    bool settled;
    Job jobs[MAX_JOBS];
};

/* Coordinates of this thread's rows of a tile; anything where there is none. */
template <class Job>
static __device__ __forceinline__ void load_coords(short4 (&at)[OWN], const Job &j, int32_t tile)
{
#pragma unroll
    for (int r = 0; r < OWN; r++) {
        uint32_t row = (uint32_t)(tile * ROWS + own_row(r));

        at[r] = row < j.out_bound ? __ldcg(j.coords + row) : make_short4(0, 0, 0, 0);
    }
}

template <class Job>
static __device__ __forceinline__ void make_tile(struct shared &s,
                                                 const struct shared_bytes &bytes, const Job &job,
                                                 int32_t part, int32_t tile, int32_t rows,
                                                 const short4 (&at)[OWN])
{
    static_assert(OWN == 2, "one initializer each");
    typename Job::entries own[OWN] = {{job, part, at[0], tile * ROWS + own_row(0) < rows},
                                      {job, part, at[1], tile * ROWS + own_row(1) < rows}};

#pragma unroll
    for (int r = 0; r < OWN; r++) /* when all loads have begun */
        own[r].find(job);
    make_blob(s, bytes, own, job.blobs, tile);
}

/* Blocks go through the tiles of all jobs, one job after another. */
template <class Job>
static __global__ void __launch_bounds__(THREADS, BLOCKS_PER_SM)
    make_blobs(const __grid_constant__ struct batch<Job> jobs)
{
    __shared__ struct shared s;
    int32_t tile = blockIdx.x, lane = threadIdx.x % 32, counts = 0;
    int32_t part = (int32_t)__reduce_min_sync(ALL, threadIdx.x / (ROWS / OWN)); /* uniform */
    const struct shared_bytes bytes(s);
    short4 at[OWN];

    let_next_start();
    clear_met(s);
    if (!jobs.settled)
        wait_for_previous();
    load_coords(at, jobs.jobs[0], tile); /* before it is known whether there is such a tile, */
    if (lane < jobs.num_jobs) /* at once: one after another they would wait for memory each */
        counts = __ldcg(jobs.jobs[lane].count);
    for (int32_t i = 0; i < jobs.num_jobs; i++) {
        const Job &job = jobs.jobs[i];
        int32_t rows = (int32_t)__reduce_max_sync(ALL, lane == i ? counts : 0);
        int32_t tiles = (rows + ROWS - 1) / ROWS;

        for (; tile < tiles; tile += gridDim.x) {
            if (i || tile != (int32_t)blockIdx.x)
                load_coords(at, job, tile);
            make_tile(s, bytes, job, part, tile, rows, at);
        }
        tile -= tiles;
    }
    if (jobs.settled)
        wait_for_previous();
}

/* The blobs of jobs of one kind. */
template <class Job>
static cudaError_t launch_blobs(const struct batch<Job> &jobs, unsigned blocks, bool overlap,
                                cudaStream_t stream)
{
    static_assert(sizeof(jobs) <= 4096, "kernel parameters");

    return jobs.num_jobs ? spc_cuda_launch_as(overlap, make_blobs<Job>, blocks, THREADS, 0, stream,
                                              jobs)
                         : cudaSuccess;
}

#endif
