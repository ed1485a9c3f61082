/* SPDX-License-Identifier: MIT */
/* Kernels over whole rows: moving with a change of type and order; addition; words. */
#include "cuda/common.cuh"
#include "cuda/kernels.h"
#include "cuda/launch.cuh"

#define THREADS 256

template <typename In, typename Out>
static __global__ void __launch_bounds__(THREADS) move_rows(struct spc_cuda_move move)
{
    const In *in = (const In *)move.in;
    Out *out = (Out *)move.out;
    int64_t values, step = (int64_t)gridDim.x * THREADS;

    settle();
    values = rows_of(move.count, move.bound) * move.channels;

    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < values; i += step) {
        int64_t row = i / move.channels;
        int32_t c = (int32_t)(i - row * move.channels);
        int64_t from = move.in_row ? move.in_row[row] : row;
        int64_t to = move.out_row ? move.out_row[row] : row;

        if (from >= 0 && to >= 0)
            store(&out[to * move.channels + c], to_float(in[from * move.channels + c]));
    }
}

extern "C" cudaError_t spc_cuda_move(const struct spc_cuda_move *move, cudaStream_t stream)
{
    unsigned blocks = spc_cuda_blocks(move->bound * move->channels, THREADS);
    bool from_half = move->in_type == SPC_DTYPE_F16, to_half = move->out_type == SPC_DTYPE_F16;

    if (from_half && to_half)
        return spc_cuda_launch(move_rows<__half, __half>, blocks, THREADS, 0, stream, *move);
    if (from_half)
        return spc_cuda_launch(move_rows<__half, float>, blocks, THREADS, 0, stream, *move);
    if (to_half)
        return spc_cuda_launch(move_rows<float, __half>, blocks, THREADS, 0, stream, *move);
    return spc_cuda_launch(move_rows<float, float>, blocks, THREADS, 0, stream, *move);
}

template <typename T>
static __global__ void __launch_bounds__(THREADS) add_values(struct spc_cuda_add add)
{
    const T *a = (const T *)add.a, *b = (const T *)add.b;
    T *out = (T *)add.out;
    int64_t values, step = (int64_t)gridDim.x * THREADS;

    settle();
    values = rows_of(add.count, add.bound) * add.channels;

    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < values; i += step) {
        float x = to_float(a[i]);

        if (b)
            x += to_float(b[i]);
        store(&out[i], activate(x, add.act, add.slope));
    }
}

extern "C" cudaError_t spc_cuda_add(const struct spc_cuda_add *add, cudaStream_t stream)
{
    unsigned blocks = spc_cuda_blocks(add->bound * add->channels, THREADS);

    if (add->type == SPC_DTYPE_F16)
        return spc_cuda_launch(add_values<__half>, blocks, THREADS, 0, stream, *add);
    return spc_cuda_launch(add_values<float>, blocks, THREADS, 0, stream, *add);
}

static __global__ void __launch_bounds__(THREADS) copy_words(const uint32_t *from, uint32_t *to,
                                                             int words)
{
    settle();
    for (int i = threadIdx.x; i < words; i += THREADS)
        to[i] = from[i];
}

extern "C" cudaError_t spc_cuda_copy_words(const void *from, void *to, int words,
                                           cudaStream_t stream)
{
    return spc_cuda_launch(copy_words, 1, THREADS, 0, stream, (const uint32_t *)from,
                           (uint32_t *)to, words);
}
