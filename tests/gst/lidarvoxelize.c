/* SPDX-License-Identifier: MIT */
/* The element lidarvoxelize as a black box, and in front of spconvinfer. */
#include "gst_test.h"

#include "gstspconvcuda.h"

#define CLOUD                                                                                      \
    "application/x-pointcloud2,point-step=20,fields=\"x:F32:0,y:F32:4,z:F32:8,intensity:F32:12,"   \
    "time:F32:16\",is-bigendian=false,is-dense=true,framerate=10/1"
#define PLAIN "lidarvoxelize range=0,0,0,4,4,2 voxel-size=1,1,1 "

static const gfloat three_points[][5] = {
    {0.5f, 0.5f, 0.5f, 10, 0.1f},
    {2.25f, 3.5f, 1.5f, 20, 0.2f},
    {2.75f, 3.25f, 1.0f, 40, 0.4f}, /* in the cell of the second */
};

static GstBuffer *cloud(const void *points, gsize size, GstClockTime pts)
{
    GstBuffer *buffer = size ? gst_buffer_new_memdup(points, size) : gst_buffer_new();

    GST_BUFFER_PTS(buffer) = pts;
    GST_BUFFER_DURATION(buffer) = GST_MSECOND;
    return buffer;
}

static GstBuffer *three(GstClockTime pts)
{
    return cloud(three_points, sizeof(three_points), pts);
}

static void check_row(const struct gst_spconv_voxels *view, gint row, const gint32 *index,
                      const gfloat *features, gint count)
{
    gint i;

    for (i = 0; i < 4; i++)
        CHECK_INT(view->indices[4 * row + i], index[i]);
    for (i = 0; i < count; i++)
        CHECK_NEAR(((const gfloat *)view->features)[row * count + i], features[i], 1e-6);
}

TEST(frame)
{
    const gint32 first[] = {0, 0, 0, 0}, second[] = {0, 1, 3, 2};
    const gfloat mean[] = {2.5f, 3.375f, 1.25f, 30, 0.3f};
    GstBus *bus;
    GstHarness *h = harness_new(PLAIN, "", &bus);
    struct gst_spconv_voxels view;
    GstCaps *caps,
        *expected = gst_caps_from_string(
            "application/x-voxels,version=1,feature-type=float32,num-features=5,index-type=int32,"
            "index-order=bzyx,grid-x=4,grid-y=4,grid-z=2,max-voxels=200000,batch=1,framerate=10/1,"
            "features=\"x,y,z,intensity,time\",max-points-per-voxel=0,"
            "voxel-size-um=<1000000,1000000,1000000>,"
            "range-mm=<0,0,0,4000,4000,2000>");
    GstBuffer *out;

    gst_harness_set_src_caps_str(h, CLOUD);
    out = gst_harness_push_and_pull(h, three(GST_SECOND));
    REQUIRE(out);
    CHECK_INT(GST_BUFFER_PTS(out), GST_SECOND);
    CHECK_INT(GST_BUFFER_DURATION(out), GST_MSECOND);
    REQUIRE(gst_spconv_voxels_map(&view, out, GST_MAP_READ, SPC_DTYPE_F32, 5, NULL));
    CHECK_INT(view.num_voxels, 2);
    check_row(&view, 0, first, three_points[0], 5);
    check_row(&view, 1, second, mean, 5);
    gst_spconv_voxels_unmap(&view);
    gst_buffer_unref(out);
    caps = gst_pad_get_current_caps(h->sinkpad);
    CHECK(gst_caps_is_equal(caps, expected));
    gst_caps_unref(caps);
    gst_caps_unref(expected);
    CHECK_INT(stat_of(h->element, "points"), 3);
    CHECK_INT(stat_of(h->element, "voxels"), 2);
    CHECK_INT(stat_of(h->element, "frames"), 1);
    harness_free(h, bus);
}

