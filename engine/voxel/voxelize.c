/* SPDX-License-Identifier: MIT */
/*
 * Points to voxels without hashing or sorting, by the column words of cpu/sites.h:
 * find each point's cell and mark its tile; give tiles their slots; set the cells' bits; then a
 * point's voxel is its site's row, and rows are in site order from the start.
 */
#include "voxel/voxelizer.h"

#include "base/error.h"
#include "base/mem.h"
#include "cpu/columns.h"

#include <inttypes.h>
#include <stdlib.h>

/* A point's cell in one word: tile, column in the tile (7 bits), z (15 bits). */
#define CELL_Z_BITS 15
#define CELL_Z_MASK ((1 << CELL_Z_BITS) - 1)
#define CELL_OUTSIDE UINT64_MAX

struct voxelizer {
    const struct spc__voxel_plan *plan;
    struct spc__sites sites;
    uint64_t *cells; /* [cells_room] */
    int64_t cells_room;
    float *sums;     /* [max_voxels][num_features] */
    int32_t *counts; /* [max_voxels] */
    void *features;  /* [max_voxels][num_features]: for a caller who brings no memory */
    int32_t *indices;
    struct spc_voxelizer_result result; /* of the last frame */
};

enum spc_status spc__voxelizer_overflow(int64_t voxels, int64_t max_voxels, struct spc_error *err)
{
    return spc__fail(err, SPC_ERR_CAPACITY,
                     "voxelizer: the points fill %" PRId64 " voxels, but max_voxels is %" PRId64
                     ": raise max_voxels, or narrow the range", voxels, max_voxels);
}

/* Blocks this large come untouched from the system, and cost what frames use of them. */
static enum spc_status make(struct voxelizer *v, struct spc_error *err)
{
    const struct spc_voxelizer_options *o = &v->plan->options;
    size_t rows = (size_t)o->max_voxels, row = (size_t)o->num_features * sizeof(*v->sums);
    enum spc_status status = spc__sites_init(&v->sites, v->plan->grid, o->max_voxels, err);

    if (status)
        return status;
    v->sums = spc__alloc(rows, row);
    v->counts = spc__alloc(rows, sizeof(*v->counts));
    v->features = spc__alloc(rows, spc__voxel_row(v->plan));
    v->indices = spc__alloc(rows, 4 * sizeof(*v->indices));
    if (!v->sums || !v->counts || !v->features || !v->indices)
        return spc__fail_memory(err, rows * (2 * row + 5 * sizeof(int32_t)), "the voxelizer");
    return SPC_OK;
}

static void destroy(void *instance)
{
    struct voxelizer *v = instance;

    spc__sites_clear(&v->sites);
    free(v->cells);
    free(v->sums);
    free(v->counts);
    free(v->features);
    free(v->indices);
    free(v);
}

static enum spc_status create(const struct spc__voxel_plan *plan, void **instance,
                              struct spc_error *err)
{
    struct voxelizer *v = spc__alloc_zeroed(1, sizeof(*v));
    enum spc_status status;

    if (!v)
        return spc__fail_memory(err, sizeof(*v), "a voxelizer");
    v->plan = plan;
    status = make(v, err);
    if (status)
        destroy(v);
    else
        *instance = v;
    return status;
}

static enum spc_status make_room(struct voxelizer *v, int64_t points, struct spc_error *err)
{
    uint64_t *cells;

    if (points <= v->cells_room)
        return SPC_OK;
    cells = spc__alloc((size_t)points, sizeof(*cells));
    if (!cells)
        return spc__fail_memory(err, (size_t)points * sizeof(*cells), "the voxelizer's points");
    free(v->cells);
    v->cells = cells;
    v->cells_room = points;
    return SPC_OK;
}

/* Cell of coordinate p along an axis (x, y, z), or -1. Where the quotient rounds up to the grid's
 * end, or the range is no multiple of the voxel size, the last cell takes what is in range. */
static inline int32_t axis_cell(const struct voxelizer *v, int axis, float p)
{
    const float *range = v->plan->options.range;
    int32_t last = v->plan->cells_in_range[axis] - 1, cell;

    if (!(p >= range[axis] && p < range[axis + 3])) /* NaN is outside, too */
        return -1;
    cell = (int32_t)((p - range[axis]) / v->plan->options.voxel_size[axis]); /* >= 0: floor */
    return cell < last ? cell : last;
}

/* Fills cells and marks tiles; returns the number of points in range. */
static int64_t find_cells(struct voxelizer *v, const struct spc_points *points)
{
    const unsigned char *record = points->data;
    int64_t inside = 0;

    for (int64_t i = 0; i < points->count; i++, record += points->stride) {
        int32_t cell[3], tile;

        for (int axis = 0; axis < 3; axis++)
            cell[axis] = axis_cell(v, axis, spc__point_field(record, points->fields[axis].type,
                                                             points->fields[axis].offset));
        if ((cell[0] | cell[1] | cell[2]) < 0) {
            v->cells[i] = CELL_OUTSIDE;
            continue;
        }
        tile = spc__tile(&v->sites, cell[1], cell[0]);
        spc__sites_mark(&v->sites, tile);
        v->cells[i] = ((uint64_t)tile * SPC__TILE_COLUMNS +
                       (uint64_t)spc__column_in_tile(cell[1], cell[0])) << CELL_Z_BITS |
                      (uint64_t)cell[2];
        inside++;
    }
    return inside;
}

