/* SPDX-License-Identifier: MIT */
/*
 * What bevrender draws: the caps of its sink pad as one struct, and a frame of them as a picture.
 *
 * Errors are GST_STREAM_ERROR_FORMAT. Belongs to the streaming thread.
 */
#ifndef GST_BEV_INPUT_H
#define GST_BEV_INPUT_H

#include "gstbevsettings.h"
#include "gstspconvcaps.h"

G_BEGIN_DECLS

struct gst_bev_input {
    gboolean is_points;
    struct gst_spconv_points_info points;
    struct gst_spconv_bev_info bev;
    gfloat *scratch; /* points: x, y, z, value by columns; BEV: the plane */
    gsize capacity;  /* floats at scratch */
};

/* Take caps of either kind. `input` keeps its scratch memory and is untouched on failure. */
gboolean gst_bev_input_set_caps(struct gst_bev_input *input, const GstCaps *caps, GError **error);
void gst_bev_input_clear(struct gst_bev_input *input);

/* The view of a picture of this size; returns whether its unit is known to be the metre. */
gboolean gst_bev_input_get_view(const struct gst_bev_input *input,
                                const struct gst_bev_settings *settings, gint width, gint height,
                                struct bev_view *view);

/* Draw a frame on the picture, and the legend. Fails, with the picture unusable, for a buffer of
 * the wrong size, or settings that name what the input does not have. */
gboolean gst_bev_input_draw(struct gst_bev_input *input, const struct gst_bev_settings *settings,
                            GstBuffer *buffer, struct bev_picture *picture, GError **error);

G_END_DECLS

#endif
