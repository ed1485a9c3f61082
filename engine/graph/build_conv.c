/* SPDX-License-Identifier: MIT */
/*
 * Adding convolutions: geometry checks, rulebooks and levels.
 *
 * A rulebook is found by what it computes, not by its key: equal geometry on equal sites is one
 * rulebook. Keys only join an inverse convolution to its forward one, and are checked.
 */
#include "base/error.h"
#include "graph/build.h"

#include <string.h>

static enum spc_status check_channels(const struct spc__graph *graph, const char *name, int in,
                                      const struct spc__conv_params *params, struct spc_error *err)
{
    const struct spc__value *value = &graph->values[in];

    if (params->cin != value->channels)
        return spc__fail(err, SPC_ERR_MODEL,
                         "node " SPC__NAME ": has %d input channels, but its input " SPC__NAME
                         " has %d",
                         name, params->cin, value->name, value->channels);
    if (params->cout < 1 || params->cout > SPC__MAX_CHANNELS)
        return spc__fail(err, SPC_ERR_UNSUPPORTED,
                         "node " SPC__NAME ": has %d output channels; 1 to %d are supported", name,
                         params->cout, SPC__MAX_CHANNELS);
    if (!params->weights)
        return spc__fail(err, SPC_ERR_MODEL, "node " SPC__NAME ": has no weights", name);
    return SPC_OK;
}

static enum spc_status check_range(const char *name, const char *what, const int32_t v[3],
                                   int32_t low, int32_t high, struct spc_error *err)
{
    for (int a = 0; a < 3; a++)
        if (v[a] < low || v[a] > high)
            return spc__fail(err, SPC_ERR_UNSUPPORTED,
                             "node " SPC__NAME ": %s is " SPC__GRID "; %d to %d are supported",
                             name, what, SPC__GRID_ARGS(v), low, high);
    return SPC_OK;
}

/* The file's word for a grid, where it gives one, against ours. */
static enum spc_status check_grid(const char *name, const char *what, const int32_t declared[3],
                                  const int32_t grid[3], struct spc_error *err)
{
    if (!declared[0] && !declared[1] && !declared[2])
        return SPC_OK;
    if (memcmp(declared, grid, 3 * sizeof(*grid)))
        return spc__fail(err, SPC_ERR_MODEL,
                         "node " SPC__NAME ": declares the %s grid " SPC__GRID
                         ", but it is " SPC__GRID,
                         name, what, SPC__GRID_ARGS(declared), SPC__GRID_ARGS(grid));
    return SPC_OK;
}

/* Where a rulebook does not depend on a parameter, sets it to one fixed value, so that equal
 * rulebooks compare equal. A 1x1x1 convolution that moves nothing keeps its input's sites, as in
 * spconv, whatever class it was written with. */
static void normalize(struct spc__rulebook *book)
{
    bool moves = false;

    for (int a = 0; a < 3; a++)
        moves |= book->kernel[a] != 1 || book->stride[a] != 1 || book->padding[a] != 0;
    if (book->kind == SPC__STRIDED && !moves)
        book->kind = SPC__SUBM;
    for (int a = 0; a < 3; a++) {
        if (book->kernel[a] == 1)
            book->dilation[a] = 1;
        if (book->kind == SPC__SUBM) {
            book->stride[a] = 1;
            book->padding[a] = book->kernel[a] / 2 * book->dilation[a];
        }
    }
}

static enum spc_status check_geometry(const char *name, const struct spc__conv_params *params,
                                      struct spc_error *err)
{
    enum spc_status status =
        check_range(name, "kernel size", params->kernel, 1, SPC__MAX_KERNEL, err);

    if (!status && (params->bound < 0 || params->bound > SPC__MAX_SITES))
        status = spc__fail(err, SPC_ERR_UNSUPPORTED,
                           "node " SPC__NAME ": output_bound is %lld; 0 (the default) to %lld are "
                           "supported",
                           name, (long long)params->bound, (long long)SPC__MAX_SITES);
    if (!status && params->kind != SPC__INVERSE)
        status = check_range(name, "dilation", params->dilation, 1, SPC__MAX_GRID, err);
    if (!status && params->kind == SPC__STRIDED)
        status = check_range(name, "stride", params->stride, 1, SPC__MAX_GRID, err);
    if (!status && params->kind == SPC__STRIDED)
        status = check_range(name, "padding", params->padding, 0, SPC__MAX_GRID, err);
    if (status || params->kind != SPC__SUBM)
        return status;
    for (int a = 0; a < 3; a++)
        if (params->kernel[a] % 2 == 0)
            return spc__fail(err, SPC_ERR_MODEL,
                             "node " SPC__NAME
                             ": a submanifold kernel must be odd, this is " SPC__GRID,
                             name, SPC__GRID_ARGS(params->kernel));
    return SPC_OK;
}

