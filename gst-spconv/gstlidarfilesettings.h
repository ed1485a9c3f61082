/* SPDX-License-Identifier: MIT */
/* The properties of lidarfilesrc: their values, and how they are installed. */
#ifndef GST_LIDAR_FILE_SETTINGS_H
#define GST_LIDAR_FILE_SETTINGS_H

#include <gst/gst.h>
#include <spc/spc.h>

G_BEGIN_DECLS

struct gst_lidar_file_settings {
    gchar *location, *indices_location, *timestamps_location;
    gchar *fields;    /* NULL: by their number */
    gint field_type;  /* enum spc_dtype; NONE: by the file */
    gchar *grid_size; /* NULL: downstream's */
    gint index_order; /* enum spc_index_order: ZYX or XYZ */
    gint rate_n, rate_d;
    gint start_index, stop_index; /* below 0: open */
    guint max_voxels;             /* 0: by the files' sizes */
    gboolean loop;
};

void gst_lidar_file_settings_init(struct gst_lidar_file_settings *settings);
void gst_lidar_file_settings_clear(struct gst_lidar_file_settings *settings);
void gst_lidar_file_settings_install(GObjectClass *klass);
/* The variable of property `id`, for gst_spconv_property_store() and _load(). */
gpointer gst_lidar_file_settings_at(struct gst_lidar_file_settings *settings, guint id);

G_END_DECLS

#endif
