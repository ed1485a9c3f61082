/* SPDX-License-Identifier: MIT */
/* A frame of lidarvoxelize: from the points' memory through the voxelizer into the voxels'. */
#include "gstlidarvoxelize.h"
#include "gstspconverror.h"
#include "gstspconvvoxels.h"

#define GST_CAT_DEFAULT gst_lidar_voxelize_debug

/* While one waits downstream, the next is made. */
#define MIN_BUFFERS 2
#define WARM_UP_POINTS ((gsize)1 << 19)
#define WARM_UP_BYTES ((gsize)16 << 20)

/* ------------------------------------------------------------------ buffers ------------------ */

/* Room for as many voxels as there may be. In system memory, untouched pages cost nothing; pinned
 * ones, where downstream offers such memory, do: max-voxels bounds what waiting frames take. */
static GstFlowReturn prepare_output_buffer(GstBaseTransform *trans, GstBuffer *in, GstBuffer **out)
{
    GstLidarVoxelize *self = GST_LIDAR_VOXELIZE(trans);
    const struct gst_spconv_voxels_info *info = &self->output;
    GstAllocator *allocator = NULL;
    GstFlowReturn flow;

    if (self->cuda_out) {
        flow = GST_LIDAR_VOXELIZE_BASE->prepare_output_buffer(trans, in, out);
        if (flow == GST_FLOW_ERROR)
            GST_ELEMENT_ERROR(self, RESOURCE, NO_SPACE_LEFT,
                              ("There is no CUDA memory for a voxel frame: let fewer frames wait "
                               "behind this element, or lower max-voxels."),
                              (NULL));
        return flow;
    }
    gst_base_transform_get_allocator(trans, &allocator, NULL);
    *out = gst_spconv_voxels_new(allocator, info->feature_type, info->num_features,
                                 info->max_voxels);
    gst_clear_object(&allocator);
    if (!*out)
        return gst_spconv_post_no_memory(GST_ELEMENT(trans), (guint64)info->max_voxels);
    GST_LIDAR_VOXELIZE_BASE->copy_metadata(trans, in, *out);
    return GST_FLOW_OK;
}

/* ------------------------------------------------------------------ one frame ---------------- */

/* What a frame has mapped. */
struct frame {
    GstBuffer *in, *out;
    GstMapInfo host_in;
    struct gst_spconv_cuda_map cuda_in;
    struct gst_spconv_voxels host_out;
    struct gst_spconv_cuda_voxels cuda_out;
    struct spc_points points;
    gsize bytes; /* of the points */
};

static void unmap(struct frame *frame)
{
    if (frame->host_in.memory)
        gst_buffer_unmap(frame->in, &frame->host_in);
    gst_spconv_cuda_unmap(&frame->cuda_in);
    gst_spconv_voxels_unmap(&frame->host_out);
    if (frame->cuda_out.map.num_blocks)
        gst_spconv_cuda_voxels_unmap(&frame->cuda_out);
}

static gboolean map_points(GstLidarVoxelize *self, struct frame *frame)
{
    struct spc_points *points = &frame->points;

    *points = self->layout;
    if (self->stream)
        points->stream = gst_spconv_cuda_stream_handle(self->stream);
    if (!gst_buffer_n_memory(frame->in)) /* an empty cloud */
        return TRUE;
    if (self->cuda_in) {
        if (gst_buffer_n_memory(frame->in) != 1 ||
            !gst_spconv_cuda_map(&frame->cuda_in, frame->in, GST_MAP_READ))
            return FALSE;
        points->memory = SPC_MEMORY_CUDA;
        points->data = frame->cuda_in.blocks[0].data;
        frame->bytes = frame->cuda_in.blocks[0].size;
        if (frame->cuda_in.stream)
            points->stream = frame->cuda_in.stream;
    } else {
        if (!gst_buffer_map(frame->in, &frame->host_in, GST_MAP_READ))
            return FALSE;
        points->data = frame->host_in.data;
        frame->bytes = frame->host_in.size;
    }
    points->count = (gint64)(frame->bytes / points->stride);
    return TRUE;
}

static gboolean map(GstLidarVoxelize *self, struct frame *frame)
{
    const struct gst_spconv_voxels_info *info = &self->output;

    if (!map_points(self, frame)) {
        GST_ELEMENT_ERROR(self, RESOURCE, READ, ("The points cannot be mapped%s.",
                           self->cuda_in ? ": the caps promise one block of CUDA memory" : ""),
                          (NULL));
        return FALSE;
    }
    if (frame->bytes % frame->points.stride) {
        GST_ELEMENT_ERROR(self, STREAM, FORMAT,
                          ("Bad point cloud: %" G_GSIZE_FORMAT
                           " bytes are no multiple of point-step %" G_GSIZE_FORMAT ".",
                           frame->bytes, frame->points.stride),
                          (NULL));
        return FALSE;
    }
    if (self->cuda_out ? gst_spconv_cuda_voxels_map(&frame->cuda_out, frame->out, GST_MAP_WRITE,
                                                    info->feature_type, info->num_features, NULL)
                       : gst_spconv_voxels_map(&frame->host_out, frame->out, GST_MAP_WRITE,
                                               info->feature_type, info->num_features, NULL))
        return TRUE;
    GST_ELEMENT_ERROR(self, RESOURCE, WRITE, ("The output buffer cannot be mapped."), (NULL));
    return FALSE;
}

