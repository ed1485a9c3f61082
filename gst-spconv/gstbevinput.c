/* SPDX-License-Identifier: MIT */
/* Frames of points and tensors as pictures, see gstbevinput.h. */
#include "gstbevinput.h"

#include <math.h>
#include <string.h>

#include "gstspconverror.h"

#define DEFAULT_POINTS_RANGE 50.0f

gboolean gst_bev_input_set_caps(struct gst_bev_input *input, const GstCaps *caps, GError **error)
{
    gboolean is_points =
        !gst_structure_has_name(gst_caps_get_structure(caps, 0), GST_SPCONV_TENSORS_TYPE);

    if (is_points) {
        struct gst_spconv_points_info info;

        if (!gst_spconv_points_info_parse(&info, caps, error))
            return FALSE;
        if (!gst_spconv_fields_find(&info.fields, "x") ||
            !gst_spconv_fields_find(&info.fields, "y") ||
            !gst_spconv_fields_find(&info.fields, "z"))
            return gst_spconv_fail(error, "the point cloud has no fields x, y and z to draw");
        input->points = info;
    } else {
        struct gst_spconv_bev_info info;

        if (!gst_spconv_bev_info_parse(&info, caps, error))
            return FALSE;
        if (info.rank < 2)
            return gst_spconv_fail(error, "a tensor of rank %u is no plane", info.rank);
        if (info.geometry.has_range && (info.geometry.range_mm[0] >= info.geometry.range_mm[3] ||
                                        info.geometry.range_mm[1] >= info.geometry.range_mm[4]))
            return gst_spconv_fail(error, "range-mm in the caps has a minimum that is not below "
                                          "its maximum (x, y, z minimum, then maximum)");
        input->bev = info;
    }
    input->is_points = is_points;
    return TRUE;
}

void gst_bev_input_clear(struct gst_bev_input *input)
{
    g_free(input->scratch);
    memset(input, 0, sizeof(*input));
}

static gfloat *reserve(struct gst_bev_input *input, gsize floats)
{
    if (input->capacity < floats) {
        g_free(input->scratch);
        input->scratch = g_new(gfloat, floats);
        input->capacity = floats;
    }
    return input->scratch;
}

/* ------------------------------------------------------------------ where things lie --------- */

/* The plane without its values. Without a range in the caps, `settings` may give one; with
 * neither, a cell is the unit. Returns whether the unit is the metre. */
static gboolean get_plane(const struct gst_spconv_bev_info *info,
                          const struct gst_bev_settings *settings, struct bev_plane *plane)
{
    gboolean metric = info->geometry.has_range || settings->range > 0;
    gfloat half_x, half_y;

    plane->rows = (int)info->dims[info->rank - 2];
    plane->columns = (int)info->dims[info->rank - 1];
    plane->rows_are_x = info->axes == SPC_BEV_XY;
    if (info->geometry.has_range) {
        gfloat range[6];

        gst_spconv_geometry_get_range(&info->geometry, range);
        plane->x0 = range[0];
        plane->y0 = range[1];
        plane->x1 = range[3];
        plane->y1 = range[4];
        return TRUE;
    }
    half_x = 0.5f * (gfloat)(plane->rows_are_x ? plane->rows : plane->columns);
    half_y = 0.5f * (gfloat)(plane->rows_are_x ? plane->columns : plane->rows);
    if (metric)
        half_x = half_y = (gfloat)settings->range;
    plane->x0 = -half_x;
    plane->x1 = half_x;
    plane->y0 = -half_y;
    plane->y1 = half_y;
    return metric;
}

gboolean gst_bev_input_get_view(const struct gst_bev_input *input,
                                const struct gst_bev_settings *settings, gint width, gint height,
                                struct bev_view *view)
{
    gfloat range = settings->range > 0 ? (gfloat)settings->range : DEFAULT_POINTS_RANGE;
    struct bev_plane plane;

    if (!input->is_points && settings->range <= 0) {
        gboolean metric = get_plane(&input->bev, settings, &plane);

        bev_view_fit(view, width, height, plane.x0, plane.y0, plane.x1, plane.y1);
        return metric;
    }
    bev_view_fit(view, width, height, -range, -range, range, range);
    return TRUE;
}

