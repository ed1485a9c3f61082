/* SPDX-License-Identifier: MIT */
/* Caps and structs: see the header. */
#include "gstspconvcaps.h"
#include "gstspconverror.h"

#include <math.h>
#include <string.h>

/* ------------------------------------------------------------------ one field ---------------- */

static gboolean get_int(const GstStructure *s, const gchar *name, gint minimum, gint maximum,
                        gint *value, GError **error)
{
    gint v;

    if (!gst_structure_get_int(s, name, &v))
        return gst_spconv_fail(error, "the caps %s have no integer %s", gst_structure_get_name(s),
                               name);
    if (v < minimum || v > maximum)
        return gst_spconv_fail(error, "%s is %d in the caps %s, %d to %d are possible", name, v,
                               gst_structure_get_name(s), minimum, maximum);
    *value = v;
    return TRUE;
}

static gboolean get_string(const GstStructure *s, const gchar *name, const gchar **value,
                           GError **error)
{
    *value = gst_structure_get_string(s, name);
    if (!*value)
        return gst_spconv_fail(error, "the caps %s have no %s", gst_structure_get_name(s), name);
    return TRUE;
}

static gboolean get_type(const GstStructure *s, const gchar *name, enum spc_dtype *type,
                         GError **error)
{
    const gchar *text;

    if (!get_string(s, name, &text, error))
        return FALSE;
    if (g_str_equal(text, "float32"))
        *type = SPC_DTYPE_F32;
    else if (g_str_equal(text, "float16"))
        *type = SPC_DTYPE_F16;
    else
        return gst_spconv_fail(error, "%s is \"%s\" in the caps, float32 and float16 are possible",
                               name, text);
    return TRUE;
}

static void get_framerate(const GstStructure *s, gint *fps_n, gint *fps_d)
{
    if (!gst_structure_get_fraction(s, "framerate", fps_n, fps_d)) {
        *fps_n = 0;
        *fps_d = 1;
    }
}

static void set_framerate(GstStructure *s, gint fps_n, gint fps_d)
{
    if (fps_d)
        gst_structure_set(s, "framerate", GST_TYPE_FRACTION, fps_n, fps_d, NULL);
    else
        gst_structure_set(s, "framerate", GST_TYPE_FRACTION_RANGE, 0, 1, G_MAXINT, 1, NULL);
}

static GstStructure *fixed_structure(const GstCaps *caps, GError **error)
{
    if (gst_caps_get_size(caps) != 1 || !gst_caps_is_fixed(caps)) {
        gst_spconv_fail(error, "the caps are not fixed");
        return NULL;
    }
    return gst_caps_get_structure(caps, 0);
}

/* ------------------------------------------------------------------ geometry ----------------- */

static void to_integers(const float *metres, gint *integers, guint count, double unit)
{
    guint i;

    for (i = 0; i < count; i++)
        integers[i] = (gint)lround(CLAMP(metres[i] * unit, -2e9, 2e9));
}

static void to_metres(const gint *integers, float *metres, guint count, double unit)
{
    guint i;

    for (i = 0; i < count; i++)
        metres[i] = (float)(integers[i] / unit);
}

void gst_spconv_geometry_set_voxel_size(struct gst_spconv_geometry *geometry, const float metres[3])
{
    geometry->has_voxel_size = TRUE;
    to_integers(metres, geometry->voxel_size_um, 3, 1e6);
}

void gst_spconv_geometry_set_range(struct gst_spconv_geometry *geometry, const float metres[6])
{
    geometry->has_range = TRUE;
    to_integers(metres, geometry->range_mm, 6, 1e3);
}

void gst_spconv_geometry_get_voxel_size(const struct gst_spconv_geometry *geometry, float metres[3])
{
    to_metres(geometry->voxel_size_um, metres, 3, 1e6);
}

void gst_spconv_geometry_get_range(const struct gst_spconv_geometry *geometry, float metres[6])
{
    to_metres(geometry->range_mm, metres, 6, 1e3);
}

static gboolean parse_integers(const GstStructure *s, const gchar *name, guint count,
                               gint *integers, gboolean *has, GError **error)
{
    const GValue *array = gst_structure_get_value(s, name);
    guint i;

    *has = array != NULL;
    if (!array)
        return TRUE;
    if (!GST_VALUE_HOLDS_ARRAY(array) || gst_value_array_get_size(array) != count)
        return gst_spconv_fail(error, "%s in the caps is no array of %u integers", name, count);
    for (i = 0; i < count; i++) {
        const GValue *value = gst_value_array_get_value(array, i);

        if (!G_VALUE_HOLDS_INT(value))
            return gst_spconv_fail(error, "%s in the caps is no array of %u integers", name, count);
        integers[i] = g_value_get_int(value);
    }
    return TRUE;
}

