/* SPDX-License-Identifier: MIT */
/*
 * Points to voxels without hashing or sorting, by the column words of cpu/sites.h:
 * find each point's cell and mark its tile; give tiles their slots; set the cells' bits; then a
 * point's voxel is its site's row, and rows are in site order from the start.
 */
#include "voxel/voxelizer.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/options.h"
#include "cpu/columns.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* A point's cell in one word: tile, column in the tile (7 bits), z (15 bits). */
#define CELL_Z_BITS 15
#define CELL_OUTSIDE UINT64_MAX
#define MAX_GRID (1 << CELL_Z_BITS) /* cells of an axis */
#define MAX_VOXELS ((int64_t)1 << 27)

struct spc_voxelizer {
    struct spc_voxelizer_options options;
    int32_t cells_in_range[3]; /* x, y, z; the grid's z may be larger */
    struct spc__sites sites;
    uint64_t *cells; /* [cells_room] */
    int64_t cells_room;
    float *sums;     /* [max_voxels][num_features] */
    int32_t *counts; /* [max_voxels] */
};

void spc_voxelizer_options_init(struct spc_voxelizer_options *options, size_t size)
{
    const struct spc_voxelizer_options defaults = {
        .num_features = 5,
        .max_voxels = 200000,
        .index_order = SPC_INDEX_ZYX,
        .feature_type = SPC_DTYPE_F32,
    };

    spc__options_give(options, size, &defaults, sizeof(defaults));
}

static enum spc_status check_options(const struct spc_voxelizer_options *o, struct spc_error *err)
{
    if (o->num_features < 3 || o->num_features > SPC_MAX_POINT_FIELDS)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "voxelizer: num_features is %d; 3 to %d can be averaged",
                         o->num_features, SPC_MAX_POINT_FIELDS);
    if (o->max_voxels < 1 || o->max_voxels > MAX_VOXELS)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "voxelizer: max_voxels is %" PRId64 "; 1 to %" PRId64 " can be planned",
                         o->max_voxels, MAX_VOXELS);
    if (o->max_points_per_voxel < 0)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "voxelizer: max_points_per_voxel is %d; give 0 for no limit",
                         o->max_points_per_voxel);
    if (o->feature_type != SPC_DTYPE_F32 && o->feature_type != SPC_DTYPE_F16)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "voxelizer: features cannot be %s; choose float32 or float16",
                         spc_dtype_name(o->feature_type));
    if (o->index_order != SPC_INDEX_ZYX && o->index_order != SPC_INDEX_XYZ)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "voxelizer: index_order must be SPC_INDEX_ZYX or SPC_INDEX_XYZ");
    return SPC_OK;
}

/* Cells of an axis, or 0 with the reason. */
static int32_t axis_cells(const struct spc_voxelizer_options *o, int axis, struct spc_error *err)
{
    float low = o->range[axis], high = o->range[axis + 3], size = o->voxel_size[axis];
    double cells = round(((double)high - low) / size);

    if (!(size > 0) || !(high > low) || !isfinite(high - low) || !isfinite((high - low) / size)) {
        spc__fail(err, SPC_ERR_ARGUMENT,
                  "voxelizer: range %g .. %g m in steps of %g m along %c holds no cells; the "
                  "minimum must be below the maximum and the voxel size above 0",
                  low, high, size, "xyz"[axis]);
        return 0;
    }
    if (axis == 2)
        cells += o->grid_extra_z;
    if (cells >= 1 && cells <= MAX_GRID && (axis != 2 || o->grid_extra_z >= 0))
        return (int32_t)cells;
    spc__fail(err, SPC_ERR_ARGUMENT,
              "voxelizer: range %g .. %g m in steps of %g m along %c makes %.0f cells (%d of them "
              "extra); 1 to %d are possible",
              low, high, size, "xyz"[axis], cells, axis == 2 ? o->grid_extra_z : 0, MAX_GRID);
    return 0;
}

static enum spc_status set_up(struct spc_voxelizer *v, struct spc_error *err)
{
    const struct spc_voxelizer_options *o = &v->options;
    int32_t grid[3]; /* z, y, x */
    enum spc_status status = check_options(o, err);

    if (status)
        return status;
    for (int axis = 0; axis < 3; axis++) {
        int32_t cells = axis_cells(o, axis, err);

        if (!cells)
            return SPC_ERR_ARGUMENT;
        grid[2 - axis] = cells;
        v->cells_in_range[axis] = axis == 2 ? cells - o->grid_extra_z : cells;
    }
    if (v->cells_in_range[2] < 1)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "voxelizer: the range along z is less than half a voxel high");
    status = spc__sites_init(&v->sites, grid, o->max_voxels, err);
    if (status)
        return status;
    v->sums = spc__alloc((size_t)o->max_voxels, (size_t)o->num_features * sizeof(*v->sums));
    v->counts = spc__alloc((size_t)o->max_voxels, sizeof(*v->counts));
    if (!v->sums || !v->counts)
        return spc__fail_memory(err, (size_t)o->max_voxels * sizeof(float) *
                                         ((size_t)o->num_features + 1), "the voxelizer's sums");
    return SPC_OK;
}

enum spc_status spc_voxelizer_create(const struct spc_voxelizer_options *options,
                                     struct spc_voxelizer **voxelizer, struct spc_error *err)
{
    struct spc_voxelizer *v;
    enum spc_status status;

    if (!options)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "voxelizer: options are needed: they hold the range and voxel size");
    v = spc__alloc_zeroed(1, sizeof(*v));
    if (!v)
        return spc__fail_memory(err, sizeof(*v), "a voxelizer");
    spc_voxelizer_options_default(&v->options);
    status = spc__options_take(&v->options, sizeof(v->options), options, "spc_voxelizer_options",
                               err);
    if (!status)
        status = set_up(v, err);
    if (status)
        spc_voxelizer_free(&v);
    else
        *voxelizer = v;
    return status;
}

