/* SPDX-License-Identifier: MIT */
/* Making a plan: passes, bounds of levels, element types, memory. */
#include "graph/plan.h"

#include "base/error.h"
#include "base/mem.h"
#include "graph/arena.h"
#include "graph/build.h"
#include "graph/passes.h"
#include "graph/uses.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HALF_OVERFLOW 65520.0f /* the least float that rounds to infinity */

static enum spc_status check_precision(enum spc_precision precision, struct spc_error *err)
{
    if (precision == SPC_PRECISION_INT8)
        return spc__fail(err, SPC_ERR_UNSUPPORTED,
                         "precision int8 is not supported by this version; choose fp16 or fp32");
    if (precision != SPC_PRECISION_FP32 && precision != SPC_PRECISION_FP16)
        return spc__fail(err, SPC_ERR_ARGUMENT, "precision %d is not known; choose fp16 or fp32",
                         (int)precision);
    return SPC_OK;
}

/* Weights that binary16 cannot hold would become infinite, and results NaN. */
static enum spc_status check_half_weights(const struct spc__graph *graph, struct spc_error *err)
{
    for (int n = 0; n < graph->num_nodes; n++) {
        const struct spc__node *node = &graph->nodes[n];
        size_t count;

        if (node->op != SPC__OP_CONV)
            continue;
        count = (size_t)spc__rulebook_offsets(&graph->rulebooks[node->rulebook]) *
                (size_t)node->cin * (size_t)node->cout;
        for (size_t i = 0; i < count; i++)
            if (fabsf(node->weights[i]) >= HALF_OVERFLOW)
                return spc__fail(err, SPC_ERR_UNSUPPORTED,
                                 "node " SPC__NAME ": its weights reach %g, more than the 65504 of "
                                 "float16; choose precision fp32",
                                 node->name, (double)node->weights[i]);
    }
    return SPC_OK;
}

static enum spc_status run_passes(struct spc__graph *graph, bool expose_all, struct spc_error *err)
{
    enum spc_status status = expose_all ? spc__pass_expose_all(graph, err) : SPC_OK;

    if (!status)
        status = spc__pass_fuse(graph, err);
    if (!status)
        status = spc__pass_fold_dense(graph, err);
    return status;
}

