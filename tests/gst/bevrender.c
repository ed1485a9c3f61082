/* SPDX-License-Identifier: MIT */
/* bevrender as a black box: what it negotiates, and what is in its pictures. */
#include "source_test.h"

#define CLOUD                                                                                      \
    "application/x-pointcloud2,point-step=20,fields=\"x:F32:0,y:F32:4,z:F32:8,intensity:F32:12,"   \
    "ring:U16:16\",is-bigendian=false,is-dense=true,framerate=10/1"
#define TENSOR "other/tensors,format=static,num_tensors=1,framerate=10/1,"
#define PLAIN "bevrender grid=false legend=false background=4278190080 "

struct point {
    gfloat x, y, z, intensity;
    guint16 ring, unused;
};

static GstHarness *renderer(const gchar *line, const gchar *in, const gchar *out, GstBus **bus)
{
    GstHarness *h = source(line, bus);

    if (out)
        gst_harness_set_sink_caps_str(h, out);
    gst_harness_set_src_caps_str(h, in);
    return h;
}

static GstBuffer *frame_of(gconstpointer data, gsize size)
{
    GstBuffer *buffer = size ? gst_buffer_new_memdup(data, size) : gst_buffer_new();

    GST_BUFFER_PTS(buffer) = 300 * GST_MSECOND;
    GST_BUFFER_DURATION(buffer) = 100 * GST_MSECOND;
    return buffer;
}

/* The rendered frame's bytes; released with g_free(). */
static guint8 *render(GstHarness *h, gconstpointer data, gsize size, gsize *out_size)
{
    GstBuffer *buffer = gst_harness_push_and_pull(h, frame_of(data, size));
    gpointer bytes = NULL;

    CHECK(buffer != NULL);
    if (!buffer)
        return NULL;
    CHECK_INT(GST_BUFFER_PTS(buffer), 300 * GST_MSECOND);
    CHECK_INT(GST_BUFFER_DURATION(buffer), 100 * GST_MSECOND);
    gst_buffer_extract_dup(buffer, 0, (gsize)-1, &bytes, out_size);
    gst_buffer_unref(buffer);
    return bytes;
}

TEST(default_size)
{
    GstBus *bus;
    GstHarness *h = renderer("bevrender", CLOUD, NULL, &bus);
    struct point point = {1, 2, 3, 4, 5, 0};
    gsize size = 0;
    gint width = 0, height = 0, n = 0, d = 0;
    GstCaps *caps;
    guint8 *bytes = render(h, &point, sizeof(point), &size);

    caps = gst_pad_get_current_caps(h->sinkpad);
    REQUIRE(bytes && caps);
    gst_structure_get_int(gst_caps_get_structure(caps, 0), "width", &width);
    gst_structure_get_int(gst_caps_get_structure(caps, 0), "height", &height);
    gst_structure_get_fraction(gst_caps_get_structure(caps, 0), "framerate", &n, &d);
    CHECK(width == 800 && height == 800 && n == 10 && d == 1);
    CHECK_INT(size, 800 * 800 * 4);
    gst_caps_unref(caps);
    g_free(bytes);
    harness_free(h, bus);
}

/* A point 25 m ahead and 10 m to the left, in 100 x 100 pixels of a metre: column 40, row 25, in
 * every format's own order of bytes. */
TEST(formats)
{
    static const struct {
        const gchar *format;
        gint step, r, g, b;
    } cases[] = {
        {"RGBA", 4, 0, 1, 2}, {"RGBx", 4, 0, 1, 2}, {"BGRA", 4, 2, 1, 0},
        {"BGRx", 4, 2, 1, 0}, {"RGB", 3, 0, 1, 2},  {"BGR", 3, 2, 1, 0},
    };
    /* turbo's highest colour is red, its lowest blue */
    const struct point points[] = {{24.5f, 9.5f, 0, 1, 0, 0}, {-24.5f, -9.5f, 0, 0, 0, 0}};

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        gchar *out = g_strdup_printf("video/x-raw,format=%s,width=100,height=100", cases[i].format);
        gint step = cases[i].step, stride = (100 * step + 3) / 4 * 4;
        GstBus *bus;
        GstHarness *h = renderer(PLAIN "range=50 color-by=intensity value-max=1 point-size=1",
                                 CLOUD, out, &bus);
        gsize size = 0;
        guint8 *bytes = render(h, points, sizeof(points), &size), *high, *low;
        guint drawn = 0;

        REQUIRE(bytes != NULL);
        CHECK_INT(size, stride * 100);
        high = bytes + 25 * stride + 40 * step;
        low = bytes + 74 * stride + 59 * step;
        CHECK(high[cases[i].r] > 150 && high[cases[i].g] < 60 && high[cases[i].b] < 60);
        CHECK(low[cases[i].b] > 150 && low[cases[i].r] < 90);
        if (step == 4)
            CHECK_INT(high[6 - cases[i].r - cases[i].g - cases[i].b], 255);
        for (gint row = 0; row < 100; row++)
            for (gint column = 0; column < 100; column++) {
                const guint8 *p = bytes + row * stride + column * step;
                drawn += p[cases[i].r] || p[cases[i].g] || p[cases[i].b];
            }
        CHECK_INT(drawn, 2);
        g_free(bytes);
        g_free(out);
        harness_free(h, bus);
    }
}

