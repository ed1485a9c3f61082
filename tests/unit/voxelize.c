/* SPDX-License-Identifier: MIT */
/* The voxelizer: cells and means by hand, edges of the range, every refusal, a real frame. */
#include "base/half.h"
#include "test.h"

#include <spc/spc.h>

/* 4 x 4 x 2 cells of half a metre, x and y from -1 to 1, z from 0 to 1. */
static struct spc_voxelizer_options small_options(void)
{
    static const float range[6] = {-1, -1, 0, 1, 1, 1}, size[3] = {0.5f, 0.5f, 0.5f};
    struct spc_voxelizer_options o;

    spc_voxelizer_options_default(&o);
    memcpy(o.range, range, sizeof(range));
    memcpy(o.voxel_size, size, sizeof(size));
    o.num_features = 4;
    o.max_voxels = 32;
    o.backend = "cpu";
    return o;
}

static struct spc_points float_points(const void *data, int64_t count, int num_fields)
{
    struct spc_points p = {data, count, (size_t)num_fields * sizeof(float), num_fields, {{0}}};

    for (int i = 0; i < num_fields; i++) {
        p.fields[i].type = SPC_DTYPE_F32;
        p.fields[i].offset = (size_t)i * sizeof(float);
    }
    return p;
}

static const float two_voxels[][4] = {
    {0.1f, 0.2f, 0.6f, 10}, {-0.9f, -0.9f, 0.1f, 1}, {0.3f, 0.4f, 0.9f, 20},
    {5, 0, 0, 99},          {0.2f, 0.0f, 0.5f, 60},
};

TEST(means)
{
    struct spc_voxelizer_options o = small_options();
    struct spc_points points = float_points(two_voxels, 5, 4);
    struct spc_voxelizer *v = NULL;
    struct spc_voxelizer_result r;
    float features[32][4];
    int32_t indices[32][4], z, y, x;

    REQUIRE(!spc_voxelizer_create(&o, &v, NULL));
    spc_voxelizer_get_grid(v, &z, &y, &x);
    CHECK(z == 2 && y == 4 && x == 4);
    REQUIRE(!spc_voxelizer_run(v, &points, features, indices[0], &r, NULL));
    CHECK_INT(r.num_voxels, 2);
    CHECK_INT(r.points_used, 4);
    CHECK_INT(r.points_outside, 1);
    CHECK_INT(r.points_over, 0);
    CHECK(!memcmp(indices[0], (int32_t[]){0, 0, 0, 0}, 16));
    CHECK(!memcmp(indices[1], (int32_t[]){0, 1, 2, 2}, 16));
    CHECK(!memcmp(features[0], two_voxels[1], 16));
    CHECK_NEAR(features[1][0], 0.2, 1e-7);
    CHECK_NEAR(features[1][1], 0.2, 1e-7);
    CHECK_NEAR(features[1][2], 2.0 / 3, 1e-7);
    CHECK_INT(features[1][3], 30);
    spc_voxelizer_free(&v);
    CHECK(v == NULL);
    spc_voxelizer_free(&v);
    spc_voxelizer_free(NULL);
}

TEST(options)
{
    struct spc_voxelizer_options o = small_options();
    struct spc_points points = float_points(two_voxels, 5, 4);
    struct spc_voxelizer *v = NULL;
    struct spc_voxelizer_result r;
    uint16_t features[32][3];
    int32_t indices[32][4], z, y, x;

    o.max_points_per_voxel = 2; /* the first two in point order */
    o.index_order = SPC_INDEX_XYZ;
    o.feature_type = SPC_DTYPE_F16;
    o.num_features = 3; /* the fourth field is left out */
    o.grid_extra_z = 1;
    REQUIRE(!spc_voxelizer_create(&o, &v, NULL));
    spc_voxelizer_get_grid(v, &z, &y, &x);
    CHECK_INT(z, 3);
    REQUIRE(!spc_voxelizer_run(v, &points, features, indices[0], &r, NULL));
    CHECK_INT(r.num_voxels, 2);
    CHECK_INT(r.points_used, 3);
    CHECK_INT(r.points_over, 1);
    CHECK(!memcmp(indices[1], (int32_t[]){0, 2, 2, 1}, 16));
    CHECK_INT(features[1][0], spc__half_from_float((0.1f + 0.3f) / 2));
    CHECK_INT(features[1][2], spc__half_from_float((0.6f + 0.9f) / 2));
    spc_voxelizer_free(&v);
}

