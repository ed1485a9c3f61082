/* SPDX-License-Identifier: MIT */
/* What the API tests share: the small golden models and their frames. */
#ifndef SPC_TESTS_API_H
#define SPC_TESTS_API_H

#include "test.h"

#include <spc/spc.h>

/* Voxels from files. */
struct api_frame {
    struct spc_array features, indices;
};

static inline const char *api_path(const char *folder, const char *name)
{
    static char path[512];
    const char *golden = getenv("SPC_GOLDEN");

    snprintf(path, sizeof(path), "%s/%s/%s", golden ? golden : "tests/golden", folder, name);
    return path;
}

/* Ends the program where the file cannot be loaded: nothing after it could be tested. */
static inline struct spc_model *api_model(const char *name)
{
    struct spc_model *model = NULL;
    struct spc_error err;

    if (spc_model_load_file(api_path("models", name), NULL, &model, &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    return model;
}

static inline void api_read(const char *name, struct spc_array *array)
{
    struct spc_error err;

    if (spc_array_read(api_path("frames", name), array, &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
}

/* "tiny.some" */
static inline struct api_frame api_frame(const char *name)
{
    struct api_frame frame;
    char file[128];

    snprintf(file, sizeof(file), "%s.features.npy", name);
    api_read(file, &frame.features);
    snprintf(file, sizeof(file), "%s.indices.npy", name);
    api_read(file, &frame.indices);
    return frame;
}

static inline void api_frame_free(struct api_frame *frame)
{
    spc_array_free(&frame->features);
    spc_array_free(&frame->indices);
}

static inline struct spc_voxels api_voxels(const struct api_frame *frame)
{
    return (struct spc_voxels){
        .feature_type = frame->features.dtype,
        .features = frame->features.data,
        .indices = frame->indices.data,
        .num_voxels = frame->features.dims[0],
    };
}

/* CPU, one thread, small bounds. */
static inline struct spc_session_options api_options(void)
{
    struct spc_session_options options;

    spc_session_options_default(&options);
    options.backend = "cpu";
    options.threads = 1;
    options.max_voxels = 200;
    return options;
}

static inline struct spc_session *api_session(const struct spc_model *model,
                                              const struct spc_session_options *options)
{
    struct spc_session *session = NULL;
    struct spc_error err;

    if (spc_session_create(model, options, &session, &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    return session;
}

/* A hash of an output's bytes: the same bits, the same hash. */
static inline uint64_t api_hash(const struct spc_output *output)
{
    const uint8_t *bytes = output->data;
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < output->size; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    for (int64_t i = 0; output->indices && i < output->num_sites * 4; i++)
        hash = (hash ^ (uint32_t)output->indices[i]) * 0x100000001b3u;
    return hash;
}

#endif
