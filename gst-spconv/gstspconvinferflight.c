/* SPDX-License-Identifier: MIT */
/* Frames of spconvinfer in flight: which frame runs when, and who pushes it. */
#include "gstspconverror.h"
#include "gstspconvinfer.h"

#define GST_CAT_DEFAULT gst_spconv_infer_debug

/* ------------------------------------------------------------------ the task ----------------- */

/* Finishes the oldest frame; its slot is free before the result is pushed. */
static GstFlowReturn land(GstSpconvInfer *self, gboolean drop, GstBuffer **out)
{
    struct gst_spconv_infer_flight *flight = &self->flight;
    struct gst_spconv_infer_slot *slot = &self->slots[flight->first];
    gboolean discont = slot->discont;
    GstFlowReturn flow = GST_FLOW_OK;

    if (drop)
        gst_spconv_infer_abandon(self, slot);
    else
        flow = gst_spconv_infer_end(self, slot);
    gst_clear_buffer(&slot->in);
    *out = g_steal_pointer(&slot->out);
    if (drop || flow != GST_FLOW_OK)
        gst_clear_buffer(out);
    g_mutex_lock(&flight->lock);
    flight->first = (flight->first + 1) % self->num_slots;
    flight->count--;
    flight->pushing = TRUE;
    discont |= flight->lost;
    flight->lost = flow == GST_BASE_TRANSFORM_FLOW_DROPPED;
    g_cond_broadcast(&flight->changed);
    g_mutex_unlock(&flight->lock);
    if (*out && discont)
        GST_BUFFER_FLAG_SET(*out, GST_BUFFER_FLAG_DISCONT);
    return flow;
}

/* Frames that wait while downstream holds one, from `since` on: that is no latency of ours, and if
 * it were said to be, a sink would hold the next one longer still. */
static void excuse_waiting(GstSpconvInfer *self, GstClockTime since)
{
    const GstClockTime now = gst_util_get_timestamp();
    guint i;

    for (i = 0; i < self->flight.count; i++) {
        struct gst_spconv_infer_slot *slot =
            &self->slots[(self->flight.first + i) % self->num_slots];

        slot->begin += now - MAX(since, slot->submitted);
    }
}

/* The src pad's task: one frame. */
static void fly(gpointer user)
{
    GstSpconvInfer *self = user;
    struct gst_spconv_infer_flight *flight = &self->flight;
    GstFlowReturn flow;
    gboolean stopping, drop, failed;
    GstBuffer *out = NULL;
    GstClockTime since;

    g_mutex_lock(&flight->lock);
    while (!flight->count && !flight->stopping)
        g_cond_wait(&flight->changed, &flight->lock);
    stopping = flight->stopping;
    drop = flight->flushing || flight->flow != GST_FLOW_OK;
    g_mutex_unlock(&flight->lock);
    if (stopping) {
        gst_pad_pause_task(GST_BASE_TRANSFORM_SRC_PAD(self));
        return;
    }
    flow = land(self, drop, &out);
    failed = flow != GST_FLOW_OK; /* and said so */
    since = gst_util_get_timestamp();
    if (out)
        flow = gst_pad_push(GST_BASE_TRANSFORM_SRC_PAD(self), out);
    g_mutex_lock(&flight->lock);
    flight->pushing = FALSE;
    excuse_waiting(self, since);
    if (flow != GST_FLOW_OK && flow != GST_BASE_TRANSFORM_FLOW_DROPPED && !flight->flushing) {
        flight->flow = flow;
        flight->reported = failed;
    }
    g_cond_broadcast(&flight->changed);
    g_mutex_unlock(&flight->lock);
}

/* ------------------------------------------------------------------ start, stop, flush ------- */

/* On deactivation whoever waits is woken: the pad then waits for its task to let go. */
static gboolean activate_src(GstPad *pad, GstObject *parent, GstPadMode mode, gboolean active)
{
    GstSpconvInfer *self = GST_SPCONV_INFER(parent);

    g_mutex_lock(&self->flight.lock);
    self->flight.stopping = !active;
    g_cond_broadcast(&self->flight.changed);
    g_mutex_unlock(&self->flight.lock);
    if (active && GST_PAD_TASK(pad)) /* it was inactive between start and stop */
        gst_pad_start_task(pad, fly, self, NULL);
    return self->flight.activate_base(pad, parent, mode, active);
}

void gst_spconv_infer_flight_init(GstSpconvInfer *self)
{
    GstPad *pad = GST_BASE_TRANSFORM_SRC_PAD(self);

    g_mutex_init(&self->flight.lock);
    g_cond_init(&self->flight.changed);
    self->flight.activate_base = GST_PAD_ACTIVATEMODEFUNC(pad);
    gst_pad_set_activatemode_function(pad, activate_src);
}

void gst_spconv_infer_flight_clear(GstSpconvInfer *self)
{
    g_mutex_clear(&self->flight.lock);
    g_cond_clear(&self->flight.changed);
}

