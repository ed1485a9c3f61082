/* SPDX-License-Identifier: MIT */
/*
 * Properties that are plain variables: an element keeps them in a struct, has a table of their
 * offsets, and needs no code for each. Call under the object lock.
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

G_END_DECLS

#endif
