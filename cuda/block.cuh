/* SPDX-License-Identifier: MIT */
/* Sums over the threads of a block of 256, which all call them. */
#ifndef SPC_CUDA_BLOCK_CUH
#define SPC_CUDA_BLOCK_CUH

#include <cuda_runtime.h>
#include <stdint.h>

#define SPC_CUDA_BLOCK 256

/* Sum of the values in the threads before this one; `*all` becomes that of all threads. */
static __device__ __forceinline__ uint32_t spc_cuda_sum_before(uint32_t value, uint32_t *all)
{
    __shared__ uint32_t of_warp[SPC_CUDA_BLOCK / 32];
    uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, upto = value, before = 0;

    for (uint32_t d = 1; d < 32; d *= 2) {
        uint32_t other = __shfl_up_sync(~0u, upto, d);

        upto += lane >= d ? other : 0;
    }
    if (lane == 31)
        of_warp[warp] = upto;
    __syncthreads();
    *all = 0;
    for (uint32_t w = 0; w < SPC_CUDA_BLOCK / 32; w++) {
        before += w < warp ? of_warp[w] : 0;
        *all += of_warp[w];
    }
    __syncthreads();
    return before + upto - value;
}

/* Adds the values of all threads to `*sum`. */
static __device__ __forceinline__ void spc_cuda_add_up(unsigned long long *sum, uint32_t value)
{
    __shared__ uint32_t of_warp[SPC_CUDA_BLOCK / 32];
    uint32_t all = __reduce_add_sync(~0u, value);

    if (threadIdx.x % 32 == 0)
        of_warp[threadIdx.x / 32] = all;
    __syncthreads();
    if (threadIdx.x)
        return;
    for (int w = 1; w < SPC_CUDA_BLOCK / 32; w++)
        all += of_warp[w];
    if (all)
        atomicAdd(sum, (unsigned long long)all);
}

#endif
