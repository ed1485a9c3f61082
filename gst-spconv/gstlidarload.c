/* SPDX-License-Identifier: MIT */
/* Files to buffers, see gstlidarload.h. */
#include "gstlidarload.h"

#include <string.h>

#include "gstspconvvoxels.h"

void gst_lidar_frame_clear(struct gst_lidar_frame *frame)
{
    gst_clear_buffer(&frame->buffer);
    memset(frame, 0, sizeof(*frame));
}

static enum spc_status fail(struct spc_error *error, enum spc_status status, const gchar *format,
                            ...) G_GNUC_PRINTF(3, 4);
static enum spc_status fail(struct spc_error *error, enum spc_status status, const gchar *format,
                            ...)
{
    va_list args;

    va_start(args, format);
    error->status = status;
    g_vsnprintf(error->message, sizeof(error->message), format, args);
    va_end(args);
    return status;
}

static void free_array(gpointer data)
{
    spc_array_free(data);
    g_free(data);
}

/* A buffer with the array's values, which takes them where it can. */
static GstBuffer *take_array(struct spc_array *array, GstAllocator *allocator)
{
    GstMemory *memory = allocator ? gst_spconv_memory_new(allocator, array->size) : NULL;
    struct spc_array *owned;
    GstBuffer *copy;

    if (memory) {
        copy = gst_buffer_new();
        gst_buffer_append_memory(copy, memory);
        if (gst_buffer_fill(copy, 0, array->data, array->size) == array->size) {
            spc_array_free(array);
            return copy;
        }
        gst_buffer_unref(copy);
    }
    owned = g_new(struct spc_array, 1);
    *owned = *array;
    return gst_buffer_new_wrapped_full(0, owned->data, owned->size, 0, owned->size, owned,
                                       free_array);
}

enum spc_status gst_lidar_load_points(const gchar *path, guint num_fields, enum spc_dtype type,
                                      GstAllocator *allocator, struct gst_lidar_frame *frame,
                                      struct spc_error *error)
{
    gboolean raw = !g_str_has_suffix(path, ".npy") && !g_str_has_suffix(path, ".tensor");
    struct spc_array array;
    enum spc_status status;

    if (raw && type == SPC_DTYPE_NONE)
        type = SPC_DTYPE_F32;
    status = spc_points_read(path, (gint)num_fields, type, &array, error);
    if (status == SPC_ERR_ARGUMENT && !num_fields) /* any size fits some guess: do not make one */
        return fail(error, status,
                    "%s has no header that says what a point holds: set fields (KITTI: "
                    "x,y,z,intensity; nuScenes: x,y,z,intensity,ring, with merged sweeps often "
                    "x,y,z,intensity,time), and field-type if it is not float32",
                    path);
    if (status == SPC_ERR_FORMAT)
        g_strlcat(error->message, ": set fields and field-type to what the file holds",
                  sizeof(error->message));
    if (status)
        return status;
    *frame = (struct gst_lidar_frame){
        .type = SPC_DTYPE_F32,
        .num_fields = (guint)array.dims[1],
        .rows = array.dims[0],
    };
    if (frame->rows)
        frame->buffer = take_array(&array, allocator);
    else
        spc_array_free(&array);
    return SPC_OK;
}

static enum spc_status check_pair(const gchar *features_path, const struct spc_array *features,
                                  const gchar *indices_path, const struct spc_array *indices,
                                  struct spc_error *error)
{
    if (features->rank != 2 ||
        (features->dtype != SPC_DTYPE_F32 && features->dtype != SPC_DTYPE_F16) ||
        features->dims[1] < 1 || features->dims[1] > 4096)
        return fail(error, SPC_ERR_FORMAT,
                    "%s: %s of rank %d; voxel features are [N][C] float32 or float16, with 1 to "
                    "4096 columns",
                    features_path, spc_dtype_name(features->dtype), features->rank);
    if (indices->rank != 2 || indices->dtype != SPC_DTYPE_I32 || indices->dims[1] != 4)
        return fail(error, SPC_ERR_FORMAT,
                    "%s: %s of rank %d; voxel indices are [N][4] int32 (batch, then the three "
                    "of index-order)",
                    indices_path, spc_dtype_name(indices->dtype), indices->rank);
    if (features->dims[0] != indices->dims[0] || features->dims[0] > G_MAXINT32)
        return fail(error, SPC_ERR_FORMAT,
                    "%s has %" G_GINT64_FORMAT " rows, %s has %" G_GINT64_FORMAT
                    ": they must belong to the same frame",
                    features_path, features->dims[0], indices_path, indices->dims[0]);
    return SPC_OK;
}

static enum spc_status make_payload(const struct spc_array *features,
                                    const struct spc_array *indices, GstAllocator *allocator,
                                    struct gst_lidar_frame *frame, struct spc_error *error)
{
    struct gst_spconv_voxels voxels;
    GError *failed = NULL;
    GstBuffer *buffer =
        gst_spconv_voxels_new(allocator, frame->type, frame->num_fields, frame->rows);

    if (!buffer) {
        fail(error, SPC_ERR_MEMORY, "there is no memory for %" G_GINT64_FORMAT " voxels",
             (gint64)frame->rows);
        return SPC_ERR_MEMORY;
    }
    if (!gst_spconv_voxels_map(&voxels, buffer, GST_MAP_WRITE, frame->type, frame->num_fields,
                               &failed)) {
        fail(error, SPC_ERR_MEMORY, "voxels: %s", failed->message);
        g_error_free(failed);
        gst_buffer_unref(buffer);
        return SPC_ERR_MEMORY;
    }
    memcpy(voxels.features, features->data, features->size);
    memcpy(voxels.indices, indices->data, indices->size);
    gst_spconv_voxels_unmap(&voxels);
    frame->buffer = buffer;
    return SPC_OK;
}

enum spc_status gst_lidar_load_voxels(const gchar *features_path, const gchar *indices_path,
                                      GstAllocator *allocator, struct gst_lidar_frame *frame,
                                      struct spc_error *error)
{
    struct spc_array features = {0}, indices = {0};
    enum spc_status status = spc_array_read(features_path, &features, error);
    struct gst_lidar_frame made = {0};

    if (!status)
        status = spc_array_read(indices_path, &indices, error);
    if (!status)
        status = check_pair(features_path, &features, indices_path, &indices, error);
    if (!status) {
        made.type = features.dtype;
        made.num_fields = (guint)features.dims[1];
        made.rows = features.dims[0];
        if (made.rows)
            status = make_payload(&features, &indices, allocator, &made, error);
    }
    spc_array_free(&features);
    spc_array_free(&indices);
    if (!status)
        *frame = made;
    return status;
}
