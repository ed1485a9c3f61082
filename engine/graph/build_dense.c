/* SPDX-License-Identifier: MIT */
/* Adding nodes with dense results: ScatterDense, Transpose, Reshape. */
#include "base/error.h"
#include "graph/axes.h"
#include "graph/build.h"

#include <stdio.h>
#include <string.h>

static const int axes_czyx[4] = {0, 1, 2, 3};
static const int axes_cxyz[4] = {0, 3, 2, 1};
static const int axes_yxzc[4] = {2, 3, 1, 0};

static int64_t elements(const int64_t *dims, int rank)
{
    int64_t count = 1;

    for (int d = 0; d < rank; d++)
        count *= dims[d];
    return count;
}

/* "1,128,2,180,180" */
static const char *dims_text(const int64_t *dims, int rank, char text[SPC_MAX_RANK * 21])
{
    int length = 0;

    text[0] = 0;
    for (int d = 0; d < rank; d++)
        length += snprintf(text + length, SPC_MAX_RANK * 21 - (size_t)length, "%s%lld",
                           d ? "," : "", (long long)dims[d]);
    return text;
}

static void set_dims(struct spc__value *value, int rank, const int64_t *dims)
{
    value->rank = rank;
    memset(value->dims, 0, sizeof(value->dims));
    memcpy(value->dims, dims, sizeof(*dims) * (size_t)rank);
}

/* Dims and axes of what ScatterDense makes. */
static void shape_scatter(const struct spc__graph *graph, struct spc__value *value,
                          enum spc_index_order format, enum spc_layout layout)
{
    const int32_t *grid = graph->levels[value->level].grid;
    int64_t c = value->channels, z = grid[0], y = grid[1], x = grid[2];

    value->kind = SPC__DENSE;
    value->layout = layout;
    if (layout == SPC_LAYOUT_NCHW32) {
        set_dims(value, 5, (int64_t[]){1, c * z / 32, y, x, 32});
        value->num_axes = -1; /* c and z are interleaved */
    } else if (layout == SPC_LAYOUT_NHWZC) {
        set_dims(value, 5, (int64_t[]){1, y, x, z, c});
        spc__axes_set(graph, value, axes_yxzc);
    } else if (format == SPC_INDEX_XYZ) {
        set_dims(value, 5, (int64_t[]){1, c, x, y, z});
        spc__axes_set(graph, value, axes_cxyz);
    } else {
        set_dims(value, 5, (int64_t[]){1, c, z, y, x});
        spc__axes_set(graph, value, axes_czyx);
    }
}

static enum spc_status check_scatter(const struct spc__graph *graph, const char *name, int in,
                                     enum spc_layout layout, struct spc_error *err)
{
    enum spc_status status = spc__graph_check_input(graph, name, in, SPC__SPARSE, err);
    const struct spc__value *value;
    const int32_t *grid;

    if (status)
        return status;
    value = &graph->values[in];
    grid = graph->levels[value->level].grid;
    if (spc__grid_cells(grid) * value->channels > SPC__MAX_DENSE)
        return spc__fail(err, SPC_ERR_UNSUPPORTED,
                         "node " SPC__NAME ": a dense grid of " SPC__GRID
                         " with %d channels is too large; %lld elements are supported",
                         name, SPC__GRID_ARGS(grid), value->channels, (long long)SPC__MAX_DENSE);
    if (layout == SPC_LAYOUT_NCHW32 && (int64_t)value->channels * grid[0] % 32)
        return spc__fail(err, SPC_ERR_UNSUPPORTED,
                         "node " SPC__NAME ": layout NCHW32 needs channels times z cells to be a "
                         "multiple of 32, but they are %d times %d",
                         name, value->channels, grid[0]);
    return SPC_OK;
}

enum spc_status spc__graph_add_scatter(struct spc__graph *graph, const char *name, int in,
                                       const char *out, enum spc_index_order format,
                                       enum spc_layout layout, float amax, struct spc_error *err)
{
    const struct spc__new_node what = {
        .op = SPC__OP_SCATTER, .name = name, .op_type = "ScatterDense", .in = {in, -1}, .out = out};
    enum spc_status status = check_scatter(graph, name, in, layout, err);
    struct spc__node *node;
    struct spc__value *value;

    if (!status)
        status = spc__graph_append(graph, &what, &node, err);
    if (status)
        return status;
    value = &graph->values[node->out];
    shape_scatter(graph, value, format, layout);
    if (value->num_axes >= 0)
        spc__axes_strides(graph, value, node->scatter_stride);
    node->scatter_amax = value->amax = amax;
    return SPC_OK;
}

