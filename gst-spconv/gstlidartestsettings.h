/* SPDX-License-Identifier: MIT */
/* The properties of lidartestsrc: their values, and how they are installed. */
#ifndef GST_LIDAR_TEST_SETTINGS_H
#define GST_LIDAR_TEST_SETTINGS_H

#include <gst/gst.h>

#include "lidarsensor.h"

G_BEGIN_DECLS

struct gst_lidar_test_settings {
    enum lidar_sensor sensor;
    enum lidar_pattern pattern;
    guint64 seed;
    gfloat noise, drop_out, range_max, sensor_height;
    gint rate_n, rate_d; /* one property */
    guint points_per_second, sweeps;
    gint64 timestamp_offset;
    gchar *fields;
};

/* The property that is no variable here: the base class keeps it. */
#define GST_LIDAR_TEST_IS_LIVE 1

void gst_lidar_test_settings_init(struct gst_lidar_test_settings *settings);
void gst_lidar_test_settings_install(GObjectClass *klass);
/* The variable of property `id`, for gst_spconv_property_store() and _load(). */
gpointer gst_lidar_test_settings_at(struct gst_lidar_test_settings *settings, guint id);

G_END_DECLS

#endif
