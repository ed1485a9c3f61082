/* SPDX-License-Identifier: MIT */
/* The warpgroups of the fast convolution on Hopper: rows from the halo into registers, products
 * with the ring's weights, and the sums of a tile. */
#ifndef SPC_CUDA_CONV_WGMMA_PRODUCTS_CUH
#define SPC_CUDA_CONV_WGMMA_PRODUCTS_CUH

#include "cuda/conv_sums.cuh"
#include "cuda/conv_wgmma.cuh"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

/* The k16 fragments of 16 rows a warp, of one batch. `row` points into the table. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void load_batch(uint32_t (&rows)[BATCH_K16][4],
                                                  const uint16_t *row, uint32_t halo, int lane,
                                                  int batch)
{
    constexpr int k16s = shape<DEPTH, WIDTH>::k16s;
    uint32_t address = 0;

#pragma unroll
    for (int e = 0; e < BATCH_K16; e++) {
        int k16 = k16s <= BATCH_K16 ? e % k16s : batch % (k16s / BATCH_K16) * BATCH_K16 + e;

        if (e % k16s == 0) {
            int step = k16s <= BATCH_K16 ? batch * (BATCH_K16 / k16s) + e / k16s
                                         : batch / (k16s / BATCH_K16);

            address = halo + row[step * TILE_ROWS] * 16 ^ (lane & 16);
        }
        load_matrices(rows[e], address ^ k16 << 5);
    }
}

/* Waits for a batch's weights and starts its products; goes on to the next stage. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void start_batch(float (&acc)[WIDTH / 8][4],
                                                   const uint32_t (&rows)[BATCH_K16][4],
                                                   const struct places &at, struct turn &turn)
{
    using form = shape<DEPTH, WIDTH>;
    constexpr int k16s = form::slice / 16;

    barrier_wait(barrier_at(at, FULL + turn.stage), turn.parity);
    wgmma_fence();
#pragma unroll
    for (int e = 0; e < BATCH_K16; e++)
        wgmma(acc, rows[e],
              wgmma_columns<form::slice>(at.ring + turn.stage * form::stage +
                                         e / k16s * form::image) +
                  e % k16s * 2);
    wgmma_commit();
    advance(turn);
}

/* Gives the stage of the batch that has ended back. */
static __device__ __forceinline__ void release(const struct places &at, int lane, int &stage)
{
    if (lane == 0)
        barrier_arrive(barrier_at(at, EMPTY + stage));
    stage = stage + 1 == STAGES ? 0 : stage + 1;
}

