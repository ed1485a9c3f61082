/* SPDX-License-Identifier: MIT */
#include "clouds.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void cloud_options(struct check *check, struct spc_voxelizer_options *o, int64_t points)
{
    spc_voxelizer_options_default(o);
    o->backend = "cpu";
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

void cloud_points(struct check *check, const struct spc_voxelizer_options *o,
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

void cloud_of_sensor(struct check *check, struct spc_array *cloud)
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

void cloud_sensor_options(struct spc_voxelizer_options *o)
{
    static const float range[6] = {-54, -54, -5, 54, 54, 3}, size[3] = {0.075f, 0.075f, 0.2f};

    spc_voxelizer_options_default(o);
    memcpy(o->range, range, sizeof(range));
    memcpy(o->voxel_size, size, sizeof(size));
    o->backend = "cpu";
}

struct spc_points cloud_sensor_points(const struct spc_array *cloud, const void *data)
{
    struct spc_points points = {.data = data, .count = cloud->dims[0], .stride = 20,
                                .num_fields = 5};

    for (int f = 0; f < 5; f++) {
        points.fields[f].type = SPC_DTYPE_F32;
        points.fields[f].offset = (size_t)f * 4;
    }
    return points;
}
