/* SPDX-License-Identifier: MIT */
/* A frame of spconvinfer: from the input's memory through a session into the output's memory. */
#include "compat.h"
#include "gstspconverror.h"
#include "gstspconvinfer.h"

#include <string.h>

#define GST_CAT_DEFAULT gst_spconv_infer_debug

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

/* ------------------------------------------------------------------ memory ------------------- */

static gboolean map_cuda_input(GstSpconvInfer *self, struct gst_spconv_infer_slot *slot,
                               struct spc_voxels *voxels, GError **error)
{
    struct gst_spconv_cuda_voxels *view = &slot->cuda_in;

    if (!gst_spconv_cuda_voxels_map(view, slot->in, GST_MAP_READ, self->input.feature_type,
                                    self->input.num_features, error))
        return FALSE;
    voxels->memory = SPC_MEMORY_CUDA;
    voxels->features = view->features;
    voxels->indices = view->indices;
    voxels->num_voxels = view->room;
    voxels->device_count = view->count;
    voxels->stream = view->stream ? view->stream : gst_spconv_cuda_stream_handle(slot->stream);
    slot->num_voxels = view->num_voxels;
    return TRUE;
}

static gboolean map_host_input(GstSpconvInfer *self, struct gst_spconv_infer_slot *slot,
                               struct spc_voxels *voxels, GError **error)
{
    struct gst_spconv_voxels *view = &slot->host_in;

    if (!gst_spconv_voxels_map(view, slot->in, GST_MAP_READ, self->input.feature_type,
                               self->input.num_features, error))
        return FALSE;
    voxels->features = view->features;
    voxels->indices = view->indices;
    voxels->num_voxels = view->num_voxels;
    slot->num_voxels = view->num_voxels;
    return TRUE;
}

static gboolean map_input(GstSpconvInfer *self, struct gst_spconv_infer_slot *slot,
                          struct spc_voxels *voxels)
{
    GError *error = NULL;

    slot->num_voxels = 0;
    if (!slot->in || (self->cuda_in ? map_cuda_input(self, slot, voxels, &error)
                                    : map_host_input(self, slot, voxels, &error)))
        return TRUE;
    GST_ELEMENT_ERROR(self, STREAM, FORMAT, ("Bad voxel frame: %s.", error->message), (NULL));
    g_clear_error(&error);
    return FALSE;
}

/* What is not pushed stays in the session, on the device where it is there. A sparse output in
 * system memory gets its memory when its size is known. */
static gboolean map_output(GstSpconvInfer *self, struct gst_spconv_infer_slot *slot)
{
    struct spc_output *output = &slot->outputs[self->output];
    gint i;

    memset(slot->outputs, 0, (gsize)(self->output + 1) * sizeof(*output));
    for (i = 0; i < self->output; i++)
        slot->outputs[i].memory = self->on_cuda ? SPC_MEMORY_CUDA : SPC_MEMORY_HOST;
    if (self->cuda_out && gst_spconv_cuda_map(&slot->cuda_out, slot->out, GST_MAP_WRITE)) {
        output->memory = SPC_MEMORY_CUDA;
        output->data = slot->cuda_out.blocks[0].data;
        output->capacity = slot->cuda_out.blocks[0].size;
    } else if (!self->cuda_out && !gst_buffer_n_memory(slot->out)) {
        return TRUE;
    } else if (!self->cuda_out && gst_buffer_map(slot->out, &slot->host_out, GST_MAP_WRITE)) {
        output->data = slot->host_out.data;
        output->capacity = slot->host_out.size;
    }
    if (output->capacity)
        return TRUE;
    GST_ELEMENT_ERROR(self, RESOURCE, WRITE, ("The output buffer cannot be mapped."), (NULL));
    return FALSE;
}

static void unmap(struct gst_spconv_infer_slot *slot)
{
    gst_spconv_voxels_unmap(&slot->host_in);
    if (slot->cuda_in.map.num_blocks)
        gst_spconv_cuda_voxels_unmap(&slot->cuda_in);
    if (slot->host_out.memory)
        gst_buffer_unmap(slot->out, &slot->host_out);
    memset(&slot->host_out, 0, sizeof(slot->host_out));
    if (slot->cuda_out.num_blocks)
        gst_spconv_cuda_unmap(&slot->cuda_out);
}

/* ------------------------------------------------------------------ sparse outputs ----------- */

/* The values are in place; the session keeps the rows of the indices. */
static gboolean take_cuda_sites(GstSpconvInfer *self, struct gst_spconv_infer_slot *slot)
{
    const struct spc_output *result = &slot->outputs[self->output];
    const GstMapInfo *blocks = slot->cuda_out.blocks;
    const gint32 count = (gint32)result->num_sites;

    if (gst_spconv_cuda_copy(self->cuda, blocks[1].data, result->indices,
                             (gsize)count * 4 * sizeof(gint32), FALSE) &&
        gst_spconv_cuda_copy(self->cuda, blocks[2].data, &count, sizeof(count), TRUE)) {
        gst_spconv_cuda_voxels_set_count(slot->out, count);
        return TRUE;
    }
    GST_ELEMENT_ERROR(self, LIBRARY, FAILED,
                      ("The indices of the output cannot be copied on the CUDA device: set the "
                       "pipeline to NULL and start it again."),
                      (NULL));
    return FALSE;
}

