/* SPDX-License-Identifier: MIT */
/* Failing with a message, and the engine's failures as GStreamer's. */
#ifndef GST_SPCONV_ERROR_H
#define GST_SPCONV_ERROR_H

#include <gst/base/gstbasetransform.h>
#include <gst/gst.h>
#include <spc/spc.h>

#include "gstspconvcuda.h"

G_BEGIN_DECLS

/* Sets a GST_STREAM_ERROR_FORMAT error and returns FALSE: `return gst_spconv_fail(error, ...);` */
gboolean gst_spconv_fail(GError **error, const gchar *format, ...) G_GNUC_PRINTF(2, 3);

/* Posts an error message on the bus: the status chooses the domain and code. */
void gst_spconv_post_error(GstElement *element, const struct spc_error *error);

/* Posts that caps are refused; returns FALSE. What is upstream may try the same caps again and
 * again: while `*refused` is TRUE, which this sets, nothing more is posted. */
gboolean gst_spconv_refuse_caps(GstElement *element, gboolean *refused, const gchar *format, ...)
    G_GNUC_PRINTF(3, 4);

/* Posts that memory is short; returns GST_FLOW_ERROR. */
GstFlowReturn gst_spconv_post_no_memory(GstElement *element, guint64 rows);

/* Makes the context current around calls of the engine, or posts that it is lost. Ends with
 * gst_spconv_cuda_leave(). */
gboolean gst_spconv_enter_cuda(GstElement *element, struct gst_spconv_cuda *cuda);

/* What a transform returns for a frame that the engine refused. A frame over a bound is dropped
 * with a warning, and counted in `*dropped`, where `drop` is TRUE; all else posts the error. */
GstFlowReturn gst_spconv_refuse_frame(GstElement *element, const struct spc_error *error,
                                      gboolean drop, guint64 *dropped);

G_END_DECLS

#endif
