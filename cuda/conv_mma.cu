/* SPDX-License-Identifier: MIT */
/*
 * The fast convolution on every GPU from sm_80 on: halo in shared memory, ldmatrix gather,
 * mma.sync.
 *
 * Eight warps compute 128 rows: each 16 rows by the whole width, or 32 rows by half of it, so that
 * a warp's sums fit its registers. All threads copy weights into a ring, batch by batch.
 */
#include "cuda/conv_kernels.h"
#include "cuda/conv_sums.cuh"
#include "cuda/conv_tile.cuh"
#include "cuda/launch.cuh"

#include <cuda_runtime.h>

#define THREADS 256
#define STAGES SPC_CUDA_MMA_STAGES
#define ALIGNMENT 256 /* of the halo: a row's units are found by exclusive or */
#define MATRIX_ROWS 16 /* rows and depth of one product */

/* What a warp computes of a tile. */
template <int WIDTH> struct part {
    static constexpr int halves = WIDTH >= 64 ? 2 : 1; /* warps side by side */
    static constexpr int columns = WIDTH / halves;
    static constexpr int matrices = halves; /* of 16 rows */
    static constexpr int tiles = columns / 8;
};

static __device__ __forceinline__ void multiply(float (&sums)[4], const uint32_t (&rows)[4],
                                                uint32_t low, uint32_t high)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                 : "r"(rows[0]), "r"(rows[1]), "r"(rows[2]), "r"(rows[3]), "r"(low), "r"(high));
}

/* Where things are in shared memory. */
struct places {
    uint32_t ring, halo;
    uint16_t *table;
    uint8_t *blob;
    uint8_t *steps; /* the pass's active steps, then steps of zeros up to a whole batch */
};

/* Writes down the active steps first .. first + count, and steps of zeros behind them. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void list_steps(const struct conv_job &job,
                                                  const struct tile &tile,
                                                  const struct places &at, int first, int count)
{
    constexpr int together = shape<DEPTH, WIDTH>::batch_steps;
    int thread = threadIdx.x, place;

    if (thread >= 32)
        return;
    place = __popc(tile.active & below(thread)) - first;
    if (thread < together)
        at.steps[count + thread] = (uint8_t)(job.conv.blobs.groups * job.conv.blobs.run);
    __syncwarp();
    if ((tile.active >> thread & 1) && place >= 0 && place < count)
        at.steps[place] = (uint8_t)thread;
}

/* Starts the copy of a batch's weights, where there is such a batch. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void copy_weights(const uint8_t *weights, int step_images,
                                                    const struct places &at, int batch,
                                                    int batches)
{
    using form = shape<DEPTH, WIDTH>;
    uint32_t stage = at.ring + batch % STAGES * form::stage;

    for (int i = threadIdx.x; i < form::stage / 16 && batch < batches; i += THREADS) {
        int image = i / (form::image / 16);
        int step = at.steps[batch / form::slices * form::batch_steps + image];
        const uint8_t *from =
            weights + (int64_t)(step * step_images + batch % form::slices) * form::image;

        copy16(stage + i * 16, from + i % (form::image / 16) * 16, true);
    }
    copy_commit();
}

/* The products of one k16 of a batch. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void
multiply_k16(float (&acc)[part<WIDTH>::matrices][part<WIDTH>::tiles][4],
             const uint32_t (&rows)[part<WIDTH>::matrices][4], uint32_t image, int k16,
             int first_column, int lane)
{
    constexpr int slice = shape<DEPTH, WIDTH>::slice;

#pragma unroll
    for (int tile = 0; tile < part<WIDTH>::tiles; tile += 2) {
        int column = first_column + tile * 8 + lane / 16 * 8 + lane % 8;
        int unit = k16 * 2 + lane / 8 % 2;
        uint32_t columns[4];

        load_matrices(columns, image + column * (slice * 2) +
                                   ((unit ^ swizzle<slice>(column)) << 4));
#pragma unroll
        for (int m = 0; m < part<WIDTH>::matrices; m++) {
            multiply(acc[m][tile], rows[m], columns[0], columns[1]);
            multiply(acc[m][tile + 1], rows[m], columns[2], columns[3]);
        }
    }
}

template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void
multiply_batch(float (&acc)[part<WIDTH>::matrices][part<WIDTH>::tiles][4],
               const struct places &at, int batch, int first_row, int first_column, int lane)
{
    using form = shape<DEPTH, WIDTH>;
    constexpr int slice_k16s = form::slice / 16;
    uint32_t stage = at.ring + batch % STAGES * form::stage;

#pragma unroll
    for (int e = 0; e < BATCH_K16; e++) {
        int step = batch / form::slices * form::batch_steps + e / slice_k16s;
        int k16 = batch % form::slices * slice_k16s + e % slice_k16s;
        uint32_t rows[part<WIDTH>::matrices][4];

#pragma unroll
        for (int m = 0; m < part<WIDTH>::matrices; m++) {
            int row = first_row + m * MATRIX_ROWS + lane % 16;
            uint32_t address = at.halo + at.table[step * TILE_ROWS + row] * 16;

            load_matrices(rows[m], address ^ (lane & 16) ^ k16 << 5);
        }
        multiply_k16<DEPTH, WIDTH>(acc, rows, stage + e / slice_k16s * form::image,
                                   e % slice_k16s, first_column, lane);
    }
}

/* Adds the products of the active steps first .. first + count of one chunk. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void
sum_pass(float (&acc)[part<WIDTH>::matrices][part<WIDTH>::tiles][4], const struct conv_job &job,
         const struct tile &tile, const struct places &at, const uint8_t *weights, int first,
         int count, int first_channel)
{
    using form = shape<DEPTH, WIDTH>;
    int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    int batches = (count + form::batch_steps - 1) / form::batch_steps * form::slices;
    int first_row = warp / part<WIDTH>::halves * part<WIDTH>::matrices * MATRIX_ROWS;
    struct pass pass = {first, count, first_channel, at.halo, at.table};
    int first_column = warp % part<WIDTH>::halves * part<WIDTH>::columns;

    __syncthreads(); /* nobody reads what the pass before left */
    list_steps<DEPTH, WIDTH>(job, tile, at, first, count);
    if (tile.direct)
        copy_halo<DEPTH, WIDTH, THREADS>(job, tile, pass, thread);
    fill_table<DEPTH, WIDTH, THREADS>(job, tile, pass, thread);
    copy_commit();
    __syncthreads();
    for (int batch = 0; batch < STAGES - 1; batch++)
        copy_weights<DEPTH, WIDTH>(weights, job.step_images, at, batch, batches);
