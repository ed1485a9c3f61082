/* SPDX-License-Identifier: MIT */
/* GTypes of the enumerations that properties use. Values are the engine's where it has them. */
#ifndef GST_SPCONV_ENUMS_H
#define GST_SPCONV_ENUMS_H

#include <gst/gst.h>
#include <spc/spc.h>

G_BEGIN_DECLS

enum gst_spconv_backend {
    GST_SPCONV_BACKEND_AUTO,
    GST_SPCONV_BACKEND_CPU,
    GST_SPCONV_BACKEND_CUDA,
};

enum gst_spconv_overflow {
    GST_SPCONV_OVERFLOW_ERROR,
    GST_SPCONV_OVERFLOW_DROP_FRAME,
};

enum gst_spconv_empty_frames {
    GST_SPCONV_EMPTY_ZEROS,
    GST_SPCONV_EMPTY_GAP,
};

#define GST_TYPE_SPCONV_BACKEND (gst_spconv_backend_get_type())
#define GST_TYPE_SPCONV_PRECISION (gst_spconv_precision_get_type())
#define GST_TYPE_SPCONV_OVERFLOW (gst_spconv_overflow_get_type())
#define GST_TYPE_SPCONV_EMPTY_FRAMES (gst_spconv_empty_frames_get_type())
/* SPC_DTYPE_NONE (auto), SPC_DTYPE_F32, SPC_DTYPE_F16 */
#define GST_TYPE_SPCONV_FLOAT_TYPE (gst_spconv_float_type_get_type())
/* enum spc_index_order */
#define GST_TYPE_SPCONV_INDEX_ORDER (gst_spconv_index_order_get_type())

GType gst_spconv_backend_get_type(void);
GType gst_spconv_precision_get_type(void);
GType gst_spconv_overflow_get_type(void);
GType gst_spconv_empty_frames_get_type(void);
GType gst_spconv_float_type_get_type(void);
GType gst_spconv_index_order_get_type(void);

/* Register an enumeration as part of the plugin's interface, or find it in *type (a static 0),
 * where it is kept. `values` are static and end with {0, NULL, NULL}. */
GType gst_spconv_register_enum(gsize *type, const gchar *name, const GEnumValue *values);

/* "auto", "cpu", "cuda": the engine's names. */
const gchar *gst_spconv_backend_name(enum gst_spconv_backend backend);

G_END_DECLS

#endif
