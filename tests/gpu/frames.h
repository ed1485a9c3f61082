/* SPDX-License-Identifier: MIT */
/* What the tests of sessions on a GPU share: a small network, frames for it, what came out. */
#ifndef SPC_TEST_GPU_FRAMES_H
#define SPC_TEST_GPU_FRAMES_H

#include "test.h"

#include <cuda_runtime_api.h>
#include <spc/spc.h>

#define MAX_ROWS 1500
#define FEATURES 5
#define OUTPUTS 3
#define MAX_BYTES (1 << 20)

static struct spc_model *model;

struct frame {
    int64_t rows;
    float features[MAX_ROWS][FEATURES];
    int32_t indices[MAX_ROWS][4];
};

/* Copies of a frame's outputs. */
struct result {
    struct spc_output out[OUTPUTS];
    unsigned char *data[OUTPUTS];
    int32_t *indices[OUTPUTS];
};

static uint64_t seed = 1;

static inline uint32_t next_random(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33);
}

/* `rows` different voxels, in random order. */
static inline void make_frame(struct frame *frame, int64_t rows)
{
    static unsigned char taken[9 * 32 * 32];

    memset(taken, 0, sizeof(taken));
    frame->rows = rows;
    for (int64_t i = 0; i < rows; i++) {
        uint32_t cell;

        do
            cell = next_random() % sizeof(taken);
        while (taken[cell]);
        taken[cell] = 1;
        frame->indices[i][0] = 0;
        frame->indices[i][1] = (int32_t)(cell / 1024);
        frame->indices[i][2] = (int32_t)(cell / 32 % 32);
        frame->indices[i][3] = (int32_t)(cell % 32);
        for (int c = 0; c < FEATURES; c++)
            frame->features[i][c] = (float)(next_random() % 2001) / 1000.0f - 1.0f;
    }
}

static inline struct spc_voxels host_voxels(const struct frame *frame)
{
    return (struct spc_voxels){
        .feature_type = SPC_DTYPE_F32,
        .features = frame->features,
        .indices = frame->indices[0],
        .num_voxels = frame->rows,
    };
}

/* Sessions go on where recording fails, and only say so. */
static inline void check_recorded(void *user, enum spc_log_level level, const char *message)
{
    (void)user;
    (void)level;
    CHECK(!strstr(message, "cannot be recorded"));
}

static inline struct spc_session_options options_for(const char *backend)
{
    struct spc_session_options options;

    spc_session_options_default(&options);
    options.backend = backend;
    options.precision = SPC_PRECISION_FP32;
    options.max_voxels = MAX_ROWS;
    options.log = check_recorded;
    return options;
}

static inline struct spc_session *open_session(const struct spc_session_options *options)
{
    struct spc_session *session = NULL;
    struct spc_error err;

    if (spc_session_create(model, options, &session, &err))
        fprintf(stderr, "session: %s\n", err.message);
    CHECK(session);
    return session;
}

/* ---- results ---- */

static inline void keep(struct result *result, const struct spc_output *outputs)
{
    for (int i = 0; i < OUTPUTS; i++) {
        const struct spc_output *o = &outputs[i];
        size_t rows = (size_t)o->num_sites * 4 * sizeof(int32_t);

        result->out[i] = *o;
        result->data[i] = malloc(o->size + 1);
        result->indices[i] = o->indices ? malloc(rows + 1) : NULL;
        CHECK(cudaMemcpy(result->data[i], o->data, o->size, cudaMemcpyDefault) == cudaSuccess);
        if (o->indices)
            CHECK(cudaMemcpy(result->indices[i], o->indices, rows, cudaMemcpyDefault) ==
                  cudaSuccess);
    }
}

static inline void drop(struct result *result)
{
    for (int i = 0; i < OUTPUTS; i++) {
        free(result->data[i]);
        free(result->indices[i]);
    }
    memset(result, 0, sizeof(*result));
}

static inline bool same_result(const struct result *a, const struct result *b)
{
    for (int i = 0; i < OUTPUTS; i++) {
        size_t rows = (size_t)a->out[i].num_sites * 4 * sizeof(int32_t);

        if (a->out[i].size != b->out[i].size || a->out[i].num_sites != b->out[i].num_sites ||
            memcmp(a->data[i], b->data[i], a->out[i].size) ||
            (a->indices[i] && memcmp(a->indices[i], b->indices[i], rows)))
            return false;
    }
    return true;
}