/* The minimum belongs to the range, the maximum does not; borders belong to the upper cell. */
TEST(borders)
{
    static const float points[][3] = {
        {-1, -1, 0}, {-0.5f, 0, 0.5f}, {1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {-1.0000001f, 0, 0},
        {0.99999994f, 0.99999994f, 0.99999994f}, {NAN, 0, 0}, {0, NAN, 0}, {0, 0, NAN},
        {INFINITY, 0, 0}, {0, -INFINITY, 0}, {-0.0f, -0.0f, -0.0f},
    };
    static const int32_t expected[][4] = {{0, 0, 0, 0}, {0, 1, 2, 1}, {0, 0, 2, 2}, {0, 1, 3, 3}};
    struct spc_voxelizer_options o = small_options();
    struct spc_points p = float_points(points, sizeof(points) / sizeof(points[0]), 3);
    struct spc_voxelizer *v = NULL;
    struct spc_voxelizer_result r;
    float features[32][3];
    int32_t indices[32][4];

    o.num_features = 3;
    REQUIRE(!spc_voxelizer_create(&o, &v, NULL));
    REQUIRE(!spc_voxelizer_run(v, &p, features, indices[0], &r, NULL));
    CHECK_INT(r.num_voxels, 4);
    CHECK_INT(r.points_outside, 9);
    CHECK(!memcmp(indices, expected, sizeof(expected)));
    spc_voxelizer_free(&v);
}

/* In float32 the quotient for the last points below the maximum comes out as the number of cells:
 * they belong to the last cell. */
TEST(upper_edge)
{
    static const float range[6] = {-54, -54, -5, 54, 54, 3}, size[3] = {0.075f, 0.075f, 0.2f};
    float point[3] = {nextafterf(54, 0), nextafterf(54, 0), nextafterf(3, 0)}, features[3];
    struct spc_points p = float_points(point, 1, 3);
    struct spc_voxelizer_options o;
    struct spc_voxelizer *v = NULL;
    struct spc_voxelizer_result r;
    int32_t index[4], z, y, x;

    spc_voxelizer_options_default(&o);
    memcpy(o.range, range, sizeof(range));
    memcpy(o.voxel_size, size, sizeof(size));
    o.backend = "cpu";
    o.num_features = 3;
    o.max_voxels = 1;
    CHECK((point[0] + 54) / 0.075f >= 1440);
    REQUIRE(!spc_voxelizer_create(&o, &v, NULL));
    spc_voxelizer_get_grid(v, &z, &y, &x);
    CHECK(z == 40 && y == 1440 && x == 1440);
    REQUIRE(!spc_voxelizer_run(v, &p, features, index, &r, NULL));
    CHECK_INT(r.num_voxels, 1);
    CHECK(!memcmp(index, (int32_t[]){0, 39, 1439, 1439}, 16));
    spc_voxelizer_free(&v);
}

/* Records of mixed types at odd addresses. */
TEST(field_types)
{
    unsigned char record[1 + 12] = {0};
    const float x = 0.75f, features_expected[5] = {0.75f, -0.25f, 0.5f, 200, 70000};
    const uint16_t y = 0xb400, z = 0x3800;
    const uint32_t time = 70000;
    struct spc_points p = {record + 1, 1, 13, 5,
                           {{SPC_DTYPE_F32, 0}, {SPC_DTYPE_F16, 4}, {SPC_DTYPE_F16, 6},
                            {SPC_DTYPE_U8, 8}, {SPC_DTYPE_U32, 8}}};
    struct spc_voxelizer_options o = small_options();
    struct spc_voxelizer *v = NULL;
    struct spc_voxelizer_result r;
    float features[5];
    int32_t index[4];

    p.stride = 12;
    o.num_features = 5;
    o.max_voxels = 1;
    memcpy(record + 1, &x, 4);
    memcpy(record + 5, &y, 2);
    memcpy(record + 7, &z, 2);
    memcpy(record + 9, &time, 4);
    REQUIRE(!spc_voxelizer_create(&o, &v, NULL));
    REQUIRE(!spc_voxelizer_run(v, &p, features, index, &r, NULL));
    CHECK_INT(r.num_voxels, 1);
    for (int f = 0; f < 5; f++)
        CHECK_NEAR(features[f], f == 3 ? (float)(70000 & 0xff) : features_expected[f], 0);
    spc_voxelizer_free(&v);
}

TEST(empty_and_full)
{
    struct spc_voxelizer_options o = small_options();
    float grid[32][4], features[31][4];
    int32_t indices[31][4];
    struct spc_points points = float_points(grid, 32, 4), none = float_points(NULL, 0, 4);
    struct spc_voxelizer *v = NULL;
    struct spc_voxelizer_result r;
    struct spc_error err;

    for (int i = 0; i < 32; i++) {
        grid[i][0] = (float)(i % 4) * 0.5f - 0.75f;
        grid[i][1] = (float)(i / 4 % 4) * 0.5f - 0.75f;
        grid[i][2] = (float)(i / 16) * 0.5f + 0.25f;
        grid[i][3] = (float)i;
    }
    o.max_voxels = 31;
    memset(features, 0x5a, sizeof(features));
    REQUIRE(!spc_voxelizer_create(&o, &v, &err));
    CHECK_INT(spc_voxelizer_run(v, &points, features, indices[0], &r, &err), SPC_ERR_CAPACITY);
    CHECK_TEXT(err.message, "32 voxels, but max_voxels is 31");
    CHECK(features[0][0] == features[30][3]); /* nothing was written */
    REQUIRE(!spc_voxelizer_run(v, &none, features, indices[0], &r, &err));
    CHECK_INT(r.num_voxels, 0);
    points.count = 31;
    REQUIRE(!spc_voxelizer_run(v, &points, features, indices[0], &r, &err));
    CHECK_INT(r.num_voxels, 31);
    CHECK_INT(r.points_used, 31);
    spc_voxelizer_free(&v);
}

/* In two halves, into the caller's memory and into the voxelizer's: the same as in one. */
TEST(halves)
{
    struct spc_voxelizer_options o = small_options();
    struct spc_points points = float_points(two_voxels, 5, 4);
    struct spc_voxelizer *v = NULL;
    struct spc_voxelizer_result r[2];
    struct spc_voxels own = {0}, mine = {0};
    struct spc_error err;
    float features[2][32][4];
    int32_t indices[2][32][4];

    REQUIRE(!spc_voxelizer_create(&o, &v, NULL));
    CHECK(!strcmp(spc_voxelizer_backend(v), "cpu"));
    REQUIRE(!spc_voxelizer_run(v, &points, features[0], indices[0][0], &r[0], NULL));
    CHECK_INT(spc_voxelizer_wait(v, &r[1], &err), SPC_ERR_ARGUMENT);
    CHECK_TEXT(err.message, "no frame is in flight");
    REQUIRE(!spc_voxelizer_submit(v, &points, &own, &err));
    CHECK_INT(spc_voxelizer_submit(v, &points, &own, &err), SPC_ERR_ARGUMENT);
    CHECK_TEXT(err.message, "a frame is in flight");
    CHECK_INT(own.num_voxels, 2);
    CHECK(own.memory == SPC_MEMORY_HOST && own.feature_type == SPC_DTYPE_F32);
    CHECK(!own.device_count && !own.stream);
    CHECK(!memcmp(own.features, features[0], 32) && !memcmp(own.indices, indices[0], 32));
    REQUIRE(!spc_voxelizer_wait(v, &r[1], &err));
    CHECK(!memcmp(&r[0], &r[1], sizeof(r[0])));
    mine.features = features[1];
    mine.indices = indices[1][0];
    REQUIRE(!spc_voxelizer_submit(v, &points, &mine, &err));
    REQUIRE(!spc_voxelizer_wait(v, &r[1], &err));
    CHECK(mine.features == features[1] && mine.indices == indices[1][0]);
    CHECK(!memcmp(features[0], features[1], 32) && !memcmp(indices[0], indices[1], 32));
    spc_voxelizer_free(&v);
}

/* What a frame on the CPU cannot be, with the words that help. */
TEST(frames_refused)
{
    struct spc_voxelizer_options o = small_options();
    struct spc_points points = float_points(two_voxels, 5, 4);
    struct spc_voxelizer *v = NULL;
    struct spc_voxelizer_result r;
    struct spc_error err;
    float features[32][4];
    int32_t indices[32][4];
    const struct {
        struct spc_voxels voxels;
        const char *says;
    } cases[] = {
        {{.memory = SPC_MEMORY_CUDA}, "takes no voxels in CUDA memory"},
        {{.memory = 7}, "memory kind 7 of the voxels"},
        {{.features = features}, "indices is NULL"},
        {{.indices = indices[0]}, "features is NULL"},
        {{.features = (char *)features + 1, .indices = indices[0]}, "not aligned"},
        {{.reserved = {0, 1}}, "reserved words of spc_voxels"},
    };

    REQUIRE(!spc_voxelizer_create(&o, &v, NULL));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct spc_voxels voxels = cases[i].voxels;

        CHECK_INT(spc_voxelizer_submit(v, &points, &voxels, &err), SPC_ERR_ARGUMENT);
        CHECK_TEXT(err.message, cases[i].says);
    }
    points.memory = SPC_MEMORY_CUDA;
    CHECK_INT(spc_voxelizer_run(v, &points, features, indices[0], &r, &err), SPC_ERR_ARGUMENT);
    CHECK_TEXT(err.message, "backend \"cpu\" takes no points in CUDA memory");
    points.memory = SPC_MEMORY_HOST;
    CHECK_INT(spc_voxelizer_run(v, &points, NULL, indices[0], &r, &err), SPC_ERR_ARGUMENT);
    CHECK_TEXT(err.message, "features is NULL");
    CHECK_INT(spc_voxelizer_wait(v, &r, &err), SPC_ERR_ARGUMENT); /* none of them is in flight */
    spc_voxelizer_free(&v);
}

