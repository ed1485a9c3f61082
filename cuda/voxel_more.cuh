/* SPDX-License-Identifier: MIT */
/*
 * Points of a row beyond its list: records in a hash table that is never more than two thirds
 * full, looked through from a record's home on. No search ends at a free record before it has
 * found what is known to be there, so records may be freed while others are looked for.
 */
#ifndef SPC_CUDA_VOXEL_MORE_CUH
#define SPC_CUDA_VOXEL_MORE_CUH

#include "cuda/voxel.h"

/* Key of the record of a row's points from SHORT_LIST + part * RECORD_POINTS on. */
static __device__ __forceinline__ unsigned long long spc_cuda_more_key(uint32_t row, uint32_t part)
{
    return (unsigned long long)(row + 1) << 32 | part;
}

static __device__ __forceinline__ uint32_t spc_cuda_home(const struct spc_cuda_voxels &v,
                                                         unsigned long long key)
{
    return __umulhi((uint32_t)(key * 0x9e3779b97f4a7c15ull >> 32), v.num_records);
}

static __device__ __forceinline__ uint32_t spc_cuda_next(const struct spc_cuda_voxels &v,
                                                         uint32_t record)
{
    return record + 1 < v.num_records ? record + 1 : 0;
}

/* Puts a point of a row beyond its list; a record is made by whoever comes first. */
static __device__ __forceinline__ void spc_cuda_put_more(const struct spc_cuda_voxels &v,
                                                         uint32_t row, uint32_t before,
                                                         uint32_t point)
{
    uint32_t part = (before - SPC_CUDA_SHORT_LIST) / SPC_CUDA_RECORD_POINTS;
    unsigned long long key = spc_cuda_more_key(row, part), old;
    uint32_t at = spc_cuda_home(v, key);

    while ((old = atomicCAS(&v.records[at].key, 0ull, key)) != 0 && old != key)
        at = spc_cuda_next(v, at);
    v.records[at].point[before - SPC_CUDA_SHORT_LIST - part * SPC_CUDA_RECORD_POINTS] = point;
}

/* Takes a record that is there out of the table, and lists its points, as many as there are of
 * `count`. */
static __device__ __forceinline__ void spc_cuda_take_more(const struct spc_cuda_voxels &v,
                                                          uint32_t row, uint32_t part,
                                                          uint32_t *to, uint32_t count)
{
    unsigned long long key = spc_cuda_more_key(row, part);

    for (uint32_t at = spc_cuda_home(v, key);; at = spc_cuda_next(v, at)) {
        const uint4 *record = (const uint4 *)(v.records + at);
        uint4 low = __ldcg(record), high = __ldcg(record + 1); /* whole: most are at home */
        const uint32_t point[] = {low.z, low.w, high.x, high.y, high.z, high.w};

        if (((unsigned long long)low.y << 32 | low.x) != key)
            continue;
        v.records[at].key = 0;
#pragma unroll
        for (uint32_t i = 0; i < SPC_CUDA_RECORD_POINTS; i++)
            if (i < count)
                to[i] = point[i];
        return;
    }
}

#endif
