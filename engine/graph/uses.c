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