/* The same sites in the same order, float32 values close to one another. */
static inline bool close_result(const struct result *a, const struct result *b)
{
    for (int i = 0; i < OUTPUTS; i++) {
        const float *x = (const float *)a->data[i], *y = (const float *)b->data[i];
        size_t rows = (size_t)a->out[i].num_sites * 4 * sizeof(int32_t);

        if (a->out[i].size != b->out[i].size || a->out[i].num_sites != b->out[i].num_sites ||
            (a->indices[i] && memcmp(a->indices[i], b->indices[i], rows)))
            return false;
        for (size_t e = 0; e < a->out[i].size / sizeof(float); e++)
            if (!(fabsf(x[e] - y[e]) <= 1e-4f + 1e-4f * fabsf(y[e])))
                return false;
    }
    return true;
}

/* Runs a frame and keeps the results; `outputs` (may be NULL) says where they shall go. */
static inline enum spc_status run(struct spc_session *session, const struct spc_voxels *voxels,
                           const struct spc_output *where, struct result *result)
{
    struct spc_output outputs[OUTPUTS] = {0};
    struct spc_error err;
    enum spc_status status;

    if (where)
        memcpy(outputs, where, sizeof(outputs));
    status = spc_session_run(session, voxels, outputs, OUTPUTS, &err);
    if (status)
        fprintf(stderr, "frame: %s\n", err.message);
    else
        keep(result, outputs);
    return status;
}

/* ---- device memory ---- */

struct device_frame {
    float *features;
    int32_t *indices, *count;
    int64_t rows; /* that there is memory for */
};

static inline void to_device(struct device_frame *d, const struct frame *frame, int32_t count,
                      cudaStream_t stream)
{
    size_t rows = (size_t)d->rows;

    CHECK(cudaMemcpyAsync(d->features, frame->features, rows * FEATURES * sizeof(float),
                          cudaMemcpyHostToDevice, stream) == cudaSuccess);
    CHECK(cudaMemcpyAsync(d->indices, frame->indices, rows * 4 * sizeof(int32_t),
                          cudaMemcpyHostToDevice, stream) == cudaSuccess);
    CHECK(cudaMemcpyAsync(d->count, &count, sizeof(count), cudaMemcpyHostToDevice, stream) ==
          cudaSuccess);
}

static inline void device_frame_alloc(struct device_frame *d, int64_t rows)
{
    size_t voxels = (size_t)rows;

    /* An offset of 4 bytes: only the elements' own alignment is promised. */
    d->rows = rows;
    CHECK(cudaMalloc((void **)&d->features, sizeof(float) * FEATURES * voxels) == cudaSuccess);
    CHECK(cudaMalloc((void **)&d->indices, sizeof(int32_t) * (4 * voxels + 1)) == cudaSuccess);
    CHECK(cudaMalloc((void **)&d->count, sizeof(int32_t)) == cudaSuccess);
    d->indices++;
}

static inline void device_frame_free(struct device_frame *d)
{
    cudaFree(d->features);
    cudaFree(d->indices - 1);
    cudaFree(d->count);
}

static inline struct spc_voxels device_voxels(const struct device_frame *d, cudaStream_t stream)
{
    return (struct spc_voxels){
        .memory = SPC_MEMORY_CUDA,
        .feature_type = SPC_DTYPE_F32,
        .features = d->features,
        .indices = d->indices,
        .num_voxels = d->rows,
        .device_count = d->count,
        .stream = stream,
    };
}

/* The reason why there is no usable GPU; NULL where there is one. */
static inline const char *why_not(void)
{
    static struct spc_error why;
    const char *name;

    for (int i = 0; (name = spc_backend_name(i, &why)); i++)
        if (strcmp(name, "cuda") == 0)
            return why.status == SPC_OK ? NULL : why.message;
    return "backend cuda is not in the list";
}

/* Loads the network; ends the program as skipped where there is no usable GPU, and right away
 * with --probe. */
static inline void begin(int argc, char **argv)
{
    const char *folder = getenv("SPC_GOLDEN"), *why = why_not();
    struct spc_error err;
    char path[512];

    if (why)
        SKIP_ALL(why);
    if (argc > 1 && strcmp(argv[1], "--probe") == 0)
        exit(0);
    snprintf(path, sizeof(path), "%s/models/tiny_sparse_out.onnx", folder ? folder : ".");
    if (spc_model_load_file(path, NULL, &model, &err)) {
        fprintf(stderr, "%s; set SPC_GOLDEN to tests/golden\n", err.message);
        exit(2);
    }
}

#endif
