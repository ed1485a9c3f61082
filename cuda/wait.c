/* SPDX-License-Identifier: MIT */
/* Waiting for a frame: what went wrong in it, its outputs on the host, their descriptions. */
#include "cuda/instance.h"

#include "base/error.h"
#include "graph/refuse.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- a refused frame ---- */

static int compare_cells(const void *a, const void *b)
{
    const int32_t *x = a, *y = b;

    for (int i = 1; i < 4; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return x[0] < y[0] ? -1 : x[0] > y[0];
}

/* The first row, in input order, that repeats an earlier one. Sorts the rows, whose batch is 0,
 * with their numbers in its place. */
static enum spc_status name_duplicate(int32_t *rows, int64_t count, enum spc_index_order order,
                                      struct spc_error *err)
{
    const int32_t *first = NULL, *second = NULL;

    for (int64_t i = 0; i < count; i++)
        rows[4 * i] = (int32_t)i;
    qsort(rows, (size_t)count, 4 * sizeof(*rows), compare_cells);
    for (int64_t i = 1; i < count; i++) {
        const int32_t *row = rows + 4 * i, *before = row - 4;
        bool again = !memcmp(row + 1, before + 1, 3 * sizeof(*row));
        bool third = again && i > 1 && !memcmp(row + 1, before - 3, 3 * sizeof(*row));

        if (again && !third && (!second || row[0] < second[0])) {
            first = before;
            second = row;
        }
    }
    if (!second)
        return spc__fail(err, SPC_ERR_DEVICE,
                         "CUDA: the device refused the input's rows, but they are right: was the "
                         "memory of indices written before the frame was done?");
    return spc__refuse_duplicate(second, first[0], second[0], order, err);
}

/* The device only says that some row is wrong; which one, the host finds out, in the order of the
 * rows and with the words of the CPU backend. */
static enum spc_status name_input_fault(struct spc__cuda *cuda, int64_t count,
                                        struct spc_error *err)
{
    const struct spc__graph *graph = &cuda->plan->graph;
    const int32_t *grid = graph->levels[0].grid;
    bool xyz = graph->index_order == SPC_INDEX_XYZ;
    int32_t *rows = cuda->host_indices;
    cudaError_t code = cudaMemcpyAsync(rows, cuda->binding.indices,
                                       (size_t)count * 4 * sizeof(*rows), cudaMemcpyDefault,
                                       cuda->stream);

    if (!code)
        code = cudaStreamSynchronize(cuda->stream);
    if (code)
        return spc__cuda_fail(err, code, "reading the input's indices");
    for (int64_t i = 0; i < count; i++) {
        const int32_t *row = rows + 4 * i;

        if (row[0] || (uint32_t)row[xyz ? 3 : 1] >= (uint32_t)grid[0] ||
            (uint32_t)row[2] >= (uint32_t)grid[1] ||
            (uint32_t)row[xyz ? 1 : 3] >= (uint32_t)grid[2])
            return spc__refuse_row(row, i, graph->index_order, grid, err);
    }
    return name_duplicate(rows, count, graph->index_order, err);
}

/* Sites of a level, of this frame. */
static int32_t total(const struct spc__cuda *cuda, int level)
{
    return cuda->host_report->totals[cuda->levels[level].slot];
}

static enum spc_status check_report(struct spc__cuda *cuda, struct spc_error *err)
{
    const struct spc__graph *graph = &cuda->plan->graph;
    const struct spc_cuda_report *report = cuda->host_report;

    if (report->num_voxels < 0)
        return spc__fail(err, SPC_ERR_INPUT, "input: the device counts %d voxels: what made them "
                         "refused the frame (a voxelizer says why), or wrote no device_count",
                         report->num_voxels);
    if (report->num_voxels > graph->levels[0].bound)
        return spc__refuse_count(report->num_voxels, graph->levels[0].bound, err);
    if (report->num_voxels > cuda->voxels.num_voxels)
        return spc__fail(err, SPC_ERR_INPUT, "input: *device_count is %d voxels, but num_voxels "
                         "says that there is memory for %" PRId64 ": give more memory, or let what "
                         "made the voxels stop there", report->num_voxels,
                         cuda->voxels.num_voxels);
    if (report->input_fault)
        return name_input_fault(cuda, report->num_voxels, err);
    for (int i = 1; i < graph->num_levels; i++)
        if (cuda->levels[i].used && total(cuda, i) > graph->levels[i].bound)
            return spc__refuse_sites(spc__level_name(graph, i), total(cuda, i),
                                     graph->levels[i].bound, err);
    return SPC_OK;
}

/* ---- outputs ---- */

/* Bytes of an output of this frame. */
static size_t output_bytes(const struct spc_output *output)
{
    size_t bytes = spc_dtype_size(output->dtype);

    for (int i = 0; i < output->rank; i++)
        bytes *= (size_t)output->dims[i];
    return bytes;
}

/* Copies to the host what the caller wants there. */
static cudaError_t give_output(struct spc__cuda *cuda, int i, struct spc_output *output, int level)
{
    struct spc__cuda_level *l = &cuda->levels[level];
    struct spc__cuda_output *mine = &cuda->outputs[i];
    bool sparse = mine->info.kind == SPC_OUTPUT_SPARSE;
    size_t rows = (size_t)output->num_sites * 4 * sizeof(int32_t);
    const int32_t *indices = mine->input_order ? cuda->binding.indices : l->indices;
    cudaError_t code = cudaSuccess;

    output->indices = NULL;
    if (output->memory == SPC_MEMORY_CUDA) {
        output->data = cuda->targets[i];
        output->indices = sparse ? indices : NULL;
        return cudaSuccess;
    }
    if (!output->capacity)
        output->data = mine->own_host;
    if (output->size && !mine->downloaded)
        code = cudaMemcpyAsync(output->data, cuda->targets[i], output->size,
                               cudaMemcpyDeviceToHost, cuda->stream);
    if (sparse && rows && !code)
        code = cudaMemcpyAsync(l->host_indices, indices, rows, cudaMemcpyDeviceToHost,
                               cuda->stream);
    output->indices = sparse ? l->host_indices : NULL;
    return code;
}

static cudaError_t give_outputs(struct spc__cuda *cuda)
{
    const struct spc__plan *plan = cuda->plan;
    cudaError_t code = cudaSuccess;
    bool to_host = false;

    for (int i = 0; i < cuda->frame_num_outputs && !code; i++) {
        struct spc_output *output = &cuda->frame_outputs[i];
        const struct spc_output_info *info = &cuda->outputs[i].info;
        int level = plan->graph.values[plan->graph.outputs[i]].level;

        output->dtype = plan->output_types[i];
        output->rank = info->rank;
        memcpy(output->dims, info->dims, sizeof(output->dims));
        output->num_sites = total(cuda, level);
        if (info->kind == SPC_OUTPUT_SPARSE)
            output->dims[0] = output->num_sites;
        output->size = output_bytes(output);
        code = give_output(cuda, i, output, level);
        to_host = to_host || output->memory == SPC_MEMORY_HOST;
    }
    return code || !to_host ? code : cudaStreamSynchronize(cuda->stream);
}

/* ---- profile ---- */

static void fill_pairs(struct spc__cuda *cuda, struct spc__cuda_step *step)
{
    const struct spc__node *node = &cuda->plan->graph.nodes[step->index];
    struct spc_step_profile *profile = &step->profile;

    if (step->kind == SPC__CUDA_STEP_TABLE)
        profile->pairs = (int64_t)cuda->host_pairs[step->index];
    if (step->kind != SPC__CUDA_STEP_NODE || node->op != SPC__OP_CONV)
        return;
    profile->pairs = (int64_t)cuda->host_pairs[node->rulebook];
    profile->gflop = 2e-9 * (double)profile->pairs * node->cin * node->cout;
}

static void fill_profile(struct spc__cuda *cuda)
{
    const struct spc__graph *graph = &cuda->plan->graph;
    cudaEvent_t start = cuda->begin;

    for (int i = 0; i < cuda->num_steps; i++) {
        struct spc__cuda_step *step = &cuda->steps[i];
        float milliseconds = 0;
        int in = 0, out = 0;

        if (cudaEventElapsedTime(&milliseconds, start, step->end))
            cudaGetLastError();
        step->profile.milliseconds = milliseconds;
        start = step->end;
        if (step->kind == SPC__CUDA_STEP_NODE) {
            in = graph->values[graph->nodes[step->index].in[0]].level;
            out = graph->values[graph->nodes[step->index].out].level;
        } else if (step->kind == SPC__CUDA_STEP_TABLE) {
            in = graph->rulebooks[step->index].in_level;
            out = graph->rulebooks[step->index].out_level;
        }
        fill_pairs(cuda, step);
        step->profile.sites_in = total(cuda, in);
        step->profile.sites_out = total(cuda, out);
    }
}

static enum spc_status finish(struct spc__cuda *cuda, struct spc_error *err)
{
    cudaError_t code = cudaEventSynchronize(cuda->end);
    enum spc_status status;

    if (code)
        return spc__cuda_fail(err, code, "computing a frame");
    status = check_report(cuda, err);
    if (status)
        return status;
    if (cuda->profile)
        fill_profile(cuda);
    code = give_outputs(cuda);
    return code ? spc__cuda_fail(err, code, "copying outputs to the host") : SPC_OK;
}

enum spc_status spc__cuda_wait(void *instance, struct spc_error *err)
{
    struct spc__cuda *cuda = instance;
    enum spc_status status;

    status = spc__cuda_enter(&cuda->context, err);
    if (status)
        return status;
    status = finish(cuda, err);
    spc__cuda_leave(&cuda->context);
    return status;
}
