/* SPDX-License-Identifier: MIT */
/* bevrender: point clouds and BEV tensors as pictures; see the section in gstbevrender.c. */
#ifndef GST_BEV_RENDER_H
#define GST_BEV_RENDER_H

#include <gst/base/gstbasetransform.h>

G_BEGIN_DECLS

#define GST_TYPE_BEV_RENDER (gst_bev_render_get_type())
G_DECLARE_FINAL_TYPE(GstBevRender, gst_bev_render, GST, BEV_RENDER, GstBaseTransform)

G_END_DECLS

#endif
