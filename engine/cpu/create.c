/* SPDX-License-Identifier: MIT */
/* Making and unmaking an instance: everything a frame needs is allocated here. */
#include "base/error.h"
#include "cpu/columns.h"
#include "cpu/instance.h"
#include "graph/uses.h"

#include <stdio.h>
#include <stdlib.h>

_Static_assert(SPC__MAX_WORDS * 64 >= SPC__MAX_GRID, "a column of any grid fits");

/* Allocates and counts; NULL and a message where memory is short. */
static void *take(struct spc__cpu *cpu, size_t count, size_t size, const char *what,
                  struct spc_error *err)
{
    void *block = spc__alloc(count, size);

    if (block)
        cpu->host_bytes += count * size;
    else
        spc__fail_memory(err, count * size, what);
    return block;
}

static void *take_zeroed(size_t count, size_t size, struct spc_error *err)
{
    void *block = spc__alloc_zeroed(count, size);

    if (!block)
        spc__fail_memory(err, count * size, "the instance");
    return block;
}

/* Marks the rulebooks that a convolution uses and the levels that a value is on. */
static void mark_used(struct spc__cpu *cpu)
{
    const struct spc__graph *graph = &cpu->plan->graph;

    for (int i = 0; i < graph->num_levels; i++)
        cpu->levels[i].used = spc__level_is_used(graph, i);
    for (int i = 0; i < graph->num_nodes; i++) {
        const struct spc__node *node = &graph->nodes[i];

        if (node->op == SPC__OP_CONV) {
            struct spc__cpu_rulebook *rulebook = &cpu->rulebooks[node->rulebook];
            int panels = (node->cout + SPC__PANEL - 1) / SPC__PANEL;

            rulebook->used = true;
            rulebook->panels = panels > rulebook->panels ? panels : rulebook->panels;
        }
    }
}

static enum spc_status make_levels(struct spc__cpu *cpu, struct spc_error *err)
{
    const struct spc__graph *graph = &cpu->plan->graph;
    enum spc_status status;

    for (int i = 0; i < graph->num_levels; i++) {
        struct spc__cpu_level *level = &cpu->levels[i];

        if (!level->used)
            continue;
        status = spc__sites_init(&level->sites, graph->levels[i].grid, graph->levels[i].bound, err);
        if (status)
            return status;
        cpu->host_bytes += spc__sites_bytes(&level->sites);
    }
    return SPC_OK;
}

static void set_geometry(struct spc__geometry *geometry, const struct spc__rulebook *rulebook)
{
    geometry->subm = rulebook->kind == SPC__SUBM;
    geometry->inverse = rulebook->kind == SPC__INVERSE;
    for (int i = 0; i < 3; i++) {
        geometry->kernel[i] = rulebook->kernel[i];
        geometry->stride[i] = rulebook->stride[i];
        geometry->padding[i] = rulebook->padding[i];
        geometry->dilation[i] = rulebook->dilation[i];
    }
}

static enum spc_status make_rulebooks(struct spc__cpu *cpu, struct spc_error *err)
{
    const struct spc__graph *graph = &cpu->plan->graph;
    enum spc_status status;

    for (int i = 0; i < graph->num_rulebooks; i++) {
        const struct spc__rulebook *rulebook = &graph->rulebooks[i];
        struct spc__cpu_rulebook *mine = &cpu->rulebooks[i];

        if (!mine->used)
            continue;
        set_geometry(&mine->geometry, rulebook);
        status = spc__pairs_init(&mine->pairs, spc__rulebook_offsets(rulebook),
                                 graph->levels[rulebook->out_level].bound, SPC__MIN_WINDOW, err);
        if (status)
            return status;
        mine->pairs.isa = cpu->kernels->isa;
        cpu->host_bytes += spc__pairs_bytes(&mine->pairs);
    }
    return SPC_OK;
}

/* Whether a node before `node` has the same packed weights. */
static bool packed_before(const struct spc__cpu *cpu, int node)
{
    for (int i = 0; i < node; i++)
        if (cpu->packed[i] == cpu->packed[node])
            return true;
    return false;
}

static enum spc_status make_weights(struct spc__cpu *cpu, struct spc__shared *shared,
                                    struct spc_error *err)
{
    const struct spc__graph *graph = &cpu->plan->graph;

    for (int i = 0; i < graph->num_nodes; i++) {
        const struct spc__node *node = &graph->nodes[i];
        enum spc_status status;

        if (node->op != SPC__OP_CONV)
            continue;
        status = spc__cpu_weights(shared, node,
                                  spc__rulebook_offsets(&graph->rulebooks[node->rulebook]),
                                  cpu->plan->precision, &cpu->packed[i], err);
        if (status)
            return status;
        if (!packed_before(cpu, i))
            cpu->shared_bytes += cpu->packed[i]->bytes;
    }
    return SPC_OK;
}

