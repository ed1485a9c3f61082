/* SPDX-License-Identifier: MIT */
/**
 * SECTION:element-spconvinfer
 * @title: spconvinfer
 * @short_description: sparse-convolution network on lidar voxels
 *
 * Runs the 3D sparse backbone of a lidar detector (CenterPoint, BEVFusion and their relatives)
 * from its ONNX file: voxels in, a bird's-eye-view (BEV) tensor out.
 *
 * The model is loaded, planned and warmed up on the way to PAUSED. Caps that do not fit it (index
 * order, grid, features, voxel size, range) are refused with a message that names both sides.
 * A frame without voxels arrives as a GAP event and is answered with a BEV of zeros that is
 * flagged GAP, see #spconvinfer:empty-frames. A frame over a bound is an error, or is dropped
 * whole, see #spconvinfer:overflow; nothing is ever truncated. Frames that a synchronizing sink
 * would get too late are dropped before they are computed, unless qos is off. Drops are counted in
 * #spconvinfer:stats.
 *
 * ## CUDA
 *
 * With an NVIDIA GPU the model runs there, unless backend says otherwise, from and to either
 * memory. Voxels in `memory:CUDAMemory` are used in place: features, indices and, on the device,
 * their number. The output is in CUDA memory where downstream's caps name that: a sink that takes
 * anything gets system memory. Both memories are GStreamer's, so that an element which maps CUDA
 * memory as ever reads a copy of it. The context is shared (`gst.cuda.context`): the neighbours'
 * or the application's is taken, and so is that of voxels which come from another one. A frame is
 * finished when it is pushed: who reads it needs to wait for no stream. For voxels in system memory
 * upstream is offered pinned memory, which the GPU reads by itself.
 *
 * One frame is worked on at a time, and pushed as soon as it is done. With #spconvinfer:inflight
 * of 2 or more the next ones are uploaded and computed meanwhile: more frames a second, and each
 * frame up to so many times as long on its way. They leave in their order; events wait for the
 * frames in front of them.
 *
 * The output is `other/tensors` as NNStreamer defines it, with `bev-axes` (yx: rows are y) and
 * `range-mm` beside it where they are known. A sparse output is pushed as `application/x-voxels`.
 *
 * ## Example launch lines
 *
 * |[
 * gst-launch-1.0 lidartestsrc num-buffers=20 ! lidarvoxelize ! \
 *   spconvinfer model-file=model.onnx ! fakesink
 * ]| A synthetic lidar through a model; the voxelizer takes range and voxel size from the model.
 *
 * |[
 * gst-launch-1.0 -m lidarfilesrc location=features.tensor indices-location=indices.tensor \
 *   grid-size=41,1440,1440 loop=true ! \
 *   spconvinfer model-file=model.onnx stats-interval=1000 ! fakesink
 * ]| A recorded frame again and again, with statistics every second.
 *
 * |[
 * gst-launch-1.0 lidarfilesrc location=features.tensor indices-location=indices.tensor \
 *   grid-size=41,1440,1440 loop=true ! \
 *   spconvinfer model-file=model.onnx backend=cuda inflight=2 ! \
 *   'other/tensors(memory:CUDAMemory)' ! fakesink
 * ]| As many frames a second as a GPU can, the output in its memory.
 *
 * Since: 0.1
 */
#include "gstspconvinfer.h"
#include "gstspconvelements.h"
#include "gstspconverror.h"

#include <string.h>

GST_DEBUG_CATEGORY(gst_spconv_infer_debug);
#define GST_CAT_DEFAULT gst_spconv_infer_debug

G_DEFINE_TYPE(GstSpconvInfer, gst_spconv_infer, GST_TYPE_BASE_TRANSFORM)
GST_ELEMENT_REGISTER_DEFINE(spconvinfer, "spconvinfer", GST_RANK_NONE, GST_TYPE_SPCONV_INFER)

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE(
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS,
    GST_STATIC_CAPS(GST_SPCONV_VOXELS_TEMPLATE GST_SPCONV_CUDA_VOXELS_TEMPLATE));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS(GST_SPCONV_BEV_TEMPLATE GST_SPCONV_CUDA_BEV_TEMPLATE
                    "; " GST_SPCONV_VOXELS_TEMPLATE GST_SPCONV_CUDA_VOXELS_TEMPLATE));

/* ------------------------------------------------------------------ start and stop ----------- */