TEST(options)
{
    const gint32 second[] = {0, 2, 3, 1};
    GstBus *bus;
    GstHarness *h = harness_new(PLAIN "features=x,y,z,time index-order=bxyz feature-type=float16 "
                                      "max-points-per-voxel=1 grid-extra-z=1",
                                "", &bus);
    struct gst_spconv_voxels view;
    gfloat features[8];
    GstStructure *s;
    GstBuffer *out;
    GstCaps *caps;
    gint i, value;

    gst_harness_set_src_caps_str(h, CLOUD);
    out = gst_harness_push_and_pull(h, three(0));
    REQUIRE(gst_spconv_voxels_map(&view, out, GST_MAP_READ, SPC_DTYPE_F16, 4, NULL));
    CHECK_INT(view.num_voxels, 2);
    for (i = 0; i < 4; i++)
        CHECK_INT(view.indices[4 + i], second[i]);
    spc_convert_f16_to_f32(view.features, features, 8);
    CHECK(features[4] == 2.25f && features[5] == 3.5f && features[6] == 1.5f);
    CHECK_NEAR(features[7], 0.2f, 1e-4);
    gst_spconv_voxels_unmap(&view);
    gst_buffer_unref(out);
    caps = gst_pad_get_current_caps(h->sinkpad);
    s = gst_caps_get_structure(caps, 0);
    CHECK(gst_structure_get_int(s, "grid-z", &value) && value == 3);
    CHECK(gst_structure_get_int(s, "max-points-per-voxel", &value) && value == 1);
    gst_caps_unref(caps);
    CHECK_INT(stat_of(h->element, "points-over"), 1);
    harness_free(h, bus);
}

/* Packed XYZI without any fields in the caps. */
TEST(packed_lidar)
{
    const gfloat points[][4] = {{0.5f, 0.5f, 0.5f, 1}, {1.5f, 0.5f, 0.5f, 2}};
    GstBus *bus;
    GstHarness *h = harness_new(PLAIN, "", &bus);
    struct gst_spconv_voxels view;
    GstBuffer *out;

    gst_harness_set_src_caps_str(h, "application/x-lidar");
    out = gst_harness_push_and_pull(h, cloud(points, sizeof(points), 0));
    REQUIRE(gst_spconv_voxels_map(&view, out, GST_MAP_READ, SPC_DTYPE_F32, 4, NULL));
    CHECK_INT(view.num_voxels, 2);
    CHECK_NEAR(((const gfloat *)view.features)[7], 2, 0);
    gst_spconv_voxels_unmap(&view);
    gst_buffer_unref(out);
    harness_free(h, bus);
}

/* ------------------------------------------------------------------ where parameters come from */

static void check_tiny_caps(GstHarness *h, gint extra_z)
{
    GstCaps *caps = gst_pad_get_current_caps(h->sinkpad);
    GstStructure *s;
    gint value;

    REQUIRE(caps);
    s = gst_caps_get_structure(caps, 0);
    CHECK(gst_structure_get_int(s, "grid-x", &value) && value == 32);
    CHECK(gst_structure_get_int(s, "grid-z", &value) && value == 8 + extra_z);
    CHECK(gst_structure_get_int(s, "max-points-per-voxel", &value) && value == 10);
    CHECK(g_str_equal(gst_structure_get_string(s, "features"), "x,y,z,intensity,time"));
    gst_caps_unref(caps);
}

TEST(from_model)
{
    GstBus *bus;
    GstHarness *h = harness_new("lidarvoxelize model-file=%s", "tiny.onnx", &bus);

    gst_harness_set_src_caps_str(h, CLOUD);
    gst_buffer_unref(gst_harness_push_and_pull(h, three(0)));
    check_tiny_caps(h, 1);
    harness_free(h, bus);
    h = harness_new("lidarvoxelize model-file=%s grid-extra-z=0", "tiny.onnx", &bus);
    gst_harness_set_src_caps_str(h, CLOUD);
    gst_buffer_unref(gst_harness_push_and_pull(h, three(0)));
    check_tiny_caps(h, 0);
    harness_free(h, bus);
}

TEST(from_downstream)
{
    GstBus *bus;
    GstHarness *h = harness_new("lidarvoxelize", "", &bus);

    gst_harness_set_sink_caps_str(
        h, "application/x-voxels,version=1,feature-type={(string)float32,(string)float16},"
           "num-features=5,index-type=int32,index-order=bzyx,grid-x=32,grid-y=32,grid-z=9,"
           "max-voxels=[1,1000000],batch=1,framerate=[0/1,100/1],features=\"x,y,z,intensity,time\","
           "max-points-per-voxel=10,voxel-size-um=<500000,500000,500000>,"
           "range-mm=<-8000,-8000,-2000,8000,8000,2000>");
    gst_harness_set_src_caps_str(h, CLOUD);
    gst_buffer_unref(gst_harness_push_and_pull(h, three(0)));
    check_tiny_caps(h, 1);
    harness_free(h, bus);
}

