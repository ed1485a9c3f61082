/* SPDX-License-Identifier: MIT */
/* The fast convolution on Hopper at depths of 64 input channels and more. */
#include "cuda/conv_kernels.h"

#ifdef SPC_CUDA_SM90A

#include "cuda/conv_wgmma_ring.cuh"

extern "C" cudaError_t spc_cuda_conv_wgmma_wide(struct conv_job *job,
                                                struct spc_cuda_conv_shape shape,
                                                int processors, cudaStream_t stream)
{
    switch (shape.depth * 1000 + shape.width) {
    case 64064:
        return launch_ring<64, 64, 2>(job, processors, stream);
    case 64128:
        return launch_ring<64, 128, 1>(job, processors, stream);
    case 128128:
        return launch_ring<128, 128, 1>(job, processors, stream);
    }
    return cudaErrorNotSupported;
}

#else

extern "C" cudaError_t spc_cuda_conv_wgmma_wide(struct conv_job *job,
                                                struct spc_cuda_conv_shape shape,
                                                int processors, cudaStream_t stream)
{
    (void)job, (void)shape, (void)processors, (void)stream;
    return cudaErrorNotSupported;
}

#endif
