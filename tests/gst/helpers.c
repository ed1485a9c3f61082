/* SPDX-License-Identifier: MIT */
/* The pure helpers of the plugin: caps, payloads, point fields, statistics. */
#include <gst/gst.h>

#include "gstspconvcaps.h"
#include "gstspconvcudavoxels.h"
#include "gstspconvpoints.h"
#include "gstspconvstats.h"
#include "gstspconvvoxels.h"
#include "test.h"

#define CHECK_FAILS(call, part)                                                                    \
    do {                                                                                           \
        GError *error = NULL;                                                                      \
        CHECK(!(call));                                                                            \
        CHECK_TEXT(error ? error->message : "", part);                                             \
        CHECK(error && error->domain == GST_STREAM_ERROR);                                         \
        g_clear_error(&error);                                                                     \
    } while (0)

#define XYZI "x:F32:0,y:F32:4,z:F32:8,intensity:F32:12"

/* ------------------------------------------------------------------ point fields ------------- */

TEST(fields_parse)
{
    struct gst_spconv_fields fields;
    gchar *text;

    REQUIRE(gst_spconv_fields_parse(&fields, XYZI ",ring:U16:16,t:F64:18", 26, NULL));
    CHECK_INT(fields.count, 6);
    CHECK_INT(fields.field[4].type, GST_SPCONV_FIELD_U16);
    CHECK_INT(fields.field[5].offset, 18);
    CHECK(gst_spconv_fields_find(&fields, "ring") == &fields.field[4]);
    CHECK(!gst_spconv_fields_find(&fields, "rin"));
    text = gst_spconv_fields_to_string(&fields);
    CHECK(g_str_equal(text, XYZI ",ring:U16:16,t:F64:18"));
    g_free(text);
}

TEST(fields_refused)
{
    struct gst_spconv_fields f;
    GError **none = NULL;

    CHECK(!gst_spconv_fields_parse(&f, "", 16, none));
    CHECK_FAILS(gst_spconv_fields_parse(&f, "x:F32", 16, &error), "name:type:offset");
    CHECK_FAILS(gst_spconv_fields_parse(&f, ":F32:0", 16, &error), "name:type:offset");
    CHECK_FAILS(gst_spconv_fields_parse(&f, "x:F32:0:1", 16, &error), "name:type:offset");
    CHECK_FAILS(gst_spconv_fields_parse(&f, "x:F33:0", 16, &error), "unknown type \"F33\"");
    CHECK_FAILS(gst_spconv_fields_parse(&f, "x:F32:-4", 16, &error), "\"-4\"");
    CHECK_FAILS(gst_spconv_fields_parse(&f, "x:F32:13", 16, &error), "ends at byte 17");
    CHECK_FAILS(gst_spconv_fields_parse(&f, "x:F32:4294967295", 16, &error), "offset");
    CHECK_FAILS(gst_spconv_fields_parse(&f, "x:F32:0,x:F32:4", 16, &error), "occurs twice");
    CHECK_FAILS(gst_spconv_fields_parse(&f, "x:F32:0,,", 16, &error), "name:type:offset");
    CHECK_FAILS(
        gst_spconv_fields_parse(&f, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:F32:0", 16, &error),
        "1 to 31 letters");
    CHECK_FAILS(gst_spconv_fields_parse(&f,
                                        "a:U8:0,b:U8:1,c:U8:2,d:U8:3,e:U8:4,f:U8:5,g:U8:6,"
                                        "h:U8:7,i:U8:8,j:U8:9,k:U8:10,l:U8:11,m:U8:12,"
                                        "n:U8:13,o:U8:14,p:U8:15,q:U8:16",
                                        17, &error),
                "17 fields");
}

TEST(fields_packed)
{
    struct gst_spconv_fields f;

    CHECK_INT(gst_spconv_fields_packed(&f, "x, y,z,intensity,time", NULL), 20);
    CHECK_INT(f.field[4].offset, 16);
    CHECK(g_str_equal(f.field[1].name, "y"));
    CHECK_FAILS(gst_spconv_fields_packed(&f, "x,y,x", &error), "distinct");
    CHECK_FAILS(gst_spconv_fields_packed(&f, "x,,y", &error), "distinct");
    CHECK_FAILS(gst_spconv_fields_packed(&f, "x:F32:0", &error), "distinct");
}

TEST(fields_select)
{
    struct gst_spconv_fields f;
    struct spc_points points;
    gchar *names;

    REQUIRE(gst_spconv_fields_parse(&f, "z:F32:8,ring:U16:20,y:F32:4,i:U8:22,x:F32:0", 24, NULL));
    names = gst_spconv_fields_names(&f);
    CHECK(g_str_equal(names, "x,y,z,ring,i"));
    g_free(names);
    REQUIRE(gst_spconv_fields_select(&f, 24, "x,y,z,i", &points, NULL));
    CHECK_INT(points.num_fields, 4);
    CHECK_INT(points.stride, 24);
    CHECK_INT(points.fields[2].offset, 8);
    CHECK_INT(points.fields[3].type, SPC_DTYPE_U8);
    CHECK_FAILS(gst_spconv_fields_select(&f, 24, "x,y,z,ring", &points, &error), "\"ring\" is U16");
    CHECK_FAILS(gst_spconv_fields_select(&f, 24, "x,y,z,time", &points, &error),
                "no field \"time\"");
    CHECK_FAILS(gst_spconv_fields_select(&f, 24, "y,x,z", &points, &error), "begin with x,y,z");
    CHECK_FAILS(gst_spconv_fields_select(&f, 24, "x,y,zz", &points, &error), "begin with x,y,z");
}

/* ------------------------------------------------------------------ caps --------------------- */

#define DEFINE_PARSE(kind)                                                                         \
    static gboolean parse_##kind(struct gst_spconv_##kind##_info *info, const gchar *text,         \
                                 GError **error)                                                   \
    {                                                                                              \
        GstCaps *caps = gst_caps_from_string(text);                                                \
        gboolean ok = gst_spconv_##kind##_info_parse(info, caps, error);                           \
                                                                                                   \
        gst_caps_unref(caps);                                                                      \
        return ok;                                                                                 \
    }