/* The base class calls stop only after a start that succeeded. */
static gboolean start(GstBaseTransform *trans)
{
    GstSpconvInfer *self = GST_SPCONV_INFER(trans);

    GST_OBJECT_LOCK(self);
    memset(&self->stats, 0, sizeof(self->stats));
    GST_OBJECT_UNLOCK(self);
    self->next_stats = 0;
    self->refused = FALSE;
    if (!gst_spconv_infer_load(self))
        return FALSE;
    gst_spconv_infer_flight_start(self);
    return TRUE;
}

static gboolean stop(GstBaseTransform *trans)
{
    GstSpconvInfer *self = GST_SPCONV_INFER(trans);

    gst_spconv_infer_flight_stop(self);
    gst_spconv_infer_unload(self);
    return TRUE;
}

static void set_context(GstElement *element, GstContext *context)
{
    GstSpconvInfer *self = GST_SPCONV_INFER(element);
    gint device;

    GST_OBJECT_LOCK(self);
    device = self->settings.cuda_device_id;
    GST_OBJECT_UNLOCK(self);
    gst_spconv_cuda_set_context(self->cuda, context, device);
    GST_ELEMENT_CLASS(gst_spconv_infer_parent_class)->set_context(element, context);
}

/* ------------------------------------------------------------------ events and queries ------- */

/* A GAP is an empty frame, unless it says that the data is missing: that one just travels on. */
static gboolean count_empty_frame(GstSpconvInfer *self, GstEvent *event)
{
    gboolean zeros;
    GstGapFlags flags = 0;

    gst_event_parse_gap_flags(event, &flags);
    if (flags & GST_GAP_FLAG_MISSING_DATA)
        return FALSE;
    GST_OBJECT_LOCK(self);
    self->stats.empty_frames++;
    zeros = self->settings.empty_frames == GST_SPCONV_EMPTY_ZEROS && !self->contract.sparse;
    GST_OBJECT_UNLOCK(self);
    return zeros && gst_pad_has_current_caps(GST_BASE_TRANSFORM_SRC_PAD(self));
}

/* The last word on the stream, where statistics are posted at all. */
static void post_final_stats(GstSpconvInfer *self)
{
    guint interval;

    GST_OBJECT_LOCK(self);
    interval = self->settings.stats_interval;
    GST_OBJECT_UNLOCK(self);
    if (interval)
        gst_spconv_infer_post_stats(self);
}

/* Takes the event. Its sender learns of a failure, but not of which: that is said here. */
static gboolean answer_empty_frame(GstSpconvInfer *self, GstEvent *event)
{
    GstClockTime pts, duration;
    GstFlowReturn flow;

    gst_event_parse_gap(event, &pts, &duration);
    gst_event_unref(event);
    flow = gst_spconv_infer_push_zeros(self, pts, duration);
    if (flow == GST_FLOW_NOT_LINKED || flow < GST_FLOW_EOS)
        GST_ELEMENT_FLOW_ERROR(self, flow);
    return flow == GST_FLOW_OK;
}

static gboolean stop_flushing(GstSpconvInfer *self, GstEvent *event)
{
    gboolean ok;

    gst_spconv_infer_drain(self);
    ok = GST_SPCONV_INFER_BASE->sink_event(GST_BASE_TRANSFORM(self), event);
    gst_spconv_infer_set_flushing(self, FALSE);
    return ok;
}

static gboolean end_stream(GstSpconvInfer *self, GstEvent *event)
{
    gst_spconv_infer_report_flow(self);
    post_final_stats(self);
    return GST_SPCONV_INFER_BASE->sink_event(GST_BASE_TRANSFORM(self), event);
}

static gboolean sink_event(GstBaseTransform *trans, GstEvent *event)
{
    GstSpconvInfer *self = GST_SPCONV_INFER(trans);

    if (GST_EVENT_IS_SERIALIZED(event))
        gst_spconv_infer_drain(self);
    switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_FLUSH_START:
        gst_spconv_infer_set_flushing(self, TRUE);
        break;
    case GST_EVENT_FLUSH_STOP:
        return stop_flushing(self, event);
    case GST_EVENT_STREAM_START:
    case GST_EVENT_SEGMENT:
        gst_spconv_infer_retry(self, GST_FLOW_EOS);
        break;
    case GST_EVENT_CAPS:
        return gst_spconv_infer_take_caps(self, event);
    case GST_EVENT_EOS:
        return end_stream(self, event);
    case GST_EVENT_GAP:
        if (count_empty_frame(self, event))
            return answer_empty_frame(self, event);
        break;
    default:
        break;
    }
    return GST_SPCONV_INFER_BASE->sink_event(trans, event);
}