/* ------------------------------------------------------------------ points ------------------- */

/* One field of all records as floats. */
static void read_column(const struct gst_spconv_field *field, const guint8 *data, gsize count,
                        gsize step, gfloat *out)
{
    if (!count)
        return; /* an empty buffer has no data to point into */
    data += field->offset;
    switch (field->type) {
#define READ(constant, type)                                                                       \
    case GST_SPCONV_FIELD_##constant:                                                              \
        for (gsize i = 0; i < count; i++) {                                                        \
            type value;                                                                            \
            memcpy(&value, data + i * step, sizeof(value));                                        \
            out[i] = (gfloat)value;                                                                \
        }                                                                                          \
        break;
        READ(I8, gint8)
        READ(U8, guint8)
        READ(I16, gint16)
        READ(U16, guint16)
        READ(I32, gint32)
        READ(U32, guint32)
        READ(F32, gfloat)
        READ(F64, gdouble)
#undef READ
    }
}

/* The values that give the colours, and what the legend calls them. */
static gboolean read_values(const struct gst_spconv_points_info *info, const gchar *color_by,
                            const guint8 *data, gsize count, const struct bev_points *points,
                            gfloat *out, gchar *title, gsize title_size, GError **error)
{
    const struct gst_spconv_field *field = gst_spconv_fields_find(&info->fields, color_by);

    g_strlcpy(title, color_by, title_size);
    if (field) {
        read_column(field, data, count, info->point_step, out);
    } else if (!strcmp(color_by, "height")) {
        memcpy(out, points->z, count * sizeof(*out));
        g_strlcat(title, " m", title_size);
    } else if (!strcmp(color_by, "distance")) {
        for (gsize i = 0; i < count; i++)
            out[i] = hypotf(points->x[i], points->y[i]);
        g_strlcat(title, " m", title_size);
    } else {
        gchar *names = gst_spconv_fields_to_string(&info->fields);

        gst_spconv_fail(error,
                        "color-by=%s: the cloud has no such field (it has %s); choose one of "
                        "them, height, or distance",
                        color_by, names);
        g_free(names);
        return FALSE;
    }
    return TRUE;
}

static void choose_range(const struct gst_bev_settings *settings, const gfloat *values, gsize count,
                         gfloat low_share, gfloat high_share, gfloat *low, gfloat *high)
{
    *low = (gfloat)settings->value_min;
    *high = (gfloat)settings->value_max;
    if (!(*low < *high))
        bev_value_range(values, count, low_share, high_share, low, high);
}

static void choose_colors(const struct gst_bev_settings *settings, enum bev_colormap preferred,
                          uint32_t *colors)
{
    bev_colormap_fill(settings->colormap == GST_BEV_COLORMAP_AUTO
                          ? preferred
                          : (enum bev_colormap)settings->colormap,
                      colors);
}

static gboolean draw_points(struct gst_bev_input *input, const struct gst_bev_settings *settings,
                            const GstMapInfo *map, struct bev_picture *picture, GError **error)
{
    const struct gst_spconv_points_info *info = &input->points;
    const struct gst_spconv_fields *fields = &info->fields;
    gsize step = info->point_step, count = map->size / step;
    gfloat *scratch = reserve(input, 4 * MAX(count, 1)), low, high;
    struct bev_points points = {scratch, scratch + count, scratch + 2 * count, scratch + 3 * count,
                                count};
    gint size =
        settings->point_size ? (gint)settings->point_size : CLAMP(picture->view.height / 300, 1, 8);
    uint32_t colors[BEV_NUM_COLORS];
    gchar title[48];

    if (map->size % step)
        return gst_spconv_fail(error,
                               "a buffer of %" G_GSIZE_FORMAT " bytes does not hold whole points "
                               "of %u bytes, which is the caps' point-step",
                               map->size, info->point_step);
    read_column(gst_spconv_fields_find(fields, "x"), map->data, count, step, scratch);
    read_column(gst_spconv_fields_find(fields, "y"), map->data, count, step, scratch + count);
    read_column(gst_spconv_fields_find(fields, "z"), map->data, count, step, scratch + 2 * count);
    if (!read_values(info, settings->color_by, map->data, count, &points, scratch + 3 * count,
                     title, sizeof(title), error))
        return FALSE;
    choose_range(settings, points.value, count, 0.01f, 0.97f, &low, &high);
    choose_colors(settings, BEV_COLORMAP_TURBO, colors);
    bev_draw_points(picture, &points, size, colors, low, high);
    if (settings->legend && count)
        bev_picture_draw_legend(picture, colors, low, high, title);
    return TRUE;
}

