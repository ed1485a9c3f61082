/* SPDX-License-Identifier: MIT */
/*
 * What lidarvoxelize makes voxels of, and how.
 *
 * Each parameter comes from the first that says it: the property, the metadata of model-file, the
 * caps that downstream prefers (spconvinfer names there what its model was trained with). What
 * nobody says is an error for the range and the voxel size, and has a default otherwise.
 */
#include "gstlidarvoxelize.h"
#include "gstspconverror.h"

#include <math.h>
#include <string.h>

#define GST_CAT_DEFAULT gst_lidar_voxelize_debug

#define MAX_CELLS 1e6f /* along an axis */

/* ------------------------------------------------------------------ settings and model ------- */

/* `count` numbers, separated by commas. */
static gboolean parse_numbers(GstLidarVoxelize *self, const gchar *name, const gchar *text,
                              float *numbers, guint count)
{
    gchar **parts = g_strsplit(text, ",", 0), *end;
    gboolean ok = g_strv_length(parts) == count;
    guint i;

    for (i = 0; ok && i < count; i++) {
        g_strstrip(parts[i]);
        numbers[i] = (float)g_ascii_strtod(parts[i], &end);
        ok = parts[i][0] && !*end && isfinite(numbers[i]);
    }
    g_strfreev(parts);
    if (!ok)
        GST_ELEMENT_ERROR(
            self, RESOURCE, SETTINGS,
            ("%s is \"%s\", it should be %u numbers separated by commas.", name, text, count),
            (NULL));
    return ok;
}

static void take_model(struct gst_lidar_voxelize_wish *wish, const struct spc_model_info *model)
{
    gint cells;

    wish->index_order = model->index_order;
    g_strlcpy(wish->features, model->features, sizeof(wish->features));
    wish->has_range = model->has_range;
    memcpy(wish->range, model->range, sizeof(wish->range));
    wish->has_voxel_size = model->has_voxel_size;
    memcpy(wish->voxel_size, model->voxel_size, sizeof(wish->voxel_size));
    if (model->has_max_points_per_voxel)
        wish->max_points_per_voxel = model->max_points_per_voxel;
    if (model->has_range && model->has_voxel_size) {
        cells = (gint)lroundf((model->range[5] - model->range[2]) / model->voxel_size[2]);
        wish->grid_extra_z = MAX(model->grid_z - cells, 0);
    }
}

static gboolean read_model(GstLidarVoxelize *self, const gchar *path,
                           struct gst_lidar_voxelize_wish *wish)
{
    struct spc_model *model = NULL;
    struct spc_model_info info;
    struct spc_error error;

    if (spc_model_load_file(path, NULL, &model, &error)) {
        gst_spconv_post_error(GST_ELEMENT(self), &error);
        return FALSE;
    }
    spc_model_get_info(model, &info);
    spc_model_free(&model);
    take_model(wish, &info);
    return TRUE;
}

static gboolean take_settings(GstLidarVoxelize *self,
                              const struct gst_lidar_voxelize_settings *settings,
                              struct gst_lidar_voxelize_wish *wish)
{
    if (settings->range) {
        if (!parse_numbers(self, "range", settings->range, wish->range, 6))
            return FALSE;
        wish->has_range = TRUE;
    }
    if (settings->voxel_size) {
        if (!parse_numbers(self, "voxel-size", settings->voxel_size, wish->voxel_size, 3))
            return FALSE;
        wish->has_voxel_size = TRUE;
    }
    if (settings->features && g_strlcpy(wish->features, settings->features,
                                        sizeof(wish->features)) >= sizeof(wish->features)) {
        GST_ELEMENT_ERROR(self, RESOURCE, SETTINGS,
                          ("features has more than %u letters.", (guint)sizeof(wish->features) - 1),
                          (NULL));
        return FALSE;
    }
    if (settings->index_order != SPC_INDEX_ORDER_AUTO)
        wish->index_order = settings->index_order;
    if (settings->max_points_per_voxel >= 0)
        wish->max_points_per_voxel = settings->max_points_per_voxel;
    if (settings->grid_extra_z >= 0)
        wish->grid_extra_z = settings->grid_extra_z;
    wish->feature_type = settings->feature_type;
    wish->backend = settings->backend;
    wish->cuda_device_id = settings->cuda_device_id;
    wish->max_voxels = (gint)settings->max_voxels;
    return TRUE;
}

