/* SPDX-License-Identifier: MIT */
/* Enumerations of properties: see the header. */
#include "gstspconvenums.h"

GType gst_spconv_register_enum(gsize *type, const gchar *name, const GEnumValue *values)
{
    if (g_once_init_enter(type)) {
        GType made = g_enum_register_static(name, values);

        gst_type_mark_as_plugin_api(made, 0);
        g_once_init_leave(type, made);
    }
    return *type;
}

#define DEFINE_ENUM(function, name, ...)                                                           \
    GType function(void)                                                                           \
    {                                                                                              \
        static gsize type;                                                                         \
        static const GEnumValue values[] = {__VA_ARGS__, {0, NULL, NULL}};                         \
                                                                                                   \
        return gst_spconv_register_enum(&type, name, values);                                      \
    }

DEFINE_ENUM(gst_spconv_backend_get_type, "GstSpconvBackend",
            {GST_SPCONV_BACKEND_AUTO, "As the text above says", "auto"},
            {GST_SPCONV_BACKEND_CPU, "The CPU", "cpu"},
            {GST_SPCONV_BACKEND_CUDA, "A CUDA device; an error where there is none", "cuda"})

DEFINE_ENUM(gst_spconv_precision_get_type, "GstSpconvPrecision",
            {SPC_PRECISION_AUTO, "fp32 on the CPU, fp16 on CUDA", "auto"},
            {SPC_PRECISION_FP32, "32-bit floats", "fp32"},
            {SPC_PRECISION_FP16, "16-bit storage, 32-bit sums", "fp16"},
            {SPC_PRECISION_INT8, "8-bit integers, with the ranges in the model; not there yet",
             "int8"})

DEFINE_ENUM(gst_spconv_overflow_get_type, "GstSpconvOverflow",
            {GST_SPCONV_OVERFLOW_ERROR, "Stop with an error", "error"},
            {GST_SPCONV_OVERFLOW_DROP_FRAME, "Drop the frame whole, warn and count it",
             "drop-frame"})

DEFINE_ENUM(gst_spconv_empty_frames_get_type, "GstSpconvEmptyFrames",
            {GST_SPCONV_EMPTY_ZEROS, "Push a BEV of zeros, flagged GAP", "zeros"},
            {GST_SPCONV_EMPTY_GAP, "Forward the GAP event", "gap"})

DEFINE_ENUM(gst_spconv_float_type_get_type, "GstSpconvFloatType",
            {SPC_DTYPE_NONE, "As the text above says", "auto"},
            {SPC_DTYPE_F32, "32-bit floats", "float32"},
            {SPC_DTYPE_F16, "16-bit floats", "float16"})

DEFINE_ENUM(gst_spconv_index_order_get_type, "GstSpconvIndexOrder",
            {SPC_INDEX_ORDER_AUTO, "From the model, or what downstream wants", "auto"},
            {SPC_INDEX_ZYX, "Batch, z, y, x", "bzyx"}, {SPC_INDEX_XYZ, "Batch, x, y, z", "bxyz"})

const gchar *gst_spconv_backend_name(enum gst_spconv_backend backend)
{
    static const gchar *names[] = {"auto", "cpu", "cuda"};

    return names[backend];
}
