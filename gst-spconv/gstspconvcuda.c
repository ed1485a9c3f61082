/* SPDX-License-Identifier: MIT */
/* CUDA memory through libgstcuda (GStreamer 1.22 and later): see the header. */
#include "gstspconvcuda.h"
#include "gstspconvcudapinned.h"

#include <cuda.h>
#include <gst/cuda/cuda-gst.h>
#include <gst/cuda/gstcudacontext.h>
#include <gst/cuda/gstcudaloader.h>
#include <gst/cuda/gstcudamemory.h>
#include <gst/cuda/gstcudautils.h>
#include <string.h>

/* Memory that belongs to a stream. */
#if GST_CHECK_VERSION(1, 24, 0)
#include <gst/cuda/gstcudastream.h>
#define STREAMS_TRAVEL TRUE
#else
#define STREAMS_TRAVEL FALSE
#endif

#define GST_CAT_DEFAULT cuda_debug
GST_DEBUG_CATEGORY_STATIC(cuda_debug);

gboolean gst_spconv_cuda_is_built(void)
{
    return TRUE;
}

/* ------------------------------------------------------------------ the context -------------- */

struct gst_spconv_cuda {
    GstElement *element;
    GRecMutex lock; /* of both; recursive: while one is looked for, it is set */
    GstCudaContext *shared;  /* the neighbours', or the application's: they may set it any time */
    GstCudaContext *context; /* in use, from open to close: whoever enters it also leaves it */
    GstAllocator *pinned;    /* that was offered; NULL: not yet */
};

struct gst_spconv_cuda *gst_spconv_cuda_new(GstElement *element)
{
    struct gst_spconv_cuda *cuda = g_new0(struct gst_spconv_cuda, 1);

    GST_DEBUG_CATEGORY_INIT(cuda_debug, "spconvcuda", 0, "CUDA memory of gst-spconv");
    cuda->element = element;
    g_rec_mutex_init(&cuda->lock);
    return cuda;
}

void gst_spconv_cuda_free(struct gst_spconv_cuda **cuda)
{
    if (!*cuda)
        return;
    gst_spconv_cuda_close(*cuda);
    g_rec_mutex_clear(&(*cuda)->lock);
    g_clear_pointer(cuda, g_free);
}

void gst_spconv_cuda_set_context(struct gst_spconv_cuda *cuda, GstContext *context, gint device)
{
    g_rec_mutex_lock(&cuda->lock);
    gst_cuda_handle_set_context(cuda->element, context, device, &cuda->shared);
    g_rec_mutex_unlock(&cuda->lock);
}

gboolean gst_spconv_cuda_answer(struct gst_spconv_cuda *cuda, GstQuery *query)
{
    gboolean ok;

    g_rec_mutex_lock(&cuda->lock);
    ok = gst_cuda_handle_context_query(cuda->element, query, cuda->shared);
    g_rec_mutex_unlock(&cuda->lock);
    return ok;
}

gboolean gst_spconv_cuda_open(struct gst_spconv_cuda *cuda, gint device)
{
    gboolean ok;

    if (!gst_cuda_load_library())
        return FALSE;
    gst_cuda_memory_init_once();
    g_rec_mutex_lock(&cuda->lock);
    ok = gst_cuda_ensure_element_context(cuda->element, device, &cuda->shared);
    if (ok)
        gst_object_replace((GstObject **)&cuda->context, GST_OBJECT(cuda->shared));
    g_rec_mutex_unlock(&cuda->lock);
    return ok;
}

void gst_spconv_cuda_close(struct gst_spconv_cuda *cuda)
{
    g_rec_mutex_lock(&cuda->lock);
    gst_clear_object(&cuda->pinned);
    gst_clear_object(&cuda->context);
    gst_clear_object(&cuda->shared);
    g_rec_mutex_unlock(&cuda->lock);
}

gboolean gst_spconv_cuda_is_open(struct gst_spconv_cuda *cuda)
{
    return cuda->context != NULL;
}

static GstCudaContext *context_of(GstBuffer *buffer)
{
    return GST_CUDA_MEMORY_CAST(gst_buffer_peek_memory(buffer, 0))->context;
}

gboolean gst_spconv_cuda_owns(struct gst_spconv_cuda *cuda, GstBuffer *buffer)
{
    return cuda->context && gst_cuda_context_get_handle(context_of(buffer)) ==
                                gst_cuda_context_get_handle(cuda->context);
}

