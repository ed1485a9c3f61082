/* SPDX-License-Identifier: MIT */
/*
 * Recorded frames. A frame's steps are recorded once, when the instance is made, and instantiated
 * some times; each of these is kept with the caller's pointers that it last had. A frame with
 * others takes the one that was used longest ago: the steps that see the caller's memory are
 * recorded anew, and their parameters put into it.
 */
#include "cuda/instance.h"

#include <string.h>

cudaError_t spc__cuda_record(struct spc__cuda *cuda, spc__cuda_launches launch, void *context,
                             cudaGraph_t *graph)
{
    cudaError_t code = cudaStreamBeginCapture(cuda->stream, cudaStreamCaptureModeThreadLocal);
    cudaError_t launched;

    *graph = NULL;
    if (code)
        return code;
    launched = launch(cuda, context);
    code = cudaStreamEndCapture(cuda->stream, graph);
    if (launched)
        code = launched;
    if (code && *graph) {
        cudaGraphDestroy(*graph);
        *graph = NULL;
    }
    return code;
}

/* ---- nodes ---- */

static bool is_callers(const struct spc__cuda *cuda, int value)
{
    int output = value < 0 ? -1 : cuda->plan->values[spc__plan_root(cuda->plan, value)].output;

    return output >= 0 && cuda->outputs[output].direct;
}

static bool node_sees_caller(const struct spc__cuda *cuda, const struct spc__node *node)
{
    return is_callers(cuda, node->in[0]) || is_callers(cuda, node->in[1]) ||
           is_callers(cuda, node->residual) || is_callers(cuda, node->out);
}

/* Whether a step reads or writes memory that the caller brings. */
static bool sees_caller(const struct spc__cuda *cuda, const struct spc__cuda_step *step)
{
    switch (step->kind) {
    case SPC__CUDA_STEP_MARK:
    case SPC__CUDA_STEP_PLACE:
    case SPC__CUDA_STEP_INPUT:
    case SPC__CUDA_STEP_OUTPUT:
        return true;
    case SPC__CUDA_STEP_NODE:
        return node_sees_caller(cuda, &cuda->plan->graph.nodes[step->index]);
    default:
        return false;
    }
}

/* The nodes that a stream has recorded, and the one that the next would follow. */
struct recorded {
    size_t count;
    cudaGraphNode_t last;
};

static cudaError_t look(cudaStream_t stream, struct recorded *recorded)
{
    enum cudaStreamCaptureStatus status;
    const cudaGraphNode_t *last = NULL;
    cudaGraph_t graph = NULL;
    size_t count = 0;
    cudaError_t code;

#if CUDART_VERSION >= 13000
    code = cudaStreamGetCaptureInfo(stream, &status, NULL, &graph, &last, NULL, &count);
#else
    code = cudaStreamGetCaptureInfo_v2(stream, &status, NULL, &graph, &last, &count);
#endif
    recorded->last = count ? last[0] : NULL;
    return code ? code : cudaGraphGetNodes(graph, NULL, &recorded->count);
}

/* Records a step that sees the caller's memory. Where it launches something, that is one kernel. */
static cudaError_t record_step(struct spc__cuda *cuda, const struct spc__cuda_step *step,
                               cudaStream_t stream, cudaGraphNode_t *node)
{
    struct recorded before, after;
    cudaError_t code = look(stream, &before);

    if (!code)
        code = spc__cuda_launch(cuda, step, stream);
    if (!code)
        code = look(stream, &after);
    if (code)
        return code;
    *node = after.count > before.count ? after.last : NULL;
    return after.count > before.count + 1 ? cudaErrorNotSupported : cudaSuccess;
}

cudaError_t spc__cuda_launch_or_record(struct spc__cuda *cuda, struct spc__cuda_step *step,
                                       cudaStream_t stream)
{
    return cuda->recording && sees_caller(cuda, step)
               ? record_step(cuda, step, stream, &step->node)
               : spc__cuda_launch(cuda, step, stream);
}

/* ---- recording ---- */

static cudaError_t launch_frame(struct spc__cuda *cuda, void *context)
{
    (void)context;
    return spc__cuda_launch_steps(cuda, cuda->stream);
}

/* Brought to the device before its first launch, which would take longer else. */
static cudaError_t instantiate(struct spc__cuda *cuda, cudaGraphExec_t *exec)
{
    cudaError_t code = cudaGraphInstantiate(exec, cuda->recorded, 0);

    if (code) {
        *exec = NULL;
        return code;
    }
    code = cudaGraphUpload(*exec, cuda->stream);
    if (code) {
        cudaGraphExecDestroy(*exec);
        *exec = NULL;
    }
    return code;
}

/* As many as memory allows. */
static cudaError_t instantiate_all(struct spc__cuda *cuda)
{
    cudaError_t code = cudaSuccess;

    for (int i = 0; i < SPC__CUDA_GRAPHS && !code; i++)
        code = instantiate(cuda, &cuda->graphs[i].exec);
    if (code)
        cudaGetLastError();
    return cuda->graphs[0].exec ? cudaSuccess : code;
}

