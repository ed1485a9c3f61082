/* SPDX-License-Identifier: MIT */
/* Making and unmaking an instance: everything a frame needs is allocated here. */
#include "cuda/instance.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>

int spc__cuda_root(const struct spc__plan *plan, int value)
{
    while (plan->values[value].alias >= 0)
        value = plan->values[value].alias;
    return value;
}

static void *take_zeroed(size_t count, size_t size, struct spc_error *err)
{
    void *block = spc__alloc_zeroed(count ? count : 1, size);

    if (!block)
        spc__fail_memory(err, count * size, "the instance");
    return block;
}

static void use_level(struct spc__cuda *cuda, int level)
{
    const struct spc__graph *graph = &cuda->plan->graph;

    while (!cuda->levels[level].used) {
        cuda->levels[level].used = true;
        if (graph->levels[level].rulebook < 0)
            break;
        level = graph->rulebooks[graph->levels[level].rulebook].in_level;
    }
}

/* Marks the rulebooks that a convolution uses and the levels that a value is on. */
static void mark_used(struct spc__cuda *cuda)
{
    const struct spc__graph *graph = &cuda->plan->graph;

    use_level(cuda, 0);
    for (int i = 0; i < graph->num_nodes; i++) {
        const struct spc__node *node = &graph->nodes[i];

        use_level(cuda, graph->values[node->in[0]].level);
        use_level(cuda, graph->values[node->out].level);
        if (node->op == SPC__OP_CONV)
            cuda->rulebooks[node->rulebook].used = true;
    }
}

static enum spc_status make_level(struct spc__cuda *cuda, int i, struct spc_error *err)
{
    const struct spc__level *level = &cuda->plan->graph.levels[i];
    struct spc_cuda_sites *sites = &cuda->levels[i].sites;
    struct spc__cuda_memory *memory = &cuda->memory;
    const char *what = "the site index of a level";
    size_t tiles, words;

    for (int a = 0; a < 3; a++)
        sites->grid[a] = level->grid[a];
    sites->tiles_y = (level->grid[1] + SPC_CUDA_TILE_Y - 1) / SPC_CUDA_TILE_Y;
    sites->tiles_x = (level->grid[2] + SPC_CUDA_TILE_X - 1) / SPC_CUDA_TILE_X;
    sites->words = (level->grid[0] + 63) / 64;
    sites->bound = level->bound;
    tiles = (size_t)sites->tiles_y * (size_t)sites->tiles_x;
    words = tiles * SPC_CUDA_TILE_COLUMNS * (size_t)sites->words;
    sites->mask = spc__cuda_take(memory, words, sizeof(*sites->mask), what, err);
    sites->base = spc__cuda_take(memory, words, sizeof(*sites->base), what, err);
    sites->tile_start = spc__cuda_take(memory, tiles, sizeof(*sites->tile_start), what, err);
    sites->coords =
        spc__cuda_take(memory, (size_t)level->bound, 3 * sizeof(*sites->coords), what, err);
    sites->count = spc__cuda_take(memory, 1, sizeof(*sites->count), what, err);
    return sites->mask && sites->base && sites->tile_start && sites->coords && sites->count
               ? SPC_OK
               : SPC_ERR_MEMORY;
}

static enum spc_status make_rulebook(struct spc__cuda *cuda, int i, struct spc_error *err)
{
    const struct spc__graph *graph = &cuda->plan->graph;
    const struct spc__rulebook *rulebook = &graph->rulebooks[i];
    struct spc__cuda_rulebook *mine = &cuda->rulebooks[i];

    mine->geometry.subm = rulebook->kind == SPC__SUBM;
    mine->geometry.inverse = rulebook->kind == SPC__INVERSE;
    for (int a = 0; a < 3; a++) {
        mine->geometry.kernel[a] = rulebook->kernel[a];
        mine->geometry.stride[a] = rulebook->stride[a];
        mine->geometry.padding[a] = rulebook->padding[a];
        mine->geometry.dilation[a] = rulebook->dilation[a];
    }
    if (!mine->used)
        return SPC_OK;
    mine->nbr_stride = graph->levels[rulebook->out_level].bound;
    mine->nbr = spc__cuda_take(&cuda->memory,
                               (size_t)spc__rulebook_offsets(rulebook) * (size_t)mine->nbr_stride,
                               sizeof(*mine->nbr), "a neighbour table", err);
    return mine->nbr ? SPC_OK : SPC_ERR_MEMORY;
}

static enum spc_status make_index(struct spc__cuda *cuda, struct spc_error *err)
{
    const struct spc__graph *graph = &cuda->plan->graph;
    enum spc_status status = SPC_OK;