gboolean gst_spconv_cuda_adopt(struct gst_spconv_cuda *cuda, GstBuffer *buffer, gint device)
{
    GstCudaContext *context = context_of(buffer);
    guint theirs = 0;

    g_object_get(context, "cuda-device-id", &theirs, NULL);
    if (device >= 0 && (guint)device != theirs)
        return FALSE;
    g_rec_mutex_lock(&cuda->lock);
    gst_clear_object(&cuda->pinned);
    gst_object_replace((GstObject **)&cuda->context, GST_OBJECT(context));
    gst_object_replace((GstObject **)&cuda->shared, GST_OBJECT(context));
    g_rec_mutex_unlock(&cuda->lock);
    return TRUE;
}

gboolean gst_spconv_cuda_enter(struct gst_spconv_cuda *cuda)
{
    return !cuda->context || gst_cuda_context_push(cuda->context);
}

void gst_spconv_cuda_leave(struct gst_spconv_cuda *cuda)
{
    if (cuda->context)
        gst_cuda_context_pop(NULL);
}

/* ------------------------------------------------------------------ streams ------------------ */

struct gst_spconv_cuda_stream {
#if STREAMS_TRAVEL
    GstCudaStream *shared;
#else
    GstCudaContext *context;
    CUstream handle;
#endif
};

#if STREAMS_TRAVEL

struct gst_spconv_cuda_stream *gst_spconv_cuda_stream_new(struct gst_spconv_cuda *cuda)
{
    GstCudaStream *shared = cuda->context ? gst_cuda_stream_new(cuda->context) : NULL;
    struct gst_spconv_cuda_stream *stream;

    if (!shared)
        return NULL;
    stream = g_new0(struct gst_spconv_cuda_stream, 1);
    stream->shared = shared;
    return stream;
}

void gst_spconv_cuda_stream_free(struct gst_spconv_cuda_stream **stream)
{
    if (*stream)
        gst_clear_cuda_stream(&(*stream)->shared);
    g_clear_pointer(stream, g_free);
}

gpointer gst_spconv_cuda_stream_handle(const struct gst_spconv_cuda_stream *stream)
{
    return gst_cuda_stream_get_handle(stream->shared);
}

static GstMemory *alloc_memory(GstCudaContext *context, const struct gst_spconv_cuda_stream *stream,
                               const GstVideoInfo *info)
{
    return gst_cuda_allocator_alloc(NULL, context, stream ? stream->shared : NULL, info);
}

static gpointer stream_of(GstMemory *memory)
{
    GstCudaStream *stream = gst_cuda_memory_get_stream(GST_CUDA_MEMORY_CAST(memory));

    if (!stream || !GST_MEMORY_FLAG_IS_SET(memory, GST_CUDA_MEMORY_TRANSFER_NEED_SYNC))
        return NULL;
    return gst_cuda_stream_get_handle(stream);
}

void gst_spconv_cuda_set_complete(GstBuffer *buffer)
{
    guint i;

    for (i = 0; i < gst_buffer_n_memory(buffer); i++)
        GST_MEMORY_FLAG_UNSET(gst_buffer_peek_memory(buffer, i),
                              GST_CUDA_MEMORY_TRANSFER_NEED_SYNC);
}

#else

struct gst_spconv_cuda_stream *gst_spconv_cuda_stream_new(struct gst_spconv_cuda *cuda)
{
    struct gst_spconv_cuda_stream *stream;
    CUstream handle = NULL;

    if (!cuda->context || !gst_cuda_context_push(cuda->context))
        return NULL;
    if (!gst_cuda_result(CuStreamCreate(&handle, CU_STREAM_NON_BLOCKING)))
        handle = NULL;
    gst_cuda_context_pop(NULL);
    if (!handle)
        return NULL;
    stream = g_new0(struct gst_spconv_cuda_stream, 1);
    stream->context = gst_object_ref(cuda->context);
    stream->handle = handle;
    return stream;
}

void gst_spconv_cuda_stream_free(struct gst_spconv_cuda_stream **stream)
{
    if (*stream && gst_cuda_context_push((*stream)->context)) {
        gst_cuda_result(CuStreamDestroy((*stream)->handle));
        gst_cuda_context_pop(NULL);
    }
    if (*stream)
        gst_object_unref((*stream)->context);
    g_clear_pointer(stream, g_free);
}

gpointer gst_spconv_cuda_stream_handle(const struct gst_spconv_cuda_stream *stream)
{
    return stream->handle;
}

