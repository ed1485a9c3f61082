/* SPDX-License-Identifier: MIT */
/*
 * CUDA memory in GStreamer: contexts that elements share, streams, buffers, pools.
 *
 * gstspconvcuda.c, with gstspconvcudapinned.c, sees libgstcuda and knows its versions. A build
 * without that library has gstspconvcudanone.c in their place: then there is no CUDA memory,
 * nothing opens, and elements work on system memory, from and to which the engine copies by itself.
 *
 * Device memory is GstCudaMemory, so who maps it without GST_MAP_CUDA reads a copy in system
 * memory. Contents are bytes; libgstcuda knows them as a picture of one row.
 *
 * Streams: from GStreamer 1.24 on memory belongs to a stream, what is pending on it is ordered by
 * that stream, and nobody has to wait before a push. Before, memory that is pushed is complete:
 * its producer waited.
 *
 * Thread-safety: gst_spconv_cuda_set_context() and _answer() can be called from any thread; all
 * else belongs to one thread at a time, but for _enter() and _leave(), which any may call between
 * open and close.
 */
#ifndef GST_SPCONV_CUDA_H
#define GST_SPCONV_CUDA_H

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_SPCONV_CUDA_FEATURE "memory:CUDAMemory"
#define GST_SPCONV_CUDA_MAX_BLOCKS 3

/* Whether the build has libgstcuda. */
gboolean gst_spconv_cuda_is_built(void);

/* ------------------------------------------------------------------ the context -------------- */

/* An element's part in the sharing of a context (GstContext "gst.cuda.context"). */
struct gst_spconv_cuda;

/* Does not own the element: free it when that is finalized. Touches no GPU. */
struct gst_spconv_cuda *gst_spconv_cuda_new(GstElement *element);
void gst_spconv_cuda_free(struct gst_spconv_cuda **cuda);

/* For GstElementClass.set_context; `device` is the property cuda-device-id (-1: any). */
void gst_spconv_cuda_set_context(struct gst_spconv_cuda *cuda, GstContext *context, gint device);
/* Answers a CONTEXT query; FALSE where there is nothing to answer. */
gboolean gst_spconv_cuda_answer(struct gst_spconv_cuda *cuda, GstQuery *query);

/* Has the neighbours', the application's, or else a new context of `device` (-1: any) until close.
 * FALSE where there is no CUDA device or no libgstcuda: nothing is posted then. */
gboolean gst_spconv_cuda_open(struct gst_spconv_cuda *cuda, gint device);
void gst_spconv_cuda_close(struct gst_spconv_cuda *cuda);
gboolean gst_spconv_cuda_is_open(struct gst_spconv_cuda *cuda);

/* Take the context of the memory of `buffer` instead, from now on. What was made in the old one
 * must be gone. FALSE where it is on another device than `device` (-1: any) asks for. */
gboolean gst_spconv_cuda_adopt(struct gst_spconv_cuda *cuda, GstBuffer *buffer, gint device);
/* Whether the memory of `buffer` belongs to the context in use. */
gboolean gst_spconv_cuda_owns(struct gst_spconv_cuda *cuda, GstBuffer *buffer);

/* Make the context current around calls of the engine, which then takes device -1. Without a
 * context, nothing is done. FALSE where the device is lost. */
gboolean gst_spconv_cuda_enter(struct gst_spconv_cuda *cuda);
void gst_spconv_cuda_leave(struct gst_spconv_cuda *cuda);

/* ------------------------------------------------------------------ streams ------------------ */

struct gst_spconv_cuda_stream;

/* A stream of the open context, or NULL. Free it before the context is closed. */
struct gst_spconv_cuda_stream *gst_spconv_cuda_stream_new(struct gst_spconv_cuda *cuda);
void gst_spconv_cuda_stream_free(struct gst_spconv_cuda_stream **stream);
/* The cudaStream_t. */
gpointer gst_spconv_cuda_stream_handle(const struct gst_spconv_cuda_stream *stream);

/* ------------------------------------------------------------------ buffers ------------------ */

enum gst_spconv_cuda_kind {
    GST_SPCONV_CUDA_DEVICE, /* memory:CUDAMemory */
    GST_SPCONV_CUDA_PINNED, /* system memory that the device copies to and from by itself */
};

/* A pool of buffers with `num_blocks` (at most GST_SPCONV_CUDA_MAX_BLOCKS) memories of so many
 * bytes; NULL where the context is not open. A buffer keeps its addresses for life. Device memory
 * belongs to `stream` where streams travel; NULL: it is complete whenever it is pushed. The size in
 * the pool's config is the sum of the blocks. */
GstBufferPool *gst_spconv_cuda_pool_new(struct gst_spconv_cuda *cuda,
                                        enum gst_spconv_cuda_kind kind,
                                        const struct gst_spconv_cuda_stream *stream,
                                        const gsize *bytes, guint num_blocks);

/* Answers an ALLOCATION query with an allocator of such pinned memory, for buffers that go to the
 * device then; not where the context is not open. */
void gst_spconv_cuda_offer_pinned(struct gst_spconv_cuda *cuda, GstQuery *query);

/* A buffer mapped on the device. */
struct gst_spconv_cuda_map {
    GstBuffer *buffer;
    guint num_blocks;
    GstMapInfo blocks[GST_SPCONV_CUDA_MAX_BLOCKS]; /* data: device addresses */
    gpointer stream; /* cudaStream_t that the contents are ready on; NULL: they are ready */
};

/* Whether `buffer` is all device memory. */
gboolean gst_spconv_cuda_is_memory(GstBuffer *buffer);
/* Maps every memory of `buffer`; what the host wrote there is uploaded. FALSE where it is not all
 * device memory. After success call gst_spconv_cuda_unmap(). */
gboolean gst_spconv_cuda_map(struct gst_spconv_cuda_map *map, GstBuffer *buffer, GstMapFlags flags);
void gst_spconv_cuda_unmap(struct gst_spconv_cuda_map *map);
/* The producer has waited for what it wrote: nobody needs to care for the stream any more. */
void gst_spconv_cuda_set_complete(GstBuffer *buffer);

/* Copies on the device, or with `from_host` to it, and waits. */
gboolean gst_spconv_cuda_copy(struct gst_spconv_cuda *cuda, gpointer to, gconstpointer from,
                              gsize bytes, gboolean from_host);

/* ------------------------------------------------------------------ caps --------------------- */

/* The caps (taken) in CUDA memory, and whether structure `i` of caps says so. */
GstCaps *gst_spconv_cuda_caps(GstCaps *caps);
gboolean gst_spconv_cuda_caps_are(const GstCaps *caps, guint i);
/* Whether caps name CUDA memory anywhere: ANY does not. */
gboolean gst_spconv_cuda_caps_name(const GstCaps *caps);

G_END_DECLS

#endif