/* Adds the products of batches whose table and rows are in shared memory, one after the other:
 * for narrow blocks, many of which share a multiprocessor. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void multiply_in_turn(float (&acc)[WIDTH / 8][4],
                                                        const struct places &at,
                                                        const uint16_t *row, int lane,
                                                        int batches, struct turn &turn)
{
    uint32_t rows[BATCH_K16][4];

#pragma unroll 1
    for (int batch = 0; batch < batches; batch++) {
        int stage = turn.stage;

        load_batch<DEPTH, WIDTH>(rows, row, at.halo, lane, batch);
        start_batch<DEPTH, WIDTH>(acc, rows, at, turn);
        wgmma_wait<0>();
        release(at, lane, stage);
    }
}

/* The same for wide blocks: a batch starts before the one in front of it has ended, and the rows of
 * the next are loaded meanwhile. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void multiply_ahead(float (&acc)[WIDTH / 8][4],
                                                      const struct places &at,
                                                      const uint16_t *row, int lane, int batches,
                                                      struct turn &turn)
{
    uint32_t even[BATCH_K16][4], odd[BATCH_K16][4];
    int stage = turn.stage, last = batches - 1;

    load_batch<DEPTH, WIDTH>(even, row, at.halo, lane, 0);
    start_batch<DEPTH, WIDTH>(acc, even, at, turn);
    load_batch<DEPTH, WIDTH>(odd, row, at.halo, lane, min(1, last));
#pragma unroll 1
    for (int batch = 1; batch < batches; batch += 2) {
        start_batch<DEPTH, WIDTH>(acc, odd, at, turn);
        wgmma_wait<1>();
        release(at, lane, stage);
        load_batch<DEPTH, WIDTH>(even, row, at.halo, lane, min(batch + 1, last));
        if (batch == last)
            break;
        start_batch<DEPTH, WIDTH>(acc, even, at, turn);
        wgmma_wait<1>();
        release(at, lane, stage);
        load_batch<DEPTH, WIDTH>(odd, row, at.halo, lane, min(batch + 2, last));
    }
    wgmma_wait<0>();
    release(at, lane, stage);
}

template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void multiply_pass(float (&acc)[WIDTH / 8][4],
                                                     const struct places &at,
                                                     const uint16_t *row, int lane, int steps,
                                                     struct turn &turn)
{
    using form = shape<DEPTH, WIDTH>;
    int batches = (steps + form::batch_steps - 1) / form::batch_steps * form::slices;

    if (!batches)
        return;
    if constexpr (WIDTH < 64)
        multiply_in_turn<DEPTH, WIDTH>(acc, at, row, lane, batches, turn);
    else
        multiply_ahead<DEPTH, WIDTH>(acc, at, row, lane, batches, turn);
}

/* A thread's place in its block, and the rows of its sums in the tile. */
struct self {
    int thread, lane;
    int row, rows; /* first of its sums, and all that there are */
    bool alone;    /* no other block adds to these sums */
};

/* One tile: all chunks of input channels, all passes; one where no step is active. Sums of a block
 * alone begin here. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void sum_tile(float (&acc)[WIDTH / 8][4],
                                                const struct conv_job &job,
                                                const struct tile &tile, const struct places &at,
                                                const struct self &self, struct turn &turn)
{
    const uint16_t *row = at.table + self.thread / 32 * 16 + self.lane % 16;
    int chunk = 0, first = 0;

#pragma unroll 1
    while (chunk < job.chunks) {
        int steps = min(tile.pass_steps, tile.steps - first);
        struct pass pass = {first, steps, chunk * DEPTH, at.halo, at.table};

        consumers_sync(); /* nobody reads what the pass before left */
        if (!tile.direct)
            settle();
        fill_table<DEPTH, WIDTH, CONSUMERS>(job, tile, pass, self.thread);
        settle();
        if (tile.direct)
            copy_halo<DEPTH, WIDTH, CONSUMERS>(job, tile, pass, self.thread);
        copy_commit();
        if (!chunk && !first && self.alone)
            begin_sums<WIDTH / 8, shape<DEPTH, WIDTH>::group>(
                job.conv, acc, self.row, self.rows, blockIdx.y * WIDTH, self.lane);
        first += steps;
        if (first >= tile.steps) {
            first = 0;
            chunk++;
        }
        if (self.lane == 0 && chunk == job.chunks)
            barrier_arrive(barrier_at(at, BLOB_EMPTY));
        copy_wait<0>();
        consumers_sync();
        multiply_pass<DEPTH, WIDTH>(acc, at, row, self.lane, steps, turn);
    }
}

/* One tile by one block. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void compute_tile(const struct conv_job &job,
                                                    const struct places &at,
                                                    const struct self &self, struct turn &turn)
{
    float acc[WIDTH / 8][4];
    int row = self.row, lane = self.lane;

    sum_tile<DEPTH, WIDTH>(acc, job, open_tile<DEPTH, WIDTH>(job, at.blob), at, self, turn);
    /* What was worked out of it in front of the products is not kept in registers meanwhile. */
    asm volatile("" : "+r"(row), "+r"(lane));
    finish_sums<WIDTH / 8, shape<DEPTH, WIDTH>::group>(job.conv, acc, row, self.rows,
                                                       blockIdx.y * WIDTH, lane);
}

#endif

#endif
