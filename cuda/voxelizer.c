/* SPDX-License-Identifier: MIT */
/*
 * The voxelizer's CUDA backend: memory for points and voxels, and frames.
 *
 * A frame is recorded once as a graph; its first kernel alone takes what differs between frames,
 * so that any points, of any number and from anywhere, need one change to that kernel's arguments.
 */
#include "voxel/voxelizer.h"

#include "base/error.h"
#include "base/mem.h"
#include "cuda/sites.h"
#include "cuda/voxel.h"

#include <inttypes.h>
#include <stdlib.h>

#define FIRST_ROOM (1 << 18) /* points, before any cloud has come */
#define PIECE ((size_t)1 << 20) /* of a cloud: one travels while the next is read */

struct voxelizer {
    const struct spc__voxel_plan *plan;
    struct spc__cuda_context context;
    cudaStream_t stream; /* of frames whose caller names none, and for recording */
    cudaEvent_t end;
    struct spc_cuda_voxels voxels; /* what all frames share */
    struct spc_cuda_points points; /* of the frame that was recorded, or given to it last */
    bool unclear; /* what frames leave clear is not: before the first, and where a launch failed */
    cudaGraph_t recorded;
    cudaGraphExec_t exec;
    struct spc__cuda_memory memory;       /* for the grid and the voxels */
    struct spc__cuda_memory point_memory; /* for voxels.room points */
    struct spc__cuda_memory stage_memory; /* for stage_room bytes of points from the host */
    unsigned char *host_stage, *stage;
    size_t stage_room;
    void *features; /* where the caller brings no memory */
    int32_t *indices, *count;
    struct spc_voxels frame; /* in flight, on the device */
    void *to_features;       /* where it goes then on the host; NULL: nowhere */
    int32_t *to_indices;
    int64_t num_points;
};

/* ---- memory ---- */

static void drop_graph(struct voxelizer *v)
{
    if (v->exec)
        cudaGraphExecDestroy(v->exec);
    if (v->recorded)
        cudaGraphDestroy(v->recorded);
    v->exec = NULL;
    v->recorded = NULL;
}

/* Room for so many points, and some more, since clouds differ in size. */
static enum spc_status make_room(struct voxelizer *v, int64_t points, struct spc_error *err)
{
    struct spc_cuda_voxels *voxels = &v->voxels;
    struct spc__cuda_memory *memory = &v->point_memory;
    int64_t room = points + points / 4 < INT32_MAX ? points + points / 4 : INT32_MAX;
    const char *what = "the voxelizer's points";

    if (points <= voxels->room)
        return SPC_OK;
    drop_graph(v);
    spc__cuda_free_all(&v->context, memory);
    memset(memory, 0, sizeof(*memory));
    voxels->room = 0;
    voxels->cell = spc__cuda_take(memory, (size_t)room, sizeof(*voxels->cell), what, err);
    voxels->num_records = (uint32_t)(room / SPC_CUDA_RECORD_POINTS * 3 / 2 + 1);
    voxels->records =
        spc__cuda_take(memory, voxels->num_records, sizeof(*voxels->records), what, err);
    voxels->long_rows = spc__cuda_take(memory, (size_t)room / SPC_CUDA_SHORT_LIST + 1,
                                       sizeof(*voxels->long_rows), what, err);
    voxels->long_lists =
        spc__cuda_take(memory, (size_t)room, 2 * sizeof(*voxels->long_lists), what, err);
    if (!voxels->cell || !voxels->records || !voxels->long_rows || !voxels->long_lists)
        return SPC_ERR_MEMORY;
    v->unclear = true; /* the records */
    voxels->room = (int32_t)room;
    return SPC_OK;
}

static enum spc_status make_stage(struct voxelizer *v, size_t bytes, struct spc_error *err)
{
    const char *what = "points from host memory";

