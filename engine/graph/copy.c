/* SPDX-License-Identifier: MIT */
/* A copy of a graph that owns its names and arrays and borrows weights. */
#include "base/error.h"
#include "base/mem.h"
#include "graph/graph.h"

#include <string.h>

static void *duplicate(const void *array, int count, size_t size)
{
    void *copy = spc__alloc((size_t)count, size);

    if (copy && count)
        memcpy(copy, array, (size_t)count * size);
    return copy;
}

/* Counts grow as names are copied, so that spc__graph_clear() frees what is there. */
static bool copy_values(struct spc__graph *copy, const struct spc__graph *graph)
{
    copy->values = duplicate(graph->values, graph->num_values, sizeof(*graph->values));
    for (int v = 0; copy->values && v < graph->num_values; v++) {
        copy->values[v].name = spc__strdup(graph->values[v].name);
        copy->num_values = v + 1;
        if (!copy->values[v].name)
            return false;
    }
    return copy->values;
}

static bool copy_nodes(struct spc__graph *copy, const struct spc__graph *graph)
{
    copy->nodes = duplicate(graph->nodes, graph->num_nodes, sizeof(*graph->nodes));
    for (int n = 0; copy->nodes && n < graph->num_nodes; n++) {
        const struct spc__node *from = &graph->nodes[n];
        struct spc__node *node = &copy->nodes[n];

        node->name = spc__strdup(from->name);
        node->op_type = spc__strdup(from->op_type);
        node->key = spc__strdup(from->key);
        copy->num_nodes = n + 1;
        if (!node->name || !node->op_type || !node->key)
            return false;
    }
    return copy->nodes;
}

enum spc_status spc__graph_copy(struct spc__graph *copy, const struct spc__graph *graph,
                                struct spc_error *err)
{
    memset(copy, 0, sizeof(*copy));
    copy->index_order = graph->index_order;
    copy->info = graph->info;
    copy->levels = duplicate(graph->levels, graph->num_levels, sizeof(*graph->levels));
    copy->rulebooks = duplicate(graph->rulebooks, graph->num_rulebooks, sizeof(*graph->rulebooks));
    copy->outputs = duplicate(graph->outputs, graph->num_outputs, sizeof(*graph->outputs));
    if (!copy_values(copy, graph) || !copy_nodes(copy, graph) || !copy->levels ||
        !copy->rulebooks || !copy->outputs) {
        spc__graph_clear(copy);
        return spc__fail_memory(err, sizeof(*graph->nodes) * (size_t)graph->num_nodes,
                                "a copy of the graph");
    }
    copy->num_levels = graph->num_levels;
    copy->num_rulebooks = graph->num_rulebooks;
    copy->num_outputs = graph->num_outputs;
    return SPC_OK;
}
