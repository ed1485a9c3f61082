/* SPDX-License-Identifier: MIT */
/* Weights and biases on the device: once a model, context and precision, shared between instances,
 * and between convolutions that have the same. */
#include "cuda/instance.h"

#include "base/error.h"
#include "base/half.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
    const struct spc__cuda_context *context;
    const struct spc__node *node;
    const struct spc_cuda_blobs *blobs; /* of the fast convolution; NULL: the general one */
    int offsets;
    bool half;
};

static void release(void *entry)
{
    struct spc__cuda_constant *constant = entry;

    spc__cuda_free_all(&constant->context, &constant->memory);
    free(constant);
}

/* An entry with a copy of `bytes` bytes. Frees `from`, which may be NULL where memory was short. */
static enum spc_status upload(const struct request *request, void *from, size_t bytes,
                              void **entry, struct spc_error *err)
{
    const char *name = request->node->name;
    struct spc__cuda_constant *made = spc__alloc_zeroed(1, sizeof(*made));
    enum spc_status status = SPC_OK;
    cudaError_t code;

    if (!from || !made) {
        free(from);
        free(made);
        return spc__fail_memory(err, bytes, name);
    }
    made->context = *request->context;
    made->data = spc__cuda_take(&made->memory, bytes, 1, name, err);
    if (!made->data) {
        status = err ? err->status : SPC_ERR_MEMORY;
    } else {
        code = cudaMemcpy(made->data, from, bytes, cudaMemcpyHostToDevice);
        if (!code) /* the copy may return before the device has it, and sessions do not wait */
            code = cudaStreamSynchronize(cudaStreamLegacy);
        status = code ? spc__cuda_fail(err, code, "copying weights") : SPC_OK;
    }
    free(from);
    if (status)
        release(made);
    else
        *entry = made;
    return status;
}

/* The bias as float32 whatever the precision; zeros where there is none. */
static enum spc_status make_bias(void *context, void **entry, struct spc_error *err)
{
    const struct request *request = context;
    const struct spc__node *node = request->node;
    size_t count = (size_t)node->cout;
    float *bias = spc__alloc_zeroed(count, sizeof(*bias));

    if (bias && node->bias)
        memcpy(bias, node->bias, count * sizeof(*bias));
    return upload(request, bias, count * sizeof(*bias), entry, err);
}

/* As the fast convolution reads them. */
static enum spc_status make_packed(const struct request *request, void **entry,
                                   struct spc_error *err)
{
    const struct spc__node *node = request->node;
    int32_t groups = request->blobs->groups, run = request->blobs->run;
    size_t bytes = spc_cuda_conv_packed_size(node->cin, node->cout, groups, run);
    uint16_t *packed = spc__alloc(bytes, 1);

    if (packed)
        spc_cuda_conv_pack(node->weights, node->cin, node->cout, groups, run, packed);
    return upload(request, packed, bytes, entry, err);
}

static enum spc_status make_weights(void *context, void **entry, struct spc_error *err)
{
    const struct request *request = context;
    const struct spc__node *node = request->node;
    size_t count = (size_t)request->offsets * (size_t)node->cin * (size_t)node->cout;
    size_t size = request->half ? sizeof(uint16_t) : sizeof(float);
    void *plain;

    if (request->blobs)
        return make_packed(request, entry, err);
    plain = spc__alloc(count, size);
    if (plain && request->half)
        for (size_t i = 0; i < count; i++)
            ((uint16_t *)plain)[i] = spc__half_from_float(node->weights[i]);
    else if (plain)
        memcpy(plain, node->weights, count * size);
    return upload(request, plain, count * size, entry, err);
}

enum spc_status spc__cuda_get_weights(struct spc__shared *shared, struct spc__cuda *cuda, int node,
                                      struct spc_error *err)
{
    const struct spc__graph *graph = &cuda->plan->graph;
    const struct spc__node *n = &graph->nodes[node];
    bool fast = spc__cuda_is_fast(cuda, n);
    struct request request = {
        .context = &cuda->context,
        .node = n,
        .blobs = fast ? &cuda->rulebooks[n->rulebook].blobs : NULL,
        .offsets = spc__rulebook_offsets(&graph->rulebooks[n->rulebook]),
        .half = cuda->plan->precision == SPC_PRECISION_FP16,
    };
    enum spc_status status;
    char key[128];
    void *entry;

    /* Weights are blocks of the model: their addresses tell them apart, also between differently
     * fused plans. Convolutions that share a block share what is packed of it, where they take its
     * offsets in the same order. */
    snprintf(key, sizeof(key), "cuda %" PRIu64 " %s runs of %d %p", cuda->context.id,
             request.half ? "f16" : "f32", fast ? (int)request.blobs->run : 0,
             (const void *)n->weights);
    status = spc__shared_get(shared, key, make_weights, release, &request, &entry, err);
    if (status)
        return status;
    cuda->weights[node] = entry;
    snprintf(key, sizeof(key), "cuda %" PRIu64 " bias %p %d", cuda->context.id,
             (const void *)n->bias, n->bias ? 0 : n->cout);
    status = spc__shared_get(shared, key, make_bias, release, &request, &entry, err);
    if (!status)
        cuda->biases[node] = entry;
    return status;
}
