/* SPDX-License-Identifier: MIT */
/*
 * Launches that overlap: a kernel may start while the one before it in the stream still runs, and
 * waits for its results by itself ("programmatic dependent launch", sm_90 and newer).
 *
 * A kernel started by spc_cuda_launch() must call wait_for_previous() in some thread of each block
 * before that block ends: the order of all that follows rests on it. Only threads that have waited,
 * or have met one at a barrier that has, may touch memory that an earlier kernel writes, or write
 * what one reads. It calls let_next_start() as early as it likes.
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

/* The last capability (major * 10 + minor) whose devices run code with waits in it. Where a build
 * has PTX below 9.0, which has none, newer devices may run that, but for 9.0, with code of its
 * own. */
#ifndef SPC_CUDA_OLD_PTX
#define LAST_WITH_WAITS 1000
#elif defined(SPC_CUDA_SM90A)
#define LAST_WITH_WAITS 90
#else
#define LAST_WITH_WAITS 0
#endif

/* Whether kernels may start while the one before them still runs. */
static inline bool spc_cuda_overlaps()
{
    int device, major, minor, capability;

    if (cudaGetDevice(&device) ||
        cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) ||
        cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device))
        return false;
    capability = major * 10 + minor;
    return capability >= 90 && capability <= LAST_WITH_WAITS;
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
