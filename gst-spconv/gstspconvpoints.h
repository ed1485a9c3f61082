/* SPDX-License-Identifier: MIT */
/*
 * The fields of a point record, as the `fields` string of application/x-pointcloud2 says them:
 * "x:F32:0,y:F32:4,z:F32:8,intensity:F32:12", that is name:type:offset in bytes.
 *
 * Pure functions: no element, no state. Errors are GST_STREAM_ERROR_FORMAT.
 */
#ifndef GST_SPCONV_POINTS_H
#define GST_SPCONV_POINTS_H

#include <gst/gst.h>
#include <spc/spc.h>

G_BEGIN_DECLS

#define GST_SPCONV_MAX_FIELDS SPC_MAX_POINT_FIELDS

/* ROS's PointField types, with ROS's numbers. */
enum gst_spconv_field_type {
    GST_SPCONV_FIELD_I8 = 1,
    GST_SPCONV_FIELD_U8,
    GST_SPCONV_FIELD_I16,
    GST_SPCONV_FIELD_U16,
    GST_SPCONV_FIELD_I32,
    GST_SPCONV_FIELD_U32,
    GST_SPCONV_FIELD_F32,
    GST_SPCONV_FIELD_F64,
};

struct gst_spconv_field {
    gchar name[32];
    enum gst_spconv_field_type type;
    guint offset; /* bytes from the start of a record */
};

struct gst_spconv_fields {
    guint count;
    struct gst_spconv_field field[GST_SPCONV_MAX_FIELDS];
};

/* Parse `text`; every field must lie within a record of `point_step` bytes, and no name may occur
 * twice. `fields` is untouched on failure. */
gboolean gst_spconv_fields_parse(struct gst_spconv_fields *fields, const gchar *text,
                                 guint point_step, GError **error);
/* The reverse; release with g_free(). */
gchar *gst_spconv_fields_to_string(const struct gst_spconv_fields *fields);

/* Packed float32 fields of these names ("x,y,z,intensity"), in this order; returns the bytes of a
 * record, or 0 with an error for a list that is no list of 1 to 16 distinct names. */
guint gst_spconv_fields_packed(struct gst_spconv_fields *fields, const gchar *names,
                               GError **error);

/* The field of this name, or NULL. */
const struct gst_spconv_field *gst_spconv_fields_find(const struct gst_spconv_fields *fields,
                                                      const gchar *name);

/* "x,y,z," and then the other names in their order; release with g_free(). */
gchar *gst_spconv_fields_names(const struct gst_spconv_fields *fields);

/* Choose fields by name ("x,y,z,intensity"; must begin with x,y,z) for the voxelizer: fills
 * everything of `points` but data and count. A name that is missing, or of a type that the
 * voxelizer does not read, is an error that names it. */
gboolean gst_spconv_fields_select(const struct gst_spconv_fields *fields, guint point_step,
                                  const gchar *names, struct spc_points *points, GError **error);

G_END_DECLS

#endif
