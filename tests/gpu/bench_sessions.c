/* SPDX-License-Identifier: MIT */
/*
 * Frames a second of several sessions at once, each with a thread, a stream and buffers of its
 * own, on one model.
 *
 *     bench-gpu-sessions MODEL FEATURES INDICES [SESSIONS] [DEVICES]
 *
 * Session i is on device i % DEVICES. Measured are 1 to SESSIONS sessions (default 4, on one
 * device), from voxels in device memory to the dense tensor in device memory.
 */
#include <cuda_runtime_api.h>
#include <spc/spc.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MAX_SESSIONS 16
#define WARMUP 50
#define FRAMES 400

static struct spc_model *model;
static struct spc_array features, indices;
static pthread_barrier_t ready;

struct worker {
    pthread_t thread;
    int device;
    double milliseconds; /* a frame; 0: it failed */
};

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}

static const void *to_device(const void *data, size_t size)
{
    void *copy = NULL;

    return cudaMalloc(&copy, size) || cudaMemcpy(copy, data, size, cudaMemcpyHostToDevice) ? NULL
                                                                                           : copy;
}

static int run_frames(struct spc_session *session, const struct spc_voxels *voxels, int count)
{
    struct spc_error err;

    for (int i = 0; i < count; i++) {
        struct spc_output output = {.memory = SPC_MEMORY_CUDA};

        if (spc_session_run(session, voxels, &output, 1, &err)) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
    }
    return 0;
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct spc_voxels voxels = {.memory = SPC_MEMORY_CUDA,
                                .feature_type = features.dtype,
                                .num_voxels = indices.dims[0]};
    struct spc_session_options options;
    struct spc_session *session = NULL;
    struct spc_error err = {0};
    cudaStream_t stream = NULL;
    double start;
    int failed;

    spc_session_options_default(&options);
    options.backend = "cuda";
    options.device = worker->device;
    failed = cudaSetDevice(worker->device) ||
             cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) ||
             spc_session_create(model, &options, &session, &err);
    voxels.stream = stream;
    voxels.features = to_device(features.data, features.size);
    voxels.indices = to_device(indices.data, indices.size);
    failed = failed || !voxels.features || !voxels.indices ||
             cudaStreamSynchronize(cudaStreamLegacy) ||
             run_frames(session, &voxels, WARMUP);
    pthread_barrier_wait(&ready);
    start = now();
    if (!failed && !run_frames(session, &voxels, FRAMES))
        worker->milliseconds = (now() - start) / FRAMES;
    else
        fprintf(stderr, "a session failed: %s\n", err.message);
    spc_session_free(&session);
    cudaFree((void *)voxels.features);
    cudaFree((void *)voxels.indices);
    cudaStreamDestroy(stream);
    return NULL;
}

static int measure(int sessions, int devices)
{
    struct worker workers[MAX_SESSIONS] = {0};
    double rate = 0;

    pthread_barrier_init(&ready, NULL, (unsigned)sessions);
    for (int i = 0; i < sessions; i++) {
        workers[i].device = i % devices;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
            return 1;
    }
    for (int i = 0; i < sessions; i++) {
        pthread_join(workers[i].thread, NULL);
        if (!workers[i].milliseconds)
            return 1;
        rate += 1e3 / workers[i].milliseconds;
    }
    pthread_barrier_destroy(&ready);
    printf("sessions: %d, devices: %d, %.0f frames/s, %.0f us a frame in each\n", sessions,
           sessions < devices ? sessions : devices, rate, 1e6 * sessions / rate);
    return 0;
}

int main(int argc, char **argv)
{
    int sessions = argc > 4 ? atoi(argv[4]) : 4, devices = argc > 5 ? atoi(argv[5]) : 1, rc = 0;
    struct spc_error err;

    if (argc < 4 || sessions < 1 || sessions > MAX_SESSIONS || devices < 1) {
        fprintf(stderr, "usage: MODEL FEATURES INDICES [SESSIONS (to %d)] [DEVICES]\n",
                MAX_SESSIONS);
        return 2;
    }
    if (spc_model_load_file(argv[1], NULL, &model, &err) ||
        spc_array_read(argv[2], &features, &err) || spc_array_read(argv[3], &indices, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 2;
    }
    for (int i = 1; i <= sessions && !rc; i++)
        rc = measure(i, devices);
    spc_model_free(&model);
    spc_array_free(&features);
    spc_array_free(&indices);
    return rc;
}
