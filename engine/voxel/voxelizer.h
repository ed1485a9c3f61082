/* SPDX-License-Identifier: MIT */
/*
 * What backends of the voxelizer share, and the contract that they fulfil. As with sessions
 * (backend.h), the engine names the CUDA table only by its symbol; cuda/stub.c defines the same
 * symbol where CUDA is off.
 */
#ifndef SPC_VOXEL_VOXELIZER_H
#define SPC_VOXEL_VOXELIZER_H

#include "base/half.h"

#include <spc/spc.h>

#include <string.h>

/* What a voxelizer is to do; checked. */
struct spc__voxel_plan {
    struct spc_voxelizer_options options;
    int32_t grid[3];           /* z, y, x */
    int32_t cells_in_range[3]; /* x, y, z; the grid's z may be larger */
};

struct spc__voxel_backend {
    const char *name; /* as the backend's of sessions */

    /* A runnable instance; `plan` outlives it. */
    enum spc_status (*create)(const struct spc__voxel_plan *plan, void **instance,
                              struct spc_error *err);
    void (*destroy)(void *instance);

    /* See spc_voxelizer_submit(). Points and voxels were checked, except that any memory may be
     * asked for and given: what a backend cannot reach, it refuses. Voxels that go to host memory
     * are there when wait() returns. */
    enum spc_status (*submit)(void *instance, const struct spc_points *points,
                              struct spc_voxels *voxels, struct spc_error *err);
    enum spc_status (*wait)(void *instance, struct spc_voxelizer_result *result,
                            struct spc_error *err);
};

extern const struct spc__voxel_backend spc__voxel_cpu;
extern const struct spc__voxel_backend spc__voxel_cuda;

/* A field of a record as float; data need not be aligned. */
static inline float spc__point_field(const unsigned char *record, enum spc_dtype type,
                                     size_t offset)
{
    float f;
    uint32_t u;
    uint16_t h;

    switch (type) {
    case SPC_DTYPE_F32:
        memcpy(&f, record + offset, sizeof(f));
        return f;
    case SPC_DTYPE_F16:
        memcpy(&h, record + offset, sizeof(h));
        return spc__half_to_float(h);
    case SPC_DTYPE_U32:
        memcpy(&u, record + offset, sizeof(u));
        return (float)u;
    default: /* SPC_DTYPE_U8: checked by run */
        return (float)record[offset];
    }
}

/* Bytes of a row of features. */
static inline size_t spc__voxel_row(const struct spc__voxel_plan *plan)
{
    return (size_t)plan->options.num_features * spc_dtype_size(plan->options.feature_type);
}

/* The reference: sorts the points by cell. The same bits as spc_voxelizer_run() of a voxelizer
 * with these options (which must be valid), for points that it would accept. */
enum spc_status spc__voxelize_c(const struct spc_voxelizer_options *options,
                                const struct spc_points *points, void *features, int32_t *indices,
                                struct spc_voxelizer_result *result, struct spc_error *err);

/* SPC_ERR_CAPACITY with both counts. */
enum spc_status spc__voxelizer_overflow(int64_t voxels, int64_t max_voxels, struct spc_error *err);

#endif
