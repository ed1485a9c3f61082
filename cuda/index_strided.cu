/* SPDX-License-Identifier: MIT */
/*
 * The sites of strided convolutions: a block makes the 128 columns of an output tile, each thread
 * ORs the input columns that one output column meets and pools the bits along z. Most tiles of a
 * frame meet no input tile with sites, and had none in the last frame; their blocks read a few
 * counts and end. So nothing needs to be cleared between frames but level 0.
 */
#include "cuda/index.h"
#include "cuda/launch.cuh"
#include "cuda/sites.cuh"

#define THREADS SPC_CUDA_TILE_COLUMNS

struct strided {
    struct spc_cuda_sites out, in;
    struct spc_cuda_geometry geometry;
};

/* First and last input tile on an axis that the output cells first .. last meet; none if empty. */
static __device__ __forceinline__ int2 tiles_met(const struct strided &s, int axis, int32_t first,
                                                 int32_t last, int32_t tile)
{
    const struct spc_cuda_geometry &g = s.geometry;
    int32_t from = first * g.stride[axis] - g.padding[axis];
    int32_t to = last * g.stride[axis] - g.padding[axis] + (g.kernel[axis] - 1) * g.dilation[axis];

    return make_int2(max(from, 0) / tile, to < 0 ? -1 : min(to, s.in.grid[axis] - 1) / tile);
}

/* Whether some input tile with sites can be met, or the tile had sites, to every thread. */
static __device__ __forceinline__ bool any_change(const struct strided &s, int32_t tile, int32_t y,
                                                  int32_t x)
{
    int2 ty = tiles_met(s, 1, y, y + SPC_CUDA_TILE_Y - 1, SPC_CUDA_TILE_Y);
    int2 tx = tiles_met(s, 2, x, x + SPC_CUDA_TILE_X - 1, SPC_CUDA_TILE_X);
    int32_t any = threadIdx.x == 0 ? __ldcg(s.out.tile_count + tile) : 0;

    for (int32_t i = ty.x + threadIdx.x / 8; i <= ty.y; i += THREADS / 8)
        for (int32_t j = tx.x + threadIdx.x % 8; j <= tx.y; j += 8)
            any |= __ldcg(s.in.tile_count + i * s.in.tiles_x + j);
    return __syncthreads_or(any);
}

/* Word `w` of the OR of the input columns that the output column at (y, x) meets. A kernel extent
 * of 0 is known at run time only. */
template <int KY, int KX>
static __device__ __forceinline__ uint64_t or_columns(const struct strided &s, int32_t y,
                                                      int32_t x, int32_t w)
{
    const struct spc_cuda_geometry &g = s.geometry;
    uint64_t bits = 0;

#pragma unroll
    for (int32_t ky = 0; ky < (KY ? KY : g.kernel[1]); ky++)
#pragma unroll
        for (int32_t kx = 0; kx < (KX ? KX : g.kernel[2]); kx++) {
            int32_t in_y = y * g.stride[1] + ky * g.dilation[1] - g.padding[1];
            int32_t in_x = x * g.stride[2] + kx * g.dilation[2] - g.padding[2];

            if (spc_cuda_inside(s.in, 0, in_y, in_x))
                bits |= __ldcg(s.in.mask + spc_cuda_column(s.in, in_y, in_x) * s.in.words + w);
        }
    return bits;
}

/* Bits 0, 2, 4, ... moved to 0, 1, 2, ... */
static __device__ __forceinline__ uint64_t even_bits(uint64_t v)
{
    v &= 0x5555555555555555;
    v = (v | v >> 1) & 0x3333333333333333;
    v = (v | v >> 2) & 0x0f0f0f0f0f0f0f0f;
    v = (v | v >> 4) & 0x00ff00ff00ff00ff;
    v = (v | v >> 8) & 0x0000ffff0000ffff;
    return (v | v >> 16) & 0x00000000ffffffff;
}

/* Pooling along z where both columns are one word and the stride is 1 or 2. */
static __device__ __forceinline__ uint64_t pool_word(const struct strided &s, uint64_t bits)
{
    const struct spc_cuda_geometry &g = s.geometry;
    uint64_t pooled = 0;

    for (int32_t k = 0; k < g.kernel[0]; k++) {
        int32_t down = k * g.dilation[0] - g.padding[0];

        pooled |= down >= 0 ? bits >> down : bits << -down;
    }
    return (g.stride[0] == 2 ? even_bits(pooled) : pooled) & ~0ull >> (64 - s.out.grid[0]);
}

