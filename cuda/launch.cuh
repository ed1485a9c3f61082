/* SPDX-License-Identifier: MIT */
/*
 * Launches that overlap: a kernel may start while the one before it in the stream still runs, and
 * waits for its results by itself ("programmatic dependent launch", sm_90 and newer).
 *
 * A kernel started by spc_cuda_launch() must call wait_for_previous() in every thread before it
 * touches memory that an earlier kernel writes or reads, and before it returns: the order of all
 * that follows rests on it. It calls let_next_start() as early as it likes.
 */
#ifndef SPC_CUDA_LAUNCH_CUH
#define SPC_CUDA_LAUNCH_CUH

#include <cuda_runtime.h>

static __device__ __forceinline__ void wait_for_previous(void)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

static __device__ __forceinline__ void let_next_start(void)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/* The order for kernels whose followers read more than they write: the next one starts when all
 * before this one has ended, so that it may read that without waiting itself. */
static __device__ __forceinline__ void settle(void)
{
    wait_for_previous();
    let_next_start();
}

/* Lets a kernel have as much dynamic shared memory as the device gives a block. The limit is the
 * kernel's, for all threads of a context: a launch must never lower it under another's. */
static inline cudaError_t spc_cuda_allow_shared(const void *kernel)
{
    cudaFuncAttributes code_of;
    int device, most = 0;
    cudaError_t code = cudaFuncGetAttributes(&code_of, kernel);

    if (!code)
        code = cudaGetDevice(&device);
    if (!code)
        code = cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
    most -= (int)code_of.sharedSizeBytes;
    if (code || code_of.maxDynamicSharedSizeBytes == most)
        return code;
    return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most);
}

/* Whether kernels may start while the one before them still runs: code for 9.0 and newer waits by
 * itself. Older devices do not overlap, and older PTX, which newer devices run where a build has
 * nothing else for them, has no wait in it. */
static inline bool spc_cuda_overlaps()
{
#ifdef SPC_CUDA_OLD_PTX
    return false;
#else
    int device, major = 0;

    return !cudaGetDevice(&device) &&
           !cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) && major >= 9;
#endif
}

/* `overlap`: as above. Without it the kernel starts when the one before it has ended, and holds no
 * place on a multiprocessor while it waits. */
template <typename... Parameters, typename... Arguments>
static inline cudaError_t spc_cuda_launch_as(bool overlap, void (*kernel)(Parameters...),
                                             dim3 blocks, dim3 threads, size_t shared,
                                             cudaStream_t stream, const Arguments &...arguments)
{
    cudaLaunchAttribute attribute = {};
    cudaLaunchConfig_t config = {};

    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    config.gridDim = blocks;
    config.blockDim = threads;
    config.dynamicSmemBytes = shared;
    config.stream = stream;
    config.attrs = &attribute;
    config.numAttrs = overlap && spc_cuda_overlaps() ? 1 : 0;
    return cudaLaunchKernelEx(&config, kernel, Parameters(arguments)...);
}

template <typename... Parameters, typename... Arguments>
static inline cudaError_t spc_cuda_launch(void (*kernel)(Parameters...), dim3 blocks, dim3 threads,
                                          size_t shared, cudaStream_t stream,
                                          const Arguments &...arguments)
{
    return spc_cuda_launch_as(true, kernel, blocks, threads, shared, stream, arguments...);
}

#endif