void gst_spconv_infer_flight_start(GstSpconvInfer *self)
{
    struct gst_spconv_infer_flight *flight = &self->flight;

    flight->first = flight->count = 0;
    flight->pushing = FALSE;
    gst_spconv_infer_set_flushing(self, FALSE);
    if (self->num_slots > 1)
        gst_pad_start_task(GST_BASE_TRANSFORM_SRC_PAD(self), fly, self, NULL);
}

void gst_spconv_infer_flight_stop(GstSpconvInfer *self)
{
    struct gst_spconv_infer_flight *flight = &self->flight;

    g_mutex_lock(&flight->lock);
    flight->stopping = TRUE;
    g_cond_broadcast(&flight->changed);
    g_mutex_unlock(&flight->lock);
    gst_pad_stop_task(GST_BASE_TRANSFORM_SRC_PAD(self));
    for (; flight->count; flight->count--) {
        struct gst_spconv_infer_slot *slot = &self->slots[flight->first];

        gst_spconv_infer_abandon(self, slot);
        gst_clear_buffer(&slot->in);
        gst_clear_buffer(&slot->out);
        flight->first = (flight->first + 1) % self->num_slots;
    }
}

void gst_spconv_infer_drain(GstSpconvInfer *self)
{
    struct gst_spconv_infer_flight *flight = &self->flight;

    g_mutex_lock(&flight->lock);
    while ((flight->count || flight->pushing) && !flight->stopping)
        g_cond_wait(&flight->changed, &flight->lock);
    g_mutex_unlock(&flight->lock);
}

void gst_spconv_infer_set_flushing(GstSpconvInfer *self, gboolean flushing)
{
    struct gst_spconv_infer_flight *flight = &self->flight;

    g_mutex_lock(&flight->lock);
    flight->flushing = flushing;
    if (!flushing) {
        flight->flow = GST_FLOW_OK;
        flight->lost = flight->reported = FALSE;
        self->lost = FALSE;
    }
    g_cond_broadcast(&flight->changed);
    g_mutex_unlock(&flight->lock);
}

void gst_spconv_infer_retry(GstSpconvInfer *self, GstFlowReturn flow)
{
    struct gst_spconv_infer_flight *flight = &self->flight;

    g_mutex_lock(&flight->lock);
    if (flight->flow == flow) {
        flight->flow = GST_FLOW_OK;
        flight->reported = FALSE;
    }
    g_mutex_unlock(&flight->lock);
}

void gst_spconv_infer_report_flow(GstSpconvInfer *self)
{
    struct gst_spconv_infer_flight *flight = &self->flight;
    GstFlowReturn flow;

    g_mutex_lock(&flight->lock);
    flow = flight->reported ? GST_FLOW_OK : flight->flow;
    flight->reported = TRUE;
    g_mutex_unlock(&flight->lock);
    if (flow == GST_FLOW_NOT_LINKED || flow < GST_FLOW_EOS)
        GST_ELEMENT_FLOW_ERROR(self, flow);
}

/* ------------------------------------------------------------------ frames come in ----------- */

/* A free slot, or NULL and why there is none. */
static struct gst_spconv_infer_slot *wait_for_slot(GstSpconvInfer *self, GstFlowReturn *flow)
{
    struct gst_spconv_infer_flight *flight = &self->flight;
    struct gst_spconv_infer_slot *slot;

    g_mutex_lock(&flight->lock);
    while (flight->count == self->num_slots && !flight->stopping && !flight->flushing)
        g_cond_wait(&flight->changed, &flight->lock);
    *flow = flight->stopping || flight->flushing ? GST_FLOW_FLUSHING : flight->flow;
    flight->reported |= *flow != GST_FLOW_OK && *flow != GST_FLOW_FLUSHING;
    slot = &self->slots[(flight->first + flight->count) % self->num_slots];
    g_mutex_unlock(&flight->lock);
    return *flow == GST_FLOW_OK ? slot : NULL;
}

static void take_off(GstSpconvInfer *self)
{
    struct gst_spconv_infer_flight *flight = &self->flight;

    g_mutex_lock(&flight->lock);
    flight->count++;
    g_cond_broadcast(&flight->changed);
    g_mutex_unlock(&flight->lock);
}

/* Takes both buffers. */
static GstFlowReturn submit(GstSpconvInfer *self, GstBuffer *in, GstBuffer *out)
{
    GstFlowReturn flow;
    struct gst_spconv_infer_slot *slot = wait_for_slot(self, &flow);

    if (slot) {
        slot->discont = self->lost;
        flow = gst_spconv_infer_begin(self, slot, in, out);
        self->lost = flow != GST_FLOW_OK;
    }
    if (flow == GST_FLOW_OK) {
        take_off(self);
    } else {
        gst_buffer_unref(in);
        gst_buffer_unref(out);
    }
    return flow;
}

