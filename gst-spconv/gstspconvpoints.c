/* SPDX-License-Identifier: MIT */
/* Fields of point records: see the header. */
#include "gstspconvpoints.h"
#include "gstspconverror.h"

#include <string.h>

static const struct {
    const gchar *name;
    guint size;
    enum spc_dtype dtype; /* NONE: the voxelizer does not read it */
} types[] = {
    [GST_SPCONV_FIELD_I8] = {"I8", 1, SPC_DTYPE_NONE},
    [GST_SPCONV_FIELD_U8] = {"U8", 1, SPC_DTYPE_U8},
    [GST_SPCONV_FIELD_I16] = {"I16", 2, SPC_DTYPE_NONE},
    [GST_SPCONV_FIELD_U16] = {"U16", 2, SPC_DTYPE_NONE},
    [GST_SPCONV_FIELD_I32] = {"I32", 4, SPC_DTYPE_NONE},
    [GST_SPCONV_FIELD_U32] = {"U32", 4, SPC_DTYPE_U32},
    [GST_SPCONV_FIELD_F32] = {"F32", 4, SPC_DTYPE_F32},
    [GST_SPCONV_FIELD_F64] = {"F64", 8, SPC_DTYPE_NONE},
};

static gboolean set_name(struct gst_spconv_field *field, const gchar *name)
{
    return name[0] && g_strlcpy(field->name, name, sizeof(field->name)) < sizeof(field->name);
}

static gboolean parse_type(struct gst_spconv_field *field, const gchar *name)
{
    guint i;

    for (i = GST_SPCONV_FIELD_I8; i < G_N_ELEMENTS(types); i++) {
        if (g_str_equal(name, types[i].name)) {
            field->type = i;
            return TRUE;
        }
    }
    return FALSE;
}

/* One "name:type:offset". */
static gboolean parse_field(struct gst_spconv_field *field, const gchar *text, guint point_step,
                            GError **error)
{
    gchar **parts = g_strsplit(text, ":", 4);
    guint64 offset;
    gboolean ok = FALSE;

    if (g_strv_length(parts) != 3 || !set_name(field, g_strstrip(parts[0])))
        gst_spconv_fail(error,
                        "field \"%s\" is not name:type:offset with a name of 1 to %u letters", text,
                        (guint)sizeof(field->name) - 1);
    else if (!parse_type(field, parts[1]))
        gst_spconv_fail(error,
                        "field \"%s\" has the unknown type \"%s\": use I8, U8, I16, U16, I32, U32, "
                        "F32 or F64",
                        field->name, parts[1]);
    else if (!g_ascii_string_to_unsigned(parts[2], 10, 0, G_MAXINT, &offset, NULL))
        gst_spconv_fail(error, "field \"%s\" has \"%s\" where its offset in bytes should be",
                        field->name, parts[2]);
    else if (offset + types[field->type].size > point_step)
        gst_spconv_fail(error, "field \"%s\" ends at byte %u of a record, but point-step is %u",
                        field->name, (guint)offset + types[field->type].size, point_step);
    else
        ok = TRUE;
    if (ok)
        field->offset = (guint)offset;
    g_strfreev(parts);
    return ok;
}

gboolean gst_spconv_fields_parse(struct gst_spconv_fields *fields, const gchar *text,
                                 guint point_step, GError **error)
{
    struct gst_spconv_fields parsed = {0};
    gchar **parts = g_strsplit(text, ",", 0);
    guint count = g_strv_length(parts), i;
    gboolean ok = TRUE;

    if (count < 1 || count > GST_SPCONV_MAX_FIELDS)
        ok = gst_spconv_fail(error, "fields names %u fields, 1 to %d are possible", count,
                             GST_SPCONV_MAX_FIELDS);
    for (i = 0; ok && i < count; i++) {
        ok = parse_field(&parsed.field[i], g_strstrip(parts[i]), point_step, error);
        if (ok && gst_spconv_fields_find(&parsed, parsed.field[i].name))
            ok = gst_spconv_fail(error, "field \"%s\" occurs twice", parsed.field[i].name);
        parsed.count = i + 1;
    }
    if (ok)
        *fields = parsed;
    g_strfreev(parts);
    return ok;
}

