/* SPDX-License-Identifier: MIT */
/* lidarfilesrc: recorded points or voxels; see the section in gstlidarfilesrc.c. */
#ifndef GST_LIDAR_FILE_SRC_H
#define GST_LIDAR_FILE_SRC_H

#include <gst/base/gstpushsrc.h>

G_BEGIN_DECLS

#define GST_TYPE_LIDAR_FILE_SRC (gst_lidar_file_src_get_type())
G_DECLARE_FINAL_TYPE(GstLidarFileSrc, gst_lidar_file_src, GST, LIDAR_FILE_SRC, GstPushSrc)

G_END_DECLS

#endif
