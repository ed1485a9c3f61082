/* SPDX-License-Identifier: MIT */
/* Files to buffers: a frame of points, or of voxels. No state. */
#ifndef GST_LIDAR_LOAD_H
#define GST_LIDAR_LOAD_H

#include <gst/gst.h>
#include <spc/spc.h>

G_BEGIN_DECLS

/* What a frame turned out to be. */
struct gst_lidar_frame {
    GstBuffer *buffer;   /* payload without timestamps; NULL: no rows */
    enum spc_dtype type; /* of points (F32 always) or voxel features */
    guint num_fields;    /* of a point, or features of a voxel */
    gint64 rows;
};

/* Points as packed float32 records. `num_fields` 0 takes an array file's own number of fields (raw
 * files have none: SPC_ERR_ARGUMENT), `type` NONE its own type (raw files: float32). The buffer
 * wraps what was read, or is a copy in memory of `allocator` (may be NULL). Errors as
 * spc_points_read(), with what to set. */
enum spc_status gst_lidar_load_points(const gchar *path, guint num_fields, enum spc_dtype type,
                                      GstAllocator *allocator, struct gst_lidar_frame *frame,
                                      struct spc_error *error);

/* A payload of application/x-voxels from two array files: features [N][C] float32 or float16, and
 * indices [N][4] int32; in memory of `allocator` (NULL: any). */
enum spc_status gst_lidar_load_voxels(const gchar *features_path, const gchar *indices_path,
                                      GstAllocator *allocator, struct gst_lidar_frame *frame,
                                      struct spc_error *error);

void gst_lidar_frame_clear(struct gst_lidar_frame *frame);

G_END_DECLS

#endif
