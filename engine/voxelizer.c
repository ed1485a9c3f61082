/* SPDX-License-Identifier: MIT */
/* The voxelizer as callers see it: what they can get wrong is refused here, a backend computes. */
#include "backend.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/options.h"
#include "voxel/voxelizer.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define MAX_GRID (1 << 15) /* cells of an axis */
#define MAX_VOXELS ((int64_t)1 << 27)

struct spc_voxelizer {
    struct spc__voxel_plan plan;
    const struct spc__voxel_backend *backend;
    void *instance;
    bool in_flight; /* a frame was submitted and not waited for */
};

void spc_voxelizer_options_init(struct spc_voxelizer_options *options, size_t size)
{
    const struct spc_voxelizer_options defaults = {
        .num_features = 5,
        .max_voxels = 200000,
        .index_order = SPC_INDEX_ZYX,
        .feature_type = SPC_DTYPE_F32,
        .device = -1,
        .cuda_graph = true,
    };

    spc__options_give(options, size, &defaults, sizeof(defaults));
}

static enum spc_status check_options(const struct spc_voxelizer_options *o, struct spc_error *err)
{
    if (o->num_features < 3 || o->num_features > SPC_MAX_POINT_FIELDS)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "voxelizer: num_features is %d; 3 to %d can be averaged",
                         o->num_features, SPC_MAX_POINT_FIELDS);
    if (o->max_voxels < 1 || o->max_voxels > MAX_VOXELS)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "voxelizer: max_voxels is %" PRId64 "; 1 to %" PRId64 " can be planned",
                         o->max_voxels, MAX_VOXELS);
    if (o->max_points_per_voxel < 0)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "voxelizer: max_points_per_voxel is %d; give 0 for no limit",
                         o->max_points_per_voxel);
    if (o->feature_type != SPC_DTYPE_F32 && o->feature_type != SPC_DTYPE_F16)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "voxelizer: features cannot be %s; choose float32 or float16",
                         spc_dtype_name(o->feature_type));
    if (o->index_order != SPC_INDEX_ZYX && o->index_order != SPC_INDEX_XYZ)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "voxelizer: index_order must be SPC_INDEX_ZYX or SPC_INDEX_XYZ");
    return SPC_OK;
}

/* Cells of an axis, or 0 with the reason. */
static int32_t axis_cells(const struct spc_voxelizer_options *o, int axis, struct spc_error *err)
{
    float low = o->range[axis], high = o->range[axis + 3], size = o->voxel_size[axis];
    double cells = round(((double)high - low) / size);

    if (!(size > 0) || !(high > low) || !isfinite(high - low) || !isfinite((high - low) / size)) {
        spc__fail(err, SPC_ERR_ARGUMENT,
                  "voxelizer: range %g .. %g m in steps of %g m along %c holds no cells; the "
                  "minimum must be below the maximum and the voxel size above 0",
                  low, high, size, "xyz"[axis]);
        return 0;
    }
    if (axis == 2)
        cells += o->grid_extra_z;
    if (cells >= 1 && cells <= MAX_GRID && (axis != 2 || o->grid_extra_z >= 0))
        return (int32_t)cells;
    spc__fail(err, SPC_ERR_ARGUMENT,
              "voxelizer: range %g .. %g m in steps of %g m along %c makes %.0f cells (%d of them "
              "extra); 1 to %d are possible",
              low, high, size, "xyz"[axis], cells, axis == 2 ? o->grid_extra_z : 0, MAX_GRID);
    return 0;
}

static enum spc_status make_plan(struct spc__voxel_plan *plan, struct spc_error *err)
{
    const struct spc_voxelizer_options *o = &plan->options;
    enum spc_status status = check_options(o, err);

    if (status)
        return status;
    for (int axis = 0; axis < 3; axis++) {
        int32_t cells = axis_cells(o, axis, err);

        if (!cells)
            return SPC_ERR_ARGUMENT;
        plan->grid[2 - axis] = cells;
        plan->cells_in_range[axis] = axis == 2 ? cells - o->grid_extra_z : cells;
    }
    if (plan->cells_in_range[2] < 1)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "voxelizer: the range along z is less than half a voxel high");
    return SPC_OK;
}