/* The number of points in a voxel, in caps that say it always: as set, as the model says, all. */
static void check_max_points(const gchar *launch, const gchar *sink_caps, gint expected)
{
    GstBus *bus;
    GstHarness *h = harness_new(launch, "tiny.onnx", &bus);
    GstCaps *caps;
    gint value = -1;

    if (sink_caps)
        gst_harness_set_sink_caps_str(h, sink_caps);
    gst_harness_set_src_caps_str(h, CLOUD);
    gst_buffer_unref(gst_harness_push_and_pull(h, three(0)));
    caps = gst_pad_get_current_caps(h->sinkpad);
    CHECK(gst_structure_get_int(gst_caps_get_structure(caps, 0), "max-points-per-voxel", &value));
    CHECK_INT(value, expected);
    gst_caps_unref(caps);
    harness_free(h, bus);
}

TEST(max_points)
{
    check_max_points(PLAIN, NULL, 0);
    check_max_points(PLAIN, "application/x-voxels,max-points-per-voxel=7", 7);
    check_max_points(PLAIN "max-points-per-voxel=3", NULL, 3);
    check_max_points("lidarvoxelize model-file=%s", NULL, 10);
    check_max_points("lidarvoxelize model-file=%s max-points-per-voxel=0", NULL, 0);
}

/* A wish of one's own against the model downstream: its range is known still, the rest is
 * spconvinfer's to refuse, or to warn about. */
static void check_against_model(const gchar *wish, const gchar *sink_caps, GstFlowReturn flow,
                                GstMessageType type, const gchar *part)
{
    gchar *path = golden_path("models", "tiny.onnx");
    gchar *launch =
        g_strdup_printf("lidarvoxelize %s ! spconvinfer threads=1 model-file=%s", wish, path);
    GstHarness *h = gst_harness_new_parse(launch);
    GstBus *bus = gst_bus_new();
    gchar *text;

    gst_element_set_bus(h->element, bus);
    if (sink_caps)
        gst_harness_set_sink_caps_str(h, sink_caps);
    gst_harness_set_src_caps_str(h, CLOUD);
    CHECK_INT(gst_harness_push(h, three(0)), flow);
    text = take_text(bus, type, GST_CORE_ERROR, GST_CORE_ERROR_NEGOTIATION);
    CHECK_TEXT(text, part);
    g_free(text);
    harness_free(h, bus);
    g_free(launch);
    g_free(path);
}

TEST(wishes_against_the_model)
{
    check_against_model("features=x,y,z,intensity", NULL, GST_FLOW_NOT_NEGOTIATED,
                        GST_MESSAGE_ERROR, "num-features: the model says 5, the caps say 4");
    check_against_model("index-order=bxyz", NULL, GST_FLOW_NOT_NEGOTIATED, GST_MESSAGE_ERROR,
                        "index-order: the model says bzyx, the caps say bxyz");
    check_against_model("max-points-per-voxel=5", NULL, GST_FLOW_OK, GST_MESSAGE_WARNING,
                        "the model says max-points-per-voxel 10, the caps say 5");
    check_against_model("", "other/tensors,types=float16", GST_FLOW_NOT_NEGOTIATED,
                        GST_MESSAGE_ERROR, "downstream takes other/tensors, types=(string)float16");
    check_against_model("max-points-per-voxel=0", NULL, GST_FLOW_OK, GST_MESSAGE_WARNING,
                        "the caps say 0 (0: all)");
}

/* The wish travels from the model through both elements: nothing is set. */
TEST(with_infer)
{
    gchar *path = golden_path("models", "tiny.onnx");
    gchar *launch = g_strdup_printf("lidarvoxelize ! spconvinfer threads=1 model-file=%s", path);
    GstHarness *h = gst_harness_new_parse(launch);
    GstBuffer *out;

    gst_harness_set_src_caps_str(h, CLOUD);
    out = gst_harness_push_and_pull(h, three(0));
    REQUIRE(out);
    CHECK_INT(gst_buffer_get_size(out), TINY_OUT_VALUES * 4);
    gst_buffer_unref(out);
    /* an empty cloud comes out as zeros, flagged */
    out = gst_harness_push_and_pull(h, cloud("", 0, GST_SECOND));
    REQUIRE(out);
    CHECK(GST_BUFFER_FLAG_IS_SET(out, GST_BUFFER_FLAG_GAP));
    CHECK_INT(GST_BUFFER_PTS(out), GST_SECOND);
    CHECK_INT(gst_buffer_memcmp(out, 0, "\0\0\0\0\0\0\0\0", 8), 0);
    gst_buffer_unref(out);
    gst_harness_teardown(h);
    g_free(launch);
    g_free(path);
}

