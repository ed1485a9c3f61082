/* SPDX-License-Identifier: MIT */
/*
 * Properties that are plain variables: an element keeps them in a struct, has a table of their
 * offsets, and needs no code for each. Store and load under the object lock.
 */
#ifndef GST_SPCONV_PROPERTIES_H
#define GST_SPCONV_PROPERTIES_H

#include <gst/gst.h>

G_BEGIN_DECLS

/* Copy a value to or from the variable at `field`: gboolean, gint (also of an enum), guint,
 * gint64, guint64, gfloat, gdouble, gchar * (owned, freed when it is replaced), or two gint of a
 * fraction. FALSE for any other type. */
gboolean gst_spconv_property_store(gpointer field, const GValue *value);
gboolean gst_spconv_property_load(gconstpointer field, GValue *value);

/* TRUE, with a warning in the log, where `pspec` may not change in the element's state. */
gboolean gst_spconv_property_is_fixed(GstElement *element, const GParamSpec *pspec);

/* The property "cuda-device-id", whose variable is a gint. */
void gst_spconv_install_cuda_device_id(GObjectClass *klass, guint property_id);

/* Flags of properties that can change in NULL and READY, and of those that always can. */
#define GST_SPCONV_AT_READY (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY)
#define GST_SPCONV_ANY_TIME (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING)

G_END_DECLS

#endif
