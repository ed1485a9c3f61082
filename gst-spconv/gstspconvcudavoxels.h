/* SPDX-License-Identifier: MIT */
/*
 * The payload of application/x-voxels(memory:CUDAMemory): three memories without headers,
 *
 *     memory 0   features [max][C] float32 or float16
 *     memory 1   indices  [max][4] int32: batch, then the caps' order
 *     memory 2   int32: how many of the rows are voxels
 *
 * The number also travels with the buffer for the host, as the custom meta GstSpconvVoxels with the
 * field num-voxels (gint64); -1, or no meta: only the device knows it.
 */
#ifndef GST_SPCONV_CUDA_VOXELS_H
#define GST_SPCONV_CUDA_VOXELS_H

#include <gst/gst.h>
#include <spc/spc.h>

#include "gstspconvcuda.h"

G_BEGIN_DECLS

/* A pool of payloads with room for `max_voxels` rows, as gst_spconv_cuda_pool_new() makes it; the
 * bytes of a buffer in *size. */
GstBufferPool *gst_spconv_cuda_voxels_pool_new(struct gst_spconv_cuda *cuda,
                                               const struct gst_spconv_cuda_stream *stream,
                                               enum spc_dtype feature_type, guint num_features,
                                               gint64 max_voxels, gsize *size);

/* A payload mapped on the device. */
struct gst_spconv_cuda_voxels {
    void *features;
    gint32 *indices;
    gint32 *count;
    gint64 room;       /* rows */
    gint64 num_voxels; /* -1: only the device knows */
    gpointer stream;   /* cudaStream_t that they are ready on; NULL: they are ready */
    struct gst_spconv_cuda_map map;
};

/* After success call gst_spconv_cuda_voxels_unmap(). Errors are GST_STREAM_ERROR_FORMAT. */
gboolean gst_spconv_cuda_voxels_map(struct gst_spconv_cuda_voxels *voxels, GstBuffer *buffer,
                                    GstMapFlags flags, enum spc_dtype feature_type,
                                    guint num_features, GError **error);
void gst_spconv_cuda_voxels_unmap(struct gst_spconv_cuda_voxels *voxels);

/* Tell the host how many voxels a payload has: -1 where it is not known. Who knows it has waited
 * for the device, so that the payload then is complete. */
void gst_spconv_cuda_voxels_set_count(GstBuffer *buffer, gint64 num_voxels);

G_END_DECLS

#endif
