/* SPDX-License-Identifier: MIT */
/*
 * System memory that a GPU copies from and to by itself, for gstspconvcuda.c.
 *
 * To pin memory takes longer than to fill it, so the allocator keeps what comes back. Its blocks
 * are as large as the largest that was asked for, since frames differ in size. Memory that it gave
 * may outlive it. Where none can be pinned it gives other memory. Thread-safety: any thread.
 */
#ifndef GST_SPCONV_CUDA_PINNED_H
#define GST_SPCONV_CUDA_PINNED_H

#include <gst/cuda/gstcudacontext.h>
#include <gst/gst.h>

G_BEGIN_DECLS

/* The caller's. */
GstAllocator *gst_spconv_pinned_new(GstCudaContext *context);

G_END_DECLS

#endif
