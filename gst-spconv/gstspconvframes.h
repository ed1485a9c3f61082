/* SPDX-License-Identifier: MIT */
/*
 * Frames and time: what the sources share to answer for both.
 *
 * A stream of frames has a start for each frame; GST_FORMAT_DEFAULT counts frames.
 */
#ifndef GST_SPCONV_FRAMES_H
#define GST_SPCONV_FRAMES_H

#include <gst/gst.h>

G_BEGIN_DECLS

/* When frame `frame` of a constant rate (fps_n above 0) begins, and the frame that `time` is in. */
GstClockTime gst_spconv_frame_time(guint64 frame, gint fps_n, gint fps_d);
guint64 gst_spconv_frame_at(GstClockTime time, gint fps_n, gint fps_d);

/* What a stream tells of itself. `total` is the number of frames, or -1 where it has no end. */
struct gst_spconv_timeline {
    GstClockTime (*time_of)(guint64 frame, gpointer user);
    guint64 (*frame_at)(GstClockTime time, gpointer user);
    gpointer user;
    gint64 total;
};

/* Answer CONVERT and DURATION queries in TIME and DEFAULT; FALSE for what cannot be answered. */
gboolean gst_spconv_timeline_query(const struct gst_spconv_timeline *timeline, GstQuery *query);

G_END_DECLS

#endif
