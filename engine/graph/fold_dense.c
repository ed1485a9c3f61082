/* SPDX-License-Identifier: MIT */
/*
 * Transpose and Reshape move into the ScatterDense that makes their input: it writes to where they
 * would have moved each element. A Reshape moves nothing; a Transpose can be folded as long as
 * memory stays some order of whole axes, which axes.h knows.
 */
#include "graph/rewrite.h"

#include "base/error.h"
#include "graph/axes.h"

#include <stdlib.h>

static enum spc_status fold(struct spc__graph *graph, struct spc__use *uses, int n,
                            struct spc_error *err)
{
    const struct spc__node *node = &graph->nodes[n];
    const struct spc__value *value = &graph->values[node->out];
    int scatter = spc__only_maker(graph, uses, node->in[0], SPC__OP_SCATTER);

    if (scatter < 0 || (node->op == SPC__OP_TRANSPOSE && value->num_axes < 0))
        return SPC_OK;
    if (value->num_axes >= 0)
        spc__axes_strides(graph, value, graph->nodes[scatter].scatter_stride);
    return spc__graph_merge(graph, uses, scatter, n, err);
}

enum spc_status spc__pass_fold_dense(struct spc__graph *graph, struct spc_error *err)
{
    struct spc__use *uses = spc__graph_uses(graph);
    enum spc_status status = SPC_OK;

    if (!uses)
        return spc__fail_memory(err, (size_t)graph->num_values * sizeof(*uses), "folding");
    for (int n = 0; n < graph->num_nodes && !status; n++)
        if (graph->nodes[n].op == SPC__OP_TRANSPOSE || graph->nodes[n].op == SPC__OP_RESHAPE)
            status = fold(graph, uses, n, err);
    spc__graph_sweep(graph);
    free(uses);
    return status;
}
