/* SPDX-License-Identifier: MIT */
/* Memory of spconvinfer's buffers: what upstream is offered, and the pool of outputs. */
#include "gstspconvinfer.h"

#define GST_CAT_DEFAULT gst_spconv_infer_debug

/* For the widest stores of the engine. */
#define ALIGN_MASK 63

/* A pool for outputs whose size is known. It keeps its pages, 33 MB of them for CenterPoint. In
 * system memory they are pinned, where the device writes them: the copy then runs behind the frame,
 * beside the next one; to other memory it would begin when the frame has been waited for. */
static GstBufferPool *make_pool(GstSpconvInfer *self, gsize *size)
{
    GstBufferPool *pool = NULL;

    if (gst_spconv_infer_get_contract(self).sparse)
        return gst_spconv_cuda_voxels_pool_new(self->cuda, NULL, self->sites.feature_type,
                                               self->sites.num_features, self->sites.max_voxels,
                                               size);
    *size = gst_spconv_bev_info_size(&self->bev);
    if (gst_spconv_cuda_is_open(self->cuda))
        pool = gst_spconv_cuda_pool_new(
            self->cuda, self->cuda_out ? GST_SPCONV_CUDA_DEVICE : GST_SPCONV_CUDA_PINNED, NULL,
            size, 1);
    return pool ? pool : gst_buffer_pool_new();
}

/* The buffers are made here, where the first frame does not wait for them. */
static gboolean activate_pool(GstSpconvInfer *self, GstBufferPool *pool, gsize size)
{
    if (gst_buffer_pool_set_active(pool, TRUE))
        return TRUE;
    GST_ELEMENT_ERROR(self, RESOURCE, NO_SPACE_LEFT,
                      ("There is no memory for output frames of %" G_GSIZE_FORMAT
                       " bytes: lower inflight, or free memory of other programs.",
                       size),
                      (NULL));
    return FALSE;
}

/* Voxels in such memory are read by the device, without a copy on the host. */
static gboolean propose_allocation(GstBaseTransform *trans, GstQuery *decided, GstQuery *query)
{
    GstSpconvInfer *self = GST_SPCONV_INFER(trans);

    if (!self->cuda_in && self->on_cuda)
        gst_spconv_cuda_offer_pinned(self->cuda, query);
    return GST_SPCONV_INFER_BASE->propose_allocation(trans, decided, query);
}

/* Where the pad is not active a drain leaves frames in flight. */
static gboolean is_idle(GstSpconvInfer *self)
{
    gboolean idle;

    g_mutex_lock(&self->flight.lock);
    idle = !self->flight.count && self->slots[0].session;
    g_mutex_unlock(&self->flight.lock);
    return idle;
}

/* An empty frame into each buffer, since the first that goes into one takes longer. What fails here
 * fails there, too. */
static void touch_buffers(GstSpconvInfer *self, GstBufferPool *pool, guint count)
{
    GstBuffer *buffers[GST_SPCONV_INFER_MAX_INFLIGHT + 2] = {NULL};
    struct gst_spconv_infer_slot *slot = &self->slots[0];
    guint i;

    for (i = 0; i < count; i++)
        if (gst_buffer_pool_acquire_buffer(pool, &buffers[i], NULL) != GST_FLOW_OK ||
            gst_spconv_infer_begin(self, slot, NULL, buffers[i]) != GST_FLOW_OK ||
            gst_spconv_infer_end(self, slot) != GST_FLOW_OK)
            break;
    for (i = 0; i < count; i++)
        gst_clear_buffer(&buffers[i]);
}

static gboolean decide_allocation(GstBaseTransform *trans, GstQuery *query)
{
    GstSpconvInfer *self = GST_SPCONV_INFER(trans);
    GstAllocationParams params = {.align = ALIGN_MASK};
    guint buffers = self->num_slots + (self->num_slots > 1 ? 2 : 1);
    GstBufferPool *pool;
    gsize size;
    gboolean ok;

    gst_spconv_infer_drain(self); /* caps that stay the same bring it here without set_caps */
    if (gst_spconv_infer_get_contract(self).sparse && !self->cuda_out)
        return GST_SPCONV_INFER_BASE->decide_allocation(trans, query);
    if (gst_query_get_n_allocation_params(query))
        gst_query_set_nth_allocation_param(query, 0, NULL, &params);
    else
        gst_query_add_allocation_param(query, NULL, &params);
    pool = make_pool(self, &size);
    if (gst_query_get_n_allocation_pools(query))
        gst_query_set_nth_allocation_pool(query, 0, pool, (guint)size, buffers, 0);
    else
        gst_query_add_allocation_pool(query, pool, (guint)size, buffers, 0);
    ok = GST_SPCONV_INFER_BASE->decide_allocation(trans, query) && activate_pool(self, pool, size);
    if (ok && self->on_cuda && !gst_spconv_infer_get_contract(self).sparse && is_idle(self))
        touch_buffers(self, pool, buffers);
    gst_object_unref(pool);
    return ok;
}

void gst_spconv_infer_install_allocation(GstBaseTransformClass *klass)
{
    klass->propose_allocation = propose_allocation;
    klass->decide_allocation = decide_allocation;
}