/* What the element offers downstream: CUDA memory beside system memory, not with backend=cpu. */
TEST(cuda_caps)
{
    static const gchar *const launches[] = {PLAIN "backend=cpu", PLAIN "backend=auto"};
    gint i;

    for (i = 0; i < 2; i++) {
        GstBus *bus;
        GstHarness *h = harness_new(launches[i], "", &bus);
        GstCaps *caps, *sink;

        gst_harness_set_src_caps_str(h, CLOUD);
        gst_buffer_unref(gst_harness_push_and_pull(h, three(0)));
        caps = gst_pad_get_current_caps(h->sinkpad);
        CHECK(!gst_spconv_cuda_caps_name(caps)); /* ANY does not ask for it */
        gst_caps_unref(caps);
        caps = gst_pad_peer_query_caps(h->sinkpad, NULL);
        CHECK_INT(gst_spconv_cuda_caps_name(caps), i && gst_spconv_cuda_is_built());
        CHECK(!gst_spconv_cuda_caps_are(caps, 0));
        sink = gst_pad_peer_query_caps(h->srcpad, NULL);
        CHECK_INT(gst_spconv_cuda_caps_name(sink), i && gst_spconv_cuda_is_built());
        gst_caps_unref(sink);
        gst_caps_unref(caps);
        harness_free(h, bus);
    }
}

/* ------------------------------------------------------------------ empty frames ------------- */

static gboolean pull_gap(GstHarness *h, GstClockTime pts)
{
    gboolean found = FALSE;
    GstClockTime time, duration;
    GstEvent *event;

    while ((event = gst_harness_try_pull_event(h))) {
        if (GST_EVENT_TYPE(event) == GST_EVENT_GAP) {
            gst_event_parse_gap(event, &time, &duration);
            found |= time == pts && duration == GST_MSECOND;
        }
        gst_event_unref(event);
    }
    return found;
}

TEST(empty_frames)
{
    const gfloat outside[][5] = {{-1, 0, 0, 0, 0}, {NAN, 0, 0, 0, 0}, {4, 1, 1, 0, 0}};
    GstBus *bus;
    GstHarness *h = harness_new(PLAIN, "", &bus);
    GstBuffer *out;

    gst_harness_set_src_caps_str(h, CLOUD);
    gst_buffer_unref(gst_harness_push_and_pull(h, three(0)));
    CHECK_INT(gst_harness_push(h, cloud("", 0, GST_SECOND)), GST_FLOW_OK);
    CHECK(pull_gap(h, GST_SECOND));
    CHECK_INT(gst_harness_push(h, cloud(outside, sizeof(outside), 2 * GST_SECOND)), GST_FLOW_OK);
    CHECK(pull_gap(h, 2 * GST_SECOND));
    CHECK_INT(gst_harness_buffers_in_queue(h), 0);
    CHECK_INT(stat_of(h->element, "empty-frames"), 2);
    CHECK_INT(stat_of(h->element, "points-outside"), 3);
    out = gst_harness_push_and_pull(h, three(3 * GST_SECOND));
    CHECK(!GST_BUFFER_IS_DISCONT(out)); /* nothing was lost */
    gst_buffer_unref(out);
    harness_free(h, bus);
}

static gboolean take_no_gap(GstPad *pad, GstObject *parent, GstEvent *event)
{
    gboolean gap = GST_EVENT_TYPE(event) == GST_EVENT_GAP;

    (void)pad;
    (void)parent;
    gst_event_unref(event);
    return !gap;
}

/* Who wants no more says so to an empty frame, too. */
TEST(empty_frames_end)
{
    GstBus *bus;
    GstHarness *h = harness_new(PLAIN, "", &bus);

    gst_harness_set_src_caps_str(h, CLOUD);
    gst_buffer_unref(gst_harness_push_and_pull(h, three(0)));
    gst_pad_set_event_function(h->sinkpad, take_no_gap);
    CHECK_INT(gst_harness_push(h, cloud("", 0, GST_SECOND)), GST_FLOW_EOS);
    harness_free(h, bus);
}

