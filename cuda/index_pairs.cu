/* SPDX-License-Identifier: MIT */
/* Neighbour tables, and index rows for the user. */
#include "cuda/common.cuh"
#include "cuda/index.h"
#include "cuda/sites.cuh"

#define THREADS 256

struct tables {
    struct spc_cuda_sites out, in;
    struct spc_cuda_geometry geometry;
    int32_t *nbr;
    int64_t stride;
};

/* Input coordinate on one axis that offset k of the output coordinate meets; -1: none. */
static __device__ __forceinline__ int32_t meets(const struct spc_cuda_geometry &g, int axis,
                                                int32_t at, int32_t k)
{
    int32_t t;

    if (g.subm)
        return at + (k - g.kernel[axis] / 2) * g.dilation[axis];
    if (!g.inverse)
        return at * g.stride[axis] + k * g.dilation[axis] - g.padding[axis];
    t = at + g.padding[axis] - k * g.dilation[axis];
    return t < 0 || t % g.stride[axis] ? -1 : t / g.stride[axis];
}

/* A block row (blockIdx.y) an offset; threads go over the output rows. */
static __global__ void __launch_bounds__(THREADS) find_neighbours(struct tables t)
{
    const struct spc_cuda_geometry &g = t.geometry;
    int32_t kx = blockIdx.y % g.kernel[2], ky = blockIdx.y / g.kernel[2] % g.kernel[1];
    int32_t kz = blockIdx.y / g.kernel[2] / g.kernel[1], rows = *t.out.count;

    for (int32_t row = blockIdx.x * THREADS + threadIdx.x; row < rows;
         row += gridDim.x * THREADS) {
        const int32_t *at = t.out.coords + 3 * (int64_t)row;

        t.nbr[blockIdx.y * t.stride + row] =
            spc_cuda_row(t.in, meets(g, 0, at[0], kz), meets(g, 1, at[1], ky),
                         meets(g, 2, at[2], kx));
    }
}

extern "C" cudaError_t spc_cuda_index_neighbours(const struct spc_cuda_sites *out,
                                                 const struct spc_cuda_sites *in,
                                                 const struct spc_cuda_geometry *geometry,
                                                 int32_t *nbr, int64_t stride,
                                                 cudaStream_t stream)
{
    struct tables tables = {*out, *in, *geometry, nbr, stride};
    int32_t offsets = geometry->kernel[0] * geometry->kernel[1] * geometry->kernel[2];
    dim3 blocks(spc_cuda_blocks(out->bound, THREADS), offsets);

    find_neighbours<<<blocks, THREADS, 0, stream>>>(tables);
    return cudaGetLastError();
}

static __global__ void __launch_bounds__(THREADS) write_rows(struct spc_cuda_sites sites, bool xyz,
                                                             int4 *indices)
{
    int32_t rows = *sites.count;

    for (int32_t row = blockIdx.x * THREADS + threadIdx.x; row < rows;
         row += gridDim.x * THREADS) {
        const int32_t *at = sites.coords + 3 * (int64_t)row;

        indices[row] = make_int4(0, at[xyz ? 2 : 0], at[1], at[xyz ? 0 : 2]);
    }
}

extern "C" cudaError_t spc_cuda_index_rows(const struct spc_cuda_sites *sites,
                                           enum spc_index_order order, int32_t *indices,
                                           cudaStream_t stream)
{
    write_rows<<<spc_cuda_blocks(sites->bound, THREADS), THREADS, 0, stream>>>(
        *sites, order == SPC_INDEX_XYZ, (int4 *)indices);
    return cudaGetLastError();
}
