/* SPDX-License-Identifier: MIT */
/**
 * SECTION:element-bevrender
 * @title: bevrender
 * @short_description: Point clouds and bird's-eye-view tensors as video
 *
 * bevrender draws what a lidar pipeline carries, seen from above: point clouds coloured by height,
 * distance or any of their fields, and feature maps (the output of spconvinfer) reduced to one
 * value per cell. In the picture front (x) is up and left (y) is left, for tensors with rows along
 * y (`bev-axes=yx`, also where the caps do not say) as for those with rows along x (`xy`). Rings
 * mark the distance, an arrow the sensor.
 *
 * Without #bevrender:value-min and #bevrender:value-max the colours span what is in the frame,
 * less a few outliers; nothing is carried from frame to frame. Where points cover each other the
 * highest is seen. A value that is no number is drawn in magenta.
 *
 * The picture has 800 x 800 pixels unless downstream asks for another size. An empty cloud gives
 * the empty grid.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 lidartestsrc num-buffers=1 ! bevrender ! videoconvert ! pngenc ! \
 *   filesink location=street.png
 * ]| One frame as a picture.
 * |[
 * gst-launch-1.0 lidartestsrc num-buffers=100 ! \
 *   bevrender color-by=intensity colormap=viridis range=30 ! \
 *   video/x-raw,width=1280,height=720 ! videoconvert ! autovideosink
 * ]| A moving picture of chosen size.
 *
 * Since: 0.1
 */
#include "gstbevrender.h"

#include <gst/video/video.h>

#include <string.h>

#include "gstbevinput.h"
#include "gstspconvelements.h"
#include "gstspconvproperties.h"

GST_DEBUG_CATEGORY_STATIC(bev_render_debug);
#define GST_CAT_DEFAULT bev_render_debug

#define DEFAULT_SIZE 800

struct _GstBevRender {
    GstBaseTransform parent;

    struct gst_bev_settings settings; /* under the object lock */
    gboolean restyle;                 /* likewise: the picture must be made anew */

    /* streaming thread */
    struct gst_bev_input input;
    struct bev_picture picture;
    GstVideoInfo video;
};

#define VIDEO_CAPS                                                                                 \
    "video/x-raw, format = (string) { BGRx, BGRA, RGBx, RGBA, RGB, BGR }, "                        \
    "width = (int) [ 16, 16384 ], height = (int) [ 16, 16384 ], "                                  \
    "framerate = (fraction) [ 0/1, max ]"

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE(
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS,
    GST_STATIC_CAPS(GST_SPCONV_POINTS_TEMPLATE "; " GST_SPCONV_BEV_TEMPLATE));
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS(VIDEO_CAPS));

G_DEFINE_TYPE(GstBevRender, gst_bev_render, GST_TYPE_BASE_TRANSFORM)
GST_ELEMENT_REGISTER_DEFINE(bevrender, "bevrender", GST_RANK_NONE, GST_TYPE_BEV_RENDER)

/* ------------------------------------------------------------------ negotiation -------------- */

/* The other pad's template, at the frame rates of `caps`. */
static GstCaps *gst_bev_render_transform_caps(GstBaseTransform *base, GstPadDirection direction,
                                              GstCaps *caps, GstCaps *filter)
{
    GstPad *other = direction == GST_PAD_SINK ? base->srcpad : base->sinkpad;
    GstCaps *template = gst_pad_get_pad_template_caps(other), *result = gst_caps_new_empty();

    for (guint i = 0; i < gst_caps_get_size(caps); i++) {
        const GValue *rate = gst_structure_get_value(gst_caps_get_structure(caps, i), "framerate");
        GstCaps *one = gst_caps_copy(template);

        if (rate)
            gst_caps_set_value(one, "framerate", rate);
        gst_caps_append(result, one);
    }
    gst_caps_unref(template);
    result = gst_caps_simplify(result);
    if (filter) {
        GstCaps *both = gst_caps_intersect_full(filter, result, GST_CAPS_INTERSECT_FIRST);
        gst_caps_unref(result);
        result = both;
    }
    return result;
}

