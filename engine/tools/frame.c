/* SPDX-License-Identifier: MIT */
/* See frame.h. */
#include "frame.h"

#include "args.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void frame_free(struct frame *frame)
{
    spc_array_free(&frame->features);
    spc_array_free(&frame->indices);
}

struct spc_voxels frame_voxels(const struct frame *frame)
{
    return (struct spc_voxels){
        .feature_type = frame->features.dtype,
        .features = frame->features.data,
        .indices = frame->indices.data,
        .num_voxels = frame->features.dims[0],
    };
}

static int check_frame(const struct frame *frame, const char *features, const char *indices,
                       const struct spc_model_info *model, const char *tool)
{
    const struct spc_array *f = &frame->features, *i = &frame->indices;

    if (f->rank != 2 || (f->dtype != SPC_DTYPE_F32 && f->dtype != SPC_DTYPE_F16))
        return tool_fail(tool, "%s: is %s of rank %d; features are float32 or float16 [N][C]",
                         features, spc_dtype_name(f->dtype), f->rank);
    if (f->dims[1] != model->num_features)
        return tool_fail(tool, "%s: has %" PRId64 " features a voxel, the model takes %" PRId32,
                         features, f->dims[1], model->num_features);
    if (i->rank != 2 || i->dtype != SPC_DTYPE_I32 || i->dims[1] != 4)
        return tool_fail(tool, "%s: is %s of rank %d; indices are int32 [N][4]", indices,
                         spc_dtype_name(i->dtype), i->rank);
    if (f->dims[0] != i->dims[0])
        return tool_fail(tool, "%s has %" PRId64 " rows, %s has %" PRId64
                         "; they must be of the same frame",
                         features, f->dims[0], indices, i->dims[0]);
    return EXIT_OK;
}

int frame_read(struct frame *frame, const char *features, const char *indices,
               const struct spc_model_info *model, const char *tool)
{
    struct frame made = {.features = {.rank = 0}};
    struct spc_error err;
    int code = EXIT_OK;

    if (spc_array_read(features, &made.features, &err) ||
        spc_array_read(indices, &made.indices, &err))
        code = tool_fail(tool, "%s", err.message);
    if (!code)
        code = check_frame(&made, features, indices, model, tool);
    if (code)
        frame_free(&made);
    else
        *frame = made;
    return code;
}

static bool allocate(struct frame *frame, enum spc_dtype type, int64_t voxels, int64_t channels)
{
    struct spc_array features = {type, 2, {voxels, channels}, NULL,
                                 (size_t)(voxels * channels) * spc_dtype_size(type)};
    struct spc_array indices = {SPC_DTYPE_I32, 2, {voxels, 4}, NULL,
                                (size_t)voxels * 4 * sizeof(int32_t)};

    features.data = malloc(features.size + 1);
    indices.data = malloc(indices.size + 1);
    frame->features = features;
    frame->indices = indices;
    if (features.data && indices.data)
        return true;
    frame_free(frame);
    return false;
}

struct scene {
    const struct spc_model_info *model;
    struct frame *frame;
    uint8_t *taken; /* a bit for each cell of the grid */
    int64_t count, wanted;
    uint32_t random;
};

static float uniform(struct scene *scene)
{
    scene->random = scene->random * 1664525u + 1013904223u;
    return (float)(scene->random >> 8) * 0x1p-24f;
}

static void put_voxel(struct scene *scene, int32_t z, int32_t y, int32_t x)
{
    const struct spc_model_info *m = scene->model;
    int32_t *row = (int32_t *)scene->frame->indices.data + scene->count * 4;
    float *features = (float *)scene->frame->features.data + scene->count * m->num_features;
    bool xyz = m->index_order == SPC_INDEX_XYZ;
    size_t cell;

    if (scene->count == scene->wanted || z < 0 || z >= m->grid_z || y < 0 || y >= m->grid_y ||
        x < 0 || x >= m->grid_x)
        return;
    cell = ((size_t)z * (size_t)m->grid_y + (size_t)y) * (size_t)m->grid_x + (size_t)x;
    if (scene->taken[cell / 8] >> (cell % 8) & 1)
        return;
    scene->taken[cell / 8] |= (uint8_t)(1 << (cell % 8));
    row[0] = 0;
    row[1] = xyz ? x : z;
    row[2] = y;
    row[3] = xyz ? z : x;
    for (int32_t c = 0; c < m->num_features; c++)
        features[c] = 2 * uniform(scene) - 1;
    scene->count++;
}

