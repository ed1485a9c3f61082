/* SPDX-License-Identifier: MIT */
/* The voxelizer against its reference, and its speed on a frame like a 32-beam sensor's. */
#include "check.h"

#include "voxel/voxelizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void random_options(struct check *check, struct spc_voxelizer_options *o, int64_t points)
{
    spc_voxelizer_options_default(o);
    for (int axis = 0; axis < 3; axis++) {
        int64_t cells = axis == 2 ? check_int(check, 1, 80) : check_int(check, 1, 100);

        o->voxel_size[axis] = check_float(check, 0.01f, 1);
        o->range[axis] = check_float(check, -10, 10);
        o->range[axis + 3] = o->range[axis] + o->voxel_size[axis] * (float)cells;
        if (check_int(check, 0, 3) == 0) /* no multiple of the voxel size */
            o->range[axis + 3] += o->voxel_size[axis] * check_float(check, 0, 0.9f);
    }
    o->num_features = (int)check_int(check, 3, 7);
    o->max_points_per_voxel = (int32_t)check_int(check, 0, 4);
    o->max_voxels = check_int(check, 0, 3) ? points + 1 : check_int(check, 1, points + 1);
    o->grid_extra_z = (int32_t)check_int(check, 0, 2);
    o->index_order = check_random(check) & 1 ? SPC_INDEX_XYZ : SPC_INDEX_ZYX;
    o->feature_type = check_random(check) & 1 ? SPC_DTYPE_F16 : SPC_DTYPE_F32;
}

/* A coordinate anywhere near the range: inside, on borders between cells, just off the edges. */
static float coordinate(struct check *check, const struct spc_voxelizer_options *o, int axis)
{
    float low = o->range[axis], high = o->range[axis + 3], size = o->voxel_size[axis];

    switch (check_random(check) % 12) {
    case 0:
        return low + size * (float)check_int(check, 0, 80);
    case 1:
        return nextafterf(low, check_random(check) & 1 ? -INFINITY : INFINITY);
    case 2:
        return nextafterf(high, check_random(check) & 1 ? -INFINITY : INFINITY);
    case 3:
        return check_random(check) & 1 ? low : high;
    case 4:
        return check_random(check) & 1 ? NAN : check_odd_float(check);
    default:
        return check_float(check, low - size, high + size);
    }
}

/* Records of float32 coordinates and fields of any type, all at odd offsets. */
static void random_points(struct check *check, const struct spc_voxelizer_options *o,
                          struct spc_points *points, int64_t count)
{
    static const enum spc_dtype types[] = {SPC_DTYPE_F32, SPC_DTYPE_F16, SPC_DTYPE_U8,
                                           SPC_DTYPE_U32};
    unsigned char *data;

    memset(points, 0, sizeof(*points));
    points->count = count;
    points->num_fields = (int)check_int(check, o->num_features, 8);
    points->stride = (size_t)check_int(check, 0, 5);
    for (int f = 0; f < points->num_fields; f++) {
        points->fields[f].type = f < 3 ? SPC_DTYPE_F32 : types[check_int(check, 0, 3)];
        points->fields[f].offset = points->stride;
        points->stride += spc_dtype_size(points->fields[f].type);
    }
    data = check_alloc(check, (size_t)count * points->stride + 1);
    data += 1;
    points->data = data;
    for (int64_t i = 0; i < count; i++, data += points->stride) {
        for (int f = 0; f < points->num_fields; f++) {
            float value = f < 3 ? coordinate(check, o, f) : check_odd_float(check);
            uint16_t half = (uint16_t)check_int(check, 0, 0x7bff);
            uint32_t bits = (uint32_t)check_random(check);

            if (points->fields[f].type == SPC_DTYPE_F32)
                memcpy(data + points->fields[f].offset, &value, sizeof(value));
            else if (points->fields[f].type == SPC_DTYPE_F16)
                memcpy(data + points->fields[f].offset, &half, sizeof(half));
            else
                memcpy(data + points->fields[f].offset, &bits,
                       spc_dtype_size(points->fields[f].type));
        }
    }
}

static void compare(struct check *check, struct spc_voxelizer *voxelizer,
                    const struct spc_voxelizer_options *o, const struct spc_points *points)
{
    size_t row = (size_t)o->num_features * spc_dtype_size(o->feature_type);
    size_t rows = (size_t)o->max_voxels;
    void *features[2] = {check_alloc(check, rows * row), check_alloc(check, rows * row)};
    int32_t *indices[2] = {check_alloc(check, rows * 16), check_alloc(check, rows * 16)};
    struct spc_voxelizer_result result[2] = {{0}};
    struct spc_error err[2] = {{0}};
    enum spc_status a, e;

    a = spc_voxelizer_run(voxelizer, points, features[0], indices[0], &result[0], &err[0]);
    e = spc__voxelize_c(o, points, features[1], indices[1], &result[1], &err[1]);
    check_true(check, a == e, "status %s (%s), expected %s", spc_status_name(a), err[0].message,
               spc_status_name(e));
    if (e)
        check_true(check, !strcmp(err[0].message, err[1].message), "\"%s\", expected \"%s\"",
                   err[0].message, err[1].message);
    check_same(check, "result", &result[0], &result[1], sizeof(result[0]));
    /* Whole buffers: what is not to be written keeps its poison. */
    check_same(check, "indices", indices[0], indices[1], rows * 16);
    check_same(check, "features", features[0], features[1], rows * row);
}

