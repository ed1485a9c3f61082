/* SPDX-License-Identifier: MIT */
/*
 * A network computed the slow way: every value is an array over all cells of its grid, neighbours
 * are found by trying every kernel offset. Sums go in the engine's order (bias, offsets, channels;
 * fused multiply-add), so that results can be compared bit by bit.
 */
#ifndef SPC_TEST_NET_REFERENCE_H
#define SPC_TEST_NET_REFERENCE_H

#include "base/half.h"
#include "cpu/activate.h"
#include "graph/graph.h"
#include "test.h"

struct net {
    const struct spc__graph *graph;
    bool half;          /* values and weights are rounded to binary16 */
    bool **active;      /* [levels][cells] */
    float **values;     /* [values]: sparse [cells][channels], dense [elements] */
};

static inline int64_t net_cells(const int32_t grid[3])
{
    return (int64_t)grid[0] * grid[1] * grid[2];
}

static inline int64_t net_elements(const struct spc__graph *graph, int value)
{
    const struct spc__value *v = &graph->values[value];
    int64_t n = 1;

    if (v->kind == SPC__SPARSE)
        return net_cells(graph->levels[v->level].grid) * v->channels;
    for (int i = 0; i < v->rank; i++)
        n *= v->dims[i];
    return n;
}

static inline float net_stored(const struct net *net, float x)
{
    return net->half ? spc__half_to_float(spc__half_from_float(x)) : x;
}

/* Cell of the input that meets offset k for the output cell, or -1. */
static inline int64_t net_neighbour(const struct spc__graph *graph,
                                    const struct spc__rulebook *book, const int32_t out[3],
                                    const int32_t k[3])
{
    const int32_t *grid = graph->levels[book->in_level].grid;
    int64_t cell = 0;

    for (int i = 0; i < 3; i++) {
        int32_t at;

        if (book->kind == SPC__SUBM) {
            at = out[i] + (k[i] - book->kernel[i] / 2) * book->dilation[i];
        } else if (book->kind == SPC__STRIDED) {
            at = out[i] * book->stride[i] + k[i] * book->dilation[i] - book->padding[i];
        } else {
            at = out[i] + book->padding[i] - k[i] * book->dilation[i];
            if (at < 0 || at % book->stride[i])
                return -1;
            at /= book->stride[i];
        }
        if (at < 0 || at >= grid[i])
            return -1;
        cell = cell * grid[i] + at;
    }
    return cell;
}

static inline void net_at(int64_t cell, const int32_t grid[3], int32_t at[3])
{
    at[2] = (int32_t)(cell % grid[2]);
    at[1] = (int32_t)(cell / grid[2] % grid[1]);
    at[0] = (int32_t)(cell / grid[2] / grid[1]);
}

/* Calls for every offset of the kernel: FOR(k) { k[0..2], n counts them }. */
#define NET_FOR_OFFSETS(book, k, n)                                                                \
    for (int32_t k[3] = {0, 0, 0}, n = 0; n < spc__rulebook_offsets(book);                         \
         n++, k[2] = (k[2] + 1) % (book)->kernel[2], k[1] += !k[2],                                \
                 k[0] += !k[2] && k[1] == (book)->kernel[1], k[1] %= (book)->kernel[1])

static inline void net_level(struct net *net, int level)
{
    const struct spc__graph *graph = net->graph;
    const struct spc__rulebook *book = &graph->rulebooks[graph->levels[level].rulebook];
    const int32_t *grid = graph->levels[level].grid;

    for (int64_t cell = 0; cell < net_cells(grid); cell++) {
        int32_t at[3];

        net_at(cell, grid, at);
        NET_FOR_OFFSETS(book, k, n)
        {
            int64_t in = net_neighbour(graph, book, at, k);

            net->active[level][cell] |= in >= 0 && net->active[book->in_level][in];
        }
    }
}

static inline void net_conv_cell(struct net *net, const struct spc__node *node, int64_t cell)
{
    const struct spc__graph *graph = net->graph;
    const struct spc__rulebook *book = &graph->rulebooks[node->rulebook];
    float *sum = net->values[node->out] + cell * node->cout;
    int32_t at[3];

    for (int o = 0; o < node->cout; o++)
        sum[o] = node->bias ? node->bias[o] : 0.0f;
    net_at(cell, graph->levels[book->out_level].grid, at);
    NET_FOR_OFFSETS(book, k, n)
    {
        int64_t in = net_neighbour(graph, book, at, k);
        const float *w = node->weights + (int64_t)n * node->cin * node->cout;

        if (in < 0 || !net->active[book->in_level][in])
            continue;
        for (int c = 0; c < node->cin; c++)
            for (int o = 0; o < node->cout; o++)
                sum[o] = fmaf(net->values[node->in[0]][in * node->cin + c],
                              net_stored(net, w[c * node->cout + o]), sum[o]);
    }
    for (int o = 0; o < node->cout; o++) {
        if (node->residual >= 0)
            sum[o] += net->values[node->residual][cell * node->cout + o];
        sum[o] = net_stored(net, spc__activate(sum[o], node->act, node->act_slope));
    }
}

