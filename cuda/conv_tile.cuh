/* SPDX-License-Identifier: MIT */
/*
 * What all fast convolution kernels share: a tile's halo and its table in shared memory.
 *
 * A kernel computes 128 output rows by WIDTH output channels at a time. It copies the rows of the
 * tile's halo (DEPTH channels of them) into shared memory, behind 8 rows of zeros, and makes a
 * table of where every output row finds its neighbour of every active step. ldmatrix then gathers
 * straight from there: it takes any eight addresses. Rows are swizzled in 16-byte units as the
 * weights are, so that rows that follow one another do not meet in one bank.
 *
 * A tile whose halo does not fit goes in passes of a few steps, each row of which is copied for
 * itself. Channels beyond DEPTH are further passes over the same steps.
 */
#ifndef SPC_CUDA_CONV_TILE_CUH
#define SPC_CUDA_CONV_TILE_CUH

#include "cuda/conv_kernels.h"

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#define TILE_ROWS SPC_CUDA_BLOB_ROWS
#define ZERO_ROWS 8
#define BATCH_K16 4 /* k16 products of a batch: 64 input channels, of one step or of several */

template <int DEPTH, int WIDTH> struct shape {
    static constexpr int units = DEPTH / 8;        /* of 16 bytes, of a row */
    static constexpr int row_bytes = DEPTH * 2;
    static constexpr int k16s = DEPTH / 16;        /* k16 products of a step */
    static constexpr int slice = DEPTH < SPC_CUDA_CONV_SLICE ? DEPTH : SPC_CUDA_CONV_SLICE;
    static constexpr int slices = DEPTH / slice;   /* images of a step */
    static constexpr int image = WIDTH * slice * 2;
    static constexpr int batch_steps = SPC_CUDA_CONV_SLICE / slice;
    static constexpr int stage = batch_steps * image; /* bytes of weights of a batch */
    /* Eight neighbouring channels are in one thread's sums of four n8 tiles; see conv_pack.c. */
    static constexpr int group = WIDTH == 16 ? 2 : 4;
};

/* Exchange of 16-byte units in row `row` of DEPTH channels. */
template <int DEPTH> static __device__ __forceinline__ uint32_t swizzle(uint32_t row)
{
    return DEPTH == 16 ? (row >> 2) & 1 : DEPTH == 32 ? (row >> 1) & 3 : row & 7;
}

static __device__ __forceinline__ uint32_t shared_address(const void *p)
{
    return (uint32_t)__cvta_generic_to_shared(p);
}

/* 16 bytes from global to shared memory; zeros where not `valid`. */
static __device__ __forceinline__ void copy16(uint32_t to, const void *from, bool valid)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
                 "r"(valid ? 16 : 0)
                 : "memory");
}

static __device__ __forceinline__ void copy_commit()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

template <int PENDING> static __device__ __forceinline__ void copy_wait()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

static __device__ __forceinline__ void load_matrices(uint32_t (&m)[4], uint32_t address)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
                 : "r"(address)
                 : "memory");
}

static __device__ __forceinline__ int conv_rows(const struct spc_cuda_conv_fast &conv)
{
    return min(*conv.count, (int)conv.bound);
}

/* Steps below `step` as bits. */
static __device__ __forceinline__ uint32_t below(int step)
{
    return (1u << step) - 1;
}

/* One tile's way through shared memory. */
struct tile {
    const uint8_t *blob; /* in shared memory */
    uint32_t active; /* steps */
    int steps;       /* how many are active */
    int halo;        /* rows; -1 in a wide blob */
    bool direct;     /* the whole halo is in shared memory at once */
    int pass_steps;  /* most steps of a pass */
};

/* A tile and those of its active steps that are `mine`. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ struct tile open_tile(const struct conv_job &job,
                                                        const uint8_t *blob, uint32_t mine = ~0u)
{
    constexpr int together = shape<DEPTH, WIDTH>::batch_steps;
    uint2 header = *(const uint2 *)blob;
    struct tile tile;

    tile.blob = blob;
    tile.active = header.x & mine;
    tile.steps = __popc(tile.active);
    tile.halo = (int)header.y;
    tile.direct = tile.halo >= 0 && tile.halo <= job.capacity;
    tile.pass_steps =
        tile.direct ? tile.steps : job.capacity / TILE_ROWS / together * together;
    return tile;
}

/* Where a tile's blob is in global memory. */
static __device__ __forceinline__ const uint8_t *blob_of(const struct conv_job &job, int index)
{
    return job.conv.blobs.blobs + (int64_t)index * job.conv.blobs.stride;
}