TEST(unknown_backend)
{
    struct spc_voxelizer_options o = small_options();
    struct spc_voxelizer *v = NULL;
    struct spc_error err;

    o.backend = "tpu";
    CHECK_INT(spc_voxelizer_create(&o, &v, &err), SPC_ERR_BACKEND);
    CHECK_TEXT(err.message, "\"tpu\" is not known; known are: auto, cuda, cpu");
    CHECK(!v);
}

static void refuse_options(const struct spc_voxelizer_options *o, const char *text)
{
    struct spc_voxelizer *v = NULL;
    struct spc_error err = {0};

    CHECK_INT(spc_voxelizer_create(o, &v, &err), SPC_ERR_ARGUMENT);
    CHECK_TEXT(err.message, text);
    CHECK(v == NULL);
    spc_voxelizer_free(&v);
}

#define REFUSE(change, text)                                                                       \
    do {                                                                                           \
        struct spc_voxelizer_options o = small_options();                                          \
        change;                                                                                    \
        refuse_options(&o, text);                                                                  \
    } while (0)

TEST(options_refused)
{
    refuse_options(NULL, "options are needed");
    REFUSE(o.struct_size = 0, "spc_voxelizer_options_default() first");
    REFUSE(o.num_features = 2, "num_features is 2; 3 to 16");
    REFUSE(o.num_features = 17, "num_features is 17");
    REFUSE(o.max_voxels = 0, "max_voxels is 0");
    REFUSE(o.max_voxels = INT64_MAX, "max_voxels is 9223372036854775807");
    REFUSE(o.max_points_per_voxel = -1, "max_points_per_voxel is -1");
    REFUSE(o.feature_type = SPC_DTYPE_I8, "features cannot be int8");
    REFUSE(o.index_order = SPC_INDEX_ORDER_AUTO, "index_order");
    REFUSE(o.range[3] = -1, "range -1 .. -1 m in steps of 0.5 m along x holds no cells");
    REFUSE(o.range[4] = NAN, "along y holds no cells");
    REFUSE(o.range[5] = INFINITY, "along z holds no cells");
    REFUSE((o.range[0] = -3e38f, o.range[3] = 3e38f), "along x holds no cells");
    REFUSE(o.voxel_size[1] = 0, "in steps of 0 m along y");
    REFUSE(o.voxel_size[2] = -1, "in steps of -1 m along z");
    REFUSE(o.voxel_size[0] = 1e-5f, "along x makes 200000 cells (0 of them extra); 1 to 32768");
    REFUSE(o.voxel_size[0] = 5, "along x makes 0 cells");
    REFUSE(o.grid_extra_z = 40000, "(40000 of them extra)");
    REFUSE(o.grid_extra_z = -1, "(-1 of them extra)");
    REFUSE((o.voxel_size[2] = 5, o.grid_extra_z = 1), "less than half a voxel high");
}