/* The session's sparse result as the payload of the output. */
static gboolean take_host_sites(GstSpconvInfer *self, struct gst_spconv_infer_slot *slot)
{
    const struct spc_output *result = &slot->outputs[self->output];
    const struct gst_spconv_voxels_info *info = &self->sites;
    struct gst_spconv_voxels view;
    GstBuffer *payload;

    payload = gst_spconv_voxels_new(NULL, info->feature_type, info->num_features,
                                    result->num_sites);
    if (!payload) {
        gst_spconv_post_no_memory(GST_ELEMENT(self), (guint64)result->num_sites);
        return FALSE;
    }
    if (!gst_spconv_voxels_map(&view, payload, GST_MAP_WRITE, info->feature_type,
                               info->num_features, NULL))
        g_return_val_if_reached(FALSE);
    memcpy(view.features, result->data, result->size);
    memcpy(view.indices, result->indices, (gsize)result->num_sites * 4 * sizeof(gint32));
    gst_spconv_voxels_unmap(&view);
    gst_buffer_copy_into(slot->out, payload, GST_BUFFER_COPY_MEMORY, 0, -1);
    gst_buffer_unref(payload);
    return TRUE;
}

static GstFlowReturn take_sites(GstSpconvInfer *self, struct gst_spconv_infer_slot *slot)
{
    GstFlowReturn flow;

    if (!slot->outputs[self->output].num_sites) {
        flow = gst_spconv_voxels_push_empty(GST_BASE_TRANSFORM_SRC_PAD(self), slot->out);
        return flow == GST_FLOW_OK ? GST_BASE_TRANSFORM_FLOW_DROPPED : flow;
    }
    return (self->cuda_out ? take_cuda_sites(self, slot) : take_host_sites(self, slot))
               ? GST_FLOW_OK
               : GST_FLOW_ERROR;
}

/* ------------------------------------------------------------------ begin and end ------------ */

static GstFlowReturn refuse(GstSpconvInfer *self, struct gst_spconv_infer_slot *slot,
                            const struct spc_error *error)
{
    unmap(slot);
    return gst_spconv_refuse_frame(GST_ELEMENT(self), error,
                                   self->overflow == GST_SPCONV_OVERFLOW_DROP_FRAME,
                                   &self->stats.dropped_overflow);
}

GstFlowReturn gst_spconv_infer_begin(GstSpconvInfer *self, struct gst_spconv_infer_slot *slot,
                                     GstBuffer *in, GstBuffer *out)
{
    struct spc_voxels voxels = {.feature_type = SPC_DTYPE_F32};
    struct spc_error error;
    enum spc_status status;

    slot->in = in;
    slot->out = out;
    slot->begin = gst_util_get_timestamp();
    if (in)
        voxels.feature_type = self->input.feature_type;
    if (!map_input(self, slot, &voxels) || !map_output(self, slot) ||
        !gst_spconv_enter_cuda(GST_ELEMENT(self), self->cuda)) {
        unmap(slot);
        return GST_FLOW_ERROR;
    }
    status =
        spc_session_submit(slot->session, &voxels, slot->outputs, self->output + 1, &error);
    gst_spconv_cuda_leave(self->cuda);
    slot->submitted = gst_util_get_timestamp();
    return status ? refuse(self, slot, &error) : GST_FLOW_OK;
}

/* Not counted: an empty frame, which computes nothing. */
static void count(GstSpconvInfer *self, const struct gst_spconv_infer_slot *slot)
{
    struct spc_session_info info;
    gint64 voxels = slot->num_voxels;

    if (!slot->in)
        return;
    if (voxels < 0) {
        spc_session_get_info(slot->session, &info);
        voxels = info.frame_voxels;
    }
    count_frame(self, voxels, gst_util_get_timestamp() - slot->begin);
}

GstFlowReturn gst_spconv_infer_end(GstSpconvInfer *self, struct gst_spconv_infer_slot *slot)
{
    gboolean sparse = gst_spconv_infer_get_contract(self).sparse;
    GstFlowReturn flow = GST_FLOW_OK;
    struct spc_error error;
    enum spc_status status;

    if (!gst_spconv_enter_cuda(GST_ELEMENT(self), self->cuda)) {
        unmap(slot);
        return GST_FLOW_ERROR;
    }
    status = spc_session_wait(slot->session, &error);
    gst_spconv_cuda_leave(self->cuda);
    if (status)
        return refuse(self, slot, &error);
    count(self, slot);
    if (sparse)
        flow = take_sites(self, slot);
    unmap(slot);
    if (!sparse)
        gst_spconv_add_tensor_meta(slot->out, &self->bev);
    return flow;
}

void gst_spconv_infer_abandon(GstSpconvInfer *self, struct gst_spconv_infer_slot *slot)
{
    if (gst_spconv_cuda_enter(self->cuda)) {
        spc_session_wait(slot->session, NULL);
        gst_spconv_cuda_leave(self->cuda);
    }
    unmap(slot);
}
