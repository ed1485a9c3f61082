/* SPDX-License-Identifier: MIT */
/* Payload of voxel frames: see the header. */
#include "gstspconvvoxels.h"
#include "gstspconverror.h"

#include <string.h>

#define HEADER GST_SPCONV_TENSOR_HEADER_SIZE
#define MAGIC 0xfeedccedu
#define VERSION 0xde001000u
#define MAX_DIMS 16
#define FORMAT_FLEXIBLE 1
#define MEDIA_TENSOR 4
#define INDEX_COLUMNS 4

/* Words of the header. */
enum {
    WORD_MAGIC,
    WORD_VERSION,
    WORD_TYPE,
    WORD_DIMS,
    WORD_FORMAT = WORD_DIMS + MAX_DIMS,
    WORD_MEDIA,
};

/* NNStreamer's numbers of the types that occur. */
enum {
    TENSOR_INT32 = 0,
    TENSOR_FLOAT32 = 7,
    TENSOR_FLOAT16 = 10,
};

static guint tensor_type(enum spc_dtype dtype)
{
    return dtype == SPC_DTYPE_F32   ? TENSOR_FLOAT32
           : dtype == SPC_DTYPE_F16 ? TENSOR_FLOAT16
                                    : TENSOR_INT32;
}

static gsize block_bytes(enum spc_dtype dtype, guint columns, gint64 rows)
{
    return (gsize)rows * columns * spc_dtype_size(dtype);
}

static void write_header(guint8 *header, enum spc_dtype dtype, guint columns, gint64 rows)
{
    memset(header, 0, HEADER);
    GST_WRITE_UINT32_LE(header + 4 * WORD_MAGIC, MAGIC);
    GST_WRITE_UINT32_LE(header + 4 * WORD_VERSION, VERSION);
    GST_WRITE_UINT32_LE(header + 4 * WORD_TYPE, tensor_type(dtype));
    GST_WRITE_UINT32_LE(header + 4 * WORD_DIMS, columns);
    GST_WRITE_UINT32_LE(header + 4 * (WORD_DIMS + 1), (guint32)rows);
    GST_WRITE_UINT32_LE(header + 4 * WORD_FORMAT, FORMAT_FLEXIBLE);
    GST_WRITE_UINT32_LE(header + 4 * WORD_MEDIA, MEDIA_TENSOR);
}

static void set_block(GstMemory *memory, enum spc_dtype dtype, guint columns, gint64 rows)
{
    GstMapInfo map;

    gst_memory_resize(memory, 0, HEADER + block_bytes(dtype, columns, rows));
    if (!gst_memory_map(memory, &map, GST_MAP_WRITE))
        g_return_if_reached(); /* system memory that nobody else holds always maps */
    write_header(map.data, dtype, columns, rows);
    gst_memory_unmap(memory, &map);
}

void gst_spconv_voxels_set_rows(GstBuffer *buffer, enum spc_dtype feature_type, guint num_features,
                                gint64 rows)
{
    set_block(gst_buffer_peek_memory(buffer, 0), feature_type, num_features, rows);
    set_block(gst_buffer_peek_memory(buffer, 1), SPC_DTYPE_I32, INDEX_COLUMNS, rows);
}

GstMemory *gst_spconv_memory_new(GstAllocator *allocator, gsize size)
{
    GstMemory *memory = NULL;

    if (allocator && !GST_OBJECT_FLAG_IS_SET(allocator, GST_ALLOCATOR_FLAG_CUSTOM_ALLOC))
        memory = gst_allocator_alloc(allocator, size, NULL);
    return memory ? memory : gst_allocator_alloc(NULL, size, NULL);
}

