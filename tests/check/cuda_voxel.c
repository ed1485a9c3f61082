/* SPDX-License-Identifier: MIT */
/*
 * The voxelizer on the device against the CPU's reference: the same bits, except those of a NaN;
 * and its speed, frame after frame on one stream.
 */
#include "check.h"
#include "clouds.h"
#include "device.h"

#include "voxel/voxelizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Every NaN becomes the same. */
static void same_nans(void *features, size_t count, enum spc_dtype type)
{
    uint16_t *h = features;
    float *f = features;

    for (size_t i = 0; i < count; i++)
        if (type == SPC_DTYPE_F32)
            f[i] = isnan(f[i]) ? NAN : f[i];
        else
            h[i] = (h[i] & 0x7fff) > 0x7c00 ? 0x7e00 : h[i];
}

/* A frame through the device, from and to memory of either kind. */
struct result {
    enum spc_status status;
    struct spc_error err;
    struct spc_voxelizer_result counts;
    void *features;
    int32_t *indices;
};

static void alloc_result(struct check *check, struct result *r,
                         const struct spc_voxelizer_options *o)
{
    size_t rows = (size_t)o->max_voxels;

    memset(r, 0, sizeof(*r));
    r->features =
        check_alloc(check, rows * (size_t)o->num_features * spc_dtype_size(o->feature_type));
    r->indices = check_alloc(check, rows * 4 * sizeof(int32_t));
}

/* Points and voxels in device memory; the points at an address that is a multiple of nothing. */
static void run_on_device(struct check *check, struct spc_voxelizer *voxelizer,
                          const struct spc_voxelizer_options *o, const struct spc_points *points,
                          struct result *r)
{
    size_t features =
        (size_t)o->max_voxels * (size_t)o->num_features * spc_dtype_size(o->feature_type);
    size_t indices = (size_t)o->max_voxels * 4 * sizeof(int32_t);
    struct spc_points there = *points;
    struct spc_voxels voxels = {.memory = SPC_MEMORY_CUDA};
    int32_t *count = device_alloc(sizeof(*count)), counted;

    there.data = (char *)device_copy((char *)points->data - 1,
                                     (size_t)points->count * points->stride + 1) + 1;
    there.memory = SPC_MEMORY_CUDA;
    voxels.features = device_copy(r->features, features);
    voxels.indices = device_copy(r->indices, indices);
    voxels.device_count = count;
    r->status = spc_voxelizer_submit(voxelizer, &there, &voxels, &r->err);
    if (!check_true(check, !r->status, "submit: %s", r->err.message))
        return;
    r->status = spc_voxelizer_wait(voxelizer, &r->counts, &r->err);
    device_read(r->features, voxels.features, features);
    device_read(r->indices, voxels.indices, indices);
    device_read(&counted, count, sizeof(counted));
    check_true(check, counted == (r->status ? -1 : r->counts.num_voxels), "the device counts %d",
               counted);
    check_true(check, voxels.num_voxels == o->max_voxels, "num_voxels is %lld",
               (long long)voxels.num_voxels);
}

static void compare(struct check *check, struct spc_voxelizer *voxelizer,
                    const struct spc_voxelizer_options *o, const struct spc_points *points,
                    bool on_device)
{
    size_t values = (size_t)o->max_voxels * (size_t)o->num_features;
    size_t bytes = values * spc_dtype_size(o->feature_type);
    struct result a, e;

    alloc_result(check, &a, o);
    alloc_result(check, &e, o);
    if (on_device)
        run_on_device(check, voxelizer, o, points, &a);
    else
        a.status =
            spc_voxelizer_run(voxelizer, points, a.features, a.indices, &a.counts, &a.err);
    e.status = spc__voxelize_c(o, points, e.features, e.indices, &e.counts, &e.err);
    check_true(check, a.status == e.status, "status %s (%s), expected %s",
               spc_status_name(a.status), a.err.message, spc_status_name(e.status));
    if (e.status)
        check_true(check, !strcmp(a.err.message, e.err.message), "\"%s\", expected \"%s\"",
                   a.err.message, e.err.message);
    check_same(check, "counts", &a.counts, &e.counts, sizeof(a.counts));
    /* Whole buffers: what is not to be written keeps its poison. */
    check_same(check, "indices", a.indices, e.indices, (size_t)o->max_voxels * 16);
    same_nans(a.features, values, o->feature_type);
    same_nans(e.features, values, o->feature_type);
    check_same(check, "features", a.features, e.features, bytes);
}

static struct spc_voxelizer *open_voxelizer(struct check *check,
                                            const struct spc_voxelizer_options *o)
{
    struct spc_voxelizer_options with = *o;
    struct spc_voxelizer *voxelizer = NULL;
    struct spc_error err = {0};

    with.backend = "cuda";
    check_true(check, !spc_voxelizer_create(&with, &voxelizer, &err), "%s", err.message);
    return voxelizer;
}

static void test_random(struct check *check)
{
    for (int round = 0; device_usable(check) && round < 100; round++) {
        struct spc_voxelizer_options o;
        struct spc_voxelizer *voxelizer;
        struct spc_points points;
        int64_t most = check_int(check, 0, 3) ? check_int(check, 1, 60) : 3000;

        cloud_options(check, &o, most);
        o.cuda_graph = check_random(check) & 1;
        voxelizer = open_voxelizer(check, &o);
        for (int frame = 0; voxelizer && frame < 4; frame++) {
            cloud_points(check, &o, &points, check_int(check, 0, most));
            compare(check, voxelizer, &o, &points, frame % 2);
        }
        spc_voxelizer_free(&voxelizer);
        check_release(check);
        device_release();
    }
}