    if (bytes <= v->stage_room)
        return SPC_OK;
    bytes += bytes / 4;
    spc__cuda_free_all(&v->context, &v->stage_memory);
    memset(&v->stage_memory, 0, sizeof(v->stage_memory));
    v->stage_room = 0;
    v->stage = spc__cuda_take(&v->stage_memory, bytes, 1, what, err);
    v->host_stage = spc__cuda_take_pinned(&v->stage_memory, bytes, 1, what, err);
    if (!v->stage || !v->host_stage)
        return SPC_ERR_MEMORY;
    v->stage_room = bytes;
    return SPC_OK;
}

static enum spc_status make_own(struct voxelizer *v, struct spc_error *err)
{
    size_t rows = (size_t)v->plan->options.max_voxels;

    if (v->features && v->indices)
        return SPC_OK;
    v->features = spc__cuda_take(&v->memory, rows, spc__voxel_row(v->plan), "voxels", err);
    v->indices = spc__cuda_take(&v->memory, rows, 4 * sizeof(*v->indices), "voxels", err);
    return v->features && v->indices ? SPC_OK : SPC_ERR_MEMORY;
}

static void set_constants(struct spc_cuda_voxels *voxels, const struct spc__voxel_plan *plan)
{
    const struct spc_voxelizer_options *o = &plan->options;

    memcpy(voxels->range, o->range, sizeof(voxels->range));
    memcpy(voxels->size, o->voxel_size, sizeof(voxels->size));
    memcpy(voxels->cells_in_range, plan->cells_in_range, sizeof(voxels->cells_in_range));
    voxels->limit = o->max_points_per_voxel ? (uint32_t)o->max_points_per_voxel : UINT32_MAX;
    voxels->order = o->index_order;
    voxels->feature_type = o->feature_type;
}

/* All that does not depend on the number of points. */
static enum spc_status make_fixed(struct voxelizer *v, struct spc_error *err)
{
    struct spc_cuda_voxels *voxels = &v->voxels;
    struct spc__cuda_memory *memory = &v->memory;
    const char *what = "the voxelizer";
    size_t rows = (size_t)v->plan->options.max_voxels;
    enum spc_status status =
        spc__cuda_take_sites(memory, &voxels->sites, v->plan->grid, (int64_t)rows, err);

    if (status)
        return status;
    voxels->count = spc__cuda_take(memory, rows, sizeof(*voxels->count), what, err);
    voxels->list = spc__cuda_take(memory, rows, SPC_CUDA_SHORT_LIST * sizeof(*voxels->list), what,
                                  err);
    voxels->inside =
        spc__cuda_take(memory, SPC_CUDA_LIST_BLOCKS, sizeof(*voxels->inside), what, err);
    voxels->over = spc__cuda_take(memory, SPC_CUDA_LIST_BLOCKS, sizeof(*voxels->over), what, err);
    voxels->sums = spc__cuda_take(memory, 1, sizeof(*voxels->sums), what, err);
    voxels->points = spc__cuda_take(memory, 1, sizeof(*voxels->points), what, err);
    voxels->total = spc__cuda_take(memory, 1, sizeof(*voxels->total), what, err);
    voxels->report = spc__cuda_take_pinned(memory, 1, sizeof(*voxels->report), what, err);
    v->count = spc__cuda_take(memory, 1, sizeof(*v->count), what, err);
    set_constants(voxels, v->plan);
    return voxels->count && voxels->list && voxels->inside && voxels->over && voxels->sums &&
                   voxels->points && voxels->total && voxels->report && v->count
               ? SPC_OK
               : SPC_ERR_MEMORY;
}