static enum spc_status make_output(struct spc__cpu *cpu, int i, enum spc_row_order order,
                                   struct spc_error *err)
{
    const struct spc__plan *plan = cpu->plan;
    int value = plan->graph.outputs[i], root = spc__plan_root(plan, value);
    const struct spc__value *v = &plan->graph.values[value];
    struct spc__cpu_output *output = &cpu->outputs[i];
    int64_t bound = plan->graph.levels[v->level].bound;
    bool owner = plan->values[root].output == i;
    struct spc__cpu_level *level = &cpu->levels[v->level];
    size_t count = plan->values[value].size / spc_dtype_size(plan->values[value].dtype);

    spc__graph_describe(&plan->graph, value, bound, &output->info);
    output->input_order = order == SPC_ROWS_INPUT && v->kind == SPC__SPARSE && v->level == 0;
    output->direct = owner && !output->input_order &&
                     plan->output_types[i] == plan->values[value].dtype;
    output->own = take(cpu, count, spc_dtype_size(plan->output_types[i]), v->name, err);
    if (!output->own)
        return SPC_ERR_MEMORY;
    if (owner && !output->direct) {
        output->store = take(cpu, plan->values[root].size, 1, v->name, err);
        if (!output->store)
            return SPC_ERR_MEMORY;
    }
    if (v->kind == SPC__SPARSE && !level->indices) {
        level->indices = take(cpu, (size_t)bound, 4 * sizeof(int32_t), v->name, err);
        if (!level->indices)
            return SPC_ERR_MEMORY;
    }
    return SPC_OK;
}

/* Sizes of the scratch memory: the largest that any node wants. */
static enum spc_status make_scratch(struct spc__cpu *cpu, struct spc_error *err)
{
    const struct spc__plan *plan = cpu->plan;
    const struct spc__graph *graph = &plan->graph;
    size_t wide = 0, cells = 0;

    cpu->acc_floats = SPC__WINDOW_FLOATS;
    for (int i = 0; i < graph->num_nodes; i++) {
        const struct spc__node *node = &graph->nodes[i];
        size_t rows = (size_t)graph->levels[graph->values[node->in[0]].level].bound;

        if (node->op == SPC__OP_CONV) {
            size_t least = (size_t)cpu->packed[i]->panels * SPC__PANEL * SPC__MIN_WINDOW;

            cpu->acc_floats = least > cpu->acc_floats ? least : cpu->acc_floats;
            if (plan->values[node->in[0]].dtype == SPC_DTYPE_F16 && rows * node->cin > wide)
                wide = rows * node->cin;
        } else if (node->op == SPC__OP_SCATTER && rows > cells) {
            cells = rows;
        }
    }
    cpu->acc = take(cpu, cpu->acc_floats * spc__pool_threads(cpu->pool), sizeof(float),
                    "accumulators", err);
    cpu->wide = take(cpu, wide, sizeof(float), "input rows", err);
    cpu->cells = take(cpu, cells, sizeof(int64_t), "cells", err);
    cpu->arena = take(cpu, plan->arena_size, 1, "values", err);
    cpu->row_of_input =
        take(cpu, (size_t)graph->levels[0].bound, sizeof(int32_t), "input rows", err);
    return cpu->acc && cpu->wide && cpu->cells && cpu->arena && cpu->row_of_input ? SPC_OK
                                                                                  : SPC_ERR_MEMORY;
}

static struct spc_step_profile *add_step(struct spc__cpu *cpu, enum spc__cpu_step_kind kind,
                                         int index, const char *op, const char *what,
                                         const char *name)
{
    struct spc__cpu_step *step = &cpu->steps[cpu->num_steps++];

    *step = (struct spc__cpu_step){.kind = kind, .index = index};
    snprintf(step->profile.name, sizeof(step->profile.name), "%s%s", what, name);
    snprintf(step->profile.op, sizeof(step->profile.op), "%s", op);
    return &step->profile;
}

