/* SPDX-License-Identifier: MIT */
/*
 * The time of a frame on the GPU, from voxels in device memory to outputs in device memory.
 *
 *     bench-gpu MODEL FEATURES INDICES [fp16|fp32] [graph|launches|one-stream|tuned] [VOXELS]
 *
 * Each frame takes another copy of the input and output, as a pool of buffers would bring them.
 * Printed are the median and least time between two events around the frame on its stream, and
 * the median time of submit and wait on the host. VOXELS: a random part of the frame, or, where it
 * is more than the frame has, the frame and a copy half the grid away, as far as they do not meet.
 */
#include <cuda_runtime_api.h>
#include <spc/spc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SETS 4
#define WARMUP 300.0 /* milliseconds of frames before the first that counts: clock rates settle */
#define FRAMES 200

struct set {
    struct spc_voxels voxels;
    struct spc_output output;
};

static int fail(const char *what)
{
    fprintf(stderr, "bench-gpu: %s\n", what);
    return 2;
}

static void print_tuning(void *user, enum spc_log_level level, const char *message)
{
    (void)user;
    if (level == SPC_LOG_DEBUG)
        printf("%s\n", message);
}

static double milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

/* ---- frames of other sizes ---- */

static void swap_rows(char *rows, size_t size, int64_t a, int64_t b)
{
    char row[256];

    memcpy(row, rows + (size_t)a * size, size);
    memcpy(rows + (size_t)a * size, rows + (size_t)b * size, size);
    memcpy(rows + (size_t)b * size, row, size);
}

/* Keeps `rows` random rows. */
static void shrink(struct spc_array *features, struct spc_array *indices, int64_t rows)
{
    size_t size = features->size / (size_t)features->dims[0];
    uint64_t random = 1;

    for (int64_t i = 0; i < rows; i++) {
        int64_t other;

        random = random * 6364136223846793005u + 1442695040888963407u;
        other = i + (int64_t)((random >> 33) % (uint64_t)(features->dims[0] - i));
        swap_rows(features->data, size, i, other);
        swap_rows(indices->data, 4 * sizeof(int32_t), i, other);
    }
    indices->dims[0] = features->dims[0] = rows;
}

/* Appends rows of the frame moved by half the grid in y, around its end, in cells that are free,
 * until there are `rows`. The arrays have room for them. */
static void grow(struct spc_array *features, struct spc_array *indices, int64_t rows,
                 const struct spc_model_info *info, unsigned char *taken)
{
    size_t size = features->size / (size_t)features->dims[0];
    int32_t second = info->index_order == SPC_INDEX_XYZ ? info->grid_z : info->grid_x;
    int32_t *index = indices->data;
    int64_t from = features->dims[0], to = from;

    for (int64_t i = 0; i < 2 * from && to < rows; i++) {
        const int32_t *row = index + 4 * (i % from);
        int32_t y = (row[2] + (i < from ? 0 : info->grid_y / 2)) % info->grid_y;
        size_t cell = ((size_t)row[1] * (size_t)info->grid_y + (size_t)y) * (size_t)second +
                      (size_t)row[3];

        if (taken[cell])
            continue;
        taken[cell] = 1;
        if (i < from)
            continue;
        memcpy(index + 4 * to, row, 4 * sizeof(*row));
        index[4 * to + 2] = y;
        memcpy((char *)features->data + (size_t)to++ * size,
               (char *)features->data + (size_t)(i % from) * size, size);
    }
    indices->dims[0] = features->dims[0] = to;
}

static int resize(struct spc_array *features, struct spc_array *indices, int64_t rows,
                  const struct spc_model_info *info)
{
    size_t size = features->size / (size_t)features->dims[0];
    unsigned char *taken;

    if (rows <= features->dims[0]) {
        shrink(features, indices, rows);
    } else {
        features->data = realloc(features->data, (size_t)rows * size);
        indices->data = realloc(indices->data, (size_t)rows * 4 * sizeof(int32_t));
        taken = calloc((size_t)info->grid_z * (size_t)info->grid_y, (size_t)info->grid_x);
        if (!features->data || !indices->data || !taken)
            return fail("out of memory");
        grow(features, indices, rows, info, taken);
        free(taken);
    }
    features->size = (size_t)features->dims[0] * size;
    indices->size = (size_t)indices->dims[0] * 4 * sizeof(int32_t);
    return 0;
}

