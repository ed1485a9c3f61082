/* SPDX-License-Identifier: MIT */
/* Weights on the device: once a model, context and precision, shared between instances. */
#include "cuda/instance.h"

#include "base/error.h"
#include "base/half.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct request {
    const struct spc__node *node;
    const struct spc_cuda_blobs *blobs; /* of the fast convolution; NULL: the general one */
    const struct spc__cuda_context *cuda;
    int offsets;
    bool half;
};

static void release(void *entry)
{
    struct spc__cuda_weights *weights = entry;

    spc__cuda_free_all(&weights->context, &weights->memory);
    free(weights);
}

/* `count` floats to device memory, as binary16 where `half`. */
static void *upload(struct spc__cuda_memory *memory, const float *from, size_t count, bool half,
                    const char *what, struct spc_error *err)
{
    size_t size = half ? sizeof(uint16_t) : sizeof(float);
    uint16_t *narrow = half ? spc__alloc(count, size) : NULL;
    void *to = NULL;
    cudaError_t code;

    if (half && !narrow) {
        spc__fail_memory(err, count * size, what);
        return NULL;
    }
    for (size_t i = 0; half && i < count; i++)
        narrow[i] = spc__half_from_float(from[i]);
    to = spc__cuda_take(memory, count, size, what, err);
    code = to ? cudaMemcpy(to, half ? (const void *)narrow : from, count * size,
                           cudaMemcpyHostToDevice)
              : cudaSuccess;
    free(narrow);
    if (code) {
        spc__cuda_fail(err, code, "copying weights");
        return NULL;
    }
    return to;
}

/* The bias as float32, rounded to the type that the network stores; zeros where it has none. */
static float *upload_bias(struct spc__cuda_memory *memory, const struct request *request,
                          struct spc_error *err)
{
    const struct spc__node *node = request->node;
    float *bias = spc__alloc_zeroed((size_t)node->cout, sizeof(*bias)), *to;

    if (!bias) {
        spc__fail_memory(err, (size_t)node->cout * sizeof(*bias), node->name);
        return NULL;
    }
    for (int o = 0; node->bias && o < node->cout; o++)
        bias[o] = request->half ? spc__half_to_float(spc__half_from_float(node->bias[o]))
                                : node->bias[o];
    to = upload(memory, bias, (size_t)node->cout, false, node->name, err);
    free(bias);
    return to;
}

/* The weights as the fast convolution wants them. */
static void *upload_packed(struct spc__cuda_memory *memory, const struct request *request,
                           struct spc_error *err)
{
    const struct spc__node *node = request->node;
    int32_t groups = request->blobs->groups, run = request->blobs->run;
    size_t bytes = spc_cuda_conv_packed_size(node->cin, node->cout, groups, run);
    uint16_t *packed = spc__alloc(bytes, 1);
    void *to = NULL;
    cudaError_t code;

    if (!packed) {
        spc__fail_memory(err, bytes, node->name);
        return NULL;
    }
    spc_cuda_conv_pack(node->weights, node->cin, node->cout, groups, run, packed);
    to = spc__cuda_take(memory, bytes, 1, node->name, err);
    code = to ? cudaMemcpy(to, packed, bytes, cudaMemcpyHostToDevice) : cudaSuccess;
    free(packed);
    if (code) {
        spc__cuda_fail(err, code, "copying weights");
        return NULL;
    }
    return to;
}

static enum spc_status make(void *context, void **entry, struct spc_error *err)
{
    const struct request *request = context;
    const struct spc__node *node = request->node;
    struct spc__cuda_weights *weights = spc__alloc_zeroed(1, sizeof(*weights));
    size_t count = (size_t)request->offsets * (size_t)node->cin * (size_t)node->cout;

    if (!weights)
        return spc__fail_memory(err, sizeof(*weights), node->name);
    weights->context = *request->cuda;
    weights->weights = request->blobs ? upload_packed(&weights->memory, request, err)
                                      : upload(&weights->memory, node->weights, count,
                                               request->half, node->name, err);
    if (weights->weights)
        weights->bias = upload_bias(&weights->memory, request, err);
    if (!weights->bias) {
        release(weights);
        return err ? err->status : SPC_ERR_MEMORY;
    }
    *entry = weights;
    return SPC_OK;
}

enum spc_status spc__cuda_get_weights(struct spc__shared *shared, const struct spc__cuda *cuda,
                                      int node, const struct spc__cuda_weights **weights,
                                      struct spc_error *err)
{
    const struct spc__graph *graph = &cuda->plan->graph;
    const struct spc__node *n = &graph->nodes[node];
    bool fast = spc__cuda_is_fast(cuda, n);
    struct request request = {
        .node = n,
        .blobs = fast ? &cuda->rulebooks[n->rulebook].blobs : NULL,
        .offsets = spc__rulebook_offsets(&graph->rulebooks[n->rulebook]),
        .cuda = &cuda->context,
        .half = cuda->plan->precision == SPC_PRECISION_FP16,
    };
    enum spc_status status;
    char key[128];
    void *entry;

    /* Weights are blocks of the model: their addresses tell convolutions apart, also between
     * differently fused plans. */
    snprintf(key, sizeof(key), "cuda %" PRIu64 " %s%s %p %p", cuda->context.id,
             request.half ? "f16" : "f32", fast ? " fast" : "", (const void *)n->weights,
             (const void *)n->bias);
    status = spc__shared_get(shared, key, make, release, &request, &entry, err);
    if (!status)
        *weights = entry;
    return status;
}
