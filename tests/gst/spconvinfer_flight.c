/* SPDX-License-Identifier: MIT */
/* Several frames in flight in spconvinfer: order, what waits for them, flushes, errors, states. On
 * the CPU, where each is computed as it is submitted and pushed by the src pad's task. */
#include "gst_test.h"

#define LAUNCH "spconvinfer backend=cpu threads=1 inflight=3 model-file=%s "
#define FRAMES 12

/* What leaves the src pad, in this order: 'b' buffers, 'g' buffers flagged GAP, 'd' behind a
 * discontinuity, 't' tags, 'e' EOS, 'c' caps. While it is closed nothing passes. */
struct track {
    GMutex lock;
    GCond changed;
    gboolean closed;
    GString *seen;
};

static gchar letter_of(GstPadProbeInfo *info)
{
    GstBuffer *buffer;

    if (info->type & GST_PAD_PROBE_TYPE_BUFFER) {
        buffer = GST_PAD_PROBE_INFO_BUFFER(info);
        return GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_GAP) ? 'g'
               : GST_BUFFER_IS_DISCONT(buffer)                     ? 'd'
                                                                   : 'b';
    }
    switch (GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info))) {
    case GST_EVENT_TAG:
        return 't';
    case GST_EVENT_EOS:
        return 'e';
    case GST_EVENT_CAPS:
        return 'c';
    default:
        return 0;
    }
}

static GstPadProbeReturn watch(GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
    struct track *track = user;
    gchar letter = letter_of(info);

    (void)pad;
    g_mutex_lock(&track->lock);
    while (track->closed && info->type & GST_PAD_PROBE_TYPE_BUFFER)
        g_cond_wait(&track->changed, &track->lock);
    if (letter)
        g_string_append_c(track->seen, letter);
    g_cond_broadcast(&track->changed);
    g_mutex_unlock(&track->lock);
    return GST_PAD_PROBE_OK;
}

static void set_closed(struct track *track, gboolean closed)
{
    g_mutex_lock(&track->lock);
    track->closed = closed;
    g_cond_broadcast(&track->changed);
    g_mutex_unlock(&track->lock);
}

/* The track as soon as it has `length` letters. */
static gchar *take_track(struct track *track, gsize length)
{
    gint64 end = g_get_monotonic_time() + 20 * G_TIME_SPAN_SECOND;
    gchar *text;

    g_mutex_lock(&track->lock);
    while (track->seen->len < length && g_cond_wait_until(&track->changed, &track->lock, end))
        ;
    text = g_strdup(track->seen->str);
    g_string_truncate(track->seen, 0);
    g_mutex_unlock(&track->lock);
    return text;
}

static void check_track(struct track *track, const gchar *expected)
{
    gchar *text = take_track(track, strlen(expected));

    CHECK_INT(strlen(text), strlen(expected));
    CHECK_TEXT(text, expected);
    g_free(text);
}

static GstHarness *flight_new(const gchar *launch, GstBus **bus, struct track *track)
{
    GstHarness *h = harness_new(launch, "tiny.onnx", bus);
    GstPad *pad = gst_element_get_static_pad(h->element, "src");

    memset(track, 0, sizeof(*track));
    g_mutex_init(&track->lock);
    g_cond_init(&track->changed);
    track->seen = g_string_new(NULL);
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, watch,
                      track, NULL);
    gst_object_unref(pad);
    gst_harness_set_src_caps_str(h, TINY_CAPS);
    return h;
}

static void flight_free(GstHarness *h, GstBus *bus, struct track *track)
{
    harness_free(h, bus);
    g_string_free(track->seen, TRUE);
    g_mutex_clear(&track->lock);
    g_cond_clear(&track->changed);
}

static GstBuffer *frame_at(const gchar *name, guint i)
{
    GstBuffer *frame = golden_frame(name);

    GST_BUFFER_PTS(frame) = i * 100 * GST_MSECOND;
    GST_BUFFER_DURATION(frame) = 100 * GST_MSECOND;
    return frame;
}

/* ------------------------------------------------------------------ tests -------------------- */

TEST(order)
{
    struct track track;
    GstBus *bus;
    GstHarness *h = flight_new(LAUNCH, &bus, &track);
    GstBuffer *out;
    guint i;

    for (i = 0; i < FRAMES; i++)
        CHECK_INT(gst_harness_push(h, frame_at(i % 3 ? "tiny.some" : "tiny.one", i)), GST_FLOW_OK);
    for (i = 0; i < FRAMES; i++) {
        out = gst_harness_pull(h);
        REQUIRE(out);
        CHECK_INT(GST_BUFFER_PTS(out), i * 100 * GST_MSECOND);
        check_tiny_values(out, i % 3 ? "tiny.some.npy" : "tiny.one.npy", FALSE, 4e-6);
        gst_buffer_unref(out);
    }
    CHECK_INT(stat_of(h->element, "frames"), FRAMES);
    CHECK_INT(stat_of(h->element, "last-voxels"), 90);
    check_no_error(bus);
    flight_free(h, bus, &track);
}