static GstCaps *gst_bev_render_fixate_caps(GstBaseTransform *base, GstPadDirection direction,
                                           GstCaps *caps, GstCaps *other)
{
    (void)base;
    (void)caps;
    if (direction == GST_PAD_SINK) {
        GstStructure *s;

        other = gst_caps_make_writable(gst_caps_truncate(other));
        s = gst_caps_get_structure(other, 0);
        gst_structure_fixate_field_nearest_int(s, "width", DEFAULT_SIZE);
        gst_structure_fixate_field_nearest_int(s, "height", DEFAULT_SIZE);
        if (gst_structure_has_field(s, "pixel-aspect-ratio"))
            gst_structure_fixate_field_nearest_fraction(s, "pixel-aspect-ratio", 1, 1);
    }
    return gst_caps_fixate(other);
}

static gboolean gst_bev_render_set_caps(GstBaseTransform *base, GstCaps *in, GstCaps *out)
{
    GstBevRender *self = GST_BEV_RENDER(base);
    GError *error = NULL;

    if (!gst_bev_input_set_caps(&self->input, in, &error)) {
        GST_ELEMENT_ERROR(self, CORE, NEGOTIATION, ("%s", error->message),
                          ("caps %" GST_PTR_FORMAT, in));
        g_error_free(error);
        return FALSE;
    }
    GST_OBJECT_LOCK(self);
    self->restyle = TRUE;
    GST_OBJECT_UNLOCK(self);
    return gst_video_info_from_caps(&self->video, out);
}

/* Only from the input to the output is a size ever asked for. */
static gboolean gst_bev_render_transform_size(GstBaseTransform *base, GstPadDirection direction,
                                              GstCaps *caps, gsize size, GstCaps *other,
                                              gsize *other_size)
{
    GstVideoInfo video;

    (void)base;
    (void)caps;
    (void)size;
    if (direction != GST_PAD_SINK || !gst_video_info_from_caps(&video, other))
        return FALSE;
    *other_size = GST_VIDEO_INFO_SIZE(&video);
    return TRUE;
}

/* ------------------------------------------------------------------ drawing ------------------ */

/* 0xAARRGGBB pixels in the format's order of bytes. */
static void store(const struct bev_picture *picture, GstVideoFrame *frame)
{
    gint step = GST_VIDEO_FRAME_COMP_PSTRIDE(frame, 0), width = picture->view.width;
    gint r = GST_VIDEO_FRAME_COMP_POFFSET(frame, 0), g = GST_VIDEO_FRAME_COMP_POFFSET(frame, 1);
    gint b = GST_VIDEO_FRAME_COMP_POFFSET(frame, 2), a = step == 4 ? 6 - r - g - b : 0;

    for (gint row = 0; row < picture->view.height; row++) {
        const uint32_t *from = picture->pixels + (gsize)row * width;
        guint8 *to = (guint8 *)GST_VIDEO_FRAME_PLANE_DATA(frame, 0) +
                     (gsize)row * GST_VIDEO_FRAME_PLANE_STRIDE(frame, 0);

        for (gint column = 0; column < width; column++, to += step) {
            to[a] = (guint8)(from[column] >> 24); /* overwritten where there is no fourth byte */
            to[r] = (guint8)(from[column] >> 16);
            to[g] = (guint8)(from[column] >> 8);
            to[b] = (guint8)from[column];
        }
    }
}

/* Copy the settings for one frame, and make the picture anew if they or the caps changed. */
static gboolean prepare(GstBevRender *self, struct gst_bev_settings *settings)
{
    struct bev_view view;
    gboolean restyle, metric;

    GST_OBJECT_LOCK(self);
    *settings = self->settings;
    settings->color_by = g_strdup(self->settings.color_by ? self->settings.color_by : "");
    restyle = self->restyle;
    self->restyle = FALSE;
    GST_OBJECT_UNLOCK(self);
    if (!restyle)
        return TRUE;
    metric = gst_bev_input_get_view(&self->input, settings, GST_VIDEO_INFO_WIDTH(&self->video),
                                    GST_VIDEO_INFO_HEIGHT(&self->video), &view);
    return bev_picture_init(&self->picture, &view, settings->background, metric && settings->grid);
}