/* The first row of an entry's members, and which of them there are. */
struct entry {
    int place;
    uint32_t present;
};

static __device__ __forceinline__ struct entry read_entry(const struct tile &tile, int index)
{
    const uint8_t *entries = tile.blob + sizeof(struct spc_cuda_blob_header);
    int shift = tile.halo < 0 ? SPC_CUDA_BLOB_WIDE_SHIFT : SPC_CUDA_BLOB_NARROW_SHIFT;
    uint32_t e = tile.halo < 0 ? ((const uint32_t *)entries)[index]
                               : ((const uint16_t *)entries)[index];

    return {(int)(e & below(shift)), e >> shift};
}

static __device__ __forceinline__ const int32_t *halo_rows(const struct conv_job &job,
                                                           const struct tile &tile)
{
    return (const int32_t *)(tile.blob + sizeof(struct spc_cuda_blob_header) +
                             job.conv.blobs.groups * TILE_ROWS * 2);
}

/* Copies one 16-byte unit of channels `first`... of an input row to a place in the halo. */
template <int DEPTH>
static __device__ __forceinline__ void copy_unit(const struct conv_job &job, uint32_t halo,
                                                 int slot, int unit, int64_t row, int first)
{
    int channel = first + unit * 8;
    const __half *in = (const __half *)job.conv.in + row * job.conv.in_stride;
    bool valid = channel < job.conv.in_stride;

    copy16(halo + slot * (DEPTH * 2) + ((unit ^ swizzle<DEPTH>(slot)) << 4),
           in + (valid ? channel : 0), valid);
}

template <int DEPTH>
static __device__ __forceinline__ void copy_row(const struct conv_job &job, uint32_t halo, int slot,
                                                int64_t row, int first_channel)
{
#pragma unroll 1
    for (int unit = 0; unit < DEPTH / 8; unit++)
        copy_unit<DEPTH>(job, halo, slot, unit, row, first_channel);
}

/* The table entry: the place of a row in units of 16 bytes, its swizzle added. */
template <int DEPTH> static __device__ __forceinline__ uint16_t table_entry(int slot)
{
    return (uint16_t)(slot * (DEPTH / 8) + swizzle<DEPTH>(slot));
}

/* What is filled: the active steps first .. first + count. */
struct pass {
    int first, count;
    int first_channel;
    uint32_t halo;
    uint16_t *table;
};

/* The row of zeros for those of a lane's two rows that have no neighbour: in a bank that the eight
 * rows of four lanes leave free, which one ldmatrix reads. With 16 channels choosing costs more
 * than it saves. Called by all lanes of a warp. */
template <int DEPTH>
static __device__ __forceinline__ int zero_row(bool even_here, int even, bool odd_here, int odd)
{
    uint32_t used = (even_here ? 1u << (even & 7) : 0) | (odd_here ? 1u << (odd & 7) : 0);

    if (DEPTH < 32)
        return threadIdx.x % ZERO_ROWS;
    used |= __shfl_xor_sync(~0u, used, 1);
    used |= __shfl_xor_sync(~0u, used, 2);
    return (__ffs((~used & 0xff) | 0x100) - 1) & 7;
}

/* Where two rows find member m of their group: their table entries. */
template <int DEPTH>
static __device__ __forceinline__ uint32_t place_member(struct entry &even, struct entry &odd,
                                                        int m)
{
    bool even_here = even.present >> m & 1, odd_here = odd.present >> m & 1;
    int even_slot = ZERO_ROWS + even.place, odd_slot = ZERO_ROWS + odd.place;
    int zeros = zero_row<DEPTH>(even_here, even_slot, odd_here, odd_slot);

    even.place += even_here;
    odd.place += odd_here;
    return table_entry<DEPTH>(even_here ? even_slot : zeros) |
           table_entry<DEPTH>(odd_here ? odd_slot : zeros) << 16;
}

/* The table of a tile whose halo is there as a whole; all its steps are one pass. A warp takes 64
 * rows of a group at a time, a lane two of them. */
