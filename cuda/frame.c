/* SPDX-License-Identifier: MIT */
/* Submitting a frame: bind memory, replay the recorded frame or launch its steps. No call waits
 * for the device. */
#include "cuda/instance.h"

#include <string.h>

/* Where every value lives in this frame. */
static void bind(struct spc__cuda *cuda, const struct spc_output *outputs, int num_outputs)
{
    const struct spc__plan *plan = cuda->plan;

    for (int i = 0; i < plan->graph.num_outputs; i++) {
        bool given =
            i < num_outputs && outputs[i].capacity && outputs[i].memory == SPC_MEMORY_CUDA;

        cuda->targets[i] = given ? outputs[i].data : cuda->outputs[i].own;
    }
    for (int v = 0; v < plan->graph.num_values; v++) {
        const struct spc__storage *root = &plan->values[spc__plan_root(plan, v)];
        const struct spc__cuda_output *output =
            root->output >= 0 ? &cuda->outputs[root->output] : NULL;

        if (!output)
            cuda->values[v] = cuda->arena + root->offset;
        else
            cuda->values[v] = output->direct ? cuda->targets[root->output] : output->store;
    }
}

/* A frame from host memory goes to the device through pinned memory, so that no copy waits. */
static cudaError_t upload(struct spc__cuda *cuda, const struct spc_voxels *voxels)
{
    size_t row = (size_t)cuda->plan->graph.values[0].channels *
                 spc_dtype_size(voxels->feature_type);
    size_t features = (size_t)voxels->num_voxels * row;
    size_t indices = (size_t)voxels->num_voxels * 4 * sizeof(int32_t);
    cudaError_t code;

    if (!voxels->num_voxels)
        return cudaSuccess;
    memcpy(cuda->host_features, voxels->features, features);
    memcpy(cuda->host_indices, voxels->indices, indices);
    code = cudaMemcpyAsync(cuda->indices, cuda->host_indices, indices, cudaMemcpyHostToDevice,
                           cuda->stream);
    return code ? code
                : cudaMemcpyAsync(cuda->features, cuda->host_features, features,
                                  cudaMemcpyHostToDevice, cuda->stream);
}

static bool runs(const struct spc__cuda *cuda, const struct spc__cuda_step *step)
{
    return step->kind != SPC__CUDA_STEP_OUTPUT || step->index < cuda->binding.num_outputs;
}

/* Behind the last step, so that no step's time holds it. */
static cudaError_t count_pairs(struct spc__cuda *cuda, cudaStream_t stream)
{
    const struct spc__graph *graph = &cuda->plan->graph;
    cudaError_t code = cudaSuccess;

    for (int i = 0; i < graph->num_rulebooks && !code; i++) {
        const struct spc__rulebook *rulebook = &graph->rulebooks[i];
        const struct spc__cuda_rulebook *mine = &cuda->rulebooks[i];

        if (mine->table_used || mine->blobs_used)
            code = spc_cuda_count_pairs(spc__cuda_sites(cuda, rulebook->out_level),
                                        spc__cuda_sites(cuda, rulebook->in_level),
                                        &mine->geometry, &cuda->pairs[i], stream);
    }
    return code ? code
                : cudaMemcpyAsync(cuda->host_pairs, cuda->pairs,
                                  (size_t)graph->num_rulebooks * sizeof(*cuda->pairs),
                                  cudaMemcpyDeviceToHost, stream);
}

/* ---- the index between frames ---- */

/* Convolutions may read the blobs of tiles that no frame has had, and do nothing with them. */
static cudaError_t empty_blobs(struct spc__cuda *cuda, cudaStream_t stream)
{
    const struct spc__graph *graph = &cuda->plan->graph;
    cudaError_t code = cudaSuccess;

    for (int i = 0; i < graph->num_rulebooks && !code; i++) {
        const struct spc_cuda_blobs *blobs = &cuda->rulebooks[i].blobs;
        int64_t tiles = spc_cuda_blob_tiles(graph->levels[graph->rulebooks[i].out_level].bound);

        if (cuda->rulebooks[i].blobs_used)
            code = cudaMemsetAsync(blobs->blobs, 0, (size_t)(tiles * blobs->stride), stream);
    }
    return code;
}

static cudaError_t reset(struct spc__cuda *cuda, cudaStream_t stream)
{
    cudaError_t code = spc_cuda_index_reset(cuda->sites, cuda->num_slots, cuda->report, stream);

    return code ? code : empty_blobs(cuda, stream);
}

cudaError_t spc__cuda_open_index(struct spc__cuda *cuda, cudaStream_t stream)
{
    cudaError_t code = cuda->unclear ? reset(cuda, stream) : cudaSuccess;

    cuda->unclear = true;
    return code;
}

static cudaError_t clear(struct spc__cuda *cuda, cudaStream_t stream)
{
    return spc_cuda_index_clear(cuda->sites, cuda->num_slots, cuda->report, stream);
}

