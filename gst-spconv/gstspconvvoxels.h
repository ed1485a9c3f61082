/* SPDX-License-Identifier: MIT */
/*
 * The payload of application/x-voxels in system memory: two NNStreamer flexible tensors,
 *
 *     memory 0   128-byte header "C:N"  + features [N][C] float32 or float16
 *     memory 1   128-byte header "4:N"  + indices  [N][4] int32: batch, then the caps' order
 *
 * or both in one memory, one behind the other (as files, shm and gdp make of it). Zero rows cannot
 * be said this way: an empty frame is a GAP event.
 *
 * Pure functions: no element, no state. Errors are GST_STREAM_ERROR_FORMAT.
 */
#ifndef GST_SPCONV_VOXELS_H
#define GST_SPCONV_VOXELS_H

#include <gst/gst.h>
#include <spc/spc.h>

G_BEGIN_DECLS

#define GST_SPCONV_TENSOR_HEADER_SIZE 128

/* A payload that is mapped. */
struct gst_spconv_voxels {
    enum spc_dtype feature_type;
    guint num_features;
    gint64 num_voxels;
    void *features; /* writable where it was mapped so */
    gint32 *indices;
    /* what unmap releases */
    GstBuffer *buffer;
    GstMapInfo map[2];
    guint num_maps;
    void *copy[2]; /* blocks that lay unaligned */
};

/* Memory of `allocator`; of any other where that is NULL, or gives none, as one that needs to know
 * more than a size. NULL where memory is short. */
GstMemory *gst_spconv_memory_new(GstAllocator *allocator, gsize size);

/* A new payload with room for `rows` (at least 1) rows, its headers written, its rows not, in
 * memory of `allocator` (NULL: any); NULL where memory is short. */
GstBuffer *gst_spconv_voxels_new(GstAllocator *allocator, enum spc_dtype feature_type,
                                 guint num_features, gint64 rows);

/* Shorten a payload made by gst_spconv_voxels_new() to its first `rows` (at least 1) rows. */
void gst_spconv_voxels_set_rows(GstBuffer *buffer, enum spc_dtype feature_type, guint num_features,
                                gint64 rows);

/* Map and check a payload against what the caps promise: magic, version, types, dims, equal N,
 * exact sizes. Rows are used in place where they are aligned. With GST_MAP_WRITE the payload must
 * be of two memories. After success call gst_spconv_voxels_unmap(). */
gboolean gst_spconv_voxels_map(struct gst_spconv_voxels *voxels, GstBuffer *buffer,
                               GstMapFlags flags, enum spc_dtype feature_type, guint num_features,
                               GError **error);
void gst_spconv_voxels_unmap(struct gst_spconv_voxels *voxels);

/* Push the empty frame that stands at the time of `buffer`: a GAP event. Without a timestamp there
 * is nothing to push. Returns what a buffer would have returned, as far as an event can tell: one
 * that is not taken ends the stream. */
GstFlowReturn gst_spconv_voxels_push_empty(GstPad *pad, const GstBuffer *buffer);

G_END_DECLS

#endif
