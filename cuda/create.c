/* SPDX-License-Identifier: MIT */
/* Making and unmaking an instance: everything a frame needs is allocated here. */
#include "cuda/instance.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>

static void *take_zeroed(size_t count, size_t size, struct spc_error *err)
{
    void *block = spc__alloc_zeroed(count ? count : 1, size);

    if (!block)
        spc__fail_memory(err, count * size, "the instance");
    return block;
}

/* Bytes of a node's constant that no node before it has. */
static size_t new_bytes(const struct spc__cuda_constant *const *constants, int node)
{
    for (int i = 0; i < node; i++)
        if (constants[i] == constants[node])
            return 0;
    return constants[node]->memory.device_bytes;
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
        status = spc__cuda_get_weights(shared, cuda, i, err);
        if (status)
            return status;
        cuda->shared_bytes += new_bytes(cuda->weights, i) + new_bytes(cuda->biases, i);
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

    output->bytes = bytes;
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
    int value = plan->graph.outputs[i], root = spc__plan_root(plan, value);
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
    if (cuda->padded_stride) {
        cuda->padded = spc__cuda_take(memory, rows * (size_t)cuda->padded_stride,
                                      sizeof(uint16_t), "the padded input", err);
        if (!cuda->padded)
            return SPC_ERR_MEMORY;
    }
    if (cuda->profile) {
        size_t rulebooks = (size_t)graph->num_rulebooks;

        cuda->pairs = spc__cuda_take(memory, rulebooks, sizeof(uint64_t), "a profile", err);
        cuda->host_pairs =
            spc__cuda_take_pinned(memory, rulebooks, sizeof(uint64_t), "a profile", err);
        if (!cuda->pairs || !cuda->host_pairs)
            return SPC_ERR_MEMORY;
    }
    return cuda->arena && cuda->features && cuda->indices && cuda->row_of_input &&
                   cuda->host_features && cuda->host_indices && cuda->report && cuda->host_report
               ? SPC_OK
               : SPC_ERR_MEMORY;
}

struct spc_step_profile *spc__cuda_add_step(struct spc__cuda *cuda, enum spc__cuda_step_kind kind,
                                            int index, const char *op, const char *what,
                                            const char *name)
{
    struct spc__cuda_step *step = &cuda->steps[cuda->num_steps++];

    *step = (struct spc__cuda_step){.kind = kind, .index = index, .waits = -1};
    snprintf(step->profile.name, sizeof(step->profile.name), "%s%s", what, name);
    snprintf(step->profile.op, sizeof(step->profile.op), "%s", op);
    return &step->profile;
}

void spc__cuda_wait_for(struct spc__cuda *cuda, int step)
{
    cuda->steps[cuda->num_steps - 1].waits = step;
    cuda->steps[step].signals = true;
}

static void add_node(struct spc__cuda *cuda, int index)
{
    const struct spc__graph *graph = &cuda->plan->graph;
    const struct spc__node *node = &graph->nodes[index];
    struct spc_step_profile *profile = spc__cuda_add_step(cuda, SPC__CUDA_STEP_NODE, index,
                                                          node->op_type, "", node->name);

    profile->in_channels = graph->values[node->in[0]].channels;
    profile->out_channels = graph->values[node->out].channels;
    if (node->op == SPC__OP_SCATTER && !graph->values[node->in[0]].level)
        cuda->last_reader = cuda->num_steps - 1;
}

/* A node waits for the index where it is the first that needs so much of it. */
static void add_nodes(struct spc__cuda *cuda)
{
    const struct spc__graph *graph = &cuda->plan->graph;
    int there = 0;

    if (cuda->plain_input)
        spc__cuda_add_step(cuda, SPC__CUDA_STEP_INPUT, 0, "input", "", graph->values[0].name);
    for (int i = 0; i < graph->num_nodes; i++) {
        int stage = spc__cuda_stage_of_node(cuda, &graph->nodes[i]);

        add_node(cuda, i);
        cuda->steps[cuda->num_steps - 1].unsettled = !i && !cuda->plain_input;
        if (stage > there)
            spc__cuda_wait_for(cuda, cuda->stage_end[stage]);
        there = stage > there ? stage : there;
    }
}