static void add_steps(struct spc__cpu *cpu)
{
    const struct spc__graph *graph = &cpu->plan->graph;
    struct spc_step_profile *profile;

    for (int i = 0; i < graph->num_levels; i++)
        if (cpu->levels[i].used)
            add_step(cpu, SPC__STEP_SITES, i, "index", "sites of ", spc__level_user(graph, i));
    for (int i = 0; i < graph->num_rulebooks; i++)
        if (cpu->rulebooks[i].used)
            add_step(cpu, SPC__STEP_PAIRS, i, "index", "pairs of ", spc__rulebook_user(graph, i));
    add_step(cpu, SPC__STEP_INPUT, 0, "input", "", graph->values[0].name);
    for (int i = 0; i < graph->num_nodes; i++) {
        const struct spc__node *node = &graph->nodes[i];

        profile = add_step(cpu, SPC__STEP_NODE, i, node->op_type, "", node->name);
        profile->in_channels = graph->values[node->in[0]].channels;
        profile->out_channels = graph->values[node->out].channels;
    }
    for (int i = 0; i < graph->num_outputs; i++)
        if (!cpu->outputs[i].direct)
            add_step(cpu, SPC__STEP_OUTPUT, i, "output", "",
                     graph->values[graph->outputs[i]].name);
}

static enum spc_status make_tables(struct spc__cpu *cpu, struct spc_error *err)
{
    const struct spc__graph *graph = &cpu->plan->graph;
    size_t steps = (size_t)(graph->num_levels + graph->num_rulebooks + graph->num_nodes +
                            graph->num_outputs + 1);

    cpu->levels = take_zeroed((size_t)graph->num_levels, sizeof(*cpu->levels), err);
    cpu->rulebooks = take_zeroed((size_t)graph->num_rulebooks, sizeof(*cpu->rulebooks), err);
    cpu->packed = take_zeroed((size_t)graph->num_nodes, sizeof(*cpu->packed), err);
    cpu->outputs = take_zeroed((size_t)graph->num_outputs, sizeof(*cpu->outputs), err);
    cpu->steps = take_zeroed(steps, sizeof(*cpu->steps), err);
    cpu->values = take_zeroed((size_t)graph->num_values, sizeof(*cpu->values), err);
    return cpu->levels && cpu->rulebooks && cpu->packed && cpu->outputs && cpu->steps && cpu->values
               ? SPC_OK
               : SPC_ERR_MEMORY;
}

static enum spc_status make(struct spc__cpu *cpu, struct spc__shared *shared,
                            const struct spc__backend_options *options, struct spc_error *err)
{
    enum spc_status status = spc__kernels_select(options->isa, &cpu->kernels, err);

    if (status)
        return status;
    cpu->profile = options->profile;
    spc__cpu_processor(cpu->device, sizeof(cpu->device));
    cpu->pool = spc__pool_create(options->threads, err);
    if (!cpu->pool)
        return SPC_ERR_MEMORY;
    if ((status = make_tables(cpu, err)))
        return status;
    mark_used(cpu);
    if ((status = make_levels(cpu, err)) || (status = make_rulebooks(cpu, err)) ||
        (status = make_weights(cpu, shared, err)) || (status = make_scratch(cpu, err)))
        return status;
    for (int i = 0; i < cpu->plan->graph.num_outputs; i++)
        if ((status = make_output(cpu, i, options->row_order, err)))
            return status;
    add_steps(cpu);
    return SPC_OK;
}

enum spc_status spc__cpu_create(const struct spc__plan *plan, struct spc__shared *shared,
                                const struct spc__backend_options *options, void **instance,
                                struct spc_error *err)
{
    struct spc__cpu *cpu = take_zeroed(1, sizeof(*cpu), err);
    enum spc_status status;

    if (!cpu)
        return SPC_ERR_MEMORY;
    cpu->plan = plan;
    status = make(cpu, shared, options, err);
    if (status) {
        spc__cpu_destroy(cpu);
        return status;
    }
    *instance = cpu;
    return SPC_OK;
}

void spc__cpu_destroy(void *instance)
{
    struct spc__cpu *cpu = instance;
    const struct spc__graph *graph = &cpu->plan->graph;

    for (int i = 0; cpu->levels && i < graph->num_levels; i++) {
        spc__sites_clear(&cpu->levels[i].sites);
        free(cpu->levels[i].indices);
    }
    for (int i = 0; cpu->rulebooks && i < graph->num_rulebooks; i++)
        spc__pairs_clear(&cpu->rulebooks[i].pairs);
    for (int i = 0; cpu->outputs && i < graph->num_outputs; i++) {
        free(cpu->outputs[i].own);
        free(cpu->outputs[i].store);
    }
    spc__pool_destroy(cpu->pool);
    free(cpu->levels);
    free(cpu->rulebooks);
    free(cpu->packed);
    free(cpu->outputs);
    free(cpu->steps);
    free(cpu->values);
    free(cpu->row_of_input);
    free(cpu->arena);
    free(cpu->acc);
    free(cpu->wide);
    free(cpu->cells);
    free(cpu);
}
