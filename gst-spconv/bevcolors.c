/* SPDX-License-Identifier: MIT */
/* Colour maps and value ranges, see bevcolors.h. */
#include "bevcolors.h"

#include <math.h>

#define MAX_ANCHORS 9
#define BINS 1024

/* Each map by a few colours at equal distances, straight lines between. */
static const struct {
    int count;
    uint32_t anchors[MAX_ANCHORS];
} maps[] = {
    [BEV_COLORMAP_VIRIDIS] = {9,
                              {0x45085a, 0x472f7d, 0x3b528c, 0x2c718e, 0x218f8c, 0x2bb07e, 0x5dc863,
                               0xabdb33, 0xfae626}},
    [BEV_COLORMAP_TURBO] = {8,
                            {0x3a4bb8, 0x3c86f5, 0x24c4dc, 0x34ee90, 0xa6f63c, 0xf2bf2f, 0xf3701d,
                             0xb81c08}},
    [BEV_COLORMAP_INFERNO] = {7,
                              {0x02020c, 0x2d0b58, 0x7a1c6d, 0xbf3650, 0xee6926, 0xfbb41a,
                               0xfbfda4}},
    [BEV_COLORMAP_GRAY] = {2, {0x000000, 0xffffff}},
};

void bev_colormap_fill(enum bev_colormap map, uint32_t colors[BEV_NUM_COLORS])
{
    int last = maps[map].count - 1;

    for (int i = 0; i < BEV_NUM_COLORS; i++) {
        int at = i * last / BEV_NUM_COLORS;
        float t = (float)i * (float)last / (BEV_NUM_COLORS - 1) - (float)at;
        uint32_t a = maps[map].anchors[at], b = maps[map].anchors[at + 1];

        colors[i] = 0xff000000u;
        for (int shift = 0; shift < 24; shift += 8) {
            float from = (float)(a >> shift & 255), to = (float)(b >> shift & 255);
            colors[i] |= (uint32_t)lroundf(from + (to - from) * fminf(t, 1)) << shift;
        }
    }
}

/* Smallest and largest finite value; the number of finite ones. */
static size_t find_extremes(const float *values, size_t count, float *low, float *high)
{
    size_t finite = 0;

    *low = INFINITY;
    *high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i]))
            continue;
        finite++;
        *low = fminf(*low, values[i]);
        *high = fmaxf(*high, values[i]);
    }
    return finite;
}

/* Number of the bin that holds the value with `rank` values below it. */
static int find_bin(const size_t *bins, float rank)
{
    size_t below = 0;
    int bin = 0;

    for (; bin < BINS - 1; bin++) {
        below += bins[bin];
        if ((float)below > rank)
            break;
    }
    return bin;
}

void bev_value_range(const float *values, size_t count, float low_share, float high_share,
                     float *low, float *high)
{
    size_t bins[BINS] = {0};
    float first, last;
    double width;
    size_t finite = find_extremes(values, count, &first, &last);

    if (!finite) {
        *low = 0;
        *high = 1;
        return;
    }
    width = ((double)last - first) / BINS;
    if (!(width > 0)) {
        *low = first;
        *high = first + fmaxf(1, fabsf(first));
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (isfinite(values[i]))
            bins[(int)fmin(((double)values[i] - first) / width, BINS - 1)]++;
    *low = (float)(first + width * find_bin(bins, low_share * (float)finite));
    *high = (float)fmin(last, first + width * (find_bin(bins, high_share * (float)finite) + 1));
    if (!(*high > *low)) /* far from 0, a bin may be less than a float can tell */
        *high = nextafterf(*low, INFINITY);
}
