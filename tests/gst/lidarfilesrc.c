/* SPDX-License-Identifier: MIT */
/* lidarfilesrc as a black box, on files that the test writes. */
#include <glib/gstdio.h>

#include "source_test.h"

#define FRAMES 6
/* Raw files say nothing of their points. */
#define XYZI " fields=x,y,z,intensity"

static gchar *folder;

static gchar *in_folder(const gchar *name)
{
    return g_build_filename(folder, name, NULL);
}

static void write_file(const gchar *name, gconstpointer data, gsize size)
{
    gchar *path = in_folder(name);

    CHECK(g_file_set_contents(path, data, (gssize)size, NULL));
    g_free(path);
}

static void write_array(const gchar *name, enum spc_dtype dtype, gint64 rows, gint64 columns,
                        void *data)
{
    struct spc_array array = {
        dtype, 2, {rows, columns}, data, (size_t)(rows * columns) * spc_dtype_size(dtype)};
    gchar *path = in_folder(name);

    CHECK_INT(spc_array_write(path, &array, NULL), SPC_OK);
    g_free(path);
}

/* FRAMES files of points, frame i with i + 1 points all of whose values are i; the same as float16
 * with 5 fields; pairs of voxels, of which number 2 is empty. */
static void write_files(void)
{
    for (gint i = 0; i < FRAMES; i++) {
        gint64 rows = i == 2 ? 0 : i + 1;
        gfloat values[FRAMES * 5];
        guint16 halves[FRAMES * 5];
        gint32 indices[FRAMES * 4] = {0};
        gchar name[32];

        for (gsize v = 0; v < G_N_ELEMENTS(values); v++)
            values[v] = (gfloat)i;
        for (gint row = 0; row < FRAMES; row++)
            indices[row * 4 + 3] = row;
        spc_convert_f32_to_f16(values, halves, G_N_ELEMENTS(values));
        g_snprintf(name, sizeof(name), "p%d.bin", i);
        write_file(name, values, (gsize)(i + 1) * 16);
        g_snprintf(name, sizeof(name), "h%d.f16", i);
        write_file(name, halves, (gsize)(i + 1) * 10);
        g_snprintf(name, sizeof(name), "f%d.npy", i);
        write_array(name, SPC_DTYPE_F16, rows, 5, halves);
        g_snprintf(name, sizeof(name), "i%d.npy", i);
        write_array(name, SPC_DTYPE_I32, rows, 4, indices);
    }
    write_file("empty.bin", "", 0);
    write_file("odd.bin", "0123456789", 10);
    write_file("broken.npy", "\x93NUMPY\x01\x00", 8);
    write_file("t.txt", "5.0\n5.1\n5.25\n5.5\n5.6\n5.75\n", 26);
    write_file("short.txt", "5.0\n5.1\n", 8);
}

/* A harness of lidarfilesrc with properties "a=b c=d", where @ is the folder. */
static GstHarness *files(const gchar *properties, GstBus **bus)
{
    GstHarness *h = harness_with_bus("lidarfilesrc", bus);
    gchar **words = g_strsplit(properties, " ", -1);

    for (gchar **word = words; *word; word++) {
        gchar **pair = g_strsplit(*word, "=", 2), **parts = g_strsplit(pair[1], "@", -1);
        gchar *value = g_strjoinv(folder, parts);

        gst_util_set_object_arg(G_OBJECT(h->element), pair[0], value);
        g_free(value);
        g_strfreev(parts);
        g_strfreev(pair);
    }
    g_strfreev(words);
    return h;
}

static gfloat first_float(GstBuffer *buffer)
{
    gfloat value = -1;

    gst_buffer_extract(buffer, 0, &value, sizeof(value));
    return value;
}

