/* SPDX-License-Identifier: MIT */
/*
 * The pieces of the fast convolution of few channels on Hopper: teams of four warps.
 *
 * A block copies the weights of all steps into shared memory, once. Its teams then take a tile at a
 * time, each for itself. Every thread finds the neighbours of one row of the tile while the
 * products of the steps before are under way, so that there is no table; instructions are to spare
 * there, shared memory is not.
 *
 * A tile whose halo does not fit goes in passes of a few steps, each row of which is copied for
 * itself.
 */
#ifndef SPC_CUDA_CONV_TEAM_CUH
#define SPC_CUDA_CONV_TEAM_CUH

#include "cuda/conv_kernels.h"
#include "cuda/conv_sums.cuh"
#include "cuda/conv_tile.cuh"
#include "cuda/hopper.cuh"
#include "cuda/launch.cuh"

#include <cuda_runtime.h>

#define TEAM TILE_ROWS /* threads: each finds the neighbours of one row */
#define RUN 3          /* kernels of 3 x 3 x 3: what there is for other ones pays less */
#define GROUPS 9
#define STEPS (GROUPS * RUN)
#define CHUNK_STEPS 9 /* weights come in chunks of so many steps, each with a barrier */
#define CHUNKS (STEPS / CHUNK_STEPS)
#define LEAD 2 /* teams that load their first halo at once */

/* Bytes of a block's shared memory: all weights, then teams. A team has a halo, in planes of 8
 * channels of all its rows, and a blob. */
struct team_memory {
    int32_t weights, team, plane;
};

template <int DEPTH, int WIDTH>
static inline __host__ __device__ struct team_memory team_memory(const struct conv_job &job)
{
    struct team_memory memory;

    memory.weights = STEPS * shape<DEPTH, WIDTH>::image;
    /* Units of one row are in different banks, for the copies. */
    memory.plane = (job.capacity + ZERO_ROWS) * 16 + 1024 / DEPTH;
    memory.team = memory.plane * (DEPTH / 8) + ((int32_t)job.conv.blobs.stride + 127) / 128 * 128;
    return memory;
}

/* Where a thread is, and where its team has what. Unit u (8 channels) of halo row i is at
 * halo + u * plane + i * 16: eight rows that follow one another never meet in one bank. The first
 * ZERO_ROWS are of zeros. */
struct self {
    int team, thread, lane; /* thread: in its team */
    uint32_t halo, plane;
    uint8_t *blob;
    uint32_t blob_there, halo_there; /* barriers; the second is the team's first halo's */
};

static __device__ __forceinline__ void team_sync(const struct self &self)
{
    asm volatile("bar.sync %0, %1;" ::"r"(self.team + 1), "n"(TEAM) : "memory");
}

/* Orders a tile's blob. */
static __device__ __forceinline__ void fetch_blob(const struct conv_job &job,
                                                  const struct self &self, int index)
{
    if (self.thread)
        return;
    barrier_expect(self.blob_there, (int)job.conv.blobs.stride);
    bulk_copy(shared_address(self.blob), blob_of(job, index), (int)job.conv.blobs.stride,
              self.blob_there);
}

/* ---- where rows find their neighbours ---- */

/* A row's entry of the first group, in a narrow blob; TILE_ROWS further is that of the next. */
static __device__ __forceinline__ const uint16_t *narrow_entries(const struct tile &tile, int row)
{
    return (const uint16_t *)(tile.blob + sizeof(struct spc_cuda_blob_header)) + row;
}

/* Finds one row's neighbours of a group, member after member; the whole halo is there. */
struct finder {
    uint32_t next, zeros, present;

