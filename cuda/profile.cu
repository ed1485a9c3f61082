/* SPDX-License-Identifier: MIT */
/* Counting a rulebook's pairs, for profiles: no step of a frame needs their number. */
#include "cuda/common.cuh"
#include "cuda/kernels.h"
#include "cuda/launch.cuh"
#include "cuda/sites.cuh"

#define THREADS 256

struct counting {
    struct spc_cuda_sites out, in;
    struct spc_cuda_geometry geometry;
    unsigned long long *pairs;
};

/* blockIdx.y is the kernel offset; threads go over the output rows. */
static __global__ void __launch_bounds__(THREADS) count_pairs(struct counting c)
{
    const struct spc_cuda_geometry &g = c.geometry;
    int32_t kx = blockIdx.y % g.kernel[2], ky = blockIdx.y / g.kernel[2] % g.kernel[1];
    int32_t kz = blockIdx.y / g.kernel[2] / g.kernel[1], rows, found = 0;

    settle();
    rows = *c.out.count;
    for (int32_t row = blockIdx.x * THREADS + threadIdx.x; row < rows;
         row += gridDim.x * THREADS) {
        short4 at = spc_cuda_coords(c.out, row);

        found += spc_cuda_row(c.in, spc_cuda_meets(g, 0, at.x, kz), spc_cuda_meets(g, 1, at.y, ky),
                              spc_cuda_meets(g, 2, at.z, kx)) >= 0;
    }
    found = __reduce_add_sync(~0u, found);
    if (threadIdx.x % 32 == 0 && found)
        atomicAdd(c.pairs, (unsigned long long)found);
}

extern "C" cudaError_t spc_cuda_count_pairs(const struct spc_cuda_sites *out,
                                            const struct spc_cuda_sites *in,
                                            const struct spc_cuda_geometry *geometry,
                                            uint64_t *pairs, cudaStream_t stream)
{
    struct counting counting = {*out, *in, *geometry, (unsigned long long *)pairs};
    int32_t offsets = geometry->kernel[0] * geometry->kernel[1] * geometry->kernel[2];
    dim3 blocks(spc_cuda_blocks(out->bound, THREADS), offsets);
    cudaError_t code = cudaMemsetAsync(pairs, 0, sizeof(*pairs), stream);

    return code ? code : spc_cuda_launch(count_pairs, blocks, THREADS, 0, stream, counting);
}
