/* SPDX-License-Identifier: MIT */
/*
 * The convolution of any kernel and any channel counts, in float32 arithmetic.
 *
 * A block computes 64 output rows x 64 output channels, 4 x 4 to a thread. It goes through the
 * kernel offsets in order, skips those that no row of it has, and gathers 16 input channels at a
 * time into shared memory. Every output is one sum in a fixed order: results are the same bits
 * whatever the grid.
 */
#include "cuda/common.cuh"
#include "cuda/kernels.h"
#include "cuda/launch.cuh"

#define ROWS 64     /* output rows of a block */
#define COLUMNS 64  /* output channels of a block */
#define DEPTH 16    /* input channels in shared memory */
#define THREADS 256
#define PART 4      /* rows and channels of a thread */
#define PAD 4       /* floats: keeps 16-byte alignment and spreads the banks */

struct tiles {
    float in[DEPTH][ROWS + PAD];
    float weights[DEPTH][COLUMNS + PAD];
    int32_t from[ROWS]; /* input row of each output row, for one offset; -1: none */
};

/* Each thread gathers 4 channels of one row. */
template <typename T>
static __device__ __forceinline__ void load_input(struct tiles &s, const struct spc_cuda_conv &conv,
                                                  int first)
{
    int row = threadIdx.x / PART, c = threadIdx.x % PART * PART;
    int32_t from = s.from[row];
    const T *in = (const T *)conv.in + (int64_t)from * conv.cin + first + c;

#pragma unroll
    for (int i = 0; i < PART; i++)
        s.in[c + i][row] = from >= 0 && first + c + i < conv.cin ? to_float(in[i]) : 0.0f;
}

/* Each thread loads 4 output channels of one input channel. */
template <typename T>
static __device__ __forceinline__ void load_weights(struct tiles &s,
                                                    const struct spc_cuda_conv &conv, int k,
                                                    int first, int column)
{
    int c = threadIdx.x / (COLUMNS / PART), o = threadIdx.x % (COLUMNS / PART) * PART;
    const T *weights =
        (const T *)conv.weights + ((int64_t)k * conv.cin + first + c) * conv.cout + column + o;

#pragma unroll
    for (int i = 0; i < PART; i++)
        s.weights[c][o + i] =
            first + c < conv.cin && column + o + i < conv.cout ? to_float(weights[i]) : 0.0f;
}

static __device__ __forceinline__ void multiply(const struct tiles &s, int row, int column,
                                                float acc[PART][PART])
{
#pragma unroll
    for (int c = 0; c < DEPTH; c++) {
        float4 a = *(const float4 *)&s.in[c][row], b = *(const float4 *)&s.weights[c][column];
        float rows[PART] = {a.x, a.y, a.z, a.w}, columns[PART] = {b.x, b.y, b.z, b.w};

#pragma unroll
        for (int i = 0; i < PART; i++)
#pragma unroll
            for (int j = 0; j < PART; j++)
                acc[i][j] = fmaf(rows[i], columns[j], acc[i][j]);
    }
}

template <typename T>
static __device__ __forceinline__ void finish(const struct spc_cuda_conv &conv, int64_t row,
                                              int column, int64_t rows,
                                              const float acc[PART][PART])
{
    const T *residual = (const T *)conv.residual;
    T *out = (T *)conv.out;

#pragma unroll
    for (int i = 0; i < PART; i++)
#pragma unroll
        for (int j = 0; j < PART; j++) {
            int64_t at = (row + i) * conv.cout + column + j;
            float x = acc[i][j];

            if (row + i >= rows || column + j >= conv.cout)
                continue;
            if (residual)
                x += to_float(residual[at]);
            store(&out[at], activate(x, conv.act, conv.slope));
        }
}

template <typename T>
static __device__ __forceinline__ void one_tile(struct tiles &s, const struct spc_cuda_conv &conv,
                                                int64_t first_row, int first_column, int64_t rows)
{
    int row = threadIdx.x / (COLUMNS / PART) * PART, column = threadIdx.x % (COLUMNS / PART) * PART;
    float acc[PART][PART];

    for (int j = 0; j < PART; j++)
        for (int i = 0; i < PART; i++)
            acc[i][j] =
                first_column + column + j < conv.cout ? conv.bias[first_column + column + j] : 0.0f;
    for (int k = 0; k < conv.offsets; k++) {
        int32_t from = -1;

        if (threadIdx.x < ROWS && first_row + threadIdx.x < rows)
            from = conv.nbr[k * conv.nbr_stride + first_row + threadIdx.x];
        if (!__syncthreads_or(from >= 0))
            continue;
        if (threadIdx.x < ROWS)
            s.from[threadIdx.x] = from;
        __syncthreads();
        for (int c = 0; c < conv.cin; c += DEPTH) {
            load_input<T>(s, conv, c);
            load_weights<T>(s, conv, k, c, first_column);
            __syncthreads();
            multiply(s, row, column, acc);
            __syncthreads();
        }
    }
    finish<T>(conv, first_row + row, first_column + column, rows, acc);
}

template <typename T>
static __global__ void __launch_bounds__(THREADS) conv_general(struct spc_cuda_conv conv)
{
    __shared__ struct tiles s;
    int64_t rows, tiles, columns = (conv.cout + COLUMNS - 1) / COLUMNS;

    settle();
    rows = rows_of(conv.count, conv.bound);
    tiles = (rows + ROWS - 1) / ROWS * columns;
    for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x)
        one_tile<T>(s, conv, tile / columns * ROWS, (int)(tile % columns) * COLUMNS, rows);
}

extern "C" cudaError_t spc_cuda_conv_general(const struct spc_cuda_conv *conv, cudaStream_t stream)
{
    int64_t columns = (conv->cout + COLUMNS - 1) / COLUMNS;
    unsigned blocks = spc_cuda_blocks((conv->bound + ROWS - 1) / ROWS * columns, 1);

    if (conv->type == SPC_DTYPE_F16)
        return spc_cuda_launch(conv_general<__half>, blocks, THREADS, 0, stream, *conv);
    return spc_cuda_launch(conv_general<float>, blocks, THREADS, 0, stream, *conv);
}