    /* `leader` is the entry of the first of the eight rows that ldmatrix reads at once. Those
     * without a neighbour read the row of zeros before its neighbour's bank: mostly in none of the
     * others' either, because the eight find most of theirs behind one another. */
    __device__ __forceinline__ finder(const struct self &self, uint32_t entry, uint32_t leader)
        : next(self.halo + (ZERO_ROWS + (entry & below(SPC_CUDA_BLOB_NARROW_SHIFT))) * 16),
          zeros(self.halo + ((leader + ZERO_ROWS - 1) & 7) * 16),
          present(entry >> SPC_CUDA_BLOB_NARROW_SHIFT)
    {
    }

    __device__ __forceinline__ uint32_t find(int m)
    {
        bool here = present >> m & 1;
        uint32_t address = here ? next : zeros;

        next += here ? 16 : 0;
        return address;
    }
};

/* Where this thread's row finds its neighbour of a step of a pass, copied for it alone. */
static __device__ __forceinline__ uint32_t find_copy(const struct self &self,
                                                     const struct tile &tile, uint32_t part,
                                                     int step)
{
    struct entry entry = read_entry(tile, step / RUN * TILE_ROWS + self.thread);
    int slot = ZERO_ROWS + __popc(part & below(step)) * TILE_ROWS + self.thread;

    return self.halo + (entry.present >> step % RUN & 1 ? slot : 0) * 16;
}

/* ---- copies into the halo ---- */

/* Starts the copy of channels unit * 8 ... of input row `row`. */
static __device__ __forceinline__ void copy_to_plane(const struct conv_job &job,
                                                     const struct self &self, int slot, int unit,
                                                     uint32_t row)
{
    bool valid = unit * 8 < job.conv.in_stride;
    const uint8_t *in = (const uint8_t *)job.conv.in + (valid ? unit * 16 : 0);

    copy16(self.halo + unit * self.plane + slot * 16,
           in + (uint64_t)row * (uint32_t)(job.conv.in_stride * 2), valid);
}

/* Starts the copies of a whole halo. A thread copies the same unit of every row it takes. */
template <int DEPTH>
static __device__ __forceinline__ void copy_planes(const struct conv_job &job,
                                                   const struct self &self,
                                                   const struct tile &tile)
{
    constexpr int units = DEPTH / 8, together = TEAM / units, batch = 4;
    const int32_t *rows = halo_rows(job, tile);

#pragma unroll 1
    for (int first = self.thread / units; first < tile.halo; first += batch * together) {
        int32_t from[batch]; /* looked up at once */

#pragma unroll
        for (int i = 0; i < batch; i++)
            from[i] = rows[min(first + i * together, tile.halo - 1)];
#pragma unroll
        for (int i = 0; i < batch; i++)
            if (first + i * together < tile.halo)
                copy_to_plane(job, self, ZERO_ROWS + first + i * together, self.thread % units,
                              from[i]);
    }
}

/* Starts the copies of the rows that one thread needs in the steps of a pass. */
template <int DEPTH>
static __device__ __forceinline__ void copy_steps(const struct conv_job &job,
                                                  const struct self &self,
                                                  const struct tile &tile, uint32_t part)
{
    for (uint32_t left = part; left; left &= left - 1) {
        int step = __ffs(left) - 1, m = step % RUN;
        struct entry entry = read_entry(tile, step / RUN * TILE_ROWS + self.thread);
        int place = entry.place + __popc(entry.present & below(m));
        int slot = ZERO_ROWS + __popc(part & below(step)) * TILE_ROWS + self.thread;

        for (int unit = 0; unit < DEPTH / 8 && (entry.present >> m & 1); unit++)
            copy_to_plane(job, self, slot, unit,
                          tile.halo < 0 ? place : halo_rows(job, tile)[place]);
    }
}

/* The lowest `count` steps of those that are left. */
static __device__ __forceinline__ uint32_t lowest(uint32_t left, int count)
{
    uint32_t part = 0;

    for (int i = 0; i < count && left; i++) {
        part |= left & -left;
        left &= left - 1;
    }
    return part;
}

/* ---- tiles ---- */