/* Voxels in the memory of another context: the sessions go there. */
static gboolean follow_context(GstSpconvInfer *self, GstBuffer *in)
{
    GstBaseTransform *trans = GST_BASE_TRANSFORM(self);

    if (!self->cuda_in || !gst_spconv_cuda_is_memory(in) ||
        (self->slots[0].session && gst_spconv_cuda_owns(self->cuda, in)))
        return TRUE;
    gst_spconv_infer_drain(self);
    if (!gst_spconv_infer_follow_context(self, in))
        return FALSE;
    gst_base_transform_reconfigure_src(trans);
    return gst_base_transform_reconfigure(trans);
}

static GstFlowReturn submit_input_buffer(GstBaseTransform *trans, gboolean is_discont,
                                         GstBuffer *in)
{
    GstSpconvInfer *self = GST_SPCONV_INFER(trans);
    GstFlowReturn flow;

    if (gst_pad_needs_reconfigure(trans->srcpad))
        gst_spconv_infer_drain(self);
    flow = GST_SPCONV_INFER_BASE->submit_input_buffer(trans, is_discont, in);
    if (flow == GST_BASE_TRANSFORM_FLOW_DROPPED) { /* late: the base class says it in a message */
        gst_spconv_count(GST_OBJECT(self), &self->stats.dropped_late);
        self->lost = TRUE;
    }
    if (flow == GST_FLOW_OK && !follow_context(self, trans->queued_buf)) {
        gst_clear_buffer(&trans->queued_buf);
        flow = GST_FLOW_ERROR;
    }
    return flow;
}

/* Outputs whose size is known come from the pool. */
static GstFlowReturn prepare_output_buffer(GstBaseTransform *trans, GstBuffer *in, GstBuffer **out)
{
    GstSpconvInfer *self = GST_SPCONV_INFER(trans);
    GstFlowReturn flow;

    if (gst_spconv_infer_get_contract(self).sparse && !self->cuda_out) {
        *out = gst_buffer_new();
        GST_SPCONV_INFER_BASE->copy_metadata(trans, in, *out);
        return GST_FLOW_OK;
    }
    flow = GST_SPCONV_INFER_BASE->prepare_output_buffer(trans, in, out);
    if (flow == GST_FLOW_ERROR)
        GST_ELEMENT_ERROR(self, RESOURCE, NO_SPACE_LEFT,
                          ("There is no memory for an output frame: let fewer frames wait behind "
                           "this element, or lower inflight."),
                          (NULL));
    return flow;
}

static GstFlowReturn transform(GstBaseTransform *trans, GstBuffer *in, GstBuffer *out)
{
    GstSpconvInfer *self = GST_SPCONV_INFER(trans);
    GstFlowReturn flow = gst_spconv_infer_begin(self, &self->slots[0], in, out);

    return flow == GST_FLOW_OK ? gst_spconv_infer_end(self, &self->slots[0]) : flow;
}

/* With several sessions the result is pushed by the task, in its time. */
static GstFlowReturn generate_output(GstBaseTransform *trans, GstBuffer **result)
{
    GstSpconvInfer *self = GST_SPCONV_INFER(trans);
    GstBuffer *in, *out = NULL;
    GstFlowReturn flow;

    if (self->num_slots == 1)
        return GST_SPCONV_INFER_BASE->generate_output(trans, result);
    *result = NULL;
    in = g_steal_pointer(&trans->queued_buf);
    if (!in)
        return GST_FLOW_OK;
    flow = prepare_output_buffer(trans, in, &out);
    if (flow == GST_FLOW_OK)
        return submit(self, in, out);
    gst_buffer_unref(in);
    return flow;
}

GstFlowReturn gst_spconv_infer_push_zeros(GstSpconvInfer *self, GstClockTime pts,
                                          GstClockTime duration)
{
    GstBaseTransform *trans = GST_BASE_TRANSFORM(self);
    GstBuffer *out = NULL;
    GstBufferPool *pool;
    GstFlowReturn flow;

    if (!gst_base_transform_reconfigure(trans) || !self->slots[0].session)
        return GST_FLOW_NOT_NEGOTIATED;
    pool = gst_base_transform_get_buffer_pool(trans);
    if (!pool)
        return GST_FLOW_FLUSHING;
    flow = gst_buffer_pool_set_active(pool, TRUE) ? gst_buffer_pool_acquire_buffer(pool, &out, NULL)
                                                  : GST_FLOW_ERROR;
    gst_object_unref(pool);
    if (flow == GST_FLOW_OK)
        flow = transform(trans, NULL, out);
    if (flow != GST_FLOW_OK) {
        gst_clear_buffer(&out);
        return flow;
    }
    GST_BUFFER_PTS(out) = pts;
    GST_BUFFER_DURATION(out) = duration;
    GST_BUFFER_FLAG_SET(out, GST_BUFFER_FLAG_GAP);
    return gst_pad_push(GST_BASE_TRANSFORM_SRC_PAD(self), out);
}

void gst_spconv_infer_install_flight(GstBaseTransformClass *klass)
{
    klass->submit_input_buffer = submit_input_buffer;
    klass->prepare_output_buffer = prepare_output_buffer;
    klass->transform = transform;
    klass->generate_output = generate_output;
}
