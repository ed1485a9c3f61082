/* SPDX-License-Identifier: MIT */
/* lidartestsrc as a black box. */
#include "source_test.h"

#define POINTS                                                                                     \
    "application/x-pointcloud2,point-step=20,fields=\"x:F32:0,y:F32:4,z:F32:8,intensity:F32:12,"   \
    "time:F32:16\",is-bigendian=false,is-dense=true,framerate="

TEST(frames)
{
    GstBus *bus;
    GstHarness *h = source("lidartestsrc num-buffers=5 timestamp-offset=7", &bus);

    gst_harness_play(h);
    for (guint i = 0; i < 5; i++) {
        GstBuffer *buffer = gst_harness_pull(h);

        REQUIRE(buffer != NULL);
        CHECK_INT(GST_BUFFER_PTS(buffer), i * 50 * GST_MSECOND + 7);
        CHECK_INT(GST_BUFFER_DURATION(buffer), 50 * GST_MSECOND);
        CHECK_INT(GST_BUFFER_OFFSET(buffer), i);
        CHECK_INT(GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DISCONT), i == 0);
        CHECK(gst_buffer_get_size(buffer) > 20000 * 20);
        CHECK_INT(gst_buffer_get_size(buffer) % 20, 0);
        gst_buffer_unref(buffer);
    }
    check_caps(h, POINTS "20/1");
    CHECK_INT(count_until_eos(h), 0);
    harness_free(h, bus);
}

TEST(packed_for_those_who_ask)
{
    GstBus *bus;
    GstHarness *h = source("lidartestsrc num-buffers=1 sensor=vlp-16 pattern=ground", &bus);
    GstBuffer *buffer;
    GstMapInfo map;

    gst_harness_set_sink_caps_str(h, "application/x-lidar,framerate=5/1");
    gst_harness_play(h);
    buffer = gst_harness_pull(h);
    REQUIRE(buffer != NULL);
    CHECK_INT(GST_BUFFER_DURATION(buffer), 200 * GST_MSECOND);
    REQUIRE(gst_buffer_map(buffer, &map, GST_MAP_READ));
    CHECK(map.size > 10000 * 16 && map.size % 16 == 0);
    for (gsize i = 0; i < map.size / 16; i++)
        if (fabsf(((const float *)(gconstpointer)map.data)[4 * i + 2] + 1.8f) > 0.1f) {
            CHECK(!"z is the ground's");
            break;
        }
    gst_buffer_unmap(buffer, &map);
    gst_buffer_unref(buffer);
    harness_free(h, bus);
}

TEST(rate_and_points_per_second)
{
    GstBus *bus;
    GstHarness *h = source("lidartestsrc num-buffers=1 rate=10/1 points-per-second=32000 "
                           "pattern=ground noise=0 fields=x,y,z,ring",
                           &bus);
    GstBuffer *buffer;
    GstMapInfo map;

    gst_harness_play(h);
    buffer = gst_harness_pull(h);
    REQUIRE(buffer != NULL);
    CHECK_INT(GST_BUFFER_DURATION(buffer), 100 * GST_MSECOND);
    REQUIRE(gst_buffer_map(buffer, &map, GST_MAP_READ));
    /* 100 azimuths; as many returns from each, the beams that meet the ground. */
    CHECK_INT(map.size % (100 * 16), 0);
    CHECK_INT(((const float *)(gconstpointer)map.data)[3], 0);
    CHECK_INT(((const float *)(gconstpointer)map.data)[7], 1);
    gst_buffer_unmap(buffer, &map);
    gst_buffer_unref(buffer);
    harness_free(h, bus);
}

static GstBuffer *third_frame(const gchar *line)
{
    GstBus *bus;
    GstHarness *h = source(line, &bus);
    GstBuffer *buffer = NULL;

    gst_harness_play(h);
    for (int i = 0; i < 3; i++) {
        gst_clear_buffer(&buffer);
        buffer = gst_harness_pull(h);
    }
    harness_free(h, bus);
    return buffer;
}

static gboolean same_bytes(GstBuffer *a, GstBuffer *b)
{
    GstMapInfo map;
    gboolean same;

    if (!gst_buffer_map(a, &map, GST_MAP_READ))
        return FALSE;
    same = gst_buffer_get_size(b) == map.size && !gst_buffer_memcmp(b, 0, map.data, map.size);
    gst_buffer_unmap(a, &map);
    return same;
}

