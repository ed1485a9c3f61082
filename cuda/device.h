/* SPDX-License-Identifier: MIT */
/* What every part of the host side needs of the runtime: the device, errors, memory. */
#ifndef SPC_CUDA_DEVICE_H
#define SPC_CUDA_DEVICE_H

#include <cudaTypedefs.h>
#include <cuda_runtime_api.h>
#include <spc/spc.h>

/* Least compute capability: fp16 matrix instructions and asynchronous copies. */
#define SPC__CUDA_LEAST_MAJOR 8

/* What a failing call means to the user: `doing` says what was tried. Clears the runtime's record
 * of the error. SPC_ERR_MEMORY where the GPU's memory is short, else SPC_ERR_DEVICE. */
enum spc_status spc__cuda_fail(struct spc_error *err, cudaError_t code, const char *doing);

/* The device of this number, -1: the current one. Fails with the reason why it cannot be used: no
 * driver, a driver that is too old, no such device, too old a device. */
enum spc_status spc__cuda_find(int device, int *found, struct spc_error *err);

/* A context, in which all of an instance is made, used and freed, whichever is current when it is
 * called. Handles are used again after a context is destroyed, ids never. */
struct spc__cuda_context {
    int device;
    CUcontext handle;
    uint64_t id;
    PFN_cuCtxGetId_v12000 get_id;
    PFN_cuCtxPushCurrent_v4000 push;
    PFN_cuCtxPopCurrent_v4000 pop;
};

/* Whether it is host memory that the device reaches by itself: copies of other memory wait. */
bool spc__cuda_is_pinned(const void *memory);

/* With device -1 the context that is current on this thread; where none is, and with a number, the
 * primary context of the device. Fails as spc__cuda_find() does. */
enum spc_status spc__cuda_get_context(int device, struct spc__cuda_context *context,
                                      struct spc_error *err);

/* Makes the context current on this thread; spc__cuda_leave() brings back what was, in whatever
 * way it had been made current. They nest. SPC_ERR_DEVICE where the context is gone. */
enum spc_status spc__cuda_enter(const struct spc__cuda_context *context, struct spc_error *err);
void spc__cuda_leave(const struct spc__cuda_context *context);

/* Blocks of one context that live as long as an instance. */
struct spc__cuda_memory {
    struct spc__cuda_block *blocks;
    size_t device_bytes, host_bytes;
};

/* Device memory, and host memory that the device can read and write. NULL and a message that
 * names `what` where memory is short. */
void *spc__cuda_take(struct spc__cuda_memory *memory, size_t count, size_t size, const char *what,
                     struct spc_error *err);
void *spc__cuda_take_pinned(struct spc__cuda_memory *memory, size_t count, size_t size,
                            const char *what, struct spc_error *err);
/* Frees the blocks of a context; those of one that is gone went with it. */
void spc__cuda_free_all(const struct spc__cuda_context *context, struct spc__cuda_memory *memory);

#endif
