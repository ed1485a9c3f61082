/* SPDX-License-Identifier: MIT */
/* Whole pipelines on a GPU: nothing goes through the host, what comes out is the CPU's, branches,
 * seeks and restarts. Our elements are linked in and registered; no plugin of ours is loaded. */
#include "gst_context.h"
#include "gst_tally.h"

#include <cuda.h>
#include <cuda_runtime_api.h>
#include <gst/cuda/gstcudamemory.h>

#include "gstspconvelements.h"

#define VOXELIZE                                                                                   \
    "lidarvoxelize name=voxelize range=-8,-8,-2,8,8,2 voxel-size=0.5,0.5,0.5 max-voxels=4000 "
#define INFER "spconvinfer name=infer model-file=%s "
#define CUDA_BEV "other/tensors(memory:CUDAMemory) "

/* ---- memory ---- */

static GstMemoryMapFunction map_memory;
static gint host_maps; /* of CUDA memory, each of them a copy */

static gpointer count_maps(GstMemory *memory, gsize size, GstMapFlags flags)
{
    if (!(flags & GST_MAP_CUDA))
        g_atomic_int_inc(&host_maps);
    return map_memory(memory, size, flags);
}

static GstPadProbeReturn count_device(GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
    guint *on_device = user;

    (void)pad;
    if (info->type & GST_PAD_PROBE_TYPE_BUFFER)
        *on_device += gst_spconv_cuda_is_memory(GST_PAD_PROBE_INFO_BUFFER(info));
    return GST_PAD_PROBE_OK;
}

/* Features, indices, their number and the BEV are CUDA memory that nobody maps on the host. */
TEST(nothing_through_the_host)
{
    GstElement *pipeline = make_element(
        "lidartestsrc num-buffers=12 ! " VOXELIZE "backend=cuda ! " INFER
        "backend=cuda inflight=2 ! " CUDA_BEV "! fakesink", "tiny.onnx");
    GstAllocator *allocator = gst_allocator_find(GST_CUDA_MEMORY_TYPE_NAME);
    guint voxels = 0, outputs = 0;
    struct tally *tally = tally_new();

    REQUIRE(allocator && allocator->mem_map);
    map_memory = allocator->mem_map;
    allocator->mem_map = count_maps;
    watch_pad(pipeline, "voxelize", "src", count_device, &voxels);
    watch_pad(pipeline, "infer", "src", count_device, &outputs);
    play_to_the_end(pipeline);
    CHECK_INT(voxels, FRAMES);
    CHECK_INT(outputs, FRAMES);
    CHECK_INT(host_maps, 0);
    watch_pad(pipeline, "infer", "src", watch, tally); /* who reads there is seen */
    play_to_the_end(pipeline);
    CHECK_INT(host_maps, FRAMES);
    allocator->mem_map = map_memory;
    gst_object_unref(allocator);
    gst_object_unref(pipeline);
    tally_free(tally);
}

static GstPadProbeReturn count_pinned(GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
    struct cudaPointerAttributes attributes;
    guint *pinned = user;
    GstMapInfo map;

    (void)pad;
    if (!(info->type & GST_PAD_PROBE_TYPE_BUFFER) ||
        !gst_buffer_map_range(GST_PAD_PROBE_INFO_BUFFER(info), 0, 1, &map, GST_MAP_READ))
        return GST_PAD_PROBE_OK;
    CHECK(gst_spconv_cuda_enter(cuda));
    CHECK(!cudaPointerGetAttributes(&attributes, map.data));
    *pinned += attributes.type == cudaMemoryTypeHost;
    gst_spconv_cuda_leave(cuda);
    gst_buffer_unmap(GST_PAD_PROBE_INFO_BUFFER(info), &map);
    return GST_PAD_PROBE_OK;
}

static guint count_pinned_of(const gchar *line)
{
    GstElement *pipeline = make_element(line, "tiny.onnx");
    guint pinned = 0;

    watch_pad(pipeline, "source", "src", count_pinned, &pinned);
    play_to_the_end(pipeline);
    gst_object_unref(pipeline);
    return pinned;
}

/* What goes up is written where the device reads it, by elements that ask downstream for memory. */
TEST(pinned_upstream)
{
    gchar *line = golden_voxels_line("name=source loop=true num-buffers=12 ! " INFER
                                     "backend=cuda inflight=2 ! " CUDA_BEV "! fakesink");

    CHECK_INT(count_pinned_of(line), FRAMES);
    CHECK_INT(count_pinned_of("lidartestsrc name=source num-buffers=12 ! queue ! " VOXELIZE
                              "backend=cuda ! " INFER "backend=cuda ! fakesink"), FRAMES);
    CHECK_INT(count_pinned_of("lidartestsrc num-buffers=12 ! lidarvoxelize name=source "
                              "range=-8,-8,-2,8,8,2 voxel-size=0.5,0.5,0.5 max-voxels=4000 "
                              "backend=cpu ! " INFER "backend=cuda ! fakesink"), FRAMES);
    CHECK_INT(count_pinned_of("lidartestsrc name=source num-buffers=12 ! " VOXELIZE
                              "backend=cpu ! " INFER "backend=cpu ! fakesink"), 0);
    g_free(line);
}

