/* SPDX-License-Identifier: MIT */
/* Properties of spconvinfer. */
#include "gstspconvinfer.h"
#include "gstspconvproperties.h"

#define DEFAULT_MAX_VOXELS 200000

enum {
    PROP_0,
    PROP_MODEL_FILE,
    PROP_OUTPUT,
    PROP_BACKEND,
    PROP_PRECISION,
    PROP_INDEX_ORDER,
    PROP_OUTPUT_TYPE,
    PROP_OVERFLOW,
    PROP_EMPTY_FRAMES,
    PROP_CUDA_GRAPH,
    PROP_CUDA_DEVICE_ID,
    PROP_AUX_STREAM,
    PROP_SORT_MASK,
    PROP_FIXED_LAUNCH_POINTS,
    PROP_TUNING_CACHE,
    PROP_THREADS,
    PROP_INFLIGHT,
    PROP_MAX_VOXELS,
    PROP_SITE_BOUND,
    PROP_STATS_INTERVAL,
    PROP_STATS,
};

/* Where the property's value is kept in the settings. */
static const gsize members[] = {
#define MEMBER(id, name) [id] = G_STRUCT_OFFSET(struct gst_spconv_infer_settings, name)
    MEMBER(PROP_MODEL_FILE, model_file),   MEMBER(PROP_OUTPUT, output),
    MEMBER(PROP_BACKEND, backend),         MEMBER(PROP_PRECISION, precision),
    MEMBER(PROP_INDEX_ORDER, index_order), MEMBER(PROP_OUTPUT_TYPE, output_type),
    MEMBER(PROP_OVERFLOW, overflow),       MEMBER(PROP_EMPTY_FRAMES, empty_frames),
    MEMBER(PROP_CUDA_GRAPH, cuda_graph),   MEMBER(PROP_CUDA_DEVICE_ID, cuda_device_id),
    MEMBER(PROP_AUX_STREAM, aux_stream),   MEMBER(PROP_SORT_MASK, sort_mask),
    MEMBER(PROP_THREADS, threads),         MEMBER(PROP_INFLIGHT, inflight),
    MEMBER(PROP_MAX_VOXELS, max_voxels),   MEMBER(PROP_SITE_BOUND, site_bound),
    MEMBER(PROP_TUNING_CACHE, tuning_cache), MEMBER(PROP_STATS_INTERVAL, stats_interval),
    MEMBER(PROP_FIXED_LAUNCH_POINTS, fixed_launch_points),
#undef MEMBER
};

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
    GstSpconvInfer *self = GST_SPCONV_INFER(object);

    GST_OBJECT_LOCK(self);
    if (!gst_spconv_property_is_fixed(GST_ELEMENT(self), pspec)) {
        gst_spconv_property_store((guint8 *)&self->settings + members[id], value);
        if (pspec->flags & GST_PARAM_MUTABLE_READY)
            self->contract.loaded = FALSE;
    }
    GST_OBJECT_UNLOCK(self);
}

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
    GstSpconvInfer *self = GST_SPCONV_INFER(object);

    (void)pspec;
    if (id == PROP_STATS) { /* takes the lock itself */
        g_value_take_boxed(value, gst_spconv_infer_describe(self));
        return;
    }
    GST_OBJECT_LOCK(self);
    gst_spconv_property_load((guint8 *)&self->settings + members[id], value);
    GST_OBJECT_UNLOCK(self);
}

void gst_spconv_infer_settings_init(struct gst_spconv_infer_settings *settings)
{
    *settings = (struct gst_spconv_infer_settings){
        .cuda_graph = TRUE,
        .aux_stream = TRUE,
        .cuda_device_id = -1,
        .inflight = 1,
        .max_voxels = DEFAULT_MAX_VOXELS,
    };
}

void gst_spconv_infer_settings_clear(struct gst_spconv_infer_settings *settings)
{
    g_clear_pointer(&settings->model_file, g_free);
    g_clear_pointer(&settings->output, g_free);
    g_clear_pointer(&settings->tuning_cache, g_free);
}