static inline void net_pointwise(struct net *net, const struct spc__node *node)
{
    const float *a = net->values[node->in[0]];

    for (int64_t i = 0; i < net_elements(net->graph, node->out); i++) {
        float x = node->op == SPC__OP_ADD ? a[i] + net->values[node->in[1]][i] : a[i];

        net->values[node->out][i] =
            net_stored(net, spc__activate(x, node->act, node->act_slope));
    }
}

static inline void net_scatter(struct net *net, const struct spc__node *node)
{
    const struct spc__value *in = &net->graph->values[node->in[0]];
    const int32_t *grid = net->graph->levels[in->level].grid;
    const int64_t *s = node->scatter_stride;

    for (int64_t cell = 0; cell < net_cells(grid); cell++) {
        int32_t at[3];

        net_at(cell, grid, at);
        for (int64_t c = 0; net->active[in->level][cell] && c < in->channels; c++) {
            int64_t q = c * grid[0] + at[0];
            int64_t to = c * s[0] + at[0] * s[1] + at[1] * s[2] + at[2] * s[3];

            if (net->graph->values[node->out].layout == SPC_LAYOUT_NCHW32)
                to = ((q / 32 * grid[1] + at[1]) * grid[2] + at[2]) * 32 + q % 32;
            net->values[node->out][to] = net->values[node->in[0]][cell * in->channels + c];
        }
    }
}

static inline void net_transpose(struct net *net, const struct spc__node *node)
{
    const struct spc__value *in = &net->graph->values[node->in[0]];
    const struct spc__value *out = &net->graph->values[node->out];

    for (int64_t i = 0; i < net_elements(net->graph, node->out); i++) {
        int64_t at[SPC_MAX_RANK] = {0}, rest = i, from = 0;

        for (int d = out->rank - 1; d >= 0; d--) {
            at[node->perm[d]] = rest % out->dims[d];
            rest /= out->dims[d];
        }
        for (int d = 0; d < in->rank; d++)
            from = from * in->dims[d] + at[d];
        net->values[node->out][i] = net->values[node->in[0]][from];
    }
}

static inline void net_run_node(struct net *net, const struct spc__node *node)
{
    const struct spc__value *out = &net->graph->values[node->out];

    switch (node->op) {
    case SPC__OP_CONV:
        for (int64_t cell = 0; cell < net_cells(net->graph->levels[out->level].grid); cell++)
            if (net->active[out->level][cell])
                net_conv_cell(net, node, cell);
        break;
    case SPC__OP_ADD:
    case SPC__OP_ACT:
        net_pointwise(net, node);
        break;
    case SPC__OP_SCATTER:
        net_scatter(net, node);
        break;
    case SPC__OP_TRANSPOSE:
        net_transpose(net, node);
        break;
    case SPC__OP_RESHAPE:
        memcpy(net->values[node->out], net->values[node->in[0]],
               (size_t)net_elements(net->graph, node->out) * sizeof(float));
        break;
    }
}

/* All values of the graph for a frame; release with net_clear(). */
static inline void net_run(struct net *net, const struct spc__graph *graph, bool half,
                           const float *features, const int32_t *indices, int64_t count)
{
    const int32_t *grid = graph->levels[0].grid;
    int32_t channels = graph->values[0].channels;

    net->graph = graph;
    net->half = half;
    net->active = calloc((size_t)graph->num_levels, sizeof(*net->active));
    net->values = calloc((size_t)graph->num_values, sizeof(*net->values));
    for (int l = 0; l < graph->num_levels; l++)
        net->active[l] = calloc((size_t)net_cells(graph->levels[l].grid), sizeof(bool));
    for (int v = 0; v < graph->num_values; v++)
        net->values[v] = calloc((size_t)net_elements(graph, v), sizeof(float));
    for (int64_t i = 0; i < count; i++) {
        const int32_t *at = indices + 4 * i;
        int64_t cell = ((int64_t)at[1] * grid[1] + at[2]) * grid[2] + at[3];

        net->active[0][cell] = true;
        for (int c = 0; c < channels; c++)
            net->values[0][cell * channels + c] = net_stored(net, features[i * channels + c]);
    }
    for (int l = 1; l < graph->num_levels; l++)
        net_level(net, l);
    for (int n = 0; n < graph->num_nodes; n++)
        net_run_node(net, &graph->nodes[n]);
}

static inline void net_clear(struct net *net)
{
    for (int l = 0; l < net->graph->num_levels; l++)
        free(net->active[l]);
    for (int v = 0; v < net->graph->num_values; v++)
        free(net->values[v]);
    free(net->active);
    free(net->values);
}

#endif