/* On the device the frame is waited for before it is pushed: then its errors are its own, an empty
 * one is known as such, and voxels are complete also where memory has no stream. */
static enum spc_status run(GstLidarVoxelize *self, struct frame *frame,
                           struct spc_voxelizer_result *result, struct spc_error *error)
{
    const struct gst_spconv_cuda_voxels *out = &frame->cuda_out;
    struct spc_voxels voxels = {
        .memory = SPC_MEMORY_CUDA,
        .features = out->features,
        .indices = out->indices,
        .device_count = out->count,
    };
    enum spc_status status;

    if (!self->cuda_out)
        return spc_voxelizer_run(self->voxelizer, &frame->points, frame->host_out.features,
                                 frame->host_out.indices, result, error);
    status = spc_voxelizer_submit(self->voxelizer, &frame->points, &voxels, error);
    return status ? status : spc_voxelizer_wait(self->voxelizer, result, error);
}

static void count_frame(GstLidarVoxelize *self, gint64 points,
                        const struct spc_voxelizer_result *result, GstClockTime elapsed)
{
    gboolean moved;

    GST_OBJECT_LOCK(self);
    moved = gst_spconv_stats_add(&self->stats, (guint64)result->num_voxels, elapsed);
    self->stats.empty_frames += !result->num_voxels;
    self->points += (guint64)points;
    self->points_outside += (guint64)result->points_outside;
    self->points_over += (guint64)result->points_over;
    GST_OBJECT_UNLOCK(self);
    if (moved)
        gst_element_post_message(GST_ELEMENT(self), gst_message_new_latency(GST_OBJECT(self)));
}

static void set_rows(GstLidarVoxelize *self, GstBuffer *out, gint64 rows)
{
    const struct gst_spconv_voxels_info *info = &self->output;

    if (self->cuda_out)
        gst_spconv_cuda_voxels_set_count(out, rows);
    else
        gst_spconv_voxels_set_rows(out, info->feature_type, info->num_features, rows);
}

static GstFlowReturn transform(GstBaseTransform *trans, GstBuffer *in, GstBuffer *out)
{
    GstLidarVoxelize *self = GST_LIDAR_VOXELIZE(trans);
    GstClockTime begin = gst_util_get_timestamp();
    struct frame frame = {.in = in, .out = out};
    struct spc_voxelizer_result result;
    struct spc_error error;
    enum spc_status status;

    if (!map(self, &frame) || !gst_spconv_enter_cuda(GST_ELEMENT(self), self->cuda)) {
        unmap(&frame);
        return GST_FLOW_ERROR;
    }
    status = run(self, &frame, &result, &error);
    gst_spconv_cuda_leave(self->cuda);
    unmap(&frame);
    if (status)
        return gst_spconv_refuse_frame(
            GST_ELEMENT(self), &error,
            self->settings.overflow == GST_SPCONV_OVERFLOW_DROP_FRAME,
            &self->stats.dropped_overflow);
    count_frame(self, frame.points.count, &result, gst_util_get_timestamp() - begin);
    self->empty = !result.num_voxels;
    if (!self->empty)
        set_rows(self, out, result.num_voxels);
    return GST_FLOW_OK;
}

/* ------------------------------------------------------------------ allocation --------------- */

/* A cloud without a point in range, as large as most: room for points is made before the first that
 * counts. What fails here fails there, too, and is said there. */
static void warm_up(GstLidarVoxelize *self, GstBuffer *out)
{
    const gsize points = MIN(WARM_UP_POINTS, WARM_UP_BYTES / self->layout.stride);
    const gsize bytes = points * self->layout.stride;
    struct frame frame = {.in = gst_buffer_new_allocate(NULL, bytes, NULL), .out = out};
    struct spc_voxelizer_result result;

    if (frame.in) {
        gst_buffer_memset(frame.in, 0, 0xff, bytes); /* NaN */
        if (map(self, &frame) && gst_spconv_cuda_enter(self->cuda)) {
            run(self, &frame, &result, NULL);
            gst_spconv_cuda_leave(self->cuda);
        }
        unmap(&frame);
        gst_buffer_unref(frame.in);
    }
}

static gboolean reads_host_points(const GstLidarVoxelize *self)
{
    return !self->cuda_in && self->voxelizer &&
           g_str_equal(spc_voxelizer_backend(self->voxelizer), "cuda");
}