TEST(deterministic)
{
    GstBuffer *a = third_frame("lidartestsrc num-buffers=3 seed=4 drop-out=0.1");
    GstBuffer *b = third_frame("lidartestsrc num-buffers=3 seed=4 drop-out=0.1");
    GstBuffer *c = third_frame("lidartestsrc num-buffers=3 seed=5 drop-out=0.1");

    REQUIRE(a && b && c);
    CHECK(same_bytes(a, b));
    CHECK(!same_bytes(a, c));
    gst_buffer_unref(a);
    gst_buffer_unref(b);
    gst_buffer_unref(c);
}

TEST(empty_frames_are_empty_buffers)
{
    GstBuffer *buffer = third_frame("lidartestsrc num-buffers=3 pattern=empty");

    REQUIRE(buffer != NULL);
    CHECK_INT(gst_buffer_get_size(buffer), 0);
    CHECK_INT(GST_BUFFER_PTS(buffer), 100 * GST_MSECOND);
    gst_buffer_unref(buffer);
}

TEST(seek)
{
    GstBus *bus;
    GstHarness *h = source("lidartestsrc points-per-second=6400", &bus);
    GstBuffer *buffer;
    GstSegment segment;

    gst_harness_play(h);
    gst_buffer_unref(gst_harness_pull(h));
    CHECK(gst_harness_push_upstream_event(
        h, gst_event_new_seek(2.0, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_ACCURATE,
                              GST_SEEK_TYPE_SET, 1020 * GST_MSECOND, GST_SEEK_TYPE_SET,
                              2 * GST_SECOND)));
    buffer = pull_after_seek(h);
    REQUIRE(buffer != NULL);
    CHECK_INT(GST_BUFFER_OFFSET(buffer), 20);
    CHECK_INT(GST_BUFFER_PTS(buffer), GST_SECOND);
    gst_buffer_unref(buffer);
    CHECK_INT(count_until_eos(h), 19);
    segment = last_segment(h);
    CHECK_NEAR(segment.rate, 2, 0);
    CHECK_INT(segment.start, 1020 * GST_MSECOND);
    CHECK_INT(segment.time, 1020 * GST_MSECOND);
    CHECK(!gst_harness_push_upstream_event(
        h, gst_event_new_seek(-1.0, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, 0,
                              GST_SEEK_TYPE_SET, GST_SECOND)));
    harness_free(h, bus);
}

TEST(queries)
{
    GstBus *bus;
    GstHarness *h = source("lidartestsrc num-buffers=10 sensor=vlp-16", &bus);
    gint64 value;

    gst_harness_play(h);
    for (int i = 0; i < 10; i++)
        gst_buffer_unref(gst_harness_pull(h));
    CHECK_INT(count_until_eos(h), 0);
    CHECK(gst_element_query_duration(h->element, GST_FORMAT_TIME, &value));
    CHECK_INT(value, GST_SECOND);
    CHECK(gst_element_query_duration(h->element, GST_FORMAT_DEFAULT, &value));
    CHECK_INT(value, 10);
    CHECK(gst_element_query_position(h->element, GST_FORMAT_TIME, &value));
    CHECK_INT(value, GST_SECOND);
    CHECK(gst_element_query_position(h->element, GST_FORMAT_DEFAULT, &value));
    CHECK_INT(value, 10);
    CHECK(!gst_element_query_duration(h->element, GST_FORMAT_BYTES, &value));
    harness_free(h, bus);
}

/* A live turn comes when it is over, and says so. */
TEST(live)
{
    GstBus *bus;
    GstHarness *h = source("lidartestsrc is-live=true pattern=ground points-per-second=6400", &bus);
    GstQuery *query = gst_query_new_latency();
    GstClockTime longest;
    gboolean is_live;

    gst_harness_use_testclock(h);
    gst_harness_play(h);
    CHECK(gst_harness_wait_for_clock_id_waits(h, 1, 10));
    CHECK_INT(gst_harness_buffers_received(h), 0);
    CHECK_INT(gst_harness_query_latency(h), 50 * GST_MSECOND);
    REQUIRE(gst_pad_peer_query(h->sinkpad, query));
    gst_query_parse_latency(query, &is_live, NULL, &longest);
    CHECK(is_live && !GST_CLOCK_TIME_IS_VALID(longest)); /* the rest may take as long as it likes */
    gst_query_unref(query);
    for (guint i = 1; i <= 3; i++) {
        GstBuffer *buffer;

        CHECK(gst_harness_crank_single_clock_wait(h));
        buffer = gst_harness_pull(h);
        REQUIRE(buffer != NULL);
        CHECK_INT(GST_BUFFER_PTS(buffer), (i - 1) * 50 * GST_MSECOND);
        CHECK_INT(gst_clock_get_time(GST_ELEMENT_CLOCK(h->element)), i * 50 * GST_MSECOND);
        gst_buffer_unref(buffer);
    }
    harness_free(h, bus);
}

