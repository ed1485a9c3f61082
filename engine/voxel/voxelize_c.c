/* SPDX-License-Identifier: MIT */
/* The voxelizer's reference: sort the points by cell, average runs of equal cells. */
#include "voxel/voxelizer.h"

#include "base/error.h"
#include "base/mem.h"
#include "cpu/sites.h"

#include <math.h>
#include <stdlib.h>

struct placed_point {
    int32_t tile_y, tile_x, y, x, z; /* in site order */
    int64_t point;
};

static int compare(const void *a, const void *b)
{
    const struct placed_point *p = a, *q = b;

    if (p->tile_y != q->tile_y)
        return p->tile_y < q->tile_y ? -1 : 1;
    if (p->tile_x != q->tile_x)
        return p->tile_x < q->tile_x ? -1 : 1;
    if (p->y != q->y)
        return p->y < q->y ? -1 : 1;
    if (p->x != q->x)
        return p->x < q->x ? -1 : 1;
    if (p->z != q->z)
        return p->z < q->z ? -1 : 1;
    return (p->point > q->point) - (p->point < q->point);
}

static bool same_cell(const struct placed_point *p, const struct placed_point *q)
{
    return p->z == q->z && p->y == q->y && p->x == q->x;
}

static const unsigned char *record_of(const struct spc_points *points, int64_t point)
{
    return (const unsigned char *)points->data + (size_t)point * points->stride;
}

static bool place(const struct spc_voxelizer_options *o, const struct spc_points *points,
                  int64_t point, struct placed_point *placed)
{
    int32_t cell[3];

    for (int axis = 0; axis < 3; axis++) {
        float low = o->range[axis], high = o->range[axis + 3], size = o->voxel_size[axis];
        float p = spc__point_field(record_of(points, point), points->fields[axis].type,
                                   points->fields[axis].offset);
        int32_t cells = (int32_t)round(((double)high - low) / size);

        if (isnan(p) || p < low || p >= high)
            return false;
        cell[axis] = (int32_t)floorf((p - low) / size);
        if (cell[axis] >= cells)
            cell[axis] = cells - 1;
    }
    *placed = (struct placed_point){cell[1] / SPC__TILE_Y, cell[0] / SPC__TILE_X,
                                    cell[1], cell[0], cell[2], point};
    return true;
}

/* One voxel from its points; returns how many were used. */
static int64_t average(const struct spc_voxelizer_options *o, const struct spc_points *points,
                       const struct placed_point *placed, int64_t count, float *mean)
{
    int64_t limit = o->max_points_per_voxel;
    int64_t used = limit && count > limit ? limit : count;

    for (int f = 0; f < o->num_features; f++) {
        mean[f] = 0;
        for (int64_t i = 0; i < used; i++)
            mean[f] += spc__point_field(record_of(points, placed[i].point),
                                        points->fields[f].type, points->fields[f].offset);
        mean[f] /= (float)used;
    }
    return used;
}

static void write_voxel(const struct spc_voxelizer_options *o, const struct placed_point *cell,
                        const float *mean, int64_t row, void *features, int32_t *indices)
{
    bool xyz = o->index_order == SPC_INDEX_XYZ;

    for (int f = 0; f < o->num_features; f++) {
        if (o->feature_type == SPC_DTYPE_F16)
            ((uint16_t *)features)[row * o->num_features + f] = spc__half_from_float(mean[f]);
        else
            ((float *)features)[row * o->num_features + f] = mean[f];
    }
    indices[4 * row] = 0;
    indices[4 * row + 1] = xyz ? cell->x : cell->z;
    indices[4 * row + 2] = cell->y;
    indices[4 * row + 3] = xyz ? cell->z : cell->x;
}

enum spc_status spc__voxelize_c(const struct spc_voxelizer_options *options,
                                const struct spc_points *points, void *features, int32_t *indices,
                                struct spc_voxelizer_result *result, struct spc_error *err)
{
    struct placed_point *placed = spc__alloc((size_t)points->count, sizeof(*placed));
    int64_t inside = 0, voxels = 0;
    float mean[SPC_MAX_POINT_FIELDS];

    if (!placed)
        return spc__fail_memory(err, (size_t)points->count * sizeof(*placed), "sorted points");
    for (int64_t i = 0; i < points->count; i++)
        inside += place(options, points, i, &placed[inside]);
    qsort(placed, (size_t)inside, sizeof(*placed), compare);
    for (int64_t i = 0; i < inside; i++)
        voxels += !i || !same_cell(&placed[i], &placed[i - 1]);
    if (voxels > options->max_voxels) {
        free(placed);
        return spc__voxelizer_overflow(voxels, options->max_voxels, err);
    }
    *result = (struct spc_voxelizer_result){.num_voxels = voxels,
                                            .points_outside = points->count - inside};
    for (int64_t first = 0, end, row = 0; first < inside; first = end, row++) {
        for (end = first + 1; end < inside && same_cell(&placed[end], &placed[first]);)
            end++;
        result->points_used += average(options, points, placed + first, end - first, mean);
        write_voxel(options, &placed[first], mean, row, features, indices);
    }
    result->points_over = inside - result->points_used;
    free(placed);
    return SPC_OK;
}