gboolean gst_spconv_geometry_parse(struct gst_spconv_geometry *geometry,
                                   const GstStructure *structure, GError **error)
{
    struct gst_spconv_geometry g = {0};

    if (!parse_integers(structure, "voxel-size-um", 3, g.voxel_size_um, &g.has_voxel_size, error) ||
        !parse_integers(structure, "range-mm", 6, g.range_mm, &g.has_range, error))
        return FALSE;
    *geometry = g;
    return TRUE;
}

static void set_integers(GstStructure *s, const gchar *name, const gint *integers, guint count)
{
    GValue array = G_VALUE_INIT, value = G_VALUE_INIT;
    guint i;

    g_value_init(&array, GST_TYPE_ARRAY);
    g_value_init(&value, G_TYPE_INT);
    for (i = 0; i < count; i++) {
        g_value_set_int(&value, integers[i]);
        gst_value_array_append_value(&array, &value);
    }
    g_value_unset(&value);
    gst_structure_take_value(s, name, &array);
}

void gst_spconv_geometry_store(const struct gst_spconv_geometry *geometry, GstStructure *s)
{
    if (geometry->has_voxel_size)
        set_integers(s, "voxel-size-um", geometry->voxel_size_um, 3);
    if (geometry->has_range)
        set_integers(s, "range-mm", geometry->range_mm, 6);
}

/* ------------------------------------------------------------------ points ------------------- */

gboolean gst_spconv_points_info_parse(struct gst_spconv_points_info *info, const GstCaps *caps,
                                      GError **error)
{
    GstStructure *s = fixed_structure(caps, error);
    struct gst_spconv_points_info parsed = {.is_dense = TRUE};
    const gchar *fields;
    gboolean big_endian = FALSE;
    gint step = 0;

    if (!s)
        return FALSE;
    get_framerate(s, &parsed.fps_n, &parsed.fps_d);
    if (gst_structure_has_name(s, GST_SPCONV_LIDAR_TYPE)) {
        parsed.packed = TRUE;
        parsed.point_step = gst_spconv_fields_packed(&parsed.fields, "x,y,z,intensity", NULL);
        *info = parsed;
        return TRUE;
    }
    if (!gst_structure_has_name(s, GST_SPCONV_POINTS_TYPE))
        return gst_spconv_fail(error, "%s is no point cloud", gst_structure_get_name(s));
    if (!get_int(s, "point-step", 1, G_MAXINT, &step, error) ||
        !get_string(s, "fields", &fields, error))
        return FALSE;
    parsed.point_step = (guint)step;
    gst_structure_get_boolean(s, "is-bigendian", &big_endian);
    gst_structure_get_boolean(s, "is-dense", &parsed.is_dense);
    if (big_endian)
        return gst_spconv_fail(error,
                               "big-endian point clouds (is-bigendian=true) are not supported");
    if (!gst_spconv_fields_parse(&parsed.fields, fields, parsed.point_step, error))
        return FALSE;
    *info = parsed;
    return TRUE;
}

GstCaps *gst_spconv_points_info_to_caps(const struct gst_spconv_points_info *info)
{
    GstCaps *caps;
    gchar *fields;

    if (info->packed) {
        caps = gst_caps_new_empty_simple(GST_SPCONV_LIDAR_TYPE);
    } else {
        fields = gst_spconv_fields_to_string(&info->fields);
        caps = gst_caps_new_simple(GST_SPCONV_POINTS_TYPE, "point-step", G_TYPE_INT,
                                   (gint)info->point_step, "fields", G_TYPE_STRING, fields,
                                   "is-bigendian", G_TYPE_BOOLEAN, FALSE, "is-dense",
                                   G_TYPE_BOOLEAN, info->is_dense, NULL);
        g_free(fields);
    }
    set_framerate(gst_caps_get_structure(caps, 0), info->fps_n, info->fps_d);
    return caps;
}

/* ------------------------------------------------------------------ voxels ------------------- */

const gchar *gst_spconv_index_order_name(enum spc_index_order order)
{
    return order == SPC_INDEX_XYZ ? "bxyz" : "bzyx";
}

static gboolean get_index_order(const GstStructure *s, enum spc_index_order *order, GError **error)
{
    const gchar *text;

    if (!get_string(s, "index-order", &text, error))
        return FALSE;
    if (g_str_equal(text, "bzyx"))
        *order = SPC_INDEX_ZYX;
    else if (g_str_equal(text, "bxyz"))
        *order = SPC_INDEX_XYZ;
    else
        return gst_spconv_fail(
            error, "index-order is \"%s\" in the caps, bzyx and bxyz are possible", text);
    return TRUE;
}

