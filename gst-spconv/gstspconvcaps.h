/* SPDX-License-Identifier: MIT */
/*
 * Caps of the plugin's three media, and the structs that say the same.
 *
 *   points   application/x-pointcloud2, or application/x-lidar (packed x,y,z,intensity float32)
 *   voxels   application/x-voxels
 *   BEV      other/tensors,format=static,num_tensors=1 (NNStreamer's), beside it bev-axes, range-mm
 *
 * Pure functions: no element, no state. A parse leaves the struct untouched on failure; errors are
 * GST_STREAM_ERROR_FORMAT and name the field. Lengths in caps are integers, so that they compare
 * exactly: voxel-size-um in micrometres (x, y, z), range-mm in millimetres (x, y, z minimum, then
 * maximum).
 */
#ifndef GST_SPCONV_CAPS_H
#define GST_SPCONV_CAPS_H

#include <gst/gst.h>
#include <spc/spc.h>

#include "gstspconvpoints.h"

G_BEGIN_DECLS

#define GST_SPCONV_POINTS_TYPE "application/x-pointcloud2"
#define GST_SPCONV_LIDAR_TYPE "application/x-lidar"
#define GST_SPCONV_VOXELS_TYPE "application/x-voxels"
#define GST_SPCONV_TENSORS_TYPE "other/tensors"

/* Templates. They name only fields that every caps of the kind has. */
#define GST_SPCONV_POINTS_TEMPLATE                                                                 \
    GST_SPCONV_POINTS_TYPE ", point-step = (int) [ 1, max ]; " GST_SPCONV_LIDAR_TYPE
#define GST_SPCONV_VOXELS_FIELDS                                                                   \
    ", version = (int) 1, feature-type = (string) { float32, float16 }, "                          \
    "num-features = (int) [ 1, 4096 ], index-type = (string) int32, "                              \
    "index-order = (string) { bzyx, bxyz }, grid-x = (int) [ 1, max ], "                           \
    "grid-y = (int) [ 1, max ], grid-z = (int) [ 1, max ], max-voxels = (int) [ 1, max ], "        \
    "batch = (int) [ 1, max ], framerate = (fraction) [ 0/1, max ]"
#define GST_SPCONV_BEV_FIELDS                                                                      \
    ", format = (string) static, num_tensors = (int) 1, "                                          \
    "types = (string) { float32, float16 }, framerate = (fraction) [ 0/1, max ]"
#define GST_SPCONV_VOXELS_TEMPLATE GST_SPCONV_VOXELS_TYPE GST_SPCONV_VOXELS_FIELDS
#define GST_SPCONV_BEV_TEMPLATE GST_SPCONV_TENSORS_TYPE GST_SPCONV_BEV_FIELDS
/* The same in CUDA memory, to go behind others; empty in a build without it. */
#ifdef HAVE_GST_CUDA
#define GST_SPCONV_CUDA_POINTS_TEMPLATE                                                            \
    "; " GST_SPCONV_POINTS_TYPE "(memory:CUDAMemory), point-step = (int) [ 1, max ]"
#define GST_SPCONV_CUDA_VOXELS_TEMPLATE                                                            \
    "; " GST_SPCONV_VOXELS_TYPE "(memory:CUDAMemory)" GST_SPCONV_VOXELS_FIELDS
#define GST_SPCONV_CUDA_BEV_TEMPLATE                                                               \
    "; " GST_SPCONV_TENSORS_TYPE "(memory:CUDAMemory)" GST_SPCONV_BEV_FIELDS
#else
#define GST_SPCONV_CUDA_POINTS_TEMPLATE ""
#define GST_SPCONV_CUDA_VOXELS_TEMPLATE ""
#define GST_SPCONV_CUDA_BEV_TEMPLATE ""
#endif

/* Where the cells of a grid lie, as far as it is known. */
struct gst_spconv_geometry {
    gboolean has_voxel_size, has_range;
    gint voxel_size_um[3];
    gint range_mm[6];
};

void gst_spconv_geometry_set_voxel_size(struct gst_spconv_geometry *geometry,
                                        const float metres[3]);
void gst_spconv_geometry_set_range(struct gst_spconv_geometry *geometry, const float metres[6]);
/* The reverse, in metres; only where known. */
void gst_spconv_geometry_get_voxel_size(const struct gst_spconv_geometry *geometry,
                                        float metres[3]);
void gst_spconv_geometry_get_range(const struct gst_spconv_geometry *geometry, float metres[6]);

/* The fields voxel-size-um and range-mm of `structure`, where they are there. */
gboolean gst_spconv_geometry_parse(struct gst_spconv_geometry *geometry,
                                   const GstStructure *structure, GError **error);
void gst_spconv_geometry_store(const struct gst_spconv_geometry *geometry, GstStructure *structure);

struct gst_spconv_points_info {
    gboolean packed; /* application/x-lidar */
    guint point_step;
    struct gst_spconv_fields fields;
    gboolean is_dense; /* no NaN among the points */
    gint fps_n, fps_d; /* 0/1: unknown */
};

struct gst_spconv_voxels_info {
    enum spc_dtype feature_type; /* F32 or F16 */
    guint num_features;
    gchar features[SPC_MAX_FEATURES_TEXT]; /* "x,y,z,intensity,time", or "": unknown */
    enum spc_index_order index_order;      /* ZYX (bzyx) or XYZ (bxyz) */
    gint grid_z, grid_y, grid_x;
    gint max_voxels;
    gboolean has_max_points_per_voxel;
    gint max_points_per_voxel; /* 0: all points count */
    struct gst_spconv_geometry geometry;
    gint fps_n, fps_d;
};

struct gst_spconv_bev_info {
    enum spc_dtype type; /* F32 or F16 */
    guint rank;
    guint dims[SPC_MAX_RANK]; /* outermost first: [N][C][H][W] */
    enum spc_bev_axes axes;
    struct gst_spconv_geometry geometry; /* the range only */
    gint fps_n, fps_d;
};

/* "bzyx" or "bxyz". */
const gchar *gst_spconv_index_order_name(enum spc_index_order order);

/* Caps made from a struct are the caller's. With fps_d 0 the framerate is left open (for queries);
 * likewise voxels without a feature_type or with max_voxels 0. */
gboolean gst_spconv_points_info_parse(struct gst_spconv_points_info *info, const GstCaps *caps,
                                      GError **error);
GstCaps *gst_spconv_points_info_to_caps(const struct gst_spconv_points_info *info);

gboolean gst_spconv_voxels_info_parse(struct gst_spconv_voxels_info *info, const GstCaps *caps,
                                      GError **error);
GstCaps *gst_spconv_voxels_info_to_caps(const struct gst_spconv_voxels_info *info);

gboolean gst_spconv_bev_info_parse(struct gst_spconv_bev_info *info, const GstCaps *caps,
                                   GError **error);
GstCaps *gst_spconv_bev_info_to_caps(const struct gst_spconv_bev_info *info);
/* Bytes of one frame. */
gsize gst_spconv_bev_info_size(const struct gst_spconv_bev_info *info);

G_END_DECLS

#endif
