/* SPDX-License-Identifier: MIT */
/*
 * What both fast convolution kernels share: a tile's halo and its table in shared memory, and what
 * happens to finished sums.
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

#include "cuda/common.cuh"
#include "cuda/conv_kernels.h"

#include <cuda_fp16.h>

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

/* Pieces of work: tiles by blocks of output channels. */
static __device__ __forceinline__ int conv_pieces(const struct conv_job &job)
{
    return (int)spc_cuda_blob_tiles(conv_rows(job.conv)) * job.blocks;
}

/* Steps below `step` as bits. */
static __device__ __forceinline__ uint32_t below(int step)
{
    return (1u << step) - 1;
}

/* One tile's way through shared memory. */
struct tile {
    const uint8_t *blob;
    uint32_t active; /* steps */
    int steps;       /* how many are active */
    int halo;        /* rows; -1 in a wide blob */
    bool direct;     /* the whole halo is in shared memory at once */
    int pass_steps;  /* most steps of a pass */
};

template <int DEPTH, int WIDTH>
static __device__ __forceinline__ struct tile open_tile(const struct conv_job &job, int index)
{
    constexpr int together = shape<DEPTH, WIDTH>::batch_steps;
    struct tile tile;
    uint2 header;

    tile.blob = job.conv.blobs.blobs + (int64_t)index * job.conv.blobs.stride;
    header = *(const uint2 *)tile.blob;
    tile.active = header.x;
    tile.steps = __popc(header.x);
    tile.halo = (int)header.y;
    tile.direct = tile.halo >= 0 && tile.halo <= job.capacity;
    tile.pass_steps =
        tile.direct ? tile.steps : job.capacity / TILE_ROWS / together * together;
    return tile;
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

/* A zero row for those of eight lanes that have none: in a bank that the others leave free, so
 * that one ldmatrix does not read a bank twice. Called by all lanes of a warp. */
static __device__ __forceinline__ int pick_slot(bool here, int slot)
{
    uint32_t used = here ? 1u << (slot & 7) : 0;

    used |= __shfl_xor_sync(~0u, used, 1);
    used |= __shfl_xor_sync(~0u, used, 2);
    used |= __shfl_xor_sync(~0u, used, 4);
    return here ? slot : __ffs(~used & 0xff | 0x100) - 1 & 7;
}

/* The table entry: the place of a row in units of 16 bytes, its swizzle added. */
template <int DEPTH> static __device__ __forceinline__ uint16_t table_entry(int slot)
{
    return (uint16_t)(slot * (DEPTH / 8) + swizzle<DEPTH>(slot));
}

/* Fills the table of active steps first_step .. first_step + count of the tile, padded to whole
 * batches. Without `direct` also starts the copies of their rows. THREADS threads take part. */
template <int DEPTH, int WIDTH, int THREADS>
static __device__ __forceinline__ void fill_table(const struct conv_job &job,
                                                  const struct tile &tile, uint16_t *table,
                                                  uint32_t halo, int first_step, int count,
                                                  int first_channel, int thread)
{
    constexpr int together = shape<DEPTH, WIDTH>::batch_steps;
    int run = job.conv.blobs.run;
    const int32_t *rows = halo_rows(job, tile);

#pragma unroll 1
    for (int i = thread; i < job.conv.blobs.groups * TILE_ROWS; i += THREADS) {
        int group = i / TILE_ROWS, row = i % TILE_ROWS;
        struct entry entry = read_entry(tile, i);

#pragma unroll 1
        for (int m = 0; m < run; m++) {
            int step = group * run + m;
            int at = __popc(tile.active & below(step)) - first_step;
            bool here = entry.present >> m & 1;
            int place = entry.place + __popc(entry.present & below(m));
            int slot = ZERO_ROWS + (tile.direct ? place : at * TILE_ROWS + row);

            if (!(tile.active >> step & 1) || at < 0 || at >= count)
                continue;
            if (!tile.direct && here) {
                int64_t from = tile.halo < 0 ? place : rows[place];

#pragma unroll 1
                for (int unit = 0; unit < shape<DEPTH, WIDTH>::units; unit++)
                    copy_unit<DEPTH>(job, halo, slot, unit, from, first_channel);
            }
            table[at * TILE_ROWS + row] = table_entry<DEPTH>(pick_slot(here, slot));
        }
    }
    for (int i = count * TILE_ROWS + thread;
         i < (count + together - 1) / together * together * TILE_ROWS; i += THREADS)
        table[i] = table_entry<DEPTH>(i % ZERO_ROWS);
}

/* Starts the copies of a whole halo. */
template <int DEPTH, int WIDTH, int THREADS>
static __device__ __forceinline__ void copy_halo(const struct conv_job &job,
                                                 const struct tile &tile, uint32_t halo,
                                                 int first_channel, int thread)
{
    constexpr int units = shape<DEPTH, WIDTH>::units;
    const int32_t *rows = halo_rows(job, tile);

#pragma unroll 4
    for (int i = thread; i < tile.halo * units; i += THREADS)
        copy_unit<DEPTH>(job, halo, ZERO_ROWS + i / units, i % units, rows[i / units],
                         first_channel);
}

template <int DEPTH>
static __device__ __forceinline__ void clear_zero_rows(uint8_t *halo, int thread)
{
    if (thread < ZERO_ROWS * DEPTH / 8)
        ((uint4 *)halo)[thread] = make_uint4(0, 0, 0, 0);
}

template <int COUNT> struct halves; /* COUNT of them, loaded and stored at once */
template <> struct halves<4> {
    uint2 bits;
};
template <> struct halves<8> {
    uint4 bits;
};

/* Bias, residual, activation and store of one row's sums: those of rows 8 * LOWER + lane / 4 of
 * TILES n8 tiles, in groups of GROUP tiles whose channels follow one another. */
template <int TILES, int GROUP, int LOWER>
static __device__ __forceinline__ void finish_row(const struct spc_cuda_conv_fast &conv,
                                                  const float (&acc)[TILES][4], int row,
                                                  int first_channel, int lane)
{
    constexpr int count = 2 * GROUP;
    using chunk = halves<count>;

#pragma unroll
    for (int g = 0; g < TILES / GROUP; g++) {
        int channel = first_channel + g * GROUP * 8 + lane % 4 * count;
        int64_t at = (int64_t)row * conv.cout + channel;
        chunk values = {};
        __half2 *pairs = (__half2 *)&values;

        if (channel >= conv.cout)
            continue;
        if (conv.residual)
            values = *(const chunk *)((const __half *)conv.residual + at);
#pragma unroll
        for (int j = 0; j < GROUP; j++) {
            float2 bias = *(const float2 *)(conv.bias + channel + 2 * j);
            float2 add = __half22float2(pairs[j]);
            const float *sum = &acc[g * GROUP + j][2 * LOWER];

            pairs[j] = __floats2half2_rn(activate(sum[0] + bias.x + add.x, conv.act, conv.slope),
                                         activate(sum[1] + bias.y + add.y, conv.act, conv.slope));
        }
        *(chunk *)((__half *)conv.out + at) = values;
    }
}

#endif