/* The backend that sessions would get by this name. */
static enum spc_status find_backend(struct spc_voxelizer *v, struct spc_error *err)
{
    const struct spc_voxelizer_options *o = &v->plan.options;
    struct spc__log log = {o->log, o->log_user};
    const struct spc__backend *found;
    enum spc_status status = spc__backend_find(o->backend, o->device, &log, &found, err);

    if (status)
        return status;
    v->backend = found == &spc__backend_cuda ? &spc__voxel_cuda : &spc__voxel_cpu;
    v->plan.options.backend = NULL; /* the caller's, until create returns */
    return SPC_OK;
}

enum spc_status spc_voxelizer_create(const struct spc_voxelizer_options *options,
                                     struct spc_voxelizer **voxelizer, struct spc_error *err)
{
    struct spc_voxelizer *v;
    enum spc_status status;

    if (!options)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "voxelizer: options are needed: they hold the range and voxel size");
    v = spc__alloc_zeroed(1, sizeof(*v));
    if (!v)
        return spc__fail_memory(err, sizeof(*v), "a voxelizer");
    spc_voxelizer_options_default(&v->plan.options);
    status = spc__options_take(&v->plan.options, sizeof(v->plan.options), options,
                               "spc_voxelizer_options", err);
    if (!status)
        status = make_plan(&v->plan, err);
    if (!status)
        status = find_backend(v, err);
    if (!status)
        status = v->backend->create(&v->plan, &v->instance, err);
    if (status)
        spc_voxelizer_free(&v);
    else
        *voxelizer = v;
    return status;
}

void spc_voxelizer_free(struct spc_voxelizer **voxelizer)
{
    if (!voxelizer || !*voxelizer)
        return;
    if ((*voxelizer)->instance)
        (*voxelizer)->backend->destroy((*voxelizer)->instance);
    free(*voxelizer);
    *voxelizer = NULL;
}

const char *spc_voxelizer_backend(const struct spc_voxelizer *voxelizer)
{
    return voxelizer->backend->name;
}

void spc_voxelizer_get_grid(const struct spc_voxelizer *voxelizer, int32_t *grid_z,
                            int32_t *grid_y, int32_t *grid_x)
{
    *grid_z = voxelizer->plan.grid[0];
    *grid_y = voxelizer->plan.grid[1];
    *grid_x = voxelizer->plan.grid[2];
}

static enum spc_status check_points(const struct spc_voxelizer_options *o,
                                    const struct spc_points *p, struct spc_error *err)
{
    if (p->count < 0 || (p->count && !p->data))
        return spc__fail(err, SPC_ERR_ARGUMENT, "voxelizer: %" PRId64 " points at no address",
                         p->count);
    if (p->num_fields < 3 || p->num_fields > SPC_MAX_POINT_FIELDS ||
        p->num_fields < o->num_features)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "voxelizer: points have %d fields; %d are to be averaged, and at most %d "
                         "can be described", p->num_fields, o->num_features,
                         SPC_MAX_POINT_FIELDS);
    for (int i = 0; i < p->num_fields; i++) {
        enum spc_dtype type = p->fields[i].type;
        size_t offset = p->fields[i].offset, size = spc_dtype_size(type);

        if (type != SPC_DTYPE_F32 && type != SPC_DTYPE_F16 && type != SPC_DTYPE_U8 &&
            type != SPC_DTYPE_U32)
            return spc__fail(err, SPC_ERR_ARGUMENT,
                             "voxelizer: field %d is %s; float32, float16, uint8 and uint32 can be "
                             "read", i, spc_dtype_name(type));
        if (size > p->stride || offset > p->stride - size)
            return spc__fail(err, SPC_ERR_ARGUMENT,
                             "voxelizer: field %d (%zu bytes at offset %zu) reaches beyond the "
                             "record of %zu bytes", i, size, offset, p->stride);
    }
    return spc__check_reserved(p->reserved, SPC__COUNT(p->reserved), "spc_points", err);
}

