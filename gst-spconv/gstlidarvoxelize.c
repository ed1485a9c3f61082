/* SPDX-License-Identifier: MIT */
/**
 * SECTION:element-lidarvoxelize
 * @title: lidarvoxelize
 * @short_description: lidar points to voxels
 *
 * Sorts points into the cells of a grid and gives each cell that has one the mean of its points'
 * fields. Linked to spconvinfer it needs no settings: range, voxel size, grid, order and features
 * come from the model, as far as its metadata has them. Each property overrides.
 *
 * On CUDA, voxels stay in the memory of the GPU where downstream asks for that in its caps, as
 * spconvinfer does on CUDA; points are uploaded where they are not there already, and upstream is
 * offered pinned memory, which saves the host's part of that. The results are those of the CPU, bit
 * for bit.
 *
 * A cloud without a point in range is pushed as a GAP event, as is every empty frame of voxels.
 * Frames that a synchronizing sink would get too late are dropped here already, unless qos is off,
 * and counted in #lidarvoxelize:stats.
 *
 * ## Example launch lines
 *
 * |[
 * gst-launch-1.0 lidartestsrc num-buffers=20 ! lidarvoxelize ! \
 *   spconvinfer model-file=model.onnx ! fakesink
 * ]| Voxels as the model wants them.
 *
 * |[
 * gst-launch-1.0 -v lidartestsrc num-buffers=20 ! \
 *   lidarvoxelize range=-54,-54,-5,54,54,3 voxel-size=0.075,0.075,0.2 ! fakesink
 * ]| Voxels as the settings say.
 *
 * |[
 * gst-launch-1.0 lidarfilesrc location=frame.bin fields=x,y,z,intensity,time ! \
 *   lidarvoxelize backend=cuda ! spconvinfer model-file=model.onnx backend=cuda ! \
 *   'other/tensors(memory:CUDAMemory)' ! fakesink
 * ]| Points go up to the GPU, and nothing comes back.
 *
 * Since: 0.1
 */
#include "gstlidarvoxelize.h"
#include "gstspconvelements.h"
#include "gstspconverror.h"
#include "gstspconvproperties.h"

#include <string.h>

GST_DEBUG_CATEGORY(gst_lidar_voxelize_debug);
#define GST_CAT_DEFAULT gst_lidar_voxelize_debug

G_DEFINE_TYPE(GstLidarVoxelize, gst_lidar_voxelize, GST_TYPE_BASE_TRANSFORM)
GST_ELEMENT_REGISTER_DEFINE(lidarvoxelize, "lidarvoxelize", GST_RANK_NONE, GST_TYPE_LIDAR_VOXELIZE)

#define DEFAULT_MAX_VOXELS 200000

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE(
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS,
    GST_STATIC_CAPS(GST_SPCONV_POINTS_TEMPLATE GST_SPCONV_CUDA_POINTS_TEMPLATE));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS(GST_SPCONV_VOXELS_TEMPLATE GST_SPCONV_CUDA_VOXELS_TEMPLATE));

/* ------------------------------------------------------------------ properties --------------- */

enum {
    PROP_0,
    PROP_MODEL_FILE,
    PROP_RANGE,
    PROP_VOXEL_SIZE,
    PROP_FEATURES,
    PROP_BACKEND,
    PROP_FEATURE_TYPE,
    PROP_INDEX_ORDER,
    PROP_OVERFLOW,
    PROP_MAX_POINTS_PER_VOXEL,
    PROP_GRID_EXTRA_Z,
    PROP_MAX_VOXELS,
    PROP_CUDA_DEVICE_ID,
    PROP_STATS,
};

