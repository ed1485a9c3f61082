/* SPDX-License-Identifier: MIT */
/* The element lidarvoxelize on a GPU: the CPU's voxels, in system memory and in CUDA memory. No
 * plugin is loaded: the element is linked in. */
#include "gst_context.h"

#include <cuda_runtime_api.h>
#include <gst/check/gstharness.h>

#include "gstlidarvoxelize.h"
#include "gstspconvcudavoxels.h"
#include "gstspconvvoxels.h"

#define FIELDS                                                                                     \
    ",point-step=16,fields=\"x:F32:0,y:F32:4,z:F32:8,intensity:F32:12\",is-bigendian=false,"       \
    "is-dense=true,framerate=10/1"
#define CLOUD "application/x-pointcloud2" FIELDS
#define CUDA_CLOUD "application/x-pointcloud2(memory:CUDAMemory)" FIELDS
#define PLAIN "range=-8,-8,-2,8,8,2 voxel-size=0.5,0.5,0.5 "
#define POINTS 20000

static gfloat points[POINTS][4];

struct frame {
    gint64 rows;
    gfloat features[9 * 32 * 32][4];
    gint32 indices[9 * 32 * 32][4];
};

static void make_points(void)
{
    guint64 seed = 1;
    gint i, f;

    for (i = 0; i < POINTS; i++) {
        for (f = 0; f < 4; f++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            points[i][f] = (gfloat)(seed >> 40) / (gfloat)(1 << 24) * 17 - 8.5f;
        }
        points[i][2] *= 0.25f;
    }
}

static GstBuffer *host_cloud(gsize count)
{
    GstBuffer *buffer =
        count ? gst_buffer_new_memdup(points, count * sizeof(points[0])) : gst_buffer_new();

    GST_BUFFER_PTS(buffer) = 0;
    GST_BUFFER_DURATION(buffer) = GST_MSECOND;
    return buffer;
}

/* In a context that the element does not know. */
static GstBuffer *cuda_cloud(gsize count)
{
    gsize bytes = count * sizeof(points[0]);
    GstBufferPool *pool =
        gst_spconv_cuda_pool_new(cuda, GST_SPCONV_CUDA_DEVICE, NULL, &bytes, 1);
    GstStructure *config = gst_buffer_pool_get_config(pool);
    struct gst_spconv_cuda_map map;
    GstBuffer *buffer = NULL;

    gst_buffer_pool_config_set_params(config, NULL, (guint)bytes, 1, 1);
    CHECK(gst_buffer_pool_set_config(pool, config));
    CHECK(gst_buffer_pool_set_active(pool, TRUE));
    CHECK_INT(gst_buffer_pool_acquire_buffer(pool, &buffer, NULL), GST_FLOW_OK);
    CHECK(gst_spconv_cuda_map(&map, buffer, GST_MAP_WRITE));
    CHECK(gst_spconv_cuda_copy(cuda, map.blocks[0].data, points, bytes, TRUE));
    gst_spconv_cuda_unmap(&map);
    gst_object_unref(pool);
    GST_BUFFER_PTS(buffer) = 0;
    GST_BUFFER_DURATION(buffer) = GST_MSECOND;
    return buffer;
}

static void take_host(GstBuffer *buffer, struct frame *frame)
{
    struct gst_spconv_voxels view;

    REQUIRE(gst_spconv_voxels_map(&view, buffer, GST_MAP_READ, SPC_DTYPE_F32, 4, NULL));
    frame->rows = view.num_voxels;
    memcpy(frame->features, view.features, (gsize)view.num_voxels * 16);
    memcpy(frame->indices, view.indices, (gsize)view.num_voxels * 16);
    gst_spconv_voxels_unmap(&view);
}

/* The number of rows on the host and on the device, and the rows. */
static void take_cuda(GstBuffer *buffer, struct frame *frame)
{
    struct gst_spconv_cuda_voxels view;
    gint32 count = -1;

    REQUIRE(gst_spconv_cuda_voxels_map(&view, buffer, GST_MAP_READ, SPC_DTYPE_F32, 4, NULL));
    CHECK_INT(view.room, 9 * 32 * 32);
    CHECK(gst_spconv_cuda_enter(cuda));
    CHECK_INT(cudaMemcpy(&count, view.count, sizeof(count), cudaMemcpyDefault), cudaSuccess);
    CHECK_INT(view.num_voxels, count);
    frame->rows = count;
    CHECK_INT(cudaMemcpy(frame->features, view.features, (gsize)count * 16, cudaMemcpyDefault),
              cudaSuccess);
    CHECK_INT(cudaMemcpy(frame->indices, view.indices, (gsize)count * 16, cudaMemcpyDefault),
              cudaSuccess);
    gst_spconv_cuda_leave(cuda);
    gst_spconv_cuda_voxels_unmap(&view);
}

/* The element with properties as in a launch line. */
static GstHarness *harness(const gchar *properties)
{
    GstElement *voxelize = g_object_new(GST_TYPE_LIDAR_VOXELIZE, NULL);
    gchar **parts = g_strsplit(properties, " ", -1);
    GstHarness *h;
    guint i;

    for (i = 0; parts[i]; i++) {
        gchar **pair = g_strsplit(parts[i], "=", 2);

        if (parts[i][0])
            gst_util_set_object_arg(G_OBJECT(voxelize), pair[0], pair[1]);
        g_strfreev(pair);
    }
    g_strfreev(parts);
    h = gst_harness_new_with_element(voxelize, "sink", "src");
    gst_object_unref(voxelize);
    return h;
}