cudaError_t spc__cuda_close_index(struct spc__cuda *cuda, cudaStream_t stream)
{
    cudaError_t code = clear(cuda, stream);

    cuda->unclear = code != cudaSuccess;
    return code;
}

/* Clears beside the steps that do not read the index any more. */
static cudaError_t clear_aside(struct spc__cuda *cuda, cudaStream_t stream)
{
    cudaError_t code = cudaStreamWaitEvent(cuda->aside, cuda->steps[cuda->last_reader].end, 0);

    if (!code)
        code = clear(cuda, cuda->aside);
    if (!code)
        code = cudaEventRecord(cuda->cleared, cuda->aside);
    return code ? code : cudaStreamWaitEvent(stream, cuda->cleared, 0);
}

/* ---- steps ---- */

/* With profile one step comes after the other, so that each has its own time. */
static cudaError_t launch_in_order(struct spc__cuda *cuda, cudaStream_t stream)
{
    cudaError_t code = cudaEventRecord(cuda->begin, stream);

    for (int i = 0; i < cuda->num_steps && !code; i++) {
        struct spc__cuda_step *step = &cuda->steps[i];

        if (runs(cuda, step))
            code = spc__cuda_launch(cuda, step, stream);
        if (!code)
            code = cudaEventRecord(step->end, stream);
    }
    if (!code)
        code = count_pairs(cuda, stream);
    return code ? code : clear(cuda, stream);
}

static cudaError_t launch_steps(struct spc__cuda *cuda, cudaStream_t stream)
{
    cudaError_t code = cudaSuccess;

    for (int i = 0; i < cuda->num_steps && !code; i++) {
        struct spc__cuda_step *step = &cuda->steps[i];
        cudaStream_t own = step->aside ? cuda->aside : stream;

        if (!runs(cuda, step))
            continue;
        if (step->waits >= 0 && cuda->use_aside)
            code = cudaStreamWaitEvent(own, cuda->steps[step->waits].end, 0);
        if (!code)
            code = spc__cuda_launch(cuda, step, own);
        if (!code && step->signals && cuda->use_aside)
            code = cudaEventRecord(step->end, own);
    }
    if (code)
        return code;
    return cuda->use_aside ? clear_aside(cuda, stream) : clear(cuda, stream);
}

static cudaError_t launch_frame(struct spc__cuda *cuda, cudaStream_t stream)
{
    return cuda->profile ? launch_in_order(cuda, stream) : launch_steps(cuda, stream);
}

/* ---- recorded frames ---- */

static bool same_frame(const struct spc__cuda *cuda, const struct spc__cuda_graph *graph)
{
    const struct spc__cuda_binding *a = &cuda->binding, *b = &graph->binding;

    return graph->exec && a->features == b->features && a->indices == b->indices &&
           a->device_count == b->device_count && a->feature_type == b->feature_type &&
           a->num_outputs == b->num_outputs &&
           !memcmp(cuda->targets, graph->targets,
                   (size_t)cuda->plan->graph.num_outputs * sizeof(*cuda->targets));
}

cudaError_t spc__cuda_record(struct spc__cuda *cuda, spc__cuda_launches launch, void *context,
                             cudaGraph_t *graph, cudaGraphExec_t *exec)
{
    cudaError_t code = cudaStreamBeginCapture(cuda->stream, cudaStreamCaptureModeThreadLocal);
    cudaError_t launched;

    *graph = NULL;
    *exec = NULL;
    if (code)
        return code;
    launched = launch(cuda, context);
    code = cudaStreamEndCapture(cuda->stream, graph);
    if (launched)
        code = launched;
    if (!code)
        code = cudaGraphInstantiate(exec, *graph, 0);
    if (!code)
        return code;
    if (*graph)
        cudaGraphDestroy(*graph);
    *graph = NULL;
    *exec = NULL;
    return code;
}

static cudaError_t launch_recorded(struct spc__cuda *cuda, void *context)
{
    (void)context;
    return launch_frame(cuda, cuda->stream);
}

static void forget(struct spc__cuda_graph *graph)
{
    if (graph->exec)
        cudaGraphExecDestroy(graph->exec);
    if (graph->recorded)
        cudaGraphDestroy(graph->recorded);
    graph->exec = NULL;
    graph->recorded = NULL;
    graph->last_replay = 0;
}

void spc__cuda_forget_graphs(struct spc__cuda *cuda)
{
    for (int i = 0; i < SPC__CUDA_GRAPHS; i++)
        forget(&cuda->graphs[i]);
}

/* The recorded frame for these pointers, or NULL. */
static struct spc__cuda_graph *find_graph(struct spc__cuda *cuda)
{
    for (int i = 0; i < SPC__CUDA_GRAPHS; i++)
        if (same_frame(cuda, &cuda->graphs[i]))
            return &cuda->graphs[i];
    return NULL;
}

