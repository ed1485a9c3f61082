/* SPDX-License-Identifier: MIT */
/* Counts and times of frames, for the `stats` of an element and for its LATENCY answer.
 * Not thread-safe: the owner locks, where nothing else is said. */
#ifndef GST_SPCONV_STATS_H
#define GST_SPCONV_STATS_H

#include <gst/gst.h>

G_BEGIN_DECLS

/* Frames whose times the p99 is taken of. */
#define GST_SPCONV_STATS_WINDOW 512

/* All zero is a valid start. */
struct gst_spconv_stats {
    guint64 frames; /* computed */
    guint64 empty_frames;
    guint64 voxels; /* of all computed frames */
    guint64 last_voxels;
    guint64 dropped_late;     /* by QoS, before they were computed */
    guint64 dropped_overflow; /* over a bound */
    GstClockTime minimum, total;
    GstClockTime latency;                         /* to be reported: follows the p99 */
    GstClockTime recent[GST_SPCONV_STATS_WINDOW]; /* ring */
};

/* Count a frame. TRUE where the latency moved: then a latency message is due. */
gboolean gst_spconv_stats_add(struct gst_spconv_stats *stats, guint64 voxels, GstClockTime elapsed);

/* One more in `counter`, under the lock of the element that owns it. */
void gst_spconv_count(GstObject *owner, guint64 *counter);

/* 99 % of the last frames took at most so long; 0 before the first. */
GstClockTime gst_spconv_stats_p99(const struct gst_spconv_stats *stats);

/* Fields frames, empty-frames, voxels, last-voxels, dropped-late, dropped-overflow (guint64),
 * latency-min, latency-mean, latency-p99 (guint64, nanoseconds). */
void gst_spconv_stats_describe(const struct gst_spconv_stats *stats, GstStructure *structure);

/* Answer a LATENCY query with what upstream of `sink` says and `own` more. */
gboolean gst_spconv_answer_latency(GstPad *sink, GstQuery *query, GstClockTime own);

G_END_DECLS

#endif