/* What comes out of an element for a few clouds of different sizes, the last of them. */
static void run(const gchar *properties, const gchar *sink_caps, gboolean cuda_in,
                gboolean cuda_out, struct frame *frame)
{
    static const gsize counts[] = {100, POINTS, 7, POINTS / 2};
    GstHarness *h = harness(properties);
    guint i;

    if (sink_caps)
        gst_harness_set_sink_caps_str(h, sink_caps);
    gst_harness_set_src_caps_str(h, cuda_in ? CUDA_CLOUD : CLOUD);
    memset(frame, 0, sizeof(*frame));
    for (i = 0; i < G_N_ELEMENTS(counts); i++) {
        GstBuffer *in = cuda_in ? cuda_cloud(counts[i]) : host_cloud(counts[i]);
        GstBuffer *out = gst_harness_push_and_pull(h, in);

        REQUIRE(out);
        CHECK_INT(gst_spconv_cuda_is_memory(out), cuda_out);
        if (cuda_out)
            take_cuda(out, frame);
        else
            take_host(out, frame);
        gst_buffer_unref(out);
    }
    gst_harness_teardown(h);
}

static gboolean same(const struct frame *a, const struct frame *b)
{
    return a->rows > 100 && a->rows == b->rows &&
           !memcmp(a->features, b->features, (gsize)a->rows * 16) &&
           !memcmp(a->indices, b->indices, (gsize)a->rows * 16);
}

#define VOXELS "application/x-voxels"
#define CUDA_VOXELS "application/x-voxels(memory:CUDAMemory)"
#define BOUND "max-voxels=9216 "

TEST(every_memory)
{
    static const struct {
        const gchar *properties, *sink_caps;
        gboolean in, out;
    } cases[] = {
        {PLAIN BOUND "backend=cuda", NULL, FALSE, FALSE},
        {PLAIN BOUND "backend=cuda", CUDA_VOXELS, FALSE, TRUE},
        {PLAIN BOUND "backend=cuda", CUDA_VOXELS ";" VOXELS, FALSE, TRUE},
        {PLAIN BOUND "backend=cuda", VOXELS ";" CUDA_VOXELS, FALSE, FALSE},
        {PLAIN BOUND "backend=cuda", CUDA_VOXELS, TRUE, TRUE},
        {PLAIN BOUND "backend=cuda", NULL, TRUE, FALSE},
        {PLAIN BOUND, NULL, FALSE, FALSE}, /* auto: on the CPU */
        {PLAIN BOUND, VOXELS ";" CUDA_VOXELS, FALSE, FALSE},
        {PLAIN BOUND, CUDA_VOXELS, FALSE, TRUE},
        {PLAIN BOUND, CUDA_VOXELS, TRUE, TRUE},
    };
    static struct frame expected, frame;
    guint i;

    run(PLAIN BOUND "backend=cpu", NULL, FALSE, FALSE, &expected);
    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        run(cases[i].properties, cases[i].sink_caps, cases[i].in, cases[i].out, &frame);
        if (!same(&frame, &expected))
            fprintf(stderr, "case %u: %d rows\n", i, (gint)frame.rows);
        CHECK(same(&frame, &expected));
    }
}

/* Points that change from one memory to the other within a stream, and voxels likewise. */
TEST(renegotiation)
{
    static const gchar *const sinks[] = {CUDA_VOXELS, VOXELS};
    static struct frame expected, frame;
    GstHarness *h = harness(PLAIN BOUND "backend=cuda");
    GstBuffer *out;
    guint i;

    run(PLAIN BOUND "backend=cpu", NULL, FALSE, FALSE, &expected);
    for (i = 0; i < 8; i++) {
        gst_harness_set_sink_caps_str(h, sinks[i / 2 % 2]);
        gst_harness_set_src_caps_str(h, i % 2 ? CUDA_CLOUD : CLOUD);
        out = gst_harness_push_and_pull(h, i % 2 ? cuda_cloud(POINTS / 2)
                                                 : host_cloud(POINTS / 2));
        REQUIRE(out);
        memset(&frame, 0, sizeof(frame));
        if (i / 2 % 2)
            take_host(out, &frame);
        else
            take_cuda(out, &frame);
        CHECK(same(&frame, &expected));
        gst_buffer_unref(out);
    }
    gst_harness_teardown(h);
}

/* An empty frame is a GAP, one over the bound is an error or dropped, and the next one is right. */
TEST(odd_frames)
{
    GstHarness *h = harness(PLAIN "max-voxels=50 overflow=drop-frame backend=cuda");
    GstBuffer *out;
    GstEvent *event;
    gint gaps = 0;

    gst_harness_set_sink_caps_str(h, CUDA_VOXELS);
    gst_harness_set_src_caps_str(h, CLOUD);
    CHECK_INT(gst_harness_push(h, host_cloud(POINTS)), GST_FLOW_OK);
    CHECK_INT(gst_harness_push(h, host_cloud(0)), GST_FLOW_OK);
    CHECK_INT(gst_harness_buffers_in_queue(h), 0);
    while ((event = gst_harness_try_pull_event(h))) {
        gaps += GST_EVENT_TYPE(event) == GST_EVENT_GAP;
        gst_event_unref(event);
    }
    CHECK_INT(gaps, 1);
    out = gst_harness_push_and_pull(h, host_cloud(20));
    REQUIRE(out);
    CHECK(gst_spconv_cuda_is_memory(out));
    gst_buffer_unref(out);
    gst_harness_teardown(h);
}

int main(int argc, char **argv)
{
    gst_init(&argc, &argv);
    open_context();
    make_points();
    RUN(every_memory);
    RUN(renegotiation);
    RUN(odd_frames);
    close_context();
    return test_result();
}