/* Frame `i` of p%d.bin. */
static void check_points(GstBuffer *buffer, guint64 frame, guint i, GstClockTime pts)
{
    REQUIRE(buffer != NULL);
    CHECK_INT(gst_buffer_get_size(buffer), (i + 1) * 16);
    CHECK_NEAR(first_float(buffer), i, 0);
    CHECK_INT(GST_BUFFER_PTS(buffer), pts);
    CHECK_INT(GST_BUFFER_OFFSET(buffer), frame);
    CHECK_INT(GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DISCONT), frame == 0);
    gst_buffer_unref(buffer);
}

TEST(points)
{
    GstBus *bus;
    GstHarness *h = files("location=@/p%d.bin" XYZI " rate=20/1", &bus);
    gchar *fields;

    gst_harness_play(h);
    for (guint i = 0; i < FRAMES; i++)
        check_points(gst_harness_pull(h), i, i, i * 50 * GST_MSECOND);
    g_object_set(h->element, "fields", "x,y,z", NULL); /* not while it runs */
    g_object_get(h->element, "fields", &fields, NULL);
    CHECK(g_str_equal(fields, "x,y,z,intensity"));
    g_free(fields);
    check_caps(h, "application/x-pointcloud2,point-step=16,fields=\"x:F32:0,y:F32:4,z:F32:8,"
                  "intensity:F32:12\",is-bigendian=false,is-dense=false,framerate=20/1");
    CHECK_INT(count_until_eos(h), 0);
    harness_free(h, bus);
}

TEST(points_packed)
{
    GstBus *bus;
    GstHarness *h = files("location=@/p%d.bin" XYZI " start-index=3 stop-index=3", &bus);

    gst_harness_set_sink_caps_str(h, "application/x-lidar,framerate=10/1");
    gst_harness_play(h);
    check_points(gst_harness_pull(h), 0, 3, 0);
    CHECK_INT(count_until_eos(h), 0);
    harness_free(h, bus);
}

TEST(halves_become_floats)
{
    GstBus *bus;
    GstHarness *h = files("location=@/h*.f16 field-type=float16 fields=x,y,z,intensity,time", &bus);

    gst_harness_play(h);
    for (guint i = 0; i < FRAMES; i++) {
        GstBuffer *buffer = gst_harness_pull(h);

        REQUIRE(buffer != NULL);
        CHECK_INT(gst_buffer_get_size(buffer), (i + 1) * 20);
        CHECK_NEAR(first_float(buffer), i, 0);
        gst_buffer_unref(buffer);
    }
    harness_free(h, bus);
}

TEST(array_files_name_their_fields)
{
    GstBus *bus;
    GstHarness *h = files("location=@/f4.npy", &bus);

    gst_harness_play(h);
    gst_buffer_unref(gst_harness_pull(h));
    check_caps(h, "application/x-pointcloud2,point-step=20,fields=\"x:F32:0,y:F32:4,z:F32:8,"
                  "intensity:F32:12,time:F32:16\",is-bigendian=false,is-dense=false,"
                  "framerate=10/1");
    harness_free(h, bus);
}

TEST(empty_cloud)
{
    GstBus *bus;
    GstHarness *h = files("location=@/empty.bin" XYZI, &bus);
    GstBuffer *buffer;

    gst_harness_play(h);
    buffer = gst_harness_pull(h);
    REQUIRE(buffer != NULL);
    CHECK_INT(gst_buffer_get_size(buffer), 0);
    CHECK_INT(GST_BUFFER_DURATION(buffer), 100 * GST_MSECOND);
    gst_buffer_unref(buffer);
    CHECK_INT(count_until_eos(h), 0);
    harness_free(h, bus);
}

TEST(sidecar)
{
    static const GstClockTime ms[] = {0, 100, 250, 500, 600, 750, 900};
    GstBus *bus;
    GstHarness *h = files("location=@/p%d.bin" XYZI " timestamps-location=@/t.txt loop=true", &bus);

    gst_harness_play(h);
    for (guint i = 0; i < 2 * FRAMES; i++) {
        GstBuffer *buffer = gst_harness_pull(h);
        GstClockTime base = i / FRAMES * ms[FRAMES];

        REQUIRE(buffer != NULL);
        CHECK_INT(GST_BUFFER_DURATION(buffer), (ms[i % FRAMES + 1] - ms[i % FRAMES]) * GST_MSECOND);
        check_points(buffer, i, i % FRAMES, (base + ms[i % FRAMES]) * GST_MSECOND);
    }
    harness_free(h, bus);
}