GstBuffer *gst_spconv_voxels_new(GstAllocator *allocator, enum spc_dtype feature_type,
                                 guint num_features, gint64 rows)
{
    GstMemory *features =
        gst_spconv_memory_new(allocator, HEADER + block_bytes(feature_type, num_features, rows));
    GstMemory *indices =
        gst_spconv_memory_new(allocator, HEADER + block_bytes(SPC_DTYPE_I32, INDEX_COLUMNS, rows));
    GstBuffer *buffer;

    if (!features || !indices) {
        g_clear_pointer(&features, gst_memory_unref);
        g_clear_pointer(&indices, gst_memory_unref);
        return NULL;
    }
    buffer = gst_buffer_new();
    gst_buffer_append_memory(buffer, features);
    gst_buffer_append_memory(buffer, indices);
    gst_spconv_voxels_set_rows(buffer, feature_type, num_features, rows);
    return buffer;
}

static guint32 word(const guint8 *header, guint i)
{
    guint32 value;

    memcpy(&value, header + 4 * i, sizeof(value)); /* the block may lie unaligned */
    return GUINT32_FROM_LE(value);
}

/* A rank-2 flexible tensor of this type and width; its rows in *rows. */
static gboolean check_header(const guint8 *header, const gchar *what, enum spc_dtype dtype,
                             guint columns, gint64 *rows, GError **error)
{
    guint i;

    if (word(header, WORD_MAGIC) != MAGIC || word(header, WORD_VERSION) != VERSION)
        return gst_spconv_fail(error,
                               "the %s do not begin with a flexible tensor's header (magic %08x, "
                               "version %08x)",
                               what, word(header, WORD_MAGIC), word(header, WORD_VERSION));
    if (word(header, WORD_FORMAT) != FORMAT_FLEXIBLE)
        return gst_spconv_fail(error, "the %s are a tensor of format %u, not flexible (1)", what,
                               word(header, WORD_FORMAT));
    if (word(header, WORD_TYPE) != tensor_type(dtype))
        return gst_spconv_fail(error, "the %s are of tensor type %u, the caps say %s (%u)", what,
                               word(header, WORD_TYPE), spc_dtype_name(dtype), tensor_type(dtype));
    if (word(header, WORD_DIMS) != columns)
        return gst_spconv_fail(error, "the %s have %u columns, expected %u", what,
                               word(header, WORD_DIMS), columns);
    for (i = 2; i < MAX_DIMS && word(header, WORD_DIMS + i); i++)
        if (word(header, WORD_DIMS + i) != 1)
            return gst_spconv_fail(error, "the %s have a third dimension of %u", what,
                                   word(header, WORD_DIMS + i));
    *rows = word(header, WORD_DIMS + 1);
    if (*rows < 1 || *rows > G_MAXINT32)
        return gst_spconv_fail(error,
                               "the %s have %" G_GINT64_FORMAT
                               " rows: 1 to 2147483647 are possible, "
                               "an empty frame is a GAP event",
                               what, *rows);
    return TRUE;
}

/* One block at `data`; `size` is what is left there, and *used becomes the block's. */
static gboolean check_block(const guint8 *data, gsize size, const gchar *what, enum spc_dtype dtype,
                            guint columns, gint64 *rows, gsize *used, GError **error)
{
    if (size < HEADER)
        return gst_spconv_fail(error,
                               "the %s have %" G_GSIZE_FORMAT " bytes, their header alone has %d",
                               what, size, HEADER);
    if (!check_header(data, what, dtype, columns, rows, error))
        return FALSE;
    *used = HEADER + block_bytes(dtype, columns, *rows);
    if (*used > size)
        return gst_spconv_fail(error,
                               "the header of the %s says %" G_GINT64_FORMAT
                               " rows of %u, %" G_GSIZE_FORMAT
                               " bytes with the header, but there are %" G_GSIZE_FORMAT,
                               what, *rows, columns, *used, size);
    return TRUE;
}

/* The rows of a block where they can be used: in place, or copied when unaligned. */
static void *block_rows(struct gst_spconv_voxels *voxels, guint i, guint8 *block, gsize used,
                        gsize alignment)
{
    guint8 *rows = block + HEADER;

    if ((guintptr)rows % alignment == 0)
        return rows;
    voxels->copy[i] = g_malloc(used - HEADER);
    return memcpy(voxels->copy[i], rows, used - HEADER);
}

