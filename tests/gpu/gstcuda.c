/* SPDX-License-Identifier: MIT */
/* CUDA memory in GStreamer buffers on a GPU: addresses, sizes, what each side reads. */
#include "gst_context.h"

#include <cuda_runtime_api.h>

#include "gstspconvcudavoxels.h"

static GstBufferPool *active(GstBufferPool *pool, gsize size)
{
    GstStructure *config = gst_buffer_pool_get_config(pool);

    gst_buffer_pool_config_set_params(config, NULL, (guint)size, 2, 2);
    CHECK(gst_buffer_pool_set_config(pool, config));
    CHECK(gst_buffer_pool_set_active(pool, TRUE));
    return pool;
}

static GstBuffer *acquire(GstBufferPool *pool)
{
    GstBuffer *buffer = NULL;

    CHECK_INT(gst_buffer_pool_acquire_buffer(pool, &buffer, NULL), GST_FLOW_OK);
    return buffer;
}

static void release(GstBufferPool *pool)
{
    gst_buffer_pool_set_active(pool, FALSE);
    gst_object_unref(pool);
}

/* What the device writes the host reads, and the other way round, every byte, for sizes that are no
 * whole pixels and no whole pitches too. */
static void check_bytes(gsize bytes)
{
    GstBufferPool *pool =
        active(gst_spconv_cuda_pool_new(cuda, GST_SPCONV_CUDA_DEVICE, NULL, &bytes, 1), bytes);
    guint8 *pattern = g_malloc(bytes), *back = g_malloc0(bytes);
    GstBuffer *buffer = acquire(pool);
    struct gst_spconv_cuda_map view;
    GstMapInfo map;
    gsize i;

    for (i = 0; i < bytes; i++)
        pattern[i] = (guint8)(i * 7 + i / 251);
    CHECK_INT(gst_buffer_get_size(buffer), bytes);
    CHECK(gst_spconv_cuda_owns(cuda, buffer));
    REQUIRE(gst_spconv_cuda_map(&view, buffer, GST_MAP_WRITE));
    CHECK_INT(view.blocks[0].size, bytes);
    CHECK(gst_spconv_cuda_enter(cuda));
    CHECK_INT(cudaMemcpy(view.blocks[0].data, pattern, bytes, cudaMemcpyHostToDevice), cudaSuccess);
    gst_spconv_cuda_unmap(&view);

    REQUIRE(gst_buffer_map(buffer, &map, GST_MAP_READWRITE));
    CHECK_INT(map.size, bytes);
    CHECK(!memcmp(map.data, pattern, bytes));
    memset(map.data, 0x5a, bytes);
    gst_buffer_unmap(buffer, &map);
    REQUIRE(gst_spconv_cuda_map(&view, buffer, GST_MAP_READ));
    CHECK_INT(cudaMemcpy(back, view.blocks[0].data, bytes, cudaMemcpyDeviceToHost), cudaSuccess);
    memset(pattern, 0x5a, bytes);
    CHECK(!memcmp(back, pattern, bytes));
    gst_spconv_cuda_leave(cuda);
    gst_spconv_cuda_unmap(&view);
    gst_buffer_unref(buffer);
    release(pool);
    g_free(pattern);
    g_free(back);
}

TEST(bytes)
{
    static const gsize sizes[] = {1, 2, 4, 30, 511, 512, 513, 100000, 180 * 180 * 256 * 4};
    guint i;

    for (i = 0; i < G_N_ELEMENTS(sizes); i++)
        check_bytes(sizes[i]);
}

/* The engine's recorded frames live on it. */
TEST(addresses_stay)
{
    gsize bytes = 4096;
    GstBufferPool *pool =
        active(gst_spconv_cuda_pool_new(cuda, GST_SPCONV_CUDA_DEVICE, NULL, &bytes, 1), bytes);
    struct gst_spconv_cuda_map view;
    gconstpointer seen[2] = {NULL, NULL};
    gint i;

    for (i = 0; i < 10; i++) {
        GstBuffer *buffer = acquire(pool);

        REQUIRE(gst_spconv_cuda_map(&view, buffer, GST_MAP_WRITE));
        if (!seen[i % 2])
            seen[i % 2] = view.blocks[0].data;
        CHECK(view.blocks[0].data == seen[0] || view.blocks[0].data == seen[1]);
        CHECK_INT((guintptr)view.blocks[0].data % 256, 0);
        gst_spconv_cuda_unmap(&view);
        gst_buffer_unref(buffer);
    }
    release(pool);
}

TEST(pinned)
{
    gsize bytes = 12345;
    GstBufferPool *pool =
        active(gst_spconv_cuda_pool_new(cuda, GST_SPCONV_CUDA_PINNED, NULL, &bytes, 1), bytes);
    GstBuffer *buffer = acquire(pool);
    struct cudaPointerAttributes attributes;
    GstMapInfo map;

    CHECK_INT(gst_buffer_get_size(buffer), bytes);
    CHECK(!gst_spconv_cuda_is_memory(buffer));
    REQUIRE(gst_buffer_map(buffer, &map, GST_MAP_WRITE));
    memset(map.data, 1, map.size);
    CHECK(gst_spconv_cuda_enter(cuda));
    CHECK_INT(cudaPointerGetAttributes(&attributes, map.data), cudaSuccess);
    CHECK_INT(attributes.type, cudaMemoryTypeHost);
    gst_spconv_cuda_leave(cuda);
    gst_buffer_unmap(buffer, &map);
    gst_buffer_unref(buffer);
    release(pool);
}

TEST(voxels)
{
    gsize size;
    GstBufferPool *pool =
        gst_spconv_cuda_voxels_pool_new(cuda, NULL, SPC_DTYPE_F16, 5, 1001, &size);
    struct gst_spconv_cuda_voxels view;
    GError *error = NULL;
    GstBuffer *buffer;

    buffer = acquire(active(pool, size));
    REQUIRE(gst_spconv_cuda_voxels_map(&view, buffer, GST_MAP_WRITE, SPC_DTYPE_F16, 5, NULL));
    CHECK_INT(view.room, 1001);
    CHECK_INT(view.num_voxels, -1);
    CHECK(view.features && view.indices && view.count);
    gst_spconv_cuda_voxels_unmap(&view);
    gst_spconv_cuda_voxels_set_count(buffer, 17);
    REQUIRE(gst_spconv_cuda_voxels_map(&view, buffer, GST_MAP_READ, SPC_DTYPE_F16, 5, NULL));
    CHECK_INT(view.num_voxels, 17);
    gst_spconv_cuda_voxels_unmap(&view);
    CHECK(!gst_spconv_cuda_voxels_map(&view, buffer, GST_MAP_READ, SPC_DTYPE_F32, 5, &error));
    REQUIRE(error);
    CHECK_TEXT(error->message, "do not fit each other");
    g_clear_error(&error);
    gst_buffer_unref(buffer);
    release(pool);
}

int main(int argc, char **argv)
{
    gst_init(&argc, &argv);
    open_context();
    RUN(bytes);
    RUN(addresses_stay);
    RUN(pinned);
    RUN(voxels);
    close_context();
    return test_result();
}
