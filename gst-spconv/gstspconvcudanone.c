/* SPDX-License-Identifier: MIT */
/* In place of gstspconvcuda.c in a build without libgstcuda: no context ever opens, so that none of
 * the functions which need one is reached. */
#include "gstspconvcuda.h"

gboolean gst_spconv_cuda_is_built(void)
{
    return FALSE;
}

struct gst_spconv_cuda *gst_spconv_cuda_new(GstElement *element)
{
    (void)element;
    return NULL;
}

void gst_spconv_cuda_free(struct gst_spconv_cuda **cuda)
{
    (void)cuda;
}

void gst_spconv_cuda_set_context(struct gst_spconv_cuda *cuda, GstContext *context, gint device)
{
    (void)cuda;
    (void)context;
    (void)device;
}

gboolean gst_spconv_cuda_answer(struct gst_spconv_cuda *cuda, GstQuery *query)
{
    (void)cuda;
    (void)query;
    return FALSE;
}

gboolean gst_spconv_cuda_open(struct gst_spconv_cuda *cuda, gint device)
{
    (void)cuda;
    (void)device;
    return FALSE;
}

void gst_spconv_cuda_close(struct gst_spconv_cuda *cuda)
{
    (void)cuda;
}

gboolean gst_spconv_cuda_is_open(struct gst_spconv_cuda *cuda)
{
    (void)cuda;
    return FALSE;
}

gboolean gst_spconv_cuda_adopt(struct gst_spconv_cuda *cuda, GstBuffer *buffer, gint device)
{
    (void)cuda;
    (void)buffer;
    (void)device;
    return FALSE;
}

gboolean gst_spconv_cuda_owns(struct gst_spconv_cuda *cuda, GstBuffer *buffer)
{
    (void)cuda;
    (void)buffer;
    return FALSE;
}

gboolean gst_spconv_cuda_enter(struct gst_spconv_cuda *cuda)
{
    (void)cuda;
    return TRUE;
}

void gst_spconv_cuda_leave(struct gst_spconv_cuda *cuda)
{
    (void)cuda;
}

struct gst_spconv_cuda_stream *gst_spconv_cuda_stream_new(struct gst_spconv_cuda *cuda)
{
    (void)cuda;
    return NULL;
}

void gst_spconv_cuda_stream_free(struct gst_spconv_cuda_stream **stream)
{
    (void)stream;
}

gpointer gst_spconv_cuda_stream_handle(const struct gst_spconv_cuda_stream *stream)
{
    (void)stream;
    return NULL;
}

GstBufferPool *gst_spconv_cuda_pool_new(struct gst_spconv_cuda *cuda,
                                        enum gst_spconv_cuda_kind kind,
                                        const struct gst_spconv_cuda_stream *stream,
                                        const gsize *bytes, guint num_blocks)
{
    (void)cuda;
    (void)kind;
    (void)stream;
    (void)bytes;
    (void)num_blocks;
    return NULL;
}

void gst_spconv_cuda_offer_pinned(struct gst_spconv_cuda *cuda, GstQuery *query)
{
    (void)cuda;
    (void)query;
}

gboolean gst_spconv_cuda_is_memory(GstBuffer *buffer)
{
    (void)buffer;
    return FALSE;
}

gboolean gst_spconv_cuda_map(struct gst_spconv_cuda_map *map, GstBuffer *buffer, GstMapFlags flags)
{
    (void)map;
    (void)buffer;
    (void)flags;
    return FALSE;
}

void gst_spconv_cuda_unmap(struct gst_spconv_cuda_map *map)
{
    (void)map;
}

void gst_spconv_cuda_set_complete(GstBuffer *buffer)
{
    (void)buffer;
}

gboolean gst_spconv_cuda_copy(struct gst_spconv_cuda *cuda, gpointer to, gconstpointer from,
                              gsize bytes, gboolean from_host)
{
    (void)cuda;
    (void)to;
    (void)from;
    (void)bytes;
    (void)from_host;
    return FALSE;
}