static GstMemory *alloc_memory(GstCudaContext *context, const struct gst_spconv_cuda_stream *stream,
                               const GstVideoInfo *info)
{
    GstAllocator *allocator = gst_allocator_find(GST_CUDA_MEMORY_TYPE_NAME);
    GstMemory *memory = gst_cuda_allocator_alloc(GST_CUDA_ALLOCATOR(allocator), context, info);

    (void)stream;
    gst_object_unref(allocator);
    return memory;
}

static gpointer stream_of(GstMemory *memory)
{
    (void)memory;
    return NULL;
}

void gst_spconv_cuda_set_complete(GstBuffer *buffer)
{
    (void)buffer;
}

#endif

/* ------------------------------------------------------------------ memory ------------------- */

/* Plain bytes, as the one row of a picture: of the formats that every version of libgstcuda takes,
 * RGBA wastes the fewest. The library rounds the size up to its pitch, that is undone; a size
 * that is no whole pixel is cut only when the copy in system memory has been made, since that is
 * made of the size then, and filled with whole pixels. */
static GstMemory *alloc_bytes(GstCudaContext *context, const struct gst_spconv_cuda_stream *stream,
                              gsize bytes)
{
    const gsize pixels = (bytes + 3) / 4;
    GstVideoInfo info;
    GstMemory *memory;
    GstMapInfo map;

    if (pixels > G_MAXINT / 4 ||
        !gst_video_info_set_format(&info, GST_VIDEO_FORMAT_RGBA, (guint)pixels, 1))
        return NULL;
    memory = alloc_memory(context, stream, &info);
    if (!memory)
        return NULL;
    gst_memory_resize(memory, 0, pixels * 4);
    if (bytes % 4) {
        if (gst_memory_map(memory, &map, GST_MAP_READ))
            gst_memory_unmap(memory, &map);
        gst_memory_resize(memory, 0, bytes);
    }
    return memory;
}

void gst_spconv_cuda_offer_pinned(struct gst_spconv_cuda *cuda, GstQuery *query)
{
    if (!cuda->context)
        return;
    if (!cuda->pinned)
        cuda->pinned = gst_spconv_pinned_new(cuda->context);
    gst_query_add_allocation_param(query, cuda->pinned, NULL);
}

/* ------------------------------------------------------------------ the pool ----------------- */

#define GST_TYPE_SPCONV_CUDA_POOL (gst_spconv_cuda_pool_get_type())
G_DECLARE_FINAL_TYPE(GstSpconvCudaPool, gst_spconv_cuda_pool, GST, SPCONV_CUDA_POOL, GstBufferPool)

struct _GstSpconvCudaPool {
    GstBufferPool parent;
    GstCudaContext *context;
    GstAllocator *pinned; /* NULL: memory of the device */
#if STREAMS_TRAVEL
    GstCudaStream *stream;
#endif
    gsize bytes[GST_SPCONV_CUDA_MAX_BLOCKS];
    guint num_blocks;
};

G_DEFINE_TYPE(GstSpconvCudaPool, gst_spconv_cuda_pool, GST_TYPE_BUFFER_POOL)

static GstMemory *alloc_block(GstSpconvCudaPool *self, gsize bytes)
{
    const struct gst_spconv_cuda_stream *stream = NULL;
#if STREAMS_TRAVEL
    struct gst_spconv_cuda_stream shared = {.shared = self->stream};

    stream = self->stream ? &shared : NULL;
#endif
    return self->pinned ? gst_allocator_alloc(self->pinned, bytes, NULL)
                        : alloc_bytes(self->context, stream, bytes);
}

static GstFlowReturn alloc_buffer(GstBufferPool *pool, GstBuffer **buffer,
                                  GstBufferPoolAcquireParams *params)
{
    GstSpconvCudaPool *self = GST_SPCONV_CUDA_POOL(pool);
    guint i;

    (void)params;
    *buffer = gst_buffer_new();
    for (i = 0; i < self->num_blocks; i++) {
        GstMemory *memory = alloc_block(self, self->bytes[i]);

        if (!memory) {
            GST_WARNING_OBJECT(pool, "no memory for %" G_GSIZE_FORMAT " bytes", self->bytes[i]);
            gst_clear_buffer(buffer);
            return GST_FLOW_ERROR;
        }
        gst_buffer_append_memory(*buffer, memory);
    }
    return GST_FLOW_OK;
}