static GstFlowReturn gst_bev_render_transform(GstBaseTransform *base, GstBuffer *in, GstBuffer *out)
{
    GstBevRender *self = GST_BEV_RENDER(base);
    struct gst_bev_settings settings;
    GstVideoFrame frame;
    GError *error = NULL;
    gboolean ok = prepare(self, &settings);

    if (!ok)
        GST_ELEMENT_ERROR(self, RESOURCE, NO_SPACE_LEFT,
                          ("No memory for a picture of %d x %d pixels: ask for a smaller one",
                           GST_VIDEO_INFO_WIDTH(&self->video), GST_VIDEO_INFO_HEIGHT(&self->video)),
                          (NULL));
    else if (!(ok = gst_bev_input_draw(&self->input, &settings, in, &self->picture, &error)))
        GST_ELEMENT_ERROR(self, STREAM, FORMAT, ("%s", error->message), (NULL));
    g_clear_error(&error);
    g_free(settings.color_by);
    if (!ok)
        return GST_FLOW_ERROR;
    if (!gst_video_frame_map(&frame, &self->video, out, GST_MAP_WRITE)) {
        GST_ELEMENT_ERROR(self, RESOURCE, WRITE, ("The video buffer cannot be written"), (NULL));
        return GST_FLOW_ERROR;
    }
    store(&self->picture, &frame);
    gst_video_frame_unmap(&frame);
    GST_BUFFER_FLAG_UNSET(out,
                          GST_BUFFER_FLAG_GAP); /* the picture of an empty frame is a picture */
    return GST_FLOW_OK;
}

static gboolean gst_bev_render_stop(GstBaseTransform *base)
{
    GstBevRender *self = GST_BEV_RENDER(base);

    gst_bev_input_clear(&self->input);
    bev_picture_finish(&self->picture);
    return TRUE;
}

/* ------------------------------------------------------------------ class -------------------- */

static void gst_bev_render_set_property(GObject *object, guint id, const GValue *value,
                                        GParamSpec *spec)
{
    GstBevRender *self = GST_BEV_RENDER(object);

    GST_OBJECT_LOCK(self);
    if (!gst_spconv_property_store(gst_bev_settings_at(&self->settings, id), value))
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    self->restyle = TRUE;
    GST_OBJECT_UNLOCK(self);
}

static void gst_bev_render_get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    GstBevRender *self = GST_BEV_RENDER(object);

    GST_OBJECT_LOCK(self);
    if (!gst_spconv_property_load(gst_bev_settings_at(&self->settings, id), value))
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    GST_OBJECT_UNLOCK(self);
}

static void gst_bev_render_finalize(GObject *object)
{
    g_free(GST_BEV_RENDER(object)->settings.color_by);
    G_OBJECT_CLASS(gst_bev_render_parent_class)->finalize(object);
}

static void gst_bev_render_class_init(GstBevRenderClass *klass)
{
    GObjectClass *object_class = G_OBJECT_CLASS(klass);
    GstElementClass *element_class = GST_ELEMENT_CLASS(klass);
    GstBaseTransformClass *base_class = GST_BASE_TRANSFORM_CLASS(klass);

    GST_DEBUG_CATEGORY_INIT(bev_render_debug, "bevrender", 0, "bird's-eye view");
    object_class->set_property = gst_bev_render_set_property;
    object_class->get_property = gst_bev_render_get_property;
    object_class->finalize = gst_bev_render_finalize;
    gst_bev_settings_install(object_class);

    gst_element_class_set_static_metadata(
        element_class, "Bird's-eye view renderer", "Filter/Converter/Video/Lidar",
        "Draws point clouds and bird's-eye-view tensors as video, front up. "
        "Example: gst-launch-1.0 lidartestsrc num-buffers=1 ! bevrender ! videoconvert ! pngenc ! "
        "filesink location=street.png",
        GST_SPCONV_AUTHOR);
    gst_element_class_add_static_pad_template(element_class, &sink_template);
    gst_element_class_add_static_pad_template(element_class, &src_template);

    base_class->transform_caps = gst_bev_render_transform_caps;
    base_class->fixate_caps = gst_bev_render_fixate_caps;
    base_class->set_caps = gst_bev_render_set_caps;
    base_class->transform_size = gst_bev_render_transform_size;
    base_class->transform = gst_bev_render_transform;
    base_class->stop = gst_bev_render_stop;
}

static void gst_bev_render_init(GstBevRender *self)
{
    gst_bev_settings_init(&self->settings);
    gst_base_transform_set_qos_enabled(GST_BASE_TRANSFORM(self), TRUE);
}