/* ------------------------------------------------------------------ refusals ----------------- */

static void check_refused(const gchar *launch, const gchar *caps, const gchar *sink_caps,
                          const gchar *part)
{
    GstBus *bus;
    GstHarness *h = harness_new(launch, "", &bus);

    if (sink_caps)
        gst_harness_set_sink_caps_str(h, sink_caps);
    gst_harness_set_src_caps_str(h, caps);
    CHECK_INT(gst_harness_push(h, three(0)), GST_FLOW_NOT_NEGOTIATED);
    CHECK_INT(gst_harness_push(h, three(0)), GST_FLOW_NOT_NEGOTIATED);
    CHECK_ERROR(bus, GST_CORE_ERROR, GST_CORE_ERROR_NEGOTIATION, part);
    check_no_error(bus); /* said once, however often it is tried */
    harness_free(h, bus);
}

TEST(refused)
{
    check_refused("lidarvoxelize", CLOUD, NULL, "There is no range: set range");
    check_refused("lidarvoxelize range=0,0,0,4,4,2", CLOUD, NULL, "no voxel size");
    check_refused(PLAIN "features=x,y,z,ring", CLOUD, NULL, "no field \"ring\"");
    check_refused(PLAIN "features=intensity", CLOUD, NULL, "begin with x,y,z");
    check_refused(PLAIN, "application/x-pointcloud2,point-step=8,fields=\"x:F32:0,y:F32:4\"", NULL,
                  "no field \"z\"");
    check_refused(PLAIN, "application/x-pointcloud2,point-step=8", NULL, "fields");
    check_refused(PLAIN, CLOUD,
                  "application/x-voxels,version=1,feature-type=float32,num-features=4,"
                  "index-type=int32,index-order=bzyx,batch=1",
                  "downstream takes 4");
}

TEST(start_failures)
{
    struct spc_error why = {.status = SPC_OK};
    gint i;

    for (i = 0; spc_backend_name(i, &why) && strcmp(spc_backend_name(i, &why), "cuda"); i++)
        ;
    if (why.status)
        check_start_fails("lidarvoxelize backend=cuda", "", GST_RESOURCE_ERROR,
                          GST_RESOURCE_ERROR_NOT_FOUND, "cuda");
    check_start_fails("lidarvoxelize range=1,2,3", "", GST_RESOURCE_ERROR,
                      GST_RESOURCE_ERROR_SETTINGS, "range is \"1,2,3\", it should be 6 numbers");
    check_start_fails("lidarvoxelize voxel-size=1,x,2", "", GST_RESOURCE_ERROR,
                      GST_RESOURCE_ERROR_SETTINGS, "3 numbers");
    check_start_fails("lidarvoxelize model-file=%s", "none.onnx", GST_RESOURCE_ERROR,
                      GST_RESOURCE_ERROR_OPEN_READ, "none.onnx");
}

TEST(bad_size)
{
    GstBus *bus;
    GstHarness *h = harness_new(PLAIN, "", &bus);

    gst_harness_set_src_caps_str(h, CLOUD);
    CHECK_INT(gst_harness_push(h, cloud(three_points, 59, 0)), GST_FLOW_ERROR);
    CHECK_ERROR(bus, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
                "59 bytes are no multiple of point-step 20");
    harness_free(h, bus);
}

TEST(bad_geometry)
{
    check_start_fails("lidarvoxelize range=4,0,0,0,4,2 voxel-size=1,1,1", "", GST_RESOURCE_ERROR,
                      GST_RESOURCE_ERROR_SETTINGS, "no grid in x: a maximum");
    check_start_fails("lidarvoxelize voxel-size=1,0,1", "", GST_RESOURCE_ERROR,
                      GST_RESOURCE_ERROR_SETTINGS, "no grid in y: voxel-size is not positive");
    check_start_fails("lidarvoxelize range=0,0,0,4,4,2 voxel-size=1,1,5", "", GST_RESOURCE_ERROR,
                      GST_RESOURCE_ERROR_SETTINGS, "no grid in z: range and voxel-size");
    check_start_fails("lidarvoxelize range=0,0,0,4,4,2 voxel-size=1e-7,1,1", "", GST_RESOURCE_ERROR,
                      GST_RESOURCE_ERROR_SETTINGS, "no grid in x");
}