/* What every frame finds, for the last one left it so. */
static cudaError_t clear(struct voxelizer *v, cudaStream_t stream)
{
    struct spc_cuda_voxels *voxels = &v->voxels;
    cudaError_t code = spc_cuda_index_reset(&voxels->sites, 1, NULL, stream);

    if (!code)
        code = cudaMemsetAsync(voxels->count, 0,
                               (size_t)voxels->sites.bound * sizeof(*voxels->count), stream);
    if (!code) /* read whole, but not used beyond the count */
        code = cudaMemsetAsync(voxels->list, 0,
                               (size_t)voxels->sites.bound * SPC_CUDA_SHORT_LIST *
                                   sizeof(*voxels->list), stream);
    if (!code)
        code = cudaMemsetAsync(voxels->records, 0,
                               voxels->num_records * sizeof(*voxels->records), stream);
    return code ? code : cudaMemsetAsync(voxels->sums, 0, sizeof(*voxels->sums), stream);
}

/* ---- frames ---- */

/* Bytes of a record up to the end of the last field that is read. */
static size_t extent_of(const struct voxelizer *v, const struct spc_points *points)
{
    size_t extent = 0;

    for (int i = 0; i < v->plan->options.num_features; i++) {
        size_t end = points->fields[i].offset + spc_dtype_size(points->fields[i].type);

        extent = end > extent ? end : extent;
    }
    return extent;
}

/* Host memory goes to the device through pinned memory piece by piece, so that no copy waits, and
 * one piece travels while the next is read; what is pinned already goes as it is. The last record
 * need not be there beyond its fields. */
static cudaError_t upload(struct voxelizer *v, const struct spc_points *points, size_t extent,
                          cudaStream_t stream)
{
    size_t bytes = points->count ? (size_t)(points->count - 1) * points->stride + extent : 0;
    const unsigned char *from = points->data;
    cudaError_t code = cudaSuccess;

    if (bytes && spc__cuda_is_pinned(from))
        return cudaMemcpyAsync(v->stage, from, bytes, cudaMemcpyHostToDevice, stream);
    for (size_t at = 0; at < bytes && !code; at += PIECE) {
        size_t piece = bytes - at < PIECE ? bytes - at : PIECE;

        memcpy(v->host_stage + at, from + at, piece);
        code = cudaMemcpyAsync(v->stage + at, v->host_stage + at, piece, cudaMemcpyHostToDevice,
                               stream);
    }
    return code;
}

/* `points` is zeroed whole: frames are compared by their bytes. */
static void describe(const struct voxelizer *v, const struct spc_points *from,
                     struct spc_cuda_points *points)
{
    uintptr_t low_bits;

    memset(points, 0, sizeof(*points));
    points->data = from->memory == SPC_MEMORY_HOST ? v->stage : from->data;
    points->count = (int32_t)from->count;
    points->stride = (uint32_t)from->stride;
    points->num_fields = v->plan->options.num_features;
    low_bits = (uintptr_t)points->data | from->stride;
    points->plain = true;
    for (int i = 0; i < points->num_fields; i++) {
        points->type[i] = (uint8_t)from->fields[i].type;
        points->offset[i] = (uint32_t)from->fields[i].offset;
        low_bits |= from->fields[i].offset;
        points->plain = points->plain && from->fields[i].type == SPC_DTYPE_F32;
    }
    points->plain = points->plain && low_bits % sizeof(float) == 0;
    points->features = (void *)v->frame.features;
    points->indices = (int32_t *)v->frame.indices;
    points->count_out = (int32_t *)v->frame.device_count;
}

static cudaError_t record(struct voxelizer *v, const struct spc_cuda_points *points)
{
    cudaError_t launched, code;

    code = cudaStreamBeginCapture(v->stream, cudaStreamCaptureModeThreadLocal);
    if (code)
        return code;
    launched = spc_cuda_voxelize(&v->voxels, points, v->stream);
    code = cudaStreamEndCapture(v->stream, &v->recorded);
    code = launched ? launched : code;
    return code ? code : cudaGraphInstantiate(&v->exec, v->recorded, 0);
}

static cudaError_t replay(struct voxelizer *v, const struct spc_cuda_points *points,
                          cudaStream_t stream)
{
    cudaError_t code = cudaSuccess;

    if (!v->exec)
        code = record(v, points);
    else if (memcmp(&v->points, points, sizeof(*points)))
        code = spc_cuda_voxelize_again(v->exec, v->recorded, &v->voxels, points);
    v->points = *points;
    if (!code)
        return cudaGraphLaunch(v->exec, stream);
    drop_graph(v);
    return code;
}