    for (int i = 0; i < graph->num_levels && !status; i++)
        if (cuda->levels[i].used)
            status = make_level(cuda, i, err);
    for (int i = 0; i < graph->num_rulebooks && !status; i++)
        status = make_rulebook(cuda, i, err);
    return status;
}

static enum spc_status make_weights(struct spc__cuda *cuda, struct spc__shared *shared,
                                    struct spc_error *err)
{
    const struct spc__graph *graph = &cuda->plan->graph;

    for (int i = 0; i < graph->num_nodes; i++) {
        const struct spc__node *node = &graph->nodes[i];
        enum spc_status status;

        if (node->op != SPC__OP_CONV)
            continue;
        status = spc__cuda_get_weights(shared, node,
                                       spc__rulebook_offsets(&graph->rulebooks[node->rulebook]),
                                       cuda->plan->precision, cuda->device, &cuda->weights[i], err);
        if (status)
            return status;
        cuda->shared_bytes += cuda->weights[i]->memory.device_bytes;
    }
    return SPC_OK;
}

/* What the caller gets where it brings no memory: on the device, and on the host. A dense output
 * is copied whole, through pinned memory at full speed; of a sparse one only the rows there are,
 * so that its pages past them stay untouched. */
static enum spc_status make_own(struct spc__cuda *cuda, int i, size_t bytes, const char *name,
                                struct spc_error *err)
{
    struct spc__cuda_output *output = &cuda->outputs[i];
    bool dense = output->info.kind == SPC_OUTPUT_DENSE;

    output->own = spc__cuda_take(&cuda->memory, bytes, 1, name, err);
    if (!output->own)
        return SPC_ERR_MEMORY;
    output->own_host = dense ? spc__cuda_take_pinned(&cuda->memory, bytes, 1, name, err)
                             : spc__alloc(bytes, 1);
    if (!output->own_host)
        return dense ? SPC_ERR_MEMORY : spc__fail_memory(err, bytes, name);
    return SPC_OK;
}

static enum spc_status make_output(struct spc__cuda *cuda, int i, enum spc_row_order order,
                                   struct spc_error *err)
{
    const struct spc__plan *plan = cuda->plan;
    int value = plan->graph.outputs[i], root = spc__cuda_root(plan, value);
    const struct spc__value *v = &plan->graph.values[value];
    struct spc__cuda_output *output = &cuda->outputs[i];
    struct spc__cuda_level *level = &cuda->levels[v->level];
    size_t bound = (size_t)plan->graph.levels[v->level].bound;
    size_t count = plan->values[value].size / spc_dtype_size(plan->values[value].dtype);
    bool owner = plan->values[root].output == i;
    enum spc_status status;

    spc__graph_describe(&plan->graph, value, (int64_t)bound, &output->info);
    output->input_order = order == SPC_ROWS_INPUT && v->kind == SPC__SPARSE && v->level == 0;
    output->direct = owner && !output->input_order &&
                     plan->output_types[i] == plan->values[value].dtype;
    status = make_own(cuda, i, count * spc_dtype_size(plan->output_types[i]), v->name, err);
    if (status)
        return status;
    if (owner && !output->direct) {
        output->store = spc__cuda_take(&cuda->memory, plan->values[root].size, 1, v->name, err);
        if (!output->store)
            return SPC_ERR_MEMORY;
    }
    if (v->kind == SPC__SPARSE && !level->indices) {
        level->indices =
            spc__cuda_take(&cuda->memory, bound, 4 * sizeof(int32_t), v->name, err);
        level->host_indices = spc__alloc(bound, 4 * sizeof(int32_t));
        if (!level->indices)
            return SPC_ERR_MEMORY;
        if (!level->host_indices)
            return spc__fail_memory(err, bound * 4 * sizeof(int32_t), v->name);
    }
    return SPC_OK;
}

/* Values, and the places that frames from host memory pass through. */
static enum spc_status make_buffers(struct spc__cuda *cuda, struct spc_error *err)
{
    const struct spc__graph *graph = &cuda->plan->graph;
    struct spc__cuda_memory *memory = &cuda->memory;
    size_t rows = (size_t)graph->levels[0].bound;
    size_t row = (size_t)graph->values[0].channels * sizeof(float);