static void add_steps(struct spc__cuda *cuda)
{
    const struct spc__graph *graph = &cuda->plan->graph;

    cuda->rows_used = cuda->plain_input;
    for (int i = 0; i < graph->num_outputs; i++)
        cuda->rows_used = cuda->rows_used || cuda->outputs[i].input_order;
    spc__cuda_add_index_steps(cuda);
    add_nodes(cuda);
    for (int i = 0; i < graph->num_outputs; i++)
        if (!cuda->outputs[i].direct)
            spc__cuda_add_step(cuda, SPC__CUDA_STEP_OUTPUT, i, "output", "",
                               graph->values[graph->outputs[i]].name);
    cuda->steps[cuda->last_reader].signals = true;
}

static enum spc_status make_tables(struct spc__cuda *cuda, struct spc_error *err)
{
    const struct spc__graph *graph = &cuda->plan->graph;
    size_t outputs = (size_t)graph->num_outputs;
    size_t steps =
        (size_t)(graph->num_levels + graph->num_rulebooks + graph->num_nodes) + outputs + 10;

    cuda->levels = take_zeroed((size_t)graph->num_levels, sizeof(*cuda->levels), err);
    cuda->rulebooks = take_zeroed((size_t)graph->num_rulebooks, sizeof(*cuda->rulebooks), err);
    cuda->jobs = take_zeroed((size_t)graph->num_rulebooks, sizeof(*cuda->jobs), err);
    cuda->ways = take_zeroed((size_t)graph->num_nodes, sizeof(*cuda->ways), err);
    cuda->weights = take_zeroed((size_t)graph->num_nodes, sizeof(*cuda->weights), err);
    cuda->biases = take_zeroed((size_t)graph->num_nodes, sizeof(*cuda->biases), err);
    cuda->outputs = take_zeroed(outputs, sizeof(*cuda->outputs), err);
    cuda->steps = take_zeroed(steps, sizeof(*cuda->steps), err);
    cuda->values = take_zeroed((size_t)graph->num_values, sizeof(*cuda->values), err);
    cuda->targets = take_zeroed(outputs, sizeof(*cuda->targets), err);
    for (int i = 0; i < SPC__CUDA_GRAPHS; i++)
        if (!(cuda->graphs[i].targets = take_zeroed(outputs, sizeof(*cuda->targets), err)))
            return SPC_ERR_MEMORY;
    return cuda->levels && cuda->rulebooks && cuda->jobs && cuda->ways && cuda->weights &&
                   cuda->biases && cuda->outputs && cuda->steps && cuda->values && cuda->targets
               ? SPC_OK
               : SPC_ERR_MEMORY;
}

static enum spc_status make_stream(struct spc__cuda *cuda, struct spc_error *err)
{
    unsigned flags = cuda->profile ? cudaEventDefault : cudaEventDisableTiming;
    struct cudaDeviceProp prop;
    cudaError_t code = cudaStreamCreateWithFlags(&cuda->stream, cudaStreamNonBlocking);

    if (!code)
        code = cudaStreamCreateWithFlags(&cuda->aside, cudaStreamNonBlocking);
    if (!code)
        code = cudaEventCreateWithFlags(&cuda->cleared, cudaEventDisableTiming);
    if (!code)
        code = cudaEventCreateWithFlags(&cuda->begin, flags);
    if (!code)
        code = cudaEventCreateWithFlags(&cuda->end, flags);
    if (!code)
        code = cudaGetDeviceProperties(&prop, cuda->context.device);
    if (code)
        return spc__cuda_fail(err, code, "making a stream");
    cuda->major = prop.major;
    cuda->minor = prop.minor;
    snprintf(cuda->device_name, sizeof(cuda->device_name), "%.100s", prop.name);
    return SPC_OK;
}

static enum spc_status make_step_events(struct spc__cuda *cuda, struct spc_error *err)
{
    cudaError_t code = cudaSuccess;

    for (int i = 0; i < cuda->num_steps && !code; i++)
        if (cuda->profile || cuda->steps[i].signals)
            code = cudaEventCreateWithFlags(&cuda->steps[i].end,
                                            cuda->profile ? cudaEventDefault
                                                          : cudaEventDisableTiming);
    return code ? spc__cuda_fail(err, code, "making the steps' events") : SPC_OK;
}

static enum spc_status make(struct spc__cuda *cuda, struct spc__shared *shared,
                            const struct spc__backend_options *options, struct spc_error *err)
{
    enum spc_status status = make_tables(cuda, err);

    if (status)
        return status;
    if ((status = make_stream(cuda, err)) || (status = spc__cuda_make_index(cuda, err)) ||
        (status = make_weights(cuda, shared, err)) || (status = make_buffers(cuda, err)))
        return status;
    for (int i = 0; i < cuda->plan->graph.num_outputs; i++)
        if ((status = make_output(cuda, i, options->row_order, err)))
            return status;
    add_steps(cuda);
    return make_step_events(cuda, err);
}

