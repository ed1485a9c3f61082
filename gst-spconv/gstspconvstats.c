/* SPDX-License-Identifier: MIT */
/* Statistics: see the header. */
#include "gstspconvstats.h"

#include <stdlib.h>
#include <string.h>

/* Latency is looked at after the first and then every so many frames, and moves where it is off
 * by more than a quarter: each move costs the pipeline a round of queries. */
#define LATENCY_FRAMES 32

static gboolean update_latency(struct gst_spconv_stats *stats)
{
    GstClockTime p99 = gst_spconv_stats_p99(stats), latency = stats->latency;
    gboolean moved = p99 > latency + latency / 4 || latency > p99 + p99 / 4;

    if (moved)
        stats->latency = p99;
    return moved;
}

gboolean gst_spconv_stats_add(struct gst_spconv_stats *stats, guint64 voxels, GstClockTime elapsed)
{
    if (!stats->frames || elapsed < stats->minimum)
        stats->minimum = elapsed;
    stats->recent[stats->frames % GST_SPCONV_STATS_WINDOW] = elapsed;
    stats->total += elapsed;
    stats->voxels += voxels;
    stats->last_voxels = voxels;
    stats->frames++;
    return stats->frames % LATENCY_FRAMES == 1 && update_latency(stats);
}

void gst_spconv_count(GstObject *owner, guint64 *counter)
{
    GST_OBJECT_LOCK(owner);
    ++*counter;
    GST_OBJECT_UNLOCK(owner);
}

static int compare(const void *a, const void *b)
{
    GstClockTime x = *(const GstClockTime *)a, y = *(const GstClockTime *)b;

    return (x > y) - (x < y);
}

GstClockTime gst_spconv_stats_p99(const struct gst_spconv_stats *stats)
{
    GstClockTime sorted[GST_SPCONV_STATS_WINDOW];
    gsize count = MIN(stats->frames, GST_SPCONV_STATS_WINDOW);

    if (!count)
        return 0;
    memcpy(sorted, stats->recent, count * sizeof(sorted[0]));
    qsort(sorted, count, sizeof(sorted[0]), compare);
    return sorted[(count * 99 + 99) / 100 - 1];
}

void gst_spconv_stats_describe(const struct gst_spconv_stats *stats, GstStructure *structure)
{
    guint64 mean = stats->frames ? stats->total / stats->frames : 0;

    gst_structure_set(structure, "frames", G_TYPE_UINT64, stats->frames, "empty-frames",
                      G_TYPE_UINT64, stats->empty_frames, "voxels", G_TYPE_UINT64, stats->voxels,
                      "last-voxels", G_TYPE_UINT64, stats->last_voxels, "dropped-late",
                      G_TYPE_UINT64, stats->dropped_late, "dropped-overflow", G_TYPE_UINT64,
                      stats->dropped_overflow, "latency-min", G_TYPE_UINT64, stats->minimum,
                      "latency-mean", G_TYPE_UINT64, mean, "latency-p99", G_TYPE_UINT64,
                      gst_spconv_stats_p99(stats), NULL);
}

gboolean gst_spconv_answer_latency(GstPad *sink, GstQuery *query, GstClockTime own)
{
    GstClockTime minimum, maximum;
    gboolean live;

    if (!gst_pad_peer_query(sink, query))
        return FALSE;
    gst_query_parse_latency(query, &live, &minimum, &maximum);
    if (GST_CLOCK_TIME_IS_VALID(maximum))
        maximum += own;
    gst_query_set_latency(query, live, minimum + own, maximum);
    return TRUE;
}
