/* SPDX-License-Identifier: MIT */
/* Reading the fields of a point. */
#ifndef SPC_CUDA_VOXEL_POINTS_CUH
#define SPC_CUDA_VOXEL_POINTS_CUH

#include "cuda/voxel.h"

#include <cuda_fp16.h>

/* `bytes` bytes at any address, the first lowest. */
static __device__ __forceinline__ uint32_t spc_cuda_bytes(const unsigned char *at, int bytes)
{
    uint32_t value = 0;

    for (int i = 0; i < bytes; i++)
        value |= (uint32_t)at[i] << 8 * i;
    return value;
}

/* Field `f` of point `i` as float, exactly as spc__point_field() reads it; `plain` as in points. */
template <bool plain>
static __device__ __forceinline__ float spc_cuda_field(const struct spc_cuda_points &points,
                                                       uint32_t i, int f)
{
    const unsigned char *at = points.data + points.offset[f] + (uint64_t)i * points.stride;

    if (plain)
        return *(const float *)at;
    switch (points.type[f]) {
    case SPC_DTYPE_F32:
        return __uint_as_float(spc_cuda_bytes(at, 4));
    case SPC_DTYPE_F16:
        return __half2float(__ushort_as_half((unsigned short)spc_cuda_bytes(at, 2)));
    case SPC_DTYPE_U32:
        return (float)spc_cuda_bytes(at, 4);
    default: /* SPC_DTYPE_U8 */
        return (float)*at;
    }
}

#endif
