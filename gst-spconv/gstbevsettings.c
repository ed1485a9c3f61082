/* SPDX-License-Identifier: MIT */
/* The properties of bevrender, see gstbevsettings.h. */
#include "gstbevsettings.h"
#include "gstspconvenums.h"

#define DEFAULT_COLOR_BY "height"
#define DEFAULT_BACKGROUND 0xff0d1117u

enum {
    PROP_COLOR_BY = 1,
    PROP_COLORMAP,
    PROP_REDUCE,
    PROP_CHANNEL,
    PROP_RANGE,
    PROP_VALUE_MIN,
    PROP_VALUE_MAX,
    PROP_POINT_SIZE,
    PROP_GRID,
    PROP_LEGEND,
    PROP_BACKGROUND,
};

#define GST_TYPE_BEV_RENDER_COLORMAP (colormap_get_type())
static GType colormap_get_type(void)
{
    static gsize type;
    static const GEnumValue values[] = {
        {GST_BEV_COLORMAP_AUTO, "turbo for points, inferno for tensors", "auto"},
        {BEV_COLORMAP_VIRIDIS, "Violet, blue, green, yellow", "viridis"},
        {BEV_COLORMAP_TURBO, "Blue, cyan, green, yellow, red", "turbo"},
        {BEV_COLORMAP_INFERNO, "Black, purple, orange, pale yellow", "inferno"},
        {BEV_COLORMAP_GRAY, "Black to white", "gray"},
        {0, NULL, NULL},
    };

    return gst_spconv_register_enum(&type, "GstBevRenderColormap", values);
}

#define GST_TYPE_BEV_RENDER_REDUCE (reduce_get_type())
static GType reduce_get_type(void)
{
    static gsize type;
    static const GEnumValue values[] = {
        {BEV_REDUCE_MAX, "Largest value of all channels", "max"},
        {BEV_REDUCE_MEAN, "Mean of all channels", "mean"},
        {BEV_REDUCE_CHANNEL, "The one channel that property channel names", "channel"},
        {0, NULL, NULL},
    };

    return gst_spconv_register_enum(&type, "GstBevRenderReduce", values);
}

static const gsize property_offset[] = {
#define OFFSET(member) G_STRUCT_OFFSET(struct gst_bev_settings, member)
    [PROP_COLOR_BY] = OFFSET(color_by),
    [PROP_COLORMAP] = OFFSET(colormap),
    [PROP_REDUCE] = OFFSET(reduce),
    [PROP_CHANNEL] = OFFSET(channel),
    [PROP_RANGE] = OFFSET(range),
    [PROP_VALUE_MIN] = OFFSET(value_min),
    [PROP_VALUE_MAX] = OFFSET(value_max),
    [PROP_POINT_SIZE] = OFFSET(point_size),
    [PROP_GRID] = OFFSET(grid),
    [PROP_LEGEND] = OFFSET(legend),
    [PROP_BACKGROUND] = OFFSET(background),
#undef OFFSET
};

gpointer gst_bev_settings_at(struct gst_bev_settings *settings, guint id)
{
    return (guint8 *)settings + property_offset[id];
}

void gst_bev_settings_init(struct gst_bev_settings *settings)
{
    *settings = (struct gst_bev_settings){
        .color_by = g_strdup(DEFAULT_COLOR_BY),
        .colormap = GST_BEV_COLORMAP_AUTO,
        .reduce = BEV_REDUCE_MAX,
        .background = DEFAULT_BACKGROUND,
        .grid = TRUE,
        .legend = TRUE,
    };
}

void gst_bev_settings_install(GObjectClass *klass)
{
    const GParamFlags flags =
        G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING;

#define INSTALL(id, kind, ...)                                                                     \
    g_object_class_install_property(klass, id, g_param_spec_##kind(__VA_ARGS__, flags))
    INSTALL(PROP_COLOR_BY, string, "color-by", "Colour by",
            "What gives a point its colour: height, distance (from the sensor, over the ground), "
            "or the name of a field of the cloud, such as intensity, time, ring",
            DEFAULT_COLOR_BY);
    INSTALL(PROP_COLORMAP, enum, "colormap", "Colour map", "Colours from low to high values",
            GST_TYPE_BEV_RENDER_COLORMAP, GST_BEV_COLORMAP_AUTO);
    INSTALL(PROP_REDUCE, enum, "reduce", "Reduce",
            "How the channels of a tensor become one value per cell", GST_TYPE_BEV_RENDER_REDUCE,
            BEV_REDUCE_MAX);
    INSTALL(PROP_CHANNEL, uint, "channel", "Channel",
            "Channel of the tensor that is shown, from 0; with reduce=channel", 0, G_MAXUINT, 0);
    INSTALL(PROP_RANGE, double, "range", "Range",
            "Metres from the sensor to the nearer edge of the picture; 0: what the caps' range-mm "
            "says, else 50 for points, and one cell as the unit (without a grid) for tensors",
            0, 10000, 0);
    INSTALL(PROP_VALUE_MIN, double, "value-min", "Lowest value",
            "Value of the lowest colour; not below value-max: both are taken from each frame",
            -G_MAXFLOAT, G_MAXFLOAT, 0);
    INSTALL(PROP_VALUE_MAX, double, "value-max", "Highest value",
            "Value of the highest colour; not above value-min: both are taken from each frame",
            -G_MAXFLOAT, G_MAXFLOAT, 0);
    INSTALL(PROP_POINT_SIZE, uint, "point-size", "Point size",
            "Width of a point in pixels; 0: by the size of the picture", 0, 64, 0);
    INSTALL(PROP_GRID, boolean, "grid", "Grid",
            "Draw range rings, axes and the marker of the sensor's place", TRUE);
    INSTALL(PROP_LEGEND, boolean, "legend", "Legend", "Draw the colours and their values", TRUE);
    INSTALL(PROP_BACKGROUND, uint, "background", "Background",
            "Colour where there is no data, 0xAARRGGBB", 0, G_MAXUINT, DEFAULT_BACKGROUND);
#undef INSTALL
}