/* Sums of 32 rows a warp: two matrices of 16 rows. */
template <int WIDTH> using sums = float[2][WIDTH / 8][4];

/* Row of a thread's first sum of a matrix. */
static __device__ __forceinline__ int sum_row(const struct self &self, int tile, int matrix)
{
    return tile * TILE_ROWS + self.thread / 32 * 32 + matrix * 16 + self.lane / 4;
}

/* One tile, all passes; one pass where no step is active. Of the first tiles, LEAD teams copy their
 * halos at once, and multiply while the next ones do. */
template <int DEPTH, int WIDTH, class Multiply>
static __device__ __forceinline__ void sum_team_tile(sums<WIDTH> &acc, const struct conv_job &job,
                                                     const struct self &self, bool first_tile,
                                                     const Multiply &multiply)
{
    struct tile tile = open_tile<DEPTH, WIDTH>(job, self.blob);
    uint32_t left = tile.active;
    bool first = true;

    settle();
    if (first_tile && self.team >= LEAD)
        barrier_wait(self.halo_there - LEAD * 8, 0);
#pragma unroll 1
    do {
        uint32_t part = tile.direct ? left : lowest(left, job.capacity / TILE_ROWS);

        if (!first)
            team_sync(self); /* nobody reads what the pass before left */
        if (tile.direct)
            copy_planes<DEPTH>(job, self, tile);
        else
            copy_steps<DEPTH>(job, self, tile, part);
        copy_commit();
        copy_wait<0>();
        team_sync(self);
        if (first && first_tile && !self.thread)
            barrier_arrive(self.halo_there);
        if (tile.direct && part)
            multiply.columns(acc, self, tile);
        else
            multiply.steps(acc, self, tile, part);
        left &= ~part;
        first = false;
    } while (left);
}

/* All tiles of a team. The blob of its first is ordered before the rows are counted: there is
 * memory of blobs for every tile of the bound. */
template <int DEPTH, int WIDTH, int TEAMS, class Multiply>
static __device__ __forceinline__ void team_tiles(const struct conv_job &job,
                                                  const struct self &self,
                                                  const Multiply &multiply)
{
    constexpr int group = shape<DEPTH, WIDTH>::group;
    int first = blockIdx.x + gridDim.x * self.team, rows, tiles;
    bool ordered = first < (int)spc_cuda_blob_tiles(job.conv.bound);
    uint32_t parity = 0;

    if (ordered)
        fetch_blob(job, self, first);
    rows = conv_rows(job.conv);
    tiles = (int)spc_cuda_blob_tiles(rows);
    if (ordered) /* also where there is no such tile: a copy must not outlive its block */
        barrier_wait(self.blob_there, 0);
#pragma unroll 1
    for (int i = first; i < tiles; i += gridDim.x * TEAMS) {
        int next = i + gridDim.x * TEAMS;
        sums<WIDTH> acc;

        if (i != first) {
            parity ^= 1;
            barrier_wait(self.blob_there, parity);
        }
#pragma unroll
        for (int m = 0; m < 2; m++)
            begin_bias<WIDTH / 8, group>(job.conv, acc[m], 0, self.lane);
        sum_team_tile<DEPTH, WIDTH>(acc, job, self, i == first, multiply);
        if (next < tiles) {
            team_sync(self); /* nobody reads blob or halo */
            fetch_blob(job, self, next);
        }
        /* Not before the products: at first everybody waits for halos, which it would delay. */
#pragma unroll
        for (int m = 0; m < 2; m++)
            add_residual<WIDTH / 8, group>(job.conv, acc[m], sum_row(self, i, m), rows, 0,
                                           self.lane);
#pragma unroll
        for (int m = 0; m < 2; m++)
            finish_sums<WIDTH / 8, group>(job.conv, acc[m], sum_row(self, i, m), rows, 0,
                                          self.lane);
    }
    /* A kernel must not end before the one in front of it. */
    wait_for_previous();
}

#endif
