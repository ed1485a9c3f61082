/* SPDX-License-Identifier: MIT */
/* The element spconvinfer as a black box: frames, empty frames, stream, states. */
#include "gst_test.h"

#define LAUNCH "spconvinfer backend=cpu threads=1 model-file=%s "
#define GEOMETRY                                                                                   \
    ",features=\"x,y,z,intensity,time\",voxel-size-um=<500000,500000,500000>,"                     \
    "range-mm=<-8000,-8000,-2000,8000,8000,2000>"

static GstBuffer *stamped(GstBuffer *buffer, guint frame)
{
    GST_BUFFER_PTS(buffer) = frame * 100 * GST_MSECOND;
    GST_BUFFER_DURATION(buffer) = 100 * GST_MSECOND;
    GST_BUFFER_OFFSET(buffer) = frame;
    GST_BUFFER_OFFSET_END(buffer) = frame + 1;
    return buffer;
}

/* ------------------------------------------------------------------ frames ------------------- */

TEST(frame)
{
    GstBus *bus;
    GstHarness *h = harness_new(LAUNCH, "tiny.onnx", &bus);
    GstCaps *caps,
        *expected = gst_caps_from_string(
            "other/tensors,format=static,num_tensors=1,types=float32,dimensions=(string)8:8:24:1,"
            "framerate=10/1,bev-axes=yx,range-mm=<-8000,-8000,-2000,8000,8000,2000>");
    GstCaps *reference = gst_caps_new_empty_simple("timestamp/x-unix");
    GstBuffer *buffer = stamped(golden_frame("tiny.some"), 3);

    gst_buffer_add_reference_timestamp_meta(buffer, reference, 42, GST_CLOCK_TIME_NONE);
    gst_harness_set_src_caps_str(h, TINY_CAPS);
    CHECK_INT(gst_harness_push(h, buffer), GST_FLOW_OK);
    buffer = gst_harness_pull(h);
    check_tiny_values(buffer, "tiny.some.npy", FALSE, 4e-6);
    CHECK_INT(GST_BUFFER_PTS(buffer), 300 * GST_MSECOND);
    CHECK_INT(GST_BUFFER_DURATION(buffer), 100 * GST_MSECOND);
    CHECK_INT(GST_BUFFER_OFFSET(buffer), 3);
    CHECK_INT(GST_BUFFER_OFFSET_END(buffer), 4);
    CHECK(!GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_GAP));
    CHECK(gst_buffer_get_reference_timestamp_meta(buffer, reference) != NULL);
    CHECK_INT(gst_buffer_n_memory(buffer), 1);
    caps = gst_pad_get_current_caps(h->sinkpad);
    CHECK(gst_caps_is_strictly_equal(caps, expected));
    gst_caps_unref(caps);
    gst_caps_unref(expected);
    gst_caps_unref(reference);
    gst_buffer_unref(buffer);
    harness_free(h, bus);
}

static void check_frame(const gchar *launch, const gchar *model, const gchar *caps,
                        GstBuffer *frame, const gchar *expected, gdouble tolerance)
{
    GstBus *bus;
    GstHarness *h = harness_new(launch, model, &bus);
    GstBuffer *out;

    gst_harness_set_src_caps_str(h, caps);
    out = gst_harness_push_and_pull(h, frame);
    REQUIRE(out);
    check_tiny_values(out, expected, gst_buffer_get_size(out) == TINY_OUT_VALUES * 2, tolerance);
    gst_buffer_unref(out);
    harness_free(h, bus);
}

/* The frame in one memory, as a file or a socket gives it back. */
static GstBuffer *flat(GstBuffer *buffer)
{
    gsize size = gst_buffer_get_size(buffer);
    guint8 *bytes = g_malloc(size);

    gst_buffer_extract(buffer, 0, bytes, size);
    gst_buffer_unref(buffer);
    return gst_buffer_new_wrapped(bytes, size);
}

static GstBuffer *half_frame(void)
{
    struct spc_array features = read_golden("frames", "tiny.some.features.npy");
    struct spc_array indices = read_golden("frames", "tiny.some.indices.npy");
    gsize count = features.size / sizeof(gfloat);
    uint16_t *half = g_new(uint16_t, count);
    GstBuffer *buffer;

    spc_convert_f32_to_f16(features.data, half, count);
    free(features.data);
    features.data = half;
    features.size = count * sizeof(*half);
    features.dtype = SPC_DTYPE_F16;
    buffer = voxel_buffer(&features, &indices);
    g_free(half);
    features.data = NULL;
    spc_array_free(&features);
    spc_array_free(&indices);
    return buffer;
}