TEST(wrong_fields)
{
    static const struct {
        const gchar *fields, *part;
    } cases[] = {
        {"x,y,z,color", "\"color\" cannot be there"},
        {"intensity,x,y,z", "\"intensity\" cannot be there"},
        {"x,y,z,x", "x"},
        {"", "fields="},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        GstBus *bus;
        GstHarness *h = harness_with_bus("lidartestsrc", &bus);

        g_object_set(h->element, "fields", cases[i].fields, NULL);
        CHECK_INT(gst_element_set_state(h->element, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
        CHECK_ERROR(bus, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS, cases[i].part);
        harness_free(h, bus);
    }
}

/* What the negotiated stream rests on does not change while it runs, the rest does. */
TEST(properties_while_running)
{
    GstBus *bus;
    GstHarness *h = harness_with_bus("lidartestsrc", &bus);
    gchar *fields;
    gint pattern;

    g_object_set(h->element, "points-per-second", 6400, NULL);
    gst_harness_play(h);
    gst_buffer_unref(gst_harness_pull(h));
    g_object_set(h->element, "fields", "x,y,z", "pattern", 3, NULL);
    g_object_get(h->element, "fields", &fields, "pattern", &pattern, NULL);
    CHECK(g_str_equal(fields, "x,y,z,intensity,time"));
    CHECK_INT(pattern, 3);
    g_free(fields);
    harness_free(h, bus);
}

TEST(properties)
{
    GstElement *element = gst_element_factory_make("lidartestsrc", NULL);
    gint sensor, n, d;
    guint64 seed;
    gboolean live;
    gchar *fields;
    GValue rate = G_VALUE_INIT;

    REQUIRE(element != NULL);
    gst_util_set_object_arg(G_OBJECT(element), "sensor", "os1-128");
    gst_util_set_object_arg(G_OBJECT(element), "rate", "25/2");
    g_object_set(element, "seed", G_MAXUINT64, "is-live", TRUE, "fields", "x,y,z", NULL);
    g_object_get(element, "sensor", &sensor, "seed", &seed, "is-live", &live, "fields", &fields,
                 NULL);
    g_value_init(&rate, GST_TYPE_FRACTION);
    g_object_get_property(G_OBJECT(element), "rate", &rate);
    n = gst_value_get_fraction_numerator(&rate);
    d = gst_value_get_fraction_denominator(&rate);
    CHECK_INT(sensor, 3);
    CHECK(seed == G_MAXUINT64 && live);
    CHECK(g_str_equal(fields, "x,y,z"));
    CHECK(n == 25 && d == 2);
    g_free(fields);
    gst_object_unref(element);
}

TEST(state_cycling)
{
    GstBus *bus;
    GstHarness *h = source("lidartestsrc points-per-second=6400", &bus);

    for (int i = 0; i < 50; i++) {
        GstBuffer *buffer;

        gst_harness_play(h);
        buffer = gst_harness_pull(h);
        REQUIRE(buffer != NULL);
        gst_buffer_unref(buffer);
        CHECK(gst_element_set_state(h->element, GST_STATE_NULL) == GST_STATE_CHANGE_SUCCESS);
    }
    harness_free(h, bus);
}

int main(int argc, char **argv)
{
    gst_init(&argc, &argv);
    RUN(frames);
    RUN(packed_for_those_who_ask);
    RUN(rate_and_points_per_second);
    RUN(deterministic);
    RUN(empty_frames_are_empty_buffers);
    RUN(seek);
    RUN(queries);
    RUN(live);
    RUN(wrong_fields);
    RUN(properties_while_running);
    RUN(properties);
    RUN(state_cycling);
    return test_result();
}
