/* SPDX-License-Identifier: MIT */
/* The voxelizer and its reference: what they share. */
#ifndef SPC_VOXEL_VOXELIZER_H
#define SPC_VOXEL_VOXELIZER_H

#include "base/half.h"

#include <spc/spc.h>

#include <string.h>

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

/* The reference: sorts the points by cell. The same bits as spc_voxelizer_run() of a voxelizer
 * with these options (which must be valid), for points that it would accept. */
enum spc_status spc__voxelize_c(const struct spc_voxelizer_options *options,
                                const struct spc_points *points, void *features, int32_t *indices,
                                struct spc_voxelizer_result *result, struct spc_error *err);

/* SPC_ERR_CAPACITY with both counts. */
enum spc_status spc__voxelizer_overflow(int64_t voxels, int64_t max_voxels, struct spc_error *err);

#endif
