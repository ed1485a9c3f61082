/* SPDX-License-Identifier: MIT */
/*
 * bevpicture.h - a picture seen from above: pixels, where they lie in the world, and what is drawn
 * on all of them (background, range rings, ego marker, legend).
 *
 * The world is x front, y left, z up, in metres; in the picture front is up and left is left.
 * Colours are 0xAARRGGBB. Nothing here knows GStreamer. Thread-safety: a picture belongs to one
 * thread at a time.
 */
#ifndef BEV_PICTURE_H
#define BEV_PICTURE_H

#include <stdbool.h>
#include <stdint.h>

/* Which part of the world a picture shows. */
struct bev_view {
    int width, height;        /* pixels */
    float scale;              /* pixels per metre */
    float centre_x, centre_y; /* what is shown in the middle */
};

/* Show at least [x0, x1] x [y0, y1], at the largest scale, centred. */
void bev_view_fit(struct bev_view *view, int width, int height, float x0, float y0, float x1,
                  float y1);

static inline float bev_view_row(const struct bev_view *view, float x)
{
    return 0.5f * (float)view->height - (x - view->centre_x) * view->scale;
}

static inline float bev_view_column(const struct bev_view *view, float y)
{
    return 0.5f * (float)view->width - (y - view->centre_y) * view->scale;
}

struct bev_picture {
    struct bev_view view;
    uint32_t *pixels; /* [height][width], 0xAARRGGBB */
    uint32_t *empty;  /* the background with rings: what a frame without data looks like */
    uint8_t *rings;   /* [height][width] opacity of the rings */
    float *depth;     /* [height][width] height of the highest point drawn so far */
    float ring_step;  /* metres; 0: no rings */
};

/* Make the picture that `view` describes; `metric` says whether rings and ego marker belong on
 * it. False where memory is short. A zeroed picture may be made again and again. */
bool bev_picture_init(struct bev_picture *picture, const struct bev_view *view, uint32_t background,
                      bool metric);
void bev_picture_finish(struct bev_picture *picture);

/* Begin a frame: background and rings. */
void bev_picture_clear(struct bev_picture *picture);

/* Put the rings over what has been drawn (for data that covers the background). */
void bev_picture_draw_rings(struct bev_picture *picture);

/* The ego marker at the origin, and the rings' distances. */
void bev_picture_draw_ego(struct bev_picture *picture);

/* A colour bar at the lower left: what it shows, and the values at its ends. */
void bev_picture_draw_legend(struct bev_picture *picture, const uint32_t *colors, float low,
                             float high, const char *title);

/* Blend `color` over a pixel by `opacity` (0 .. 255); outside the picture nothing happens. */
void bev_picture_blend(struct bev_picture *picture, int column, int row, uint32_t color,
                       unsigned opacity);

/* Text of digits, lower-case letters, and "-.+ " with its upper left corner at (column, row). */
void bev_picture_draw_text(struct bev_picture *picture, int column, int row, const char *text,
                           uint32_t color);
/* Width and height of text in pixels. */
int bev_picture_text_width(const struct bev_picture *picture, const char *text);
int bev_picture_text_height(const struct bev_picture *picture);

#endif
