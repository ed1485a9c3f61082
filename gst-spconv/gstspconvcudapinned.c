/* SPDX-License-Identifier: MIT */
/* Pinned system memory: see the header. */
#include "gstspconvcudapinned.h"

#include <cuda.h>
#include <gst/cuda/cuda-gst.h>
#include <gst/cuda/gstcudautils.h>
#include <string.h>

#define MAX_IDLE 8
#define ALIGN_MASK 63 /* of what is not pinned, for the widest stores of the engine */

#define GST_TYPE_SPCONV_PINNED (gst_spconv_pinned_get_type())
G_DECLARE_FINAL_TYPE(GstSpconvPinned, gst_spconv_pinned, GST, SPCONV_PINNED, GstAllocator)

struct _GstSpconvPinned {
    GstAllocator parent;
    GstCudaContext *context;
    GMutex lock;   /* of all below */
    gsize largest; /* bytes of every block that is kept */
    gboolean warned;
    GQueue idle;
};

G_DEFINE_TYPE(GstSpconvPinned, gst_spconv_pinned, GST_TYPE_ALLOCATOR)

struct block {
    GstSpconvPinned *owner; /* while it is in use */
    void *data;
    gsize bytes;
};

static void free_block(GstSpconvPinned *self, struct block *block)
{
    if (gst_cuda_context_push(self->context)) {
        gst_cuda_result(CuMemFreeHost(block->data));
        gst_cuda_context_pop(NULL);
    }
    g_free(block);
}

static struct block *new_block(GstSpconvPinned *self, gsize bytes)
{
    struct block *block;
    void *data = NULL;
    gboolean ok;

    if (bytes > G_MAXUINT || !gst_cuda_context_push(self->context))
        return NULL;
    ok = gst_cuda_result(CuMemAllocHost(&data, (guint)bytes));
    gst_cuda_context_pop(NULL);
    if (!ok)
        return NULL;
    block = g_new0(struct block, 1);
    block->data = data;
    block->bytes = bytes;
    return block;
}

/* The second size that is larger than those before it will not be the last. */
static struct block *take_block(GstSpconvPinned *self, gsize bytes)
{
    struct block *block;

    g_mutex_lock(&self->lock);
    if (bytes > self->largest)
        self->largest = self->largest ? bytes + bytes / 4 : bytes;
    bytes = self->largest;
    while ((block = g_queue_pop_head(&self->idle)) && block->bytes < bytes)
        free_block(self, block);
    g_mutex_unlock(&self->lock);
    return block ? block : new_block(self, bytes);
}

static void give_back(gpointer user)
{
    struct block *block = user;
    GstSpconvPinned *self = block->owner;
    gboolean keep;

    g_mutex_lock(&self->lock);
    keep = block->bytes >= self->largest && g_queue_get_length(&self->idle) < MAX_IDLE;
    if (keep)
        g_queue_push_head(&self->idle, block);
    g_mutex_unlock(&self->lock);
    if (!keep)
        free_block(self, block);
    gst_object_unref(self);
}

/* It saves a copy, no more. */
static GstMemory *alloc_unpinned(GstSpconvPinned *self, gsize size, GstAllocationParams *params)
{
    GstAllocationParams aligned = *params;
    gboolean warned;

    g_mutex_lock(&self->lock);
    warned = self->warned;
    self->warned = TRUE;
    g_mutex_unlock(&self->lock);
    if (!warned)
        GST_WARNING_OBJECT(self, "%" G_GSIZE_FORMAT " bytes cannot be pinned: the host copies "
                           "frames, which takes longer. Lower max-voxels, or let fewer wait.",
                           size);
    aligned.align |= ALIGN_MASK;
    return gst_allocator_alloc(NULL, size, &aligned);
}

static GstMemory *alloc(GstAllocator *allocator, gsize size, GstAllocationParams *params)
{
    GstSpconvPinned *self = GST_SPCONV_PINNED(allocator);
    const gsize end = params->prefix + size;
    struct block *block = take_block(self, MAX(end + params->padding, 1));

    if (!block)
        return alloc_unpinned(self, size, params);
    block->owner = gst_object_ref(self);
    if (params->flags & GST_MEMORY_FLAG_ZERO_PREFIXED)
        memset(block->data, 0, params->prefix);
    if (params->flags & GST_MEMORY_FLAG_ZERO_PADDED)
        memset((guint8 *)block->data + end, 0, block->bytes - end);
    return gst_memory_new_wrapped(params->flags, block->data, block->bytes, params->prefix, size,
                                  block, give_back);
}

static void pinned_finalize(GObject *object)
{
    GstSpconvPinned *self = GST_SPCONV_PINNED(object);
    struct block *block;

    while ((block = g_queue_pop_head(&self->idle)))
        free_block(self, block);
    g_mutex_clear(&self->lock);
    gst_object_unref(self->context);
    G_OBJECT_CLASS(gst_spconv_pinned_parent_class)->finalize(object);
}

static void gst_spconv_pinned_class_init(GstSpconvPinnedClass *klass)
{
    G_OBJECT_CLASS(klass)->finalize = pinned_finalize;
    GST_ALLOCATOR_CLASS(klass)->alloc = alloc;
}

static void gst_spconv_pinned_init(GstSpconvPinned *self)
{
    g_mutex_init(&self->lock);
    g_queue_init(&self->idle);
}

GstAllocator *gst_spconv_pinned_new(GstCudaContext *context)
{
    GstSpconvPinned *self = g_object_new(GST_TYPE_SPCONV_PINNED, NULL);

    gst_object_ref_sink(self);
    self->context = gst_object_ref(context);
    return GST_ALLOCATOR(self);
}