static gpointer open_later(gpointer user)
{
    g_usleep(50000);
    set_closed(user, FALSE);
    return NULL;
}

/* Downstream takes nothing for a while: what is behind the frames waits. */
TEST(events_wait)
{
    struct track track;
    GstBus *bus;
    GstHarness *h = flight_new(LAUNCH, &bus, &track);
    GThread *opener;

    set_closed(&track, TRUE);
    CHECK_INT(gst_harness_push(h, frame_at("tiny.some", 0)), GST_FLOW_OK);
    CHECK_INT(gst_harness_push(h, frame_at("tiny.some", 1)), GST_FLOW_OK);
    opener = g_thread_new("opener", open_later, &track);
    CHECK(gst_harness_push_event(h, gst_event_new_tag(gst_tag_list_new_empty())));
    CHECK_INT(gst_harness_push(h, frame_at("tiny.some", 2)), GST_FLOW_OK);
    CHECK(gst_harness_push_event(h, gst_event_new_gap(GST_SECOND, GST_MSECOND)));
    CHECK_INT(gst_harness_push(h, frame_at("tiny.some", 11)), GST_FLOW_OK);
    gst_harness_set_src_caps_str(h, TINY_CAPS ",features=\"x,y,z,intensity,time\"");
    CHECK_INT(gst_harness_push(h, frame_at("tiny.some", 12)), GST_FLOW_OK);
    CHECK(gst_harness_push_event(h, gst_event_new_eos()));
    check_track(&track, "cbbtbgbbe");
    g_thread_join(opener);
    flight_free(h, bus, &track);
}

/* Downstream holds a frame, as a sink with a clock does: the others are not slower for it. */
TEST(latency)
{
    struct track track;
    GstBus *bus;
    GstHarness *h = flight_new(LAUNCH, &bus, &track);
    guint i;

    set_closed(&track, TRUE);
    for (i = 0; i < 4; i++)
        CHECK_INT(gst_harness_push(h, frame_at("tiny.some", i)), GST_FLOW_OK);
    g_usleep(300000);
    set_closed(&track, FALSE);
    CHECK(gst_harness_push_event(h, gst_event_new_eos()));
    CHECK_INT(stat_of(h->element, "frames"), 4);
    CHECK(stat_of(h->element, "latency-p99") > 0);
    CHECK(stat_of(h->element, "latency-p99") < 200 * GST_MSECOND);
    check_no_error(bus);
    flight_free(h, bus, &track);
}

/* Frames that are in flight when it flushes are not seen any more. */
TEST(flush)
{
    struct track track;
    GstBus *bus;
    GstHarness *h = flight_new(LAUNCH, &bus, &track);
    GThread *opener;
    GstSegment segment;
    GstBuffer *out;
    guint i;

    check_track(&track, "c");
    set_closed(&track, TRUE);
    for (i = 0; i < 4; i++) /* one in the task's hand, three in flight */
        CHECK_INT(gst_harness_push(h, frame_at("tiny.some", i)), GST_FLOW_OK);
    CHECK(gst_harness_push_event(h, gst_event_new_flush_start()));
    CHECK_INT(gst_harness_push(h, frame_at("tiny.some", 5)), GST_FLOW_FLUSHING);
    opener = g_thread_new("opener", open_later, &track);
    CHECK(gst_harness_push_event(h, gst_event_new_flush_stop(TRUE)));
    g_thread_join(opener);
    while ((out = gst_harness_try_pull(h)))
        gst_buffer_unref(out);
    gst_segment_init(&segment, GST_FORMAT_TIME);
    CHECK(gst_harness_push_event(h, gst_event_new_segment(&segment)));
    CHECK_INT(gst_harness_push(h, frame_at("tiny.one", 9)), GST_FLOW_OK);
    out = gst_harness_pull(h);
    REQUIRE(out);
    CHECK_INT(GST_BUFFER_PTS(out), 900 * GST_MSECOND);
    check_tiny_values(out, "tiny.one.npy", FALSE, 4e-6);
    gst_buffer_unref(out);
    CHECK_INT(gst_harness_buffers_in_queue(h), 0);
    check_no_error(bus);
    flight_free(h, bus, &track);
}

static GstBuffer *bad_frame(void)
{
    GstBuffer *frame = golden_frame("tiny.some");
    struct gst_spconv_voxels view;

    CHECK(gst_spconv_voxels_map(&view, frame, GST_MAP_WRITE, SPC_DTYPE_F32, 5, NULL));
    memcpy(view.indices + 4 * 7, view.indices, 4 * sizeof(gint32));
    gst_spconv_voxels_unmap(&view);
    return frame;
}

