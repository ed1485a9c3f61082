/* SPDX-License-Identifier: MIT */
/* The tiles of a team, or of several, in the fast convolution of few channels on Hopper: their
 * halos, products, and what becomes of the sums. */
#ifndef SPC_CUDA_CONV_TEAM_TILES_CUH
#define SPC_CUDA_CONV_TEAM_TILES_CUH

#include "cuda/conv_team_products.cuh"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

/* Where the weights are. */
struct weights {
    uint64_t columns;  /* describes those of step 0 */
    uint32_t barriers; /* of chunks */
};

/* Which tile. */
struct place {
    int tile, rows; /* rows: that there are in all */
};

static __device__ __forceinline__ int sum_row(const struct self &self, const struct place &place,
                                              int matrix)
{
    return place.tile * TILE_ROWS + self.row + matrix * 16;
}

/* Adds the residual to a crew's sums, each by the team that finishes it; while the halo comes. */
template <int WIDTH, int group>
static __device__ __forceinline__ void begin_crew(sums<WIDTH, 1> &acc, const struct conv_job &job,
                                                  const struct self &self,
                                                  const struct crew &crew,
                                                  const struct place &place)
{
    int row = sum_row(self, place, 0);

    if (crew.rank < 2)
        add_row<WIDTH / 8, group, 0>(job.conv, acc[0], row, place.rows, 0, self.lane);
    if (crew.shift < 2 || crew.rank >= 2)
        add_row<WIDTH / 8, group, 1>(job.conv, acc[0], row + 8, place.rows, 0, self.lane);
}

/* One tile, all passes over the steps of this team; one pass where no step is active. A crew has
 * one halo, its first team's, or each of its teams copies for itself. */
template <int DEPTH, int WIDTH, int MATRICES>
static __device__ __forceinline__ void
sum_team_tile(sums<WIDTH, MATRICES> &acc, const struct conv_job &job, struct self self,
              const struct crew &crew, const struct place &place, const struct weights &weights)
{
    struct share share = share_of(crew);
    struct tile tile = open_tile<DEPTH, WIDTH>(job, self.blob, steps_of(share));
    struct multiply<DEPTH, WIDTH, MATRICES> multiply = {self, tile, weights.columns,
                                                        weights.barriers};
    uint32_t left = tile.active;
    bool first = true;

    if (tile.direct)
        self.halo -= crew.rank * self.bytes;
    settle();
#pragma unroll 1
    do {
        uint32_t part = tile.direct ? left : lowest(left, job.capacity / TILE_ROWS);

        if (!first)
            team_sync(self); /* nobody reads what the pass before left */
        if (tile.direct)
            copy_rows<DEPTH>(job, self, crew, tile);
        else
            copy_steps<DEPTH>(job, self, tile, part);
        copy_commit();
        if constexpr (MATRICES == 1)
            if (first)
                begin_crew<WIDTH, shape<DEPTH, WIDTH>::group>(acc, job, self, crew, place);
        copy_wait<0>();
        if (tile.direct)
            crew_sync(self, crew);
        else
            team_sync(self);
        if (tile.direct && part)
            multiply.columns(acc, share);
        else
            multiply.steps(acc, part);
        left &= ~part;
        first = false;
    } while (left);
}

/* The tile of a team alone. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void sum_alone(sums<WIDTH, 2> &acc, const struct conv_job &job,
                                                 const struct self &self, const struct place &place,
                                                 const struct weights &weights)
{
    constexpr int group = shape<DEPTH, WIDTH>::group;

#pragma unroll
    for (int m = 0; m < 2; m++)
        begin_bias<WIDTH / 8, group>(job.conv, acc[m], 0, self.lane);
    sum_team_tile<DEPTH, WIDTH, 2>(acc, job, self, {0, 0, self.team}, place, weights);
}

/* The residual comes no earlier: at first everybody waits for halos, which it would delay. */
template <int WIDTH, int group>
static __device__ __forceinline__ void finish_alone(sums<WIDTH, 2> &acc,
                                                    const struct conv_job &job,
                                                    const struct self &self,
                                                    const struct place &place)
{
#pragma unroll
    for (int m = 0; m < 2; m++)
        add_residual<WIDTH / 8, group>(job.conv, acc[m], sum_row(self, place, m), place.rows, 0,
                                       self.lane);
#pragma unroll
    for (int m = 0; m < 2; m++)
        finish_sums<WIDTH / 8, group>(job.conv, acc[m], sum_row(self, place, m), place.rows, 0,
                                      self.lane);
}

/* Two teams have sums of the same rows, from different steps. Each gives the other one's row of a
 * thread's two away, and goes on with its own as the first. */
