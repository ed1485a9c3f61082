/* SPDX-License-Identifier: MIT */
#include "cuda/device.h"

#include "base/error.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* Errors after which nothing runs in a context any more. */
static bool is_lost(cudaError_t code)
{
    switch (code) {
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorDevicesUnavailable:
    case cudaErrorContextIsDestroyed:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
        return true;
    default:
        return false;
    }
}

enum spc_status spc__cuda_fail(struct spc_error *err, cudaError_t code, const char *doing)
{
    cudaGetLastError();
    if (is_lost(code))
        return spc__fail(err, SPC_ERR_DEVICE,
                         "CUDA: %s: %s (%s); this or an earlier failure ended all work in the "
                         "CUDA context: check that memory given to frames is device memory and "
                         "large enough, free the context's sessions, and start the process anew",
                         doing, cudaGetErrorString(code), cudaGetErrorName(code));
    if (code == cudaErrorMemoryAllocation)
        return spc__fail(err, SPC_ERR_MEMORY,
                         "CUDA: %s: the GPU's memory is short; lower max_voxels or site_bound, or "
                         "free memory of other programs", doing);
    return spc__fail(err, SPC_ERR_DEVICE, "CUDA: %s: %s (%s)", doing, cudaGetErrorString(code),
                     cudaGetErrorName(code));
}

static enum spc_status fail_to_find(struct spc_error *err, cudaError_t code)
{
    int driver = 0;

    cudaGetLastError();
    if (code == cudaErrorInsufficientDriver && !cudaDriverGetVersion(&driver) && !driver)
        return spc__fail(err, SPC_ERR_BACKEND,
                         "backend \"cuda\" cannot be used: there is no NVIDIA driver on this "
                         "machine; install it, or use backend \"cpu\"");
    if (code == cudaErrorInsufficientDriver)
        return spc__fail(err, SPC_ERR_BACKEND,
                         "backend \"cuda\" cannot be used: the NVIDIA driver is for CUDA %d.%d, "
                         "this build needs CUDA %d.%d; install a newer driver, or use backend "
                         "\"cpu\"", driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000,
                         CUDART_VERSION % 1000 / 10);
    if (code == cudaErrorNoDevice)
        return spc__fail(err, SPC_ERR_BACKEND,
                         "backend \"cuda\" cannot be used: the NVIDIA driver finds no GPU; check "
                         "nvidia-smi and CUDA_VISIBLE_DEVICES, or use backend \"cpu\"");
    return spc__fail(err, SPC_ERR_BACKEND, "backend \"cuda\" cannot be used: %s (%s)",
                     cudaGetErrorString(code), cudaGetErrorName(code));
}

/* Whether this build has code for a capability of major * 10 + minor: for its major and no higher
 * minor, for exactly it ("90a"), or PTX that the driver compiles ("90-ptx"). */
static bool has_code(int capability)
{
    const char *arch = SPC_CUDA_ARCHS;

    while (*arch) {
        char *end;
        int number = (int)strtol(arch, &end, 10);

        if (*end == 'a' ? number == capability
                        : number <= capability &&
                              (*end == '-' || number / 10 == capability / 10))
            return true;
        arch = end + strcspn(end, " ");
        arch += *arch == ' ';
    }
    return false;
}

enum spc_status spc__cuda_find(int device, int *found, struct spc_error *err)
{
    int count = 0, major = 0, minor = 0;
    cudaError_t code = cudaGetDeviceCount(&count);

    *found = device;
    if (!code && device < 0)
        code = cudaGetDevice(found);
    if (code)
        return fail_to_find(err, code);
    if (*found >= count)
        return spc__fail(err, SPC_ERR_BACKEND,
                         "backend \"cuda\": there is no device %d; devices 0 to %d are there",
                         device, count - 1);
    if ((code = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, *found)) ||
        (code = cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, *found)))
        return fail_to_find(err, code);
    if (major < SPC__CUDA_LEAST_MAJOR)
        return spc__fail(err, SPC_ERR_BACKEND,
                         "backend \"cuda\": device %d has compute capability %d.%d; %d.0 is the "
                         "least; choose another device, or use backend \"cpu\"",
                         *found, major, minor, SPC__CUDA_LEAST_MAJOR);
    if (!has_code(major * 10 + minor))
        return spc__fail(err, SPC_ERR_BACKEND,
                         "backend \"cuda\": device %d has compute capability %d.%d, this build is "
                         "for %s; build with -Dcuda-arch=%d%d, or use backend \"cpu\"",
                         *found, major, minor, SPC_CUDA_ARCHS, major, minor);
    return SPC_OK;
}

bool spc__cuda_is_pinned(const void *memory)
{
    struct cudaPointerAttributes attributes;

    if (cudaPointerGetAttributes(&attributes, memory)) {
        cudaGetLastError();
        return false;
    }
    return attributes.type == cudaMemoryTypeHost;
}

struct spc__cuda_block {
    struct spc__cuda_block *next;
    void *memory;
    bool pinned;
};

static void fail_to_take(struct spc_error *err, cudaError_t code, bool pinned, size_t bytes,
                         const char *what)
{
    if (code != cudaErrorMemoryAllocation) {
        spc__cuda_fail(err, code, what);
        return;
    }
    cudaGetLastError();
    spc__fail(err, SPC_ERR_MEMORY,
              "CUDA: cannot allocate %zu bytes of %s for %s; lower max_voxels or site_bound, or "
              "free memory of other programs",
              bytes, pinned ? "pinned host memory" : "the GPU's memory", what);
}

static void *take(struct spc__cuda_memory *memory, size_t count, size_t size, bool pinned,
                  const char *what, struct spc_error *err)
{
    struct spc__cuda_block *block = spc__alloc_zeroed(1, sizeof(*block));
    size_t bytes = SIZE_MAX;
    cudaError_t code = cudaErrorMemoryAllocation;

    if (!block) {
        spc__fail_memory(err, sizeof(*block), what);
        return NULL;
    }
    if (spc__mul(count, size, &bytes)) {
        bytes = bytes ? bytes : 1;
        code = pinned ? cudaHostAlloc(&block->memory, bytes, cudaHostAllocPortable)
                      : cudaMalloc(&block->memory, bytes);
    }
    if (code) {
        free(block);
        fail_to_take(err, code, pinned, bytes, what);
        return NULL;
    }
    block->pinned = pinned;
    block->next = memory->blocks;
    memory->blocks = block;
    *(pinned ? &memory->host_bytes : &memory->device_bytes) += bytes;
    return block->memory;
}

void *spc__cuda_take(struct spc__cuda_memory *memory, size_t count, size_t size, const char *what,
                     struct spc_error *err)
{
    return take(memory, count, size, false, what, err);
}

void *spc__cuda_take_pinned(struct spc__cuda_memory *memory, size_t count, size_t size,
                            const char *what, struct spc_error *err)
{
    return take(memory, count, size, true, what, err);
}

void spc__cuda_free_all(const struct spc__cuda_context *context, struct spc__cuda_memory *memory)
{
    bool alive = !spc__cuda_enter(context, NULL);

    while (memory->blocks) {
        struct spc__cuda_block *block = memory->blocks;

        memory->blocks = block->next;
        if (alive && block->pinned)
            cudaFreeHost(block->memory);
        else if (alive)
            cudaFree(block->memory);
        free(block);
    }
    if (alive)
        spc__cuda_leave(context);
}
