/* SPDX-License-Identifier: MIT */
/* Elements write into memory of the allocator that downstream offers, where it gives some, and
 * write the same. */
#include "source_test.h"

#define FRAMES 3

/* ---- an allocator whose memory can be told ---- */

G_DECLARE_FINAL_TYPE(MarkedAllocator, marked_allocator, TEST, MARKED_ALLOCATOR, GstAllocator)

struct _MarkedAllocator {
    GstAllocator parent;
    gboolean fails;
};

G_DEFINE_TYPE(MarkedAllocator, marked_allocator, GST_TYPE_ALLOCATOR)

static GQuark mark(void)
{
    return g_quark_from_static_string("marked");
}

static GstMemory *alloc(GstAllocator *allocator, gsize size, GstAllocationParams *params)
{
    GstMemory *memory;

    if (TEST_MARKED_ALLOCATOR(allocator)->fails)
        return NULL;
    memory = gst_allocator_alloc(NULL, size, params);
    gst_mini_object_set_qdata(GST_MINI_OBJECT(memory), mark(), allocator, NULL);
    return memory;
}

static void marked_allocator_class_init(MarkedAllocatorClass *klass)
{
    GST_ALLOCATOR_CLASS(klass)->alloc = alloc;
}

static void marked_allocator_init(MarkedAllocator *self)
{
    (void)self;
}

static gboolean is_marked(GstBuffer *buffer)
{
    guint count = gst_buffer_n_memory(buffer), i;

    for (i = 0; i < count; i++)
        if (!gst_mini_object_get_qdata(GST_MINI_OBJECT(gst_buffer_peek_memory(buffer, i)), mark()))
            return FALSE;
    return count > 0;
}

/* ---- tests ---- */

/* The frames of a launch line whose downstream offers `allocator`, where there is one. */
static void pull_frames(const gchar *line, GstAllocator *allocator, GstBuffer **frames)
{
    GstBus *bus;
    GstHarness *h = source(line, &bus);
    gint i;

    if (allocator)
        gst_harness_set_propose_allocator(h, gst_object_ref(allocator), NULL);
    gst_harness_play(h);
    for (i = 0; i < FRAMES; i++)
        frames[i] = gst_harness_pull(h);
    check_no_error(bus);
    harness_free(h, bus);
}

static gboolean same_bytes(GstBuffer *a, GstBuffer *b)
{
    GstMapInfo map;
    gboolean same;

    if (!gst_buffer_map(a, &map, GST_MAP_READ))
        return FALSE;
    same = map.size == gst_buffer_get_size(b) && !gst_buffer_memcmp(b, 0, map.data, map.size);
    gst_buffer_unmap(a, &map);
    return same;
}

/* With an allocator that is `used`, or cannot be. */
static void check_offer(const gchar *line, GstAllocator *allocator, gboolean used)
{
    GstBuffer *plain[FRAMES], *offered[FRAMES];
    gint i;

    pull_frames(line, NULL, plain);
    pull_frames(line, allocator, offered);
    for (i = 0; i < FRAMES; i++) {
        REQUIRE(plain[i] && offered[i]);
        CHECK(!is_marked(plain[i]));
        CHECK_INT(is_marked(offered[i]), used);
        CHECK(same_bytes(plain[i], offered[i]));
        gst_buffer_unref(plain[i]);
        gst_buffer_unref(offered[i]);
    }
}

static void check_line(const gchar *line)
{
    GstAllocator *allocator = g_object_new(marked_allocator_get_type(), NULL);

    gst_object_ref_sink(allocator);
    check_offer(line, allocator, TRUE);
    TEST_MARKED_ALLOCATOR(allocator)->fails = TRUE;
    check_offer(line, allocator, FALSE);
    TEST_MARKED_ALLOCATOR(allocator)->fails = FALSE;
    GST_OBJECT_FLAG_SET(allocator, GST_ALLOCATOR_FLAG_CUSTOM_ALLOC); /* as libgstcuda's */
    check_offer(line, allocator, FALSE);
    gst_object_unref(allocator);
}

TEST(simulated_points)
{
    check_line("lidartestsrc num-buffers=3");
}

TEST(points_of_files)
{
    gchar *path = golden_path("frames", "tiny.some.features.npy");
    gchar *line = g_strdup_printf("lidarfilesrc location=%s loop=true num-buffers=3", path);

    check_line(line);
    g_free(line);
    g_free(path);
}

TEST(voxels_of_files)
{
    gchar *line = golden_voxels_line("loop=true num-buffers=3");

    check_line(line);
    g_free(line);
}

TEST(voxels)
{
    check_line("lidartestsrc num-buffers=3 ! lidarvoxelize range=-8,-8,-2,8,8,2 "
               "voxel-size=0.5,0.5,0.5");
}

int main(int argc, char **argv)
{
    gst_init(&argc, &argv);
    RUN(simulated_points);
    RUN(points_of_files);
    RUN(voxels_of_files);
    RUN(voxels);
    return test_result();
}
