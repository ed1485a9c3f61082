/* SPDX-License-Identifier: MIT */
/* What cases of CUDA kernels need: a device or a reason to skip, its memory, the time of graphs. */
#ifndef SPC_CHECK_DEVICE_H
#define SPC_CHECK_DEVICE_H

#include "check.h"

#include <cuda_runtime_api.h>

/* Whether there is a device; else the case is skipped with the reason. */
bool device_usable(struct check *check);

/* Device memory, poisoned. Exits where there is none left. Freed by device_release(). */
void *device_alloc(size_t size);
/* The same, with a copy of `data`. */
void *device_copy(const void *data, size_t size);
void device_release(void);

/* Copies device memory to `data` once all launches have ended. */
void device_read(void *data, const void *memory, size_t size);

/* A verdict on a call of the runtime or a launcher. */
bool device_ok(struct check *check, const char *what, cudaError_t code);

/* check_bench() of a graph that holds what fn(context, stream) launches: the time of a replay, as
 * the device takes it. */
void device_bench(struct check *check, const char *label, double items, const char *item,
                  cudaError_t (*fn)(void *context, cudaStream_t stream), void *context);

#endif
