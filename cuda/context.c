/* SPDX-License-Identifier: MIT */
/*
 * Contexts. The runtime only knows a device's primary context; a caller may have made others
 * current, which the driver's own functions tell apart. They are asked for at run time, so that
 * nothing links to the driver.
 */
#include "cuda/device.h"

#include "base/error.h"

#include <string.h>

#define DRIVER_VERSION 12000 /* of the functions that are asked for */

struct driver {
    PFN_cuCtxGetCurrent_v4000 get_current;
    PFN_cuCtxGetDevice_v2000 get_device;
    PFN_cuCtxGetId_v12000 get_id;
    PFN_cuCtxPushCurrent_v4000 push;
    PFN_cuCtxPopCurrent_v4000 pop;
    PFN_cuDevicePrimaryCtxRetain_v7000 retain;
    PFN_cuDevicePrimaryCtxRelease_v11000 release;
};

/* The driver's function of this name, to the function pointer at `function`. */
static cudaError_t find_function(const char *name, void *function)
{
    enum cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
    void *address = NULL;
    cudaError_t code;

#if CUDART_VERSION >= 12050
    code = cudaGetDriverEntryPointByVersion(name, &address, DRIVER_VERSION, cudaEnableDefault,
                                            &found);
#else
    code = cudaGetDriverEntryPoint(name, &address, cudaEnableDefault, &found);
#endif
    if (!code && (found != cudaDriverEntryPointSuccess || !address))
        code = cudaErrorSymbolNotFound;
    memcpy(function, &address, sizeof(address));
    return code;
}

static cudaError_t find_driver(struct driver *driver)
{
    cudaError_t code = find_function("cuCtxGetCurrent", &driver->get_current);

    if (!code)
        code = find_function("cuCtxGetDevice", &driver->get_device);
    if (!code)
        code = find_function("cuCtxGetId", &driver->get_id);
    if (!code)
        code = find_function("cuCtxPushCurrent", &driver->push);
    if (!code)
        code = find_function("cuCtxPopCurrent", &driver->pop);
    if (!code)
        code = find_function("cuDevicePrimaryCtxRetain", &driver->retain);
    return code ? code : find_function("cuDevicePrimaryCtxRelease", &driver->release);
}

/* Results of the driver are the runtime's codes by number. */
static cudaError_t code_of(CUresult result)
{
    return (cudaError_t)result;
}

/* The device's primary context. The runtime holds it once it has begun to use the device, so that
 * its handle stays when what was taken here is given back. */
static cudaError_t find_primary(const struct driver *driver, int device, CUcontext *handle)
{
    cudaError_t code = cudaInitDevice(device, 0, 0);

    if (!code)
        code = code_of(driver->retain(handle, device));
    return code ? code : code_of(driver->release(device));
}

enum spc_status spc__cuda_get_context(int device, struct spc__cuda_context *context,
                                      struct spc_error *err)
{
    struct driver driver;
    CUcontext handle = NULL;
    unsigned long long id = 0;
    enum spc_status status = spc__cuda_find(device, &context->device, err);
    cudaError_t code;

    if (status)
        return status;
    code = find_driver(&driver);
    if (!code && device < 0)
        code = code_of(driver.get_current(&handle));
    if (!code)
        code = handle ? code_of(driver.get_device(&context->device))
                      : find_primary(&driver, context->device, &handle);
    if (!code)
        code = code_of(driver.get_id(handle, &id));
    if (code)
        return spc__cuda_fail(err, code, "finding the current context");
    context->handle = handle;
    context->id = id;
    context->get_id = driver.get_id;
    context->push = driver.push;
    context->pop = driver.pop;
    return SPC_OK;
}

enum spc_status spc__cuda_enter(const struct spc__cuda_context *context, struct spc_error *err)
{
    unsigned long long id = 0;
    CUresult result = context->get_id(context->handle, &id);

    if (result || id != context->id)
        return spc__fail(err, SPC_ERR_DEVICE,
                         "CUDA: the context that the session was created in is gone; free sessions "
                         "before their context is destroyed, and create them anew in another");
    result = context->push(context->handle);
    return result ? spc__cuda_fail(err, code_of(result), "making the session's context current")
                  : SPC_OK;
}

void spc__cuda_leave(const struct spc__cuda_context *context)
{
    CUcontext left;

    context->pop(&left);
}