/* ---- measuring ---- */

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

static int measure(struct spc_session *session, struct set *sets, cudaStream_t stream)
{
    static double device[FRAMES], host[FRAMES];
    cudaEvent_t begin, end;
    double begun = milliseconds();
    struct spc_error err;

    if (cudaEventCreate(&begin) || cudaEventCreate(&end))
        return fail("no events");
    for (int frame = 0, i = -1; i < FRAMES; frame++) {
        struct set *set = &sets[frame % SETS];
        double start = milliseconds();
        float elapsed = 0;

        cudaEventRecord(begin, stream);
        if (spc_session_submit(session, &set->voxels, &set->output, 1, &err))
            return fail(err.message);
        cudaEventRecord(end, stream);
        if (spc_session_wait(session, &err))
            return fail(err.message);
        if (!frame)
            printf("first frame: %.2f ms on the host\n", milliseconds() - start);
        if (i < 0) {
            i = milliseconds() - begun > WARMUP ? 0 : -1;
            continue;
        }
        host[i] = milliseconds() - start;
        if (cudaEventSynchronize(end) || cudaEventElapsedTime(&elapsed, begin, end))
            return fail("events failed");
        device[i++] = elapsed;
    }
    qsort(device, FRAMES, sizeof(*device), compare);
    qsort(host, FRAMES, sizeof(*host), compare);
    printf("device: median %.1f us, least %.1f us; host: median %.1f us; %d frames\n",
           device[FRAMES / 2] * 1e3, device[0] * 1e3, host[FRAMES / 2] * 1e3, FRAMES);
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
    struct spc_model_info model_info;
    int64_t voxels = argc > 6 ? atoll(argv[6]) : 0;
    int rc = 0;

    if (argc < 4 || voxels < 0)
        return fail("usage: MODEL FEATURES INDICES [fp16|fp32] "
                    "[graph|launches|one-stream|tuned] [VOXELS]");
    spc_session_options_default(&options);
    options.backend = "cuda";
    options.precision = argc > 4 && strcmp(argv[4], "fp32") == 0 ? SPC_PRECISION_FP32
                                                                 : SPC_PRECISION_FP16;
    options.log = print_tuning;
    options.cuda_graph = argc <= 5 || strcmp(argv[5], "launches") != 0;
    options.aux_stream = argc <= 5 || strcmp(argv[5], "one-stream") != 0;
    if (spc_model_load_file(argv[1], NULL, &model, &err) ||
        spc_array_read(argv[2], &features, &err) || spc_array_read(argv[3], &indices, &err) ||
        spc_session_create(model, &options, &session, &err))
        return fail(err.message);
    spc_model_get_info(model, &model_info);
    if (voxels && resize(&features, &indices, voxels, &model_info))
        return 2;
    if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking))
        return fail("no stream");
    spc_session_get_info(session, &info);
    printf("%s, %s, %s, %lld voxels, %.1f MB of device memory and %.1f MB of weights\n",
           info.device, spc_precision_name(info.precision),
           argc > 5 ? argv[5] : "graph", (long long)indices.dims[0],
           (double)info.device_bytes * 1e-6, (double)info.shared_bytes * 1e-6);
    rc = make_sets(sets, session, &features, &indices, stream);
    if (!rc && argc > 5 && !strcmp(argv[5], "tuned") &&
        spc_session_tune(session, &sets[0].voxels, &err))
        return fail(err.message);
    if (!rc)
        rc = measure(session, sets, stream);
    spc_session_free(&session);
    spc_model_free(&model);
    spc_array_free(&features);
    spc_array_free(&indices);
    return rc;
}
