/* SPDX-License-Identifier: MIT */
/* Packing weights for the fast convolution; see conv_shape.h for the layout. */
#include "cuda/conv.h"
#include "cuda/conv_shape.h"

#include "base/half.h"

#include <string.h>

/* What a 16-byte unit's number in its row is exchanged with, by row: the patterns that wgmma calls
 * 32-, 64- and 128-byte swizzle. */
static int32_t swizzle(int32_t slice, int32_t row)
{
    if (slice == 16)
        return (row >> 2) & 1;
    return slice == 32 ? (row >> 1) & 3 : row & 7;
}

/* Output channel of an image's row. Rows are mixed so that one thread's sums are of neighbouring
 * channels, which it then stores at once: four of them in narrow blocks, else eight. */
static int32_t channel_of_row(int32_t width, int32_t row)
{
    int32_t tiles = width == 16 ? 2 : 4, tile = row / 8, column = row % 8;

    return tile / tiles * tiles * 8 + column / 2 * 2 * tiles + tile % tiles * 2 + column % 2;
}

/* Input channel of a product's element. Four lanes load a quarter of a row each, at once, and take
 * part in every product of 16 channels with two pairs of what they have. */
static int32_t channel_of_lane(int32_t slice, int32_t element)
{
    int32_t lane = element % 8 / 2, pair = element / 16 * 2 + element % 16 / 8;

    return lane * slice / 4 + pair * 2 + element % 2;
}

struct place {
    int32_t first_in, first_out; /* channels */
    int32_t slice, width;
    bool by_lane;
};

static void pack_image(const float *weights, int32_t cin, int32_t cout, struct place place,
                       uint16_t *image)
{
    for (int32_t row = 0; row < place.width; row++) {
        int32_t out = place.first_out + channel_of_row(place.width, row);
        uint16_t *to = image + (size_t)row * (size_t)place.slice;

        for (int32_t c = 0; c < place.slice && out < cout; c++) {
            int32_t in = place.first_in + (place.by_lane ? channel_of_lane(place.slice, c) : c);
            int32_t unit = c / 8 ^ swizzle(place.slice, row);

            if (in < cin)
                to[unit * 8 + c % 8] =
                    spc__half_from_float(weights[(size_t)in * (size_t)cout + (size_t)out]);
        }
    }
}

size_t spc_cuda_conv_packed_size(int32_t cin, int32_t cout, int32_t groups, int32_t run)
{
    struct spc_cuda_conv_shape shape = spc_cuda_conv_shape(cin, cout);

    return spc_cuda_conv_order_size(shape, groups * run) * (spc_cuda_conv_by_lane(shape) ? 2 : 1);
}

/* All images, with input channels in one order. */
static void pack_order(const float *weights, int32_t cin, int32_t cout, int32_t groups,
                       int32_t run, bool by_lane, uint16_t *image)
{
    struct spc_cuda_conv_shape shape = spc_cuda_conv_shape(cin, cout);
    int32_t slice = spc_cuda_conv_slice(shape), steps = groups * run;

    for (int32_t block = 0; block < shape.blocks; block++)
        for (int32_t chunk = 0; chunk < shape.chunks; chunk++)
            for (int32_t step = 0; step <= steps; step++)
                for (int32_t c = 0; c < shape.depth; c += slice) {
                    int32_t k = step % run * groups + step / run;
                    struct place place = {chunk * shape.depth + c, block * shape.width, slice,
                                          shape.width, by_lane};

                    if (step < steps)
                        pack_image(weights + (size_t)k * (size_t)cin * (size_t)cout, cin, cout,
                                   place, image);
                    image += slice * shape.width;
                }
}

void spc_cuda_conv_pack(const float *weights, int32_t cin, int32_t cout, int32_t groups,
                        int32_t run, uint16_t *packed)
{
    struct spc_cuda_conv_shape shape = spc_cuda_conv_shape(cin, cout);
    size_t order = spc_cuda_conv_order_size(shape, groups * run) / sizeof(*packed);

    memset(packed, 0, spc_cuda_conv_packed_size(cin, cout, groups, run));
    pack_order(weights, cin, cout, groups, run, false, packed);
    if (spc_cuda_conv_by_lane(shape))
        pack_order(weights, cin, cout, groups, run, true, packed + order);
}
