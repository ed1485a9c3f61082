/* SPDX-License-Identifier: MIT */
/*
 * bevdraw.h - drawing data on a picture seen from above: point clouds and feature maps.
 *
 * Nothing here knows GStreamer. Thread-safety: distinct pictures may be drawn at the same time.
 */
#ifndef BEV_DRAW_H
#define BEV_DRAW_H

#include "bevcolors.h"
#include "bevpicture.h"

#include <spc/spc.h>

/* Points: x, y, z in metres, and the value that gives the colour; arrays of `count`. */
struct bev_points {
    const float *x, *y, *z, *value;
    size_t count;
};

/* Draw squares of `size` pixels; where several meet, the highest point wins (the first of equals).
 * Points that are not finite, or off the picture, are left out. */
void bev_draw_points(struct bev_picture *picture, const struct bev_points *points, int size,
                     const uint32_t *colors, float low, float high);

enum bev_reduce {
    BEV_REDUCE_MAX,
    BEV_REDUCE_MEAN,
    BEV_REDUCE_CHANNEL,
};

/* [channels][cells] of float32 or float16 to [cells]: the largest value, the mean, or one channel.
 * The maximum passes over NaN. `data` must be aligned for its type. */
void bev_reduce_channels(const void *data, enum spc_dtype type, size_t channels, size_t cells,
                         enum bev_reduce reduce, size_t channel, float *plane);

/* A map of values over the ground. */
struct bev_plane {
    const float *values;
    int rows, columns;
    bool rows_are_x;      /* bev-axes: xy where set, else yx */
    float x0, y0, x1, y1; /* metres that it covers */
};

/* Colour every pixel that the plane covers by the cell it lies in. */
void bev_draw_plane(struct bev_picture *picture, const struct bev_plane *plane,
                    const uint32_t *colors, float low, float high);

#endif