/* The frames before a bad one come, and the error once. */
TEST(error)
{
    struct track track;
    GstBus *bus;
    GstHarness *h = flight_new(LAUNCH, &bus, &track);
    GstFlowReturn flow = GST_FLOW_OK;
    guint i;

    for (i = 0; i < 2; i++)
        CHECK_INT(gst_harness_push(h, frame_at("tiny.some", i)), GST_FLOW_OK);
    for (i = 0; i < 5 && flow == GST_FLOW_OK; i++)
        flow = gst_harness_push(h, bad_frame());
    CHECK_INT(flow, GST_FLOW_ERROR);
    CHECK(gst_harness_push_event(h, gst_event_new_eos()));
    CHECK_ERROR(bus, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, "7");
    check_no_error(bus);
    check_track(&track, "cbbe");
    flight_free(h, bus, &track);
}

TEST(dropped_frame)
{
    struct track track;
    GstBus *bus;
    GstHarness *h = flight_new(LAUNCH "max-voxels=50 overflow=drop-frame", &bus, &track);
    gchar *text;

    CHECK_INT(gst_harness_push(h, frame_at("tiny.one", 0)), GST_FLOW_OK);
    CHECK_INT(gst_harness_push(h, frame_at("tiny.some", 1)), GST_FLOW_OK);
    CHECK_INT(gst_harness_push(h, frame_at("tiny.one", 2)), GST_FLOW_OK);
    CHECK_INT(gst_harness_push(h, frame_at("tiny.one", 3)), GST_FLOW_OK);
    check_track(&track, "cbdb");
    text =
        take_text(bus, GST_MESSAGE_WARNING, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT);
    CHECK_TEXT(text, "50");
    g_free(text);
    CHECK_INT(stat_of(h->element, "dropped-overflow"), 1);
    CHECK_INT(stat_of(h->element, "frames"), 3);
    flight_free(h, bus, &track);
}

/* A frame that would come too late is not computed, and the next one says that it is missing. */
TEST(late_frame)
{
    struct track track;
    GstBus *bus;
    GstHarness *h = flight_new(LAUNCH, &bus, &track);

    CHECK_INT(gst_harness_push(h, frame_at("tiny.some", 0)), GST_FLOW_OK);
    gst_harness_push_upstream_event(
        h, gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 2.0, GST_SECOND, GST_SECOND));
    CHECK_INT(gst_harness_push(h, frame_at("tiny.some", 19)), GST_FLOW_OK);
    CHECK_INT(gst_harness_push(h, frame_at("tiny.some", 21)), GST_FLOW_OK);
    CHECK_INT(gst_harness_push(h, frame_at("tiny.some", 22)), GST_FLOW_OK);
    check_track(&track, "cbdb");
    CHECK_INT(stat_of(h->element, "dropped-late"), 1);
    CHECK_INT(stat_of(h->element, "frames"), 3);
    flight_free(h, bus, &track);
}

static gboolean ended;

static GstFlowReturn refuse_buffer(GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
    (void)pad;
    (void)parent;
    gst_buffer_unref(buffer);
    return ended ? GST_FLOW_EOS : GST_FLOW_OK;
}

/* What downstream answers reaches upstream with a later frame, and holds for this stream. */
TEST(downstream_ends)
{
    struct track track;
    GstBus *bus;
    GstHarness *h = flight_new(LAUNCH, &bus, &track);
    GstFlowReturn flow = GST_FLOW_OK;
    guint i;

    ended = TRUE;
    gst_pad_set_chain_function(h->sinkpad, refuse_buffer);
    for (i = 0; i < 100 && flow == GST_FLOW_OK; i++)
        flow = gst_harness_push(h, frame_at("tiny.some", i));
    CHECK_INT(flow, GST_FLOW_EOS);
    check_track(&track, "cb"); /* of all of them it got one */
    ended = FALSE;
    gst_harness_push_event(h, gst_event_new_stream_start("next"));
    CHECK_INT(gst_harness_push(h, frame_at("tiny.some", i)), GST_FLOW_OK);
    check_track(&track, "b");
    check_no_error(bus);
    flight_free(h, bus, &track);
}

/* Who did not send a later frame learns of it at the end. */
TEST(unlinked_end)
{
    struct track track;
    GstBus *bus;
    GstHarness *h = flight_new(LAUNCH, &bus, &track);
    GstPad *pad = gst_element_get_static_pad(h->element, "src");

    gst_pad_unlink(pad, h->sinkpad);
    CHECK_INT(gst_harness_push(h, frame_at("tiny.some", 0)), GST_FLOW_OK);
    gst_harness_push_event(h, gst_event_new_eos());
    CHECK_ERROR(bus, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED, "stream");
    gst_object_unref(pad);
    flight_free(h, bus, &track);
}