template <int WIDTH>
static __device__ __forceinline__ void exchange(sums<WIDTH, 1> &acc, const struct self &self,
                                                const struct crew &crew)
{
    bool second = crew.rank >= 2;
    uint32_t own = self.halo + self.thread * 16;
    uint32_t other = own + (second ? -2 : 2) * (int)self.bytes;

#pragma unroll
    for (int j = 0; j < WIDTH / 8; j++) {
        float(&a)[4] = acc[0][j];
        float2 kept = second ? make_float2(a[2], a[3]) : make_float2(a[0], a[1]);

        a[2] = second ? a[0] : a[2];
        a[3] = second ? a[1] : a[3];
        a[0] = kept.x;
        a[1] = kept.y;
    }
    crew_sync(self, crew); /* nobody reads a halo */
#pragma unroll
    for (int j = 0; j < WIDTH / 8; j += 2)
        store_shared(own + j / 2 * TEAM * 16,
                     {acc[0][j][2], acc[0][j][3], acc[0][j + 1][2], acc[0][j + 1][3]});
    crew_sync(self, crew);
#pragma unroll
    for (int j = 0; j < WIDTH / 8; j += 2) {
        float add[4];

        load_shared(add, other + j / 2 * TEAM * 16);
        acc[0][j][0] += add[0];
        acc[0][j][1] += add[1];
        acc[0][j + 1][0] += add[2];
        acc[0][j + 1][1] += add[3];
    }
}

/* The tile of a crew. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void crew_tile(const struct conv_job &job,
                                                 const struct self &self, const struct crew &crew,
                                                 const struct place &place,
                                                 const struct weights &weights)
{
    constexpr int group = shape<DEPTH, WIDTH>::group;
    int row = sum_row(self, place, 0), rows = place.rows;
    sums<WIDTH, 1> acc = {};

    if (crew.rank < 2)
        begin_bias<WIDTH / 8, group>(job.conv, acc[0], 0, self.lane);
    sum_team_tile<DEPTH, WIDTH, 1>(acc, job, self, crew, place, weights);
    if (crew.shift == 2) {
        exchange<WIDTH>(acc, self, crew);
        row += crew.rank / 2 * 8;
        rows = min(rows, row + 1);
    }
    finish_sums<WIDTH / 8, group>(job.conv, acc[0], row, rows, 0, self.lane);
}

/* The tiles of a team alone, whose first blob is there. */
template <int DEPTH, int WIDTH, int TEAMS>
static __device__ __forceinline__ void lone_tiles(const struct conv_job &job,
                                                  const struct self &self, int first, int rows,
                                                  const struct weights &weights)
{
    int tiles = (int)spc_cuda_blob_tiles(rows);
    uint32_t parity = 0;

#pragma unroll 1
    for (int i = first; i < tiles; i += gridDim.x * TEAMS) {
        int next = i + gridDim.x * TEAMS;
        struct place place = {i, rows};
        sums<WIDTH, 2> acc;

        if (i != first)
            barrier_wait(self.blob_there, parity ^= 1);
        sum_alone<DEPTH, WIDTH>(acc, job, self, place, weights);
        if (next < tiles) {
            team_sync(self); /* nobody reads blob or halo */
            fetch_blob(job, self, next);
        }
        finish_alone<WIDTH, shape<DEPTH, WIDTH>::group>(acc, job, self, place);
    }
}

/* All tiles of a team. The blob of its first is ordered before the rows are counted: there is
 * memory of blobs for every tile of the bound. */
template <int DEPTH, int WIDTH, int TEAMS>
static __device__ __forceinline__ void team_tiles(const struct conv_job &job, struct self self,
                                                  const struct weights &weights)
{
    int first = blockIdx.x + gridDim.x * self.team, rows, tiles;
    bool ordered = first < (int)spc_cuda_blob_tiles(job.conv.bound);
    struct crew crew;

    if (ordered)
        fetch_blob(job, self, first);
    rows = conv_rows(job.conv);
    tiles = (int)spc_cuda_blob_tiles(rows);
    crew = find_crew<TEAMS>(self.team, tiles);
    if (ordered) /* also where there is no such tile: a copy must not outlive its block */
        barrier_wait(self.blob_there, 0);
    if (!crew.shift) {
        lone_tiles<DEPTH, WIDTH, TEAMS>(job, self, first, rows, weights);
    } else if ((int)(blockIdx.x + gridDim.x * crew.slot) < tiles) {
        self = join(self, crew);
        barrier_wait(self.blob_there, 0);
        crew_tile<DEPTH, WIDTH>(job, self, crew,
                                {(int)(blockIdx.x + gridDim.x * crew.slot), rows}, weights);
    }
    /* A kernel must not end before the one in front of it. */
    wait_for_previous();
}

#endif

#endif
