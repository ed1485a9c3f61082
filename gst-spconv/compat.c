/* SPDX-License-Identifier: MIT */
/* Newer GStreamer API: see the header. */
#include "compat.h"

#ifdef HAVE_GST_TENSOR_META
#include <gst/analytics/gsttensor.h>
#include <gst/analytics/gsttensormeta.h>

void gst_spconv_add_tensor_meta(GstBuffer *buffer, const struct gst_spconv_bev_info *info)
{
    GstTensor **tensors = g_new(GstTensor *, 1);
    GstBuffer *data = gst_buffer_new();
    gsize dims[SPC_MAX_RANK];
    guint i;

    for (i = 0; i < info->rank; i++)
        dims[i] = info->dims[i];
    gst_buffer_append_memory(data, gst_buffer_get_memory(buffer, 0));
    tensors[0] = gst_tensor_new_simple(g_quark_from_static_string("spconv-bev-features-v1"),
                                       info->type == SPC_DTYPE_F16 ? GST_TENSOR_DATA_TYPE_FLOAT16
                                                                   : GST_TENSOR_DATA_TYPE_FLOAT32,
                                       data, GST_TENSOR_DIM_ORDER_ROW_MAJOR, info->rank, dims);
    gst_tensor_meta_set(gst_buffer_add_tensor_meta(buffer), 1, tensors);
}

#else

void gst_spconv_add_tensor_meta(GstBuffer *buffer, const struct gst_spconv_bev_info *info)
{
    (void)buffer;
    (void)info;
}

#endif