static cudaError_t start(struct voxelizer *v, const struct spc_points *from)
{
    cudaStream_t stream = v->frame.stream;
    struct spc_cuda_points points;
    cudaError_t code = cudaSuccess;

    describe(v, from, &points);
    if (v->unclear)
        code = clear(v, stream);
    v->unclear = true; /* until all is launched */
    if (!code && from->memory == SPC_MEMORY_HOST)
        code = upload(v, from, extent_of(v, from), stream);
    if (!code)
        code = v->plan->options.cuda_graph ? replay(v, &points, stream)
                                           : spc_cuda_voxelize(&v->voxels, &points, stream);
    if (!code)
        code = cudaEventRecord(v->end, stream);
    v->unclear = code != cudaSuccess;
    if (code)
        cudaStreamSynchronize(stream); /* for what was launched */
    return code;
}

/* Memory and stream of a frame. */
static enum spc_status prepare(struct voxelizer *v, const struct spc_points *points,
                               const struct spc_voxels *voxels, struct spc_error *err)
{
    bool host = voxels->memory == SPC_MEMORY_HOST, own = host || !voxels->features;
    bool my_stream = points->memory == SPC_MEMORY_HOST && !points->stream;
    enum spc_status status = make_room(v, points->count, err);

    if (!status && points->memory == SPC_MEMORY_HOST)
        status = make_stage(v, (size_t)points->count * points->stride, err);
    if (!status && own)
        status = make_own(v, err);
    v->to_features = host ? (void *)voxels->features : NULL;
    v->to_indices = host ? (int32_t *)voxels->indices : NULL;
    v->num_points = points->count;
    v->frame = (struct spc_voxels){
        .memory = SPC_MEMORY_CUDA,
        .feature_type = v->plan->options.feature_type,
        .features = own ? v->features : voxels->features,
        .indices = own ? v->indices : voxels->indices,
        .num_voxels = v->plan->options.max_voxels,
        .device_count = voxels->device_count ? voxels->device_count : v->count,
        .stream = my_stream ? v->stream : points->stream,
    };
    return status;
}

static enum spc_status submit(void *instance, const struct spc_points *points,
                              struct spc_voxels *voxels, struct spc_error *err)
{
    struct voxelizer *v = instance;
    enum spc_status status;
    cudaError_t code;

    if (points->count > INT32_MAX || points->stride > UINT32_MAX)
        return spc__fail(err, SPC_ERR_UNSUPPORTED,
                         "voxelizer: %" PRId64 " points of %zu bytes; backend \"cuda\" takes at "
                         "most %d a frame, of 4 GiB",
                         points->count, points->stride, INT32_MAX);
    status = spc__cuda_enter(&v->context, err);
    if (status)
        return status;
    status = prepare(v, points, voxels, err);
    code = status ? cudaSuccess : start(v, points);
    spc__cuda_leave(&v->context);
    if (code)
        return spc__cuda_fail(err, code, "submitting points");
    if (!status && voxels->memory == SPC_MEMORY_CUDA)
        *voxels = v->frame;
    return status;
}

static cudaError_t download(struct voxelizer *v, size_t rows)
{
    cudaStream_t stream = v->frame.stream;
    cudaError_t code = cudaMemcpyAsync(v->to_features, v->frame.features,
                                       rows * spc__voxel_row(v->plan), cudaMemcpyDeviceToHost,
                                       stream);

    if (!code)
        code = cudaMemcpyAsync(v->to_indices, v->frame.indices, rows * 4 * sizeof(*v->to_indices),
                               cudaMemcpyDeviceToHost, stream);
    return code ? code : cudaStreamSynchronize(stream);
}

