/* SPDX-License-Identifier: MIT */
/*
 * The fast convolution on Hopper (sm_90a): halo in shared memory, ldmatrix gather into registers,
 * warpgroup matrix instructions.
 *
 * A block is two warpgroups, 64 rows each, and a warp that does nothing but order weights: images
 * of weights come through a ring of stages by bulk copies. Blocks go through tiles with the stride
 * of the grid, because the number of tiles is known on the device only.
 */
#include "cuda/conv_kernels.h"
#include "cuda/conv_tile.cuh"

#include <cuda_runtime.h>

#ifdef SPC_CUDA_SM90A

#include "cuda/hopper.cuh"

#define CONSUMERS 256 /* threads that compute: two warpgroups, 64 rows each */
#define THREADS (CONSUMERS + 32)
#define STAGES 4
#define ALIGNMENT 1024 /* of swizzled images and of the halo */

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

static __device__ __forceinline__ void consumers_sync()
{
    asm volatile("bar.sync 1, %0;" ::"n"(CONSUMERS) : "memory");
}

/* Before anything is read or written but blobs, counts and weights; waits but once. The next kernel
 * may then start: what was before this one has ended, so that the next may read blobs that were
 * made before this one. */
static __device__ __forceinline__ void settle()
{
    wait_for_previous();
    let_next_start();
}

/* Where things are in shared memory. */
struct places {
    uint32_t ring, halo;
    uint16_t *table;
    uint8_t *blob;
    uint32_t barriers; /* of 8 bytes, see below */
};

/* Barriers: a stage's weights are there, or have been read; the same of the blob. */
#define FULL 0
#define EMPTY STAGES
#define BLOB_FULL (2 * STAGES)
#define BLOB_EMPTY (2 * STAGES + 1)
#define BARRIERS (2 * STAGES + 2)

static __device__ __forceinline__ uint32_t barrier_at(const struct places &at, int index)
{
    return at.barriers + index * 8;
}

/* The ring as one side sees it: a stage, and the parity of its present round. */
struct turn {
    int stage;
    uint32_t parity;
};

static __device__ __forceinline__ void advance(struct turn &turn)
{
    if (++turn.stage == STAGES) {
        turn.stage = 0;
        turn.parity ^= 1;
    }
}

/* ---- the warp that orders weights and blobs ---- */

/* Orders the images of all active steps of one chunk of input channels. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void order_chunk(const struct conv_job &job, uint32_t active,
                                                   const uint8_t *weights,
                                                   const struct places &at, struct turn &turn)
{
    using form = shape<DEPTH, WIDTH>;
    int zeros = job.conv.blobs.groups * job.conv.blobs.run; /* the image of no step */

    while (active) {
        const uint8_t *from[form::batch_steps];

        for (int i = 0; i < form::batch_steps; i++) {
            int step = active ? __ffs(active) - 1 : zeros;

            from[i] = weights + (int64_t)step * form::slices * form::image;
            active &= active - 1;
        }
        for (int slice = 0; slice < form::slices; slice++) {
            uint32_t full = barrier_at(at, FULL + turn.stage);

            barrier_wait(barrier_at(at, EMPTY + turn.stage), turn.parity ^ 1);
            barrier_expect(full, form::stage);
            for (int i = 0; i < form::batch_steps; i++)
                bulk_copy(at.ring + turn.stage * form::stage + i * form::image,
                          from[i] + slice * form::image, form::image, full);
            advance(turn);
        }
    }
}

template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void order_weights(const struct conv_job &job,
                                                     const struct places &at)
{
    struct turn turn = {0, 0};
    int tiles;
    uint32_t parity = 0;
    int64_t chunk_bytes =
        (int64_t)(job.conv.blobs.groups * job.conv.blobs.run + 1) * DEPTH * WIDTH * 2;

    if (!job.conv.blobs_settled)
        wait_for_previous();
    tiles = (int)spc_cuda_blob_tiles(conv_rows(job.conv));
    for (int i = blockIdx.x; i < tiles; i += gridDim.x) {
        uint32_t active;

        barrier_wait(barrier_at(at, BLOB_EMPTY), parity ^ 1);
        barrier_expect(barrier_at(at, BLOB_FULL), (int)job.conv.blobs.stride);
        bulk_copy(shared_address(at.blob), blob_of(job, i), (int)job.conv.blobs.stride,
                  barrier_at(at, BLOB_FULL));
        barrier_wait(barrier_at(at, BLOB_FULL), parity);
        parity ^= 1;
        active = ((const struct spc_cuda_blob_header *)at.blob)->active;
        for (int chunk = 0; chunk < job.chunks; chunk++)
            order_chunk<DEPTH, WIDTH>(job, active,
                                      (const uint8_t *)job.conv.weights +
                                          (blockIdx.y * job.chunks + chunk) * chunk_bytes,
                                      at, turn);
    }
    /* A kernel must not end before the one in front of it. */
    wait_for_previous();
}

/* ---- the warpgroups that compute ---- */

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
};