/* What the bits of input word `in_w` reach of output word `w`. */
static __device__ __forceinline__ uint64_t pool_bits(const struct strided &s, uint64_t bits,
                                                     int32_t in_w, int32_t w)
{
    const struct spc_cuda_geometry &g = s.geometry;
    uint64_t pooled = 0;

    for (; bits; bits &= bits - 1)
        for (int32_t k = 0; k < g.kernel[0]; k++) {
            int32_t t = in_w * 64 + __ffsll(bits) - 1 + g.padding[0] - k * g.dilation[0];
            int32_t z = t / g.stride[0];

            if (t >= 0 && z * g.stride[0] == t && z < s.out.grid[0] && z / 64 == w)
                pooled |= 1ull << (z & 63);
        }
    return pooled;
}

static __device__ __forceinline__ uint64_t any_word(const struct strided &s, int32_t y, int32_t x,
                                                    int32_t w)
{
    int2 met = tiles_met(s, 0, w * 64, w * 64 + 63, 64);
    uint64_t pooled = 0;

    for (int32_t in_w = met.x; in_w <= met.y; in_w++)
        pooled |= pool_bits(s, or_columns<0, 0>(s, y, x, in_w), in_w, w);
    return pooled;
}

/* KY, KX: 0 for any geometry, else pool_word() serves. */
template <int KY, int KX>
static __global__ void __launch_bounds__(THREADS)
    mark_strided(const __grid_constant__ struct strided s)
{
    __shared__ int32_t counts[THREADS / 32];
    int32_t tile = blockIdx.y * s.out.tiles_x + blockIdx.x, i = threadIdx.x, count = 0;
    int32_t tile_y = blockIdx.y * SPC_CUDA_TILE_Y, tile_x = blockIdx.x * SPC_CUDA_TILE_X;
    int32_t y = tile_y + i / SPC_CUDA_TILE_X, x = tile_x + i % SPC_CUDA_TILE_X;
    uint64_t *mask = s.out.mask + ((int64_t)tile * THREADS + i) * s.out.words;

    let_next_start();
    wait_for_previous();
    if (!any_change(s, tile, tile_y, tile_x))
        return;
    if (spc_cuda_inside(s.out, 0, y, x))
        for (int32_t w = 0; w < s.out.words; w++) {
            mask[w] = KY ? pool_word(s, or_columns<KY, KX>(s, y, x, 0)) : any_word(s, y, x, w);
            count += __popcll(mask[w]);
        }
    count = __reduce_add_sync(~0u, count);
    if (i % 32 == 0)
        counts[i / 32] = count;
    __syncthreads();
    if (i)
        return;
    count = counts[0] + counts[1] + counts[2] + counts[3];
    s.out.tile_count[tile] = count;
    atomicAdd((unsigned long long *)&s.out.group_count[tile >> s.out.group_shift],
              (unsigned long long)count);
}

static bool fits_words(const struct strided *s)
{
    const struct spc_cuda_geometry *g = &s->geometry;

    return s->in.words == 1 && s->out.words == 1 && g->stride[0] <= 2 && g->padding[0] < 64 &&
           (s->out.grid[0] - 1) * g->stride[0] < 64 && (g->kernel[0] - 1) * g->dilation[0] < 64;
}

static cudaError_t launch(const struct strided *s, bool beside, cudaStream_t stream)
{
    dim3 tiles(s->out.tiles_x, s->out.tiles_y);
    const int32_t *kernel = s->geometry.kernel;

    if (fits_words(s) && kernel[1] == 3 && kernel[2] == 3)
        return spc_cuda_launch_as(!beside, mark_strided<3, 3>, tiles, THREADS, 0, stream, *s);
    if (fits_words(s) && kernel[1] == 1 && kernel[2] == 1)
        return spc_cuda_launch_as(!beside, mark_strided<1, 1>, tiles, THREADS, 0, stream, *s);
    return spc_cuda_launch_as(!beside, mark_strided<0, 0>, tiles, THREADS, 0, stream, *s);
}

extern "C" cudaError_t spc_cuda_index_strided(const struct spc_cuda_sites *levels,
                                              const struct spc_cuda_maker *makers, int first,
                                              int end, bool beside, struct spc_cuda_report *report,
                                              cudaStream_t stream)
{
    cudaError_t code = cudaSuccess;

    for (int i = first; i < end && !code; i++) {
        struct strided s = {levels[i], levels[makers[i].in_level], makers[i].geometry};

        code = launch(&s, beside, stream);
    }
    return code || first >= end
               ? code
               : spc_cuda_rank_levels(levels + first, end - first, report->totals + first, !beside,
                                      stream);
}