#define HALF_CAPS                                                                                  \
    "application/x-voxels,version=1,feature-type=float16,index-type=int32,grid-x=32,grid-y=32,"    \
    "grid-z=9,max-voxels=1000,batch=1,num-features=5,index-order=bzyx,framerate=10/1"

TEST(variants)
{
    GstBuffer *frame = golden_frame("tiny.some");

    check_frame(LAUNCH, "tiny.onnx", TINY_CAPS GEOMETRY, flat(frame), "tiny.some.npy", 4e-6);
    check_frame(LAUNCH, "tiny.onnx", HALF_CAPS, half_frame(), "tiny.some.npy", 4e-6);
    check_frame(LAUNCH, "tiny.onnx", HALF_CAPS, flat(half_frame()), "tiny.some.npy", 4e-6);
    check_frame(LAUNCH "output-type=float16", "tiny.onnx", TINY_CAPS, golden_frame("tiny.some"),
                "tiny.some.npy", 1e-3);
    check_frame(LAUNCH "aux-stream=false sort-mask=true fixed-launch-points=1000 "
                "tuning-cache=/nowhere/at/all",
                "tiny.onnx", TINY_CAPS, golden_frame("tiny.some"), "tiny.some.npy", 4e-6);
    check_frame(LAUNCH "precision=fp16", "tiny.onnx", TINY_CAPS, golden_frame("tiny.some"),
                "tiny.some.npy", 6e-3);
    check_frame(LAUNCH, "tiny_xyz.onnx",
                TINY_GRID_FIELDS ",num-features=5,index-order=bxyz,framerate=0/1",
                golden_frame("tiny_xyz.some"), "tiny_xyz.some.npy", 4e-6);
    check_frame(LAUNCH, "tiny.onnx", TINY_CAPS, golden_frame("tiny.one"), "tiny.one.npy", 4e-6);
}

static gchar *output_name(const gchar *model_name, gint i)
{
    gchar *path = golden_path("models", model_name);
    struct spc_output_info info = {0};
    struct spc_model *model = NULL;

    CHECK(!spc_model_load_file(path, NULL, &model, NULL));
    CHECK(!spc_model_get_output(model, i, &info, NULL));
    spc_model_free(&model);
    g_free(path);
    return g_strdup(info.name);
}

/* Rows of the expected file, [rows][4 + columns] behind a BEV, against a payload, by index. */
static void check_sites(GstBuffer *buffer, gint rows, gint columns)
{
    struct spc_array expected = read_golden("expected", "tiny_sparse_out.some.npy");
    const gfloat *row = (const gfloat *)expected.data + TINY_OUT_VALUES;
    struct gst_spconv_voxels view;
    gint i, j, k, found = 0;

    REQUIRE(
        gst_spconv_voxels_map(&view, buffer, GST_MAP_READ, SPC_DTYPE_F32, (guint)columns, NULL));
    CHECK_INT(view.num_voxels, rows);
    for (i = 0; i < rows; i++, row += 4 + columns) {
        for (j = 0; j < rows; j++) {
            const gfloat *features = (const gfloat *)view.features + j * columns;

            for (k = 0; k < 4 && view.indices[4 * j + k] == (gint)row[k]; k++)
                ;
            if (k < 4)
                continue;
            found++;
            for (k = 0; k < columns; k++)
                CHECK_NEAR(features[k], row[4 + k], 1e-4 * (1 + fabs(row[4 + k])));
        }
    }
    CHECK_INT(found, rows);
    gst_spconv_voxels_unmap(&view);
    spc_array_free(&expected);
}

TEST(sparse_output)
{
    gchar *name = output_name("tiny_sparse_out.onnx", 1);
    gchar *launch = g_strconcat(LAUNCH "output=\"", name, "\"", NULL);
    GstBus *bus;
    GstHarness *h = harness_new(launch, "tiny_sparse_out.onnx", &bus);
    GstCaps *caps;
    GstStructure *s;
    GstBuffer *out;
    gint value;

    gst_harness_set_src_caps_str(h, TINY_CAPS);
    out = gst_harness_push_and_pull(h, stamped(golden_frame("tiny_sparse_out.some"), 1));
    REQUIRE(out);
    CHECK_INT(GST_BUFFER_PTS(out), 100 * GST_MSECOND);
    check_sites(out, 124, 8);
    gst_buffer_unref(out);
    caps = gst_pad_get_current_caps(h->sinkpad);
    s = gst_caps_get_structure(caps, 0);
    CHECK(gst_structure_has_name(s, "application/x-voxels"));
    CHECK(gst_structure_get_int(s, "grid-x", &value) && value == 16);
    CHECK(gst_structure_get_int(s, "num-features", &value) && value == 8);
    gst_caps_unref(caps);
    /* a second frame, and an empty one, which stays a GAP */
    out = gst_harness_push_and_pull(h, stamped(golden_frame("tiny_sparse_out.some"), 2));
    check_sites(out, 124, 8);
    gst_buffer_unref(out);
    CHECK(gst_harness_push_event(h, gst_event_new_gap(GST_SECOND, GST_MSECOND)));
    CHECK_INT(gst_harness_buffers_in_queue(h), 0);
    harness_free(h, bus);
    g_free(launch);
    g_free(name);
}

