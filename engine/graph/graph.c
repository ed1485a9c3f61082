/* SPDX-License-Identifier: MIT */
/* Graphs: making, appending, outputs, releasing. */
#include "graph/graph.h"

#include "base/error.h"
#include "base/mem.h"
#include "graph/build.h"

#include <stdlib.h>
#include <string.h>

enum spc_status spc__graph_grow(void **array, int count, size_t size, struct spc_error *err)
{
    size_t bytes = ((size_t)count + 1) * size;
    void *grown = realloc(*array, bytes);

    if (!grown)
        return spc__fail_memory(err, bytes, "the graph");
    memset((char *)grown + bytes - size, 0, size);
    *array = grown;
    return SPC_OK;
}

int64_t spc__grid_cells(const int32_t grid[3])
{
    return (int64_t)grid[0] * grid[1] * grid[2];
}

static enum spc_status check_input_shape(const char *name, int32_t channels, const int32_t grid[3],
                                         struct spc_error *err)
{
    if (channels < 1 || channels > SPC__MAX_CHANNELS)
        return spc__fail(err, SPC_ERR_UNSUPPORTED,
                         "input " SPC__NAME " has %d channels; 1 to %d are supported", name,
                         channels, SPC__MAX_CHANNELS);
    for (int a = 0; a < 3; a++)
        if (grid[a] < 1 || grid[a] > SPC__MAX_GRID)
            return spc__fail(err, SPC_ERR_UNSUPPORTED,
                             "input " SPC__NAME " has the grid " SPC__GRID
                             "; 1 to %d cells an axis are supported",
                             name, SPC__GRID_ARGS(grid), SPC__MAX_GRID);
    return SPC_OK;
}

enum spc_status spc__graph_init(struct spc__graph *graph, enum spc_index_order order,
                                const char *name, int32_t channels, const int32_t grid[3],
                                struct spc_error *err)
{
    enum spc_status status = check_input_shape(name, channels, grid, err);

    memset(graph, 0, sizeof(*graph));
    if (status)
        return status;
    graph->index_order = order;
    graph->levels = spc__alloc_zeroed(1, sizeof(*graph->levels));
    graph->values = spc__alloc_zeroed(1, sizeof(*graph->values));
    if (!graph->levels || !graph->values || !(graph->values[0].name = spc__strdup(name))) {
        free(graph->levels);
        free(graph->values);
        memset(graph, 0, sizeof(*graph));
        return spc__fail_memory(err, sizeof(*graph->values), "the graph");
    }
    graph->num_levels = graph->num_values = 1;
    memcpy(graph->levels[0].grid, grid, sizeof(graph->levels[0].grid));
    graph->levels[0].bound = SPC__DEFAULT_BOUND;
    graph->levels[0].node = graph->levels[0].rulebook = -1;
    graph->values[0].kind = SPC__SPARSE;
    graph->values[0].channels = channels;
    return SPC_OK;
}

int spc__graph_find(const struct spc__graph *graph, const char *name)
{
    for (int v = 0; v < graph->num_values; v++)
        if (!strcmp(graph->values[v].name, name))
            return v;
    return -1;
}

float *spc__graph_block(struct spc__graph *graph, size_t count)
{
    float *block;

    if (spc__graph_grow((void **)&graph->blocks, graph->num_blocks, sizeof(*graph->blocks), NULL))
        return NULL;
    block = spc__alloc(count, sizeof(*block));
    if (block)
        graph->blocks[graph->num_blocks++] = block;
    return block;
}

const char *spc__graph_maker(const struct spc__graph *graph, int value)
{
    for (int n = 0; n < graph->num_nodes; n++)
        if (graph->nodes[n].out == value)
            return graph->nodes[n].name;
    return "the graph input";
}

enum spc_status spc__graph_check_input(const struct spc__graph *graph, const char *node, int in,
                                       enum spc__value_kind kind, struct spc_error *err)
{
    if (in < 0 || in >= graph->num_values)
        return spc__fail(err, SPC_ERR_MODEL, "node " SPC__NAME ": its input is made by no node",
                         node);
    if (graph->values[in].kind != kind)
        return spc__fail(err, SPC_ERR_MODEL,
                         "node " SPC__NAME ": needs a %s input, but " SPC__NAME " is %s", node,
                         kind == SPC__SPARSE ? "sparse" : "dense", graph->values[in].name,
                         kind == SPC__SPARSE ? "dense" : "sparse");
    return SPC_OK;
}

