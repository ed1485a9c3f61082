/* SPDX-License-Identifier: MIT */
/* What is drawn on every picture, see bevpicture.h. */
#include "bevpicture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INK 0xffffffffu
#define INK_SOFT 0xffb4bcc8u
#define SHADE 0xff000000u

void bev_view_fit(struct bev_view *view, int width, int height, float x0, float y0, float x1,
                  float y1)
{
    view->width = width;
    view->height = height;
    view->scale = fminf((float)width / (y1 - y0), (float)height / (x1 - x0));
    view->centre_x = 0.5f * (x0 + x1);
    view->centre_y = 0.5f * (y0 + y1);
}

static uint32_t mix(uint32_t under, uint32_t over, unsigned opacity)
{
    uint32_t out = under & 0xff000000u;

    for (int shift = 0; shift < 24; shift += 8) {
        unsigned a = under >> shift & 255, b = over >> shift & 255;
        out |= (a * (255 - opacity) + b * opacity + 127) / 255 << shift;
    }
    return out;
}

void bev_picture_blend(struct bev_picture *picture, int column, int row, uint32_t color,
                       unsigned opacity)
{
    const struct bev_view *view = &picture->view;

    if (column >= 0 && column < view->width && row >= 0 && row < view->height) {
        uint32_t *pixel = &picture->pixels[(size_t)row * view->width + column];
        *pixel = mix(*pixel, color, opacity);
    }
}

/* About five rings between the middle and the nearer edge. */
static float choose_ring_step(const struct bev_view *view)
{
    static const float steps[] = {1, 2, 5, 10, 20, 50, 100, 200, 500};
    float half = 0.5f * (float)(view->width < view->height ? view->width : view->height);
    float reach = half / view->scale;

    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        if (reach / steps[i] <= 6)
            return steps[i];
    return 1000;
}

/* Opacity of a line that passes at `distance` pixels. */
static float line_cover(float distance)
{
    return fmaxf(0, fminf(1, 1.1f - fabsf(distance)));
}

/* Rings around the origin, and the two axes. */
static void make_rings(struct bev_picture *picture)
{
    const struct bev_view *view = &picture->view;
    float step = picture->ring_step * view->scale;
    float row0 = bev_view_row(view, 0), column0 = bev_view_column(view, 0);

    for (int row = 0; row < view->height; row++) {
        for (int column = 0; column < view->width; column++) {
            float dr = (float)row + 0.5f - row0, dc = (float)column + 0.5f - column0;
            float radius = sqrtf(dr * dr + dc * dc);
            float ring = roundf(radius / step);
            float cover = ring > 0 ? 0.30f * line_cover(radius - ring * step) : 0;
            float axis = 0.16f * fmaxf(line_cover(dr), line_cover(dc));

            picture->rings[(size_t)row * view->width + column] =
                (uint8_t)lroundf(255 * fmaxf(cover, axis));
        }
    }
}

bool bev_picture_init(struct bev_picture *picture, const struct bev_view *view, uint32_t background,
                      bool metric)
{
    size_t count = (size_t)view->width * view->height;

    bev_picture_finish(picture);
    picture->view = *view;
    picture->pixels = malloc(count * sizeof(*picture->pixels));
    picture->empty = malloc(count * sizeof(*picture->empty));
    picture->rings = calloc(count, 1);
    picture->depth = malloc(count * sizeof(*picture->depth));
    if (!picture->pixels || !picture->empty || !picture->rings || !picture->depth) {
        bev_picture_finish(picture);
        return false;
    }
    if (metric) {
        picture->ring_step = choose_ring_step(view);
        make_rings(picture);
    }
    for (size_t i = 0; i < count; i++)
        picture->empty[i] = mix(background, INK, picture->rings[i]);
    return true;
}

void bev_picture_finish(struct bev_picture *picture)
{
    free(picture->pixels);
    free(picture->empty);
    free(picture->rings);
    free(picture->depth);
    memset(picture, 0, sizeof(*picture));
}

void bev_picture_clear(struct bev_picture *picture)
{
    size_t count = (size_t)picture->view.width * picture->view.height;

    memcpy(picture->pixels, picture->empty, count * sizeof(*picture->pixels));
    for (size_t i = 0; i < count; i++)
        picture->depth[i] = -INFINITY;
}