/* Range and voxel size must make a grid. */
static gboolean check_geometry(GstLidarVoxelize *self, const struct gst_lidar_voxelize_wish *wish)
{
    const gchar *fault = NULL;
    gint i;

    for (i = 0; i < 3 && !fault; i++) {
        const float size = wish->voxel_size[i], length = wish->range[i + 3] - wish->range[i];

        if (wish->has_range && !(length > 0))
            fault = "a maximum of range is not above its minimum";
        else if (wish->has_voxel_size && !(size > 0))
            fault = "voxel-size is not positive";
        else if (wish->has_range && wish->has_voxel_size &&
                 !(length / size >= 0.5f && length / size < MAX_CELLS))
            fault = "range and voxel-size give less than one cell, or more than a million";
    }
    if (fault)
        GST_ELEMENT_ERROR(self, RESOURCE, SETTINGS,
                          ("There is no grid in %c: %s.", "xyz"[i - 1], fault), (NULL));
    return !fault;
}

gboolean gst_lidar_voxelize_make_wish(GstLidarVoxelize *self,
                                      const struct gst_lidar_voxelize_settings *settings)
{
    struct gst_lidar_voxelize_wish wish = {.max_points_per_voxel = -1, .grid_extra_z = -1};

    if (settings->model_file && !read_model(self, settings->model_file, &wish))
        return FALSE;
    if (!take_settings(self, settings, &wish) || !check_geometry(self, &wish))
        return FALSE;
    GST_OBJECT_LOCK(self);
    self->wish = wish;
    GST_OBJECT_UNLOCK(self);
    return TRUE;
}

static struct gst_lidar_voxelize_wish get_wish(GstLidarVoxelize *self)
{
    struct gst_lidar_voxelize_wish wish;

    GST_OBJECT_LOCK(self);
    wish = self->wish;
    GST_OBJECT_UNLOCK(self);
    return wish;
}

/* ------------------------------------------------------------------ transform_caps ----------- */

static gint cells_of(const struct gst_lidar_voxelize_wish *wish, guint axis)
{
    return (gint)lroundf((wish->range[axis + 3] - wish->range[axis]) / wish->voxel_size[axis]);
}

static void set_grid(GstStructure *s, const struct gst_lidar_voxelize_wish *wish)
{
    gint z = cells_of(wish, 2);

    gst_structure_set(s, "grid-x", G_TYPE_INT, cells_of(wish, 0), "grid-y", G_TYPE_INT,
                      cells_of(wish, 1), NULL);
    if (wish->grid_extra_z >= 0)
        gst_structure_set(s, "grid-z", G_TYPE_INT, z + wish->grid_extra_z, NULL);
    else /* CenterPoint's kind of model has one more than its range */
        gst_structure_set(s, "grid-z", GST_TYPE_INT_RANGE, z, z + 1, NULL);
}

static guint count_names(const gchar *names)
{
    guint count = 1;

    for (; *names; names++)
        count += *names == ',';
    return count;
}

