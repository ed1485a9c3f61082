/* SPDX-License-Identifier: MIT */
/* Payload of voxel frames in CUDA memory: see the header. */
#include "gstspconvcudavoxels.h"
#include "gstspconverror.h"

#include <string.h>

#define META_NAME "GstSpconvVoxels"
#define INDEX_COLUMNS 4

enum {
    BLOCK_FEATURES,
    BLOCK_INDICES,
    BLOCK_COUNT,
    NUM_BLOCKS,
};

GstBufferPool *gst_spconv_cuda_voxels_pool_new(struct gst_spconv_cuda *cuda,
                                               const struct gst_spconv_cuda_stream *stream,
                                               enum spc_dtype feature_type, guint num_features,
                                               gint64 max_voxels, gsize *size)
{
    const gsize bytes[NUM_BLOCKS] = {
        [BLOCK_FEATURES] = (gsize)max_voxels * num_features * spc_dtype_size(feature_type),
        [BLOCK_INDICES] = (gsize)max_voxels * INDEX_COLUMNS * sizeof(gint32),
        [BLOCK_COUNT] = sizeof(gint32),
    };

    *size = bytes[BLOCK_FEATURES] + bytes[BLOCK_INDICES] + bytes[BLOCK_COUNT];
    return gst_spconv_cuda_pool_new(cuda, GST_SPCONV_CUDA_DEVICE, stream, bytes, NUM_BLOCKS);
}

/* The meta describes the memory: it is dropped where that is replaced. */
static void register_meta(void)
{
    static const gchar *tags[] = {GST_META_TAG_MEMORY_STR, NULL};
    static gsize done;

    if (g_once_init_enter(&done)) {
        if (!gst_meta_get_info(META_NAME))
            gst_meta_register_custom(META_NAME, tags, NULL, NULL, NULL);
        g_once_init_leave(&done, 1);
    }
}

void gst_spconv_cuda_voxels_set_count(GstBuffer *buffer, gint64 num_voxels)
{
    GstCustomMeta *meta;

    register_meta();
    meta = gst_buffer_get_custom_meta(buffer, META_NAME);
    if (!meta)
        meta = gst_buffer_add_custom_meta(buffer, META_NAME);
    gst_structure_set(gst_custom_meta_get_structure(meta), "num-voxels", G_TYPE_INT64, num_voxels,
                      NULL);
    if (num_voxels >= 0)
        gst_spconv_cuda_set_complete(buffer);
}

static gint64 get_count(GstBuffer *buffer)
{
    GstCustomMeta *meta;
    gint64 count = -1;

    register_meta();
    meta = gst_buffer_get_custom_meta(buffer, META_NAME);
    if (meta)
        gst_structure_get_int64(gst_custom_meta_get_structure(meta), "num-voxels", &count);
    return count;
}

gboolean gst_spconv_cuda_voxels_map(struct gst_spconv_cuda_voxels *voxels, GstBuffer *buffer,
                                    GstMapFlags flags, enum spc_dtype feature_type,
                                    guint num_features, GError **error)
{
    struct gst_spconv_cuda_voxels view = {.num_voxels = get_count(buffer)};
    const GstMapInfo *blocks = view.map.blocks;

    if (gst_buffer_n_memory(buffer) != NUM_BLOCKS || !gst_spconv_cuda_is_memory(buffer))
        return gst_spconv_fail(error,
                               "a voxel frame in CUDA memory is three memories, features, indices "
                               "and their number; this buffer has %u, %s of CUDA",
                               gst_buffer_n_memory(buffer),
                               gst_spconv_cuda_is_memory(buffer) ? "all" : "not all");
    if (!gst_spconv_cuda_map(&view.map, buffer, flags))
        return gst_spconv_fail(error, "the CUDA memory of the voxel frame cannot be mapped");
    view.features = blocks[BLOCK_FEATURES].data;
    view.indices = (gint32 *)blocks[BLOCK_INDICES].data;
    view.count = (gint32 *)blocks[BLOCK_COUNT].data;
    view.room = (gint64)(blocks[BLOCK_INDICES].size / (INDEX_COLUMNS * sizeof(gint32)));
    view.stream = view.map.stream;
    if (blocks[BLOCK_COUNT].size < sizeof(gint32) || view.num_voxels > view.room ||
        blocks[BLOCK_FEATURES].size <
            (gsize)view.room * num_features * spc_dtype_size(feature_type)) {
        gst_spconv_fail(error,
                        "the memories of the voxel frame do not fit each other: %" G_GSIZE_FORMAT
                        " bytes of features, %" G_GSIZE_FORMAT " of indices, %" G_GSIZE_FORMAT
                        " of the number, %" G_GINT64_FORMAT " voxels",
                        blocks[BLOCK_FEATURES].size, blocks[BLOCK_INDICES].size,
                        blocks[BLOCK_COUNT].size, view.num_voxels);
        gst_spconv_cuda_unmap(&view.map);
        return FALSE;
    }
    *voxels = view;
    return TRUE;
}

void gst_spconv_cuda_voxels_unmap(struct gst_spconv_cuda_voxels *voxels)
{
    gst_spconv_cuda_unmap(&voxels->map);
    memset(voxels, 0, sizeof(*voxels));
}