TEST(loop_of_one_file_shares_its_memory)
{
    GstBus *bus;
    GstHarness *h = files("location=@/p3.bin" XYZI " loop=true num-buffers=3", &bus);
    GstBuffer *a, *b;

    gst_harness_play(h);
    a = gst_harness_pull(h);
    b = gst_harness_pull(h);
    REQUIRE(a && b);
    CHECK(gst_buffer_peek_memory(a, 0) == gst_buffer_peek_memory(b, 0));
    CHECK_INT(GST_BUFFER_PTS(b), 100 * GST_MSECOND);
    gst_buffer_unref(a);
    gst_buffer_unref(b);
    CHECK_INT(count_until_eos(h), 1);
    harness_free(h, bus);
}

TEST(voxels)
{
    GstBus *bus;
    GstHarness *h = files("location=@/f%d.npy indices-location=@/i%d.npy start-index=3 "
                          "grid-size=9,32,64 fields=x,y,z,intensity,time max-voxels=50",
                          &bus);

    gst_harness_play(h);
    for (guint i = 3; i < FRAMES; i++) {
        GstBuffer *buffer = gst_harness_pull(h);
        struct gst_spconv_voxels voxels;

        REQUIRE(buffer != NULL);
        REQUIRE(gst_spconv_voxels_map(&voxels, buffer, GST_MAP_READ, SPC_DTYPE_F16, 5, NULL));
        CHECK_INT(voxels.num_voxels, i + 1);
        CHECK_INT(voxels.indices[i * 4 + 3], i);
        gst_spconv_voxels_unmap(&voxels);
        gst_buffer_unref(buffer);
    }
    check_caps(h, "application/x-voxels,version=1,feature-type=float16,num-features=5,"
                  "features=\"x,y,z,intensity,time\",index-type=int32,index-order=bzyx,grid-z=9,"
                  "grid-y=32,grid-x=64,max-voxels=50,batch=1,framerate=10/1");
    CHECK_INT(count_until_eos(h), 0);
    harness_free(h, bus);
}

/* xyz order names the grid in that order, too; a grid that is not set is downstream's. */
TEST(voxel_grids)
{
    GstBus *bus;
    GstHarness *h = files("location=@/f4.npy indices-location=@/i4.npy index-order=bxyz "
                          "grid-size=64,32,9",
                          &bus);
    GstMessage *message;
    GError *error;
    GstCaps *caps;
    gint x = 0, z = 0;

    gst_harness_play(h);
    gst_buffer_unref(gst_harness_pull(h));
    check_caps(h, "application/x-voxels,version=1,feature-type=float16,num-features=5,"
                  "index-type=int32,index-order=bxyz,grid-z=9,grid-y=32,grid-x=64,max-voxels=5,"
                  "batch=1,framerate=10/1");
    harness_free(h, bus);

    h = files("location=@/f4.npy indices-location=@/i4.npy", &bus);
    gst_harness_set_sink_caps_str(h, "application/x-voxels,grid-x=32,grid-y=32,grid-z=9");
    gst_harness_play(h);
    gst_buffer_unref(gst_harness_pull(h));
    caps = gst_pad_get_current_caps(h->sinkpad);
    REQUIRE(caps != NULL);
    gst_structure_get_int(gst_caps_get_structure(caps, 0), "grid-x", &x);
    gst_structure_get_int(gst_caps_get_structure(caps, 0), "grid-z", &z);
    CHECK(x == 32 && z == 9);
    gst_caps_unref(caps);
    harness_free(h, bus);

    h = files("location=@/f4.npy indices-location=@/i4.npy", &bus);
    gst_harness_play(h);
    message = gst_bus_timed_pop_filtered(bus, 10 * GST_SECOND, GST_MESSAGE_ERROR);
    REQUIRE(message != NULL);
    gst_message_parse_error(message, &error, NULL);
    CHECK(g_error_matches(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS));
    CHECK_TEXT(error->message, "set grid-size");
    g_error_free(error);
    gst_message_unref(message);
    harness_free(h, bus);
}

