/* SPDX-License-Identifier: MIT */
/* Frames and time, see gstspconvframes.h. */
#include "gstspconvframes.h"

GstClockTime gst_spconv_frame_time(guint64 frame, gint fps_n, gint fps_d)
{
    return gst_util_uint64_scale(frame, (guint64)fps_d * GST_SECOND, (guint64)fps_n);
}

guint64 gst_spconv_frame_at(GstClockTime time, gint fps_n, gint fps_d)
{
    /* A start is rounded down, so the frame may be one more than the division says. */
    guint64 frame = gst_util_uint64_scale(time, (guint64)fps_n, (guint64)fps_d * GST_SECOND);

    return gst_spconv_frame_time(frame + 1, fps_n, fps_d) <= time ? frame + 1 : frame;
}

static gboolean convert(const struct gst_spconv_timeline *timeline, GstFormat from, gint64 value,
                        GstFormat to, gint64 *result)
{
    if (from == to || value == -1)
        *result = value;
    else if (value < 0)
        return FALSE;
    else if (from == GST_FORMAT_TIME && to == GST_FORMAT_DEFAULT)
        *result = (gint64)timeline->frame_at((GstClockTime)value, timeline->user);
    else if (from == GST_FORMAT_DEFAULT && to == GST_FORMAT_TIME)
        *result = (gint64)timeline->time_of((guint64)value, timeline->user);
    else
        return FALSE;
    return TRUE;
}

gboolean gst_spconv_timeline_query(const struct gst_spconv_timeline *timeline, GstQuery *query)
{
    GstFormat from, to;
    gint64 value, result;

    if (GST_QUERY_TYPE(query) == GST_QUERY_CONVERT) {
        gst_query_parse_convert(query, &from, &value, &to, NULL);
        if (!convert(timeline, from, value, to, &result))
            return FALSE;
        gst_query_set_convert(query, from, value, to, result);
        return TRUE;
    }
    if (GST_QUERY_TYPE(query) == GST_QUERY_DURATION) {
        gst_query_parse_duration(query, &to, NULL);
        if (timeline->total < 0 ||
            !convert(timeline, GST_FORMAT_DEFAULT, timeline->total, to, &result))
            return FALSE;
        gst_query_set_duration(query, to, result);
        return TRUE;
    }
    return FALSE;
}