static void refuse_points(const struct spc_points *points, const char *text)
{
    struct spc_voxelizer_options o = small_options();
    struct spc_voxelizer *v = NULL;
    struct spc_voxelizer_result r;
    struct spc_error err = {0};
    float features[32][4];
    int32_t indices[32][4];

    REQUIRE(!spc_voxelizer_create(&o, &v, &err));
    CHECK_INT(spc_voxelizer_run(v, points, features, indices[0], &r, &err), SPC_ERR_ARGUMENT);
    CHECK_TEXT(err.message, text);
    spc_voxelizer_free(&v);
}

TEST(points_refused)
{
    struct spc_points p = float_points(NULL, 1, 4);

    refuse_points(&p, "1 points at no address");
    p = float_points(two_voxels, -1, 4);
    refuse_points(&p, "-1 points");
    p = float_points(two_voxels, 5, 3);
    refuse_points(&p, "points have 3 fields; 4 are to be averaged");
    p = float_points(two_voxels, 5, 4);
    p.num_fields = 17;
    refuse_points(&p, "points have 17 fields");
    p = float_points(two_voxels, 5, 4);
    p.fields[2].type = SPC_DTYPE_I64;
    refuse_points(&p, "field 2 is int64");
    p = float_points(two_voxels, 5, 4);
    p.fields[3].offset = 13;
    refuse_points(&p, "field 3 (4 bytes at offset 13) reaches beyond the record of 16 bytes");
    p.fields[3].offset = SIZE_MAX;
    refuse_points(&p, "field 3 (4 bytes at offset 18446744073709551615)");
    p = float_points(two_voxels, 5, 4);
    p.stride = 2;
    refuse_points(&p, "field 0 (4 bytes at offset 0) reaches beyond the record of 2 bytes");
}

