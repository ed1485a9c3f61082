/* SPDX-License-Identifier: MIT */
/* Properties that are plain variables, see gstspconvproperties.h. */
#include "gstspconvproperties.h"

gboolean gst_spconv_property_store(gpointer field, const GValue *value)
{
    if (GST_VALUE_HOLDS_FRACTION(value)) {
        ((gint *)field)[0] = gst_value_get_fraction_numerator(value);
        ((gint *)field)[1] = gst_value_get_fraction_denominator(value);
        return TRUE;
    }
    switch (G_TYPE_FUNDAMENTAL(G_VALUE_TYPE(value))) {
    case G_TYPE_BOOLEAN:
        *(gboolean *)field = g_value_get_boolean(value);
        return TRUE;
    case G_TYPE_ENUM:
        *(gint *)field = g_value_get_enum(value);
        return TRUE;
    case G_TYPE_INT:
        *(gint *)field = g_value_get_int(value);
        return TRUE;
    case G_TYPE_UINT:
        *(guint *)field = g_value_get_uint(value);
        return TRUE;
    case G_TYPE_INT64:
        *(gint64 *)field = g_value_get_int64(value);
        return TRUE;
    case G_TYPE_UINT64:
        *(guint64 *)field = g_value_get_uint64(value);
        return TRUE;
    case G_TYPE_FLOAT:
        *(gfloat *)field = g_value_get_float(value);
        return TRUE;
    case G_TYPE_DOUBLE:
        *(gdouble *)field = g_value_get_double(value);
        return TRUE;
    case G_TYPE_STRING:
        g_free(*(gchar **)field);
        *(gchar **)field = g_value_dup_string(value);
        return TRUE;
    default:
        return FALSE;
    }
}

gboolean gst_spconv_property_load(gconstpointer field, GValue *value)
{
    if (GST_VALUE_HOLDS_FRACTION(value)) {
        gst_value_set_fraction(value, ((const gint *)field)[0], ((const gint *)field)[1]);
        return TRUE;
    }
    switch (G_TYPE_FUNDAMENTAL(G_VALUE_TYPE(value))) {
    case G_TYPE_BOOLEAN:
        g_value_set_boolean(value, *(const gboolean *)field);
        return TRUE;
    case G_TYPE_ENUM:
        g_value_set_enum(value, *(const gint *)field);
        return TRUE;
    case G_TYPE_INT:
        g_value_set_int(value, *(const gint *)field);
        return TRUE;
    case G_TYPE_UINT:
        g_value_set_uint(value, *(const guint *)field);
        return TRUE;
    case G_TYPE_INT64:
        g_value_set_int64(value, *(const gint64 *)field);
        return TRUE;
    case G_TYPE_UINT64:
        g_value_set_uint64(value, *(const guint64 *)field);
        return TRUE;
    case G_TYPE_FLOAT:
        g_value_set_float(value, *(const gfloat *)field);
        return TRUE;
    case G_TYPE_DOUBLE:
        g_value_set_double(value, *(const gdouble *)field);
        return TRUE;
    case G_TYPE_STRING:
        g_value_set_string(value, *(gchar *const *)field);
        return TRUE;
    default:
        return FALSE;
    }
}

gboolean gst_spconv_property_is_fixed(GstElement *element, const GParamSpec *pspec)
{
    /* On the way to PAUSED the element reads its settings, and is in READY still. */
    if (!(pspec->flags & GST_PARAM_MUTABLE_READY) ||
        MAX(GST_STATE(element), GST_STATE_NEXT(element)) <= GST_STATE_READY)
        return FALSE;
    GST_WARNING_OBJECT(element, "%s can be set in the states NULL and READY only", pspec->name);
    return TRUE;
}

void gst_spconv_install_cuda_device_id(GObjectClass *klass, guint property_id)
{
    g_object_class_install_property(
        klass, property_id,
        g_param_spec_int("cuda-device-id", "CUDA device",
                         "CUDA: device number; -1: the one that the neighbours or the application "
                         "have a context of, else the first",
                         -1, G_MAXINT, -1, GST_SPCONV_AT_READY));
}
