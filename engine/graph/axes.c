/* SPDX-License-Identifier: MIT */
#include "graph/axes.h"

#include <string.h>

int64_t spc__axis_size(const struct spc__graph *graph, const struct spc__value *value, int axis)
{
    return axis ? graph->levels[value->level].grid[axis - 1] : value->channels;
}

void spc__axes_set(const struct spc__graph *graph, struct spc__value *value, const int order[4])
{
    value->num_axes = 0;
    for (int i = 0; i < 4; i++)
        if (spc__axis_size(graph, value, order[i]) > 1)
            value->axes[value->num_axes++] = order[i];
}

bool spc__axes_split(const struct spc__graph *graph, const struct spc__value *value,
                     int first[SPC_MAX_RANK + 1])
{
    int next = 0;

    if (value->num_axes < 0)
        return false;
    first[0] = 0;
    for (int d = 0; d < value->rank; d++) {
        int64_t product = 1;

        while (product < value->dims[d] && next < value->num_axes)
            product *= spc__axis_size(graph, value, value->axes[next++]);
        if (product != value->dims[d])
            return false;
        first[d + 1] = next;
    }
    return next == value->num_axes;
}

void spc__axes_transpose(const struct spc__graph *graph, const struct spc__value *in,
                         const int *perm, struct spc__value *out)
{
    int first[SPC_MAX_RANK + 1];
    int count = 0;

    out->num_axes = -1;
    if (!spc__axes_split(graph, in, first))
        return;
    for (int d = 0; d < in->rank; d++)
        for (int i = first[perm[d]]; i < first[perm[d] + 1]; i++)
            out->axes[count++] = in->axes[i];
    out->num_axes = count;
}

void spc__axes_strides(const struct spc__graph *graph, const struct spc__value *value,
                       int64_t strides[4])
{
    int64_t stride = 1;

    memset(strides, 0, 4 * sizeof(*strides));
    for (int i = value->num_axes - 1; i >= 0; i--) {
        strides[value->axes[i]] = stride;
        stride *= spc__axis_size(graph, value, value->axes[i]);
    }
}