#pragma unroll 1
    for (int batch = 0; batch < batches; batch++) {
        copy_wait<STAGES - 2>();
        __syncthreads();
        copy_weights<DEPTH, WIDTH>(weights, job.step_images, at, batch + STAGES - 1, batches);
        multiply_batch<DEPTH, WIDTH>(acc, at, batch, first_row, first_column, lane);
    }
}

/* First output channel of this warp. */
template <int WIDTH> static __device__ __forceinline__ int first_channel()
{
    return blockIdx.y * WIDTH +
           threadIdx.x / 32 % part<WIDTH>::halves * part<WIDTH>::columns;
}

/* First row of this thread's sums of matrix m. */
template <int WIDTH> static __device__ __forceinline__ int first_row(int index, int m)
{
    int warp = threadIdx.x / 32 / part<WIDTH>::halves;

    return index * TILE_ROWS + (warp * part<WIDTH>::matrices + m) * MATRIX_ROWS +
           threadIdx.x % 32 / 4;
}

template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void
finish_tile(const float (&acc)[part<WIDTH>::matrices][part<WIDTH>::tiles][4],
            const struct conv_job &job, int index, int rows)
{
    constexpr int tiles = part<WIDTH>::tiles, group = shape<DEPTH, WIDTH>::group;

#pragma unroll
    for (int m = 0; m < part<WIDTH>::matrices; m++)
        finish_sums<tiles, group>(job.conv, acc[m], first_row<WIDTH>(index, m), rows,
                                  first_channel<WIDTH>(), threadIdx.x % 32);
}

/* The first image of a chunk; packed chunks may be of several. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ const uint8_t *chunk_weights(const struct conv_job &job,
                                                               int chunk)
{
    using form = shape<DEPTH, WIDTH>;
    int together = job.step_images / form::slices, index = blockIdx.y * job.chunks + chunk;
    int64_t images = (job.conv.blobs.groups * job.conv.blobs.run + 1) * job.step_images;

    return (const uint8_t *)job.conv.weights +
           (index / together * images + index % together * form::slices) * form::image;
}

/* The tile's blob, whole. */
static __device__ __forceinline__ void fetch_blob(const struct conv_job &job,
                                                  const struct places &at, int index)
{
    const uint8_t *from = blob_of(job, index);

    __syncthreads(); /* nobody reads the blob before */
    for (int i = threadIdx.x * 16; i < job.conv.blobs.stride; i += THREADS * 16)
        copy16(shared_address(at.blob) + i, from + i, true);
    copy_commit();
    copy_wait<0>();
    __syncthreads();
}

