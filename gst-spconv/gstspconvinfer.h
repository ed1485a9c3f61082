/* SPDX-License-Identifier: MIT */
/*
 * The element spconvinfer; its parts share this header.
 *
 *   gstspconvinfer.c        the class, loading and unloading, events and queries
 *   gstspconvinferprops.c   properties
 *   gstspconvinfernego.c    caps and buffer pool
 *   gstspconvinferframe.c   frames through the engine
 */
#ifndef GST_SPCONV_INFER_H
#define GST_SPCONV_INFER_H

#include <gst/base/gstbasetransform.h>
#include <spc/spc.h>

#include "gstspconvcaps.h"
#include "gstspconvenums.h"
#include "gstspconvstats.h"

G_BEGIN_DECLS

#define GST_TYPE_SPCONV_INFER (gst_spconv_infer_get_type())
G_DECLARE_FINAL_TYPE(GstSpconvInfer, gst_spconv_infer, GST, SPCONV_INFER, GstBaseTransform)

/* The base class, whose methods ours extend. */
#define GST_SPCONV_INFER_BASE GST_BASE_TRANSFORM_CLASS(g_type_class_peek(GST_TYPE_BASE_TRANSFORM))

/* Properties; under the object lock. */
struct gst_spconv_infer_settings {
    gchar *model_file;
    gchar *output; /* NULL: the first dense one */
    enum gst_spconv_backend backend;
    enum spc_precision precision;
    enum spc_index_order index_order;
    enum spc_dtype output_type; /* NONE: auto */
    enum gst_spconv_overflow overflow;
    enum gst_spconv_empty_frames empty_frames;
    gboolean cuda_graph;
    gint cuda_device_id;
    guint threads;
    guint max_voxels;
    guint site_bound;
    guint stats_interval; /* milliseconds, 0: never */
};

/* What the model takes and gives; under the object lock. From start until a property changes. */
struct gst_spconv_infer_contract {
    gboolean loaded;
    struct gst_spconv_voxels_info input; /* feature_type NONE: either */
    gboolean sparse;                     /* the output is `sites`, else `bev` */
    struct gst_spconv_bev_info bev;
    struct gst_spconv_voxels_info sites;
};

struct _GstSpconvInfer {
    GstBaseTransform parent;

    struct gst_spconv_infer_settings settings;
    struct gst_spconv_infer_contract contract;
    struct spc_session_info session_info; /* of the last session; under the object lock */
    struct gst_spconv_stats stats;        /* under the object lock */

    /* From start to stop; the streaming thread's. */
    struct spc_model *model;
    struct spc_session *session;
    struct spc_output *outputs; /* [output + 1] */
    gint output;                /* the one that is pushed */
    enum gst_spconv_overflow overflow;
    struct gst_spconv_voxels_info input; /* negotiated */
    struct gst_spconv_bev_info bev;
    struct gst_spconv_voxels_info sites;
    gboolean refused;   /* the caps, and said so */
    gboolean explained; /* set_caps was reached, and says itself why it refuses */
    gint64 next_stats;  /* monotonic microseconds */
};

GST_DEBUG_CATEGORY_EXTERN(gst_spconv_infer_debug);

/* gstspconvinferprops.c */
void gst_spconv_infer_settings_init(struct gst_spconv_infer_settings *settings);
void gst_spconv_infer_settings_clear(struct gst_spconv_infer_settings *settings);
void gst_spconv_infer_install_properties(GObjectClass *klass);
/* The `stats` structure. */
GstStructure *gst_spconv_infer_describe(GstSpconvInfer *self);

/* gstspconvinfernego.c */
void gst_spconv_infer_install_negotiation(GstBaseTransformClass *klass);
/* After the model and the session are there. */
void gst_spconv_infer_set_contract(GstSpconvInfer *self);
struct gst_spconv_infer_contract gst_spconv_infer_get_contract(GstSpconvInfer *self);
/* What a query for the sink pad's caps is answered with; the caller's. */
GstCaps *gst_spconv_infer_get_sink_caps(GstSpconvInfer *self, GstCaps *filter);
/* Passes a CAPS event to the base class; a refusal posts an error that says why. */
gboolean gst_spconv_infer_take_caps(GstSpconvInfer *self, GstEvent *event);

/* gstspconvinferframe.c */
void gst_spconv_infer_install_frames(GstBaseTransformClass *klass);
/* A synthetic frame, so that the first real one costs what the others do. */
gboolean gst_spconv_infer_warm_up(GstSpconvInfer *self);
void gst_spconv_infer_post_stats(GstSpconvInfer *self);
/* Answers an empty frame with zeros. */
GstFlowReturn gst_spconv_infer_push_zeros(GstSpconvInfer *self, GstClockTime pts,
                                          GstClockTime duration);

G_END_DECLS

#endif
