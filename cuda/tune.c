/* SPDX-License-Identifier: MIT */
/*
 * Which kernel each convolution runs with: as the tuning cache says, or as trying them shows.
 *
 * A frame goes through its steps once. At each fast convolution, when its input, blobs and residual
 * are there, every way is recorded as a graph of some launches, and the graphs are replayed in turn
 * so that all see the GPU in the same state. The least median wins, if it does so clearly: else the
 * node stays with what the backend takes by itself.
 */
#include "cuda/instance.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

#define LAUNCHES 16
#define SAMPLES 15
#define CLEARLY 0.98f /* of the time of the backend's own choice */

struct trial {
    struct spc__cuda *cuda;
    struct spc__cuda_step *step;
    cudaEvent_t begin, end;
    cudaGraph_t graphs[SPC_CUDA_CONV_WAYS];
    cudaGraphExec_t exec[SPC_CUDA_CONV_WAYS];
    float times[SPC_CUDA_CONV_WAYS][SAMPLES]; /* milliseconds of LAUNCHES */
};

static cudaError_t launch_often(struct spc__cuda *cuda, void *context)
{
    const struct trial *trial = context;
    cudaError_t code = cudaSuccess;

    for (int i = 0; i < LAUNCHES && !code; i++)
        code = spc__cuda_launch(cuda, trial->step, cuda->stream);
    return code;
}

/* Ways that are not there stay without a graph. */
static cudaError_t record_ways(struct trial *trial)
{
    struct spc__cuda *cuda = trial->cuda;
    cudaError_t code = cudaSuccess;

    for (int way = 0; way < SPC_CUDA_CONV_WAYS && !code; way++) {
        cuda->ways[trial->step->index] = (enum spc_cuda_conv_way)way;
        code = spc__cuda_record(cuda, launch_often, trial, &trial->graphs[way]);
        if (!code)
            code = cudaGraphInstantiate(&trial->exec[way], trial->graphs[way], 0);
        if (code == cudaErrorNotSupported && way != SPC_CUDA_CONV_BEST)
            code = cudaSuccess;
    }
    cuda->ways[trial->step->index] = SPC_CUDA_CONV_BEST;
    return code;
}

static cudaError_t time_way(struct trial *trial, int way, float *milliseconds)
{
    cudaStream_t stream = trial->cuda->stream;
    cudaError_t code = cudaEventRecord(trial->begin, stream);

    if (!code)
        code = cudaGraphLaunch(trial->exec[way], stream);
    if (!code)
        code = cudaEventRecord(trial->end, stream);
    if (!code)
        code = cudaEventSynchronize(trial->end);
    return code ? code : cudaEventElapsedTime(milliseconds, trial->begin, trial->end);
}

/* The first round warms up: the second takes its place. */
static cudaError_t time_ways(struct trial *trial)
{
    cudaError_t code = cudaSuccess;

    for (int i = -1; i < SAMPLES && !code; i++)
        for (int way = 0; way < SPC_CUDA_CONV_WAYS && !code; way++)
            if (trial->exec[way])
                code = time_way(trial, way, &trial->times[way][i < 0 ? 0 : i]);
    return code;
}

