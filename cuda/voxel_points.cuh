/* SPDX-License-Identifier: MIT */
/* Reading the fields of a point, and writing the means of a voxel. */
#ifndef SPC_CUDA_VOXEL_POINTS_CUH
#define SPC_CUDA_VOXEL_POINTS_CUH

#include "cuda/common.cuh"
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

/* The field at `at` as float, exactly as spc__point_field() reads it; `plain` as in points. */
template <bool plain>
static __device__ __forceinline__ float spc_cuda_value(const unsigned char *at, uint8_t type)
{
    if (plain)
        return __ldg((const float *)at);
    switch (type) {
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

/* How a block shares out values of some items, `fields` each: a thread has one field of the items
 * first, first + step, ... */
struct spc_cuda_share {
    uint32_t first, step, field, fields;
};

static __device__ __forceinline__ struct spc_cuda_share spc_cuda_share(uint32_t fields)
{
    uint32_t step = blockDim.x / fields, first = threadIdx.x / fields;

    return {first < step ? first : UINT32_MAX, step, threadIdx.x - first * fields, fields};
}

/* The fields of the points that `numbers` has to `stage`, [count][fields] in shared memory. All
 * loads of a thread go out before it stores, `ahead` at a time, so that none waits for another. */
template <bool plain, uint32_t ahead>
static __device__ __forceinline__ void
spc_cuda_gather(const struct spc_cuda_points &points, const struct spc_cuda_share &share,
                const uint32_t *numbers, uint32_t count, float *stage)
{
    const unsigned char *field = points.data + points.offset[share.field];
    uint32_t stride = points.stride;
    uint8_t type = points.type[share.field];

    for (uint32_t i = share.first; i < count; i += ahead * share.step) {
        float value[ahead];

#pragma unroll
        for (uint32_t j = 0; j < ahead; j++)
            if (i + j * share.step < count)
                value[j] = spc_cuda_value<plain>(
                    field + (uint64_t)numbers[i + j * share.step] * stride, type);
#pragma unroll
        for (uint32_t j = 0; j < ahead; j++)
            if (i + j * share.step < count)
                stage[(i + j * share.step) * share.fields + share.field] = value[j];
    }
}

static __device__ __forceinline__ void spc_cuda_store_mean(const struct spc_cuda_voxels &v,
                                                           const struct spc_cuda_points &points,
                                                           uint32_t row, uint32_t f, float mean)
{
    int64_t at = (int64_t)row * points.num_fields + f;

    if (v.feature_type == SPC_DTYPE_F16)
        store((__half *)points.features + at, mean);
    else
        store((float *)points.features + at, mean);
}

#endif