/* ---- values ---- */

static struct tally *run_line(const gchar *line)
{
    struct tally *tally = tally_new();
    GstElement *pipeline = make_element(line, "tiny.onnx");

    watch_pad(pipeline, "sink", "sink", watch, tally);
    play_to_the_end(pipeline);
    CHECK_INT(tally->frames, FRAMES);
    gst_object_unref(pipeline);
    return tally;
}

static gdouble distance(const struct tally *a, const struct tally *b)
{
    gdouble largest = 0, worst = 0;
    gint i, j;

    for (i = 0; i < FRAMES; i++) {
        for (j = 0; j < TINY_OUT_VALUES; j++) {
            CHECK(isfinite(a->values[i][j]) && isfinite(b->values[i][j]));
            largest = MAX(largest, fabs(b->values[i][j]));
            worst = MAX(worst, fabs(a->values[i][j] - b->values[i][j]));
        }
    }
    CHECK(largest > 0);
    return worst / largest;
}

/* Every way through the two memories and both backends, the frames in their order: the scene moves,
 * so that each is another. */
TEST(as_on_the_cpu)
{
    static const gchar *const ways[] = {
        VOXELIZE "backend=cuda ! " INFER "backend=cuda ! " CUDA_BEV,
        VOXELIZE "backend=cuda ! " INFER "backend=cuda inflight=2 ! " CUDA_BEV,
        VOXELIZE "backend=cuda ! queue ! " INFER "backend=cuda inflight=3 ! " CUDA_BEV "! queue",
        VOXELIZE "backend=cuda ! " INFER "backend=cuda inflight=2",
        VOXELIZE "backend=cuda ! " INFER "backend=cuda cuda-graph=false inflight=2",
        VOXELIZE "backend=cpu ! " INFER "backend=cuda inflight=2 ! " CUDA_BEV,
        VOXELIZE "backend=cuda ! application/x-voxels ! " INFER "backend=cuda inflight=2",
        VOXELIZE "backend=cuda ! " INFER "backend=cpu",
        VOXELIZE "! " INFER "inflight=2",
    };
    const gchar *source = "lidartestsrc num-buffers=12 ! ", *sink = " ! fakesink name=sink";
    gchar *line = g_strconcat(source, VOXELIZE "backend=cpu ! " INFER "backend=cpu", sink, NULL);
    struct tally *expected = run_line(line), *got;
    guint i;

    CHECK_INT(expected->on_device, 0);
    for (i = 1; i < FRAMES; i++)
        CHECK(memcmp(expected->values[i], expected->values[i - 1], sizeof(expected->values[i])));
    for (i = 0; i < G_N_ELEMENTS(ways); i++) {
        g_free(line);
        line = g_strconcat(source, ways[i], sink, NULL);
        got = run_line(line);
        CHECK_INT(got->on_device, strstr(ways[i], CUDA_BEV) ? FRAMES : 0);
        CHECK_NEAR(distance(got, expected), 0, 6e-3);
        tally_free(got);
    }
    tally_free(expected);
    g_free(line);
}

/* Two branches read the same buffers, one of them without knowing CUDA memory. */
TEST(branches)
{
    GstElement *pipeline = make_element(
        "lidartestsrc num-buffers=12 ! " VOXELIZE "backend=cuda ! " INFER
        "backend=cuda inflight=2 ! tee name=t  t. ! queue ! " CUDA_BEV "! fakesink name=a  "
        "t. ! queue ! fakesink name=b", "tiny.onnx");
    struct tally *a = tally_new(), *b = tally_new();
    struct tally *expected = run_line("lidartestsrc num-buffers=12 ! " VOXELIZE "backend=cpu ! "
                                      INFER "backend=cpu ! fakesink name=sink");

    watch_pad(pipeline, "a", "sink", watch, a);
    watch_pad(pipeline, "b", "sink", watch, b);
    play_to_the_end(pipeline);
    CHECK_INT(a->frames, FRAMES);
    CHECK_INT(b->frames, FRAMES);
    CHECK_INT(b->on_device, FRAMES); /* the branches have the same caps */
    CHECK_NEAR(distance(a, expected), 0, 6e-3);
    CHECK_NEAR(distance(b, expected), 0, 6e-3);
    gst_object_unref(pipeline);
    tally_free(a);
    tally_free(b);
    tally_free(expected);
}

/* ---- seeks, restarts, refusals ---- */

/* No frame from before a flush comes behind it, however many were on their way, and none is missing
 * or comes twice. */