/* Voxels as far as the wish says; the rest as open as the template. */
static GstCaps *voxel_caps(const struct gst_lidar_voxelize_wish *wish)
{
    GstCaps *caps = gst_caps_from_string(GST_SPCONV_VOXELS_TEMPLATE);
    GstStructure *s = gst_caps_get_structure(caps, 0);
    struct gst_spconv_geometry geometry = {0};

    gst_structure_set(s, "batch", G_TYPE_INT, 1, "max-voxels", G_TYPE_INT, wish->max_voxels,
                      "num-features", GST_TYPE_INT_RANGE, 3, SPC_MAX_POINT_FIELDS, NULL);
    if (wish->feature_type != SPC_DTYPE_NONE)
        gst_structure_set(s, "feature-type", G_TYPE_STRING, spc_dtype_name(wish->feature_type),
                          NULL);
    if (wish->index_order != SPC_INDEX_ORDER_AUTO)
        gst_structure_set(s, "index-order", G_TYPE_STRING,
                          gst_spconv_index_order_name(wish->index_order), NULL);
    if (wish->features[0])
        gst_structure_set(s, "features", G_TYPE_STRING, wish->features, "num-features", G_TYPE_INT,
                          (gint)count_names(wish->features), NULL);
    if (wish->max_points_per_voxel >= 0)
        gst_structure_set(s, "max-points-per-voxel", G_TYPE_INT, wish->max_points_per_voxel, NULL);
    if (wish->has_voxel_size)
        gst_spconv_geometry_set_voxel_size(&geometry, wish->voxel_size);
    if (wish->has_range)
        gst_spconv_geometry_set_range(&geometry, wish->range);
    gst_spconv_geometry_store(&geometry, s);
    if (wish->has_range && wish->has_voxel_size)
        set_grid(s, wish);
    return caps;
}

/* Points or voxels in any memory that the backend takes. System memory comes first: whom anything
 * is right gets that. */
static GstCaps *memory_caps(const struct gst_lidar_voxelize_wish *wish, GstPad *pad)
{
    GstCaps *caps = gst_pad_get_pad_template_caps(pad), *plain;
    guint i;

    if (wish->max_voxels && GST_PAD_IS_SRC(pad)) { /* started */
        plain = voxel_caps(wish);
        gst_caps_replace(&caps, plain);
        if (gst_spconv_cuda_is_built() && wish->backend != GST_SPCONV_BACKEND_CPU)
            caps = gst_caps_merge(gst_caps_make_writable(caps),
                                  gst_spconv_cuda_caps(gst_caps_copy(plain)));
        gst_caps_unref(plain);
        return caps;
    }
    caps = gst_caps_make_writable(caps);
    for (i = gst_caps_get_size(caps); i-- && wish->backend == GST_SPCONV_BACKEND_CPU;)
        if (gst_spconv_cuda_caps_are(caps, i))
            gst_caps_remove_structure(caps, i);
    return caps;
}

static GstCaps *transform_caps(GstBaseTransform *trans, GstPadDirection direction, GstCaps *caps,
                               GstCaps *filter)
{
    struct gst_lidar_voxelize_wish wish = get_wish(GST_LIDAR_VOXELIZE(trans));
    GstCaps *result, *intersection;
    const GValue *framerate = NULL;
    guint i;

    result = memory_caps(&wish, direction == GST_PAD_SRC ? trans->sinkpad : trans->srcpad);
    if (!gst_caps_is_any(caps) && gst_caps_get_size(caps))
        framerate = gst_structure_get_value(gst_caps_get_structure(caps, 0), "framerate");
    if (framerate && direction == GST_PAD_SINK) {
        result = gst_caps_make_writable(result);
        for (i = 0; i < gst_caps_get_size(result); i++)
            gst_structure_set_value(gst_caps_get_structure(result, i), "framerate", framerate);
    }
    if (filter) {
        intersection = gst_caps_intersect_full(filter, result, GST_CAPS_INTERSECT_FIRST);
        gst_caps_unref(result);
        result = intersection;
    }
    return result;
}

/* What downstream wants most. Who takes anything gets system memory, which comes first here. */
static GstCaps *choose_memory(GstBaseTransform *trans, GstCaps *caps)
{
    GstCaps *peer = gst_pad_peer_query_caps(trans->srcpad, NULL);
    GstCaps *chosen = gst_caps_intersect_full(peer, caps, GST_CAPS_INTERSECT_FIRST);

    gst_caps_unref(peer);
    if (gst_caps_is_empty(chosen)) /* it changed its mind */
        gst_caps_replace(&chosen, caps);
    gst_caps_unref(caps);
    return chosen;
}