/* Where the property's value is kept in the settings. */
static const gsize members[] = {
#define MEMBER(id, name) [id] = G_STRUCT_OFFSET(struct gst_lidar_voxelize_settings, name)
    MEMBER(PROP_MODEL_FILE, model_file),
    MEMBER(PROP_RANGE, range),
    MEMBER(PROP_VOXEL_SIZE, voxel_size),
    MEMBER(PROP_FEATURES, features),
    MEMBER(PROP_BACKEND, backend),
    MEMBER(PROP_FEATURE_TYPE, feature_type),
    MEMBER(PROP_INDEX_ORDER, index_order),
    MEMBER(PROP_OVERFLOW, overflow),
    MEMBER(PROP_MAX_POINTS_PER_VOXEL, max_points_per_voxel),
    MEMBER(PROP_GRID_EXTRA_Z, grid_extra_z),
    MEMBER(PROP_MAX_VOXELS, max_voxels),
    MEMBER(PROP_CUDA_DEVICE_ID, cuda_device_id),
#undef MEMBER
};

static GstStructure *describe(GstLidarVoxelize *self)
{
    GstStructure *structure = gst_structure_new_empty("lidarvoxelize-stats");

    GST_OBJECT_LOCK(self);
    gst_spconv_stats_describe(&self->stats, structure);
    gst_structure_set(structure, "points", G_TYPE_UINT64, self->points, "points-outside",
                      G_TYPE_UINT64, self->points_outside, "points-over", G_TYPE_UINT64,
                      self->points_over, NULL);
    GST_OBJECT_UNLOCK(self);
    return structure;
}

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
    GstLidarVoxelize *self = GST_LIDAR_VOXELIZE(object);

    GST_OBJECT_LOCK(self);
    if (!gst_spconv_property_is_fixed(GST_ELEMENT(self), pspec))
        gst_spconv_property_store((guint8 *)&self->settings + members[id], value);
    GST_OBJECT_UNLOCK(self);
}

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
    GstLidarVoxelize *self = GST_LIDAR_VOXELIZE(object);

    (void)pspec;
    if (id == PROP_STATS) { /* takes the lock itself */
        g_value_take_boxed(value, describe(self));
        return;
    }
    GST_OBJECT_LOCK(self);
    gst_spconv_property_load((guint8 *)&self->settings + members[id], value);
    GST_OBJECT_UNLOCK(self);
}

static void clear_settings(struct gst_lidar_voxelize_settings *settings)
{
    g_clear_pointer(&settings->model_file, g_free);
    g_clear_pointer(&settings->range, g_free);
    g_clear_pointer(&settings->voxel_size, g_free);
    g_clear_pointer(&settings->features, g_free);
}

static struct gst_lidar_voxelize_settings copy_settings(GstLidarVoxelize *self)
{
    struct gst_lidar_voxelize_settings settings;

    GST_OBJECT_LOCK(self);
    settings = self->settings;
    settings.model_file = g_strdup(settings.model_file);
    settings.range = g_strdup(settings.range);
    settings.voxel_size = g_strdup(settings.voxel_size);
    settings.features = g_strdup(settings.features);
    GST_OBJECT_UNLOCK(self);
    return settings;
}

/* ------------------------------------------------------------------ start, stop, latency ----- */

/* A backend that was asked for and is missing is an error. */
static gboolean check_cuda(GstLidarVoxelize *self)
{
    struct spc_error why = {.status = SPC_OK};
    const char *name;
    gint i;

    for (i = 0; (name = spc_backend_name(i, &why)); i++)
        if (g_str_equal(name, "cuda"))
            break;
    if (why.status == SPC_OK)
        return TRUE;
    gst_spconv_post_error(GST_ELEMENT(self), &why);
    return FALSE;
}

static gboolean start(GstBaseTransform *trans)
{
    GstLidarVoxelize *self = GST_LIDAR_VOXELIZE(trans);
    struct gst_lidar_voxelize_settings settings = copy_settings(self);
    gboolean ok = settings.backend != GST_SPCONV_BACKEND_CUDA || check_cuda(self);

    if (ok && settings.backend == GST_SPCONV_BACKEND_CUDA)
        gst_spconv_cuda_open(self->cuda, settings.cuda_device_id);
    ok = ok && gst_lidar_voxelize_make_wish(self, &settings);
    clear_settings(&settings);
    GST_OBJECT_LOCK(self);
    memset(&self->stats, 0, sizeof(self->stats));
    self->points = self->points_outside = self->points_over = 0;
    GST_OBJECT_UNLOCK(self);
    self->refused = FALSE;
    return ok;
}