TEST(seeks)
{
    gchar *line = golden_voxels_line("rate=10/1 loop=true ! " INFER "backend=cuda inflight=3 ! "
                                     CUDA_BEV "! fakesink name=sink");
    GstElement *pipeline = make_element(line, "tiny.onnx");
    struct tally *tally = tally_new();
    guint i;

    watch_pad(pipeline, "sink", "sink", watch, tally);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    wait_for_frames(tally, 20);
    for (i = 1; i <= 30; i++) {
        g_mutex_lock(&tally->lock);
        tally->sought = (7 * i % 50) * 100 * GST_MSECOND;
        g_mutex_unlock(&tally->lock);
        CHECK(gst_element_seek_simple(pipeline, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH,
                                      (gint64)tally->sought));
        wait_for_frames(tally, i % 5);
    }
    wait_for_frames(tally, 1);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    CHECK_INT(tally->flushes, 30);
    CHECK_INT(tally->strays, 0);
    gst_object_unref(pipeline);
    tally_free(tally);
    g_free(line);
}

/* Buffers are agreed upon anew while frames are in flight: each frame is right all the same. */
TEST(reconfigure)
{
    const gchar *line = "lidartestsrc num-buffers=3000 ! " VOXELIZE "backend=cuda ! " INFER
                        "backend=cuda inflight=3 ! " CUDA_BEV "! fakesink name=sink";
    GstElement *pipeline = make_element(line, "tiny.onnx");
    GstElement *infer = gst_bin_get_by_name(GST_BIN(pipeline), "infer");
    GstPad *pad = gst_element_get_static_pad(infer, "src");
    struct tally *tally = tally_new(), *expected;
    guint i;

    expected = run_line("lidartestsrc num-buffers=12 ! " VOXELIZE "backend=cpu ! " INFER
                        "backend=cpu ! fakesink name=sink");
    watch_pad(pipeline, "sink", "sink", watch, tally);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    for (i = 0; i < 200; i++) {
        gst_pad_send_event(pad, gst_event_new_reconfigure());
        g_usleep(500);
    }
    wait_for_frames(tally, FRAMES); /* under a sanitizer a few have come so far */
    gst_element_set_state(pipeline, GST_STATE_NULL);
    CHECK_INT(tally->strays, 0);
    CHECK_NEAR(distance(tally, expected), 0, 6e-3);
    gst_object_unref(pad);
    gst_object_unref(infer);
    gst_object_unref(pipeline);
    tally_free(expected);
    tally_free(tally);
}

static gsize free_memory(void)
{
    gsize free_bytes = 0, total;

    CHECK(gst_spconv_cuda_enter(cuda));
    CHECK(!cudaMemGetInfo(&free_bytes, &total));
    gst_spconv_cuda_leave(cuda);
    return free_bytes;
}

/* Started again and again, with frames in flight each time it stops, a pipeline takes no more of
 * the device's memory than it gives back. */
TEST(restarts)
{
    GstElement *pipeline = make_element(
        "lidartestsrc ! " VOXELIZE "backend=cuda ! " INFER "backend=cuda inflight=2 ! " CUDA_BEV
        "! fakesink name=sink", "tiny.onnx");
    struct tally *tally = tally_new();
    gsize before = 0;
    gint i;

    watch_pad(pipeline, "sink", "sink", watch, tally);
    for (i = 0; i < 6; i++) {
        gst_element_set_state(pipeline, GST_STATE_PLAYING);
        wait_for_frames(tally, 5);
        CHECK_INT(gst_element_set_state(pipeline, i % 2 ? GST_STATE_NULL : GST_STATE_READY),
                  GST_STATE_CHANGE_SUCCESS);
        if (i == 1)
            before = free_memory();
    }
    CHECK(free_memory() + (1 << 20) >= before);
    gst_object_unref(pipeline);
    tally_free(tally);
}

TEST(no_such_device)
{
    static const gchar *const lines[] = {
        "lidartestsrc ! " VOXELIZE "backend=cuda cuda-device-id=99 ! " INFER "backend=cuda ! "
        CUDA_BEV "! fakesink",
        "lidartestsrc ! " VOXELIZE "backend=cuda cuda-device-id=99 ! " INFER "! fakesink",
        "lidartestsrc ! " VOXELIZE "backend=cuda ! " INFER "backend=cuda cuda-device-id=99 ! "
        "fakesink",
    };
    guint i;

    for (i = 0; i < G_N_ELEMENTS(lines); i++) {
        GstElement *pipeline = make_element(lines[i], "tiny.onnx");
        gchar *text = play(pipeline);

        CHECK_TEXT(text, "99");
        g_free(text);
        gst_object_unref(pipeline);
    }
}

int main(int argc, char **argv)
{
    gst_init(&argc, &argv);
    open_context();
    CHECK(GST_ELEMENT_REGISTER(lidartestsrc, NULL) && GST_ELEMENT_REGISTER(lidarfilesrc, NULL) &&
          GST_ELEMENT_REGISTER(lidarvoxelize, NULL) && GST_ELEMENT_REGISTER(spconvinfer, NULL));
    RUN(nothing_through_the_host);
    RUN(pinned_upstream);
    RUN(as_on_the_cpu);
    RUN(branches);
    RUN(seeks);
    RUN(reconfigure);
    RUN(restarts);
    RUN(no_such_device);
    close_context();
    gst_deinit(); /* so that GST_TRACERS=leaks has its say */
    return test_result();
}