/* Which cluster each point is in, in random order: clusters of so many points for lists of one
 * part, of several, of a block in shared memory and beyond; and one that goes beyond a block's
 * window. */
static void deal(struct check *check, uint16_t *cluster, int64_t points)
{
    static const int sizes[] = {1, 7, 8, 9, 31, 32, 33, 38, 39, 1920, 1921, 5000};
    enum { SIZES = sizeof(sizes) / sizeof(*sizes) };
    uint16_t c = 0;

    for (int64_t i = 0, left = sizes[0]; i < points; i++) {
        cluster[i] = c;
        if (--left <= 0 && i < points / 2)
            left = sizes[++c % SIZES];
    }
    for (int64_t i = points - 1; i > 0; i--) {
        int64_t j = check_int(check, 0, i);
        uint16_t other = cluster[j];

        cluster[j] = cluster[i];
        cluster[i] = other;
    }
}

static void test_clusters(struct check *check)
{
    enum { POINTS = 300000 };
    struct spc_voxelizer_options o;
    struct spc_array cloud = {.dims = {POINTS, 5}};
    /* The byte before is read, too. */
    float(*p)[5] = (float(*)[5])((char *)check_alloc(check, (size_t)POINTS * 20 + 4) + 4);
    uint16_t *cluster = check_alloc(check, POINTS * sizeof(*cluster));
    struct spc_points points = cloud_sensor_points(&cloud, p);

    if (!device_usable(check))
        return;
    cloud_sensor_options(&o);
    for (int round = 0; round < 4; round++) {
        struct spc_voxelizer *voxelizer;

        o.max_points_per_voxel = round == 3 ? 10 : 0;
        o.max_voxels = round == 2 ? 50 : 2000;
        o.feature_type = round & 1 ? SPC_DTYPE_F16 : SPC_DTYPE_F32;
        deal(check, cluster, POINTS);
        for (int64_t i = 0; i < POINTS; i++) {
            for (int f = 0; f < 5; f++)
                p[i][f] = check_float(check, 0.0075f, 0.0675f);
            p[i][0] += round ? (float)(cluster[i] % 20) * 0.075f : 0;
            p[i][1] += round ? (float)(cluster[i] / 20) * 0.075f : 0;
        }
        voxelizer = open_voxelizer(check, &o);
        if (voxelizer)
            compare(check, voxelizer, &o, &points, round & 1);
        spc_voxelizer_free(&voxelizer);
        device_release();
    }
}

/* A sensor's frame, and parts of it through the same voxelizer, with the CPU's own lists. */
static void test_sensor(struct check *check)
{
    struct spc_voxelizer_options o;
    struct spc_voxelizer *voxelizer = NULL;
    struct spc_array cloud = {0};

    if (!device_usable(check))
        return;
    cloud_of_sensor(check, &cloud);
    cloud_sensor_options(&o);
    voxelizer = open_voxelizer(check, &o);
    for (int frame = 0; voxelizer && frame < 4; frame++) {
        struct spc_points points =
            cloud_sensor_points(&cloud, (char *)cloud.data + (frame ? 20 * frame : 0));

        points.count = frame == 1 ? 1000 : frame == 2 ? 0 : points.count - 3;
        compare(check, voxelizer, &o, &points, false);
        check_release(check);
    }
    spc_voxelizer_free(&voxelizer);
    spc_array_free(&cloud);
    device_release();
}

/* ---- speed ---- */

/* So many voxelizers take a frame each on one stream before the first is waited for, so that the
 * time of one is what the device needs. */
#define FRAMES 8

struct bench {
    struct spc_voxelizer *voxelizer[FRAMES];
    struct spc_points points;
};

static void run_frames(void *context)
{
    struct bench *b = context;
    struct spc_voxelizer_result result;

    for (int i = 0; i < FRAMES; i++) {
        struct spc_voxels voxels = {.memory = SPC_MEMORY_CUDA};

        if (spc_voxelizer_submit(b->voxelizer[i], &b->points, &voxels, NULL))
            abort();
    }
    for (int i = 0; i < FRAMES; i++)
        if (spc_voxelizer_wait(b->voxelizer[i], &result, NULL))
            abort();
}

static void bench_sensor(struct check *check)
{
    static const char *const labels[] = {"recorded (x8)", "launches (x8)", "recorded, float16 (x8)",
                                         "from host memory (x8)", "empty (x8)"};
    struct bench b;
    struct spc_array cloud = {0};

    if (!device_usable(check))
        return;
    cloud_of_sensor(check, &cloud);
    for (int mode = 0; mode < 5; mode++) {
        struct spc_voxelizer_options o;

        cloud_sensor_options(&o);
        o.cuda_graph = mode != 1;
        o.feature_type = mode == 2 ? SPC_DTYPE_F16 : SPC_DTYPE_F32;
        b.points = cloud_sensor_points(&cloud, cloud.data);
        if (mode == 4)
            b.points.count = 0;
        if (mode != 3) {
            b.points.data = device_copy(cloud.data, cloud.size);
            b.points.memory = SPC_MEMORY_CUDA;
        }
        for (int i = 0; i < FRAMES; i++)
            b.voxelizer[i] = open_voxelizer(check, &o);
        check_bench(check, labels[mode], (double)FRAMES * (double)cloud.dims[0], "point",
                    run_frames, &b);
        for (int i = 0; i < FRAMES; i++)
            spc_voxelizer_free(&b.voxelizer[i]);
        device_release();
    }
    spc_array_free(&cloud);
}

const struct check_case check_cuda_voxel[] = {
    {"random", test_random, NULL},
    {"clusters", test_clusters, NULL},
    {"sensor", test_sensor, bench_sensor},
    {NULL, NULL, NULL},
};
