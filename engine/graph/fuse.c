/* SPDX-License-Identifier: MIT */
/*
 * Additions and activations move into the convolution that makes their input.
 *
 * One walk in node order is enough: when an addition or activation is met, everything before it is
 * merged already, and it can only join its own maker.
 */
#include "graph/rewrite.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

/* The activation of node `n` into the node before it, which must have none. */
static enum spc_status fuse_act(struct spc__graph *graph, struct spc__use *uses, int n,
                                struct spc_error *err)
{
    const struct spc__node *node = &graph->nodes[n];
    int maker = spc__only_maker(graph, uses, node->in[0], SPC__OP_CONV);

    if (maker < 0)
        maker = spc__only_maker(graph, uses, node->in[0], SPC__OP_ADD);
    if (maker < 0 || graph->nodes[maker].act != SPC__ACT_NONE)
        return SPC_OK;
    graph->nodes[maker].act = node->act;
    graph->nodes[maker].act_slope = node->act_slope;
    return spc__graph_merge(graph, uses, maker, n, err);
}

/* The convolution that can take operand `side` of an addition and add the other one itself. The
 * other must be there before the convolution runs. */
static int residual_conv(const struct spc__graph *graph, const struct spc__use *uses,
                         const struct spc__node *add, int side)
{
    int maker = spc__only_maker(graph, uses, add->in[side], SPC__OP_CONV);

    if (maker < 0 || graph->nodes[maker].act != SPC__ACT_NONE ||
        graph->nodes[maker].residual >= 0 || uses[add->in[!side]].maker >= maker)
        return -1;
    return maker;
}

/* The addition of node `n` into the later of the convolutions that make its operands. */
static enum spc_status fuse_add(struct spc__graph *graph, struct spc__use *uses, int n,
                                struct spc_error *err)
{
    const struct spc__node *add = &graph->nodes[n];
    int left = residual_conv(graph, uses, add, 0), right = residual_conv(graph, uses, add, 1);
    int side = right > left;
    struct spc__node *conv;

    if (left < 0 && right < 0)
        return SPC_OK;
    conv = &graph->nodes[side ? right : left];
    conv->residual = add->in[!side];
    conv->act = add->act;
    conv->act_slope = add->act_slope;
    conv->add_amax[0] = add->add_amax[side]; /* of the convolution's own sum, then the residual */
    conv->add_amax[1] = add->add_amax[!side];
    conv->store = add->store;
    return spc__graph_merge(graph, uses, side ? right : left, n, err);
}

enum spc_status spc__pass_fuse(struct spc__graph *graph, struct spc_error *err)
{
    struct spc__use *uses = spc__graph_uses(graph);
    enum spc_status status = SPC_OK;

    if (!uses)
        return spc__fail_memory(err, (size_t)graph->num_values * sizeof(*uses), "fusion");
    for (int n = 0; n < graph->num_nodes && !status; n++) {
        if (graph->nodes[n].op == SPC__OP_ACT)
            status = fuse_act(graph, uses, n, err);
        else if (graph->nodes[n].op == SPC__OP_ADD)
            status = fuse_add(graph, uses, n, err);
    }
    spc__graph_sweep(graph);
    free(uses);
    return status;
}
