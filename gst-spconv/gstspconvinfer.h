/* SPDX-License-Identifier: MIT */
/*
 * The element spconvinfer; its parts share this header.
 *
 *   gstspconvinfer.c          the class, events and queries
 *   gstspconvinferprops.c     properties
 *   gstspconvinfersession.c   the model, its sessions, warm-up
 *   gstspconvinfernego.c      caps
 *   gstspconvinferpool.c      memory of buffers: upstream's and the outputs'
 *   gstspconvinferflight.c    which frame runs when, and who pushes it
 *   gstspconvinferframe.c     a frame from the input's memory through a session into the output's
 *
 * Each of the sessions that share the model takes one frame at a time. With one of them a frame is
 * run and pushed by the thread that brings it. With more, that thread only submits, and the src
 * pad's task waits for the oldest frame and pushes it. What else is serialized with the frames
 * waits until none is in flight.
 */
#ifndef GST_SPCONV_INFER_H
#define GST_SPCONV_INFER_H

#include <gst/base/gstbasetransform.h>
#include <spc/spc.h>

#include "gstspconvcaps.h"
#include "gstspconvcudavoxels.h"
#include "gstspconvenums.h"
#include "gstspconvstats.h"
#include "gstspconvvoxels.h"

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
    gboolean cuda_graph, aux_stream, sort_mask;
    guint fixed_launch_points;
    gint cuda_device_id;
    gchar *tuning_cache;
    guint threads;
    guint inflight;
    guint max_voxels;
    guint site_bound;
    guint stats_interval; /* milliseconds, 0: never */
};

/* What the model takes and gives; under the object lock. From start until a property changes. */
struct gst_spconv_infer_contract {
    gboolean loaded;
    gboolean cuda;            /* both pads can have CUDA memory */
    enum spc_dtype cuda_type; /* of an output in CUDA memory; below is that in system memory */
    struct gst_spconv_voxels_info input; /* feature_type NONE: either */
    gboolean sparse;                     /* the output is `sites`, else `bev` */
    struct gst_spconv_bev_info bev;
    struct gst_spconv_voxels_info sites;
};

/* A session, and the frame that is in it. */
struct gst_spconv_infer_slot {
    struct spc_session *session;
    struct spc_output *outputs;            /* [output + 1] */
    struct gst_spconv_cuda_stream *stream; /* for voxels in CUDA memory that are on none */

    GstBuffer *in, *out; /* of the frame, not owned here; `in` is NULL for an empty one */
    gboolean discont;    /* a frame before this one is missing */
    gint64 num_voxels;   /* -1: only the device knows */
    GstClockTime begin, submitted; /* `begin` is later by what it waited for downstream */
    struct gst_spconv_voxels host_in;
    struct gst_spconv_cuda_voxels cuda_in;
    GstMapInfo host_out;
    struct gst_spconv_cuda_map cuda_out;
};

#define GST_SPCONV_INFER_MAX_INFLIGHT 8

/* Frames on their way, the oldest in slot `first`. */
struct gst_spconv_infer_flight {
    GMutex lock; /* of all below */
    GCond changed;
    guint first, count;
    gboolean pushing;   /* the task has a finished frame in hand */
    gboolean flushing;  /* frames are dropped as they finish */
    gboolean stopping;  /* the src pad is not active: nothing waits any more */
    gboolean lost;      /* the task: a frame before the next one is missing */
    gboolean reported;  /* upstream knows `flow`, or it is not worth an error of our own */
    GstFlowReturn flow; /* of the last push */
    GstPadActivateModeFunction activate_base;
};

struct _GstSpconvInfer {
    GstBaseTransform parent;

    struct gst_spconv_infer_settings settings;
    struct gst_spconv_infer_contract contract;
    struct spc_session_info session_info; /* of the last session; under the object lock */
    struct gst_spconv_stats stats;        /* under the object lock */
    struct gst_spconv_cuda *cuda;         /* NULL in a build without it */
    struct gst_spconv_infer_flight flight;

    /* From start to stop; the streaming thread's, and constant while frames are in flight. */
    struct spc_model *model;
    struct gst_spconv_infer_slot slots[GST_SPCONV_INFER_MAX_INFLIGHT];
    guint num_slots;
    enum spc_dtype session_type; /* that the sessions were asked to give */
    gboolean on_cuda;            /* sessions compute there */
    gint output;                 /* the one that is pushed */
    enum gst_spconv_overflow overflow;
    struct gst_spconv_voxels_info input; /* negotiated */
    struct gst_spconv_bev_info bev;
    struct gst_spconv_voxels_info sites;
    gboolean cuda_in, cuda_out; /* negotiated: CUDA memory */
    gboolean lost;              /* a frame was dropped before it was submitted */
    gboolean refused;           /* the caps, and said so */
    gboolean explained;         /* set_caps was reached, and says itself why it refuses */
    gint64 next_stats;          /* monotonic microseconds; of who finishes frames */
};