static void pool_finalize(GObject *object)
{
    GstSpconvCudaPool *self = GST_SPCONV_CUDA_POOL(object);

    G_OBJECT_CLASS(gst_spconv_cuda_pool_parent_class)->finalize(object); /* frees the buffers */
#if STREAMS_TRAVEL
    gst_clear_cuda_stream(&self->stream);
#endif
    gst_clear_object(&self->pinned);
    gst_object_unref(self->context);
}

static void gst_spconv_cuda_pool_class_init(GstSpconvCudaPoolClass *klass)
{
    G_OBJECT_CLASS(klass)->finalize = pool_finalize;
    GST_BUFFER_POOL_CLASS(klass)->alloc_buffer = alloc_buffer;
}

static void gst_spconv_cuda_pool_init(GstSpconvCudaPool *self)
{
    (void)self;
}

GstBufferPool *gst_spconv_cuda_pool_new(struct gst_spconv_cuda *cuda,
                                        enum gst_spconv_cuda_kind kind,
                                        const struct gst_spconv_cuda_stream *stream,
                                        const gsize *bytes, guint num_blocks)
{
    GstSpconvCudaPool *self;

    g_return_val_if_fail(num_blocks && num_blocks <= GST_SPCONV_CUDA_MAX_BLOCKS, NULL);
    if (!cuda->context)
        return NULL;
    self = g_object_new(GST_TYPE_SPCONV_CUDA_POOL, NULL);
    gst_object_ref_sink(self);
    self->context = gst_object_ref(cuda->context);
    if (kind == GST_SPCONV_CUDA_PINNED)
        self->pinned = gst_spconv_pinned_new(cuda->context);
#if STREAMS_TRAVEL
    self->stream = stream ? gst_cuda_stream_ref(stream->shared) : NULL;
#else
    (void)stream;
#endif
    memcpy(self->bytes, bytes, num_blocks * sizeof(*bytes));
    self->num_blocks = num_blocks;
    return GST_BUFFER_POOL(self);
}

/* ------------------------------------------------------------------ mapping ------------------ */

gboolean gst_spconv_cuda_is_memory(GstBuffer *buffer)
{
    guint count = gst_buffer_n_memory(buffer), i;

    for (i = 0; i < count; i++)
        if (!gst_is_cuda_memory(gst_buffer_peek_memory(buffer, i)))
            return FALSE;
    return count > 0;
}

gboolean gst_spconv_cuda_map(struct gst_spconv_cuda_map *map, GstBuffer *buffer, GstMapFlags flags)
{
    guint count = gst_buffer_n_memory(buffer), i;

    memset(map, 0, sizeof(*map));
    if (count > GST_SPCONV_CUDA_MAX_BLOCKS || !gst_spconv_cuda_is_memory(buffer))
        return FALSE; /* system memory would map too, to addresses that the device does not know */
    map->buffer = buffer;
    for (i = 0; i < count; i++) {
        if (!gst_buffer_map_range(buffer, i, 1, &map->blocks[i], flags | GST_MAP_CUDA)) {
            gst_spconv_cuda_unmap(map);
            return FALSE;
        }
        map->num_blocks++;
        if (!map->stream) /* all blocks of a buffer are on one */
            map->stream = stream_of(gst_buffer_peek_memory(buffer, i));
    }
    return TRUE;
}

void gst_spconv_cuda_unmap(struct gst_spconv_cuda_map *map)
{
    guint i;

    for (i = 0; i < map->num_blocks; i++)
        gst_buffer_unmap(map->buffer, &map->blocks[i]);
    memset(map, 0, sizeof(*map));
}

gboolean gst_spconv_cuda_copy(struct gst_spconv_cuda *cuda, gpointer to, gconstpointer from,
                              gsize bytes, gboolean from_host)
{
    CUDA_MEMCPY2D copy = {
        .srcMemoryType = from_host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE,
        .srcHost = from_host ? from : NULL,
        .srcDevice = from_host ? 0 : (CUdeviceptr)from,
        .srcPitch = bytes,
        .dstMemoryType = CU_MEMORYTYPE_DEVICE,
        .dstDevice = (CUdeviceptr)to,
        .dstPitch = bytes,
        .WidthInBytes = bytes,
        .Height = 1,
    };
    gboolean ok;

    if (!bytes)
        return TRUE;
    if (!gst_spconv_cuda_enter(cuda))
        return FALSE;
    ok = gst_cuda_result(CuMemcpy2D(&copy));
    ok = ok && gst_cuda_result(CuStreamSynchronize(NULL)); /* between two arrays it returns early */
    gst_spconv_cuda_leave(cuda);
    return ok;
}