/* Grid behind a strided convolution: floor((D + 2p - d(k - 1) - 1) / s) + 1. */
static enum spc_status output_grid(const char *name, const int32_t in[3],
                                   const struct spc__rulebook *book, int32_t out[3],
                                   struct spc_error *err)
{
    for (int a = 0; a < 3; a++) {
        int32_t span = in[a] + 2 * book->padding[a] - book->dilation[a] * (book->kernel[a] - 1) - 1;

        out[a] = span < 0 ? 0 : span / book->stride[a] + 1;
        if (out[a] < 1 || out[a] > SPC__MAX_GRID)
            return spc__fail(err, SPC_ERR_MODEL,
                             "node " SPC__NAME ": makes %d cells in %c from a grid of " SPC__GRID
                             "; 1 to %d are possible",
                             name, out[a], "zyx"[a], SPC__GRID_ARGS(in), SPC__MAX_GRID);
    }
    return SPC_OK;
}

/* A grid has no more sites than cells, whatever is declared. */
static int64_t level_bound(int64_t declared, const int32_t grid[3])
{
    int64_t bound = declared ? declared : SPC__DEFAULT_BOUND, cells = spc__grid_cells(grid);

    return bound < cells ? bound : cells;
}

static int find_rulebook(const struct spc__graph *graph, const struct spc__rulebook *book)
{
    for (int r = 0; r < graph->num_rulebooks; r++) {
        const struct spc__rulebook *other = &graph->rulebooks[r];

        if (other->kind == book->kind && other->in_level == book->in_level &&
            other->forward == book->forward &&
            !memcmp(other->kernel, book->kernel, sizeof(book->kernel)) &&
            !memcmp(other->stride, book->stride, sizeof(book->stride)) &&
            !memcmp(other->padding, book->padding, sizeof(book->padding)) &&
            !memcmp(other->dilation, book->dilation, sizeof(book->dilation)))
            return r;
    }
    return -1;
}

/* First node with this key; NULL if none or the key is "". */
static const struct spc__node *find_key(const struct spc__graph *graph, const char *key)
{
    for (int n = 0; key[0] && n < graph->num_nodes; n++)
        if (!strcmp(graph->nodes[n].key, key))
            return &graph->nodes[n];
    return NULL;
}

/* The strided rulebook that an inverse convolution reverses. */
static enum spc_status find_forward(const struct spc__graph *graph, const char *name,
                                    const struct spc__conv_params *params, int in_level,
                                    int *forward, struct spc_error *err)
{
    const struct spc__node *node = find_key(graph, params->key);
    const struct spc__rulebook *book = node ? &graph->rulebooks[node->rulebook] : NULL;

    if (!params->key[0])
        return spc__fail(err, SPC_ERR_MODEL,
                         "node " SPC__NAME ": an inverse convolution needs the rulebook name of "
                         "the strided convolution that it reverses, but has none",
                         name);
    if (!book)
        return spc__fail(err, SPC_ERR_MODEL,
                         "node " SPC__NAME ": reverses rulebook " SPC__NAME
                         ", but no convolution before it has that name",
                         name, params->key);
    if (book->kind != SPC__STRIDED)
        return spc__fail(err, SPC_ERR_MODEL,
                         "node " SPC__NAME ": reverses rulebook " SPC__NAME " of node " SPC__NAME
                         ", which is no strided convolution",
                         name, params->key, node->name);
    if (memcmp(book->kernel, params->kernel, sizeof(book->kernel)))
        return spc__fail(err, SPC_ERR_MODEL,
                         "node " SPC__NAME ": its kernel size is " SPC__GRID ", but node " SPC__NAME
                         ", which it reverses, has " SPC__GRID,
                         name, SPC__GRID_ARGS(params->kernel), node->name,
                         SPC__GRID_ARGS(book->kernel));
    if (book->out_level != in_level)
        return spc__fail(err, SPC_ERR_MODEL,
                         "node " SPC__NAME ": reverses node " SPC__NAME
                         ", but its input is not on the sites which that node makes",
                         name, node->name);
    *forward = node->rulebook;
    return SPC_OK;
}

/* Fills the geometry of the wanted rulebook; out_level is set for all but STRIDED. */
static enum spc_status describe_rulebook(const struct spc__graph *graph, const char *name,
                                         int in_level, const struct spc__conv_params *params,
                                         struct spc__rulebook *book, struct spc_error *err)
{
    enum spc_status status = check_geometry(name, params, err);

    if (!status && params->kind == SPC__INVERSE) {
        int forward = -1;

        status = find_forward(graph, name, params, in_level, &forward, err);
        if (status)
            return status;
        *book = graph->rulebooks[forward];
        book->kind = SPC__INVERSE;
        book->out_level = book->in_level;
        book->in_level = in_level;
        book->forward = forward;
        return SPC_OK;
    }
    *book = (struct spc__rulebook){
        .kind = params->kind, .in_level = in_level, .out_level = in_level, .forward = -1};
    memcpy(book->kernel, params->kernel, sizeof(book->kernel));
    memcpy(book->stride, params->stride, sizeof(book->stride));
    memcpy(book->padding, params->padding, sizeof(book->padding));
    memcpy(book->dilation, params->dilation, sizeof(book->dilation));
    if (!status)
        normalize(book);
    return status;
}