GST_DEBUG_CATEGORY_EXTERN(gst_spconv_infer_debug);

/* gstspconvinferprops.c */
void gst_spconv_infer_settings_init(struct gst_spconv_infer_settings *settings);
void gst_spconv_infer_settings_clear(struct gst_spconv_infer_settings *settings);
void gst_spconv_infer_install_properties(GObjectClass *klass);
/* The `stats` structure. */
GstStructure *gst_spconv_infer_describe(GstSpconvInfer *self);

/* A copy, to be cleared. */
struct gst_spconv_infer_settings gst_spconv_infer_settings_copy(GstSpconvInfer *self);

/* gstspconvinfersession.c; failures are posted */
gboolean gst_spconv_infer_load(GstSpconvInfer *self);
void gst_spconv_infer_unload(GstSpconvInfer *self);
/* Has sessions whose outputs are of this type (NONE: the precision's own), warmed up. */
gboolean gst_spconv_infer_make_sessions(GstSpconvInfer *self, enum spc_dtype type);
/* Moves to the context of the voxels in `buffer`; no frame may be in flight. */
gboolean gst_spconv_infer_follow_context(GstSpconvInfer *self, GstBuffer *buffer);

/* gstspconvinfernego.c */
void gst_spconv_infer_install_negotiation(GstBaseTransformClass *klass);
/* After the model and the sessions are there. */
void gst_spconv_infer_set_contract(GstSpconvInfer *self);
struct gst_spconv_infer_contract gst_spconv_infer_get_contract(GstSpconvInfer *self);
/* What a query for the sink pad's caps is answered with; the caller's. */
GstCaps *gst_spconv_infer_get_sink_caps(GstSpconvInfer *self, GstCaps *filter);
/* Passes a CAPS event to the base class; a refusal posts an error that says why. */
gboolean gst_spconv_infer_take_caps(GstSpconvInfer *self, GstEvent *event);

/* gstspconvinferpool.c */
void gst_spconv_infer_install_allocation(GstBaseTransformClass *klass);

/* gstspconvinferflight.c */
void gst_spconv_infer_install_flight(GstBaseTransformClass *klass);
void gst_spconv_infer_flight_init(GstSpconvInfer *self);
void gst_spconv_infer_flight_clear(GstSpconvInfer *self);
/* Start the task, where there is to be one. End it, and forget what is in flight. */
void gst_spconv_infer_flight_start(GstSpconvInfer *self);
void gst_spconv_infer_flight_stop(GstSpconvInfer *self);
/* Wait until no frame is in flight: all were pushed, or dropped where the pad flushes. */
void gst_spconv_infer_drain(GstSpconvInfer *self);
void gst_spconv_infer_set_flushing(GstSpconvInfer *self, gboolean flushing);
/* Frames are pushed again where the last push came to `flow`: that may have changed. */
void gst_spconv_infer_retry(GstSpconvInfer *self, GstFlowReturn flow);
/* At the end of the stream: posts a failed push that upstream did not get to know. */
void gst_spconv_infer_report_flow(GstSpconvInfer *self);
/* Answers an empty frame with zeros. */
GstFlowReturn gst_spconv_infer_push_zeros(GstSpconvInfer *self, GstClockTime pts,
                                          GstClockTime duration);

/* gstspconvinferframe.c */
/* Submits a frame to an idle slot; both buffers must live on until it has ended. `in` NULL: an
 * empty frame. On failure the slot is idle again, and what is to be posted was. */
GstFlowReturn gst_spconv_infer_begin(GstSpconvInfer *self, struct gst_spconv_infer_slot *slot,
                                     GstBuffer *in, GstBuffer *out);
/* Waits for it; the slot is idle again. Likewise. */
GstFlowReturn gst_spconv_infer_end(GstSpconvInfer *self, struct gst_spconv_infer_slot *slot);
/* Waits for it, whatever came of it. */
void gst_spconv_infer_abandon(GstSpconvInfer *self, struct gst_spconv_infer_slot *slot);
void gst_spconv_infer_post_stats(GstSpconvInfer *self);

G_END_DECLS

#endif
