/* SPDX-License-Identifier: MIT */
/* Device memory and graph timing for cases of CUDA kernels. */
#include "device.h"

#include <stdlib.h>
#include <string.h>

#define REPLAYS 20 /* in one measurement */

struct block {
    struct block *next;
    void *memory;
};

static struct block *blocks;

static void need(cudaError_t code, const char *what)
{
    if (!code)
        return;
    fprintf(stderr, "spc-check: %s: %s\n", what, cudaGetErrorString(code));
    exit(2);
}

bool device_usable(struct check *check)
{
    int count = 0;
    cudaError_t code = cudaGetDeviceCount(&count);

    if (code)
        check_skip(check, "no CUDA device: %s", cudaGetErrorString(code));
    else if (!count)
        check_skip(check, "no CUDA device");
    return !code && count;
}

void *device_alloc(size_t size)
{
    struct block *block = malloc(sizeof(*block));

    if (!block)
        abort();
    need(cudaMalloc(&block->memory, size ? size : 1), "cudaMalloc");
    need(cudaMemset(block->memory, 0xa5, size ? size : 1), "cudaMemset");
    block->next = blocks;
    blocks = block;
    return block->memory;
}

void *device_copy(const void *data, size_t size)
{
    void *memory = device_alloc(size);

    need(cudaMemcpy(memory, data, size, cudaMemcpyHostToDevice), "cudaMemcpy");
    return memory;
}

void device_release(void)
{
    need(cudaDeviceSynchronize(), "the kernels of this case");
    while (blocks) {
        struct block *next = blocks->next;

        need(cudaFree(blocks->memory), "cudaFree");
        free(blocks);
        blocks = next;
    }
}

void device_read(void *data, const void *memory, size_t size)
{
    need(cudaDeviceSynchronize(), "the kernels of this case");
    need(cudaMemcpy(data, memory, size, cudaMemcpyDeviceToHost), "cudaMemcpy");
}

bool device_ok(struct check *check, const char *what, cudaError_t code)
{
    return check_true(check, !code, "%s: %s", what, cudaGetErrorString(code));
}

struct replays {
    cudaGraphExec_t graph;
    cudaStream_t stream;
};

static void replay(void *context)
{
    struct replays *replays = context;

    for (int i = 0; i < REPLAYS; i++)
        need(cudaGraphLaunch(replays->graph, replays->stream), "cudaGraphLaunch");
    need(cudaStreamSynchronize(replays->stream), "a graph");
}

void device_bench(struct check *check, const char *label, double items, const char *item,
                  cudaError_t (*fn)(void *context, cudaStream_t stream), void *context)
{
    struct replays replays;
    cudaGraph_t graph;
    char text[64];

    need(cudaStreamCreateWithFlags(&replays.stream, cudaStreamNonBlocking), "cudaStreamCreate");
    need(cudaStreamBeginCapture(replays.stream, cudaStreamCaptureModeThreadLocal), "capture");
    need(fn(context, replays.stream), label);
    need(cudaStreamEndCapture(replays.stream, &graph), "capture");
    need(cudaGraphInstantiate(&replays.graph, graph, 0), "cudaGraphInstantiate");
    replay(&replays);
    snprintf(text, sizeof(text), "%s (x%d)", label, REPLAYS);
    check_bench(check, text, items * REPLAYS, item, replay, &replays);
    need(cudaGraphExecDestroy(replays.graph), "cudaGraphExecDestroy");
    need(cudaGraphDestroy(graph), "cudaGraphDestroy");
    need(cudaStreamDestroy(replays.stream), "cudaStreamDestroy");
}