struct gst_spconv_infer_settings gst_spconv_infer_settings_copy(GstSpconvInfer *self)
{
    struct gst_spconv_infer_settings settings;

    GST_OBJECT_LOCK(self);
    settings = self->settings;
    settings.model_file = g_strdup(settings.model_file);
    settings.output = g_strdup(settings.output);
    settings.tuning_cache = g_strdup(settings.tuning_cache);
    GST_OBJECT_UNLOCK(self);
    return settings;
}

GstStructure *gst_spconv_infer_describe(GstSpconvInfer *self)
{
    GstStructure *structure = gst_structure_new_empty("spconvinfer-stats");

    GST_OBJECT_LOCK(self);
    gst_spconv_stats_describe(&self->stats, structure);
    if (self->session_info.backend[0]) { /* stays for who reads it after the end */
        const struct spc_session_info *info = &self->session_info;

        gst_structure_set(structure, "backend", G_TYPE_STRING, info->backend, "device",
                          G_TYPE_STRING, info->device, "isa", G_TYPE_STRING, info->isa, "precision",
                          G_TYPE_STRING, spc_precision_name(info->precision), "threads", G_TYPE_INT,
                          info->threads, "host-bytes", G_TYPE_UINT64, (guint64)info->host_bytes,
                          "device-bytes", G_TYPE_UINT64, (guint64)info->device_bytes,
                          "shared-bytes", G_TYPE_UINT64, (guint64)info->shared_bytes, NULL);
    }
    GST_OBJECT_UNLOCK(self);
    return structure;
}

static void install_model_properties(GObjectClass *klass)
{
    g_object_class_install_property(
        klass, PROP_MODEL_FILE,
        g_param_spec_string("model-file", "Model file",
                            "ONNX file of the sparse-convolution network. Required", NULL,
                            GST_SPCONV_AT_READY));
    g_object_class_install_property(
        klass, PROP_OUTPUT,
        g_param_spec_string("output", "Output",
                            "Name of the model's output to push; a sparse one is pushed as "
                            "application/x-voxels. Default: the first dense one",
                            NULL, GST_SPCONV_AT_READY));
    g_object_class_install_property(
        klass, PROP_BACKEND,
        g_param_spec_enum("backend", "Backend",
                          "What computes. auto: CUDA where a device is usable, else the CPU",
                          GST_TYPE_SPCONV_BACKEND, GST_SPCONV_BACKEND_AUTO, GST_SPCONV_AT_READY));
    g_object_class_install_property(
        klass, PROP_PRECISION,
        g_param_spec_enum("precision", "Precision", "Numbers to compute with",
                          GST_TYPE_SPCONV_PRECISION, SPC_PRECISION_AUTO, GST_SPCONV_AT_READY));
    g_object_class_install_property(
        klass, PROP_INDEX_ORDER,
        g_param_spec_enum("index-order", "Index order",
                          "Order of an index row, where the model does not say it",
                          GST_TYPE_SPCONV_INDEX_ORDER, SPC_INDEX_ORDER_AUTO, GST_SPCONV_AT_READY));
    g_object_class_install_property(
        klass, PROP_OUTPUT_TYPE,
        g_param_spec_enum("output-type", "Output type",
                          "Element type of the output. auto: float32 in system memory, in CUDA "
                          "memory the precision's own",
                          GST_TYPE_SPCONV_FLOAT_TYPE, SPC_DTYPE_NONE, GST_SPCONV_AT_READY));
}