gchar *gst_spconv_fields_to_string(const struct gst_spconv_fields *fields)
{
    GString *text = g_string_new(NULL);
    guint i;

    for (i = 0; i < fields->count; i++)
        g_string_append_printf(text, "%s%s:%s:%u", i ? "," : "", fields->field[i].name,
                               types[fields->field[i].type].name, fields->field[i].offset);
    return g_string_free(text, FALSE);
}

guint gst_spconv_fields_packed(struct gst_spconv_fields *fields, const gchar *names, GError **error)
{
    struct gst_spconv_fields packed = {0};
    gchar **parts = g_strsplit(names, ",", 0);
    guint count = g_strv_length(parts), i;
    gboolean ok = count >= 1 && count <= GST_SPCONV_MAX_FIELDS;

    for (i = 0; ok && i < count; i++) {
        struct gst_spconv_field *field = &packed.field[i];

        ok = set_name(field, g_strstrip(parts[i])) && !strchr(field->name, ':') &&
             !gst_spconv_fields_find(&packed, field->name);
        field->type = GST_SPCONV_FIELD_F32;
        field->offset = i * sizeof(gfloat);
        packed.count = i + 1;
    }
    g_strfreev(parts);
    if (!ok) {
        gst_spconv_fail(error,
                        "\"%s\" is no list of 1 to %d distinct field names such as x,y,z,intensity",
                        names, GST_SPCONV_MAX_FIELDS);
        return 0;
    }
    *fields = packed;
    return count * sizeof(gfloat);
}

const struct gst_spconv_field *gst_spconv_fields_find(const struct gst_spconv_fields *fields,
                                                      const gchar *name)
{
    guint i;

    for (i = 0; i < fields->count; i++)
        if (g_str_equal(fields->field[i].name, name))
            return &fields->field[i];
    return NULL;
}

static gboolean is_position(const gchar *name)
{
    return g_str_equal(name, "x") || g_str_equal(name, "y") || g_str_equal(name, "z");
}

gchar *gst_spconv_fields_names(const struct gst_spconv_fields *fields)
{
    GString *text = g_string_new("x,y,z");
    guint i;

    for (i = 0; i < fields->count; i++)
        if (!is_position(fields->field[i].name))
            g_string_append_printf(text, ",%s", fields->field[i].name);
    return g_string_free(text, FALSE);
}

static gboolean select_field(const struct gst_spconv_fields *fields, const gchar *name,
                             struct spc_points *points, GError **error)
{
    const struct gst_spconv_field *field = gst_spconv_fields_find(fields, name);

    if (!field) {
        gchar *have = gst_spconv_fields_to_string(fields);

        gst_spconv_fail(error, "the points have no field \"%s\", their fields are %s", name, have);
        g_free(have);
        return FALSE;
    }
    if (types[field->type].dtype == SPC_DTYPE_NONE)
        return gst_spconv_fail(
            error,
            "field \"%s\" is %s, which cannot be a voxel feature: leave it out, or "
            "convert it to F32, U8 or U32",
            name, types[field->type].name);
    points->fields[points->num_fields].type = types[field->type].dtype;
    points->fields[points->num_fields].offset = field->offset;
    points->num_fields++;
    return TRUE;
}

gboolean gst_spconv_fields_select(const struct gst_spconv_fields *fields, guint point_step,
                                  const gchar *names, struct spc_points *points, GError **error)
{
    struct spc_points selected = {.stride = point_step};
    gchar **parts = g_strsplit(names, ",", 0);
    guint count = g_strv_length(parts), i;
    gboolean ok = count <= GST_SPCONV_MAX_FIELDS && g_str_has_prefix(names, "x,y,z") &&
                  (names[5] == ',' || !names[5]);

    if (!ok)
        gst_spconv_fail(error, "features \"%s\" must begin with x,y,z and have at most %d names",
                        names, GST_SPCONV_MAX_FIELDS);
    for (i = 0; ok && i < count; i++)
        ok = select_field(fields, parts[i], &selected, error);
    if (ok)
        *points = selected;
    g_strfreev(parts);
    return ok;
}