/* Also the very first frame, before which nothing has gone downstream. */
static void check_gap(guint start, guint before)
{
    GstBus *bus;
    GstHarness *h = files("location=@/f%d.npy indices-location=@/i%d.npy stop-index=3 "
                          "grid-size=9,32,32",
                          &bus);
    GstClockTime pts = GST_CLOCK_TIME_NONE, duration = 0;
    gboolean segment = FALSE, gap = FALSE;
    GstEvent *event;

    g_object_set(h->element, "start-index", start, NULL);
    gst_harness_play(h);
    for (guint i = 0; i < before + 1; i++)
        gst_buffer_unref(gst_harness_pull(h));
    while (!gap && (event = gst_harness_pull_event(h))) {
        segment |= GST_EVENT_TYPE(event) == GST_EVENT_SEGMENT;
        gap = GST_EVENT_TYPE(event) == GST_EVENT_GAP;
        if (gap)
            gst_event_parse_gap(event, &pts, &duration);
        gst_event_unref(event);
    }
    CHECK(gap && segment);
    CHECK_INT(pts, before * 100 * GST_MSECOND);
    CHECK_INT(duration, 100 * GST_MSECOND);
    CHECK_INT(count_until_eos(h), 0);
    harness_free(h, bus);
}

TEST(empty_voxels_are_gaps)
{
    check_gap(1, 1);
    check_gap(2, 0);
}

/* Seek from the end of the stream, or with `left` of FRAMES from within an endless one. */
static void check_seek(const gchar *more, gdouble rate, GstFormat format, gint64 to, guint64 frame,
                       GstClockTime pts, guint left)
{
    GstBus *bus;
    gchar *properties = g_strconcat("location=@/p%d.bin" XYZI, more, NULL);
    GstHarness *h = files(properties, &bus);
    GstBuffer *buffer;
    GstSegment segment;

    gst_harness_play(h);
    if (left < FRAMES)
        CHECK_INT(count_until_eos(h), FRAMES);
    else
        gst_buffer_unref(gst_harness_pull(h));
    CHECK(gst_harness_push_upstream_event(
        h, gst_event_new_seek(rate, format, GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_ACCURATE,
                              GST_SEEK_TYPE_SET, to, GST_SEEK_TYPE_NONE, -1)));
    buffer = pull_after_seek(h);
    REQUIRE(buffer != NULL);
    CHECK_INT(GST_BUFFER_OFFSET(buffer), frame);
    CHECK_INT(GST_BUFFER_PTS(buffer), pts);
    CHECK_NEAR(first_float(buffer), frame % FRAMES, 0);
    gst_buffer_unref(buffer);
    if (left < FRAMES)
        CHECK_INT(count_until_eos(h), left);
    segment = last_segment(h);
    CHECK_NEAR(segment.rate, rate, 0);
    if (format == GST_FORMAT_TIME)
        CHECK_INT(segment.start, to);
    harness_free(h, bus);
    g_free(properties);
}

TEST(seek)
{
    check_seek("", 1, GST_FORMAT_TIME, 350 * GST_MSECOND, 3, 300 * GST_MSECOND, 2);
    check_seek("", 2, GST_FORMAT_TIME, 500 * GST_MSECOND, 5, 500 * GST_MSECOND, 0);
    check_seek("", 1, GST_FORMAT_DEFAULT, 4, 4, 400 * GST_MSECOND, 1);
    check_seek(" timestamps-location=@/t.txt", 1, GST_FORMAT_TIME, 500 * GST_MSECOND, 3,
               500 * GST_MSECOND, 2);
    check_seek(" timestamps-location=@/t.txt", 1, GST_FORMAT_TIME, 499 * GST_MSECOND, 2,
               250 * GST_MSECOND, 3);
    check_seek(" loop=true", 1, GST_FORMAT_TIME, 1000 * GST_MSECOND, 10, 1000 * GST_MSECOND,
               FRAMES);
}

