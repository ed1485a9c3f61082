/* SPDX-License-Identifier: MIT */
/*
 * The element lidarvoxelize; its parts share this header.
 *
 *   gstlidarvoxelize.c        the class, properties, start and stop
 *   gstlidarvoxelizeframe.c   buffers and frames
 *   gstlidarvoxelizenego.c    what to voxelize to: settings, model and downstream caps
 */
#ifndef GST_LIDAR_VOXELIZE_H
#define GST_LIDAR_VOXELIZE_H

#include <gst/base/gstbasetransform.h>
#include <spc/spc.h>

#include "gstspconvcaps.h"
#include "gstspconvcudavoxels.h"
#include "gstspconvenums.h"
#include "gstspconvstats.h"

G_BEGIN_DECLS

#define GST_TYPE_LIDAR_VOXELIZE (gst_lidar_voxelize_get_type())
G_DECLARE_FINAL_TYPE(GstLidarVoxelize, gst_lidar_voxelize, GST, LIDAR_VOXELIZE, GstBaseTransform)

/* The base class, whose methods ours extend. */
#define GST_LIDAR_VOXELIZE_BASE GST_BASE_TRANSFORM_CLASS(g_type_class_peek(GST_TYPE_BASE_TRANSFORM))

/* Properties; under the object lock. */
struct gst_lidar_voxelize_settings {
    gchar *model_file;
    gchar *range;
    gchar *voxel_size;
    gchar *features;
    enum gst_spconv_backend backend;
    enum spc_dtype feature_type;      /* NONE: auto */
    enum spc_index_order index_order; /* AUTO */
    enum gst_spconv_overflow overflow;
    gint max_points_per_voxel; /* -1: auto */
    gint grid_extra_z;         /* -1: auto */
    guint max_voxels;
    gint cuda_device_id; /* -1: any */
};

/* What settings and model say of the voxels; what they leave open, downstream's caps decide. */
struct gst_lidar_voxelize_wish {
    gboolean has_range, has_voxel_size;
    float range[6], voxel_size[3];
    gchar features[SPC_MAX_FEATURES_TEXT]; /* "": open */
    enum spc_dtype feature_type;           /* NONE: open */
    enum spc_index_order index_order;      /* AUTO: open */
    gint max_points_per_voxel;             /* -1: open */
    gint grid_extra_z;                     /* -1: open */
    gint max_voxels;
    enum gst_spconv_backend backend;
    gint cuda_device_id;
};

struct _GstLidarVoxelize {
    GstBaseTransform parent;

    struct gst_lidar_voxelize_settings settings;
    struct gst_lidar_voxelize_wish wish; /* under the object lock */
    struct gst_spconv_stats stats;       /* under the object lock; latency of the voxelizer */
    guint64 points, points_outside, points_over; /* likewise */

    struct gst_spconv_cuda *cuda;
    /* From negotiation to stop; the streaming thread's. */
    gboolean cuda_in, cuda_out;            /* in CUDA memory */
    struct gst_spconv_cuda_stream *stream; /* of the voxelizer; NULL without a shared context */
    struct spc_voxelizer *voxelizer;
    struct gst_lidar_voxelize_wish made; /* what it was made for */
    struct spc_points layout; /* data and count are a frame's */
    struct gst_spconv_voxels_info output;
    gboolean refused; /* the caps, and said so */
    gboolean empty;   /* the frame that was just voxelized has no voxel */
};

GST_DEBUG_CATEGORY_EXTERN(gst_lidar_voxelize_debug);

/* gstlidarvoxelizenego.c */
void gst_lidar_voxelize_install_negotiation(GstBaseTransformClass *klass);
/* Resolve settings and the model, if one is named; posts an error on failure. */
gboolean gst_lidar_voxelize_make_wish(GstLidarVoxelize *self,
                                      const struct gst_lidar_voxelize_settings *settings);

void gst_lidar_voxelize_free_voxelizer(GstLidarVoxelize *self);
/* Make the voxelizer anew in the context of the memory of `buffer`; posts an error on failure. */
gboolean gst_lidar_voxelize_follow_context(GstLidarVoxelize *self, GstBuffer *buffer);

/* gstlidarvoxelizeframe.c */
void gst_lidar_voxelize_install_frames(GstBaseTransformClass *klass);

G_END_DECLS

#endif