/* Says what neither the wish nor downstream did: all fields of the points, and all points. */
static GstCaps *fixate_caps(GstBaseTransform *trans, GstPadDirection direction, GstCaps *caps,
                            GstCaps *othercaps)
{
    struct gst_spconv_points_info points;
    GstStructure *s;
    gchar *names;

    if (direction == GST_PAD_SINK)
        othercaps = choose_memory(trans, othercaps);
    othercaps = gst_caps_make_writable(gst_caps_truncate(othercaps));
    s = gst_caps_get_structure(othercaps, 0);
    if (direction == GST_PAD_SINK && !gst_structure_has_field(s, "max-points-per-voxel"))
        gst_structure_set(s, "max-points-per-voxel", G_TYPE_INT, 0, NULL);
    if (direction == GST_PAD_SINK && !gst_structure_has_field(s, "features") &&
        gst_spconv_points_info_parse(&points, caps, NULL)) {
        names = gst_spconv_fields_names(&points.fields);
        gst_structure_set(s, "features", G_TYPE_STRING, names, NULL);
        gst_structure_fixate_field_nearest_int(s, "num-features", (gint)count_names(names));
        g_free(names);
    }
    return GST_LIDAR_VOXELIZE_BASE->fixate_caps(trans, direction, caps, othercaps);
}

/* ------------------------------------------------------------------ set_caps ----------------- */

/* The wish completed by what was negotiated. */
static gboolean complete_wish(GstLidarVoxelize *self, struct gst_lidar_voxelize_wish *wish)
{
    const struct gst_spconv_voxels_info *out = &self->output;

    if (!wish->has_range && out->geometry.has_range)
        gst_spconv_geometry_get_range(&out->geometry, wish->range);
    if (!wish->has_voxel_size && out->geometry.has_voxel_size)
        gst_spconv_geometry_get_voxel_size(&out->geometry, wish->voxel_size);
    if (!out->geometry.has_range || !out->geometry.has_voxel_size)
        return gst_spconv_refuse_caps(
            GST_ELEMENT(self), &self->refused,
            "There is no %s: set range and voxel-size both, or neither and have them from the "
            "metadata of a model, in model-file or downstream.",
            out->geometry.has_range ? "voxel size" : "range");
    if (wish->max_points_per_voxel < 0)
        wish->max_points_per_voxel = out->max_points_per_voxel;
    wish->grid_extra_z = out->grid_z - cells_of(wish, 2);
    return TRUE;
}

static gboolean check_grid(GstLidarVoxelize *self)
{
    const struct gst_spconv_voxels_info *out = &self->output;
    gint32 z, y, x;

    spc_voxelizer_get_grid(self->voxelizer, &z, &y, &x);
    if (z == out->grid_z && y == out->grid_y && x == out->grid_x)
        return TRUE;
    return gst_spconv_refuse_caps(
        GST_ELEMENT(self), &self->refused,
        "Range and voxel size give a grid (x,y,z) of %d,%d,%d, the caps say %d,%d,%d: set range, "
        "voxel-size and grid-extra-z as the model was trained.",
        x, y, z, out->grid_x, out->grid_y, out->grid_z);
}

void gst_lidar_voxelize_free_voxelizer(GstLidarVoxelize *self)
{
    gboolean entered = gst_spconv_cuda_enter(self->cuda);

    spc_voxelizer_free(&self->voxelizer);
    gst_spconv_cuda_stream_free(&self->stream);
    if (entered)
        gst_spconv_cuda_leave(self->cuda);
}

/* The context is open where the memory of a neighbour is the device's. */
static gboolean create_voxelizer(GstLidarVoxelize *self,
                                 const struct spc_voxelizer_options *options)
{
    struct spc_error error;
    enum spc_status status;

    if (!gst_spconv_enter_cuda(GST_ELEMENT(self), self->cuda))
        return FALSE;
    status = spc_voxelizer_create(options, &self->voxelizer, &error);
    gst_spconv_cuda_leave(self->cuda);
    if (status)
        return gst_spconv_refuse_caps(GST_ELEMENT(self), &self->refused, "%s.", error.message);
    if (g_str_equal(spc_voxelizer_backend(self->voxelizer), "cuda"))
        self->stream = gst_spconv_cuda_stream_new(self->cuda);
    return TRUE;
}

