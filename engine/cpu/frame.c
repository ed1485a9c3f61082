/* SPDX-License-Identifier: MIT */
/* One frame: bind memory, go through the steps, describe the outputs. Allocates nothing. */
#include "cpu/instance.h"
#include "graph/refuse.h"

#include <string.h>
#include <time.h>

static double milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

/* Where every value lives in this frame. */
static void bind(struct spc__cpu *cpu, const struct spc_output *outputs, int num_outputs)
{
    const struct spc__plan *plan = cpu->plan;

    for (int i = 0; i < plan->graph.num_outputs; i++) {
        struct spc__cpu_output *output = &cpu->outputs[i];

        output->target = i < num_outputs && outputs[i].capacity ? outputs[i].data : output->own;
    }
    for (int v = 0; v < plan->graph.num_values; v++) {
        const struct spc__storage *root = &plan->values[spc__plan_root(plan, v)];
        const struct spc__cpu_output *output =
            root->output >= 0 ? &cpu->outputs[root->output] : NULL;

        if (!output)
            cpu->values[v] = cpu->arena + root->offset;
        else
            cpu->values[v] = output->direct ? output->target : output->store;
    }
}

static enum spc_status run_sites(struct spc__cpu *cpu, struct spc__cpu_step *step,
                                 struct spc_error *err)
{
    const struct spc__graph *graph = &cpu->plan->graph;
    const struct spc__level *level = &graph->levels[step->index];
    struct spc__sites *sites = &cpu->levels[step->index].sites;
    const struct spc__rulebook *rulebook;
    const struct spc__sites *in;
    enum spc_status status;

    if (level->rulebook < 0) {
        step->profile.sites_in = cpu->voxels->num_voxels;
        status = spc__sites_from_indices(sites, cpu->voxels->indices, cpu->voxels->num_voxels,
                                         graph->index_order, cpu->row_of_input, err);
    } else {
        rulebook = &graph->rulebooks[level->rulebook];
        in = &cpu->levels[rulebook->in_level].sites;
        step->profile.sites_in = in->count;
        status = spc__sites_from_strided(sites, in, rulebook->kernel, rulebook->stride,
                                         rulebook->padding, rulebook->dilation,
                                         spc__level_name(graph, step->index), cpu->pool, err);
    }
    step->profile.sites_out = sites->count;
    return status;
}

static void run_pairs(struct spc__cpu *cpu, struct spc__cpu_step *step)
{
    const struct spc__rulebook *rulebook = &cpu->plan->graph.rulebooks[step->index];
    struct spc__cpu_rulebook *mine = &cpu->rulebooks[step->index];
    const struct spc__sites *in = &cpu->levels[rulebook->in_level].sites;
    const struct spc__sites *out = &cpu->levels[rulebook->out_level].sites;

    spc__pairs_build(&mine->pairs, &mine->geometry, in, out,
                     spc__cpu_window(out->count, mine->panels, spc__pool_threads(cpu->pool)),
                     cpu->pool);
    step->profile.sites_in = in->count;
    step->profile.sites_out = out->count;
    step->profile.pairs = mine->pairs.num_pairs;
}

static void run_node(struct spc__cpu *cpu, struct spc__cpu_step *step)
{
    const struct spc__graph *graph = &cpu->plan->graph;
    const struct spc__node *node = &graph->nodes[step->index];
    struct spc_step_profile *profile = &step->profile;

    profile->sites_in = cpu->levels[graph->values[node->in[0]].level].sites.count;
    profile->sites_out = cpu->levels[graph->values[node->out].level].sites.count;
    switch (node->op) {
    case SPC__OP_CONV:
        profile->pairs = cpu->rulebooks[node->rulebook].pairs.num_pairs;
        profile->gflop = 2e-9 * (double)profile->pairs * node->cin * node->cout;
        spc__cpu_run_conv(cpu, node, cpu->packed[step->index]);
        break;
    case SPC__OP_ADD:
    case SPC__OP_ACT:
        spc__cpu_run_add(cpu, node);
        break;
    case SPC__OP_SCATTER:
        spc__cpu_run_scatter(cpu, node);
        break;
    case SPC__OP_TRANSPOSE:
        spc__cpu_run_transpose(cpu, node);
        break;
    case SPC__OP_RESHAPE:
        spc__cpu_run_reshape(cpu, node);
        break;
    }
}

static enum spc_status run_step(struct spc__cpu *cpu, struct spc__cpu_step *step,
                                struct spc_error *err)
{
    switch (step->kind) {
    case SPC__STEP_SITES:
        return run_sites(cpu, step, err);
    case SPC__STEP_PAIRS:
        run_pairs(cpu, step);
        break;
    case SPC__STEP_INPUT:
        spc__cpu_run_input(cpu);
        break;
    case SPC__STEP_NODE:
        run_node(cpu, step);
        break;
    case SPC__STEP_OUTPUT:
        spc__cpu_run_output(cpu, step->index);
        break;
    }
    return SPC_OK;
}

static const int32_t *write_indices(struct spc__cpu *cpu, int output, int level)
{
    struct spc__cpu_level *l = &cpu->levels[level];

    if (cpu->outputs[output].input_order)
        memcpy(l->indices, cpu->voxels->indices, (size_t)l->sites.count * 4 * sizeof(int32_t));
    else
        spc__sites_write_indices(&l->sites, cpu->plan->graph.index_order, l->indices);
    return l->indices;
}

static void describe(struct spc__cpu *cpu, int i, struct spc_output *output)
{
    const struct spc__plan *plan = cpu->plan;
    int value = plan->graph.outputs[i], level = plan->graph.values[value].level;
    const struct spc_output_info *info = &cpu->outputs[i].info;
    bool sparse = info->kind == SPC_OUTPUT_SPARSE;

    output->data = cpu->outputs[i].target;
    output->memory = SPC_MEMORY_HOST;
    output->dtype = plan->output_types[i];
    output->rank = info->rank;
    memcpy(output->dims, info->dims, sizeof(output->dims));
    output->num_sites = cpu->levels[level].sites.count;
    if (sparse)
        output->dims[0] = output->num_sites;
    output->size = (size_t)spc__cpu_count(cpu, value) * spc_dtype_size(output->dtype);
    output->indices = sparse ? write_indices(cpu, i, level) : NULL;
}

enum spc_status spc__cpu_submit(void *instance, const struct spc_voxels *voxels,
                                struct spc_output *outputs, int num_outputs,
                                struct spc_error *err)
{
    struct spc__cpu *cpu = instance;
    double start = cpu->profile ? milliseconds() : 0.0, end;

    cpu->voxels = voxels;
    cpu->frame_voxels = voxels->num_voxels;
    bind(cpu, outputs, num_outputs);
    for (int i = 0; i < cpu->num_steps; i++) {
        struct spc__cpu_step *step = &cpu->steps[i];
        enum spc_status status;

        if (step->kind == SPC__STEP_OUTPUT && step->index >= num_outputs)
            continue;
        status = run_step(cpu, step, err);
        if (status)
            return status;
        if (cpu->profile) {
            end = milliseconds();
            step->profile.milliseconds = end - start;
            start = end;
        }
    }
    for (int i = 0; i < num_outputs; i++)
        describe(cpu, i, &outputs[i]);
    return SPC_OK;
}
