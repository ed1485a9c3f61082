/* SPDX-License-Identifier: MIT */
/* Frames of spconvinfer: from the input's memory through the engine into the output's memory. */
#include "gstspconvinfer.h"
#include "compat.h"
#include "gstspconverror.h"
#include "gstspconvvoxels.h"

#include <string.h>

#define GST_CAT_DEFAULT gst_spconv_infer_debug

/* Voxels of the warm-up: columns of cells, so far apart that the levels below grow, as they do for
 * a real cloud, and the buffers of all levels are touched. */
#define WARM_UP_COLUMNS 64
#define WARM_UP_SPACING 4
#define WARM_UP_HEIGHT 8

/* ------------------------------------------------------------------ statistics --------------- */

void gst_spconv_infer_post_stats(GstSpconvInfer *self)
{
    gst_element_post_message(
        GST_ELEMENT(self),
        gst_message_new_element(GST_OBJECT(self), gst_spconv_infer_describe(self)));
}

static void count_frame(GstSpconvInfer *self, gint64 voxels, GstClockTime elapsed)
{
    gint64 now = g_get_monotonic_time();
    gboolean moved;
    guint interval;

    GST_OBJECT_LOCK(self);
    moved = gst_spconv_stats_add(&self->stats, (guint64)voxels, elapsed);
    interval = self->settings.stats_interval;
    GST_OBJECT_UNLOCK(self);

    if (moved)
        gst_element_post_message(GST_ELEMENT(self), gst_message_new_latency(GST_OBJECT(self)));
    if (interval && now >= self->next_stats) {
        if (self->next_stats)
            gst_spconv_infer_post_stats(self);
        self->next_stats = now + (gint64)interval * 1000;
    }
}

/* ------------------------------------------------------------------ the run ------------------ */

/* Runs one frame; a dense output goes to `memory`, a sparse one stays in the session. */
static enum spc_status run(GstSpconvInfer *self, const struct spc_voxels *voxels,
                           const GstMapInfo *memory, GstClockTime *elapsed, struct spc_error *error)
{
    GstClockTime begin = gst_util_get_timestamp();
    enum spc_status status;

    memset(self->outputs, 0, (gsize)(self->output + 1) * sizeof(*self->outputs));
    if (memory) {
        self->outputs[self->output].data = memory->data;
        self->outputs[self->output].capacity = memory->size;
    }
    status = spc_session_run(self->session, voxels, self->outputs, self->output + 1, error);
    *elapsed = gst_util_get_timestamp() - begin;
    return status;
}

/* The session's sparse result as a payload of `out`. */
static GstFlowReturn take_sites(GstSpconvInfer *self, GstBuffer *out)
{
    const struct spc_output *result = &self->outputs[self->output];
    const struct gst_spconv_voxels_info *info = &self->sites;
    struct gst_spconv_voxels view;
    GstFlowReturn flow;
    GstBuffer *payload;

    if (!result->num_sites) {
        flow = gst_spconv_voxels_push_empty(GST_BASE_TRANSFORM_SRC_PAD(self), out);
        return flow == GST_FLOW_OK ? GST_BASE_TRANSFORM_FLOW_DROPPED : flow;
    }
    payload = gst_spconv_voxels_new(info->feature_type, info->num_features, result->num_sites);
    if (!payload)
        return gst_spconv_post_no_memory(GST_ELEMENT(self), (guint64)result->num_sites);
    if (!gst_spconv_voxels_map(&view, payload, GST_MAP_WRITE, info->feature_type,
                               info->num_features, NULL))
        g_return_val_if_reached(GST_FLOW_ERROR);
    memcpy(view.features, result->data, result->size);
    memcpy(view.indices, result->indices, (gsize)result->num_sites * 4 * sizeof(gint32));
    gst_spconv_voxels_unmap(&view);
    gst_buffer_copy_into(out, payload, GST_BUFFER_COPY_MEMORY, 0, -1);
    gst_buffer_unref(payload);
    return GST_FLOW_OK;
}

/* ------------------------------------------------------------------ vmethods ----------------- */

static GstFlowReturn submit_input_buffer(GstBaseTransform *trans, gboolean is_discont,
                                         GstBuffer *in)
{
    GstSpconvInfer *self = GST_SPCONV_INFER(trans);
    GstFlowReturn flow = GST_SPCONV_INFER_BASE->submit_input_buffer(trans, is_discont, in);

    if (flow == GST_BASE_TRANSFORM_FLOW_DROPPED) /* late: the base class says it in a QoS message */
        gst_spconv_count(GST_OBJECT(self), &self->stats.dropped_late);
    return flow;
}

/* Dense outputs come from the pool; a sparse one gets its memory when its size is known. */
static GstFlowReturn prepare_output_buffer(GstBaseTransform *trans, GstBuffer *in, GstBuffer **out)
{
    GstSpconvInfer *self = GST_SPCONV_INFER(trans);

    if (!gst_spconv_infer_get_contract(self).sparse)
        return GST_SPCONV_INFER_BASE->prepare_output_buffer(trans, in, out);
    *out = gst_buffer_new();
    GST_SPCONV_INFER_BASE->copy_metadata(trans, in, *out);
    return GST_FLOW_OK;
}

