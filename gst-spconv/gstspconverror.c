/* SPDX-License-Identifier: MIT */
/* Errors: see the header. */
#include "gstspconverror.h"
#include "gstspconvstats.h"

gboolean gst_spconv_fail(GError **error, const gchar *format, ...)
{
    va_list args;

    if (error) {
        va_start(args, format);
        *error = g_error_new_valist(GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, format, args);
        va_end(args);
    }
    return FALSE;
}

void gst_spconv_post_error(GstElement *element, const struct spc_error *error)
{
    static const struct {
        gboolean resource; /* else library */
        gint code;
    } codes[] = {
        [SPC_ERR_ARGUMENT] = {TRUE, GST_RESOURCE_ERROR_SETTINGS},
        [SPC_ERR_MEMORY] = {TRUE, GST_RESOURCE_ERROR_NO_SPACE_LEFT},
        [SPC_ERR_IO] = {TRUE, GST_RESOURCE_ERROR_OPEN_READ},
        [SPC_ERR_FORMAT] = {TRUE, GST_RESOURCE_ERROR_READ},
        [SPC_ERR_MODEL] = {TRUE, GST_RESOURCE_ERROR_READ},
        [SPC_ERR_UNSUPPORTED] = {TRUE, GST_RESOURCE_ERROR_SETTINGS},
        [SPC_ERR_CAPACITY] = {TRUE, GST_RESOURCE_ERROR_NO_SPACE_LEFT},
        [SPC_ERR_BACKEND] = {TRUE, GST_RESOURCE_ERROR_NOT_FOUND},
        [SPC_ERR_DEVICE] = {FALSE, GST_LIBRARY_ERROR_FAILED},
    };
    enum spc_status status = error->status;

    if (status == SPC_ERR_INPUT)
        gst_element_message_full(element, GST_MESSAGE_ERROR, GST_STREAM_ERROR,
                                 GST_STREAM_ERROR_FORMAT, g_strdup(error->message), NULL, __FILE__,
                                 GST_FUNCTION, __LINE__);
    else
        gst_element_message_full(element, GST_MESSAGE_ERROR,
                                 codes[status].resource ? GST_RESOURCE_ERROR : GST_LIBRARY_ERROR,
                                 codes[status].code, g_strdup(error->message), NULL, __FILE__,
                                 GST_FUNCTION, __LINE__);
}

gboolean gst_spconv_refuse_caps(GstElement *element, gboolean *refused, const gchar *format, ...)
{
    va_list args;

    if (!*refused) {
        va_start(args, format);
        gst_element_message_full(element, GST_MESSAGE_ERROR, GST_CORE_ERROR,
                                 GST_CORE_ERROR_NEGOTIATION, gst_info_strdup_vprintf(format, args),
                                 NULL, __FILE__, GST_FUNCTION, __LINE__);
        va_end(args);
    }
    *refused = TRUE;
    return FALSE;
}

GstFlowReturn gst_spconv_post_no_memory(GstElement *element, guint64 rows)
{
    GST_ELEMENT_ERROR(
        element, RESOURCE, NO_SPACE_LEFT,
        ("There is no memory for a frame of %" G_GUINT64_FORMAT " voxels: lower max-voxels.", rows),
        (NULL));
    return GST_FLOW_ERROR;
}

gboolean gst_spconv_enter_cuda(GstElement *element, struct gst_spconv_cuda *cuda)
{
    if (gst_spconv_cuda_enter(cuda))
        return TRUE;
    GST_ELEMENT_ERROR(element, LIBRARY, FAILED,
                      ("The CUDA context cannot be used any more: set the pipeline to NULL and "
                       "start it again; if nvidia-smi fails too, reset the GPU."),
                      (NULL));
    return FALSE;
}

GstFlowReturn gst_spconv_refuse_frame(GstElement *element, const struct spc_error *error,
                                      gboolean drop, guint64 *dropped)
{
    if (error->status != SPC_ERR_CAPACITY || !drop) {
        gst_spconv_post_error(element, error);
        return GST_FLOW_ERROR;
    }
    gst_spconv_count(GST_OBJECT(element), dropped);
    GST_ELEMENT_WARNING(element, RESOURCE, NO_SPACE_LEFT,
                        ("A frame is dropped: %s", error->message), (NULL));
    return GST_BASE_TRANSFORM_FLOW_DROPPED;
}
