/* SPDX-License-Identifier: MIT */
/* The properties of bevrender: their values, and how they are installed. */
#ifndef GST_BEV_SETTINGS_H
#define GST_BEV_SETTINGS_H

#include <gst/gst.h>

#include "bevdraw.h"

G_BEGIN_DECLS

#define GST_BEV_COLORMAP_AUTO -1

struct gst_bev_settings {
    gchar *color_by;
    gint colormap; /* enum bev_colormap, or GST_BEV_COLORMAP_AUTO */
    gint reduce;   /* enum bev_reduce */
    guint channel, point_size, background;
    gdouble range, value_min, value_max;
    gboolean grid, legend;
};

void gst_bev_settings_init(struct gst_bev_settings *settings);
void gst_bev_settings_install(GObjectClass *klass);
/* The variable of property `id`, for gst_spconv_property_store() and _load(). */
gpointer gst_bev_settings_at(struct gst_bev_settings *settings, guint id);

G_END_DECLS

#endif
