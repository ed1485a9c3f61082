/* SPDX-License-Identifier: MIT */
/* The voxelizer against its reference, and its speed on a frame like a 32-beam sensor's. */
#include "check.h"
#include "clouds.h"

#include "voxel/voxelizer.h"

#include <stdlib.h>
#include <string.h>

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

        cloud_options(check, &o, most);
        if (!check_true(check, !spc_voxelizer_create(&o, &voxelizer, &err), "%s", err.message))
            continue;
        for (int frame = 0; frame < 3; frame++) { /* of one voxelizer: nothing may be left over */
            cloud_points(check, &o, &points, check_int(check, 0, most));
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

static void bench_frame(struct check *check)
{
    static const enum spc_dtype types[] = {SPC_DTYPE_F32, SPC_DTYPE_F16};
    struct bench b = {0};
    struct spc_voxelizer_options o;
    struct spc_array cloud = {0};

    cloud_of_sensor(check, &cloud);
    b.points = cloud_sensor_points(&cloud, cloud.data);
    cloud_sensor_options(&o);
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
