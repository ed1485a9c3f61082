/* SPDX-License-Identifier: MIT */
/*
 * How the fast convolution cuts channels, and how its packed weights lie in memory.
 *
 * Input channels are taken in chunks of `depth`, output channels in blocks of `width`; what is
 * missing to a whole chunk or block is zero. Weights are images of `width` output channels (rows)
 * by up to 64 input channels, as the tensor cores read them from shared memory: 16-byte units of a
 * row are exchanged (swizzled) so that eight rows never meet in one bank. They lie as
 * [block][chunk][step, one more of zeros][slice of 64 channels][width][slice]. Up to a depth and
 * width of 32 all of that comes twice, the second time with input channels in the order in which
 * lanes that load by themselves have them.
 */
#ifndef SPC_CUDA_CONV_SHAPE_H
#define SPC_CUDA_CONV_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPC_CUDA_CONV_SLICE 64 /* input channels of the deepest image */

struct spc_cuda_conv_shape {
    int32_t depth, width;
    int32_t chunks, blocks;
};

/* Least of 16, 32, 64, 128 that holds `channels`; 128 for more. */
static inline int32_t spc_cuda_conv_round(int32_t channels)
{
    int32_t rounded = 16;

    while (rounded < channels && rounded < 128)
        rounded *= 2;
    return rounded;
}

/* Depths and widths that have kernels: equal, or twice as wide as deep. */
static inline struct spc_cuda_conv_shape spc_cuda_conv_shape(int32_t cin, int32_t cout)
{
    struct spc_cuda_conv_shape shape = {spc_cuda_conv_round(cin), spc_cuda_conv_round(cout), 0, 0};

    if (shape.width < shape.depth)
        shape.width = shape.depth;
    if (shape.width > 2 * shape.depth)
        shape.depth = shape.width / 2;
    shape.chunks = (cin + shape.depth - 1) / shape.depth;
    shape.blocks = (cout + shape.width - 1) / shape.width;
    return shape;
}

static inline int32_t spc_cuda_conv_slice(struct spc_cuda_conv_shape shape)
{
    return shape.depth < SPC_CUDA_CONV_SLICE ? shape.depth : SPC_CUDA_CONV_SLICE;
}

/* Whether weights are packed in both orders. */
static inline bool spc_cuda_conv_by_lane(struct spc_cuda_conv_shape shape)
{
    return shape.depth <= 32 && shape.width <= 32;
}

/* Bytes of all images in one order. */
static inline size_t spc_cuda_conv_order_size(struct spc_cuda_conv_shape shape, int32_t steps)
{
    return (size_t)shape.blocks * (size_t)shape.chunks * (size_t)(steps + 1) *
           (size_t)shape.depth * (size_t)shape.width * sizeof(uint16_t);
}

#endif