/* Nobody takes the frames for a while. */
TEST(relinked)
{
    struct track track;
    GstBus *bus;
    GstHarness *h = flight_new(LAUNCH, &bus, &track);
    GstPad *pad = gst_element_get_static_pad(h->element, "src");
    GstFlowReturn flow = GST_FLOW_OK;
    guint i;

    check_track(&track, "c");
    gst_pad_unlink(pad, h->sinkpad);
    for (i = 0; i < 100 && flow == GST_FLOW_OK; i++)
        flow = gst_harness_push(h, frame_at("tiny.some", i));
    CHECK_INT(flow, GST_FLOW_NOT_LINKED);
    CHECK_INT(gst_pad_link(pad, h->sinkpad), GST_PAD_LINK_OK);
    CHECK_INT(gst_harness_push(h, frame_at("tiny.some", i)), GST_FLOW_OK);
    CHECK(gst_harness_push_event(h, gst_event_new_eos()));
    CHECK_INT(gst_harness_buffers_received(h), 1);
    check_no_error(bus);
    gst_object_unref(pad);
    flight_free(h, bus, &track);
}

/* The src pad alone is off for a while. */
TEST(pad_inactive)
{
    struct track track;
    GstBus *bus;
    GstHarness *h = flight_new(LAUNCH, &bus, &track);
    GstPad *pad = gst_element_get_static_pad(h->element, "src");
    GstSegment segment;
    guint i;

    CHECK_INT(gst_harness_push(h, frame_at("tiny.some", 0)), GST_FLOW_OK);
    CHECK(gst_pad_set_active(pad, FALSE));
    CHECK_INT(gst_harness_push(h, frame_at("tiny.some", 1)), GST_FLOW_FLUSHING);
    CHECK(gst_pad_set_active(pad, TRUE));
    CHECK(gst_harness_push_event(h, gst_event_new_flush_start()));
    CHECK(gst_harness_push_event(h, gst_event_new_flush_stop(TRUE)));
    gst_harness_push_event(h, gst_event_new_stream_start("again"));
    gst_harness_set_src_caps_str(h, TINY_CAPS);
    gst_segment_init(&segment, GST_FORMAT_TIME);
    gst_harness_push_event(h, gst_event_new_segment(&segment));
    for (i = 0; i < 6; i++)
        CHECK_INT(gst_harness_push(h, frame_at("tiny.some", i)), GST_FLOW_OK);
    CHECK(gst_harness_push_event(h, gst_event_new_eos()));
    CHECK(gst_harness_buffers_received(h) >= 6);
    check_no_error(bus);
    gst_object_unref(pad);
    flight_free(h, bus, &track);
}

/* To NULL with frames in flight and downstream closed, and back. */
TEST(state_cycles)
{
    struct track track;
    GstBus *bus;
    GstHarness *h = flight_new(LAUNCH, &bus, &track);
    GThread *opener;
    GstSegment segment;
    guint i, j;

    for (j = 0; j < 3; j++) {
        set_closed(&track, TRUE);
        for (i = 0; i < 3; i++)
            CHECK_INT(gst_harness_push(h, frame_at("tiny.some", i)), GST_FLOW_OK);
        opener = g_thread_new("opener", open_later, &track);
        CHECK_INT(gst_element_set_state(h->element, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
        g_thread_join(opener);
        CHECK_INT(gst_element_set_state(h->element, GST_STATE_PLAYING), GST_STATE_CHANGE_SUCCESS);
        gst_segment_init(&segment, GST_FORMAT_TIME);
        gst_harness_push_event(h, gst_event_new_stream_start("again"));
        gst_harness_set_src_caps_str(h, TINY_CAPS);
        gst_harness_push_event(h, gst_event_new_segment(&segment));
    }
    CHECK_INT(gst_harness_push(h, frame_at("tiny.some", 0)), GST_FLOW_OK);
    gst_harness_push_event(h, gst_event_new_eos());
    CHECK_INT(stat_of(h->element, "frames"), 1);
    check_no_error(bus);
    flight_free(h, bus, &track);
}

int main(int argc, char **argv)
{
    gst_init(&argc, &argv);
    RUN(order);
    RUN(events_wait);
    RUN(latency);
    RUN(flush);
    RUN(error);
    RUN(dropped_frame);
    RUN(late_frame);
    RUN(downstream_ends);
    RUN(unlinked_end);
    RUN(relinked);
    RUN(pad_inactive);
    RUN(state_cycles);
    return test_result();
}