static int32_t greatest_divisor(int32_t a, int32_t b)
{
    while (b) {
        int32_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

/* Most output sites of one input site. Along an axis it feeds the outputs o with
 * o * s = i + p - k * d: one for every s / gcd(s, d) kernel offsets k. */
static int64_t spread(const struct spc__rulebook *book)
{
    int64_t sites = 1;

    for (int a = 0; a < 3; a++) {
        int32_t every = book->stride[a] / greatest_divisor(book->stride[a], book->dilation[a]);

        sites *= (book->kernel[a] + every - 1) / every;
    }
    return sites;
}

/* A level is made from an earlier one, so that ascending order has the input's bound at hand. */
static void bound_levels(struct spc__graph *graph, const struct spc__plan_options *options)
{
    graph->levels[0].bound = options->max_voxels;
    for (int l = 1; l < graph->num_levels; l++) {
        struct spc__level *level = &graph->levels[l];
        const struct spc__rulebook *book = &graph->rulebooks[level->rulebook];
        int64_t cells = spc__grid_cells(level->grid);
        int64_t most = graph->levels[book->in_level].bound * spread(book);

        if (options->site_bound)
            level->bound = options->site_bound < cells ? options->site_bound : cells;
        if (level->bound > most)
            level->bound = most;
    }
}

static enum spc_status value_size(const struct spc__graph *graph, int v, struct spc__storage *own,
                                  struct spc_error *err)
{
    const struct spc__value *value = &graph->values[v];
    size_t size = spc_dtype_size(own->dtype);
    bool fits = true;

    if (value->kind == SPC__SPARSE) {
        fits = spc__mul(size, (size_t)value->channels, &size) &&
               spc__mul(size, (size_t)graph->levels[value->level].bound, &size);
    } else {
        for (int d = 0; d < value->rank; d++)
            fits = fits && spc__mul(size, (size_t)value->dims[d], &size);
    }
    if (!fits)
        return spc__fail(err, SPC_ERR_UNSUPPORTED, "value " SPC__NAME " is too large to address",
                         value->name);
    own->size = size;
    return SPC_OK;
}

static void number_outputs(struct spc__plan *plan, enum spc_dtype type)
{
    for (int o = plan->graph.num_outputs - 1; o >= 0; o--) {
        struct spc__storage *own = &plan->values[plan->graph.outputs[o]];

        own->output = o;
        plan->output_types[o] = type != SPC_DTYPE_NONE ? type : own->dtype;
    }
}

/* A Reshape's result shares its input's memory, unless it is an output, which has its own. */
static void find_aliases(struct spc__plan *plan)
{
    for (int n = 0; n < plan->graph.num_nodes; n++) {
        const struct spc__node *node = &plan->graph.nodes[n];
        struct spc__storage *own = &plan->values[node->out];

        if (node->op == SPC__OP_RESHAPE && own->output < 0) {
            own->alias = plan->values[node->in[0]].alias;
            if (own->alias < 0)
                own->alias = node->in[0];
        }
    }
}

static enum spc_status describe_values(struct spc__plan *plan, const struct spc__use *uses,
                                       const struct spc__plan_options *options,
                                       struct spc_error *err)
{
    enum spc_dtype dtype = options->precision == SPC_PRECISION_FP32 ? SPC_DTYPE_F32 : SPC_DTYPE_F16;

    for (int v = 0; v < plan->graph.num_values; v++) {
        struct spc__storage *own = &plan->values[v];
        enum spc_status status;

        own->dtype = dtype;
        own->output = own->alias = -1;
        own->used = v == 0 || uses[v].maker >= 0;
        status = own->used ? value_size(&plan->graph, v, own, err) : SPC_OK;
        if (status)
            return status;
    }
    number_outputs(plan, options->output_type);
    find_aliases(plan);
    return SPC_OK;
}

/* Whether a value has a range of the arena of its own. */
static bool in_arena(const struct spc__storage *own)
{
    return own->used && own->output < 0 && own->alias < 0;
}

/* Fills one block per arena value, from the node that makes it to the last that reads it or what
 * shares its memory; block_of[v] is its number. */
static int list_blocks(const struct spc__plan *plan, const struct spc__use *uses,
                       struct spc__block *blocks, int *block_of)
{
    int count = 0;

    for (int v = 0; v < plan->graph.num_values; v++) {
        if (!in_arena(&plan->values[v]))
            continue;
        block_of[v] = count;
        blocks[count++] = (struct spc__block){.first = uses[v].maker,
                                              .size = plan->values[v].size,
                                              .last = uses[v].last < uses[v].maker ? uses[v].maker
                                                                                   : uses[v].last};
    }
    for (int v = 0; v < plan->graph.num_values; v++) {
        int root = plan->values[v].alias;

        if (root >= 0 && in_arena(&plan->values[root]) &&
            uses[v].last > blocks[block_of[root]].last)
            blocks[block_of[root]].last = uses[v].last;
    }
    return count;
}

static enum spc_status lay_out(struct spc__plan *plan, const struct spc__use *uses,
                               size_t alignment, struct spc_error *err)
{
    size_t values = (size_t)plan->graph.num_values;
    struct spc__block *blocks = spc__alloc(values, sizeof(*blocks) + sizeof(int));
    enum spc_status status;
    int *block_of;

    if (!blocks)
        return spc__fail_memory(err, values * sizeof(*blocks), "the memory plan");
    block_of = (int *)(blocks + values);
    status = spc__arena_lay_out(blocks, list_blocks(plan, uses, blocks, block_of), alignment,
                                &plan->arena_size, err);
    for (size_t v = 0; v < values && !status; v++)
        if (in_arena(&plan->values[v]))
            plan->values[v].offset = blocks[block_of[v]].offset;
    free(blocks);
    return status;
}

/* Everything behind the passes. */
static enum spc_status plan_values(struct spc__plan *plan, const struct spc__plan_options *options,
                                   struct spc_error *err)
{
    size_t values = (size_t)plan->graph.num_values, outputs = (size_t)plan->graph.num_outputs;
    struct spc__use *uses = spc__graph_uses(&plan->graph);
    enum spc_status status;

    plan->values = spc__alloc_zeroed(values, sizeof(*plan->values));
    plan->output_types = spc__alloc_zeroed(outputs, sizeof(*plan->output_types));
    if (!uses || !plan->values || !plan->output_types)
        status = spc__fail_memory(err, values * sizeof(*plan->values), "the plan");
    else
        status = describe_values(plan, uses, options, err);
    if (!status)
        status = lay_out(plan, uses, options->alignment, err);
    free(uses);
    return status;
}

enum spc_status spc__plan_make(struct spc__plan *plan, const struct spc__graph *graph,
                               const struct spc__plan_options *options, struct spc_error *err)
{
    enum spc_status status = check_precision(options->precision, err);

    memset(plan, 0, sizeof(*plan));
    if (!status && options->precision == SPC_PRECISION_FP16)
        status = check_half_weights(graph, err);
    if (!status)
        status = spc__graph_copy(&plan->graph, graph, err);
    if (status)
        return status;
    plan->precision = options->precision;
    plan->max_voxels = options->max_voxels;
    status = run_passes(&plan->graph, options->expose_all, err);
    if (!status) {
        bound_levels(&plan->graph, options);
        status = plan_values(plan, options, err);
    }
    if (status)
        spc__plan_clear(plan);
    return status;
}

void spc__plan_clear(struct spc__plan *plan)
{
    spc__graph_clear(&plan->graph);
    free(plan->values);
    free(plan->output_types);
    memset(plan, 0, sizeof(*plan));
}

int spc__plan_root(const struct spc__plan *plan, int value)
{
    while (plan->values[value].alias >= 0)
        value = plan->values[value].alias;
    return value;
}