static gboolean make_voxelizer(GstLidarVoxelize *self, const struct gst_lidar_voxelize_wish *wish)
{
    const gboolean device_memory = self->cuda_in || self->cuda_out;
    struct spc_voxelizer_options options;

    gst_lidar_voxelize_free_voxelizer(self);
    self->made = *wish;
    if (device_memory && !gst_spconv_cuda_is_open(self->cuda) &&
        !gst_spconv_cuda_open(self->cuda, wish->cuda_device_id))
        return gst_spconv_refuse_caps(
            GST_ELEMENT(self), &self->refused,
            "The caps name CUDA memory, but there is no CUDA device for cuda-device-id %d (-1: "
            "any): does nvidia-smi list one? Or set backend to cpu.", wish->cuda_device_id);
    spc_voxelizer_options_default(&options);
    memcpy(options.range, wish->range, sizeof(options.range));
    memcpy(options.voxel_size, wish->voxel_size, sizeof(options.voxel_size));
    options.num_features = self->layout.num_fields;
    options.max_points_per_voxel = wish->max_points_per_voxel;
    options.max_voxels = self->output.max_voxels;
    options.grid_extra_z = MAX(wish->grid_extra_z, 0);
    options.index_order = self->output.index_order;
    options.feature_type = self->output.feature_type;
    options.backend =
        device_memory || wish->backend == GST_SPCONV_BACKEND_CUDA ? "cuda" : "cpu";
    options.device = gst_spconv_cuda_is_open(self->cuda) ? -1 : wish->cuda_device_id;
    return create_voxelizer(self, &options) && check_grid(self);
}

gboolean gst_lidar_voxelize_follow_context(GstLidarVoxelize *self, GstBuffer *buffer)
{
    struct gst_lidar_voxelize_wish wish = self->made;

    gst_lidar_voxelize_free_voxelizer(self);
    if (gst_spconv_cuda_adopt(self->cuda, buffer, wish.cuda_device_id))
        return make_voxelizer(self, &wish);
    GST_ELEMENT_ERROR(self, RESOURCE, SETTINGS,
                      ("The points are not on CUDA device %d: set cuda-device-id to the same in "
                       "all elements, or in none.", wish.cuda_device_id),
                      (NULL));
    return FALSE;
}

static gboolean select_fields(GstLidarVoxelize *self, const struct gst_spconv_points_info *points)
{
    GError *error = NULL;

    if (!gst_spconv_fields_select(&points->fields, points->point_step, self->output.features,
                                  &self->layout, &error)) {
        gst_spconv_refuse_caps(GST_ELEMENT(self), &self->refused,
                               "%s. The voxels are to have %s, as the model or features say.",
                               error->message, self->output.features);
        g_clear_error(&error);
        return FALSE;
    }
    if ((guint)self->layout.num_fields == self->output.num_features)
        return TRUE;
    return gst_spconv_refuse_caps(GST_ELEMENT(self), &self->refused,
                                  "The points have the features %s, downstream takes %u: set "
                                  "features to the ones it was trained with.",
                                  self->output.features, self->output.num_features);
}

static gboolean set_caps(GstBaseTransform *trans, GstCaps *in, GstCaps *out)
{
    GstLidarVoxelize *self = GST_LIDAR_VOXELIZE(trans);
    struct gst_lidar_voxelize_wish wish = get_wish(self);
    struct gst_spconv_points_info points;
    GError *error = NULL;

    if (!gst_spconv_points_info_parse(&points, in, &error) ||
        !gst_spconv_voxels_info_parse(&self->output, out, &error)) {
        gst_spconv_refuse_caps(GST_ELEMENT(self), &self->refused, "%s.", error->message);
        g_clear_error(&error);
        return FALSE;
    }
    self->cuda_in = gst_spconv_cuda_caps_are(in, 0);
    self->cuda_out = gst_spconv_cuda_caps_are(out, 0);
    if (!complete_wish(self, &wish) || !select_fields(self, &points) ||
        !make_voxelizer(self, &wish))
        return FALSE;
    self->refused = FALSE;
    return TRUE;
}

void gst_lidar_voxelize_install_negotiation(GstBaseTransformClass *klass)
{
    klass->transform_caps = transform_caps;
    klass->fixate_caps = fixate_caps;
    klass->set_caps = set_caps;
}