TEST(overflow)
{
    GstBus *bus;
    GstHarness *h = harness_new(PLAIN "max-voxels=1", "", &bus);
    gchar *text;

    gst_harness_set_src_caps_str(h, CLOUD);
    CHECK_INT(gst_harness_push(h, three(0)), GST_FLOW_ERROR);
    CHECK_ERROR(bus, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT, "2");
    harness_free(h, bus);

    h = harness_new(PLAIN "max-voxels=1 overflow=drop-frame", "", &bus);
    gst_harness_set_src_caps_str(h, CLOUD);
    CHECK_INT(gst_harness_push(h, three(0)), GST_FLOW_OK);
    CHECK_INT(gst_harness_buffers_in_queue(h), 0);
    text =
        take_text(bus, GST_MESSAGE_WARNING, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT);
    CHECK_TEXT(text, "dropped");
    g_free(text);
    CHECK_INT(stat_of(h->element, "dropped-overflow"), 1);
    CHECK_INT(gst_harness_push(h, cloud(three_points, 20, 0)), GST_FLOW_OK);
    CHECK_INT(gst_harness_buffers_in_queue(h), 1);
    harness_free(h, bus);
}

/* ------------------------------------------------------------------ stream ------------------- */

TEST(renegotiation)
{
    GstBus *bus;
    GstHarness *h = harness_new(PLAIN "features=x,y,z,intensity", "", &bus);
    GstBuffer *out;
    gint i;

    for (i = 0; i < 4; i++) {
        gst_harness_set_src_caps_str(h, i % 2 ? "application/x-lidar,framerate=10/1" : CLOUD);
        out = gst_harness_push_and_pull(h, cloud(three_points, i % 2 ? 48 : 60, 0));
        REQUIRE(out);
        CHECK_INT(gst_buffer_n_memory(out), 2);
        gst_buffer_unref(out);
    }
    harness_free(h, bus);
}

TEST(latency)
{
    GstBus *bus;
    GstHarness *h = harness_new(PLAIN, "", &bus);

    gst_harness_set_upstream_latency(h, GST_MSECOND);
    gst_harness_set_src_caps_str(h, CLOUD);
    gst_buffer_unref(gst_harness_push_and_pull(h, three(0)));
    CHECK_INT(gst_harness_query_latency(h), GST_MSECOND + stat_of(h->element, "latency-p99"));
    harness_free(h, bus);
}

TEST(qos)
{
    GstBus *bus;
    GstHarness *h = harness_new(PLAIN, "", &bus);

    gst_harness_set_src_caps_str(h, CLOUD);
    gst_harness_push_upstream_event(
        h, gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 2.0, GST_SECOND, GST_SECOND));
    CHECK_INT(gst_harness_push(h, three(GST_SECOND / 2)), GST_FLOW_OK);
    CHECK_INT(gst_harness_buffers_in_queue(h), 0);
    CHECK_INT(stat_of(h->element, "dropped-late"), 1);
    CHECK_INT(stat_of(h->element, "frames"), 0);
    CHECK_INT(gst_harness_push(h, three(4 * GST_SECOND)), GST_FLOW_OK);
    CHECK_INT(gst_harness_buffers_in_queue(h), 1);
    harness_free(h, bus);
}

TEST(state_cycles)
{
    GstElement *element = make_element("lidarvoxelize model-file=%s", "tiny.onnx");
    gint i;

    for (i = 0; i < 200; i++) {
        CHECK_INT(gst_element_set_state(element, GST_STATE_PLAYING), GST_STATE_CHANGE_SUCCESS);
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
    RUN(options);
    RUN(packed_lidar);
    RUN(from_model);
    RUN(from_downstream);
    RUN(max_points);
    RUN(wishes_against_the_model);
    RUN(with_infer);
    RUN(cuda_caps);
    RUN(empty_frames);
    RUN(empty_frames_end);
    RUN(refused);
    RUN(start_failures);
    RUN(bad_size);
    RUN(bad_geometry);
    RUN(overflow);
    RUN(renegotiation);
    RUN(latency);
    RUN(qos);
    RUN(state_cycles);
    return test_result();
}
