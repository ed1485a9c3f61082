/* SPDX-License-Identifier: MIT */
/* Adding element-wise nodes: additions and activations. */
#include "base/error.h"
#include "graph/build.h"

#include <string.h>

static enum spc_status check_sparse_pair(const struct spc__graph *graph, const char *name,
                                         const struct spc__value *a, const struct spc__value *b,
                                         struct spc_error *err)
{
    if (a->level != b->level)
        return spc__fail(err, SPC_ERR_MODEL,
                         "node " SPC__NAME ": adds " SPC__NAME " and " SPC__NAME
                         ", which are on different sites: grids " SPC__GRID " and " SPC__GRID,
                         name, a->name, b->name, SPC__GRID_ARGS(graph->levels[a->level].grid),
                         SPC__GRID_ARGS(graph->levels[b->level].grid));
    if (a->channels != b->channels)
        return spc__fail(err, SPC_ERR_MODEL,
                         "node " SPC__NAME ": adds " SPC__NAME " with %d channels and " SPC__NAME
                         " with %d",
                         name, a->name, a->channels, b->name, b->channels);
    return SPC_OK;
}

static enum spc_status check_dense_pair(const char *name, const struct spc__value *a,
                                        const struct spc__value *b, struct spc_error *err)
{
    if (a->rank != b->rank || memcmp(a->dims, b->dims, sizeof(a->dims[0]) * (size_t)a->rank) ||
        a->layout != b->layout)
        return spc__fail(err, SPC_ERR_UNSUPPORTED,
                         "node " SPC__NAME ": adds " SPC__NAME " and " SPC__NAME
                         ", whose shapes or layouts differ; dense additions need equal ones",
                         name, a->name, b->name);
    return SPC_OK;
}

enum spc_status spc__graph_add_add(struct spc__graph *graph, const char *name, const char *op_type,
                                   int in0, int in1, const char *out, const float amax[2],
                                   enum spc__store compute, enum spc__store store,
                                   struct spc_error *err)
{
    const struct spc__new_node what = {
        .op = SPC__OP_ADD, .name = name, .op_type = op_type, .in = {in0, in1}, .out = out};
    enum spc__value_kind kind =
        in0 >= 0 && in0 < graph->num_values ? graph->values[in0].kind : SPC__SPARSE;
    enum spc_status status = spc__graph_check_input(graph, name, in0, kind, err);
    struct spc__node *node;

    if (!status)
        status = spc__graph_check_input(graph, name, in1, kind, err);
    if (!status && kind == SPC__SPARSE)
        status = check_sparse_pair(graph, name, &graph->values[in0], &graph->values[in1], err);
    if (!status && kind == SPC__DENSE)
        status = check_dense_pair(name, &graph->values[in0], &graph->values[in1], err);
    if (!status)
        status = spc__graph_append(graph, &what, &node, err);
    if (status)
        return status;
    if (amax)
        memcpy(node->add_amax, amax, sizeof(node->add_amax));
    node->compute = compute;
    node->store = store;
    return SPC_OK;
}

enum spc_status spc__graph_add_act(struct spc__graph *graph, const char *name, const char *op_type,
                                   int in, const char *out, enum spc__act act, float slope,
                                   struct spc_error *err)
{
    const struct spc__new_node what = {
        .op = SPC__OP_ACT, .name = name, .op_type = op_type, .in = {in, -1}, .out = out};
    struct spc__node *node;
    enum spc_status status;

    if (in < 0 || in >= graph->num_values)
        return spc__graph_check_input(graph, name, in, SPC__SPARSE, err);
    status = spc__graph_append(graph, &what, &node, err);
    if (status)
        return status;
    node->act = act;
    node->act_slope = slope;
    return SPC_OK;
}