cudaError_t spc__cuda_record_frame(struct spc__cuda *cuda)
{
    cudaError_t code;

    cuda->recording = true;
    code = spc__cuda_record(cuda, launch_frame, NULL, &cuda->recorded);
    cuda->recording = false;
    if (!code)
        code = instantiate_all(cuda);
    if (!code)
        code = cudaStreamSynchronize(cuda->stream);
    if (code) {
        cudaGetLastError();
        spc__cuda_forget_graphs(cuda);
    }
    return code;
}

void spc__cuda_forget_graphs(struct spc__cuda *cuda)
{
    for (int i = 0; i < SPC__CUDA_GRAPHS; i++) {
        struct spc__cuda_graph *graph = &cuda->graphs[i];

        if (graph->exec)
            cudaGraphExecDestroy(graph->exec);
        graph->exec = NULL;
        graph->last_replay = 0;
    }
    if (cuda->recorded)
        cudaGraphDestroy(cuda->recorded);
    cuda->recorded = NULL;
}

/* ---- replaying ---- */

static bool same_pointers(const struct spc__cuda *cuda, const struct spc__cuda_graph *graph)
{
    const struct spc__cuda_binding *a = &cuda->binding, *b = &graph->binding;

    return graph->last_replay && a->features == b->features && a->indices == b->indices &&
           a->device_count == b->device_count && a->feature_type == b->feature_type &&
           !memcmp(cuda->targets, graph->targets,
                   (size_t)cuda->plan->graph.num_outputs * sizeof(*cuda->targets));
}

/* The one with these pointers, else the one that was used longest ago. */
static struct spc__cuda_graph *find_graph(struct spc__cuda *cuda)
{
    struct spc__cuda_graph *oldest = &cuda->graphs[0];

    for (int i = 0; i < SPC__CUDA_GRAPHS && cuda->graphs[i].exec; i++) {
        struct spc__cuda_graph *graph = &cuda->graphs[i];

        if (same_pointers(cuda, graph))
            return graph;
        if (graph->last_replay < oldest->last_replay)
            oldest = graph;
    }
    return oldest;
}

static cudaError_t launch_for_caller(struct spc__cuda *cuda, void *context)
{
    cudaError_t code = cudaSuccess;

    (void)context;
    for (int i = 0; i < cuda->num_steps && !code; i++)
        if (cuda->steps[i].node)
            code = record_step(cuda, &cuda->steps[i], cuda->stream, &cuda->steps[i].fresh);
    return code;
}

static cudaError_t put_parameters(cudaGraphExec_t exec, const struct spc__cuda_step *step)
{
    struct cudaKernelNodeParams parameters;
    cudaError_t code = cudaGraphKernelNodeGetParams(step->fresh, &parameters);

    return code ? code : cudaGraphExecKernelNodeSetParams(exec, step->node, &parameters);
}

/* Gives a recorded frame the pointers of this one. */
static cudaError_t bind_again(struct spc__cuda *cuda, struct spc__cuda_graph *graph)
{
    cudaGraph_t fresh;
    cudaError_t code = spc__cuda_record(cuda, launch_for_caller, NULL, &fresh);

    graph->last_replay = 0; /* until all is there */
    if (code)
        return code;
    for (int i = 0; i < cuda->num_steps && !code; i++)
        if (cuda->steps[i].node)
            code = put_parameters(graph->exec, &cuda->steps[i]);
    cudaGraphDestroy(fresh);
    graph->num_voxels = spc__cuda_input(cuda).num_voxels;
    graph->binding = cuda->binding;
    memcpy(graph->targets, cuda->targets,
           (size_t)cuda->plan->graph.num_outputs * sizeof(*cuda->targets));
    return code;
}

/* The number of voxels, or what there is memory for, is an argument of the first step. */
static cudaError_t count_again(struct spc__cuda *cuda, struct spc__cuda_graph *graph)
{
    struct spc_cuda_input input = spc__cuda_input(cuda);
    cudaError_t code = cudaSuccess;

    if (graph->num_voxels != input.num_voxels)
        code = spc_cuda_index_mark_again(graph->exec, cuda->steps[0].node, cuda->sites, &input,
                                         cuda->report);
    graph->num_voxels = code ? -1 : input.num_voxels;
    return code;
}

cudaError_t spc__cuda_replay(struct spc__cuda *cuda, cudaStream_t stream)
{
    struct spc__cuda_graph *graph = find_graph(cuda);
    cudaError_t code =
        same_pointers(cuda, graph) ? count_again(cuda, graph) : bind_again(cuda, graph);

    if (code) { /* nothing was launched yet, and steps need no recording */
        cudaGetLastError();
        return spc__cuda_launch_steps(cuda, stream);
    }
    graph->last_replay = ++cuda->replays;
    return cudaGraphLaunch(graph->exec, stream);
}