/* Frees what a node owns. */
static void node_clear(struct spc__node *node)
{
    free(node->name);
    free(node->op_type);
    free(node->key);
}

enum spc_status spc__graph_append(struct spc__graph *graph, const struct spc__new_node *what,
                                  struct spc__node **node, struct spc_error *err)
{
    int taken = spc__graph_find(graph, what->out);
    struct spc__value *value;
    struct spc__node *added;

    if (taken >= 0)
        return spc__fail(err, SPC_ERR_MODEL,
                         "node " SPC__NAME ": its output " SPC__NAME
                         " has a name that is taken already, by what " SPC__NAME " makes",
                         what->name, what->out, spc__graph_maker(graph, taken));
    if (spc__graph_grow((void **)&graph->values, graph->num_values, sizeof(*value), err) ||
        spc__graph_grow((void **)&graph->nodes, graph->num_nodes, sizeof(*added), err))
        return SPC_ERR_MEMORY;
    value = &graph->values[graph->num_values];
    *value = graph->values[what->in[0]];
    value->amax = 0;
    value->name = spc__strdup(what->out);
    added = &graph->nodes[graph->num_nodes];
    *added = (struct spc__node){.op = what->op,
                                .in = {what->in[0], what->in[1]},
                                .out = graph->num_values,
                                .rulebook = -1,
                                .residual = -1};
    added->name = spc__strdup(what->name[0] ? what->name : what->out);
    added->op_type = spc__strdup(what->op_type);
    added->key = spc__strdup(what->key ? what->key : "");
    if (!value->name || !added->name || !added->op_type || !added->key) {
        free(value->name);
        node_clear(added);
        return spc__fail_memory(err, strlen(what->out), "the graph");
    }
    graph->num_values++;
    graph->num_nodes++;
    *node = added;
    return SPC_OK;
}

enum spc_status spc__graph_add_output(struct spc__graph *graph, int value, struct spc_error *err)
{
    enum spc_status status;

    if (value < 0 || value >= graph->num_values)
        return spc__fail(err, SPC_ERR_MODEL, "graph output %d is made by no node",
                         graph->num_outputs);
    status =
        spc__graph_grow((void **)&graph->outputs, graph->num_outputs, sizeof(*graph->outputs), err);
    if (!status)
        graph->outputs[graph->num_outputs++] = value;
    return status;
}

void spc__graph_sweep(struct spc__graph *graph)
{
    int kept = 0;

    for (int n = 0; n < graph->num_nodes; n++) {
        if (graph->nodes[n].out < 0)
            node_clear(&graph->nodes[n]);
        else
            graph->nodes[kept++] = graph->nodes[n];
    }
    graph->num_nodes = kept;
    for (int l = 1; l < graph->num_levels; l++) {
        struct spc__level *level = &graph->levels[l];

        for (level->node = 0; level->node < kept; level->node++)
            if (graph->nodes[level->node].rulebook == level->rulebook)
                break;
        if (level->node == kept)
            level->node = -1; /* no one makes these sites any more */
    }
}

int spc__rulebook_offsets(const struct spc__rulebook *rulebook)
{
    return rulebook->kernel[0] * rulebook->kernel[1] * rulebook->kernel[2];
}

void spc__graph_clear(struct spc__graph *graph)
{
    for (int n = 0; n < graph->num_nodes; n++)
        node_clear(&graph->nodes[n]);
    for (int v = 0; v < graph->num_values; v++)
        free(graph->values[v].name);
    for (int b = 0; b < graph->num_blocks; b++)
        free(graph->blocks[b]);
    free(graph->levels);
    free(graph->rulebooks);
    free(graph->values);
    free(graph->nodes);
    free(graph->outputs);
    free(graph->blocks);
    memset(graph, 0, sizeof(*graph));
}
