/* SPDX-License-Identifier: MIT */
/* bevcolors.h - colour maps and value ranges. Thread-safety: any thread. */
#ifndef BEV_COLORS_H
#define BEV_COLORS_H

#include <stddef.h>
#include <stdint.h>

enum bev_colormap {
    BEV_COLORMAP_VIRIDIS, /* violet, blue, green, yellow */
    BEV_COLORMAP_TURBO,   /* blue, cyan, green, yellow, red */
    BEV_COLORMAP_INFERNO, /* black, purple, orange, pale yellow */
    BEV_COLORMAP_GRAY,    /* black to white */
};

#define BEV_NUM_COLORS 256

/* What is drawn for a value that is no number. */
#define BEV_COLOR_NAN 0xffff00ffu

/* The opaque colours of a map, 0xAARRGGBB, from the lowest value to the highest. */
void bev_colormap_fill(enum bev_colormap map, uint32_t colors[BEV_NUM_COLORS]);

/* The colour of a value where the map spans [low, high]; values beyond take the ends' colours. */
static inline uint32_t bev_color(const uint32_t *colors, float low, float high, float value)
{
    float t = (value - low) / (high - low) * BEV_NUM_COLORS;

    if (t != t)
        return BEV_COLOR_NAN;
    return colors[t <= 0 ? 0 : t >= BEV_NUM_COLORS - 1 ? BEV_NUM_COLORS - 1 : (int)t];
}

/* Values below which the given shares of `values` lie, to about a thousandth of their spread.
 * Values that are not finite are left out; of none at all, the result is 0 and 1. `*high` is
 * always above `*low`. */
void bev_value_range(const float *values, size_t count, float low_share, float high_share,
                     float *low, float *high);

#endif