static gboolean parse(struct gst_spconv_voxels *voxels, GError **error)
{
    guint8 *first = voxels->map[0].data, *second = voxels->map[1].data;
    gsize first_size = voxels->map[0].size, second_size = voxels->map[1].size;
    gsize first_used, second_used;
    gint64 rows;

    if (!check_block(first, first_size, "features", voxels->feature_type, voxels->num_features,
                     &voxels->num_voxels, &first_used, error))
        return FALSE;
    if (voxels->num_maps == 1) {
        second = first + first_used;
        second_size = first_size - first_used;
        first_size = first_used;
    }
    if (!check_block(second, second_size, "indices", SPC_DTYPE_I32, INDEX_COLUMNS, &rows,
                     &second_used, error))
        return FALSE;
    if (rows != voxels->num_voxels)
        return gst_spconv_fail(error,
                               "there are %" G_GINT64_FORMAT
                               " rows of features and %" G_GINT64_FORMAT " rows of indices",
                               voxels->num_voxels, rows);
    if (first_used != first_size || second_used != second_size)
        return gst_spconv_fail(error,
                               "%" G_GSIZE_FORMAT " bytes follow the %s, there should be none",
                               first_size - first_used + second_size - second_used,
                               first_used != first_size ? "features" : "indices");
    voxels->features =
        block_rows(voxels, 0, first, first_used, spc_dtype_size(voxels->feature_type));
    voxels->indices = block_rows(voxels, 1, second, second_used, sizeof(gint32));
    return TRUE;
}

gboolean gst_spconv_voxels_map(struct gst_spconv_voxels *voxels, GstBuffer *buffer,
                               GstMapFlags flags, enum spc_dtype feature_type, guint num_features,
                               GError **error)
{
    guint memories = gst_buffer_n_memory(buffer), i;

    memset(voxels, 0, sizeof(*voxels));
    if (memories != 2 && (memories != 1 || (flags & GST_MAP_WRITE)))
        return gst_spconv_fail(
            error,
            "a voxel frame is two memories, or one with both tensors; this buffer "
            "has %u",
            memories);
    voxels->buffer = buffer;
    voxels->feature_type = feature_type;
    voxels->num_features = num_features;
    for (i = 0; i < memories; i++) {
        if (!gst_buffer_map_range(buffer, i, 1, &voxels->map[i], flags)) {
            gst_spconv_voxels_unmap(voxels);
            return gst_spconv_fail(error, "memory %u of the voxel frame cannot be mapped", i);
        }
        voxels->num_maps++;
    }
    if (!parse(voxels, error)) {
        gst_spconv_voxels_unmap(voxels);
        return FALSE;
    }
    return TRUE;
}

void gst_spconv_voxels_unmap(struct gst_spconv_voxels *voxels)
{
    guint i;

    for (i = 0; i < voxels->num_maps; i++)
        gst_buffer_unmap(voxels->buffer, &voxels->map[i]);
    for (i = 0; i < G_N_ELEMENTS(voxels->copy); i++)
        g_free(voxels->copy[i]);
    memset(voxels, 0, sizeof(*voxels));
}

GstFlowReturn gst_spconv_voxels_push_empty(GstPad *pad, const GstBuffer *buffer)
{
    if (!GST_BUFFER_PTS_IS_VALID(buffer) ||
        gst_pad_push_event(pad,
                           gst_event_new_gap(GST_BUFFER_PTS(buffer), GST_BUFFER_DURATION(buffer))))
        return GST_FLOW_OK;
    return GST_PAD_IS_FLUSHING(pad)  ? GST_FLOW_FLUSHING
           : !gst_pad_is_linked(pad) ? GST_FLOW_NOT_LINKED
                                     : GST_FLOW_EOS;
}
