/* SPDX-License-Identifier: MIT */
/* Each step's launch: from plan and node to raw pointers. */
#include "cuda/instance.h"

/* The number of rows or elements of a value: what `count` and `bound` of the kernels mean. */
struct extent {
    const int32_t *count;
    int64_t bound;
    int32_t channels;
};

static struct extent extent_of(const struct spc__cuda *cuda, int value)
{
    const struct spc__value *v = &cuda->plan->graph.values[value];
    const struct spc_cuda_sites *sites = spc__cuda_sites(cuda, v->level);
    struct extent extent = {NULL, 1, 1};

    if (v->kind == SPC__SPARSE)
        return (struct extent){sites->count, sites->bound, v->channels};
    for (int i = 0; i < v->rank; i++)
        extent.bound *= v->dims[i];
    return extent;
}

static enum spc_dtype type_of(const struct spc__cuda *cuda, int value)
{
    return cuda->plan->values[value].dtype;
}

struct spc_cuda_input spc__cuda_input(const struct spc__cuda *cuda)
{
    int64_t there = cuda->voxels.num_voxels, most = cuda->plan->max_voxels;

    return (struct spc_cuda_input){
        .indices = cuda->binding.indices,
        .num_voxels = (int32_t)(there < most ? there : most), /* with device_count maybe more */
        .device_count = cuda->binding.device_count,
        .order = cuda->plan->graph.index_order,
        .row_of_input = cuda->rows_used ? cuda->row_of_input : NULL,
        .features = cuda->binding.features,
        .feature_type = cuda->binding.feature_type,
        .channels = cuda->plan->graph.values[0].channels,
        .padded = cuda->padded,
        .padded_stride = cuda->padded_stride,
    };
}

static cudaError_t launch_blobs(struct spc__cuda *cuda, const struct spc__cuda_step *step,
                                cudaStream_t stream)
{
    int first = cuda->first_job[step->index], end = cuda->first_job[step->index + 1];
    bool settled = step[-1].kind == SPC__CUDA_STEP_PLACE;

    return spc_cuda_index_blobs(cuda->jobs + first, end - first,
                                step->aside ? SPC_CUDA_BESIDE
                                            : settled ? SPC_CUDA_SETTLED : SPC_CUDA_BEHIND,
                                stream);
}

static cudaError_t launch_table(struct spc__cuda *cuda, int index, cudaStream_t stream)
{
    const struct spc__rulebook *rulebook = &cuda->plan->graph.rulebooks[index];
    const struct spc__cuda_rulebook *mine = &cuda->rulebooks[index];

    return spc_cuda_index_neighbours(spc__cuda_sites(cuda, rulebook->out_level),
                                     spc__cuda_sites(cuda, rulebook->in_level), &mine->geometry,
                                     mine->nbr, mine->nbr_stride, stream);
}

static cudaError_t launch_report(struct spc__cuda *cuda, cudaStream_t stream)
{
    return spc_cuda_copy_words(cuda->report, cuda->host_report,
                               (int)(cuda->report_bytes / sizeof(int32_t)), stream);
}

static cudaError_t launch_rows(struct spc__cuda *cuda, int level, cudaStream_t stream)
{
    return spc_cuda_index_rows(spc__cuda_sites(cuda, level), cuda->plan->graph.index_order,
                               cuda->levels[level].indices, stream);
}

/* The input in site order, as the plan has it. */
static cudaError_t launch_input(struct spc__cuda *cuda, cudaStream_t stream)
{
    struct extent extent = extent_of(cuda, 0);
    struct spc_cuda_move move = {
        .in = cuda->binding.features,
        .out = cuda->values[0],
        .in_type = cuda->binding.feature_type,
        .out_type = type_of(cuda, 0),
        .channels = extent.channels,
        .out_row = cuda->row_of_input,
        .count = &cuda->report->num_rows, /* where a row came twice, there are fewer sites */
        .bound = extent.bound,
    };

    return spc_cuda_move(&move, stream);
}

