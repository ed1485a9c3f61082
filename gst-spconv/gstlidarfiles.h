/* SPDX-License-Identifier: MIT */
/* Which files a location means, and when their frames begin. Pure functions of the file system. */
#ifndef GST_LIDAR_FILES_H
#define GST_LIDAR_FILES_H

#include <gst/gst.h>

G_BEGIN_DECLS

/* The files that `location` means, in order:
 *
 *   a file that exists     itself
 *   a pattern, "%06d.bin"  numbers from `start` (below 0: 0, or 1 where there is no 0) to `stop`
 *                          (below 0: as long as there are files without a gap)
 *   a glob, "*.bin"        all that match, 9 before 10; from the start'th to the stop'th, from 0
 *
 * At least one; or NULL with a GST_RESOURCE_ERROR that names the location. Free with
 * g_ptr_array_unref(). `property` is what messages call it. */
GPtrArray *gst_lidar_files_expand(const gchar *property, const gchar *location, gint start,
                                  gint stop, GError **error);

/* Order of names in which numbers within them count as numbers: negative, zero or positive. */
gint gst_lidar_files_compare(const gchar *a, const gchar *b);

/* Timestamps, one in each line: seconds with a decimal point ("1533201470.448696"), or nanoseconds
 * without ("1533201470448696000"), the same in all lines, each later than the one before.
 * Returns `count` times in nanoseconds, the first of them 0 (they count from there), or NULL with
 * a GST_RESOURCE_ERROR that names `path` and the line. Free with g_free(). */
GstClockTime *gst_lidar_times_parse(const gchar *path, const gchar *text, gsize size, guint count,
                                    GError **error);
/* The same from a file. */
GstClockTime *gst_lidar_times_read(const gchar *path, guint count, GError **error);

G_END_DECLS

#endif
