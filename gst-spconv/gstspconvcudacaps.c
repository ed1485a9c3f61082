/* SPDX-License-Identifier: MIT */
/* Caps of CUDA memory, which need no libgstcuda. */
#include "gstspconvcuda.h"

GstCaps *gst_spconv_cuda_caps(GstCaps *caps)
{
    caps = gst_caps_make_writable(caps);
    gst_caps_set_features_simple(caps, gst_caps_features_new(GST_SPCONV_CUDA_FEATURE, NULL));
    return caps;
}

gboolean gst_spconv_cuda_caps_are(const GstCaps *caps, guint i)
{
    GstCapsFeatures *features = gst_caps_get_features(caps, i);

    return features && !gst_caps_features_is_any(features) &&
           gst_caps_features_contains(features, GST_SPCONV_CUDA_FEATURE);
}

gboolean gst_spconv_cuda_caps_name(const GstCaps *caps)
{
    guint i;

    if (gst_caps_is_any(caps))
        return FALSE;
    for (i = 0; i < gst_caps_get_size(caps); i++)
        if (gst_spconv_cuda_caps_are(caps, i))
            return TRUE;
    return FALSE;
}