/* ------------------------------------------------------------------ empty frames ------------- */

static gboolean pull_gap(GstHarness *h, GstClockTime pts)
{
    gboolean found = FALSE;
    GstClockTime time;
    GstEvent *event;

    while ((event = gst_harness_try_pull_event(h))) {
        if (GST_EVENT_TYPE(event) == GST_EVENT_GAP) {
            gst_event_parse_gap(event, &time, NULL);
            found |= time == pts;
        }
        gst_event_unref(event);
    }
    return found;
}

TEST(gap_to_zeros)
{
    GstBus *bus;
    GstHarness *h = harness_new(LAUNCH, "tiny.onnx", &bus);
    GstEvent *missing = gst_event_new_gap(5 * GST_SECOND, GST_SECOND);
    GstBuffer *out;
    GstMapInfo map;
    gsize i;

    gst_harness_set_src_caps_str(h, TINY_CAPS);
    gst_buffer_unref(gst_harness_push_and_pull(h, stamped(golden_frame("tiny.some"), 0)));
    CHECK(gst_harness_push_event(h, gst_event_new_gap(2 * GST_SECOND, GST_SECOND)));
    out = gst_harness_try_pull(h);
    REQUIRE(out);
    CHECK(GST_BUFFER_FLAG_IS_SET(out, GST_BUFFER_FLAG_GAP));
    CHECK_INT(GST_BUFFER_PTS(out), 2 * GST_SECOND);
    CHECK_INT(GST_BUFFER_DURATION(out), GST_SECOND);
    REQUIRE(gst_buffer_map(out, &map, GST_MAP_READ));
    CHECK_INT(map.size, TINY_OUT_VALUES * 4);
    for (i = 0; i < map.size; i++)
        CHECK_INT(map.data[i], 0);
    gst_buffer_unmap(out, &map);
    gst_buffer_unref(out);
    CHECK(!pull_gap(h, 2 * GST_SECOND));
    CHECK_INT(stat_of(h->element, "empty-frames"), 1);

    /* where the data is missing there is no empty frame */
    gst_event_set_gap_flags(missing, GST_GAP_FLAG_MISSING_DATA);
    CHECK(gst_harness_push_event(h, missing));
    CHECK_INT(gst_harness_buffers_in_queue(h), 0);
    CHECK(pull_gap(h, 5 * GST_SECOND));
    CHECK_INT(stat_of(h->element, "empty-frames"), 1);

    out = gst_harness_push_and_pull(h, stamped(golden_frame("tiny.some"), 60));
    CHECK(!GST_BUFFER_FLAG_IS_SET(out, GST_BUFFER_FLAG_GAP));
    CHECK(!GST_BUFFER_IS_DISCONT(out));
    check_tiny_values(out, "tiny.some.npy", FALSE, 4e-6);
    gst_buffer_unref(out);
    harness_free(h, bus);
}

TEST(gap_forwarded)
{
    GstBus *bus;
    GstHarness *h = harness_new(LAUNCH "empty-frames=gap", "tiny.onnx", &bus);

    gst_harness_set_src_caps_str(h, TINY_CAPS);
    CHECK(gst_harness_push_event(h, gst_event_new_gap(2 * GST_SECOND, GST_SECOND)));
    CHECK_INT(gst_harness_buffers_in_queue(h), 0);
    CHECK(pull_gap(h, 2 * GST_SECOND));
    harness_free(h, bus);
}

/* ------------------------------------------------------------------ stream ------------------- */