TEST(seek_refused_or_past_the_end)
{
    GstBus *bus;
    GstHarness *h = files("location=@/p%d.bin" XYZI, &bus);

    gst_harness_play(h);
    for (guint i = 0; i < FRAMES; i++)
        gst_buffer_unref(gst_harness_pull(h));
    CHECK_INT(count_until_eos(h), 0);
    CHECK(!gst_harness_push_upstream_event(
        h, gst_event_new_seek(-1, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, 0,
                              GST_SEEK_TYPE_SET, GST_SECOND)));
    harness_free(h, bus);

    h = files("location=@/p%d.bin" XYZI, &bus);
    gst_harness_play(h);
    for (guint i = 0; i < FRAMES; i++)
        gst_buffer_unref(gst_harness_pull(h));
    CHECK_INT(count_until_eos(h), 0);
    CHECK(gst_harness_push_upstream_event(
        h, gst_event_new_seek(1, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET,
                              10 * GST_SECOND, GST_SEEK_TYPE_NONE, -1)));
    CHECK_INT(count_until_eos(h), 0);
    harness_free(h, bus);
}

static void check_query(GstHarness *h, gboolean duration, GstFormat format, gint64 expected)
{
    gint64 value = -2;

    CHECK(duration ? gst_element_query_duration(h->element, format, &value)
                   : gst_element_query_position(h->element, format, &value));
    CHECK_INT(value, expected);
}

TEST(queries)
{
    GstBus *bus;
    GstHarness *h = files("location=@/p%d.bin" XYZI, &bus);
    gint64 value;

    gst_harness_play(h);
    for (guint i = 0; i < FRAMES; i++)
        gst_buffer_unref(gst_harness_pull(h));
    CHECK_INT(count_until_eos(h), 0);
    check_query(h, TRUE, GST_FORMAT_TIME, 600 * GST_MSECOND);
    check_query(h, TRUE, GST_FORMAT_DEFAULT, FRAMES);
    check_query(h, TRUE, GST_FORMAT_PERCENT, GST_FORMAT_PERCENT_MAX);
    check_query(h, FALSE, GST_FORMAT_TIME, 600 * GST_MSECOND);
    check_query(h, FALSE, GST_FORMAT_DEFAULT, FRAMES);
    check_query(h, FALSE, GST_FORMAT_PERCENT, GST_FORMAT_PERCENT_MAX);
    harness_free(h, bus);

    h = files("location=@/p%d.bin" XYZI " loop=true", &bus);
    gst_harness_play(h);
    gst_buffer_unref(gst_harness_pull(h));
    CHECK(!gst_element_query_duration(h->element, GST_FORMAT_TIME, &value) || value == -1);
    harness_free(h, bus);
}