/* One tile: all chunks of input channels, all passes; one where no step is active. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void sum_tile(float (&acc)[WIDTH / 8][4],
                                                const struct conv_job &job,
                                                const struct places &at, const struct self &self,
                                                struct turn &turn)
{
    struct tile tile = open_tile<DEPTH, WIDTH>(job, at.blob);
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
        if (!chunk && !first)
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

template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void compute(const struct conv_job &job,
                                               const struct places &at, int thread)
{
    struct turn turn = {0, 0};
    uint32_t parity = 0;
    int rows, tiles;

    if (!job.conv.blobs_settled)
        settle();
    rows = conv_rows(job.conv);
    tiles = (int)spc_cuda_blob_tiles(rows);
#pragma unroll 1
    for (int i = blockIdx.x; i < tiles; i += gridDim.x) {
        int row = i * TILE_ROWS + thread / 32 * 16 + thread % 32 / 4;
        struct self self = {thread, thread % 32, row, rows};
        float acc[WIDTH / 8][4];

        barrier_wait(barrier_at(at, BLOB_FULL), parity);
        parity ^= 1;
        sum_tile<DEPTH, WIDTH>(acc, job, at, self, turn);
        finish_sums<WIDTH / 8, shape<DEPTH, WIDTH>::group>(job.conv, acc, row, rows,
                                                           blockIdx.y * WIDTH, self.lane);
    }
}

#endif

template <int DEPTH, int WIDTH, int BLOCKS>
static __global__ void __launch_bounds__(THREADS, BLOCKS)
    conv_wgmma(const __grid_constant__ struct conv_job job)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ __align__(ALIGNMENT) uint8_t memory[];
    __shared__ uint64_t barriers[BARRIERS];
    constexpr int ring = STAGES * shape<DEPTH, WIDTH>::stage;
    int thread = threadIdx.x;
    uint8_t *table = memory + ring + (job.capacity + ZERO_ROWS) * DEPTH * 2;
    /* The last through a shuffle, or the compiler works it out anew in every loop. */
    struct places at = {shared_address(memory), shared_address(memory) + ring, (uint16_t *)table,
                        table + job.table_steps * TILE_ROWS * 2,
                        __shfl_sync(~0u, shared_address(barriers), 0)};

    if (thread == 0) {
        for (int i = 0; i < STAGES; i++) {
            barrier_init(barrier_at(at, FULL + i), 1);
            barrier_init(barrier_at(at, EMPTY + i), CONSUMERS / 32);
        }
        barrier_init(barrier_at(at, BLOB_FULL), 1);
        barrier_init(barrier_at(at, BLOB_EMPTY), CONSUMERS / 32);
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    clear_zero_rows<DEPTH>(memory + ring, thread);
    __syncthreads();
    if (thread >= CONSUMERS) {
        if (thread == CONSUMERS)
            order_weights<DEPTH, WIDTH>(job, at);
        return;
    }
    compute<DEPTH, WIDTH>(job, at, thread);
#endif
}

/* ---- launching ---- */

template <int DEPTH, int WIDTH, int BLOCKS>
static cudaError_t launch(struct conv_job *job, int processors, cudaStream_t stream)
{
    using form = shape<DEPTH, WIDTH>;
    size_t table = (size_t)job->table_steps * TILE_ROWS * 2;
    size_t fixed = STAGES * form::stage + table + (size_t)job->conv.blobs.stride;
    size_t room = SPC_CUDA_SHARED_SM90 / BLOCKS - SPC_CUDA_SHARED_BLOCK;
    cudaLaunchAttribute early = {};
    cudaLaunchConfig_t config = {};
    cudaError_t code;

    job->capacity = spc_cuda_halo_capacity(job, room - fixed, DEPTH * 2);
    config.dynamicSmemBytes = fixed + (size_t)(job->capacity + ZERO_ROWS) * DEPTH * 2;
    config.gridDim = dim3(spc_cuda_conv_grid(job, processors * BLOCKS), job->blocks);
    config.blockDim = dim3(THREADS);
    config.stream = stream;
    early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    early.val.programmaticStreamSerializationAllowed = 1;
    config.attrs = &early;
    config.numAttrs = 1;
    code = cudaFuncSetAttribute((const void *)conv_wgmma<DEPTH, WIDTH, BLOCKS>,
                                cudaFuncAttributeMaxDynamicSharedMemorySize,
                                (int)config.dynamicSmemBytes);
    return code ? code
                : cudaLaunchKernelEx(&config, conv_wgmma<DEPTH, WIDTH, BLOCKS>,
                                     (const struct conv_job)*job);
}

extern "C" cudaError_t spc_cuda_conv_wgmma(struct conv_job *job, struct spc_cuda_conv_shape shape,
                                           int processors, cudaStream_t stream)
{
    switch (shape.depth * 1000 + shape.width) {
    case 16016:
        return launch<16, 16, 3>(job, processors, stream);
    case 16032:
        return launch<16, 32, 3>(job, processors, stream);
    case 32032:
        return launch<32, 32, 3>(job, processors, stream);
    case 32064:
        return launch<32, 64, 2>(job, processors, stream);
    case 64064:
        return launch<64, 64, 2>(job, processors, stream);
    case 64128:
        return launch<64, 128, 1>(job, processors, stream);
    case 128128:
        return launch<128, 128, 1>(job, processors, stream);
    }
    return cudaErrorNotSupported;
}

#else

extern "C" cudaError_t spc_cuda_conv_wgmma(struct conv_job *job, struct spc_cuda_conv_shape shape,
                                           int processors, cudaStream_t stream)
{
    (void)job, (void)shape, (void)processors, (void)stream;
    return cudaErrorNotSupported;
}

#endif