/* Fields that may be missing. */
static gboolean get_voxel_extras(struct gst_spconv_voxels_info *info, const GstStructure *s,
                                 GError **error)
{
    const gchar *features = gst_structure_get_string(s, "features");

    get_framerate(s, &info->fps_n, &info->fps_d);
    info->has_max_points_per_voxel =
        gst_structure_get_int(s, "max-points-per-voxel", &info->max_points_per_voxel);
    if (features &&
        g_strlcpy(info->features, features, sizeof(info->features)) >= sizeof(info->features))
        return gst_spconv_fail(error, "features in the caps are longer than %u letters",
                               (guint)sizeof(info->features) - 1);
    return gst_spconv_geometry_parse(&info->geometry, s, error);
}

gboolean gst_spconv_voxels_info_parse(struct gst_spconv_voxels_info *info, const GstCaps *caps,
                                      GError **error)
{
    GstStructure *s = fixed_structure(caps, error);
    struct gst_spconv_voxels_info parsed = {0};
    const gchar *index_type;
    gint version, batch = 0, num_features = 0;

    if (!s)
        return FALSE;
    if (!gst_structure_has_name(s, GST_SPCONV_VOXELS_TYPE))
        return gst_spconv_fail(error, "%s are no voxels", gst_structure_get_name(s));
    if (!get_int(s, "version", 1, 1, &version, error) ||
        !get_type(s, "feature-type", &parsed.feature_type, error) ||
        !get_int(s, "num-features", 1, 4096, &num_features, error) ||
        !get_string(s, "index-type", &index_type, error) ||
        !get_index_order(s, &parsed.index_order, error) ||
        !get_int(s, "grid-x", 1, G_MAXINT, &parsed.grid_x, error) ||
        !get_int(s, "grid-y", 1, G_MAXINT, &parsed.grid_y, error) ||
        !get_int(s, "grid-z", 1, G_MAXINT, &parsed.grid_z, error) ||
        !get_int(s, "max-voxels", 1, G_MAXINT, &parsed.max_voxels, error) ||
        !get_int(s, "batch", 1, G_MAXINT, &batch, error) || !get_voxel_extras(&parsed, s, error))
        return FALSE;
    if (!g_str_equal(index_type, "int32"))
        return gst_spconv_fail(error, "index-type is \"%s\" in the caps, only int32 is possible",
                               index_type);
    if (batch != 1)
        return gst_spconv_fail(
            error,
            "batch is %d in the caps: more than one cloud a frame is not supported "
            "yet, send one cloud a buffer (batch=1)",
            batch);
    parsed.num_features = (guint)num_features;
    *info = parsed;
    return TRUE;
}

static void set_feature_type(GstStructure *s, enum spc_dtype type)
{
    GValue list = G_VALUE_INIT, value = G_VALUE_INIT;

    if (type != SPC_DTYPE_NONE) {
        gst_structure_set(s, "feature-type", G_TYPE_STRING, spc_dtype_name(type), NULL);
        return;
    }
    g_value_init(&list, GST_TYPE_LIST);
    g_value_init(&value, G_TYPE_STRING);
    g_value_set_static_string(&value, "float32");
    gst_value_list_append_value(&list, &value);
    g_value_set_static_string(&value, "float16");
    gst_value_list_append_value(&list, &value);
    g_value_unset(&value);
    gst_structure_take_value(s, "feature-type", &list);
}

GstCaps *gst_spconv_voxels_info_to_caps(const struct gst_spconv_voxels_info *info)
{
    GstCaps *caps = gst_caps_new_simple(
        GST_SPCONV_VOXELS_TYPE, "version", G_TYPE_INT, 1, "num-features", G_TYPE_INT,
        (gint)info->num_features, "index-type", G_TYPE_STRING, "int32", "index-order",
        G_TYPE_STRING, gst_spconv_index_order_name(info->index_order), "grid-x", G_TYPE_INT,
        info->grid_x, "grid-y", G_TYPE_INT, info->grid_y, "grid-z", G_TYPE_INT, info->grid_z,
        "batch", G_TYPE_INT, 1, NULL);
    GstStructure *s = gst_caps_get_structure(caps, 0);

    set_feature_type(s, info->feature_type);
    if (info->max_voxels)
        gst_structure_set(s, "max-voxels", G_TYPE_INT, info->max_voxels, NULL);
    else
        gst_structure_set(s, "max-voxels", GST_TYPE_INT_RANGE, 1, G_MAXINT, NULL);
    if (info->features[0])
        gst_structure_set(s, "features", G_TYPE_STRING, info->features, NULL);
    if (info->has_max_points_per_voxel)
        gst_structure_set(s, "max-points-per-voxel", G_TYPE_INT, info->max_points_per_voxel, NULL);
    gst_spconv_geometry_store(&info->geometry, s);
    set_framerate(s, info->fps_n, info->fps_d);
    return caps;
}