template <int DEPTH, int WIDTH>
static __device__ __forceinline__ void one_tile(const struct conv_job &job,
                                                const struct places &at, int index, int rows)
{
    struct tile tile = open_tile<DEPTH, WIDTH>(job, at.blob);
    float acc[part<WIDTH>::matrices][part<WIDTH>::tiles][4];

#pragma unroll
    for (int m = 0; m < part<WIDTH>::matrices; m++)
        begin_sums<part<WIDTH>::tiles, shape<DEPTH, WIDTH>::group>(
            job.conv, acc[m], first_row<WIDTH>(index, m), rows, first_channel<WIDTH>(),
            threadIdx.x % 32);
#pragma unroll 1
    for (int chunk = 0; chunk < job.chunks; chunk++)
#pragma unroll 1
        for (int first = 0; first < tile.steps; first += tile.pass_steps)
            sum_pass<DEPTH, WIDTH>(acc, job, tile, at, chunk_weights<DEPTH, WIDTH>(job, chunk),
                                   first, min(tile.pass_steps, tile.steps - first),
                                   chunk * DEPTH);
    finish_tile<DEPTH, WIDTH>(acc, job, index, rows);
}

template <int DEPTH, int WIDTH>
static __global__ void __launch_bounds__(THREADS, WIDTH < 128 ? 2 : 1)
    conv_mma(const __grid_constant__ struct conv_job job)
{
    extern __shared__ __align__(ALIGNMENT) uint8_t memory[];
    __shared__ uint8_t steps[SPC_CUDA_BLOB_MAX_STEPS + BATCH_K16];
    constexpr int ring = STAGES * shape<DEPTH, WIDTH>::stage;
    uint8_t *table = memory + ring + (job.capacity + ZERO_ROWS) * DEPTH * 2;
    struct places at = {shared_address(memory), shared_address(memory) + ring, (uint16_t *)table,
                        table + job.table_steps * TILE_ROWS * 2, steps};
    int rows = conv_rows(job.conv), tiles = (int)spc_cuda_blob_tiles(rows);

    clear_zero_rows<DEPTH>(memory + ring, threadIdx.x);
    for (int index = blockIdx.x; index < tiles; index += gridDim.x) {
        fetch_blob(job, at, index);
        one_tile<DEPTH, WIDTH>(job, at, index, rows);
    }
}

template <int DEPTH, int WIDTH>
static cudaError_t launch(struct conv_job *job, int processors, size_t shared,
                          cudaStream_t stream)
{
    size_t fixed = spc_cuda_mma_fixed(job, WIDTH);
    int resident = 0;
    cudaError_t code;

    job->capacity = spc_cuda_halo_capacity(job, shared - fixed, DEPTH * 2);
    fixed += (size_t)(job->capacity + ZERO_ROWS) * DEPTH * 2 - SPC_CUDA_MMA_STATIC;
    code = spc_cuda_allow_shared((const void *)conv_mma<DEPTH, WIDTH>);
    if (!code)
        code = cudaOccupancyMaxActiveBlocksPerMultiprocessor(
            &resident, (const void *)conv_mma<DEPTH, WIDTH>, THREADS, fixed);
    if (code)
        return code;
    conv_mma<DEPTH, WIDTH>
        <<<dim3(spc_cuda_conv_grid(job, processors * resident), job->blocks), THREADS, fixed,
           stream>>>(*job);
    return cudaGetLastError();
}

extern "C" cudaError_t spc_cuda_conv_mma(struct conv_job *job, struct spc_cuda_conv_shape shape,
                                         int processors, size_t shared, cudaStream_t stream)
{
    switch (shape.depth * 1000 + shape.width) {
    case 16016:
        return launch<16, 16>(job, processors, shared, stream);
    case 16032:
        return launch<16, 32>(job, processors, shared, stream);
    case 32032:
        return launch<32, 32>(job, processors, shared, stream);
    case 32064:
        return launch<32, 64>(job, processors, shared, stream);
    case 64064:
        return launch<64, 64>(job, processors, shared, stream);
    case 64128:
        return launch<64, 128>(job, processors, shared, stream);
    case 128128:
        return launch<128, 128>(job, processors, shared, stream);
    }
    return cudaErrorNotSupported;
}