static enum spc_status check_memory(const struct spc_voxelizer *v, enum spc_memory memory,
                                    const char *what, struct spc_error *err)
{
    if (memory == SPC_MEMORY_HOST || (memory == SPC_MEMORY_CUDA && v->backend == &spc__voxel_cuda))
        return SPC_OK;
    if (memory != SPC_MEMORY_CUDA)
        return spc__fail(err, SPC_ERR_ARGUMENT, "voxelizer: memory kind %d of the %s is not known",
                         memory, what);
    return spc__fail(err, SPC_ERR_ARGUMENT,
                     "voxelizer: backend \"%s\" takes no %s in CUDA memory; use host memory, or "
                     "create the voxelizer with backend \"cuda\"", v->backend->name, what);
}

static enum spc_status check_voxels(const struct spc_voxelizer *v, const struct spc_voxels *voxels,
                                    struct spc_error *err)
{
    size_t unit = spc_dtype_size(v->plan.options.feature_type);

    if (check_memory(v, voxels->memory, "voxels", err) ||
        spc__check_reserved(voxels->reserved, SPC__COUNT(voxels->reserved), "spc_voxels", err))
        return SPC_ERR_ARGUMENT;
    if (!voxels->features != !voxels->indices)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "voxelizer: %s is NULL: give memory for features and indices, or neither",
                         voxels->features ? "indices" : "features");
    if ((uintptr_t)voxels->features % unit || (uintptr_t)voxels->indices % sizeof(int32_t) ||
        (uintptr_t)voxels->device_count % sizeof(int32_t))
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "voxelizer: features, indices or device_count are not aligned to their "
                         "element type");
    return SPC_OK;
}

static enum spc_status submit(struct spc_voxelizer *v, const struct spc_points *points,
                              struct spc_voxels *voxels, struct spc_error *err)
{
    enum spc_status status = check_points(&v->plan.options, points, err);

    if (!status)
        status = check_memory(v, points->memory, "points", err);
    if (!status)
        status = check_voxels(v, voxels, err);
    if (!status && v->in_flight)
        status = spc__fail(err, SPC_ERR_ARGUMENT,
                           "voxelizer: a frame is in flight; call spc_voxelizer_wait() before the "
                           "next");
    if (!status)
        status = v->backend->submit(v->instance, points, voxels, err);
    v->in_flight |= !status;
    return status;
}

enum spc_status spc_voxelizer_submit(struct spc_voxelizer *voxelizer,
                                     const struct spc_points *points, struct spc_voxels *voxels,
                                     struct spc_error *err)
{
    if (voxels->memory == SPC_MEMORY_HOST && voxelizer->backend == &spc__voxel_cuda)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "voxelizer: backend \"cuda\" leaves voxels in CUDA memory: set memory to "
                         "SPC_MEMORY_CUDA, or call spc_voxelizer_run()");
    return submit(voxelizer, points, voxels, err);
}

enum spc_status spc_voxelizer_wait(struct spc_voxelizer *voxelizer,
                                   struct spc_voxelizer_result *result, struct spc_error *err)
{
    if (!voxelizer->in_flight)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "voxelizer: no frame is in flight; submit one first");
    voxelizer->in_flight = false;
    return voxelizer->backend->wait(voxelizer->instance, result, err);
}

enum spc_status spc_voxelizer_run(struct spc_voxelizer *voxelizer,
                                  const struct spc_points *points, void *features,
                                  int32_t *indices, struct spc_voxelizer_result *result,
                                  struct spc_error *err)
{
    struct spc_voxels voxels = {.features = features, .indices = indices};
    enum spc_status status;

    if (!features || !indices)
        return spc__fail(err, SPC_ERR_ARGUMENT, "voxelizer: %s is NULL",
                         features ? "indices" : "features");
    status = submit(voxelizer, points, &voxels, err);
    return status ? status : spc_voxelizer_wait(voxelizer, result, err);
}