TEST(renegotiation)
{
    GstBus *bus;
    GstHarness *h = harness_new(LAUNCH, "tiny.onnx", &bus);
    GstBuffer *out;
    gint i;

    for (i = 0; i < 4; i++) {
        gst_harness_set_src_caps_str(h, i % 2 ? HALF_CAPS : TINY_CAPS);
        out = gst_harness_push_and_pull(h, i % 2 ? half_frame() : golden_frame("tiny.some"));
        REQUIRE(out);
        check_tiny_values(out, "tiny.some.npy", FALSE, 4e-6);
        gst_buffer_unref(out);
    }
    harness_free(h, bus);
}

static guint count_events(GstHarness *h, GstEventType type)
{
    GstEvent *event;
    guint count = 0;

    while ((event = gst_harness_try_pull_event(h))) {
        count += GST_EVENT_TYPE(event) == type;
        gst_event_unref(event);
    }
    return count;
}

TEST(events)
{
    GstBus *bus;
    GstHarness *h = harness_new(LAUNCH, "tiny.onnx", &bus);
    GstSegment segment;
    GstEvent *event;

    gst_harness_set_src_caps_str(h, TINY_CAPS);
    gst_buffer_unref(gst_harness_push_and_pull(h, golden_frame("tiny.some")));
    count_events(h, GST_EVENT_SEGMENT);
    gst_harness_push_event(h, gst_event_new_flush_start());
    CHECK_INT(count_events(h, GST_EVENT_FLUSH_START), 1);
    gst_harness_push_event(h, gst_event_new_flush_stop(TRUE));
    CHECK_INT(count_events(h, GST_EVENT_FLUSH_STOP), 1);
    gst_segment_init(&segment, GST_FORMAT_TIME);
    segment.start = GST_SECOND;
    gst_harness_push_event(h, gst_event_new_segment(&segment));
    gst_buffer_unref(gst_harness_push_and_pull(h, stamped(golden_frame("tiny.some"), 20)));
    event = gst_pad_get_sticky_event(h->sinkpad, GST_EVENT_SEGMENT, 0);
    gst_event_copy_segment(event, &segment);
    CHECK_INT(segment.start, GST_SECOND);
    gst_event_unref(event);
    gst_harness_push_event(h, gst_event_new_eos());
    CHECK_INT(count_events(h, GST_EVENT_EOS), 1);
    harness_free(h, bus);
}

TEST(qos)
{
    GstBus *bus;
    GstHarness *h = harness_new(LAUNCH, "tiny.onnx", &bus);
    GstMessage *message;

    gst_harness_set_src_caps_str(h, TINY_CAPS);
    gst_harness_push_upstream_event(
        h, gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 2.0, GST_SECOND, GST_SECOND));
    CHECK_INT(gst_harness_push(h, stamped(golden_frame("tiny.some"), 19)), GST_FLOW_OK);
    CHECK_INT(gst_harness_buffers_in_queue(h), 0);
    CHECK_INT(stat_of(h->element, "dropped-late"), 1);
    CHECK_INT(stat_of(h->element, "frames"), 0); /* it was not computed */
    message = gst_bus_pop_filtered(bus, GST_MESSAGE_QOS);
    CHECK(message != NULL);
    gst_message_unref(message);
    CHECK_INT(gst_harness_push(h, stamped(golden_frame("tiny.some"), 21)), GST_FLOW_OK);
    CHECK_INT(gst_harness_buffers_in_queue(h), 1);
    harness_free(h, bus);
}

TEST(latency)
{
    GstBus *bus;
    GstHarness *h = harness_new(LAUNCH, "tiny.onnx", &bus);
    GstMessage *message;
    GstClockTime own;

    gst_harness_set_upstream_latency(h, 30 * GST_MSECOND);
    gst_harness_set_src_caps_str(h, TINY_CAPS);
    CHECK(gst_harness_query_latency(h) > 30 * GST_MSECOND); /* the warm-up was measured */
    while ((message = gst_bus_pop_filtered(bus, GST_MESSAGE_LATENCY)))
        gst_message_unref(message);
    gst_buffer_unref(gst_harness_push_and_pull(h, golden_frame("tiny.some")));
    own = gst_harness_query_latency(h) - 30 * GST_MSECOND;
    /* either the first frame took what the warm-up did, or the change was announced */
    message = gst_bus_pop_filtered(bus, GST_MESSAGE_LATENCY);
    CHECK(message ? own == stat_of(h->element, "latency-p99")
                  : own <= stat_of(h->element, "latency-p99") * 5 / 4);
    if (message)
        gst_message_unref(message);
    harness_free(h, bus);
}

