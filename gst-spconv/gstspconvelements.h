/* SPDX-License-Identifier: MIT */
/* The elements of the plugin; each is defined in its own file with GST_ELEMENT_REGISTER_DEFINE. */
#ifndef GST_SPCONV_ELEMENTS_H
#define GST_SPCONV_ELEMENTS_H

#include <gst/gst.h>

/* What gst-inspect-1.0 shows of every element. */
#define GST_SPCONV_AUTHOR "The gst-spconv authors"

GST_ELEMENT_REGISTER_DECLARE(bevrender)
GST_ELEMENT_REGISTER_DECLARE(lidarfilesrc)
GST_ELEMENT_REGISTER_DECLARE(lidartestsrc)
GST_ELEMENT_REGISTER_DECLARE(lidarvoxelize)
GST_ELEMENT_REGISTER_DECLARE(spconvinfer)

#endif