static cudaError_t launch_fast(struct spc__cuda *cuda, const struct spc__cuda_step *step,
                               cudaStream_t stream)
{
    int index = step->index;
    const struct spc__node *node = &cuda->plan->graph.nodes[index];
    struct extent extent = extent_of(cuda, node->out);
    struct spc_cuda_conv_fast conv = {
        .in = node->in[0] ? cuda->values[node->in[0]] : cuda->padded,
        .weights = cuda->weights[index]->data,
        .bias = cuda->biases[index]->data,
        .residual = node->residual >= 0 ? cuda->values[node->residual] : NULL,
        .out = cuda->values[node->out],
        .cin = node->cin,
        .cout = node->cout,
        .in_stride = spc__cuda_in_stride(cuda, node),
        .blobs = cuda->rulebooks[node->rulebook].blobs,
        .count = extent.count,
        .bound = extent.bound,
        .act = node->act,
        .slope = node->act_slope,
        /* Behind an event, the blobs' own kernel may be one that still runs. */
        .blobs_settled = !step->unsettled && step->waits < 0,
    };

    return spc_cuda_conv_fast(&conv, cuda->ways[index], stream);
}

static cudaError_t launch_general(struct spc__cuda *cuda, int index, cudaStream_t stream)
{
    const struct spc__graph *graph = &cuda->plan->graph;
    const struct spc__node *node = &graph->nodes[index];
    const struct spc__cuda_rulebook *rulebook = &cuda->rulebooks[node->rulebook];
    struct extent extent = extent_of(cuda, node->out);
    struct spc_cuda_conv conv = {
        .in = cuda->values[node->in[0]],
        .weights = cuda->weights[index]->data,
        .bias = cuda->biases[index]->data,
        .residual = node->residual >= 0 ? cuda->values[node->residual] : NULL,
        .out = cuda->values[node->out],
        .type = type_of(cuda, node->out),
        .offsets = spc__rulebook_offsets(&graph->rulebooks[node->rulebook]),
        .cin = node->cin,
        .cout = node->cout,
        .nbr = rulebook->nbr,
        .nbr_stride = rulebook->nbr_stride,
        .count = extent.count,
        .bound = extent.bound,
        .act = node->act,
        .slope = node->act_slope,
    };

    return spc_cuda_conv_general(&conv, stream);
}

static cudaError_t launch_conv(struct spc__cuda *cuda, const struct spc__cuda_step *step,
                               cudaStream_t stream)
{
    if (spc__cuda_is_fast(cuda, &cuda->plan->graph.nodes[step->index]))
        return launch_fast(cuda, step, stream);
    return launch_general(cuda, step->index, stream);
}

static cudaError_t launch_add(struct spc__cuda *cuda, const struct spc__node *node,
                              cudaStream_t stream)
{
    struct extent extent = extent_of(cuda, node->out);
    struct spc_cuda_add add = {
        .a = cuda->values[node->in[0]],
        .b = node->op == SPC__OP_ADD ? cuda->values[node->in[1]] : NULL,
        .out = cuda->values[node->out],
        .type = type_of(cuda, node->out),
        .channels = extent.channels,
        .count = extent.count,
        .bound = extent.bound,
        .act = node->act,
        .slope = node->act_slope,
    };

    return spc_cuda_add(&add, stream);
}

/* Whether a step runs right behind another node, in whose time it may begin; its index has been
 * there since. */
static bool follows_node(const struct spc__cuda_step *step)
{
    return step->waits < 0 && step[-1].kind == SPC__CUDA_STEP_NODE && step[-1].waits < 0;
}

static cudaError_t launch_scatter(struct spc__cuda *cuda, const struct spc__cuda_step *step,
                                  cudaStream_t stream)
{
    const struct spc__graph *graph = &cuda->plan->graph;
    const struct spc__node *node = &graph->nodes[step->index];
    int root = spc__plan_root(cuda->plan, node->out);
    const struct spc__value *in = &graph->values[node->in[0]];
    struct spc_cuda_scatter scatter = {
        .in = cuda->values[node->in[0]],
        .out = cuda->values[node->out],
        .element = (int32_t)spc_dtype_size(type_of(cuda, node->out)),
        .channels = in->channels,
        .sites = *spc__cuda_sites(cuda, in->level),
        .nchw32 = graph->values[node->out].layout == SPC_LAYOUT_NCHW32,
        /* Outputs have memory of their own. */
        .early = cuda->plan->values[root].output >= 0 && follows_node(step),
    };

    for (int i = 0; i < 4; i++)
        scatter.stride[i] = node->scatter_stride[i];
    return spc_cuda_scatter(&scatter, stream);
}