/* A level for the output of a new strided rulebook. */
static enum spc_status add_level(struct spc__graph *graph, const char *name,
                                 const struct spc__conv_params *params, struct spc__rulebook *book,
                                 struct spc_error *err)
{
    struct spc__level level = {.node = graph->num_nodes, .rulebook = graph->num_rulebooks};
    enum spc_status status =
        output_grid(name, graph->levels[book->in_level].grid, book, level.grid, err);

    if (!status)
        status = spc__graph_grow((void **)&graph->levels, graph->num_levels, sizeof(level), err);
    if (status)
        return status;
    level.bound = level_bound(params->bound, level.grid);
    book->out_level = graph->num_levels;
    graph->levels[graph->num_levels++] = level;
    return SPC_OK;
}

/* The key must mean what it meant before: the same rulebook, or the two directions of one. */
static enum spc_status check_key(const struct spc__graph *graph, const char *name, const char *key,
                                 int rulebook, struct spc_error *err)
{
    const struct spc__node *first = find_key(graph, key);
    const struct spc__rulebook *book = &graph->rulebooks[rulebook];
    const struct spc__rulebook *other = first ? &graph->rulebooks[first->rulebook] : NULL;

    if (!first || first->rulebook == rulebook || book->forward == first->rulebook)
        return SPC_OK;
    if (other->in_level != book->in_level)
        return spc__fail(err, SPC_ERR_MODEL,
                         "node " SPC__NAME ": shares rulebook " SPC__NAME " with node " SPC__NAME
                         ", but their inputs are on different sites: grids " SPC__GRID
                         " and " SPC__GRID,
                         name, key, first->name, SPC__GRID_ARGS(graph->levels[book->in_level].grid),
                         SPC__GRID_ARGS(graph->levels[other->in_level].grid));
    return spc__fail(err, SPC_ERR_MODEL,
                     "node " SPC__NAME ": shares rulebook " SPC__NAME " with node " SPC__NAME
                     ", but kernel, stride, padding, dilation or kind differ",
                     name, key, first->name);
}

/* The rulebook of these parameters on `in_level`: one that is there, or a new one. */
static enum spc_status get_rulebook(struct spc__graph *graph, const char *name, int in_level,
                                    const struct spc__conv_params *params, int *rulebook,
                                    struct spc_error *err)
{
    struct spc__rulebook book;
    enum spc_status status = describe_rulebook(graph, name, in_level, params, &book, err);

    if (status)
        return status;
    *rulebook = find_rulebook(graph, &book);
    if (*rulebook < 0) {
        if (book.kind == SPC__STRIDED)
            status = add_level(graph, name, params, &book, err);
        if (!status)
            status = spc__graph_grow((void **)&graph->rulebooks, graph->num_rulebooks, sizeof(book),
                                     err);
        if (status)
            return status;
        *rulebook = graph->num_rulebooks;
        graph->rulebooks[graph->num_rulebooks++] = book;
    }
    return check_key(graph, name, params->key, *rulebook, err);
}

static void fill_conv(struct spc__node *node, const struct spc__conv_params *params, int rulebook)
{
    node->act = params->act;
    node->act_slope = params->act_slope;
    node->rulebook = rulebook;
    node->cin = params->cin;
    node->cout = params->cout;
    node->weights = params->weights;
    node->bias = params->bias;
    node->in_amax = params->in_amax;
    node->weight_amax = params->weight_amax;
    node->compute = params->compute;
    node->store = params->store;
}

enum spc_status spc__graph_add_conv(struct spc__graph *graph, const char *name, const char *op_type,
                                    int in, const char *out, const struct spc__conv_params *params,
                                    struct spc_error *err)
{
    enum spc_status status = spc__graph_check_input(graph, name, in, SPC__SPARSE, err);
    const struct spc__rulebook *book;
    struct spc__node *node;
    int rulebook;

    if (!status)
        status = check_channels(graph, name, in, params, err);
    if (!status)
        status = check_grid(name, "input", params->in_grid,
                            graph->levels[graph->values[in].level].grid, err);
    if (!status)
        status = get_rulebook(graph, name, graph->values[in].level, params, &rulebook, err);
    if (status)
        return status;
    book = &graph->rulebooks[rulebook];
    status = check_grid(name, "output", params->out_grid, graph->levels[book->out_level].grid, err);
    if (!status)
        status = spc__graph_append(graph,
                                   &(struct spc__new_node){.op = SPC__OP_CONV,
                                                           .name = name,
                                                           .op_type = op_type,
                                                           .key = params->key,
                                                           .in = {in, -1},
                                                           .out = out},
                                   &node, err);
    if (status)
        return status;
    fill_conv(node, params, rulebook);
    graph->values[node->out].level = book->out_level;
    graph->values[node->out].channels = params->cout;
    return SPC_OK;
}