static void install_bound_properties(GObjectClass *klass)
{
    g_object_class_install_property(
        klass, PROP_MAX_VOXELS,
        g_param_spec_uint("max-voxels", "Maximum voxels", "Bound of the voxels of a frame", 1,
                          G_MAXINT32, DEFAULT_MAX_VOXELS, GST_SPCONV_AT_READY));
    g_object_class_install_property(
        klass, PROP_SITE_BOUND,
        g_param_spec_uint("site-bound", "Site bound",
                          "Bound of the sites of every other level of the network; 0: each node's "
                          "own output_bound",
                          0, G_MAXINT32, 0, GST_SPCONV_AT_READY));
    g_object_class_install_property(
        klass, PROP_OVERFLOW,
        g_param_spec_enum("overflow", "Overflow", "What to do with a frame over a bound",
                          GST_TYPE_SPCONV_OVERFLOW, GST_SPCONV_OVERFLOW_ERROR,
                          GST_SPCONV_AT_READY));
    g_object_class_install_property(
        klass, PROP_EMPTY_FRAMES,
        g_param_spec_enum("empty-frames", "Empty frames",
                          "How to answer a frame without voxels, which arrives as a GAP event",
                          GST_TYPE_SPCONV_EMPTY_FRAMES, GST_SPCONV_EMPTY_ZEROS,
                          GST_SPCONV_ANY_TIME));
}

/* Switches that other engines of this kind have. */
static void install_switches(GObjectClass *klass)
{
    g_object_class_install_property(
        klass, PROP_AUX_STREAM,
        g_param_spec_boolean("aux-stream", "Auxiliary stream",
                             "CUDA: build the index of deeper levels beside the first "
                             "convolutions",
                             TRUE, GST_SPCONV_AT_READY));
    g_object_class_install_property(
        klass, PROP_SORT_MASK,
        g_param_spec_boolean("sort-mask", "Sort by mask",
                             "A hint without effect: sorting costs more time than it saves", FALSE,
                             GST_SPCONV_AT_READY));
    g_object_class_install_property(
        klass, PROP_FIXED_LAUNCH_POINTS,
        g_param_spec_uint("fixed-launch-points", "Fixed launch points",
                          "A hint without effect: a recorded frame serves any number of voxels", 0,
                          G_MAXUINT, 0, GST_SPCONV_AT_READY));
}

static void install_run_properties(GObjectClass *klass)
{
    g_object_class_install_property(
        klass, PROP_CUDA_GRAPH,
        g_param_spec_boolean("cuda-graph", "CUDA graph",
                             "CUDA: record the frame's work once and replay it", TRUE,
                             GST_SPCONV_AT_READY));
    gst_spconv_install_cuda_device_id(klass, PROP_CUDA_DEVICE_ID);
    g_object_class_install_property(
        klass, PROP_TUNING_CACHE,
        g_param_spec_string("tuning-cache", "Tuning cache",
                            "CUDA: file of kernels that spc-bench --tune found fastest, for one "
                            "model or several; what is of another GPU or version is ignored",
                            NULL, GST_SPCONV_AT_READY));
    g_object_class_install_property(klass, PROP_THREADS,
                                    g_param_spec_uint("threads", "Threads",
                                                      "CPU: threads; 0: one an available core", 0,
                                                      1024, 0, GST_SPCONV_AT_READY));
    g_object_class_install_property(
        klass, PROP_INFLIGHT,
        g_param_spec_uint("inflight", "Frames in flight",
                          "CUDA: frames that are worked on at a time. 1: least latency; 2 or more: "
                          "most frames a second, since upload, computation and download overlap. "
                          "Each takes a session's memory. On the CPU there is nothing to gain",
                          1, GST_SPCONV_INFER_MAX_INFLIGHT, 1, GST_SPCONV_AT_READY));
}

void gst_spconv_infer_install_properties(GObjectClass *klass)
{
    klass->set_property = set_property;
    klass->get_property = get_property;
    install_model_properties(klass);
    install_bound_properties(klass);
    install_run_properties(klass);
    install_switches(klass);
    g_object_class_install_property(
        klass, PROP_STATS_INTERVAL,
        g_param_spec_uint(
            "stats-interval", "Statistics interval",
            "Post stats as an element message every so many milliseconds, and at the end "
            "of the stream; 0: never",
            0, G_MAXUINT, 0, GST_SPCONV_ANY_TIME));
    g_object_class_install_property(
        klass, PROP_STATS,
        g_param_spec_boxed("stats", "Statistics",
                           "Frames, voxels, drops, latency (nanoseconds; p99 of the last 512 "
                           "frames), backend, device, isa, precision, threads and memory in use",
                           GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
}
