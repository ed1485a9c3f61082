/* SPDX-License-Identifier: MIT */
/* What every part of the host side needs of the runtime: the device, errors, memory. */
#ifndef SPC_CUDA_DEVICE_H
#define SPC_CUDA_DEVICE_H

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

/* Makes `device` current on this thread and remembers what was; a context that another library
 * made current on that device stays. Pair with spc__cuda_leave(). */
enum spc_status spc__cuda_enter(int device, int *previous, struct spc_error *err);
void spc__cuda_leave(int device, int previous);

/* Blocks that live as long as an instance. */
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
void spc__cuda_free_all(struct spc__cuda_memory *memory);

#endif