/* Fields of any type give the colour; here 16-bit rings, as gray. */
TEST(color_by)
{
    static const struct {
        const gchar *by;
        gint expected; /* gray of the first point, whose values are 1, 0.5, 2, 0.25 and 200 */
    } cases[] = {{"height", 128}, {"x", 64}, {"intensity", 16}, {"distance", 71}, {"ring", 255}};
    const struct point point = {1, 0.5f, 2, 0.25f, 200, 0};

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        gchar *line =
            g_strdup_printf(PLAIN "range=2 colormap=gray value-max=4 color-by=%s", cases[i].by);
        GstBus *bus;
        GstHarness *h = renderer(line, CLOUD, "video/x-raw,format=RGB,width=20,height=20", &bus);
        gsize size = 0;
        guint8 *bytes = render(h, &point, sizeof(point), &size);

        REQUIRE(bytes != NULL);
        CHECK_NEAR(bytes[4 * 60 + 7 * 3], cases[i].expected, 1);
        g_free(bytes);
        g_free(line);
        harness_free(h, bus);
    }
}

TEST(packed_and_empty_clouds)
{
    const gfloat point[] = {0.5f, 0.5f, 0, 9};
    GstBus *bus;
    GstHarness *h = renderer(PLAIN "range=2", "application/x-lidar,framerate=10/1",
                             "video/x-raw,format=RGBA,width=20,height=20", &bus);
    gsize size = 0;
    guint8 *bytes = render(h, point, sizeof(point), &size);

    REQUIRE(bytes != NULL);
    CHECK(bytes[(7 * 20 + 7) * 4] | bytes[(7 * 20 + 7) * 4 + 2]);
    g_free(bytes);
    bytes = render(h, point, 0, &size);
    REQUIRE(bytes != NULL);
    for (gsize i = 0; i < size; i++)
        if (bytes[i] != (i % 4 == 3 ? 255 : 0)) {
            CHECK(!"an empty cloud gives the background");
            break;
        }
    g_free(bytes);
    harness_free(h, bus);
}

/* spconvinfer flags the BEV of an empty frame; its picture is drawn all the same, and is no gap. */
TEST(picture_of_a_gap)
{
    GstBus *bus;
    GstHarness *h = renderer(PLAIN "range=2", "application/x-lidar,framerate=10/1",
                             "video/x-raw,format=RGBA,width=20,height=20", &bus);
    GstBuffer *buffer = gst_buffer_new();

    GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_GAP);
    buffer = gst_harness_push_and_pull(h, buffer);
    REQUIRE(buffer != NULL);
    CHECK(!GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_GAP));
    gst_buffer_unref(buffer);
    harness_free(h, bus);
}

/* [C=2][3][4] with one cell of channel 1 set, in float16 and float32 and in both orders of axes.
 * Shown with range-mm at 10 pixels a cell. */
