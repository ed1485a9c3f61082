/* SPDX-License-Identifier: MIT */
/* Submitting a frame: bind memory, replay the recorded frame (record.c) or launch its steps. No
 * call waits for the device. */
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

/* To the device, through `stage` where `from` is not pinned already, so that no copy waits. */
static cudaError_t upload_rows(struct spc__cuda *cuda, void *to, void *stage, const void *from,
                               size_t bytes)
{
    if (!spc__cuda_is_pinned(from))
        from = memcpy(stage, from, bytes);
    return cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, cuda->stream);
}

static cudaError_t upload(struct spc__cuda *cuda, const struct spc_voxels *voxels)
{
    size_t row = (size_t)cuda->plan->graph.values[0].channels *
                 spc_dtype_size(voxels->feature_type);
    size_t features = (size_t)voxels->num_voxels * row;
    size_t indices = (size_t)voxels->num_voxels * 4 * sizeof(int32_t);
    cudaError_t code;

    if (!voxels->num_voxels)
        return cudaSuccess;
    code = upload_rows(cuda, cuda->indices, cuda->host_indices, voxels->indices, indices);
    return code ? code
                : upload_rows(cuda, cuda->features, cuda->host_features, voxels->features,
                              features);
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

        code = spc__cuda_launch(cuda, step, stream);
        if (!code)
            code = cudaEventRecord(step->end, stream);
    }
    if (!code)
        code = count_pairs(cuda, stream);
    return code ? code : clear(cuda, stream);
}

cudaError_t spc__cuda_launch_steps(struct spc__cuda *cuda, cudaStream_t stream)
{
    cudaError_t code = cudaSuccess;

    for (int i = 0; i < cuda->num_steps && !code; i++) {
        struct spc__cuda_step *step = &cuda->steps[i];
        cudaStream_t own = step->aside ? cuda->aside : stream;

        if (step->waits >= 0 && cuda->use_aside)
            code = cudaStreamWaitEvent(own, cuda->steps[step->waits].end, 0);
        if (!code)
            code = spc__cuda_launch_or_record(cuda, step, own);
        if (!code && step->signals && cuda->use_aside)
            code = cudaEventRecord(step->end, own);
    }
    if (code)
        return code;
    return cuda->use_aside ? clear_aside(cuda, stream) : clear(cuda, stream);
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
    };
    bind(cuda, outputs, num_outputs);
    return host ? upload(cuda, voxels) : cudaSuccess;
}

static cudaError_t launch_frame(struct spc__cuda *cuda, cudaStream_t stream)
{
    if (cuda->profile)
        return launch_in_order(cuda, stream);
    return cuda->recorded ? spc__cuda_replay(cuda, stream) : spc__cuda_launch_steps(cuda, stream);
}

static cudaError_t start(struct spc__cuda *cuda, const struct spc_output *outputs, int num_outputs,
                         cudaStream_t stream)
{
    cudaError_t code = spc__cuda_open_index(cuda, stream);

    if (!code)
        code = launch_frame(cuda, stream);
    cuda->unclear = code != cudaSuccess;
    if (!code)
        code = download(cuda, outputs, num_outputs, stream);
    return code ? code : cudaEventRecord(cuda->end, stream);
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