template <int DEPTH, int THREADS>
static __device__ __forceinline__ void fill_direct(const struct conv_job &job,
                                                   const struct tile &tile,
                                                   const struct pass &pass, int thread)
{
    int warp = __shfl_sync(~0u, thread / 32, 0); /* the same register for all lanes */
    int run = job.conv.blobs.run;

#pragma unroll 1
    for (int i = warp; i < job.conv.blobs.groups * 2; i += THREADS / 32) {
        int step = i / 2 * run, at = __popc(tile.active & below(step));
        int first = i % 2 * 64 + thread % 32 * 2;
        uint32_t active = tile.active >> step & below(run);
        struct entry even = read_entry(tile, i / 2 * TILE_ROWS + first);
        struct entry odd = read_entry(tile, i / 2 * TILE_ROWS + first + 1);

        if (!active)
            continue;
#pragma unroll
        for (int m = 0; m < SPC_CUDA_BLOB_MAX_RUN; m++) {
            uint32_t entries = place_member<DEPTH>(even, odd, m);

            if (active >> m & 1)
                *(uint32_t *)(pass.table + at++ * TILE_ROWS + first) = entries;
        }
    }
}

/* The table of some steps of any other tile, and the copies of their rows, each for itself. */
template <int DEPTH, int THREADS>
static __device__ __forceinline__ void fill_pass(const struct conv_job &job,
                                                 const struct tile &tile, const struct pass &pass,
                                                 int thread)
{
    int run = job.conv.blobs.run, steps = job.conv.blobs.groups * run;

#pragma unroll 1
    for (int i = thread; i < steps * TILE_ROWS; i += THREADS) {
        int step = i / TILE_ROWS, row = i % TILE_ROWS, m = step % run;
        int at = __popc(tile.active & below(step)) - pass.first;
        struct entry entry = read_entry(tile, step / run * TILE_ROWS + row);
        bool here = entry.present >> m & 1;
        int slot = ZERO_ROWS + at * TILE_ROWS + row;
        int place = entry.place + __popc(entry.present & below(m));

        if (!(tile.active >> step & 1) || at < 0 || at >= pass.count)
            continue;
        pass.table[at * TILE_ROWS + row] = table_entry<DEPTH>(here ? slot : row % ZERO_ROWS);
        if (here)
            copy_row<DEPTH>(job, pass.halo, slot,
                            tile.halo < 0 ? place : halo_rows(job, tile)[place],
                            pass.first_channel);
    }
}

/* Fills the table, padded to whole batches. Where the tile is not `direct` also starts the copies
 * of its rows. THREADS threads take part. */
template <int DEPTH, int WIDTH, int THREADS>
static __device__ __forceinline__ void fill_table(const struct conv_job &job,
                                                  const struct tile &tile,
                                                  const struct pass &pass, int thread)
{
    constexpr int together = shape<DEPTH, WIDTH>::batch_steps;
    int padded = (pass.count + together - 1) / together * together;

    if (tile.direct)
        fill_direct<DEPTH, THREADS>(job, tile, pass, thread);
    else
        fill_pass<DEPTH, THREADS>(job, tile, pass, thread);
    for (int i = pass.count * TILE_ROWS + thread; i < padded * TILE_ROWS; i += THREADS)
        pass.table[i] = table_entry<DEPTH>(i % ZERO_ROWS);
}

/* Starts the copies of a whole halo. */
template <int DEPTH, int WIDTH, int THREADS>
static __device__ __forceinline__ void copy_halo(const struct conv_job &job,
                                                 const struct tile &tile,
                                                 const struct pass &pass, int thread)
{
    constexpr int units = shape<DEPTH, WIDTH>::units;
    const int32_t *rows = halo_rows(job, tile);

#pragma unroll 4
    for (int i = thread; i < tile.halo * units; i += THREADS)
        copy_unit<DEPTH>(job, pass.halo, ZERO_ROWS + i / units, i % units, rows[i / units],
                         pass.first_channel);
}

template <int DEPTH>
static __device__ __forceinline__ void clear_zero_rows(uint8_t *halo, int thread)
{
    if (thread < ZERO_ROWS * DEPTH / 8)
        ((uint4 *)halo)[thread] = make_uint4(0, 0, 0, 0);
}

#endif