void spc_voxelizer_free(struct spc_voxelizer **voxelizer)
{
    if (!voxelizer || !*voxelizer)
        return;
    spc__sites_clear(&(*voxelizer)->sites);
    free((*voxelizer)->cells);
    free((*voxelizer)->sums);
    free((*voxelizer)->counts);
    free(*voxelizer);
    *voxelizer = NULL;
}

void spc_voxelizer_get_grid(const struct spc_voxelizer *voxelizer, int32_t *grid_z,
                            int32_t *grid_y, int32_t *grid_x)
{
    *grid_z = voxelizer->sites.grid[0];
    *grid_y = voxelizer->sites.grid[1];
    *grid_x = voxelizer->sites.grid[2];
}

enum spc_status spc__voxelizer_overflow(int64_t voxels, int64_t max_voxels, struct spc_error *err)
{
    return spc__fail(err, SPC_ERR_CAPACITY,
                     "voxelizer: the points fill %" PRId64 " voxels, but max_voxels is %" PRId64
                     ": raise max_voxels, or narrow the range", voxels, max_voxels);
}

static enum spc_status check_points(const struct spc_voxelizer_options *o,
                                    const struct spc_points *p, struct spc_error *err)
{
    if (p->count < 0 || (p->count && !p->data))
        return spc__fail(err, SPC_ERR_ARGUMENT, "voxelizer: %" PRId64 " points at no address",
                         p->count);
    if (p->num_fields < 3 || p->num_fields > SPC_MAX_POINT_FIELDS ||
        p->num_fields < o->num_features)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "voxelizer: points have %d fields; %d are to be averaged, and at most %d "
                         "can be described", p->num_fields, o->num_features,
                         SPC_MAX_POINT_FIELDS);
    for (int i = 0; i < p->num_fields; i++) {
        enum spc_dtype type = p->fields[i].type;
        size_t offset = p->fields[i].offset, size = spc_dtype_size(type);

        if (type != SPC_DTYPE_F32 && type != SPC_DTYPE_F16 && type != SPC_DTYPE_U8 &&
            type != SPC_DTYPE_U32)
            return spc__fail(err, SPC_ERR_ARGUMENT,
                             "voxelizer: field %d is %s; float32, float16, uint8 and uint32 can be "
                             "read", i, spc_dtype_name(type));
        if (size > p->stride || offset > p->stride - size)
            return spc__fail(err, SPC_ERR_ARGUMENT,
                             "voxelizer: field %d (%zu bytes at offset %zu) reaches beyond the "
                             "record of %zu bytes", i, size, offset, p->stride);
    }
    return spc__check_reserved(p->reserved, "spc_points", err);
}

static enum spc_status make_room(struct spc_voxelizer *v, int64_t points, struct spc_error *err)
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
static inline int32_t axis_cell(const struct spc_voxelizer *v, int axis, float p)
{
    const float *range = v->options.range;
    int32_t last = v->cells_in_range[axis] - 1, cell;

    if (!(p >= range[axis] && p < range[axis + 3])) /* NaN is outside, too */
        return -1;
    cell = (int32_t)((p - range[axis]) / v->options.voxel_size[axis]); /* >= 0: floor */
    return cell < last ? cell : last;
}

/* Fills cells and marks tiles; returns the number of points in range. */
static int64_t find_cells(struct spc_voxelizer *v, const struct spc_points *points)
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
    int z = (int)(cell & (MAX_GRID - 1));

    *bit = z % 64;
    return slot < 0 || slot >= sites->num_slots ? -1 : column * sites->words + z / 64;
}

static void set_bits(struct spc_voxelizer *v, int64_t points)
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
static int64_t find_voxels(struct spc_voxelizer *v, int64_t points)
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
static int64_t add_points(struct spc_voxelizer *v, const struct spc_points *points)
{
    const unsigned char *record = points->data;
    int features = v->options.num_features;
    int32_t limit = v->options.max_points_per_voxel ? v->options.max_points_per_voxel : INT32_MAX;
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

static void write_means(struct spc_voxelizer *v, void *features)
{
    size_t n = (size_t)v->options.num_features;
    float *sum = v->sums;

    for (int64_t row = 0; row < v->sites.count; row++, sum += n)
        for (size_t f = 0; f < n; f++)
            sum[f] /= (float)v->counts[row];
    n *= (size_t)v->sites.count;
    if (v->options.feature_type == SPC_DTYPE_F16)
        spc_convert_f32_to_f16(v->sums, features, n);
    else
        memcpy(features, v->sums, n * sizeof(float));
}

enum spc_status spc_voxelizer_run(struct spc_voxelizer *voxelizer,
                                  const struct spc_points *points, void *features,
                                  int32_t *indices, struct spc_voxelizer_result *result,
                                  struct spc_error *err)
{
    struct spc_voxelizer *v = voxelizer;
    int64_t inside, voxels;
    enum spc_status status = check_points(&v->options, points, err);

    if (!status)
        status = make_room(v, points->count, err);
    if (status)
        return status;
    spc__sites_begin(&v->sites);
    inside = find_cells(v, points);
    voxels = find_voxels(v, points->count);
    if (voxels > v->options.max_voxels)
        return spc__voxelizer_overflow(voxels, v->options.max_voxels, err);
    spc__sites_finish(&v->sites, voxels);
    result->num_voxels = voxels;
    result->points_outside = points->count - inside;
    result->points_over = add_points(v, points);
    result->points_used = inside - result->points_over;
    write_means(v, features);
    spc__sites_write_indices(&v->sites, v->options.index_order, indices);
    return SPC_OK;
}
