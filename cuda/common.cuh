/* SPDX-License-Identifier: MIT */
/* What the general kernels share: row counts, values of either type, activations, grids. */
#ifndef SPC_CUDA_COMMON_CUH
#define SPC_CUDA_COMMON_CUH

#include "base/act.h"

#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <stdint.h>

/* Most blocks of a kernel that loops over its work: some for every multiprocessor of a large GPU.
 * The grid is fixed when the frame is recorded, the work is known only on the device. */
#define SPC_CUDA_MAX_BLOCKS 1056

static inline unsigned spc_cuda_blocks(int64_t items, int per_block)
{
    int64_t blocks = (items + per_block - 1) / per_block;

    return (unsigned)(blocks < 1 ? 1 : blocks < SPC_CUDA_MAX_BLOCKS ? blocks : SPC_CUDA_MAX_BLOCKS);
}

/* Rows of this frame. */
static __device__ __forceinline__ int64_t rows_of(const int32_t *count, int64_t bound)
{
    int64_t rows = count ? *count : bound;

    return rows < bound ? rows : bound;
}

static __device__ __forceinline__ float to_float(float x)
{
    return x;
}

static __device__ __forceinline__ float to_float(__half x)
{
    return __half2float(x);
}

static __device__ __forceinline__ void store(float *to, float x)
{
    *to = x;
}

static __device__ __forceinline__ void store(__half *to, float x)
{
    *to = __float2half_rn(x);
}

/* As cpu/activate.h has it; NaN stays NaN. */
static __device__ __forceinline__ float activate(float x, enum spc__act act, float slope)
{
    switch (act) {
    case SPC__ACT_NONE:
        break;
    case SPC__ACT_RELU:
        return x < 0.0f ? 0.0f : x;
    case SPC__ACT_LEAKY_RELU:
        return x < 0.0f ? slope * x : x;
    case SPC__ACT_SIGMOID:
        return 1.0f / (1.0f + expf(-x));
    }
    return x;
}

#endif
