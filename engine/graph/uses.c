/* SPDX-License-Identifier: MIT */
#include "graph/uses.h"

#include "base/mem.h"

static void read_by(struct spc__use *uses, int value, int node)
{
    if (value < 0)
        return;
    uses[value].readers++;
    uses[value].last = node;
}

struct spc__use *spc__graph_uses(const struct spc__graph *graph)
{
    struct spc__use *uses = spc__alloc_zeroed((size_t)graph->num_values, sizeof(*uses));

    if (!uses)
        return NULL;
    for (int v = 0; v < graph->num_values; v++)
        uses[v].maker = uses[v].last = -1;
    for (int n = 0; n < graph->num_nodes; n++) {
        const struct spc__node *node = &graph->nodes[n];

        read_by(uses, node->in[0], n);
        read_by(uses, node->in[1], n);
        read_by(uses, node->residual, n);
        uses[node->out].maker = n;
    }
    for (int o = 0; o < graph->num_outputs; o++) {
        uses[graph->outputs[o]].readers++;
        uses[graph->outputs[o]].output = true;
    }
    return uses;
}

/* Whether a level is `level` or made from it. */
static bool rests_on(const struct spc__graph *graph, int above, int level)
{
    while (above != level && graph->levels[above].rulebook >= 0)
        above = graph->rulebooks[graph->levels[above].rulebook].in_level;
    return above == level;
}

bool spc__level_is_used(const struct spc__graph *graph, int level)
{
    for (int i = 0; i < graph->num_nodes; i++) {
        const struct spc__node *node = &graph->nodes[i];

        if (rests_on(graph, graph->values[node->in[0]].level, level) ||
            rests_on(graph, graph->values[node->out].level, level))
            return true;
    }
    return level == 0;
}

const char *spc__rulebook_user(const struct spc__graph *graph, int rulebook)
{
    for (int i = 0; i < graph->num_nodes; i++)
        if (graph->nodes[i].op == SPC__OP_CONV && graph->nodes[i].rulebook == rulebook)
            return graph->nodes[i].name;
    return "";
}

const char *spc__level_user(const struct spc__graph *graph, int level)
{
    int rulebook = graph->levels[level].rulebook;

    return rulebook < 0 ? graph->values[0].name : spc__rulebook_user(graph, rulebook);
}