void bev_picture_draw_rings(struct bev_picture *picture)
{
    size_t count = (size_t)picture->view.width * picture->view.height;

    for (size_t i = 0; i < count; i++)
        if (picture->rings[i])
            picture->pixels[i] = mix(picture->pixels[i], INK, picture->rings[i]);
}

/* Whether (x, y), in lengths of the marker, lies in the arrow that points to the front. */
static bool in_arrow(float x, float y)
{
    float half = 0.416f * (0.5f - x);

    return x <= 0.5f && fabsf(y) <= half && x >= -0.5f + 0.22f * (1 - fabsf(y) / 0.416f);
}

/* Share of a pixel that the arrow covers, 0 .. 16, at an offset from its centre in lengths. */
static unsigned arrow_cover(float x, float y, float pixel)
{
    unsigned inside = 0;

    for (int i = 0; i < 16; i++) {
        float dx = ((float)(i / 4) - 1.5f) / 4, dy = ((float)(i % 4) - 1.5f) / 4;
        inside += in_arrow(x + dx * pixel, y + dy * pixel);
    }
    return inside;
}

/* As long as a car where the picture allows: never too small to be seen, nor in the way. */
static void draw_marker(struct bev_picture *picture)
{
    const struct bev_view *view = &picture->view;
    float row0 = bev_view_row(view, 0), column0 = bev_view_column(view, 0);
    float size = (float)(view->width < view->height ? view->width : view->height);
    float length = fmaxf(0.035f * size, fminf(4.6f * view->scale, 0.06f * size));
    int reach = (int)length;

    for (int dr = -reach; dr <= reach; dr++) {
        for (int dc = -reach; dc <= reach; dc++) {
            int row = (int)floorf(row0) + dr, column = (int)floorf(column0) + dc;
            float x = (row0 - (float)row - 0.5f) / length;
            float y = (column0 - (float)column - 0.5f) / length;
            unsigned rim = arrow_cover(x * 0.8f, y * 0.8f, 1 / length);
            unsigned body = arrow_cover(x, y, 1 / length);

            bev_picture_blend(picture, column, row, SHADE, rim * 160 / 16);
            bev_picture_blend(picture, column, row, INK, body * 255 / 16);
        }
    }
}

void bev_picture_draw_ego(struct bev_picture *picture)
{
    const struct bev_view *view = &picture->view;
    int column = (int)bev_view_column(view, 0) + 4, above = bev_picture_text_height(picture) + 2;
    char text[16];

    if (picture->ring_step <= 0)
        return;
    draw_marker(picture);
    for (int ring = 1;; ring++) {
        float metres = (float)ring * picture->ring_step;
        int row = (int)bev_view_row(view, metres) - above;

        if (row < 2)
            break;
        snprintf(text, sizeof(text), "%g m", (double)metres);
        bev_picture_draw_text(picture, column + 1, row + 1, text, SHADE);
        bev_picture_draw_text(picture, column, row, text, INK_SOFT);
    }
}

/* Darken a rectangle, so that what is written on it can be read. */
static void draw_panel(struct bev_picture *picture, int column, int row, int width, int height)
{
    for (int r = row; r < row + height; r++)
        for (int c = column; c < column + width; c++)
            bev_picture_blend(picture, c, r, SHADE, 140);
}

void bev_picture_draw_legend(struct bev_picture *picture, const uint32_t *colors, float low,
                             float high, const char *title)
{
    int line = bev_picture_text_height(picture), gap = line / 2;
    int named = bev_picture_text_width(picture, title);
    int width = picture->view.width / 4 > named ? picture->view.width / 4 : named, bar = line;
    int column = 2 * gap, row = picture->view.height - 3 * line - 4 * gap;
    char text[32];

    if (row < 0 || width < 8 * line)
        return;
    draw_panel(picture, column - gap, row - gap, width + 2 * gap, 3 * line + 4 * gap);
    bev_picture_draw_text(picture, column, row, title, INK);
    row += line + gap;
    for (int c = 0; c < width; c++)
        for (int r = 0; r < bar; r++)
            bev_picture_blend(picture, column + c, row + r, colors[c * 255 / (width - 1)], 255);
    row += bar + gap;
    snprintf(text, sizeof(text), "%.3g", (double)low);
    bev_picture_draw_text(picture, column, row, text, INK_SOFT);
    snprintf(text, sizeof(text), "%.3g", (double)high);
    bev_picture_draw_text(picture, column + width - bev_picture_text_width(picture, text), row,
                          text, INK_SOFT);
}
