/* SPDX-License-Identifier: MIT */
/*
 * Ten thousand small frames through both elements: the memory they use does not grow.
 *
 * Frames alternate in size, some are empty; what the process holds after a tenth of them is what
 * it holds at the end.
 */
#include "gst_test.h"

#include <unistd.h>

#define FRAMES 10000
#define POINTS 200
#define ALLOWED_GROWTH (512 * 1024)

/* Sanitizers keep freed memory aside, by design; leaks are theirs to find there. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static gint64 resident_bytes(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (!file || fscanf(file, "%ld %ld", &pages, &resident) != 2)
        resident = 0;
    if (file)
        fclose(file);
    return (gint64)resident * sysconf(_SC_PAGESIZE);
}

/* `count` points in the grid of tiny.onnx, other ones for each frame. */
static GstBuffer *random_cloud(guint frame, guint count)
{
    GstBuffer *buffer = gst_buffer_new_allocate(NULL, count * 5 * sizeof(gfloat), NULL);
    guint32 state = frame * 2654435761u + 1;
    GstMapInfo map;
    guint i;

    gst_buffer_map(buffer, &map, GST_MAP_WRITE);
    for (i = 0; i < count * 5; i++) {
        state = state * 1664525u + 1013904223u;
        ((gfloat *)map.data)[i] = (gfloat)(state >> 8) / (1 << 24) * 4 - 2;
    }
    gst_buffer_unmap(buffer, &map);
    GST_BUFFER_PTS(buffer) = frame * GST_MSECOND;
    GST_BUFFER_DURATION(buffer) = GST_MSECOND;
    return buffer;
}

TEST(memory_stays)
{
    gchar *path = golden_path("models", "tiny.onnx");
    gchar *launch = g_strdup_printf("lidarvoxelize ! spconvinfer threads=1 model-file=%s", path);
    GstHarness *h = gst_harness_new_parse(launch);
    guint i, frames = SANITIZED ? FRAMES / 10 : FRAMES;
    gint64 before = 0, growth;

    gst_harness_set_src_caps_str(
        h, "application/x-pointcloud2,point-step=20,fields=\"x:F32:0,y:F32:4,z:F32:8,"
           "intensity:F32:12,time:F32:16\",framerate=1000/1");
    for (i = 0; i < frames; i++) {
        GstBuffer *out = gst_harness_push_and_pull(h, random_cloud(i, i % 50 ? POINTS - i % 7 : 0));
        GstEvent *event;

        REQUIRE(out);
        CHECK(GST_BUFFER_FLAG_IS_SET(out, GST_BUFFER_FLAG_GAP) == (i % 50 == 0));
        gst_buffer_unref(out);
        while ((event = gst_harness_try_pull_event(h)))
            gst_event_unref(event);
        if (i == frames / 10)
            before = resident_bytes();
    }
    growth = resident_bytes() - before;
    printf("%u frames, %" PRId64 " KiB resident, %" PRId64 " KiB more than after a tenth\n", frames,
           resident_bytes() / 1024, growth / 1024);
    CHECK(before > 0);
    if (!SANITIZED)
        CHECK(growth <= ALLOWED_GROWTH);
    gst_harness_teardown(h);
    g_free(launch);
    g_free(path);
}

int main(int argc, char **argv)
{
    gst_init(&argc, &argv);
    RUN(memory_stays);
    return test_result();
}
