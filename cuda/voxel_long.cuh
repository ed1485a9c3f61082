/* SPDX-License-Identifier: MIT */
/*
 * The mean of a voxel of more points than SPC_CUDA_SHORT_LIST, by a block: a bitmap of point
 * numbers sorts them, all threads read them, and a few sum them in order.
 */
#ifndef SPC_CUDA_VOXEL_LONG_CUH
#define SPC_CUDA_VOXEL_LONG_CUH

#include "cuda/block.cuh"
#include "cuda/voxel_more.cuh"
#include "cuda/voxel_points.cuh"

/* Words of the bitmap that a thread looks through: odd, so that threads meet no bank twice. Point
 * numbers are sorted 286,720 at a time. */
#define WINDOW_PART 35
#define WINDOW_WORDS (WINDOW_PART * SPC_CUDA_BLOCK)
#define NEAR 1280 /* points of a list that stays in shared memory */
#define TERMS 8 /* of a sum, which are read while those before are added */

struct long_scratch {
    union {
        uint32_t bits[WINDOW_WORDS];
        float stage[WINDOW_WORDS];
    };
    uint32_t before[SPC_CUDA_BLOCK]; /* bits of the threads before each */
    uint32_t lists[2 * NEAR];
    uint32_t first;
};

/* A voxel, and two lists of its points: as they came, and in order. */
struct long_voxel {
    uint32_t row, count;
    uint32_t *listed, *sorted;
};

/* Finds all points of a row, and empties its list. */
static __device__ __forceinline__ struct long_voxel open_voxel(const struct spc_cuda_voxels &v,
                                                               uint32_t row,
                                                               struct long_scratch &s)
{
    struct long_voxel voxel = {row, __ldcg(&v.count[row]), s.lists, NULL};
    uint32_t more = voxel.count - SPC_CUDA_SHORT_LIST;

    if (threadIdx.x == 0 && voxel.count > NEAR)
        s.first = atomicAdd(&v.sums->long_points, voxel.count);
    __syncthreads();
    if (threadIdx.x == 0)
        v.count[row] = 0; /* all threads have it; who has the row leaves it alone, whatever it is */
    if (voxel.count > NEAR)
        voxel.listed = v.long_lists + 2 * (uint64_t)s.first;
    voxel.sorted = voxel.listed + voxel.count;
    for (uint32_t part = threadIdx.x; part * SPC_CUDA_RECORD_POINTS < more;
         part += SPC_CUDA_BLOCK) {
        uint32_t before = part * SPC_CUDA_RECORD_POINTS;

        spc_cuda_take_more(v, row, part, voxel.listed + SPC_CUDA_SHORT_LIST + before,
                           more - before);
    }
    if (threadIdx.x < SPC_CUDA_SHORT_LIST)
        voxel.listed[threadIdx.x] =
            __ldcg(&v.list[(uint64_t)row * SPC_CUDA_SHORT_LIST + threadIdx.x]);
    __syncthreads();
    return voxel;
}

/* The points of the window that begins at `low` to where their ranks are. */
static __device__ __forceinline__ uint32_t sort_window(const struct long_voxel &voxel, uint32_t low,
                                                       uint32_t *sorted, struct long_scratch &s)
{
    uint32_t count = 0, all;

#pragma unroll 7
    for (int w = 0; w < WINDOW_PART; w++)
        s.bits[threadIdx.x * WINDOW_PART + w] = 0;
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < voxel.count; i += SPC_CUDA_BLOCK) {
        uint32_t bit = voxel.listed[i] - low;

        if (bit < WINDOW_WORDS * 32)
            atomicOr(&s.bits[bit / 32], 1u << bit % 32);
    }
    __syncthreads();
#pragma unroll 7
    for (int w = 0; w < WINDOW_PART; w++)
        count += __popc(s.bits[threadIdx.x * WINDOW_PART + w]);
    s.before[threadIdx.x] = spc_cuda_sum_before(count, &all);
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < voxel.count; i += SPC_CUDA_BLOCK) {
        uint32_t bit = voxel.listed[i] - low, word = bit / 32, part = word / WINDOW_PART;
        uint32_t rank;

        if (bit >= WINDOW_WORDS * 32)
            continue;
        rank = s.before[part] + __popc(s.bits[word] & ((1u << bit % 32) - 1));
#pragma unroll 4
        for (uint32_t w = part * WINDOW_PART; w < word; w++)
            rank += __popc(s.bits[w]);
        sorted[rank] = low + bit;
    }
    __syncthreads();
    return all;
}

/* Adds a field of `count` items from `stage` on, in their order. */
static __device__ __forceinline__ float add_field(float sum, const float *stage, uint32_t fields,
                                                  uint32_t count)
{
    uint32_t whole = count / TERMS * TERMS, i = 0;
    float term[TERMS], next[TERMS];

#pragma unroll
    for (int j = 0; j < TERMS && whole; j++)
        next[j] = stage[j * fields];
    for (; i < whole; i += TERMS) {
        const float *from = stage + min(i + TERMS, whole - TERMS) * fields;

#pragma unroll
        for (int j = 0; j < TERMS; j++) {
            term[j] = next[j];
            next[j] = from[j * fields];
        }
#pragma unroll
        for (int j = 0; j < TERMS; j++)
            sum += term[j];
    }
    for (; i < count; i++)
        sum += stage[i * fields];
    return sum;
}

template <bool plain>
static __device__ __forceinline__ void average_long(const struct spc_cuda_voxels &v,
                                                    const struct spc_cuda_points &points,
                                                    uint32_t row, struct long_scratch &s)
{
    struct spc_cuda_share share = spc_cuda_share(points.num_fields);
    struct long_voxel voxel = open_voxel(v, row, s);
    uint32_t most = WINDOW_WORDS / share.fields, count = min(voxel.count, v.limit);
    float sum = 0.0f;

    for (uint32_t done = 0, low = 0; done < voxel.count; low += WINDOW_WORDS * 32)
        done += sort_window(voxel, low, voxel.sorted + done, s);
    for (uint32_t done = 0; done < count; done += most) {
        uint32_t here = min(most, count - done);

        spc_cuda_gather<plain, plain ? 8 : 2>(points, share, voxel.sorted + done, here, s.stage);
        __syncthreads();
        if (threadIdx.x < share.fields)
            sum = add_field(sum, s.stage + threadIdx.x, share.fields, here);
        __syncthreads();
    }
    if (threadIdx.x < share.fields)
        spc_cuda_store_mean(v, points, row, threadIdx.x, sum / (float)count);
    __syncthreads();
}

#endif