/* Points in such memory are read by the device, without a copy on the host. */
static gboolean propose_allocation(GstBaseTransform *trans, GstQuery *decided, GstQuery *query)
{
    GstLidarVoxelize *self = GST_LIDAR_VOXELIZE(trans);

    if (reads_host_points(self))
        gst_spconv_cuda_offer_pinned(self->cuda, query);
    return GST_LIDAR_VOXELIZE_BASE->propose_allocation(trans, decided, query);
}

static gboolean decide_allocation(GstBaseTransform *trans, GstQuery *query)
{
    GstLidarVoxelize *self = GST_LIDAR_VOXELIZE(trans);
    const struct gst_spconv_voxels_info *info = &self->output;
    GstBuffer *first = NULL;
    GstBufferPool *pool;
    gboolean ok;
    gsize size;

    if (!self->cuda_out) {
        first = reads_host_points(self) ? gst_spconv_voxels_new(NULL, info->feature_type,
                                                                info->num_features,
                                                                info->max_voxels)
                                        : NULL;
        if (first)
            warm_up(self, first);
        gst_clear_buffer(&first);
        return GST_LIDAR_VOXELIZE_BASE->decide_allocation(trans, query);
    }
    pool = gst_spconv_cuda_voxels_pool_new(self->cuda, self->stream, info->feature_type,
                                           info->num_features, info->max_voxels, &size);
    if (!pool)
        return FALSE;
    if (gst_query_get_n_allocation_pools(query))
        gst_query_set_nth_allocation_pool(query, 0, pool, (guint)size, MIN_BUFFERS, 0);
    else
        gst_query_add_allocation_pool(query, pool, (guint)size, MIN_BUFFERS, 0);
    ok = GST_LIDAR_VOXELIZE_BASE->decide_allocation(trans, query);
    if (ok && (!gst_buffer_pool_set_active(pool, TRUE) || /* here no frame waits for it */
               gst_buffer_pool_acquire_buffer(pool, &first, NULL) != GST_FLOW_OK)) {
        GST_ELEMENT_ERROR(self, RESOURCE, NO_SPACE_LEFT,
                          ("There is no CUDA memory for voxel frames of %" G_GSIZE_FORMAT
                           " bytes: lower max-voxels, or free memory of other programs.", size),
                          (NULL));
        ok = FALSE;
    }
    if (ok && reads_host_points(self))
        warm_up(self, first);
    gst_clear_buffer(&first);
    gst_object_unref(pool);
    return ok;
}

/* ------------------------------------------------------------------ frames come and go ------- */

static GstFlowReturn submit_input_buffer(GstBaseTransform *trans, gboolean is_discont,
                                         GstBuffer *in)
{
    GstFlowReturn flow = GST_LIDAR_VOXELIZE_BASE->submit_input_buffer(trans, is_discont, in);

    if (flow == GST_BASE_TRANSFORM_FLOW_DROPPED) /* late: the base class says it in a QoS message */
        gst_spconv_count(GST_OBJECT(trans), &GST_LIDAR_VOXELIZE(trans)->stats.dropped_late);
    return flow;
}

/* Points in the memory of another context: the voxelizer goes there. */
static gboolean follow_context(GstLidarVoxelize *self, GstBuffer *in)
{
    GstBaseTransform *trans = GST_BASE_TRANSFORM(self);

    if (!in || !self->cuda_in || !gst_spconv_cuda_is_memory(in) ||
        (self->voxelizer && gst_spconv_cuda_owns(self->cuda, in)))
        return TRUE;
    if (!gst_lidar_voxelize_follow_context(self, in))
        return FALSE;
    gst_base_transform_reconfigure_src(trans);
    return gst_base_transform_reconfigure(trans);
}

/* An empty frame is no loss: it is replaced by a GAP without marking a discontinuity. */
static GstFlowReturn generate_output(GstBaseTransform *trans, GstBuffer **out)
{
    GstLidarVoxelize *self = GST_LIDAR_VOXELIZE(trans);
    GstFlowReturn flow;

    self->empty = FALSE;
    if (!follow_context(self, trans->queued_buf)) {
        gst_clear_buffer(&trans->queued_buf);
        return GST_FLOW_ERROR;
    }
    flow = GST_LIDAR_VOXELIZE_BASE->generate_output(trans, out);
    if (flow == GST_FLOW_OK && *out && self->empty) {
        flow = gst_spconv_voxels_push_empty(trans->srcpad, *out);
        gst_clear_buffer(out);
    }
    return flow;
}

void gst_lidar_voxelize_install_frames(GstBaseTransformClass *klass)
{
    klass->propose_allocation = propose_allocation;
    klass->decide_allocation = decide_allocation;
    klass->submit_input_buffer = submit_input_buffer;
    klass->prepare_output_buffer = prepare_output_buffer;
    klass->transform = transform;
    klass->generate_output = generate_output;
}
