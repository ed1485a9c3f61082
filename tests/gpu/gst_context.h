/* SPDX-License-Identifier: MIT */
/* The CUDA context of a program that looks at memory of elements. */
#ifndef SPC_GST_CONTEXT_H
#define SPC_GST_CONTEXT_H

#include "test.h"

#include "gstspconvcuda.h"

static GstElement *owner;
static struct gst_spconv_cuda *cuda;

static inline void open_context(void)
{
    owner = gst_bin_new(NULL);
    cuda = gst_spconv_cuda_new(owner);
    if (!gst_spconv_cuda_is_built())
        SKIP_ALL("the build has no libgstcuda");
    if (!gst_spconv_cuda_open(cuda, -1))
        SKIP_ALL("there is no usable CUDA device");
}

static inline void close_context(void)
{
    gst_spconv_cuda_free(&cuda);
    gst_object_unref(owner);
}

#endif