/* One beam's return: ground most of the time, now and then an upright surface. */
static void put_return(struct scene *scene)
{
    const struct spc_model_info *m = scene->model;
    float radius = uniform(scene) * 0.7f, angle = uniform(scene) * 6.2831853f;
    int32_t y = (int32_t)((float)m->grid_y * (0.5f + radius * sinf(angle)));
    int32_t x = (int32_t)((float)m->grid_x * (0.5f + radius * cosf(angle)));
    int32_t ground = m->grid_z * 2 / 5, height = 1;

    if (uniform(scene) < 0.2f)
        height = 2 + (int32_t)(uniform(scene) * (float)m->grid_z / 4);
    ground += (int32_t)(2 * uniform(scene));
    /* Three columns side by side: neighbours are what the network's work depends on. */
    for (int32_t dx = 0; dx < 3; dx++)
        for (int32_t z = 0; z < height; z++)
            put_voxel(scene, ground + z, y, x + dx);
}

int frame_synthesize(struct frame *frame, int64_t voxels, const struct spc_model_info *model,
                     const char *tool)
{
    size_t cells = (size_t)model->grid_z * (size_t)model->grid_y * (size_t)model->grid_x;
    struct scene scene = {.model = model, .frame = frame, .random = 1};

    scene.wanted = (uint64_t)voxels > cells / 8 ? (int64_t)(cells / 8) : voxels;
    scene.taken = calloc(cells / 8 + 1, 1);
    if (!scene.taken || !allocate(frame, SPC_DTYPE_F32, scene.wanted, model->num_features)) {
        free(scene.taken);
        return tool_fail(tool, "out of memory for a frame of %" PRId64 " voxels", voxels);
    }
    /* Ends: every column near the ground can be hit; the limit is for odd grids. */
    for (int64_t tries = 0; scene.count < scene.wanted && tries < 64 * voxels; tries++)
        put_return(&scene);
    free(scene.taken);
    frame->features.dims[0] = frame->indices.dims[0] = scene.count;
    frame->features.size = (size_t)(scene.count * model->num_features) * sizeof(float);
    frame->indices.size = (size_t)scene.count * 4 * sizeof(int32_t);
    return EXIT_OK;
}

struct ranked {
    double distance;
    int64_t row;
};

static int by_distance(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static int by_row(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    return (x->row > y->row) - (x->row < y->row);
}

/* The nearest rows come first, in the order of the frame. */
static struct ranked *rank_rows(const struct frame *whole, int64_t voxels,
                                const struct spc_model_info *model)
{
    int64_t rows = whole->indices.dims[0];
    const int32_t *index = whole->indices.data;
    struct ranked *ranked = malloc(((size_t)rows + 1) * sizeof(*ranked));
    bool xyz = model->index_order == SPC_INDEX_XYZ;

    if (!ranked)
        return NULL;
    for (int64_t i = 0; i < rows; i++, index += 4) {
        double y = index[2] - model->grid_y / 2.0;
        double x = (xyz ? index[1] : index[3]) - model->grid_x / 2.0;

        ranked[i] = (struct ranked){x * x + y * y, i};
    }
    qsort(ranked, (size_t)rows, sizeof(*ranked), by_distance);
    qsort(ranked, (size_t)voxels, sizeof(*ranked), by_row);
    return ranked;
}

int frame_crop(struct frame *frame, const struct frame *whole, int64_t voxels,
               const struct spc_model_info *model, const char *tool)
{
    size_t width = (size_t)model->num_features * spc_dtype_size(whole->features.dtype);
    size_t index_width = 4 * sizeof(int32_t);
    struct ranked *ranked;

    if (voxels > whole->features.dims[0])
        return tool_fail(tool, "%" PRId64 " voxels are asked for, the frame has %" PRId64, voxels,
                         whole->features.dims[0]);
    ranked = rank_rows(whole, voxels, model);
    if (!ranked || !allocate(frame, whole->features.dtype, voxels, model->num_features)) {
        free(ranked);
        return tool_fail(tool, "out of memory for a frame of %" PRId64 " voxels", voxels);
    }
    for (int64_t i = 0; i < voxels; i++) {
        memcpy((char *)frame->features.data + (size_t)i * width,
               (char *)whole->features.data + (size_t)ranked[i].row * width, width);
        memcpy((char *)frame->indices.data + (size_t)i * index_width,
               (char *)whole->indices.data + (size_t)ranked[i].row * index_width, index_width);
    }
    free(ranked);
    return EXIT_OK;
}