/* Where it fails, frames go on being launched step by step. */
static void record(struct spc__cuda *cuda)
{
    cudaError_t code = spc__cuda_record_frame(cuda);

    if (code)
        spc__log(&cuda->log, SPC_LOG_WARNING, "CUDA: frames are launched step by step, as they "
                 "cannot be recorded: %s (%s)", cudaGetErrorString(code), cudaGetErrorName(code));
}

enum spc_status spc__cuda_warm_up(struct spc__cuda *cuda, struct spc_error *err)
{
    static const enum spc_dtype types[] = {SPC_DTYPE_F32, SPC_DTYPE_F16};
    int num_outputs = cuda->plan->graph.num_outputs;
    struct spc_output *outputs = take_zeroed((size_t)num_outputs, sizeof(*outputs), err);
    enum spc_status status = outputs ? SPC_OK : SPC_ERR_MEMORY;

    for (int i = 0; i < 2 && !status; i++) {
        struct spc_voxels voxels = {.feature_type = types[i]};

        status = spc__cuda_submit(cuda, &voxels, outputs, num_outputs, err);
        if (!status)
            status = spc__cuda_wait(cuda, err);
        if (!status && !i && cuda->use_graph)
            record(cuda);
    }
    free(outputs);
    return status;
}

enum spc_status spc__cuda_create(const struct spc__plan *plan, struct spc__shared *shared,
                                 const struct spc__backend_options *options, void **instance,
                                 struct spc_error *err)
{
    struct spc__cuda *cuda = take_zeroed(1, sizeof(*cuda), err);
    enum spc_status status;

    if (!cuda)
        return SPC_ERR_MEMORY;
    cuda->plan = plan;
    cuda->log = options->log;
    cuda->unclear = true;
    cuda->profile = options->profile;
    cuda->use_graph = options->cuda_graph && !options->profile;
    cuda->use_aside = options->aux_stream;
    status = spc__cuda_get_context(options->device, &cuda->context, err);
    if (!status)
        status = spc__cuda_enter(&cuda->context, err);
    if (status) {
        free(cuda);
        return status;
    }
    status = make(cuda, shared, options, err);
    if (!status)
        status = spc__cuda_warm_up(cuda, err);
    spc__cuda_leave(&cuda->context);
    if (status)
        spc__cuda_destroy(cuda);
    else
        *instance = cuda;
    return status;
}

static void destroy_device_side(struct spc__cuda *cuda)
{
    spc__cuda_forget_graphs(cuda);
    for (int i = 0; i < cuda->num_steps; i++)
        if (cuda->steps[i].end)
            cudaEventDestroy(cuda->steps[i].end);
    if (cuda->begin)
        cudaEventDestroy(cuda->begin);
    if (cuda->end)
        cudaEventDestroy(cuda->end);
    if (cuda->cleared)
        cudaEventDestroy(cuda->cleared);
    if (cuda->stream)
        cudaStreamDestroy(cuda->stream);
    if (cuda->aside)
        cudaStreamDestroy(cuda->aside);
}

void spc__cuda_destroy(void *instance)
{
    struct spc__cuda *cuda = instance;
    const struct spc__graph *graph = &cuda->plan->graph;

    if (!spc__cuda_enter(&cuda->context, NULL)) {
        destroy_device_side(cuda);
        spc__cuda_leave(&cuda->context);
    }
    spc__cuda_free_all(&cuda->context, &cuda->memory);
    for (int i = 0; cuda->levels && i < graph->num_levels; i++)
        free(cuda->levels[i].host_indices);
    for (int i = 0; cuda->outputs && i < graph->num_outputs; i++)
        if (cuda->outputs[i].info.kind == SPC_OUTPUT_SPARSE)
            free(cuda->outputs[i].own_host);
    for (int i = 0; i < SPC__CUDA_GRAPHS; i++)
        free(cuda->graphs[i].targets);
    free(cuda->levels);
    free(cuda->rulebooks);
    free(cuda->jobs);
    free(cuda->ways);
    free(cuda->weights);
    free(cuda->biases);
    free(cuda->outputs);
    free(cuda->steps);
    free(cuda->values);
    free(cuda->targets);
    free(cuda);
}
