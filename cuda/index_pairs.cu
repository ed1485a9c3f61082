/* SPDX-License-Identifier: MIT */
/* Neighbour tables, and index rows for the user. */
#include "cuda/common.cuh"
#include "cuda/launch.cuh"
#include "cuda/sites.cuh"

#define THREADS 256

struct tables {
    struct spc_cuda_sites out, in;
    struct spc_cuda_geometry geometry;
    int32_t *nbr;
    int64_t stride;
};

/* All z offsets of one row and (y, x) offset: in most grids they look into one word. */
static __device__ __forceinline__ void find_column(const struct tables &t, int32_t row, short4 at,
                                                   int32_t ky, int32_t kx)
{
    const struct spc_cuda_geometry &g = t.geometry;
    int32_t y = spc_cuda_meets(g, 1, at.y, ky), x = spc_cuda_meets(g, 2, at.z, kx);
    int32_t area = g.kernel[1] * g.kernel[2];
    int32_t *nbr = t.nbr + (int64_t)(ky * g.kernel[2] + kx) * t.stride + row;

    for (int32_t kz = 0; kz < g.kernel[0]; kz++)
        nbr[kz * area * t.stride] = spc_cuda_row(t.in, spc_cuda_meets(g, 0, at.x, kz), y, x);
}

/* A block row (blockIdx.y) a (y, x) offset; threads go over the output rows. */
static __global__ void __launch_bounds__(THREADS)
    find_neighbours(const __grid_constant__ struct tables t)
{
    int32_t kx = blockIdx.y % t.geometry.kernel[2], ky = blockIdx.y / t.geometry.kernel[2], rows;

    let_next_start();
    wait_for_previous();
    rows = *t.out.count;
    for (int32_t row = blockIdx.x * THREADS + threadIdx.x; row < rows; row += gridDim.x * THREADS)
        find_column(t, row, spc_cuda_coords(t.out, row), ky, kx);
}

extern "C" cudaError_t spc_cuda_index_neighbours(const struct spc_cuda_sites *out,
                                                 const struct spc_cuda_sites *in,
                                                 const struct spc_cuda_geometry *geometry,
                                                 int32_t *nbr, int64_t stride,
                                                 cudaStream_t stream)
{
    struct tables tables = {*out, *in, *geometry, nbr, stride};
    dim3 blocks(spc_cuda_blocks(out->bound, THREADS), geometry->kernel[1] * geometry->kernel[2]);

    return spc_cuda_launch(find_neighbours, blocks, THREADS, 0, stream, tables);
}

static __global__ void __launch_bounds__(THREADS)
    write_rows(const __grid_constant__ struct spc_cuda_sites sites, bool xyz, int4 *indices)
{
    int32_t rows;

    let_next_start();
    wait_for_previous();
    rows = *sites.count;
    for (int32_t row = blockIdx.x * THREADS + threadIdx.x; row < rows;
         row += gridDim.x * THREADS) {
        short4 at = spc_cuda_coords(sites, row);

        indices[row] = make_int4(0, xyz ? at.z : at.x, at.y, xyz ? at.x : at.z);
    }
}

extern "C" cudaError_t spc_cuda_index_rows(const struct spc_cuda_sites *sites,
                                           enum spc_index_order order, int32_t *indices,
                                           cudaStream_t stream)
{
    return spc_cuda_launch(write_rows, spc_cuda_blocks(sites->bound, THREADS), THREADS, 0, stream,
                           *sites, order == SPC_INDEX_XYZ, (int4 *)indices);
}
