/* SPDX-License-Identifier: MIT */
/* A value of the graph as the user sees it. */
#include "graph/axes.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* Whether dim `d` of the value is exactly `axis`, by its cells: an axis of one cell is any dim
 * of 1. */
static bool is_axis(const struct spc__graph *graph, const struct spc__value *value,
                    const int *first, int d, int axis)
{
    int count = first[d + 1] - first[d];

    if (spc__axis_size(graph, value, axis) == 1)
        return count == 0;
    return count == 1 && value->axes[first[d]] == axis;
}

static enum spc_bev_axes bev_axes(const struct spc__graph *graph, const struct spc__value *value)
{
    int first[SPC_MAX_RANK + 1];

    if (value->rank != 4 || value->dims[0] != 1 || value->layout != SPC_LAYOUT_LINEAR ||
        !spc__axes_split(graph, value, first))
        return SPC_BEV_NONE;
    if (is_axis(graph, value, first, 2, 2) && is_axis(graph, value, first, 3, 3))
        return SPC_BEV_YX;
    if (is_axis(graph, value, first, 2, 3) && is_axis(graph, value, first, 3, 2))
        return SPC_BEV_XY;
    return SPC_BEV_NONE;
}

/* Other layouts are of a bird's-eye-view plane too: C*Z channels. */
static int32_t dense_channels(const struct spc__graph *graph, const struct spc__value *value)
{
    if (value->layout != SPC_LAYOUT_LINEAR)
        return value->channels * graph->levels[value->level].grid[0];
    return value->rank > 1 ? (int32_t)value->dims[1] : 0;
}

void spc__graph_describe(const struct spc__graph *graph, int value, int64_t bound,
                         struct spc_output_info *info)
{
    const struct spc__value *from = &graph->values[value];
    const int32_t *grid = graph->levels[from->level].grid;

    memset(info, 0, sizeof(*info));
    snprintf(info->name, sizeof(info->name), "%s", from->name);
    spc__text_clean(info->name);
    info->grid_z = grid[0];
    info->grid_y = grid[1];
    info->grid_x = grid[2];
    if (from->kind == SPC__SPARSE) {
        info->kind = SPC_OUTPUT_SPARSE;
        info->rank = 2;
        info->dims[0] = bound;
        info->dims[1] = info->channels = from->channels;
        return;
    }
    info->kind = SPC_OUTPUT_DENSE;
    info->rank = from->rank;
    memcpy(info->dims, from->dims, sizeof(from->dims[0]) * (size_t)from->rank);
    info->layout = from->layout;
    info->bev_axes = bev_axes(graph, from);
    info->channels = dense_channels(graph, from);
}