static cudaError_t launch_transpose(struct spc__cuda *cuda, const struct spc__node *node,
                                    cudaStream_t stream)
{
    const struct spc__value *in = &cuda->plan->graph.values[node->in[0]];
    const struct spc__value *out = &cuda->plan->graph.values[node->out];
    int64_t in_stride[SPC_MAX_RANK] = {0}, stride = 1;
    struct spc_cuda_transpose transpose = {
        .in = cuda->values[node->in[0]],
        .out = cuda->values[node->out],
        .element = (int32_t)spc_dtype_size(type_of(cuda, node->out)),
        .rank = out->rank,
    };

    for (int i = in->rank - 1; i >= 0; i--) {
        in_stride[i] = stride;
        stride *= in->dims[i];
    }
    for (int i = 0; i < out->rank; i++) {
        transpose.dims[i] = out->dims[i];
        transpose.stride[i] = in_stride[node->perm[i]];
    }
    return spc_cuda_transpose(&transpose, stream);
}

static cudaError_t launch_reshape(struct spc__cuda *cuda, const struct spc__node *node,
                                  cudaStream_t stream)
{
    struct extent extent = extent_of(cuda, node->out);
    struct spc_cuda_transpose copy = {
        .in = cuda->values[node->in[0]],
        .out = cuda->values[node->out],
        .element = (int32_t)spc_dtype_size(type_of(cuda, node->out)),
        .rank = 1,
        .dims = {extent.bound},
        .stride = {1},
    };

    /* A value of its own is copied wherever it lies: two outputs may be given the same memory. */
    return spc__plan_root(cuda->plan, node->in[0]) == spc__plan_root(cuda->plan, node->out)
               ? cudaSuccess
               : spc_cuda_transpose(&copy, stream);
}

static cudaError_t launch_node(struct spc__cuda *cuda, const struct spc__cuda_step *step,
                               cudaStream_t stream)
{
    const struct spc__node *node = &cuda->plan->graph.nodes[step->index];

    switch (node->op) {
    case SPC__OP_CONV:
        return launch_conv(cuda, step, stream);
    case SPC__OP_ADD:
    case SPC__OP_ACT:
        return launch_add(cuda, node, stream);
    case SPC__OP_SCATTER:
        return launch_scatter(cuda, step, stream);
    case SPC__OP_TRANSPOSE:
        return launch_transpose(cuda, node, stream);
    case SPC__OP_RESHAPE:
        return launch_reshape(cuda, node, stream);
    }
    return cudaErrorNotSupported;
}

static cudaError_t launch_output(struct spc__cuda *cuda, int output, cudaStream_t stream)
{
    int value = cuda->plan->graph.outputs[output];
    struct extent extent = extent_of(cuda, value);
    struct spc_cuda_move move = {
        .in = cuda->values[value],
        .out = cuda->targets[output],
        .in_type = type_of(cuda, value),
        .out_type = cuda->plan->output_types[output],
        .channels = extent.channels,
        .in_row = cuda->outputs[output].input_order ? cuda->row_of_input : NULL,
        .count = extent.count,
        .bound = extent.bound,
    };

    return spc_cuda_move(&move, stream);
}

cudaError_t spc__cuda_launch(struct spc__cuda *cuda, const struct spc__cuda_step *step,
                             cudaStream_t stream)
{
    struct spc_cuda_input input = spc__cuda_input(cuda);

    switch (step->kind) {
    case SPC__CUDA_STEP_MARK:
        return spc_cuda_index_mark(cuda->sites, &input, cuda->report, stream);
    case SPC__CUDA_STEP_RANK:
        return spc_cuda_index_rank(cuda->sites, 1, cuda->report->totals, stream);
    case SPC__CUDA_STEP_PLACE:
        return spc_cuda_index_place(cuda->sites, &input, cuda->report, stream);
    case SPC__CUDA_STEP_STRIDED:
        return spc_cuda_index_strided(cuda->sites, cuda->makers, cuda->first_slot[step->index],
                                      cuda->first_slot[step->index + 1], step->aside, cuda->report,
                                      stream);
    case SPC__CUDA_STEP_BLOBS:
        return launch_blobs(cuda, step, stream);
    case SPC__CUDA_STEP_TABLE:
        return launch_table(cuda, step->index, stream);
    case SPC__CUDA_STEP_REPORT:
        return launch_report(cuda, stream);
    case SPC__CUDA_STEP_INPUT:
        return launch_input(cuda, stream);
    case SPC__CUDA_STEP_NODE:
        return launch_node(cuda, step, stream);
    case SPC__CUDA_STEP_OUTPUT:
        return launch_output(cuda, step->index, stream);
    case SPC__CUDA_STEP_ROWS:
        return launch_rows(cuda, step->index, stream);
    }
    return cudaErrorNotSupported;
}