static cudaError_t replay(struct spc__cuda *cuda, struct spc__cuda_graph *graph,
                          cudaStream_t stream)
{
    struct spc_cuda_input input = spc__cuda_input(cuda);
    cudaError_t code = cudaSuccess;

    graph->last_replay = ++cuda->replays;
    if (!input.device_count && graph->num_voxels != input.num_voxels) {
        code = spc_cuda_index_mark_again(graph->exec, graph->mark, cuda->sites, &input,
                                         cuda->report);
        graph->num_voxels = code ? -1 : input.num_voxels;
    }
    return code ? code : cudaGraphLaunch(graph->exec, stream);
}

static cudaError_t make_graph(struct spc__cuda *cuda, struct spc__cuda_graph *graph)
{
    size_t one = 1;
    cudaError_t code =
        spc__cuda_record(cuda, launch_recorded, NULL, &graph->recorded, &graph->exec);

    if (!code)
        code = cudaGraphGetRootNodes(graph->recorded, &graph->mark, &one);
    graph->num_voxels = cuda->voxels.num_voxels;
    graph->last_replay = ++cuda->replays;
    graph->binding = cuda->binding;
    memcpy(graph->targets, cuda->targets,
           (size_t)cuda->plan->graph.num_outputs * sizeof(*cuda->targets));
    return code;
}

/* Records the frame for the next one with these pointers, in place of the recording that was used
 * longest ago. Where that fails, such frames go on being launched. */
static void keep_graph(struct spc__cuda *cuda)
{
    struct spc__cuda_graph *graph = &cuda->graphs[0];

    for (int i = 1; i < SPC__CUDA_GRAPHS; i++)
        if (cuda->graphs[i].last_replay < graph->last_replay)
            graph = &cuda->graphs[i];
    forget(graph);
    if (make_graph(cuda, graph)) {
        forget(graph);
        cudaGetLastError();
    }
}

/* ---- submit ---- */

/* Dense outputs, whose size is known, go to the host right behind the frame; wait() copies the
 * others. */
static cudaError_t download(struct spc__cuda *cuda, const struct spc_output *outputs,
                            int num_outputs, cudaStream_t stream)
{
    cudaError_t code = cudaSuccess;

    for (int i = 0; i < num_outputs && !code; i++) {
        struct spc__cuda_output *mine = &cuda->outputs[i];
        void *to = outputs[i].capacity ? outputs[i].data : mine->own_host;

        mine->downloaded = outputs[i].memory == SPC_MEMORY_HOST &&
                           mine->info.kind == SPC_OUTPUT_DENSE &&
                           (!outputs[i].capacity || spc__cuda_is_pinned(to));
        if (mine->downloaded)
            code = cudaMemcpyAsync(to, cuda->targets[i], mine->bytes, cudaMemcpyDeviceToHost,
                                   stream);
    }
    return code;
}

cudaError_t spc__cuda_begin(struct spc__cuda *cuda, const struct spc_voxels *voxels,
                            struct spc_output *outputs, int num_outputs)
{
    bool host = voxels->memory == SPC_MEMORY_HOST;

    cuda->voxels = *voxels;
    cuda->frame_outputs = outputs;
    cuda->frame_num_outputs = num_outputs;
    cuda->binding = (struct spc__cuda_binding){
        .features = host ? cuda->features : voxels->features,
        .indices = host ? cuda->indices : voxels->indices,
        .device_count = voxels->device_count,
        .feature_type = voxels->feature_type,
        .num_outputs = num_outputs,
    };
    bind(cuda, outputs, num_outputs);
    return host ? upload(cuda, voxels) : cudaSuccess;
}

static cudaError_t start(struct spc__cuda *cuda, const struct spc_output *outputs, int num_outputs,
                         cudaStream_t stream)
{
    struct spc__cuda_graph *graph = cuda->use_graph ? find_graph(cuda) : NULL;
    cudaError_t code = spc__cuda_open_index(cuda, stream);

    if (!code)
        code = graph ? replay(cuda, graph, stream) : launch_frame(cuda, stream);
    cuda->unclear = code != cudaSuccess;
    if (!code)
        code = download(cuda, outputs, num_outputs, stream);
    if (!code)
        code = cudaEventRecord(cuda->end, stream);
    if (!code && cuda->use_graph && !graph)
        keep_graph(cuda); /* while the device works */
    return code;
}

enum spc_status spc__cuda_submit(void *instance, const struct spc_voxels *voxels,
                                 struct spc_output *outputs, int num_outputs,
                                 struct spc_error *err)
{
    struct spc__cuda *cuda = instance;
    cudaStream_t stream =
        voxels->memory == SPC_MEMORY_HOST ? cuda->stream : (cudaStream_t)voxels->stream;
    cudaError_t code;

    if (spc__cuda_enter(&cuda->context, err))
        return SPC_ERR_DEVICE;
    code = spc__cuda_begin(cuda, voxels, outputs, num_outputs);
    if (!code)
        code = start(cuda, outputs, num_outputs, stream);
    if (code) { /* what was launched uses memory of the caller and of the next frame */
        cudaStreamSynchronize(stream);
        cudaStreamSynchronize(cuda->aside);
    }
    spc__cuda_leave(&cuda->context);
    return code ? spc__cuda_fail(err, code, "submitting a frame") : SPC_OK;
}