static void test_random(struct check *check)
{
    for (int round = 0; round < 300; round++) {
        struct spc_voxelizer_options o;
        struct spc_voxelizer *voxelizer = NULL;
        struct spc_points points;
        struct spc_error err;
        int64_t most = check_int(check, 0, 3) ? check_int(check, 1, 60) : 3000;

        random_options(check, &o, most);
        if (!check_true(check, !spc_voxelizer_create(&o, &voxelizer, &err), "%s", err.message))
            continue;
        for (int frame = 0; frame < 3; frame++) { /* of one voxelizer: nothing may be left over */
            random_points(check, &o, &points, check_int(check, 0, most));
            compare(check, voxelizer, &o, &points);
        }
        spc_voxelizer_free(&voxelizer);
        check_release(check);
    }
}

struct bench {
    struct spc_voxelizer *voxelizer;
    struct spc_points points;
    void *features;
    int32_t *indices;
    struct spc_voxelizer_result result;
};

static void run_frame(void *context)
{
    struct bench *b = context;

    if (spc_voxelizer_run(b->voxelizer, &b->points, b->features, b->indices, &b->result, NULL))
        abort();
}

/* The real frame where it is at hand, else rings on flat ground at distances like a sensor's. */
static void make_cloud(struct check *check, struct spc_array *cloud)
{
    const char *folder = getenv("SPC_TEST_DATA");
    char path[4096];
    float *p;

    snprintf(path, sizeof(path), "%s/frames/nuscenes_10sweeps.xyzit.f16.bin", folder ? folder : "");
    if (!spc_points_read(path, 5, SPC_DTYPE_F16, cloud, NULL))
        return;
    fprintf(stderr, "spc-check: no frame at %s: SPC_TEST_DATA names its folder; synthetic rings "
                    "instead\n", path);
    *cloud = (struct spc_array){.dtype = SPC_DTYPE_F32, .rank = 2, .dims = {270000, 5},
                                .size = 270000 * 20};
    cloud->data = p = malloc(cloud->size);
    for (int64_t i = 0; p && i < cloud->dims[0]; i++, p += 5) {
        float distance = 4 * powf(1.1f, (float)(i % 32)), angle = (float)(i / 32) * 6.2832e-3f;

        distance *= check_float(check, 0.98f, 1.02f);
        p[0] = distance * cosf(angle);
        p[1] = distance * sinf(angle);
        p[2] = check_float(check, -2, -1);
        p[3] = p[4] = 0.5f;
    }
}

static void bench_frame(struct check *check)
{
    static const float range[6] = {-54, -54, -5, 54, 54, 3}, size[3] = {0.075f, 0.075f, 0.2f};
    static const enum spc_dtype types[] = {SPC_DTYPE_F32, SPC_DTYPE_F16};
    struct bench b = {.points = {.stride = 20, .num_fields = 5}};
    struct spc_voxelizer_options o;
    struct spc_array cloud = {0};

    make_cloud(check, &cloud);
    b.points.data = cloud.data;
    b.points.count = cloud.dims[0];
    for (int f = 0; f < 5; f++) {
        b.points.fields[f].type = SPC_DTYPE_F32;
        b.points.fields[f].offset = (size_t)f * 4;
    }
    spc_voxelizer_options_default(&o);
    memcpy(o.range, range, sizeof(range));
    memcpy(o.voxel_size, size, sizeof(size));
    o.max_voxels = b.points.count;
    b.features = check_alloc(check, (size_t)o.max_voxels * 20);
    b.indices = check_alloc(check, (size_t)o.max_voxels * 16);
    for (int i = 0; i < 2; i++) {
        o.feature_type = types[i];
        if (spc_voxelizer_create(&o, &b.voxelizer, NULL))
            abort();
        check_bench(check, spc_dtype_name(types[i]), (double)b.points.count, "point", run_frame,
                    &b);
        spc_voxelizer_free(&b.voxelizer);
    }
    spc_array_free(&cloud);
}

const struct check_case check_voxel[] = {
    {"voxelize", test_random, bench_frame},
    {NULL, NULL, NULL},
};
