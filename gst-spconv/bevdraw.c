/* SPDX-License-Identifier: MIT */
/* Point clouds and feature maps as pixels, see bevdraw.h. */
#include "bevdraw.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 1024 /* values converted at a time */

static void draw_point(struct bev_picture *picture, int column, int row, int size, float z,
                       uint32_t color)
{
    const struct bev_view *view = &picture->view;
    int row_end = row + size < view->height ? row + size : view->height;
    int column_end = column + size < view->width ? column + size : view->width;

    for (int r = row > 0 ? row : 0; r < row_end; r++) {
        for (int c = column > 0 ? column : 0; c < column_end; c++) {
            size_t at = (size_t)r * view->width + c;

            if (z > picture->depth[at]) {
                picture->depth[at] = z;
                picture->pixels[at] = color;
            }
        }
    }
}

void bev_draw_points(struct bev_picture *picture, const struct bev_points *points, int size,
                     const uint32_t *colors, float low, float high)
{
    const struct bev_view *view = &picture->view;
    float shift = 0.5f * (float)size;

    for (size_t i = 0; i < points->count; i++) {
        float row = bev_view_row(view, points->x[i]) - shift;
        float column = bev_view_column(view, points->y[i]) - shift;

        /* Written so that NaN fails. */
        if (row > (float)-size && row < (float)view->height && column > (float)-size &&
            column < (float)view->width)
            draw_point(picture, (int)lrintf(column), (int)lrintf(row), size, points->z[i],
                       bev_color(colors, low, high, points->value[i]));
    }
}

static void reduce_block(const float *values, size_t count, enum bev_reduce reduce, float *plane)
{
    if (reduce == BEV_REDUCE_MEAN)
        for (size_t i = 0; i < count; i++)
            plane[i] += values[i];
    else
        for (size_t i = 0; i < count; i++)
            plane[i] = values[i] > plane[i] ? values[i] : plane[i];
}

void bev_reduce_channels(const void *data, enum spc_dtype type, size_t channels, size_t cells,
                         enum bev_reduce reduce, size_t channel, float *plane)
{
    size_t first = reduce == BEV_REDUCE_CHANNEL ? channel : 0;
    size_t end = reduce == BEV_REDUCE_CHANNEL ? channel + 1 : channels;
    float converted[BLOCK];

    for (size_t i = 0; i < cells; i++)
        plane[i] = reduce == BEV_REDUCE_MEAN ? 0 : -INFINITY;
    for (size_t c = first; c < end; c++) {
        for (size_t i = 0; i < cells; i += BLOCK) {
            size_t n = cells - i < BLOCK ? cells - i : BLOCK, at = c * cells + i;
            const float *values = converted;

            if (type == SPC_DTYPE_F16)
                spc_convert_f16_to_f32((const uint16_t *)data + at, converted, n);
            else
                values = (const float *)data + at;
            if (reduce == BEV_REDUCE_CHANNEL)
                memcpy(plane + i, values, n * sizeof(*plane));
            else
                reduce_block(values, n, reduce, plane + i);
        }
    }
    if (reduce == BEV_REDUCE_MEAN)
        for (size_t i = 0; i < cells; i++)
            plane[i] /= (float)channels;
}

/* Cell that holds world coordinate `at` of `cells` cells over [low, high); -1 outside. */
static int cell_of(float at, float low, float high, int cells)
{
    float cell = floorf((at - low) / (high - low) * (float)cells);

    return cell >= 0 && cell < (float)cells ? (int)cell : -1;
}

void bev_draw_plane(struct bev_picture *picture, const struct bev_plane *plane,
                    const uint32_t *colors, float low, float high)
{
    const struct bev_view *view = &picture->view;
    int cells_x = plane->rows_are_x ? plane->rows : plane->columns;
    int cells_y = plane->rows_are_x ? plane->columns : plane->rows;
    int step_x = plane->rows_are_x ? plane->columns : 1;
    int step_y = plane->rows_are_x ? 1 : plane->columns;
    float metres = 1 / view->scale;

    for (int row = 0; row < view->height; row++) {
        float x = view->centre_x + (0.5f * (float)view->height - (float)row - 0.5f) * metres;
        int ix = cell_of(x, plane->x0, plane->x1, cells_x);
        uint32_t *pixels = picture->pixels + (size_t)row * view->width;

        for (int column = 0; ix >= 0 && column < view->width; column++) {
            float y = view->centre_y + (0.5f * (float)view->width - (float)column - 0.5f) * metres;
            int iy = cell_of(y, plane->y0, plane->y1, cells_y);

            if (iy >= 0)
                pixels[column] = bev_color(
                    colors, low, high, plane->values[(size_t)ix * step_x + (size_t)iy * step_y]);
        }
    }
}