static enum spc_status finish(struct voxelizer *v, struct spc_voxelizer_result *result,
                              struct spc_error *err)
{
    const struct spc_cuda_voxel_report *report = v->voxels.report;
    cudaError_t code = cudaEventSynchronize(v->end);

    if (code)
        return spc__cuda_fail(err, code, "making voxels");
    if (report->total > v->plan->options.max_voxels)
        return spc__voxelizer_overflow(report->total, v->plan->options.max_voxels, err);
    if (v->to_features && report->total)
        code = download(v, (size_t)report->total);
    if (code)
        return spc__cuda_fail(err, code, "copying voxels to the host");
    *result = (struct spc_voxelizer_result){
        .num_voxels = report->total,
        .points_used = report->inside - report->over,
        .points_outside = v->num_points - report->inside,
        .points_over = report->over,
    };
    return SPC_OK;
}

static enum spc_status wait(void *instance, struct spc_voxelizer_result *result,
                            struct spc_error *err)
{
    struct voxelizer *v = instance;
    enum spc_status status;

    status = spc__cuda_enter(&v->context, err);
    if (status)
        return status;
    status = finish(v, result, err);
    spc__cuda_leave(&v->context);
    return status;
}

/* ---- life ---- */

static void destroy_device_side(struct voxelizer *v)
{
    drop_graph(v);
    if (v->end)
        cudaEventDestroy(v->end);
    if (v->stream)
        cudaStreamDestroy(v->stream);
}

static void destroy(void *instance)
{
    struct voxelizer *v = instance;

    if (!spc__cuda_enter(&v->context, NULL)) {
        destroy_device_side(v);
        spc__cuda_leave(&v->context);
    }
    spc__cuda_free_all(&v->context, &v->stage_memory);
    spc__cuda_free_all(&v->context, &v->point_memory);
    spc__cuda_free_all(&v->context, &v->memory);
    free(v);
}

/* An empty frame: kernels are loaded and the frame recorded before the first that counts, and what
 * cannot run on this device shows here. */
static enum spc_status warm_up(struct voxelizer *v, struct spc_error *err)
{
    struct spc_points none = {.stride = sizeof(float), .num_fields = SPC_MAX_POINT_FIELDS};
    struct spc_voxels voxels = {.memory = SPC_MEMORY_CUDA, .features = v->count,
                                .indices = v->count}; /* nothing is written */
    struct spc_voxelizer_result result;
    enum spc_status status = submit(v, &none, &voxels, err);

    return status ? status : wait(v, &result, err);
}

static enum spc_status make(struct voxelizer *v, struct spc_error *err)
{
    cudaError_t code = cudaStreamCreateWithFlags(&v->stream, cudaStreamNonBlocking);
    enum spc_status status;

    if (!code)
        code = cudaEventCreateWithFlags(&v->end, cudaEventDisableTiming);
    if (code)
        return spc__cuda_fail(err, code, "making a stream");
    status = make_fixed(v, err);
    if (!status)
        status = make_room(v, FIRST_ROOM, err);
    v->unclear = true;
    return status ? status : warm_up(v, err);
}

static enum spc_status create(const struct spc__voxel_plan *plan, void **instance,
                              struct spc_error *err)
{
    struct voxelizer *v = spc__alloc_zeroed(1, sizeof(*v));
    enum spc_status status;

    if (!v)
        return spc__fail_memory(err, sizeof(*v), "a voxelizer");
    v->plan = plan;
    status = spc__cuda_get_context(plan->options.device, &v->context, err);
    if (!status)
        status = spc__cuda_enter(&v->context, err);
    if (status) {
        free(v);
        return status;
    }
    status = make(v, err);
    spc__cuda_leave(&v->context);
    if (status)
        destroy(v);
    else
        *instance = v;
    return status;
}

const struct spc__voxel_backend spc__voxel_cuda = {
    .name = "cuda",
    .create = create,
    .destroy = destroy,
    .submit = submit,
    .wait = wait,
};
