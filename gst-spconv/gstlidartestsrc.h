/* SPDX-License-Identifier: MIT */
/* lidartestsrc: a synthetic spinning lidar; see the section in gstlidartestsrc.c. */
#ifndef GST_LIDAR_TEST_SRC_H
#define GST_LIDAR_TEST_SRC_H

#include <gst/base/gstpushsrc.h>

G_BEGIN_DECLS

#define GST_TYPE_LIDAR_TEST_SRC (gst_lidar_test_src_get_type())
G_DECLARE_FINAL_TYPE(GstLidarTestSrc, gst_lidar_test_src, GST, LIDAR_TEST_SRC, GstPushSrc)

G_END_DECLS

#endif