static gboolean src_event(GstBaseTransform *trans, GstEvent *event)
{
    if (GST_EVENT_TYPE(event) == GST_EVENT_RECONFIGURE) /* as when the pad is linked */
        gst_spconv_infer_retry(GST_SPCONV_INFER(trans), GST_FLOW_NOT_LINKED);
    return GST_SPCONV_INFER_BASE->src_event(trans, event);
}

static gboolean answer_caps(GstSpconvInfer *self, GstQuery *query)
{
    GstCaps *filter, *caps;

    gst_query_parse_caps(query, &filter);
    caps = gst_spconv_infer_get_sink_caps(self, filter);
    gst_query_set_caps_result(query, caps);
    gst_caps_unref(caps);
    return TRUE;
}

static gboolean query(GstBaseTransform *trans, GstPadDirection direction, GstQuery *query)
{
    GstSpconvInfer *self = GST_SPCONV_INFER(trans);
    GstClockTime own;

    if (GST_QUERY_TYPE(query) == GST_QUERY_CONTEXT && gst_spconv_cuda_answer(self->cuda, query))
        return TRUE;
    if (direction == GST_PAD_SINK && GST_QUERY_IS_SERIALIZED(query))
        gst_spconv_infer_drain(self);
    if (direction == GST_PAD_SINK && GST_QUERY_TYPE(query) == GST_QUERY_CAPS)
        return answer_caps(self, query);
    if (direction != GST_PAD_SRC || GST_QUERY_TYPE(query) != GST_QUERY_LATENCY)
        return GST_SPCONV_INFER_BASE->query(trans, direction, query);
    GST_OBJECT_LOCK(self);
    own = self->stats.latency;
    GST_OBJECT_UNLOCK(self);
    return gst_spconv_answer_latency(trans->sinkpad, query, own);
}

/* ------------------------------------------------------------------ class -------------------- */

static void finalize(GObject *object)
{
    GstSpconvInfer *self = GST_SPCONV_INFER(object);

    gst_spconv_infer_settings_clear(&self->settings);
    gst_spconv_infer_flight_clear(self);
    gst_spconv_cuda_free(&self->cuda);
    G_OBJECT_CLASS(gst_spconv_infer_parent_class)->finalize(object);
}

static void gst_spconv_infer_init(GstSpconvInfer *self)
{
    gst_spconv_infer_settings_init(&self->settings);
    gst_spconv_infer_flight_init(self);
    self->cuda = gst_spconv_cuda_new(GST_ELEMENT(self));
    gst_base_transform_set_qos_enabled(GST_BASE_TRANSFORM(self), TRUE);
}

static void gst_spconv_infer_class_init(GstSpconvInferClass *klass)
{
    GstElementClass *element = GST_ELEMENT_CLASS(klass);
    GstBaseTransformClass *trans = GST_BASE_TRANSFORM_CLASS(klass);

    GST_DEBUG_CATEGORY_INIT(gst_spconv_infer_debug, "spconvinfer", 0,
                            "sparse-convolution inference");
    gst_element_class_set_static_metadata(
        element, "Sparse-convolution inference", "Filter/Tensor/Hardware",
        "Runs a lidar detector's 3D sparse-convolution backbone (ONNX): voxels to a "
        "bird's-eye-view "
        "tensor. Example: gst-launch-1.0 lidartestsrc num-buffers=20 ! lidarvoxelize ! spconvinfer "
        "model-file=model.onnx ! fakesink",
        GST_SPCONV_AUTHOR);
    gst_element_class_add_static_pad_template(element, &sink_template);
    gst_element_class_add_static_pad_template(element, &src_template);

    G_OBJECT_CLASS(klass)->finalize = finalize;
    gst_spconv_infer_install_properties(G_OBJECT_CLASS(klass));
    gst_spconv_infer_install_negotiation(trans);
    gst_spconv_infer_install_allocation(trans);
    gst_spconv_infer_install_flight(trans);
    element->set_context = set_context;
    trans->start = start;
    trans->stop = stop;
    trans->sink_event = sink_event;
    trans->src_event = src_event;
    trans->query = query;
}