static gboolean stop(GstBaseTransform *trans)
{
    GstLidarVoxelize *self = GST_LIDAR_VOXELIZE(trans);

    gst_lidar_voxelize_free_voxelizer(self);
    gst_spconv_cuda_close(self->cuda);
    return TRUE;
}

static gint get_device(GstLidarVoxelize *self)
{
    gint device;

    GST_OBJECT_LOCK(self);
    device = self->settings.cuda_device_id;
    GST_OBJECT_UNLOCK(self);
    return device;
}

static void set_context(GstElement *element, GstContext *context)
{
    GstLidarVoxelize *self = GST_LIDAR_VOXELIZE(element);

    gst_spconv_cuda_set_context(self->cuda, context, get_device(self));
    GST_ELEMENT_CLASS(gst_lidar_voxelize_parent_class)->set_context(element, context);
}

static gboolean query(GstBaseTransform *trans, GstPadDirection direction, GstQuery *query)
{
    GstLidarVoxelize *self = GST_LIDAR_VOXELIZE(trans);
    GstClockTime own;

    if (GST_QUERY_TYPE(query) == GST_QUERY_CONTEXT && gst_spconv_cuda_answer(self->cuda, query))
        return TRUE;
    if (direction != GST_PAD_SRC || GST_QUERY_TYPE(query) != GST_QUERY_LATENCY)
        return GST_LIDAR_VOXELIZE_BASE->query(trans, direction, query);
    GST_OBJECT_LOCK(self);
    own = self->stats.latency;
    GST_OBJECT_UNLOCK(self);
    return gst_spconv_answer_latency(trans->sinkpad, query, own);
}

/* ------------------------------------------------------------------ class -------------------- */

static void finalize(GObject *object)
{
    GstLidarVoxelize *self = GST_LIDAR_VOXELIZE(object);

    clear_settings(&self->settings);
    gst_spconv_cuda_free(&self->cuda);
    G_OBJECT_CLASS(gst_lidar_voxelize_parent_class)->finalize(object);
}

static void gst_lidar_voxelize_init(GstLidarVoxelize *self)
{
    self->settings.max_points_per_voxel = -1;
    self->settings.grid_extra_z = -1;
    self->settings.max_voxels = DEFAULT_MAX_VOXELS;
    self->settings.cuda_device_id = -1;
    self->cuda = gst_spconv_cuda_new(GST_ELEMENT(self));
    gst_base_transform_set_qos_enabled(GST_BASE_TRANSFORM(self), TRUE);
}

static void install_text_properties(GObjectClass *klass)
{
    g_object_class_install_property(
        klass, PROP_MODEL_FILE,
        g_param_spec_string("model-file", "Model file",
                            "ONNX file whose metadata gives range, voxel size, order, features "
                            "and maximum points where they are not set. Default: what downstream "
                            "wants",
                            NULL, GST_SPCONV_AT_READY));
    g_object_class_install_property(
        klass, PROP_RANGE,
        g_param_spec_string("range", "Range",
                            "Metres: x,y,z minimum, then maximum, e.g. -54,-54,-5,54,54,3", NULL,
                            GST_SPCONV_AT_READY));
    g_object_class_install_property(klass, PROP_VOXEL_SIZE,
                                    g_param_spec_string("voxel-size", "Voxel size",
                                                        "Metres: x,y,z, e.g. 0.075,0.075,0.2", NULL,
                                                        GST_SPCONV_AT_READY));
    g_object_class_install_property(
        klass, PROP_FEATURES,
        g_param_spec_string("features", "Features",
                            "Fields of the points that are averaged, beginning with x,y,z. "
                            "Default: the model's, else all fields",
                            NULL, GST_SPCONV_AT_READY));
}

