/* SPDX-License-Identifier: MIT */
/* Every value as an output: the input, then what each node makes, in node order. */
#include "graph/passes.h"

#include "base/error.h"
#include "base/mem.h"

#include <stdlib.h>

enum spc_status spc__pass_expose_all(struct spc__graph *graph, struct spc_error *err)
{
    int *outputs = spc__alloc((size_t)graph->num_nodes + 1, sizeof(*outputs));

    if (!outputs)
        return spc__fail_memory(err, ((size_t)graph->num_nodes + 1) * sizeof(*outputs), "outputs");
    outputs[0] = 0;
    for (int n = 0; n < graph->num_nodes; n++)
        outputs[n + 1] = graph->nodes[n].out;
    free(graph->outputs);
    graph->outputs = outputs;
    graph->num_outputs = graph->num_nodes + 1;
    graph->info.num_outputs = graph->num_outputs;
    return SPC_OK;
}