static int compare(const void *a, const void *b)
{
    const float *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static enum spc_cuda_conv_way choose_way(struct trial *trial)
{
    const struct spc_step_profile *profile = &trial->step->profile;
    enum spc_cuda_conv_way best = SPC_CUDA_CONV_BEST;
    float own = 0, least = 0;

    for (int way = 0; way < SPC_CUDA_CONV_WAYS; way++) {
        float median;

        if (!trial->exec[way])
            continue;
        qsort(trial->times[way], SAMPLES, sizeof(float), compare);
        median = trial->times[way][SAMPLES / 2];
        if (way == SPC_CUDA_CONV_BEST)
            own = least = median;
        spc__log(&trial->cuda->log, SPC_LOG_DEBUG, "tuning: %s: %s %.2f us", profile->name,
                 spc_cuda_conv_way_name((enum spc_cuda_conv_way)way), median * 1e3f / LAUNCHES);
        if (median < least && median < CLEARLY * own) {
            least = median;
            best = (enum spc_cuda_conv_way)way;
        }
    }
    return best;
}

static void destroy(cudaGraphExec_t exec, cudaGraph_t graph)
{
    if (exec)
        cudaGraphExecDestroy(exec);
    if (graph)
        cudaGraphDestroy(graph);
}

static cudaError_t try_ways(struct spc__cuda *cuda, struct spc__cuda_step *step)
{
    struct trial trial = {.cuda = cuda, .step = step};
    cudaError_t code = cudaEventCreate(&trial.begin);

    if (!code)
        code = cudaEventCreate(&trial.end);
    if (!code)
        code = record_ways(&trial);
    if (!code)
        code = time_ways(&trial);
    if (!code)
        cuda->ways[step->index] = choose_way(&trial);
    for (int way = 0; way < SPC_CUDA_CONV_WAYS; way++)
        destroy(trial.exec[way], trial.graphs[way]);
    if (trial.begin)
        cudaEventDestroy(trial.begin);
    if (trial.end)
        cudaEventDestroy(trial.end);
    return code;
}

static bool has_ways(const struct spc__cuda *cuda, const struct spc__cuda_step *step)
{
    const struct spc__node *node = &cuda->plan->graph.nodes[step->index];

    return step->kind == SPC__CUDA_STEP_NODE && node->op == SPC__OP_CONV &&
           spc__cuda_is_fast(cuda, node);
}

/* The frame, on one stream, with trials on the way. */
static cudaError_t try_steps(struct spc__cuda *cuda)
{
    cudaError_t code = spc__cuda_open_index(cuda, cuda->stream);

    for (int i = 0; i < cuda->num_steps && !code; i++) {
        struct spc__cuda_step *step = &cuda->steps[i];

        if (step->kind == SPC__CUDA_STEP_OUTPUT)
            continue;
        if (has_ways(cuda, step))
            code = try_ways(cuda, step);
        if (!code)
            code = spc__cuda_launch(cuda, step, cuda->stream);
    }
    if (!code)
        code = spc__cuda_close_index(cuda, cuda->stream);
    return code ? code : cudaEventRecord(cuda->end, cuda->stream);
}

static enum spc_status tune(struct spc__cuda *cuda, const struct spc_voxels *voxels,
                            struct spc_error *err)
{
    cudaError_t code = spc__cuda_begin(cuda, voxels, NULL, 0);

    if (!code && voxels->memory == SPC_MEMORY_CUDA)
        code = cudaEventRecord(cuda->begin, (cudaStream_t)voxels->stream);
    if (!code && voxels->memory == SPC_MEMORY_CUDA)
        code = cudaStreamWaitEvent(cuda->stream, cuda->begin, 0);
    if (!code)
        code = try_steps(cuda);
    if (!code)
        return spc__cuda_wait(cuda, err);
    cudaStreamSynchronize(cuda->stream); /* what was launched uses memory of the next frame */
    return spc__cuda_fail(err, code, "trying kernels");
}

/* Records the frame with the ways there are now. */
static enum spc_status start_over(struct spc__cuda *cuda, struct spc_error *err)
{
    spc__cuda_forget_graphs(cuda);
    return spc__cuda_warm_up(cuda, err);
}

/* On failure the ways are what they were. */
static enum spc_status tune_or_restore(struct spc__cuda *cuda, const struct spc_voxels *voxels,
                                       struct spc_error *err)
{
    size_t count = (size_t)cuda->plan->graph.num_nodes, size = count * sizeof(*cuda->ways);
    enum spc_cuda_conv_way *before = spc__alloc(count, sizeof(*before));
    enum spc_status status;

    if (!before)
        return spc__fail_memory(err, size, "tuning");
    memcpy(before, cuda->ways, size);
    memset(cuda->ways, 0, size);
    status = tune(cuda, voxels, err);
    if (!status)
        status = start_over(cuda, err);
    if (status) {
        memcpy(cuda->ways, before, size);
        start_over(cuda, NULL);
    }
    free(before);
    return status;
}

enum spc_status spc__cuda_tune(void *instance, const struct spc_voxels *voxels,
                               struct spc__tuning *tuning, struct spc_error *err)
{
    struct spc__cuda *cuda = instance;
    enum spc_status status = spc__cuda_enter(&cuda->context, err);

    if (status)
        return status;
    status = tune_or_restore(cuda, voxels, err);
    for (int i = 0; i < tuning->num_nodes && !status; i++)
        if (cuda->ways[i] != SPC_CUDA_CONV_BEST)
            strcpy(tuning->ways[i], spc_cuda_conv_way_name(cuda->ways[i]));
    spc__cuda_leave(&cuda->context);
    return status;
}

/* The way of this name; SPC_CUDA_CONV_WAYS: there is none. */
static enum spc_cuda_conv_way find_way(const char *name)
{
    int way = 0;

    while (way < SPC_CUDA_CONV_WAYS &&
           strcmp(name, spc_cuda_conv_way_name((enum spc_cuda_conv_way)way)))
        way++;
    return (enum spc_cuda_conv_way)way;
}

static enum spc_status set_ways(struct spc__cuda *cuda, const struct spc__tuning *tuning,
                                struct spc_error *err)
{
    const struct spc__graph *graph = &cuda->plan->graph;

    for (int i = 0; i < tuning->num_nodes; i++) {
        const struct spc__node *node = &graph->nodes[i];
        const char *name = tuning->ways[i];

        if (!name[0])
            continue;
        cuda->ways[i] = find_way(name);
        if (cuda->ways[i] == SPC_CUDA_CONV_WAYS || node->op != SPC__OP_CONV ||
            !spc__cuda_is_fast(cuda, node))
            return spc__fail(err, SPC_ERR_FORMAT, "node %s has no way \"%s\"", node->name, name);
    }
    return SPC_OK;
}

enum spc_status spc__cuda_choose(void *instance, const struct spc__tuning *tuning,
                                 struct spc_error *err)
{
    struct spc__cuda *cuda = instance;
    enum spc_status status = spc__cuda_enter(&cuda->context, err);

    if (status)
        return status;
    status = set_ways(cuda, tuning, err);
    if (!status)
        status = start_over(cuda, err);
    if (status) {
        memset(cuda->ways, 0, (size_t)cuda->plan->graph.num_nodes * sizeof(*cuda->ways));
        start_over(cuda, NULL);
    }
    spc__cuda_leave(&cuda->context);
    return status;
}
