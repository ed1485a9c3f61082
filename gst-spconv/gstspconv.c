/* SPDX-License-Identifier: MIT */
/* Entry of the plugin: registers its elements. It needs no GPU and loads no model. */
#include "gstspconvelements.h"

static gboolean plugin_init(GstPlugin *plugin)
{
    gboolean ok = TRUE;

    ok &= GST_ELEMENT_REGISTER(bevrender, plugin);
    ok &= GST_ELEMENT_REGISTER(lidarfilesrc, plugin);
    ok &= GST_ELEMENT_REGISTER(lidartestsrc, plugin);
    ok &= GST_ELEMENT_REGISTER(lidarvoxelize, plugin);
    ok &= GST_ELEMENT_REGISTER(spconvinfer, plugin);
    return ok;
}

#define PACKAGE "gst-spconv"
GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, spconv,
                  "Lidar deep learning: sparse-convolution inference and what surrounds it",
                  plugin_init, GST_SPCONV_VERSION, "MIT/X11", PACKAGE, GST_SPCONV_ORIGIN)