/* ------------------------------------------------------------------ tensors ------------------ */

static void reduce_tensor(const struct gst_bev_settings *settings, enum spc_dtype type,
                          const GstMapInfo *map, gsize channels, gsize cells, gfloat *plane)
{
    gpointer copy = NULL;

    /* A memory that is part of another may begin anywhere. */
    if ((guintptr)map->data % spc_dtype_size(type)) {
        copy = g_malloc(map->size);
        memcpy(copy, map->data, map->size);
    }
    bev_reduce_channels(copy ? copy : map->data, type, channels, cells,
                        (enum bev_reduce)settings->reduce, settings->channel, plane);
    g_free(copy);
}

static void make_title(const struct gst_bev_settings *settings, gsize channels, gchar *title,
                       gsize size)
{
    if (settings->reduce == BEV_REDUCE_CHANNEL)
        g_snprintf(title, size, "channel %u", settings->channel);
    else
        g_snprintf(title, size, "%s of %" G_GSIZE_FORMAT " channels",
                   settings->reduce == BEV_REDUCE_MAX ? "max" : "mean", channels);
}

static gboolean draw_tensor(struct gst_bev_input *input, const struct gst_bev_settings *settings,
                            const GstMapInfo *map, struct bev_picture *picture, GError **error)
{
    const struct gst_spconv_bev_info *info = &input->bev;
    gsize size = gst_spconv_bev_info_size(info), cells, channels;
    struct bev_plane plane;
    uint32_t colors[BEV_NUM_COLORS];
    gfloat *values, low, high;
    gchar title[48];

    if (map->size != size)
        return gst_spconv_fail(error,
                               "a buffer of %" G_GSIZE_FORMAT
                               " bytes is no tensor of %" G_GSIZE_FORMAT
                               " bytes, which the caps' dimensions make",
                               map->size, size);
    get_plane(info, settings, &plane);
    cells = (gsize)plane.rows * (gsize)plane.columns;
    channels = size / spc_dtype_size(info->type) / cells;
    if (settings->reduce == BEV_REDUCE_CHANNEL && settings->channel >= channels)
        return gst_spconv_fail(
            error, "channel=%u: the tensor has %" G_GSIZE_FORMAT " channels, numbered from 0",
            settings->channel, channels);
    values = reserve(input, cells);
    reduce_tensor(settings, info->type, map, channels, cells, values);
    plane.values = values;
    choose_range(settings, values, cells, 0, 0.99f, &low, &high);
    choose_colors(settings, BEV_COLORMAP_INFERNO, colors);
    bev_draw_plane(picture, &plane, colors, low, high);
    bev_picture_draw_rings(picture);
    if (settings->legend) {
        make_title(settings, channels, title, sizeof(title));
        bev_picture_draw_legend(picture, colors, low, high, title);
    }
    return TRUE;
}

gboolean gst_bev_input_draw(struct gst_bev_input *input, const struct gst_bev_settings *settings,
                            GstBuffer *buffer, struct bev_picture *picture, GError **error)
{
    GstMapInfo map;
    gboolean ok;

    if (!gst_buffer_map(buffer, &map, GST_MAP_READ))
        return gst_spconv_fail(error, "the buffer cannot be read");
    bev_picture_clear(picture);
    ok = input->is_points ? draw_points(input, settings, &map, picture, error)
                          : draw_tensor(input, settings, &map, picture, error);
    gst_buffer_unmap(buffer, &map);
    if (ok)
        bev_picture_draw_ego(picture);
    return ok;
}
