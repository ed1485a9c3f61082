/* SPDX-License-Identifier: MIT */
/*
 * The one place that knows GStreamer versions: 1.20 is the oldest, newer API is used where the
 * build has it, and is a function that does nothing where it has not.
 */
#ifndef GST_SPCONV_COMPAT_H
#define GST_SPCONV_COMPAT_H

#include <gst/gst.h>

#include "gstspconvcaps.h"

G_BEGIN_DECLS

/* Attaches a GstTensorMeta (GStreamer 1.26) that shares the memory of a BEV buffer. */
void gst_spconv_add_tensor_meta(GstBuffer *buffer, const struct gst_spconv_bev_info *info);

G_END_DECLS

#endif