/* What is wrong at the start, and what the message says. */
TEST(refused)
{
    static const struct {
        const gchar *properties;
        gint code;
        const gchar *part;
    } cases[] = {
        {"rate=10/1", GST_RESOURCE_ERROR_NOT_FOUND, "location is not set"},
        {"location=@/absent.bin", GST_RESOURCE_ERROR_NOT_FOUND, "absent.bin"},
        {"location=@/odd.bin" XYZI, GST_RESOURCE_ERROR_READ, "set fields and field-type"},
        {"location=@/p3.bin", GST_RESOURCE_ERROR_SETTINGS, "KITTI: x,y,z,intensity; nuScenes"},
        {"location=@/broken.npy", GST_RESOURCE_ERROR_READ, "broken.npy"},
        {"location=@/p3.bin fields=x,y,z,x", GST_RESOURCE_ERROR_SETTINGS, "fields=x,y,z,x"},
        {"location=@/f4.npy fields=x,y,z", GST_RESOURCE_ERROR_READ, "5 fields"},
        {"location=@/i4.npy", GST_RESOURCE_ERROR_READ, "int32"},
        {"location=@/p%d.bin" XYZI " timestamps-location=@/short.txt", GST_RESOURCE_ERROR_READ,
         "2 timestamps for 6 frames"},
        {"location=@/p%d.bin" XYZI " timestamps-location=@/none.txt", GST_RESOURCE_ERROR_NOT_FOUND,
         "none.txt"},
        {"location=@/f%d.npy indices-location=@/i4.npy", GST_RESOURCE_ERROR_NOT_FOUND,
         "means 6 files"},
        {"location=@/f4.npy indices-location=@/i3.npy", GST_RESOURCE_ERROR_READ,
         "f4.npy has 5 rows"},
        {"location=@/f4.npy indices-location=@/f4.npy", GST_RESOURCE_ERROR_READ, "[N][4] int32"},
        {"location=@/i4.npy indices-location=@/i4.npy", GST_RESOURCE_ERROR_READ,
         "float32 or float16"},
        {"location=@/f4.npy indices-location=@/i4.npy grid-size=9,32", GST_RESOURCE_ERROR_SETTINGS,
         "grid-size=9,32"},
        {"location=@/f4.npy indices-location=@/i4.npy grid-size=9,0,32",
         GST_RESOURCE_ERROR_SETTINGS, "three positive numbers"},
        {"location=@/f4.npy indices-location=@/i4.npy fields=x,y,z", GST_RESOURCE_ERROR_SETTINGS,
         "has 5 columns, fields names 3"},
        {"location=@/f4.npy indices-location=@/i4.npy max-voxels=4 grid-size=9,32,32",
         GST_RESOURCE_ERROR_NO_SPACE_LEFT, "has 5 voxels, max-voxels allows 4"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        GstBus *bus;
        GstHarness *h = files(cases[i].properties, &bus);

        CHECK_INT(gst_element_set_state(h->element, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
        CHECK_ERROR(bus, GST_RESOURCE_ERROR, cases[i].code, cases[i].part);
        CHECK_INT(gst_element_set_state(h->element, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
        harness_free(h, bus);
    }
}

/* A file that turns out bad in the middle ends the stream with an error that names it. */
TEST(bad_file_in_the_middle)
{
    GstBus *bus;
    GstHarness *h;

    write_file("m0.bin", "0123456789abcdef", 16);
    write_file("m1.bin", "0123456789", 10);
    h = files("location=@/m%d.bin" XYZI, &bus);
    gst_harness_play(h);
    gst_buffer_unref(gst_harness_pull(h));
    CHECK_INT(count_until_eos(h), 0);
    CHECK_ERROR(bus, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ, "m1.bin");
    harness_free(h, bus);
}

TEST(state_cycling)
{
    GstBus *bus;
    GstHarness *h = files("location=@/f*.npy indices-location=@/i*.npy grid-size=9,32,32", &bus);

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

static void remove_folder(void)
{
    GDir *dir = g_dir_open(folder, 0, NULL);

    for (const gchar *name; dir && (name = g_dir_read_name(dir));) {
        gchar *path = in_folder(name);

        g_unlink(path);
        g_free(path);
    }
    g_dir_close(dir);
    g_rmdir(folder);
    g_free(folder);
}

int main(int argc, char **argv)
{
    gst_init(&argc, &argv);
    folder = g_dir_make_tmp("lidarfilesrc-XXXXXX", NULL);
    write_files();
    RUN(points);
    RUN(points_packed);
    RUN(halves_become_floats);
    RUN(array_files_name_their_fields);
    RUN(empty_cloud);
    RUN(sidecar);
    RUN(loop_of_one_file_shares_its_memory);
    RUN(voxels);
    RUN(voxel_grids);
    RUN(empty_voxels_are_gaps);
    RUN(seek);
    RUN(seek_refused_or_past_the_end);
    RUN(queries);
    RUN(refused);
    RUN(bad_file_in_the_middle);
    RUN(state_cycling);
    remove_folder();
    return test_result();
}