/* A nuScenes frame: how many points and voxels there are is known. */
TEST(real_frame)
{
    static const float range[6] = {-54, -54, -5, 54, 54, 3}, size[3] = {0.075f, 0.075f, 0.2f};
    const char *folder = getenv("SPC_TEST_DATA");
    struct spc_voxelizer_options o;
    struct spc_voxelizer_result r;
    struct spc_voxelizer *v = NULL;
    struct spc_array cloud;
    struct spc_points points;
    char path[4096];
    float *features = malloc(200000 * 5 * sizeof(*features));
    int32_t *indices = malloc(200000 * 4 * sizeof(*indices));

    snprintf(path, sizeof(path), "%s/frames/nuscenes_10sweeps.xyzit.f16.bin", folder ? folder : "");
    if (spc_points_read(path, 5, SPC_DTYPE_F16, &cloud, NULL)) {
        printf("SKIP: no frame at %s\n", path);
        free(features);
        free(indices);
        return;
    }
    points = float_points(cloud.data, cloud.dims[0], 5);
    spc_voxelizer_options_default(&o);
    memcpy(o.range, range, sizeof(range));
    memcpy(o.voxel_size, size, sizeof(size));
    o.backend = "cpu";
    REQUIRE(!spc_voxelizer_create(&o, &v, NULL));
    REQUIRE(!spc_voxelizer_run(v, &points, features, indices, &r, NULL));
    CHECK_INT(r.num_voxels, 105086);
    CHECK_INT(r.points_used, 236511);
    CHECK_INT(r.points_outside, 271156 - 236511);
    spc_voxelizer_free(&v);
    spc_array_free(&cloud);
    free(features);
    free(indices);
}

int main(void)
{
    RUN(means);
    RUN(options);
    RUN(borders);
    RUN(upper_edge);
    RUN(field_types);
    RUN(empty_and_full);
    RUN(halves);
    RUN(frames_refused);
    RUN(unknown_backend);
    RUN(options_refused);
    RUN(points_refused);
    RUN(real_frame);
    return test_result();
}
