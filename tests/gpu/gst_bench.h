/* SPDX-License-Identifier: MIT */
/* What the measurements of elements share: a stream pushed from a pad, and times. */
#ifndef SPC_GST_BENCH_H
#define SPC_GST_BENCH_H

#include "gst_context.h"

#include <cuda_runtime_api.h>

#define MAX_FRAMES 4096
#define SOURCES 3 /* buffers that come in turn */

/* ---- times ---- */

static inline gint64 now(void)
{
    return (gint64)gst_util_get_timestamp();
}

static inline int compare(const void *a, const void *b)
{
    gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;

    return (x > y) - (x < y);
}

/* Sorts the values. */
static inline gdouble median_us(gint64 *values, guint count)
{
    qsort(values, count, sizeof(*values), compare);
    return (gdouble)values[count / 2] / 1e3;
}

struct times {
    guint received;
    gint64 sent_at[MAX_FRAMES], came_at[MAX_FRAMES];
    GstBuffer *last; /* what came */
};

static inline void take_arrival(struct times *times, GstBuffer *buffer)
{
    times->came_at[times->received++] = now();
    gst_buffer_replace(&times->last, buffer);
}

struct figures {
    gdouble rate, latency, first; /* frames/s; median and first frame's, microseconds */
};

/* Without the first quarter, but for the first frame itself. */
static inline struct figures figures_of(const struct times *times, guint frames)
{
    guint warm = frames / 4, rest = frames - warm, i;
    static gint64 latency[MAX_FRAMES];
    struct figures figures;

    for (i = 0; i < rest; i++)
        latency[i] = times->came_at[warm + i] - times->sent_at[warm + i];
    figures.latency = median_us(latency, rest);
    figures.first = (gdouble)(times->came_at[0] - times->sent_at[0]) / 1e3;
    figures.rate =
        (rest - 1) * 1e9 / (gdouble)(times->came_at[frames - 1] - times->came_at[warm]);
    return figures;
}

/* ---- a pad that pushes ---- */

static inline gboolean answer(GstPad *pad, GstObject *parent, GstQuery *query)
{
    if (GST_QUERY_TYPE(query) == GST_QUERY_CONTEXT)
        return gst_spconv_cuda_answer(cuda, query);
    return gst_pad_query_default(pad, parent, query);
}

static inline GstPad *make_in(GstElement *element)
{
    GstPad *in = gst_pad_new("in", GST_PAD_SRC);
    GstPad *sink = gst_element_get_static_pad(element, "sink");

    gst_pad_set_query_function(in, answer);
    gst_pad_set_active(in, TRUE);
    CHECK_INT(gst_pad_link(in, sink), GST_PAD_LINK_OK);
    gst_object_unref(sink);
    return in;
}

/* Takes the caps. */
static inline void start_stream(GstPad *pad, GstCaps *caps)
{
    GstSegment segment;

    gst_segment_init(&segment, GST_FORMAT_TIME);
    gst_pad_push_event(pad, gst_event_new_stream_start("bench"));
    CHECK(gst_pad_push_event(pad, gst_event_new_caps(caps)));
    gst_pad_push_event(pad, gst_event_new_segment(&segment));
    gst_caps_unref(caps);
}

/* Pools for the buffers that are pushed. */
static inline GstBufferPool *activate(GstBufferPool *pool, gsize size)
{
    GstStructure *config = gst_buffer_pool_get_config(pool);

    gst_buffer_pool_config_set_params(config, NULL, (guint)size, SOURCES, 0);
    CHECK(gst_buffer_pool_set_config(pool, config) && gst_buffer_pool_set_active(pool, TRUE));
    return pool;
}

#endif