static GstFlowReturn transform_mapped(GstSpconvInfer *self, const struct gst_spconv_voxels *view,
                                      GstBuffer *out)
{
    gboolean sparse = gst_spconv_infer_get_contract(self).sparse;
    struct spc_voxels voxels = {
        .feature_type = view->feature_type,
        .features = view->features,
        .indices = view->indices,
        .num_voxels = view->num_voxels,
    };
    struct spc_error error;
    enum spc_status status;
    GstClockTime elapsed;
    GstMapInfo map;

    if (!sparse && !gst_buffer_map(out, &map, GST_MAP_WRITE)) {
        GST_ELEMENT_ERROR(self, RESOURCE, WRITE, ("The output buffer cannot be mapped."), (NULL));
        return GST_FLOW_ERROR;
    }
    status = run(self, &voxels, sparse ? NULL : &map, &elapsed, &error);
    if (!sparse)
        gst_buffer_unmap(out, &map);
    if (status)
        return gst_spconv_refuse_frame(GST_ELEMENT(self), &error,
                                       self->overflow == GST_SPCONV_OVERFLOW_DROP_FRAME,
                                       &self->stats.dropped_overflow);
    count_frame(self, view->num_voxels, elapsed);
    if (sparse)
        return take_sites(self, out);
    gst_spconv_add_tensor_meta(out, &self->bev);
    return GST_FLOW_OK;
}

static GstFlowReturn transform(GstBaseTransform *trans, GstBuffer *in, GstBuffer *out)
{
    GstSpconvInfer *self = GST_SPCONV_INFER(trans);
    struct gst_spconv_voxels view;
    GError *error = NULL;
    GstFlowReturn flow;

    if (!gst_spconv_voxels_map(&view, in, GST_MAP_READ, self->input.feature_type,
                               self->input.num_features, &error)) {
        GST_ELEMENT_ERROR(self, STREAM, FORMAT, ("Bad voxel frame: %s.", error->message), (NULL));
        g_clear_error(&error);
        return GST_FLOW_ERROR;
    }
    flow = transform_mapped(self, &view, out);
    gst_spconv_voxels_unmap(&view);
    return flow;
}

/* ------------------------------------------------------------------ empty frames ------------- */

GstFlowReturn gst_spconv_infer_push_zeros(GstSpconvInfer *self, GstClockTime pts,
                                          GstClockTime duration)
{
    GstBaseTransform *trans = GST_BASE_TRANSFORM(self);
    GstBuffer *out = NULL;
    GstBufferPool *pool;
    GstFlowReturn flow;

    if (!gst_base_transform_reconfigure(trans))
        return GST_FLOW_NOT_NEGOTIATED;
    pool = gst_base_transform_get_buffer_pool(trans);
    if (!pool)
        return GST_FLOW_FLUSHING;
    flow = gst_buffer_pool_set_active(pool, TRUE) ? gst_buffer_pool_acquire_buffer(pool, &out, NULL)
                                                  : GST_FLOW_ERROR;
    gst_object_unref(pool);
    if (flow != GST_FLOW_OK)
        return flow;
    gst_buffer_memset(out, 0, 0, gst_buffer_get_size(out));
    GST_BUFFER_PTS(out) = pts;
    GST_BUFFER_DURATION(out) = duration;
    GST_BUFFER_FLAG_SET(out, GST_BUFFER_FLAG_GAP);
    gst_spconv_add_tensor_meta(out, &self->bev);
    return gst_pad_push(GST_BASE_TRANSFORM_SRC_PAD(self), out);
}

/* ------------------------------------------------------------------ warm-up ------------------ */

static gint64 fill_columns(const struct spc_model_info *model, gint64 bound, gint32 *indices)
{
    const gint32 side = WARM_UP_COLUMNS * WARM_UP_SPACING;
    const gboolean xyz = model->index_order == SPC_INDEX_XYZ;
    gint32 z, y, x; /* odd: a strided convolution spreads them */
    gint64 n = 0;

    for (y = 1; y < MIN(model->grid_y, side); y += WARM_UP_SPACING) {
        for (x = 1; x < MIN(model->grid_x, side); x += WARM_UP_SPACING) {
            for (z = 0; z < MIN(model->grid_z, WARM_UP_HEIGHT) && n < bound; z++, n++) {
                indices[4 * n] = 0;
                indices[4 * n + 1] = xyz ? x : z;
                indices[4 * n + 2] = y;
                indices[4 * n + 3] = xyz ? z : x;
            }
        }
    }
    return n;
}

gboolean gst_spconv_infer_warm_up(GstSpconvInfer *self)
{
    const gsize rows = WARM_UP_COLUMNS * WARM_UP_COLUMNS * WARM_UP_HEIGHT;
    struct spc_voxels voxels = {.feature_type = SPC_DTYPE_F32};
    struct spc_session_info session;
    struct spc_model_info model;
    struct spc_error error;
    enum spc_status status;
    GstClockTime elapsed;
    gfloat *features;
    gint32 *indices = g_new(gint32, rows * 4);

    spc_model_get_info(self->model, &model);
    spc_session_get_info(self->session, &session);
    features = g_new0(gfloat, rows * (gsize)model.num_features);
    voxels.num_voxels = fill_columns(&model, session.max_voxels, indices);
    voxels.features = features;
    voxels.indices = indices;
    status = run(self, &voxels, NULL, &elapsed, &error);
    g_free(features);
    g_free(indices);
    if (status && status != SPC_ERR_CAPACITY) { /* small bounds are the user's choice */
        gst_spconv_post_error(GST_ELEMENT(self), &error);
        return FALSE;
    }
    GST_OBJECT_LOCK(self);
    memset(&self->stats, 0, sizeof(self->stats));
    self->stats.latency = elapsed;
    GST_OBJECT_UNLOCK(self);
    return TRUE;
}

void gst_spconv_infer_install_frames(GstBaseTransformClass *klass)
{
    klass->submit_input_buffer = submit_input_buffer;
    klass->prepare_output_buffer = prepare_output_buffer;
    klass->transform = transform;
}