    cuda->arena = spc__cuda_take(memory, cuda->plan->arena_size, 1, "values", err);
    cuda->features = spc__cuda_take(memory, rows, row, "input features", err);
    cuda->indices = spc__cuda_take(memory, rows, 4 * sizeof(int32_t), "input indices", err);
    cuda->row_of_input = spc__cuda_take(memory, rows, sizeof(int32_t), "input rows", err);
    cuda->host_features = spc__cuda_take_pinned(memory, rows, row, "input features", err);
    cuda->host_indices =
        spc__cuda_take_pinned(memory, rows, 4 * sizeof(int32_t), "input indices", err);
    cuda->report_bytes =
        sizeof(*cuda->report) + (size_t)graph->num_levels * sizeof(*cuda->report->totals);
    cuda->report = spc__cuda_take(memory, cuda->report_bytes, 1, "the report", err);
    cuda->host_report = spc__cuda_take_pinned(memory, cuda->report_bytes, 1, "the report", err);
    cuda->num_voxels = spc__cuda_take_pinned(memory, 1, sizeof(int32_t), "the row count", err);
    return cuda->arena && cuda->features && cuda->indices && cuda->row_of_input &&
                   cuda->host_features && cuda->host_indices && cuda->report &&
                   cuda->host_report && cuda->num_voxels
               ? SPC_OK
               : SPC_ERR_MEMORY;
}

static struct spc_step_profile *add_step(struct spc__cuda *cuda, enum spc__cuda_step_kind kind,
                                         int index, const char *op, const char *what,
                                         const char *name)
{
    struct spc__cuda_step *step = &cuda->steps[cuda->num_steps++];

    *step = (struct spc__cuda_step){.kind = kind, .index = index};
    snprintf(step->profile.name, sizeof(step->profile.name), "%s%s", what, name);
    snprintf(step->profile.op, sizeof(step->profile.op), "%s", op);
    return &step->profile;
}

static const char *rulebook_user(const struct spc__graph *graph, int rulebook)
{
    for (int i = 0; i < graph->num_nodes; i++)
        if (graph->nodes[i].op == SPC__OP_CONV && graph->nodes[i].rulebook == rulebook)
            return graph->nodes[i].name;
    return "";
}

static void add_index_steps(struct spc__cuda *cuda)
{
    const struct spc__graph *graph = &cuda->plan->graph;

    for (int i = 0; i < graph->num_levels; i++)
        if (cuda->levels[i].used)
            add_step(cuda, SPC__CUDA_STEP_SITES, i, "index", "sites of ",
                     i ? rulebook_user(graph, graph->levels[i].rulebook) : graph->values[0].name);
    add_step(cuda, SPC__CUDA_STEP_REPORT, 0, "index", "report of ", graph->values[0].name);
    for (int i = 0; i < graph->num_rulebooks; i++)
        if (cuda->rulebooks[i].used)
            add_step(cuda, SPC__CUDA_STEP_TABLE, i, "index", "neighbours of ",
                     rulebook_user(graph, i));
    for (int i = 0; i < graph->num_levels; i++)
        if (cuda->levels[i].indices)
            add_step(cuda, SPC__CUDA_STEP_ROWS, i, "index", "rows of ",
                     i ? rulebook_user(graph, graph->levels[i].rulebook) : graph->values[0].name);
}

static void add_steps(struct spc__cuda *cuda)
{
    const struct spc__graph *graph = &cuda->plan->graph;
    struct spc_step_profile *profile;

    add_index_steps(cuda);
    add_step(cuda, SPC__CUDA_STEP_INPUT, 0, "input", "", graph->values[0].name);
    for (int i = 0; i < graph->num_nodes; i++) {
        const struct spc__node *node = &graph->nodes[i];

        profile = add_step(cuda, SPC__CUDA_STEP_NODE, i, node->op_type, "", node->name);
        profile->in_channels = graph->values[node->in[0]].channels;
        profile->out_channels = graph->values[node->out].channels;
    }
    for (int i = 0; i < graph->num_outputs; i++)
        if (!cuda->outputs[i].direct)
            add_step(cuda, SPC__CUDA_STEP_OUTPUT, i, "output", "",
                     graph->values[graph->outputs[i]].name);
}

static enum spc_status make_tables(struct spc__cuda *cuda, struct spc_error *err)
{
    const struct spc__graph *graph = &cuda->plan->graph;
    size_t outputs = (size_t)graph->num_outputs;
    size_t steps = 2 * (size_t)graph->num_levels + (size_t)graph->num_rulebooks +
                   (size_t)graph->num_nodes + outputs + 2;

    cuda->levels = take_zeroed((size_t)graph->num_levels, sizeof(*cuda->levels), err);
    cuda->rulebooks = take_zeroed((size_t)graph->num_rulebooks, sizeof(*cuda->rulebooks), err);
    cuda->weights = take_zeroed((size_t)graph->num_nodes, sizeof(*cuda->weights), err);
    cuda->outputs = take_zeroed(outputs, sizeof(*cuda->outputs), err);
    cuda->steps = take_zeroed(steps, sizeof(*cuda->steps), err);
    cuda->values = take_zeroed((size_t)graph->num_values, sizeof(*cuda->values), err);
    cuda->targets = take_zeroed(outputs, sizeof(*cuda->targets), err);
    for (int i = 0; i < SPC__CUDA_GRAPHS; i++)
        if (!(cuda->graphs[i].targets = take_zeroed(outputs, sizeof(*cuda->targets), err)))
            return SPC_ERR_MEMORY;
    return cuda->levels && cuda->rulebooks && cuda->weights && cuda->outputs && cuda->steps &&
                   cuda->values && cuda->targets
               ? SPC_OK
               : SPC_ERR_MEMORY;
}

