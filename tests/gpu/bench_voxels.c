/* SPDX-License-Identifier: MIT */
/*
 * The time in which points become voxels on the GPU.
 *
 *     bench-gpu-voxels POINTS [graph|launches] [f32|f16] [device|host]
 *
 * POINTS: float16 records x, y, z, intensity, time (.bin). Settings are CenterPoint's. Each frame
 * takes another copy of the points and other memory for the voxels, as pools of buffers would bring
 * them. Printed are the median and least time between two events around the frame on its stream,
 * which is held until all of the frame is there, and the median time of submit and wait on the
 * host.
 */
#include <cuda_runtime_api.h>
#include <spc/spc.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SETS 4
#define WARMUP 100 /* frames */
#define FRAMES 200
#define MAX_VOXELS 200000

struct set {
    struct spc_points points;
    struct spc_voxels voxels;
};

static int fail(const char *what)
{
    fprintf(stderr, "bench-gpu-voxels: %s\n", what);
    return 2;
}

static double microseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec * 1e-3;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static struct spc_points describe(const struct spc_array *cloud)
{
    struct spc_points points = {.data = cloud->data, .count = cloud->dims[0], .stride = 20,
                                .num_fields = 5};

    for (int f = 0; f < 5; f++) {
        points.fields[f].type = SPC_DTYPE_F32;
        points.fields[f].offset = (size_t)f * 4;
    }
    return points;
}

static int make_sets(struct set *sets, const struct spc_array *cloud, bool host,
                     cudaStream_t stream)
{
    for (int i = 0; i < SETS; i++) {
        void *data, *features, *indices, *count;

        if (cudaMalloc(&data, cloud->size) || cudaMalloc(&features, MAX_VOXELS * 20) ||
            cudaMalloc(&indices, MAX_VOXELS * 16) || cudaMalloc(&count, 4) ||
            cudaMemcpy(data, cloud->data, cloud->size, cudaMemcpyHostToDevice))
            return fail("out of device memory");
        sets[i].points = describe(cloud);
        sets[i].points.stream = stream;
        if (!host) {
            sets[i].points.data = data;
            sets[i].points.memory = SPC_MEMORY_CUDA;
        }
        sets[i].voxels = (struct spc_voxels){.memory = SPC_MEMORY_CUDA, .features = features,
                                             .indices = indices, .device_count = count};
    }
    return 0;
}

static void hold(void *user)
{
    atomic_bool *go = user;

    while (!atomic_load(go))
        ;
}

static int measure(struct spc_voxelizer *voxelizer, struct set *sets, cudaStream_t stream)
{
    static double device[FRAMES], host[FRAMES];
    cudaEvent_t begin, end;
    struct spc_voxelizer_result result;
    struct spc_error err;

    if (cudaEventCreate(&begin) || cudaEventCreate(&end))
        return fail("no events");
    for (int frame = -WARMUP; frame < 2 * FRAMES; frame++) {
        struct set *set = &sets[(frame + WARMUP) % SETS];
        struct spc_voxels voxels = set->voxels;
        bool held = frame < FRAMES; /* the others show the host's time */
        atomic_bool go = !held;
        double start = microseconds();
        float elapsed = 0;

        if (held && cudaLaunchHostFunc(stream, hold, &go))
            return fail("no host function");
        cudaEventRecord(begin, stream);
        if (spc_voxelizer_submit(voxelizer, &set->points, &voxels, &err))
            return fail(err.message);
        cudaEventRecord(end, stream);
        atomic_store(&go, true);
        if (spc_voxelizer_wait(voxelizer, &result, &err))
            return fail(err.message);
        if (frame >= FRAMES)
            host[frame - FRAMES] = microseconds() - start;
        if (cudaEventSynchronize(end) || cudaEventElapsedTime(&elapsed, begin, end))
            return fail("events failed");
        if (held && frame >= 0)
            device[frame] = elapsed * 1e3;
    }
    qsort(device, FRAMES, sizeof(*device), compare);
    qsort(host, FRAMES, sizeof(*host), compare);
    printf("%lld voxels; device: median %.1f us, least %.1f us; host: median %.1f us; %d frames\n",
           (long long)result.num_voxels, device[FRAMES / 2], device[0], host[FRAMES / 2], FRAMES);
    return 0;
}

int main(int argc, char **argv)
{
    static const float range[6] = {-54, -54, -5, 54, 54, 3}, size[3] = {0.075f, 0.075f, 0.2f};
    struct spc_voxelizer_options options;
    struct spc_voxelizer *voxelizer = NULL;
    struct spc_array cloud = {0};
    struct set sets[SETS];
    struct spc_error err;
    cudaStream_t stream;
    bool host = argc > 4 && strcmp(argv[4], "host") == 0;

    if (argc < 2)
        return fail("usage: POINTS [graph|launches] [f32|f16] [device|host]");
    spc_voxelizer_options_default(&options);
    memcpy(options.range, range, sizeof(range));
    memcpy(options.voxel_size, size, sizeof(size));
    options.max_voxels = MAX_VOXELS;
    options.backend = "cuda";
    options.cuda_graph = argc <= 2 || strcmp(argv[2], "launches") != 0;
    options.feature_type = argc > 3 && !strcmp(argv[3], "f16") ? SPC_DTYPE_F16 : SPC_DTYPE_F32;
    if (spc_points_read(argv[1], 5, SPC_DTYPE_F16, &cloud, &err) ||
        spc_voxelizer_create(&options, &voxelizer, &err))
        return fail(err.message);
    if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking))
        return fail("no stream");
    printf("%s, %s, points in %s memory: %lld points, ", options.cuda_graph ? "graph" : "launches",
           spc_dtype_name(options.feature_type), host ? "host" : "device",
           (long long)cloud.dims[0]);
    if (make_sets(sets, &cloud, host, stream) || measure(voxelizer, sets, stream))
        return 2;
    spc_voxelizer_free(&voxelizer);
    spc_array_free(&cloud);
    return 0;
}
