/* SPDX-License-Identifier: MIT */
/* The fast convolution on Hopper at depths of 64 input channels and more. */
#include "cuda/conv_kernels.h"

#ifdef SPC_CUDA_SM90A

#include "cuda/conv_wgmma_cluster.cuh"

/* The grid: clusters of `size` blocks, as many as the device runs at once. cudaErrorNotSupported
 * where that is none: a part of a GPU may be too small. */
static cudaError_t fill_grid(const struct conv_job *job, const void *kernel,
                             cudaLaunchConfig_t *config, int size, int resident)
{
    int clusters = resident;
    cudaError_t code = cudaSuccess;

    if (size > 1) {
        config->gridDim = dim3(size, job->blocks);
        code = cudaOccupancyMaxActiveClusters(&clusters, kernel, config);
        if (!code && !clusters)
            code = cudaErrorNotSupported;
    }
    config->gridDim = dim3(size * spc_cuda_conv_grid(job, clusters), job->blocks);
    return code;
}

template <int DEPTH, int WIDTH, int BLOCKS>
static cudaError_t launch_cluster(struct conv_job *job, int size, int processors,
                                  cudaStream_t stream)
{
    const void *kernel = (const void *)conv_cluster<DEPTH, WIDTH, BLOCKS>;
    cudaLaunchConfig_t config = {};
    cudaLaunchAttribute attributes[2] = {};
    cudaError_t code;

    attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[0].val.programmaticStreamSerializationAllowed = 1;
    attributes[1].id = cudaLaunchAttributeClusterDimension;
    attributes[1].val.clusterDim.x = size;
    attributes[1].val.clusterDim.y = attributes[1].val.clusterDim.z = 1;
    config.blockDim = dim3(cluster_threads<BLOCKS>());
    config.dynamicSmemBytes = share_out<DEPTH, WIDTH, BLOCKS>(job);
    config.stream = stream;
    config.attrs = attributes;
    config.numAttrs = size > 1 ? 2 : 1;
    code = spc_cuda_allow_shared(kernel);
    if (!code)
        code = fill_grid(job, kernel, &config, size, processors * BLOCKS);
    return code ? code
                : cudaLaunchKernelEx(&config, conv_cluster<DEPTH, WIDTH, BLOCKS>,
                                     (const struct conv_job)*job);
}

extern "C" cudaError_t spc_cuda_conv_wgmma_wide(struct conv_job *job,
                                                struct spc_cuda_conv_shape shape, int cluster,
                                                int processors, cudaStream_t stream)
{
    switch (shape.depth * 1000 + shape.width) {
    case 64064:
        return launch_cluster<64, 64, 2>(job, cluster, processors, stream);
    case 64128:
        return launch_cluster<64, 128, 1>(job, cluster, processors, stream);
    case 128128:
        return launch_cluster<128, 128, 1>(job, cluster, processors, stream);
    }
    return cudaErrorNotSupported;
}

#else

extern "C" cudaError_t spc_cuda_conv_wgmma_wide(struct conv_job *job,
                                                struct spc_cuda_conv_shape shape, int cluster,
                                                int processors, cudaStream_t stream)
{
    (void)job, (void)shape, (void)cluster, (void)processors, (void)stream;
    return cudaErrorNotSupported;
}

#endif