static void check_tensor(const gchar *axes, gboolean half, const gchar *reduce, gint expected)
{
    gboolean xy = axes && g_str_equal(axes, "xy");
    gfloat values[24] = {0};
    guint16 halves[24];
    gchar *in = g_strdup_printf(TENSOR "types=%s,dimensions=%s:2:1,%s%s%srange-mm=<-2000,-1500,"
                                       "-1000,2000,1500,1000>",
                                half ? "float16" : "float32", xy ? "3:4" : "4:3",
                                axes ? "bev-axes=" : "", axes ? axes : "", axes ? "," : "");
    gchar *line = g_strdup_printf(PLAIN "colormap=gray value-max=1 %s", reduce);
    GstBus *bus;
    GstHarness *h = renderer(line, in, "video/x-raw,format=RGB,width=28,height=40", &bus);
    gsize size = 0;
    guint8 *bytes;

    /* the farthest cell in front (x 3 of 4), the leftmost (y 2 of 3) */
    values[12 + (xy ? 3 * 3 + 2 : 2 * 4 + 3)] = 1;
    spc_convert_f32_to_f16(values, halves, 24);
    bytes =
        half ? render(h, halves, sizeof(halves), &size) : render(h, values, sizeof(values), &size);
    REQUIRE(bytes != NULL);
    CHECK_NEAR(bytes[3 * (5 * 28 + 4)], expected, 1);
    CHECK_NEAR(bytes[3 * (15 * 28 + 4)], 0, 1);
    CHECK_NEAR(bytes[3 * (5 * 28 + 14)], 0, 1);
    CHECK_NEAR(bytes[3 * (35 * 28 + 24)], 0, 1);
    g_free(bytes);
    g_free(line);
    g_free(in);
    harness_free(h, bus);
}

TEST(tensors)
{
    check_tensor("yx", FALSE, "reduce=max", 255);
    check_tensor("xy", FALSE, "reduce=max", 255);
    check_tensor(NULL, FALSE, "reduce=max", 255);
    check_tensor("yx", TRUE, "reduce=max", 255);
    check_tensor("xy", TRUE, "reduce=mean", 128);
    check_tensor("yx", FALSE, "reduce=mean", 128);
    check_tensor("yx", FALSE, "reduce=channel channel=1", 255);
    check_tensor("yx", TRUE, "reduce=channel channel=0", 0);
}

/* A tensor whose memory begins at an odd address. */
TEST(unaligned_tensor)
{
    const gfloat values[] = {0, 0, 1, 0};
    GstBus *bus;
    GstHarness *h = renderer(PLAIN "colormap=gray", TENSOR "types=float32,dimensions=2:2:1:1",
                             "video/x-raw,format=RGB,width=20,height=20", &bus);
    guint8 moved[17];
    GstBuffer *in, *out;
    guint8 left = 0, right = 1;

    memcpy(moved + 1, values, 16);
    in = frame_of(moved, 17);
    gst_buffer_resize(in, 1, 16);
    out = gst_harness_push_and_pull(h, in);
    REQUIRE(out != NULL);
    /* rows are y, so values[2] is y 1 (left), x 0 (rear) */
    gst_buffer_extract(out, 60 * 15 + 3 * 5, &left, 1);
    gst_buffer_extract(out, 60 * 15 + 3 * 15, &right, 1);
    CHECK(left > 200 && right == 0);
    gst_buffer_unref(out);
    harness_free(h, bus);
}

/* Settings count from the next frame on. */
TEST(settings_while_running)
{
    GstBus *bus;
    GstHarness *h = harness_with_bus("bevrender", &bus);
    gsize size = 0;
    guint8 *bytes;

    gst_harness_set_sink_caps_str(h, "video/x-raw,format=RGB,width=20,height=20");
    gst_harness_set_src_caps_str(h, CLOUD);
    g_object_set(h->element, "grid", FALSE, "background", 0xff010203u, NULL);
    bytes = render(h, "", 0, &size);
    REQUIRE(bytes != NULL);
    CHECK(bytes[0] == 1 && bytes[1] == 2 && bytes[2] == 3);
    g_free(bytes);
    g_object_set(h->element, "background", 0xff040506u, NULL);
    bytes = render(h, "", 0, &size);
    REQUIRE(bytes != NULL);
    CHECK(bytes[0] == 4 && bytes[1] == 5 && bytes[2] == 6);
    g_free(bytes);
    harness_free(h, bus);
}

/* What a frame or the settings can have wrong, and what the message says. */
static void check_refused(const gchar *line, const gchar *in, gsize size, const gchar *part)
{
    GstBus *bus;
    GstHarness *h = renderer(line, in, "video/x-raw,format=RGB,width=20,height=20", &bus);
    gpointer data = g_malloc0(size);

    CHECK_INT(gst_harness_push(h, frame_of(data, size)), GST_FLOW_ERROR);
    CHECK_ERROR(bus, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, part);
    g_free(data);
    harness_free(h, bus);
}

