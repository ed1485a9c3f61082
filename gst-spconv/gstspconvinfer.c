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
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS(GST_SPCONV_VOXELS_TEMPLATE));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS(GST_SPCONV_BEV_TEMPLATE "; " GST_SPCONV_VOXELS_TEMPLATE));

/* ------------------------------------------------------------------ start and stop ----------- */

static void log_engine(void *user, enum spc_log_level level, const char *message)
{
    static const GstDebugLevel levels[] = {
        [SPC_LOG_ERROR] = GST_LEVEL_ERROR,
        [SPC_LOG_WARNING] = GST_LEVEL_WARNING,
        [SPC_LOG_INFO] = GST_LEVEL_INFO,
        [SPC_LOG_DEBUG] = GST_LEVEL_DEBUG,
    };

    GST_CAT_LEVEL_LOG(GST_CAT_DEFAULT, levels[level], GST_OBJECT(user), "%s", message);
}

/* The contract stays: what is upstream runs on for a moment, and shall not be told that anything
 * goes when it asks. */
static void unload(GstSpconvInfer *self)
{
    g_clear_pointer(&self->outputs, g_free);
    spc_session_free(&self->session);
    spc_model_free(&self->model);
}

static gboolean load_model(GstSpconvInfer *self, const struct gst_spconv_infer_settings *settings)
{
    struct spc_model_options options;
    struct spc_error error;

    if (!settings->model_file || !settings->model_file[0]) {
        GST_ELEMENT_ERROR(self, RESOURCE, NOT_FOUND, ("There is no model: set model-file."),
                          (NULL));
        return FALSE;
    }
    if (!g_file_test(settings->model_file, G_FILE_TEST_EXISTS)) {
        GST_ELEMENT_ERROR(self, RESOURCE, NOT_FOUND,
                          ("Model file \"%s\" does not exist.", settings->model_file), (NULL));
        return FALSE;
    }
    spc_model_options_default(&options);
    options.index_order = settings->index_order;
    options.log = log_engine;
    options.log_user = self;
    if (spc_model_load_file(settings->model_file, &options, &self->model, &error)) {
        gst_spconv_post_error(GST_ELEMENT(self), &error);
        return FALSE;
    }
    return TRUE;
}

/* The output to push: the one that is named, else the first dense one, else the first. */
static gboolean choose_output(GstSpconvInfer *self, const gchar *name)
{
    gint count = spc_session_num_outputs(self->session), i;
    GString *names = g_string_new(NULL);
    struct spc_output_info info;

    self->output = name ? -1 : 0;
    for (i = 0; i < count; i++) {
        spc_session_get_output(self->session, i, &info, NULL, NULL, NULL);
        g_string_append_printf(names, "%s%s", i ? ", " : "", info.name);
        if (name ? g_str_equal(info.name, name) : info.kind == SPC_OUTPUT_DENSE) {
            self->output = i;
            break;
        }
    }
    if (self->output < 0)
        GST_ELEMENT_ERROR(
            self, RESOURCE, SETTINGS,
            ("The model has no output \"%s\", its outputs are: %s.", name, names->str), (NULL));
    g_string_free(names, TRUE);
    if (self->output >= 0)
        self->outputs = g_new0(struct spc_output, self->output + 1);
    return self->output >= 0;
}

static gboolean create_session(GstSpconvInfer *self,
                               const struct gst_spconv_infer_settings *settings)
{
    struct spc_session_options options;
    struct spc_error error;

    spc_session_options_default(&options);
    options.backend = gst_spconv_backend_name(settings->backend);
    options.device = settings->cuda_device_id;
    options.precision = settings->precision;
    options.threads = (int)settings->threads;
    options.max_voxels = settings->max_voxels;
    options.site_bound = settings->site_bound;
    options.output_type =
        settings->output_type == SPC_DTYPE_NONE ? SPC_DTYPE_F32 : settings->output_type;
    options.cuda_graph = settings->cuda_graph;
    options.log = log_engine;
    options.log_user = self;
    if (spc_session_create(self->model, &options, &self->session, &error)) {
        gst_spconv_post_error(GST_ELEMENT(self), &error);
        return FALSE;
    }
    self->overflow = settings->overflow;
    return choose_output(self, settings->output);
}

static struct gst_spconv_infer_settings copy_settings(GstSpconvInfer *self)
{
    struct gst_spconv_infer_settings settings;

    GST_OBJECT_LOCK(self);
    settings = self->settings;
    settings.model_file = g_strdup(settings.model_file);
    settings.output = g_strdup(settings.output);
    GST_OBJECT_UNLOCK(self);
    return settings;
}

/* The base class calls stop only after a start that succeeded. */
static gboolean start(GstBaseTransform *trans)
{
    GstSpconvInfer *self = GST_SPCONV_INFER(trans);
    struct gst_spconv_infer_settings settings = copy_settings(self);
    gboolean ok = load_model(self, &settings) && create_session(self, &settings) &&
                  gst_spconv_infer_warm_up(self);

    gst_spconv_infer_settings_clear(&settings);
    if (!ok) {
        unload(self);
        return FALSE;
    }
    self->next_stats = 0;
    self->refused = FALSE;
    gst_spconv_infer_set_contract(self);
    return TRUE;
}

static gboolean stop(GstBaseTransform *trans)
{
    unload(GST_SPCONV_INFER(trans));
    return TRUE;
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

static gboolean sink_event(GstBaseTransform *trans, GstEvent *event)
{
    GstSpconvInfer *self = GST_SPCONV_INFER(trans);

    if (GST_EVENT_TYPE(event) == GST_EVENT_CAPS)
        return gst_spconv_infer_take_caps(self, event);
    if (GST_EVENT_TYPE(event) == GST_EVENT_EOS)
        post_final_stats(self);
    if (GST_EVENT_TYPE(event) == GST_EVENT_GAP && count_empty_frame(self, event))
        return answer_empty_frame(self, event);
    return GST_SPCONV_INFER_BASE->sink_event(trans, event);
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
    gst_spconv_infer_settings_clear(&GST_SPCONV_INFER(object)->settings);
    G_OBJECT_CLASS(gst_spconv_infer_parent_class)->finalize(object);
}

static void gst_spconv_infer_init(GstSpconvInfer *self)
{
    gst_spconv_infer_settings_init(&self->settings);
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
    gst_spconv_infer_install_frames(trans);
    trans->start = start;
    trans->stop = stop;
    trans->sink_event = sink_event;
    trans->query = query;
}
