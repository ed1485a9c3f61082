/* SPDX-License-Identifier: MIT */
/* What the tests of the sources and of the renderer share. */
#ifndef SPC_SOURCE_TEST_H
#define SPC_SOURCE_TEST_H

#include "gst_test.h"

/* A harness of one element, for those that need it in their hands, with a bus of its own. */
static inline GstHarness *harness_with_bus(const gchar *element, GstBus **bus)
{
    GstHarness *h = gst_harness_new(element);

    *bus = gst_bus_new();
    gst_element_set_bus(h->element, *bus);
    return h;
}

/* A harness of a launch line with a bus of its own; free it with harness_free(). */
static inline GstHarness *source(const gchar *line, GstBus **bus)
{
    GstHarness *h = gst_harness_new_parse(line);

    *bus = gst_bus_new();
    gst_element_set_bus(h->element, *bus);
    return h;
}

static inline void check_caps(GstHarness *h, const gchar *expected)
{
    GstCaps *caps = gst_pad_get_current_caps(h->sinkpad), *right = gst_caps_from_string(expected);

    CHECK(caps && right && gst_caps_is_equal(caps, right));
    gst_clear_caps(&caps);
    gst_caps_unref(right);
}

/* Waits for the end of the stream; the number of buffers that were left to take. */
static inline guint count_until_eos(GstHarness *h)
{
    GstEvent *event;
    gboolean eos = FALSE;
    guint buffers = 0;

    while (!eos && (event = gst_harness_pull_event(h))) {
        eos = GST_EVENT_TYPE(event) == GST_EVENT_EOS;
        gst_event_unref(event);
    }
    CHECK(eos);
    for (GstBuffer *buffer; (buffer = gst_harness_try_pull(h)); buffers++)
        gst_buffer_unref(buffer);
    return buffers;
}

/* Takes buffers up to the first of those that a flushing seek to a later frame than 0 made. */
static inline GstBuffer *pull_after_seek(GstHarness *h)
{
    for (GstBuffer *buffer; (buffer = gst_harness_pull(h)); gst_buffer_unref(buffer))
        if (GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DISCONT) && GST_BUFFER_OFFSET(buffer))
            return buffer;
    return NULL;
}

/* The stream's segment, as the harness has seen it last. */
static inline GstSegment last_segment(GstHarness *h)
{
    GstEvent *event = gst_pad_get_sticky_event(h->sinkpad, GST_EVENT_SEGMENT, 0);
    GstSegment segment = {0};

    CHECK(event != NULL);
    if (event) {
        gst_event_copy_segment(event, &segment);
        gst_event_unref(event);
    }
    return segment;
}

#endif