TEST(stats)
{
    GstBus *bus;
    GstHarness *h = harness_new(LAUNCH "stats-interval=1", "tiny.onnx", &bus);
    GstStructure *stats = NULL;
    GstMessage *message;
    gint i, threads;

    gst_harness_set_src_caps_str(h, TINY_CAPS);
    for (i = 0; i < 3; i++) {
        gst_buffer_unref(gst_harness_push_and_pull(h, golden_frame("tiny.some")));
        g_usleep(2000);
    }
    g_object_get(h->element, "stats", &stats, NULL);
    CHECK(g_str_equal(gst_structure_get_string(stats, "backend"), "cpu"));
    CHECK(g_str_equal(gst_structure_get_string(stats, "precision"), "fp32"));
    CHECK(gst_structure_get_string(stats, "isa")[0]);
    CHECK(gst_structure_get_int(stats, "threads", &threads) && threads == 1);
    gst_structure_free(stats);
    CHECK_INT(stat_of(h->element, "frames"), 3);
    CHECK_INT(stat_of(h->element, "voxels"), 3 * 90);
    CHECK_INT(stat_of(h->element, "last-voxels"), 90);
    CHECK(stat_of(h->element, "latency-min") > 0);
    CHECK(stat_of(h->element, "latency-min") <= stat_of(h->element, "latency-mean"));
    CHECK(stat_of(h->element, "latency-mean") <= stat_of(h->element, "latency-p99"));
    message = gst_bus_pop_filtered(bus, GST_MESSAGE_ELEMENT);
    REQUIRE(message);
    CHECK(gst_message_has_name(message, "spconvinfer-stats"));
    gst_message_unref(message);
    while ((message = gst_bus_pop_filtered(bus, GST_MESSAGE_ELEMENT)))
        gst_message_unref(message);
    gst_harness_push_event(h, gst_event_new_eos());
    message = gst_bus_pop_filtered(bus, GST_MESSAGE_ELEMENT);
    CHECK(message && gst_message_has_name(message, "spconvinfer-stats"));
    gst_clear_message(&message);
    harness_free(h, bus);
}

/* ------------------------------------------------------------------ states ------------------- */

/* The order of indices that a pad prefers; NULL: any. */
static void check_order(GstPad *pad, const gchar *expected)
{
    GstCaps *caps = gst_pad_query_caps(pad, NULL);

    CHECK(!g_strcmp0(gst_structure_get_string(gst_caps_get_structure(caps, 0), "index-order"),
                     expected));
    gst_caps_unref(caps);
}

TEST(model_changes)
{
    GstElement *element = make_element(LAUNCH, "tiny.onnx");
    gchar *other = golden_path("models", "tiny_xyz.onnx"), *now = NULL;
    GstPad *pad = gst_element_get_static_pad(element, "sink");

    gst_element_set_state(element, GST_STATE_PAUSED);
    g_object_set(element, "model-file", other, NULL);
    g_object_get(element, "model-file", &now, NULL);
    CHECK(!g_str_equal(now, other));
    g_free(now);
    gst_element_set_state(element, GST_STATE_READY);
    check_order(pad, "bzyx"); /* what is upstream may be running still, and ask */
    g_object_set(element, "model-file", other, NULL);
    check_order(pad, NULL);
    CHECK_INT(gst_element_set_state(element, GST_STATE_PAUSED), GST_STATE_CHANGE_SUCCESS);
    check_order(pad, "bxyz");
    gst_object_unref(pad);
    gst_element_set_state(element, GST_STATE_NULL);
    gst_object_unref(element);
    g_free(other);
}

TEST(state_cycles)
{
    GstElement *element = make_element(LAUNCH, "tiny.onnx");
    gint i;

    for (i = 0; i < 200; i++) {
        CHECK_INT(gst_element_set_state(element, i % 2 ? GST_STATE_PLAYING : GST_STATE_PAUSED),
                  GST_STATE_CHANGE_SUCCESS);
        CHECK_INT(gst_element_set_state(element, i % 3 ? GST_STATE_NULL : GST_STATE_READY),
                  GST_STATE_CHANGE_SUCCESS);
    }
    gst_element_set_state(element, GST_STATE_NULL);
    gst_object_unref(element);
}

int main(int argc, char **argv)
{
    gst_init(&argc, &argv);
    RUN(frame);
    RUN(variants);
    RUN(sparse_output);
    RUN(gap_to_zeros);
    RUN(gap_forwarded);
    RUN(renegotiation);
    RUN(events);
    RUN(qos);
    RUN(latency);
    RUN(stats);
    RUN(model_changes);
    RUN(state_cycles);
    return test_result();
}
