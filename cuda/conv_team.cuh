/* SPDX-License-Identifier: MIT */
/*
 * The pieces of the fast convolution of few channels on Hopper: teams of four warps, what they have
 * in shared memory, and the copies of their tiles' halos.
 *
 * A block copies the weights of all steps into shared memory, once. Its teams then take a tile at a
 * time, each for itself. Where a block has fewer tiles than teams, two or four of them are the crew
 * of a tile: each has half of its rows, and in four half of the steps, too. Which ones follows from
 * the number of tiles and the place in the block: equal frames give equal bits.
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

#define TEAM TILE_ROWS /* threads */
#define RUN 3          /* kernels of 3 x 3 x 3: what there is for other ones pays less */
#define GROUPS 9
#define STEPS (GROUPS * RUN)
#define CHUNK_GROUPS 3 /* weights come in chunks of so many groups, each with a barrier */
#define CHUNK_STEPS (CHUNK_GROUPS * RUN)
#define CHUNKS (STEPS / CHUNK_STEPS)
#define CREW_BARRIER 8 /* the first of crews' named barriers; teams' are before it */

/* Bytes of a block's shared memory: all weights, then teams. A team has a halo and a blob. */
struct team_memory {
    int32_t weights, halo, team;
};

template <int DEPTH, int WIDTH>
static inline __host__ __device__ struct team_memory team_memory(const struct conv_job &job)
{
    struct team_memory memory;

    memory.weights = STEPS * shape<DEPTH, WIDTH>::image;
    memory.halo = job.capacity * DEPTH * 2;
    memory.team = memory.halo + ((int32_t)job.conv.blobs.stride + 127) / 128 * 128;
    return memory;
}

/* Where a thread is, and where its team has what. */
struct self {
    int team, thread, lane; /* thread: in its team */
    uint32_t halo;
    uint8_t *blob;
    uint32_t blob_there; /* barrier */
    uint32_t bytes;      /* from one team's memory to the next one's */
    int row; /* of a tile: the thread's first; others are 8, 16 and 24 behind it */
};

static __device__ __forceinline__ void team_sync(const struct self &self)
{
    asm volatile("bar.sync %0, %1;" ::"r"(self.team + 1), "n"(TEAM) : "memory");
}

/* ---- crews ---- */

/* The 1 << shift teams that share a tile, the `slot`th of their block's, and this one's place.
 * Teams of an odd rank have the second half of each warp's rows. */
struct crew {
    int shift, rank, slot;
};

/* As many teams for each of a block's tiles as there are, up to four. */
template <int TEAMS>
static __device__ __forceinline__ struct crew find_crew(int team, int tiles)
{
    int block = blockIdx.x, blocks = gridDim.x;
    int shift = (tiles <= block + TEAMS / 2 * blocks) + (tiles <= block + TEAMS / 4 * blocks);

    return {shift, team & ((1 << shift) - 1), team >> shift};
}

/* As a member of a crew: its tile's blob is where the team of its slot's number ordered it. */
static __device__ __forceinline__ struct self join(struct self self, const struct crew &crew)
{
    int ahead = self.team - crew.slot;

    self.blob -= ahead * self.bytes;
    self.blob_there -= ahead * 8;
    self.row += crew.rank % 2 * 16;
    return self;
}

/* Groups of steps that are a team's, from `first` to before `end`. */
struct share {
    int first, end;
};

static __device__ __forceinline__ struct share share_of(const struct crew &crew)
{
    if (crew.shift < 2)
        return {0, GROUPS};
    return crew.rank < 2 ? share{0, GROUPS / 2} : share{GROUPS / 2, GROUPS};
}

static __device__ __forceinline__ uint32_t steps_of(const struct share &share)
{
    return below(share.end * RUN) & ~below(share.first * RUN);
}

static __device__ __forceinline__ void crew_sync(const struct self &self, const struct crew &crew)
{
    asm volatile("bar.sync %0, %1;" ::"r"(self.team - crew.rank + CREW_BARRIER),
                 "r"(TEAM << crew.shift)
                 : "memory");
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

/* ---- copies into the halo ---- */

/* Starts the copy of channels unit * 8 ... of input row `row`. */
template <int DEPTH>
static __device__ __forceinline__ void copy_to_row(const struct conv_job &job,
                                                   const struct self &self, int slot, int unit,
                                                   uint32_t row)
{
    bool valid = unit * 8 < job.conv.in_stride;
    const uint8_t *in = (const uint8_t *)job.conv.in + (valid ? unit * 16 : 0);

    copy16(self.halo + slot * (DEPTH * 2) + unit * 16,
           in + (uint64_t)row * (uint32_t)(job.conv.in_stride * 2), valid);
}

/* Starts a crew's copies of a whole halo. A thread copies the same unit of every row it takes. */
template <int DEPTH>
static __device__ __forceinline__ void copy_rows(const struct conv_job &job,
                                                 const struct self &self, const struct crew &crew,
                                                 const struct tile &tile)
{
    constexpr int units = DEPTH / 8, batch = 8;
    const int32_t *rows = halo_rows(job, tile);
    int together = TEAM / units << crew.shift, thread = crew.rank * TEAM + self.thread;

#pragma unroll 1
    for (int first = thread / units; first < tile.halo; first += batch * together) {
        int32_t from[batch]; /* looked up at once */

#pragma unroll
        for (int i = 0; i < batch; i++)
            from[i] = rows[min(first + i * together, tile.halo - 1)];
#pragma unroll
        for (int i = 0; i < batch; i++)
            if (first + i * together < tile.halo)
                copy_to_row<DEPTH>(job, self, first + i * together, self.thread % units, from[i]);
    }
}

/* Where a row of a pass is, which is copied for one output row and step alone. */
static __device__ __forceinline__ int pass_slot(uint32_t part, int step, int row)
{
    return __popc(part & below(step)) * TILE_ROWS + row;
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

        for (int unit = 0; unit < DEPTH / 8 && (entry.present >> m & 1); unit++)
            copy_to_row<DEPTH>(job, self, pass_slot(part, step, self.thread), unit,
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

#endif
