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

#define GROUP_ROWS 64 /* rows of a warpgroup */
#define CONSUMERS 256 /* threads that compute */
#define THREADS (CONSUMERS + 32)
#define STAGES 4
#define ALIGNMENT 1024 /* of swizzled images and of the halo */

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

static __device__ __forceinline__ void consumers_sync()
{
    asm volatile("bar.sync 1, %0;" ::"n"(CONSUMERS) : "memory");
}

/* Waits once a block. The next kernel may then start: what was before this one has ended, so that
 * the next may read blobs that were made before this one. */
static __device__ __forceinline__ void settle(bool &settled)
{
    if (settled)
        return;
    wait_for_previous();
    let_next_start();
    settled = true;
}

/* Where things are in shared memory. */
struct places {
    uint32_t ring, halo;
    uint16_t *table;
    uint32_t full, empty; /* [STAGES] barriers of 8 bytes */
};

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

/* ---- the warp that orders weights ---- */

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
            uint32_t full = at.full + turn.stage * 8;

            barrier_wait(at.empty + turn.stage * 8, turn.parity ^ 1);
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
    int pieces;
    int64_t chunk_bytes =
        (int64_t)(job.conv.blobs.groups * job.conv.blobs.run + 1) * DEPTH * WIDTH * 2;

    if (!job.conv.blobs_settled)
        wait_for_previous();
    pieces = conv_pieces(job);
    for (int i = blockIdx.x; i < pieces; i += gridDim.x) {
        struct tile tile = open_tile<DEPTH, WIDTH>(job, i / job.blocks);

        for (int chunk = 0; chunk < job.chunks; chunk++)
            order_chunk<DEPTH, WIDTH>(job, tile.active,
                                      (const uint8_t *)job.conv.weights +
                                          (i % job.blocks * job.chunks + chunk) * chunk_bytes,
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

/* Waits for a batch's weights and starts its products. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void start_batch(float (&acc)[WIDTH / 8][4],
                                                   const uint32_t (&rows)[BATCH_K16][4],
                                                   const struct places &at,
                                                   const struct turn &turn)
{
    using form = shape<DEPTH, WIDTH>;
    constexpr int k16s = form::slice / 16;

    barrier_wait(at.full + turn.stage * 8, turn.parity);
    wgmma_fence();
#pragma unroll
    for (int e = 0; e < BATCH_K16; e++)
        wgmma(acc, rows[e],
              wgmma_columns<form::slice>(at.ring + turn.stage * form::stage +
                                         e / k16s * form::image) +
                  e % k16s * 2);
    wgmma_commit();
}

/* Waits for a batch's products and gives its stage back. */
static __device__ __forceinline__ void end_batch(const struct places &at, int lane,
                                                 struct turn &turn)
{
    wgmma_wait();
    if (lane == 0)
        barrier_arrive(at.empty + turn.stage * 8);
    advance(turn);
}

/* Adds the products of `steps` steps, whose table and rows are in shared memory. In wide blocks the
 * rows of the next batch are loaded while the tensor cores work on one; where many blocks share a
 * multiprocessor, registers are worth more. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void multiply_pass(float (&acc)[WIDTH / 8][4],
                                                     const struct places &at,
                                                     const uint16_t *row, int lane, int steps,
                                                     struct turn &turn)
{
    using form = shape<DEPTH, WIDTH>;
    int batches = (steps + form::batch_steps - 1) / form::batch_steps * form::slices;
    uint32_t even[BATCH_K16][4], odd[BATCH_K16][4];

    if (WIDTH < 64) {
#pragma unroll 1
        for (int batch = 0; batch < batches; batch++) {
            load_batch<DEPTH, WIDTH>(even, row, at.halo, lane, batch);
            start_batch<DEPTH, WIDTH>(acc, even, at, turn);
            end_batch(at, lane, turn);
        }
        return;
    }
    load_batch<DEPTH, WIDTH>(even, row, at.halo, lane, 0);
#pragma unroll 1
    for (int batch = 0; batch < batches; batch += 2) {
        start_batch<DEPTH, WIDTH>(acc, even, at, turn);
        load_batch<DEPTH, WIDTH>(odd, row, at.halo, lane, min(batch + 1, batches - 1));
        end_batch(at, lane, turn);
        if (batch + 1 == batches)
            break;
        start_batch<DEPTH, WIDTH>(acc, odd, at, turn);
        load_batch<DEPTH, WIDTH>(even, row, at.halo, lane, min(batch + 2, batches - 1));
        end_batch(at, lane, turn);
    }
}

/* One tile: all chunks of input channels, all passes. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void sum_tile(float (&acc)[WIDTH / 8][4],
                                                const struct conv_job &job,
                                                const struct tile &tile, const struct places &at,
                                                int thread, int lane, bool &settled,
                                                struct turn &turn)
{
    int row = thread / 32 * 16 + lane % 16;

#pragma unroll 1
    for (int chunk = 0; chunk < job.chunks; chunk++)
#pragma unroll 1
        for (int first = 0; first < tile.steps; first += tile.pass_steps) {
            int steps = min(tile.pass_steps, tile.steps - first);

            if (!tile.direct)
                settle(settled);
            consumers_sync(); /* nobody reads what the pass before left */
            fill_table<DEPTH, WIDTH, CONSUMERS>(job, tile, at.table, at.halo, first, steps,
                                                chunk * DEPTH, thread);
            settle(settled);
            if (tile.direct)
                copy_halo<DEPTH, WIDTH, CONSUMERS>(job, tile, at.halo, chunk * DEPTH, thread);
            copy_commit();
            copy_wait<0>();
            consumers_sync();
            multiply_pass<DEPTH, WIDTH>(acc, at, at.table + row, lane, steps, turn);
        }
}

