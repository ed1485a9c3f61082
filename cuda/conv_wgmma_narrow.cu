/* SPDX-License-Identifier: MIT */
/* The fast convolution on Hopper at depths of up to 32 input channels. */
#include "cuda/conv_kernels.h"

#ifdef SPC_CUDA_SM90A

#include "cuda/conv_wgmma_ring.cuh"

extern "C" cudaError_t spc_cuda_conv_wgmma_narrow(struct conv_job *job,
                                                  struct spc_cuda_conv_shape shape,
                                                  int processors, cudaStream_t stream)
{
    switch (shape.depth * 1000 + shape.width) {
    case 16016:
        return launch_ring<16, 16, 3>(job, processors, stream);
    case 16032:
        return launch_ring<16, 32, 3>(job, processors, stream);
    case 32032:
        return launch_ring<32, 32, 3>(job, processors, stream);
    case 32064:
        return launch_ring<32, 64, 2>(job, processors, stream);
    }
    return cudaErrorNotSupported;
}

#else

extern "C" cudaError_t spc_cuda_conv_wgmma_narrow(struct conv_job *job,
                                                  struct spc_cuda_conv_shape shape,
                                                  int processors, cudaStream_t stream)
{
    (void)job, (void)shape, (void)processors, (void)stream;
    return cudaErrorNotSupported;
}

#endif
