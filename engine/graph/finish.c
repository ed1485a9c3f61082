/* SPDX-License-Identifier: MIT */
/*
 * Finishing a graph: what no output needs is dropped - nodes, and with them values, rulebooks and
 * levels - so that a session neither computes it nor fails over its bounds.
 */
#include "base/error.h"
#include "base/mem.h"
#include "graph/build.h"

#include <stdlib.h>
#include <string.h>

/* What is needed, and afterwards the new index of each thing that is kept. */
struct keep {
    int *values, *rulebooks, *levels;
};

static void count_parameters(struct spc__graph *graph)
{
    graph->info.num_parameters = 0;
    for (int n = 0; n < graph->num_nodes; n++) {
        const struct spc__node *node = &graph->nodes[n];

        if (node->op == SPC__OP_CONV)
            graph->info.num_parameters +=
                (int64_t)spc__rulebook_offsets(&graph->rulebooks[node->rulebook]) * node->cin *
                    node->cout +
                (node->bias ? node->cout : 0);
    }
}

static void fill_info(struct spc__graph *graph)
{
    struct spc_model_info *info = &graph->info;

    info->index_order = graph->index_order;
    info->grid_z = graph->levels[0].grid[0];
    info->grid_y = graph->levels[0].grid[1];
    info->grid_x = graph->levels[0].grid[2];
    info->num_features = graph->values[0].channels;
    info->num_nodes = graph->num_nodes;
    info->num_outputs = graph->num_outputs;
    count_parameters(graph);
}

static void need_rulebook(const struct spc__graph *graph, struct keep *keep, int rulebook)
{
    const struct spc__rulebook *book = &graph->rulebooks[rulebook];

    keep->rulebooks[rulebook] = 1;
    keep->levels[book->in_level] = keep->levels[book->out_level] = 1;
    if (book->forward >= 0)
        keep->rulebooks[book->forward] = 1;
}

/* Marks what the outputs need, from the last node to the first; unneeded nodes get out -1. */
static void mark(struct spc__graph *graph, struct keep *keep)
{
    keep->values[0] = keep->levels[0] = 1;
    for (int o = 0; o < graph->num_outputs; o++)
        keep->values[graph->outputs[o]] = 1;
    for (int n = graph->num_nodes - 1; n >= 0; n--) {
        struct spc__node *node = &graph->nodes[n];

        if (!keep->values[node->out]) {
            node->out = -1;
            continue;
        }
        for (int i = 0; i < 2; i++)
            if (node->in[i] >= 0)
                keep->values[node->in[i]] = 1;
        if (node->op == SPC__OP_CONV)
            need_rulebook(graph, keep, node->rulebook);
    }
}

/* Turns marks into new indices; returns how many there are. */
static int number(int *kept, int count)
{
    int next = 0;

    for (int i = 0; i < count; i++)
        kept[i] = kept[i] ? next++ : -1;
    return next;
}

static void move_values(struct spc__graph *graph, const struct keep *keep)
{
    for (int v = 0; v < graph->num_values; v++) {
        if (keep->values[v] < 0) {
            free(graph->values[v].name);
            continue;
        }
        graph->values[v].level = keep->levels[graph->values[v].level];
        graph->values[keep->values[v]] = graph->values[v];
    }
    for (int o = 0; o < graph->num_outputs; o++)
        graph->outputs[o] = keep->values[graph->outputs[o]];
}

static void move_rulebooks(struct spc__graph *graph, const struct keep *keep)
{
    for (int r = 0; r < graph->num_rulebooks; r++) {
        struct spc__rulebook *book = &graph->rulebooks[r];

        if (keep->rulebooks[r] < 0)
            continue;
        book->in_level = keep->levels[book->in_level];
        book->out_level = keep->levels[book->out_level];
        if (book->forward >= 0)
            book->forward = keep->rulebooks[book->forward];
        graph->rulebooks[keep->rulebooks[r]] = *book;
    }
    for (int l = 0; l < graph->num_levels; l++) {
        struct spc__level *level = &graph->levels[l];

        if (keep->levels[l] < 0)
            continue;
        if (level->rulebook >= 0)
            level->rulebook = keep->rulebooks[level->rulebook];
        graph->levels[keep->levels[l]] = *level;
    }
}

static void move_nodes(struct spc__graph *graph, const struct keep *keep)
{
    for (int n = 0; n < graph->num_nodes; n++) {
        struct spc__node *node = &graph->nodes[n];

        if (node->out < 0)
            continue;
        node->out = keep->values[node->out];
        for (int i = 0; i < 2; i++)
            if (node->in[i] >= 0)
                node->in[i] = keep->values[node->in[i]];
        if (node->rulebook >= 0)
            node->rulebook = keep->rulebooks[node->rulebook];
    }
}

enum spc_status spc__graph_finish(struct spc__graph *graph, struct spc_error *err)
{
    size_t count =
        (size_t)graph->num_values + (size_t)graph->num_rulebooks + (size_t)graph->num_levels;
    int values, rulebooks, levels;
    struct keep keep;

    if (!graph->num_outputs)
        return spc__fail(err, SPC_ERR_MODEL, "the graph has no outputs");
    keep.values = spc__alloc_zeroed(count, sizeof(*keep.values));
    if (!keep.values)
        return spc__fail_memory(err, count * sizeof(*keep.values), "the graph");
    keep.rulebooks = keep.values + graph->num_values;
    keep.levels = keep.rulebooks + graph->num_rulebooks;
    fill_info(graph);
    mark(graph, &keep);
    values = number(keep.values, graph->num_values);
    rulebooks = number(keep.rulebooks, graph->num_rulebooks);
    levels = number(keep.levels, graph->num_levels);
    move_nodes(graph, &keep);
    move_rulebooks(graph, &keep);
    move_values(graph, &keep);
    graph->num_values = values;
    graph->num_rulebooks = rulebooks;
    graph->num_levels = levels;
    spc__graph_sweep(graph);
    free(keep.values);
    return SPC_OK;
}