static enum spc_status check_transpose(const struct spc__graph *graph, const char *name, int in,
                                       const int64_t *perm, int rank, struct spc_error *err)
{
    const struct spc__value *value = &graph->values[in];
    bool seen[SPC_MAX_RANK] = {false};

    if (value->layout != SPC_LAYOUT_LINEAR)
        return spc__fail(err, SPC_ERR_UNSUPPORTED,
                         "node " SPC__NAME ": Transpose behind output_layout %s is not supported; "
                         "use NCHW",
                         name, value->layout == SPC_LAYOUT_NCHW32 ? "NCHW32" : "NHWzC");
    if (rank != value->rank)
        return spc__fail(err, SPC_ERR_MODEL,
                         "node " SPC__NAME ": permutes %d dims, but its input " SPC__NAME " has %d",
                         name, rank, value->name, value->rank);
    for (int d = 0; d < rank; d++) {
        if (perm[d] < 0 || perm[d] >= rank || seen[perm[d]])
            return spc__fail(err, SPC_ERR_MODEL,
                             "node " SPC__NAME ": entry %d of its permutation is %lld, which is "
                             "there twice or no dim of %d",
                             name, d, (long long)perm[d], rank);
        seen[perm[d]] = true;
    }
    return SPC_OK;
}

enum spc_status spc__graph_add_transpose(struct spc__graph *graph, const char *name, int in,
                                         const char *out, const int64_t *perm, int rank,
                                         struct spc_error *err)
{
    const struct spc__new_node what = {
        .op = SPC__OP_TRANSPOSE, .name = name, .op_type = "Transpose", .in = {in, -1}, .out = out};
    enum spc_status status = spc__graph_check_input(graph, name, in, SPC__DENSE, err);
    const struct spc__value *from;
    struct spc__node *node;
    struct spc__value *value;

    if (!status)
        status = check_transpose(graph, name, in, perm, rank, err);
    if (!status)
        status = spc__graph_append(graph, &what, &node, err);
    if (status)
        return status;
    from = &graph->values[in];
    value = &graph->values[node->out];
    for (int d = 0; d < rank; d++) {
        node->perm[d] = (int)perm[d];
        value->dims[d] = from->dims[perm[d]];
    }
    spc__axes_transpose(graph, from, node->perm, value);
    value->amax = from->amax;
    return SPC_OK;
}

/* `dims` with 0 and -1 replaced. False where that is not possible with this input. */
static bool resolve_dims(const struct spc__value *from, const int64_t *dims, int rank,
                         int64_t resolved[SPC_MAX_RANK])
{
    int64_t total = elements(from->dims, from->rank), known = 1;
    int open = -1;

    for (int d = 0; d < rank; d++) {
        resolved[d] = dims[d] || d >= from->rank ? dims[d] : from->dims[d];
        if (resolved[d] == -1 && open < 0)
            open = d;
        else if (resolved[d] < 1 || __builtin_mul_overflow(known, resolved[d], &known))
            return false;
    }
    if (open >= 0) {
        resolved[open] = total / known;
        known *= resolved[open];
    }
    return known == total;
}

enum spc_status spc__graph_add_reshape(struct spc__graph *graph, const char *name, int in,
                                       const char *out, const int64_t *dims, int rank,
                                       struct spc_error *err)
{
    const struct spc__new_node what = {
        .op = SPC__OP_RESHAPE, .name = name, .op_type = "Reshape", .in = {in, -1}, .out = out};
    enum spc_status status = spc__graph_check_input(graph, name, in, SPC__DENSE, err);
    char from_text[SPC_MAX_RANK * 21], to_text[SPC_MAX_RANK * 21];
    int64_t resolved[SPC_MAX_RANK];
    const struct spc__value *from;
    struct spc__node *node;

    if (status)
        return status;
    from = &graph->values[in];
    if (rank < 1 || rank > SPC_MAX_RANK)
        return spc__fail(err, SPC_ERR_UNSUPPORTED,
                         "node " SPC__NAME ": reshapes to %d dims; 1 to %d are supported", name,
                         rank, SPC_MAX_RANK);
    if (!resolve_dims(from, dims, rank, resolved))
        return spc__fail(err, SPC_ERR_MODEL,
                         "node " SPC__NAME ": cannot reshape %s to %s, the number of elements "
                         "must stay",
                         name, dims_text(from->dims, from->rank, from_text),
                         dims_text(dims, rank, to_text));
    status = spc__graph_append(graph, &what, &node, err);
    if (status)
        return status;
    graph->values[node->out].amax = graph->values[in].amax;
    /* Other layouts keep their own dims: what the file declares is the shape they stand for. */
    if (graph->values[in].layout == SPC_LAYOUT_LINEAR)
        set_dims(&graph->values[node->out], rank, resolved);
    return SPC_OK;
}