template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void finish_tile(const float (&acc)[WIDTH / 8][4],
                                                   const struct conv_job &job, int piece,
                                                   int thread, int lane)
{
    constexpr int tiles = WIDTH / 8, group = shape<DEPTH, WIDTH>::group;
    int row = piece / job.blocks * TILE_ROWS + thread / 32 * 16 + lane / 4;
    int first_channel = piece % job.blocks * WIDTH, rows = conv_rows(job.conv);

    if (row < rows)
        finish_row<tiles, group, 0>(job.conv, acc, row, first_channel, lane);
    if (row + 8 < rows)
        finish_row<tiles, group, 1>(job.conv, acc, row + 8, first_channel, lane);
}

template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void compute(const struct conv_job &job,
                                               const struct places &at, int thread)
{
    int lane = thread % 32;
    bool settled = false;
    struct turn turn = {0, 0};
    int pieces;

    if (!job.conv.blobs_settled)
        settle(settled);
    pieces = conv_pieces(job);
#pragma unroll 1
    for (int i = blockIdx.x; i < pieces; i += gridDim.x) {
        struct tile tile = open_tile<DEPTH, WIDTH>(job, i / job.blocks);
        float acc[WIDTH / 8][4];

#pragma unroll
        for (int j = 0; j < WIDTH / 8; j++)
            acc[j][0] = acc[j][1] = acc[j][2] = acc[j][3] = 0.0f;
        sum_tile<DEPTH, WIDTH>(acc, job, tile, at, thread, lane, settled, turn);
        settle(settled); /* also where no step is active */
        finish_tile<DEPTH, WIDTH>(acc, job, i, thread, lane);
    }
}

#endif

template <int DEPTH, int WIDTH, int BLOCKS>
static __global__ void __launch_bounds__(THREADS, BLOCKS)
    conv_wgmma(const __grid_constant__ struct conv_job job)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ __align__(ALIGNMENT) uint8_t memory[];
    __shared__ uint64_t full[STAGES], empty[STAGES];
    constexpr int ring = STAGES * shape<DEPTH, WIDTH>::stage;
    int thread = threadIdx.x;
    struct places at = {shared_address(memory), shared_address(memory) + ring,
                        (uint16_t *)(memory + ring + (job.capacity + ZERO_ROWS) * DEPTH * 2),
                        shared_address(full), shared_address(empty)};

    if (thread == 0) {
        for (int i = 0; i < STAGES; i++) {
            barrier_init(at.full + i * 8, 1);
            barrier_init(at.empty + i * 8, CONSUMERS / 32);
        }
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
    size_t fixed = STAGES * form::stage + table;
    size_t room = SPC_CUDA_SHARED_SM90 / BLOCKS - SPC_CUDA_SHARED_BLOCK;
    cudaLaunchAttribute early = {};
    cudaLaunchConfig_t config = {};
    cudaError_t code;

    job->capacity = spc_cuda_halo_capacity(job, room - fixed, DEPTH * 2);
    config.dynamicSmemBytes = fixed + (size_t)(job->capacity + ZERO_ROWS) * DEPTH * 2;
    config.gridDim = dim3(spc_cuda_conv_grid(job, processors * BLOCKS));
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
        return launch<16, 16, 4>(job, processors, stream);
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