/* Number of the word of a cell in range, or -1 where its tile has no slot now; the bit in it. */
static inline int64_t cell_word(const struct spc__sites *sites, uint64_t cell, int *bit)
{
    int32_t slot = sites->slot_of_tile[cell >> CELL_Z_BITS >> 7];
    int64_t column = (int64_t)slot * SPC__TILE_COLUMNS +
                     (int64_t)(cell >> CELL_Z_BITS & (SPC__TILE_COLUMNS - 1));
    int z = (int)(cell & CELL_Z_MASK);

    *bit = z % 64;
    return slot < 0 || slot >= sites->num_slots ? -1 : column * sites->words + z / 64;
}

static void set_bits(struct voxelizer *v, int64_t points)
{
    for (int64_t i = 0; i < points; i++) {
        int bit;
        int64_t word;

        if (v->cells[i] == CELL_OUTSIDE)
            continue;
        word = cell_word(&v->sites, v->cells[i], &bit);
        if (word >= 0)
            v->sites.mask[word] |= (uint64_t)1 << bit;
    }
}

/* Fills the sites; returns the number of voxels, whether they fit or not. */
static int64_t find_voxels(struct voxelizer *v, int64_t points)
{
    int32_t tiles = spc__sites_number(&v->sites);
    int64_t voxels = 0;

    do {
        set_bits(v, points);
        voxels += spc__sites_rank(&v->sites);
    } while (spc__sites_next(&v->sites, &tiles));
    return voxels;
}

/* Sums the points of each voxel; returns the number of points that are beyond the limit. */
static int64_t add_points(struct voxelizer *v, const struct spc_points *points)
{
    const unsigned char *record = points->data;
    int features = v->plan->options.num_features;
    int32_t most = v->plan->options.max_points_per_voxel, limit = most ? most : INT32_MAX;
    int64_t over = 0;

    memset(v->sums, 0, (size_t)v->sites.count * (size_t)features * sizeof(*v->sums));
    memset(v->counts, 0, (size_t)v->sites.count * sizeof(*v->counts));
    for (int64_t i = 0; i < points->count; i++, record += points->stride) {
        int bit;
        int64_t word;
        uint32_t row;
        float *sum;

        if (v->cells[i] == CELL_OUTSIDE)
            continue;
        word = cell_word(&v->sites, v->cells[i], &bit);
        row = v->sites.base[word] +
              (uint32_t)__builtin_popcountll(v->sites.mask[word] & spc__below(bit));
        if (v->counts[row] == limit) {
            over++;
            continue;
        }
        v->counts[row]++;
        sum = v->sums + (size_t)row * (size_t)features;
        for (int f = 0; f < features; f++)
            sum[f] += spc__point_field(record, points->fields[f].type, points->fields[f].offset);
    }
    return over;
}

static void write_means(struct voxelizer *v, void *features)
{
    size_t n = (size_t)v->plan->options.num_features;
    float *sum = v->sums;

    for (int64_t row = 0; row < v->sites.count; row++, sum += n)
        for (size_t f = 0; f < n; f++)
            sum[f] /= (float)v->counts[row];
    n *= (size_t)v->sites.count;
    if (v->plan->options.feature_type == SPC_DTYPE_F16)
        spc_convert_f32_to_f16(v->sums, features, n);
    else
        memcpy(features, v->sums, n * sizeof(float));
}

static enum spc_status submit(void *instance, const struct spc_points *points,
                              struct spc_voxels *voxels, struct spc_error *err)
{
    struct voxelizer *v = instance;
    const struct spc_voxelizer_options *o = &v->plan->options;
    void *features = voxels->features ? (void *)voxels->features : v->features;
    int32_t *indices = voxels->indices ? (int32_t *)voxels->indices : v->indices;
    enum spc_status status = make_room(v, points->count, err);
    int64_t inside, count;

    if (status)
        return status;
    spc__sites_begin(&v->sites);
    inside = find_cells(v, points);
    count = find_voxels(v, points->count);
    if (count > o->max_voxels)
        return spc__voxelizer_overflow(count, o->max_voxels, err);
    spc__sites_finish(&v->sites, count);
    v->result = (struct spc_voxelizer_result){.num_voxels = count,
                                              .points_outside = points->count - inside};
    v->result.points_over = add_points(v, points);
    v->result.points_used = inside - v->result.points_over;
    write_means(v, features);
    spc__sites_write_indices(&v->sites, o->index_order, indices);
    *voxels = (struct spc_voxels){.feature_type = o->feature_type, .features = features,
                                  .indices = indices, .num_voxels = count};
    return SPC_OK;
}

static enum spc_status wait(void *instance, struct spc_voxelizer_result *result,
                            struct spc_error *err)
{
    (void)err;
    *result = ((struct voxelizer *)instance)->result;
    return SPC_OK;
}

const struct spc__voxel_backend spc__voxel_cpu = {
    .name = "cpu",
    .create = create,
    .destroy = destroy,
    .submit = submit,
    .wait = wait,
};