TEST(refused_frames)
{
    check_refused(PLAIN, CLOUD, 30, "30 bytes");
    check_refused(PLAIN "color-by=time", CLOUD, 20, "color-by=time");
    check_refused(PLAIN, TENSOR "types=float32,dimensions=2:2:2:1", 16, "16 bytes");
    check_refused(PLAIN, TENSOR "types=float32,dimensions=2:2:2:1", 36, "36 bytes");
    check_refused(PLAIN, TENSOR "types=float16,dimensions=2:2:2:1", 0, "0 bytes");
    check_refused(PLAIN "reduce=channel channel=2", TENSOR "types=float32,dimensions=2:2:2:1", 32,
                  "channel=2");
}

TEST(refused_caps)
{
    static const struct {
        const gchar *caps, *part;
    } cases[] = {
        {"application/x-pointcloud2,point-step=8,fields=\"x:F32:0,y:F32:4\",is-bigendian=false,"
         "is-dense=true,framerate=10/1",
         "no fields x, y and z"},
        {"application/x-pointcloud2,point-step=8,fields=\"x:F32:6\",is-bigendian=false,"
         "is-dense=true,framerate=10/1",
         "ends at byte 10"},
        {TENSOR "types=float32,dimensions=(string)4", "is no plane"},
        {TENSOR "types=float32,dimensions=(string)0:4", "dimensions"},
        {TENSOR "types=float32,dimensions=2:2:1:1,range-mm=<5,0,0,5,9,9>", "range-mm"},
        {TENSOR "types=float32,dimensions=2:2:1:1,bev-axes=zz", "bev-axes"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        GstBus *bus;
        GstHarness *h = renderer(PLAIN, cases[i].caps, NULL, &bus);

        CHECK_INT(gst_harness_push(h, frame_of("0123456789abcdef", 16)), GST_FLOW_NOT_NEGOTIATED);
        CHECK_ERROR(bus, GST_CORE_ERROR, GST_CORE_ERROR_NEGOTIATION, cases[i].part);
        harness_free(h, bus);
    }
}

/* Other caps in the middle of the stream, of the other kind. */
TEST(renegotiation)
{
    const struct point point = {0};
    const gfloat values[4] = {1, 1, 1, 1};
    GstBus *bus;
    GstHarness *h = renderer(PLAIN, CLOUD, NULL, &bus);
    gsize size = 0;

    g_free(render(h, &point, sizeof(point), &size));
    CHECK_INT(size, 800 * 800 * 4);
    gst_harness_set_src_caps_str(h, TENSOR "types=float32,dimensions=2:2:1:1");
    g_free(render(h, values, sizeof(values), &size));
    CHECK_INT(size, 800 * 800 * 4);
    gst_harness_set_src_caps_str(h, CLOUD);
    g_free(render(h, &point, sizeof(point), &size));
    CHECK_INT(size, 800 * 800 * 4);
    harness_free(h, bus);
}

TEST(state_cycling)
{
    const struct point point = {0};
    GstBus *bus;
    GstHarness *h = renderer("bevrender", CLOUD, "video/x-raw,width=64,height=64", &bus);
    gsize size = 0;

    for (int i = 0; i < 50; i++) {
        gst_harness_play(h);
        gst_harness_push_event(h, gst_event_new_stream_start("again"));
        gst_harness_set_src_caps_str(h, CLOUD);
        g_free(render(h, &point, sizeof(point), &size));
        CHECK_INT(size, 64 * 64 * 4);
        CHECK(gst_element_set_state(h->element, GST_STATE_NULL) == GST_STATE_CHANGE_SUCCESS);
    }
    harness_free(h, bus);
}

int main(int argc, char **argv)
{
    gst_init(&argc, &argv);
    RUN(default_size);
    RUN(formats);
    RUN(color_by);
    RUN(packed_and_empty_clouds);
    RUN(picture_of_a_gap);
    RUN(tensors);
    RUN(unaligned_tensor);
    RUN(settings_while_running);
    RUN(refused_frames);
    RUN(refused_caps);
    RUN(renegotiation);
    RUN(state_cycling);
    return test_result();
}