static enum spc_status make_stream(struct spc__cuda *cuda, struct spc_error *err)
{
    unsigned flags = cuda->profile ? cudaEventDefault : cudaEventDisableTiming;
    struct cudaDeviceProp prop;
    cudaError_t code = cudaStreamCreateWithFlags(&cuda->stream, cudaStreamNonBlocking);

    if (!code)
        code = cudaEventCreateWithFlags(&cuda->begin, flags);
    if (!code)
        code = cudaEventCreateWithFlags(&cuda->end, flags);
    for (int i = 0; i < cuda->num_steps && !code && cuda->profile; i++)
        code = cudaEventCreate(&cuda->steps[i].end);
    if (!code)
        code = cudaGetDeviceProperties(&prop, cuda->device);
    if (code)
        return spc__cuda_fail(err, code, "making a stream and events");
    cuda->major = prop.major;
    cuda->minor = prop.minor;
    snprintf(cuda->device_name, sizeof(cuda->device_name), "%.100s", prop.name);
    return SPC_OK;
}

static enum spc_status make(struct spc__cuda *cuda, struct spc__shared *shared,
                            const struct spc__backend_options *options, struct spc_error *err)
{
    enum spc_status status = make_tables(cuda, err);

    if (status)
        return status;
    mark_used(cuda);
    if ((status = make_index(cuda, err)) || (status = make_weights(cuda, shared, err)) ||
        (status = make_buffers(cuda, err)))
        return status;
    for (int i = 0; i < cuda->plan->graph.num_outputs; i++)
        if ((status = make_output(cuda, i, options->row_order, err)))
            return status;
    add_steps(cuda);
    return make_stream(cuda, err);
}

enum spc_status spc__cuda_create(const struct spc__plan *plan, struct spc__shared *shared,
                                 const struct spc__backend_options *options, void **instance,
                                 struct spc_error *err)
{
    struct spc__cuda *cuda = take_zeroed(1, sizeof(*cuda), err);
    enum spc_status status;
    int previous;

    if (!cuda)
        return SPC_ERR_MEMORY;
    cuda->plan = plan;
    cuda->profile = options->profile;
    cuda->use_graph = options->cuda_graph && !options->profile;
    status = spc__cuda_find(options->device, &cuda->device, err);
    if (!status)
        status = spc__cuda_enter(cuda->device, &previous, err);
    if (status) {
        free(cuda);
        return status;
    }
    status = make(cuda, shared, options, err);
    spc__cuda_leave(cuda->device, previous);
    if (status)
        spc__cuda_destroy(cuda);
    else
        *instance = cuda;
    return status;
}

static void destroy_device_side(struct spc__cuda *cuda)
{
    for (int i = 0; i < SPC__CUDA_GRAPHS; i++)
        if (cuda->graphs[i].exec)
            cudaGraphExecDestroy(cuda->graphs[i].exec);
    for (int i = 0; i < cuda->num_steps; i++)
        if (cuda->steps[i].end)
            cudaEventDestroy(cuda->steps[i].end);
    if (cuda->begin)
        cudaEventDestroy(cuda->begin);
    if (cuda->end)
        cudaEventDestroy(cuda->end);
    if (cuda->stream)
        cudaStreamDestroy(cuda->stream);
    spc__cuda_free_all(&cuda->memory);
}

void spc__cuda_destroy(void *instance)
{
    struct spc__cuda *cuda = instance;
    const struct spc__graph *graph = &cuda->plan->graph;
    int previous;

    if (!spc__cuda_enter(cuda->device, &previous, NULL)) {
        destroy_device_side(cuda);
        spc__cuda_leave(cuda->device, previous);
    }
    for (int i = 0; cuda->levels && i < graph->num_levels; i++)
        free(cuda->levels[i].host_indices);
    for (int i = 0; cuda->outputs && i < graph->num_outputs; i++)
        if (cuda->outputs[i].info.kind == SPC_OUTPUT_SPARSE)
            free(cuda->outputs[i].own_host);
    for (int i = 0; i < SPC__CUDA_GRAPHS; i++)
        free(cuda->graphs[i].targets);
    free(cuda->levels);
    free(cuda->rulebooks);
    free(cuda->weights);
    free(cuda->outputs);
    free(cuda->steps);
    free(cuda->values);
    free(cuda->targets);
    free(cuda);
}