DEFINE_PARSE(points)
DEFINE_PARSE(voxels)
DEFINE_PARSE(bev)

/* Caps made of a struct that was parsed from caps are the same caps. */
#define CHECK_ROUND_TRIP(kind, text)                                                               \
    do {                                                                                           \
        struct gst_spconv_##kind##_info info_;                                                     \
        GstCaps *before_ = gst_caps_from_string(text), *after_;                                    \
        REQUIRE(gst_spconv_##kind##_info_parse(&info_, before_, NULL));                            \
        after_ = gst_spconv_##kind##_info_to_caps(&info_);                                         \
        CHECK(gst_caps_is_strictly_equal(before_, after_));                                        \
        gst_caps_unref(before_);                                                                   \
        gst_caps_unref(after_);                                                                    \
    } while (0)

TEST(points_caps)
{
    const gchar *cloud = "application/x-pointcloud2,point-step=16,fields=\"" XYZI
                         "\",is-bigendian=false,is-dense=true,framerate=10/1";
    struct gst_spconv_points_info info;

    CHECK_ROUND_TRIP(points, cloud);
    CHECK_ROUND_TRIP(points, "application/x-lidar,framerate=20/1");
    REQUIRE(parse_points(&info, "application/x-lidar", NULL));
    CHECK(info.packed);
    CHECK_INT(info.point_step, 16);
    CHECK_INT(info.fields.field[3].offset, 12);
    CHECK_FAILS(parse_points(&info, "application/x-pointcloud2,point-step=16", &error), "fields");
    CHECK_FAILS(parse_points(&info, "application/x-pointcloud2,fields=\"" XYZI "\"", &error),
                "point-step");
    CHECK_FAILS(
        parse_points(&info, "application/x-pointcloud2,point-step=15,fields=\"" XYZI "\"", &error),
        "point-step is 15");
    CHECK_FAILS(parse_points(&info,
                             "application/x-pointcloud2,point-step=16,fields=\"" XYZI
                             "\",is-bigendian=true",
                             &error),
                "big-endian");
    CHECK_FAILS(parse_points(&info, "video/x-raw", &error), "no point cloud");
    CHECK_FAILS(parse_points(&info, "application/x-pointcloud2,point-step=[1,2]", &error),
                "not fixed");
}

#define VOXELS                                                                                     \
    "application/x-voxels,version=1,feature-type=float16,index-type=int32,index-order=bxyz,"       \
    "grid-x=1440,grid-y=1440,grid-z=41,max-voxels=160000"
#define GEOMETRY                                                                                   \
    "features=\"x,y,z,intensity,time\",voxel-size-um=<75000,75000,200000>,"                        \
    "range-mm=<-54000,-54000,-5000,54000,54000,3000>"

TEST(voxels_caps)
{
    struct gst_spconv_voxels_info info;
    float size[3], range[6];

    CHECK_ROUND_TRIP(voxels, VOXELS ",batch=1,num-features=5,framerate=10/1," GEOMETRY);
    CHECK_ROUND_TRIP(voxels, VOXELS ",batch=1,num-features=5,framerate=0/1");
    REQUIRE(parse_voxels(&info, VOXELS ",batch=1,num-features=5,framerate=10/1," GEOMETRY, NULL));
    gst_spconv_geometry_get_voxel_size(&info.geometry, size);
    gst_spconv_geometry_get_range(&info.geometry, range);
    CHECK(size[0] == 0.075f && size[2] == 0.2f && range[0] == -54.0f && range[5] == 3.0f);
    CHECK_INT(info.index_order, SPC_INDEX_XYZ);
    CHECK_FAILS(parse_voxels(&info, VOXELS ",batch=2,num-features=5", &error), "batch is 2");
    CHECK_FAILS(parse_voxels(&info, VOXELS ",batch=1,num-features=0", &error), "num-features is 0");
    CHECK_FAILS(parse_voxels(&info, VOXELS ",batch=1", &error), "num-features");
    CHECK_FAILS(parse_voxels(&info, VOXELS ",batch=1,num-features=5,range-mm=<1,2>", &error),
                "range-mm");
    CHECK_FAILS(parse_voxels(&info, VOXELS ",batch=1,num-features=5,voxel-size-um=<a,b,c>", &error),
                "voxel-size-um");
}

TEST(bev_caps)
{
    const gchar *bev = "other/tensors,format=static,num_tensors=1,types=float32,"
                       "dimensions=(string)180:180:256:1,framerate=10/1";
    struct gst_spconv_bev_info info;
    gchar *text =
        g_strconcat(bev, ",bev-axes=xy,range-mm=<-54000,-54000,-5000,54000,54000,3000>", NULL);

    CHECK_ROUND_TRIP(bev, bev);
    CHECK_ROUND_TRIP(bev, text);
    g_free(text);
    REQUIRE(parse_bev(&info, bev, NULL));
    CHECK_INT(info.rank, 4);
    CHECK_INT(info.dims[0], 1);
    CHECK_INT(info.dims[1], 256);
    CHECK_INT(info.dims[3], 180);
    CHECK_INT(gst_spconv_bev_info_size(&info), 180 * 180 * 256 * 4);
#define BEV(dimensions)                                                                            \
    "other/tensors,format=static,num_tensors=1,types=float32,dimensions=(string)" dimensions
    CHECK_FAILS(parse_bev(&info, BEV("180:0:1"), &error), "180:0:1");
    CHECK_FAILS(parse_bev(&info, BEV("65536:65536:65536"), &error), "2^31");
    CHECK_FAILS(parse_bev(&info, BEV("1:1:1:1:1:1:1:1:1"), &error), "1 to 8");
    CHECK_FAILS(parse_bev(&info, BEV("4:4") ",bev-axes=zz", &error), "bev-axes");
#undef BEV
}

/* ------------------------------------------------------------------ payload ------------------ */

#define ROWS 5
#define COLUMNS 3

/* Features 0, 1, ... and indices 100, 101, ... */
static GstBuffer *sample(enum spc_dtype type)
{
    GstBuffer *buffer = gst_spconv_voxels_new(NULL, type, COLUMNS, ROWS);
    struct gst_spconv_voxels view;
    gint i;

    CHECK(gst_spconv_voxels_map(&view, buffer, GST_MAP_WRITE, type, COLUMNS, NULL));
    for (i = 0; i < ROWS * COLUMNS; i++) {
        if (type == SPC_DTYPE_F16)
            ((guint16 *)view.features)[i] = (guint16)i;
        else
            ((gfloat *)view.features)[i] = (gfloat)i;
    }
    for (i = 0; i < ROWS * 4; i++)
        view.indices[i] = 100 + i;
    gst_spconv_voxels_unmap(&view);
    return buffer;
}

/* The same bytes in one memory. */
static GstBuffer *flat(GstBuffer *buffer)
{
    gsize size = gst_buffer_get_size(buffer);
    guint8 *bytes = g_malloc(size);

    gst_buffer_extract(buffer, 0, bytes, size);
    gst_buffer_unref(buffer);
    return gst_buffer_new_wrapped(bytes, size);
}

static void check_sample(GstBuffer *buffer, enum spc_dtype type)
{
    struct gst_spconv_voxels view;
    gint i;

    REQUIRE(gst_spconv_voxels_map(&view, buffer, GST_MAP_READ, type, COLUMNS, NULL));
    CHECK_INT(view.num_voxels, ROWS);
    CHECK((guintptr)view.features % spc_dtype_size(type) == 0);
    CHECK((guintptr)view.indices % sizeof(gint32) == 0);
    for (i = 0; i < ROWS * COLUMNS; i++)
        CHECK(type == SPC_DTYPE_F16 ? ((guint16 *)view.features)[i] == i
                                    : ((gfloat *)view.features)[i] == (gfloat)i);
    for (i = 0; i < ROWS * 4; i++)
        CHECK_INT(view.indices[i], 100 + i);
    gst_spconv_voxels_unmap(&view);
    gst_buffer_unref(buffer);
}

TEST(payload)
{
    check_sample(sample(SPC_DTYPE_F32), SPC_DTYPE_F32);
    check_sample(sample(SPC_DTYPE_F16), SPC_DTYPE_F16);
    check_sample(flat(sample(SPC_DTYPE_F32)), SPC_DTYPE_F32);
    /* 15 halves: the indices behind them are unaligned */
    check_sample(flat(sample(SPC_DTYPE_F16)), SPC_DTYPE_F16);
}

/* The bytes NNStreamer expects, by its own numbers. */
/* Caps may promise CUDA memory, and a buffer be something else. */
TEST(payload_elsewhere)
{
    struct gst_spconv_cuda_voxels view;
    struct gst_spconv_cuda_map map;
    GstBuffer *buffer = sample(SPC_DTYPE_F32);

    CHECK(!gst_spconv_cuda_is_memory(buffer));
    CHECK(!gst_spconv_cuda_map(&map, buffer, GST_MAP_READ));
    CHECK_FAILS(gst_spconv_cuda_voxels_map(&view, buffer, GST_MAP_READ, SPC_DTYPE_F32, COLUMNS,
                                           &error),
                "three memories");
    gst_buffer_unref(buffer);
}

TEST(payload_header)
{
    GstBuffer *buffer = sample(SPC_DTYPE_F16);
    guint32 words[32];

    CHECK_INT(gst_buffer_extract(buffer, 0, words, sizeof(words)), 128);
    CHECK_INT(words[0], 0xfeedcced);
    CHECK_INT(words[1], 0xde001000);
    CHECK_INT(words[2], 10);
    CHECK_INT(words[3], COLUMNS);
    CHECK_INT(words[4], ROWS);
    CHECK_INT(words[5], 0);
    CHECK_INT(words[19], 1);
    CHECK_INT(words[20], 4);
    gst_buffer_unref(buffer);
}

TEST(payload_shortened)
{
    GstBuffer *buffer = sample(SPC_DTYPE_F32);
    struct gst_spconv_voxels view;

    gst_spconv_voxels_set_rows(buffer, SPC_DTYPE_F32, COLUMNS, 2);
    CHECK_INT(gst_buffer_get_size(buffer), 2 * 128 + 2 * (COLUMNS * 4 + 16));
    REQUIRE(gst_spconv_voxels_map(&view, buffer, GST_MAP_READ, SPC_DTYPE_F32, COLUMNS, NULL));
    CHECK_INT(view.num_voxels, 2);
    CHECK_INT(view.indices[7], 107);
    gst_spconv_voxels_unmap(&view);
    gst_buffer_unref(buffer);
}

static void check_lie(gsize offset, guint32 value, const gchar *part)
{
    GstBuffer *buffer = flat(sample(SPC_DTYPE_F32));
    struct gst_spconv_voxels view;

    gst_buffer_fill(buffer, offset, &value, sizeof(value));
    CHECK_FAILS(gst_spconv_voxels_map(&view, buffer, GST_MAP_READ, SPC_DTYPE_F32, COLUMNS, &error),
                part);
    gst_buffer_unref(buffer);
}

TEST(payload_lies)
{
    const gsize second = 128 + ROWS * COLUMNS * 4;

    check_lie(0, 0, "flexible tensor's header");
    check_lie(4, 0xde002000, "flexible tensor's header");
    check_lie(8, 0, "caps say float32");
    check_lie(12, COLUMNS + 1, "4 columns, expected 3");
    check_lie(16, 0, "0 rows");
    check_lie(16, ROWS - 1, "indices do not begin");
    check_lie(16, ROWS + 1, "indices do not begin");
    check_lie(16, ROWS + 100, "105 rows");
    check_lie(16, 0x7fffffff, "2147483647 rows");
    check_lie(16, 0xffffffff, "4294967295 rows");
    check_lie(20, 2, "third dimension");
    check_lie(76, 2, "format 2");
    check_lie(second + 8, 7, "caps say int32");
    check_lie(second + 12, 3, "3 columns, expected 4");
    check_lie(second + 16, ROWS - 1, "5 rows of features and 4 rows of indices");
    check_lie(second + 16, ROWS + 1, "6 rows of 4");
}

TEST(payload_sizes)
{
    struct gst_spconv_voxels view;
    GstBuffer *buffer = flat(sample(SPC_DTYPE_F32)), *part;
    gsize size = gst_buffer_get_size(buffer), i;

    for (i = 0; i < size; i++) {
        part = gst_buffer_copy_region(buffer, GST_BUFFER_COPY_ALL | GST_BUFFER_COPY_DEEP, 0, i);
        CHECK(!gst_spconv_voxels_map(&view, part, GST_MAP_READ, SPC_DTYPE_F32, COLUMNS, NULL));
        gst_buffer_unref(part);
    }
    part = gst_buffer_new_allocate(NULL, size + 1, NULL);
    gst_buffer_memset(part, 0, 0, size + 1);
    CHECK(!gst_spconv_voxels_map(&view, part, GST_MAP_READ, SPC_DTYPE_F32, COLUMNS, NULL));
    gst_buffer_unref(part);
    gst_buffer_unref(buffer);

    buffer = sample(SPC_DTYPE_F32);
    gst_buffer_append_memory(buffer, gst_allocator_alloc(NULL, 1, NULL));
    CHECK_FAILS(gst_spconv_voxels_map(&view, buffer, GST_MAP_READ, SPC_DTYPE_F32, COLUMNS, &error),
                "this buffer has 3");
    gst_buffer_remove_memory(buffer, 2);
    gst_memory_resize(gst_buffer_peek_memory(buffer, 1), 0, 128 + ROWS * 16 - 4);
    CHECK_FAILS(gst_spconv_voxels_map(&view, buffer, GST_MAP_READ, SPC_DTYPE_F32, COLUMNS, &error),
                "there are 204");
    gst_buffer_unref(buffer);
}

/* ------------------------------------------------------------------ statistics --------------- */

TEST(stats)
{
    struct gst_spconv_stats stats = {0};
    GstStructure *s = gst_structure_new_empty("stats");
    guint64 value;
    guint i;

    CHECK_INT(gst_spconv_stats_p99(&stats), 0);
    CHECK(gst_spconv_stats_add(&stats, 10, 1000)); /* the first frame moves the latency */
    CHECK_INT(stats.latency, 1000);
    for (i = 2; i <= 100; i++)
        CHECK(gst_spconv_stats_add(&stats, 10, i * 1000) == (i % 32 == 1));
    CHECK_INT(gst_spconv_stats_p99(&stats), 99000);
    for (i = 0; i < GST_SPCONV_STATS_WINDOW; i++) /* the window forgets */
        gst_spconv_stats_add(&stats, 0, 7000);
    CHECK_INT(gst_spconv_stats_p99(&stats), 7000);
    CHECK_INT(stats.latency, 7000);
    gst_spconv_stats_describe(&stats, s);
    CHECK(gst_structure_get_uint64(s, "voxels", &value) && value == 1000);
    CHECK(gst_structure_get_uint64(s, "latency-min", &value) && value == 1000);
    gst_structure_free(s);
}

int main(int argc, char **argv)
{
    gst_init(&argc, &argv);
    RUN(fields_parse);
    RUN(fields_refused);
    RUN(fields_packed);
    RUN(fields_select);
    RUN(points_caps);
    RUN(voxels_caps);
    RUN(bev_caps);
    RUN(payload);
    RUN(payload_elsewhere);
    RUN(payload_header);
    RUN(payload_shortened);
    RUN(payload_lies);
    RUN(payload_sizes);
    RUN(stats);
    return test_result();
}