/* ------------------------------------------------------------------ BEV ---------------------- */

/* "180:180:256:1", innermost first, to dims outermost first. Trailing ones may be missing. */
static gboolean parse_dimensions(struct gst_spconv_bev_info *info, const gchar *text,
                                 GError **error)
{
    gchar **parts = g_strsplit(text, ":", 0);
    guint rank = g_strv_length(parts), i;
    gboolean ok = rank >= 1 && rank <= SPC_MAX_RANK;
    guint64 dim = 0, elements = 1;

    for (i = 0; ok && i < rank; i++) {
        ok = g_ascii_string_to_unsigned(parts[i], 10, 1, G_MAXINT, &dim, NULL);
        info->dims[rank - 1 - i] = (guint)dim;
        elements *= dim;
        ok = ok && elements <= G_MAXINT;
    }
    info->rank = rank;
    g_strfreev(parts);
    if (!ok)
        return gst_spconv_fail(
            error,
            "dimensions \"%s\" in the caps are not 1 to %d positive numbers of at "
            "most 2^31 values together, such as 180:180:256:1",
            text, SPC_MAX_RANK);
    return TRUE;
}

static gboolean get_axes(const GstStructure *s, enum spc_bev_axes *axes, GError **error)
{
    const gchar *text = gst_structure_get_string(s, "bev-axes");

    if (!text)
        *axes = SPC_BEV_NONE;
    else if (g_str_equal(text, "yx"))
        *axes = SPC_BEV_YX;
    else if (g_str_equal(text, "xy"))
        *axes = SPC_BEV_XY;
    else
        return gst_spconv_fail(error, "bev-axes is \"%s\" in the caps, yx and xy are possible",
                               text);
    return TRUE;
}

gboolean gst_spconv_bev_info_parse(struct gst_spconv_bev_info *info, const GstCaps *caps,
                                   GError **error)
{
    GstStructure *s = fixed_structure(caps, error);
    struct gst_spconv_bev_info parsed = {0};
    const gchar *format, *dimensions;
    gint num_tensors;

    if (!s)
        return FALSE;
    if (!gst_structure_has_name(s, GST_SPCONV_TENSORS_TYPE))
        return gst_spconv_fail(error, "%s is no tensor", gst_structure_get_name(s));
    if (!get_string(s, "format", &format, error) ||
        !get_int(s, "num_tensors", 1, 1, &num_tensors, error) ||
        !get_type(s, "types", &parsed.type, error) ||
        !get_string(s, "dimensions", &dimensions, error) ||
        !parse_dimensions(&parsed, dimensions, error) || !get_axes(s, &parsed.axes, error) ||
        !gst_spconv_geometry_parse(&parsed.geometry, s, error))
        return FALSE;
    if (!g_str_equal(format, "static"))
        return gst_spconv_fail(error, "format is \"%s\" in the caps, only static is possible",
                               format);
    get_framerate(s, &parsed.fps_n, &parsed.fps_d);
    *info = parsed;
    return TRUE;
}

GstCaps *gst_spconv_bev_info_to_caps(const struct gst_spconv_bev_info *info)
{
    GString *dimensions = g_string_new(NULL);
    GstStructure *s;
    GstCaps *caps;
    guint i;

    for (i = info->rank; i-- > 0;)
        g_string_append_printf(dimensions, "%u%s", info->dims[i], i ? ":" : "");
    caps = gst_caps_new_simple(GST_SPCONV_TENSORS_TYPE, "format", G_TYPE_STRING, "static",
                               "num_tensors", G_TYPE_INT, 1, "types", G_TYPE_STRING,
                               spc_dtype_name(info->type), "dimensions", G_TYPE_STRING,
                               dimensions->str, NULL);
    g_string_free(dimensions, TRUE);
    s = gst_caps_get_structure(caps, 0);
    if (info->axes != SPC_BEV_NONE)
        gst_structure_set(s, "bev-axes", G_TYPE_STRING, info->axes == SPC_BEV_YX ? "yx" : "xy",
                          NULL);
    gst_spconv_geometry_store(&info->geometry, s);
    set_framerate(s, info->fps_n, info->fps_d);
    return caps;
}

gsize gst_spconv_bev_info_size(const struct gst_spconv_bev_info *info)
{
    gsize size = spc_dtype_size(info->type);
    guint i;

    for (i = 0; i < info->rank; i++)
        size *= info->dims[i];
    return size;
}