static void install_choice_properties(GObjectClass *klass)
{
    g_object_class_install_property(
        klass, PROP_BACKEND,
        g_param_spec_enum("backend", "Backend",
                          "What computes. auto: CUDA where the points come in CUDA memory or "
                          "downstream asks for it in its caps, else the CPU",
                          GST_TYPE_SPCONV_BACKEND, GST_SPCONV_BACKEND_AUTO, GST_SPCONV_AT_READY));
    g_object_class_install_property(
        klass, PROP_FEATURE_TYPE,
        g_param_spec_enum("feature-type", "Feature type",
                          "Element type of the features. auto: what downstream wants first, else "
                          "float32",
                          GST_TYPE_SPCONV_FLOAT_TYPE, SPC_DTYPE_NONE, GST_SPCONV_AT_READY));
    g_object_class_install_property(
        klass, PROP_INDEX_ORDER,
        g_param_spec_enum("index-order", "Index order", "Order of an index row",
                          GST_TYPE_SPCONV_INDEX_ORDER, SPC_INDEX_ORDER_AUTO, GST_SPCONV_AT_READY));
    g_object_class_install_property(
        klass, PROP_OVERFLOW,
        g_param_spec_enum("overflow", "Overflow", "What to do with a frame over max-voxels",
                          GST_TYPE_SPCONV_OVERFLOW, GST_SPCONV_OVERFLOW_ERROR,
                          GST_SPCONV_AT_READY));
}

static void install_bound_properties(GObjectClass *klass)
{
    g_object_class_install_property(
        klass, PROP_MAX_POINTS_PER_VOXEL,
        g_param_spec_int("max-points-per-voxel", "Maximum points per voxel",
                         "Average the first so many points of a voxel; 0: all; -1: as the model "
                         "says, else all",
                         -1, G_MAXINT, -1, GST_SPCONV_AT_READY));
    g_object_class_install_property(
        klass, PROP_GRID_EXTRA_Z,
        g_param_spec_int("grid-extra-z", "Extra cells in z",
                         "Cells of the grid above the range (CenterPoint: 1); -1: as the model or "
                         "downstream wants, else 0",
                         -1, 1024, -1, GST_SPCONV_AT_READY));
    g_object_class_install_property(
        klass, PROP_MAX_VOXELS,
        g_param_spec_uint("max-voxels", "Maximum voxels", "Bound of the voxels of a frame", 1,
                          G_MAXINT32, DEFAULT_MAX_VOXELS, GST_SPCONV_AT_READY));
    gst_spconv_install_cuda_device_id(klass, PROP_CUDA_DEVICE_ID);
    g_object_class_install_property(
        klass, PROP_STATS,
        g_param_spec_boxed("stats", "Statistics",
                           "Frames, voxels, points, drops, latency (nanoseconds; p99 of the last "
                           "512 frames)",
                           GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
}

static void gst_lidar_voxelize_class_init(GstLidarVoxelizeClass *klass)
{
    GstElementClass *element = GST_ELEMENT_CLASS(klass);
    GstBaseTransformClass *trans = GST_BASE_TRANSFORM_CLASS(klass);
    GObjectClass *object = G_OBJECT_CLASS(klass);

    GST_DEBUG_CATEGORY_INIT(gst_lidar_voxelize_debug, "lidarvoxelize", 0, "points to voxels");
    gst_element_class_set_static_metadata(
        element, "Lidar voxelizer", "Filter/Converter/Lidar",
        "Sorts lidar points into voxels and averages their fields. Example: gst-launch-1.0 "
        "lidartestsrc num-buffers=20 ! lidarvoxelize range=-54,-54,-5,54,54,3 "
        "voxel-size=0.075,0.075,0.2 ! fakesink",
        GST_SPCONV_AUTHOR);
    gst_element_class_add_static_pad_template(element, &sink_template);
    gst_element_class_add_static_pad_template(element, &src_template);

    object->set_property = set_property;
    object->get_property = get_property;
    object->finalize = finalize;
    install_text_properties(object);
    install_choice_properties(object);
    install_bound_properties(object);
    element->set_context = set_context;
    gst_lidar_voxelize_install_negotiation(trans);
    gst_lidar_voxelize_install_frames(trans);
    trans->start = start;
    trans->stop = stop;
    trans->query = query;
}
