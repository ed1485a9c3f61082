/* SPDX-License-Identifier: MIT */
/*
 * The time of a frame on the GPU, from voxels in device memory to outputs in device memory.
 *
 *     bench-gpu MODEL FEATURES INDICES [fp16|fp32] [graph|launches] [FRAMES]
 *
 * Each frame takes another copy of the input and output, as a pool of buffers would bring them.
 * Printed are the median and least time between two events around the frame on its stream, and
 * the median time of submit and wait on the host.
 */
#include <cuda_runtime_api.h>
#include <spc/spc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SETS 4
#define WARMUP 20
#define MAX_FRAMES 1000

struct set {
    struct spc_voxels voxels;
    struct spc_output output;
};

static int fail(const char *what)
{
    fprintf(stderr, "bench-gpu: %s\n", what);
    return 2;
}

static double milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void *to_device(const void *data, size_t size)
{
    void *device = NULL;

    if (cudaMalloc(&device, size) || cudaMemcpy(device, data, size, cudaMemcpyHostToDevice))
        return NULL;
    return device;
}

/* Copies of the frame and room for the first output. */
static int make_sets(struct set *sets, const struct spc_session *session,
                     const struct spc_array *features, const struct spc_array *indices,
                     cudaStream_t stream)
{
    struct spc_error err;
    size_t size;

    if (spc_session_get_output(session, 0, NULL, NULL, &size, &err))
        return fail(err.message);
    for (int i = 0; i < SETS; i++) {
        sets[i].voxels = (struct spc_voxels){
            .memory = SPC_MEMORY_CUDA,
            .feature_type = features->dtype,
            .features = to_device(features->data, features->size),
            .indices = to_device(indices->data, indices->size),
            .num_voxels = indices->dims[0],
            .stream = stream,
        };
        sets[i].output = (struct spc_output){.memory = SPC_MEMORY_CUDA, .capacity = size};
        if (!sets[i].voxels.features || !sets[i].voxels.indices ||
            cudaMalloc(&sets[i].output.data, size))
            return fail("out of device memory");
    }
    return 0;
}

static int measure(struct spc_session *session, struct set *sets, int frames, cudaStream_t stream)
{
    static double device[MAX_FRAMES], host[MAX_FRAMES];
    cudaEvent_t begin, end;
    struct spc_error err;

    if (cudaEventCreate(&begin) || cudaEventCreate(&end))
        return fail("no events");
    for (int i = -WARMUP; i < frames; i++) {
        struct set *set = &sets[(i + WARMUP) % SETS];
        double start = milliseconds();
        float elapsed = 0;

        cudaEventRecord(begin, stream);
        if (spc_session_submit(session, &set->voxels, &set->output, 1, &err))
            return fail(err.message);
        cudaEventRecord(end, stream);
        if (spc_session_wait(session, &err))
            return fail(err.message);
        if (i == -WARMUP)
            printf("first frame: %.2f ms on the host\n", milliseconds() - start);
        if (i < 0)
            continue;
        host[i] = milliseconds() - start;
        if (cudaEventSynchronize(end) || cudaEventElapsedTime(&elapsed, begin, end))
            return fail("events failed");
        device[i] = elapsed;
    }
    qsort(device, (size_t)frames, sizeof(*device), compare);
    qsort(host, (size_t)frames, sizeof(*host), compare);
    printf("device: median %.1f us, least %.1f us; host: median %.1f us; %d frames\n",
           device[frames / 2] * 1e3, device[0] * 1e3, host[frames / 2] * 1e3, frames);
    return 0;
}

int main(int argc, char **argv)
{
    struct spc_session_options options;
    struct spc_session *session = NULL;
    struct spc_model *model = NULL;
    struct spc_array features = {0}, indices = {0};
    struct spc_session_info info;
    struct set sets[SETS];
    struct spc_error err;
    cudaStream_t stream;
    int frames = argc > 6 ? atoi(argv[6]) : 200, rc;

    if (argc < 4 || frames < 1 || frames > MAX_FRAMES)
        return fail("usage: MODEL FEATURES INDICES [fp16|fp32] [graph|launches] [FRAMES]");
    spc_session_options_default(&options);
    options.backend = "cuda";
    options.precision = argc > 4 && strcmp(argv[4], "fp32") == 0 ? SPC_PRECISION_FP32
                                                                 : SPC_PRECISION_FP16;
    options.cuda_graph = argc <= 5 || strcmp(argv[5], "launches") != 0;
    if (spc_model_load_file(argv[1], NULL, &model, &err) ||
        spc_array_read(argv[2], &features, &err) || spc_array_read(argv[3], &indices, &err) ||
        spc_session_create(model, &options, &session, &err))
        return fail(err.message);
    if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking))
        return fail("no stream");
    spc_session_get_info(session, &info);
    printf("%s, %s, %s, %lld voxels, %.1f MB of device memory and %.1f MB of weights\n",
           info.device, spc_precision_name(info.precision),
           options.cuda_graph ? "graph" : "launches", (long long)indices.dims[0],
           (double)info.device_bytes * 1e-6, (double)info.shared_bytes * 1e-6);
    rc = make_sets(sets, session, &features, &indices, stream);
    if (!rc)
        rc = measure(session, sets, frames, stream);
    spc_session_free(&session);
    spc_model_free(&model);
    spc_array_free(&features);
    spc_array_free(&indices);
    return rc;
}
