/* SPDX-License-Identifier: MIT */
/*
 * The voxelizer on a GPU, through the public API: the CPU's results, memory of every kind, frames
 * that a session takes over on the device, what is refused and with which words.
 *
 *     test-gpu-voxelizer [--small | --once]
 *
 * --small takes few points, for slow checkers; --once only two small frames, for the slowest.
 */
#include "frames.h"

#define MAX_POINTS 40000

static int64_t many = MAX_POINTS;
static bool once;

struct cloud {
    int64_t count;
    float p[MAX_POINTS][FEATURES];
};

/* Around and in the range of the network; the last point of five is in one of a few voxels. */
static void make_cloud(struct cloud *cloud, int64_t count)
{
    cloud->count = count;
    for (int64_t i = 0; i < count; i++) {
        float across = i % 5 == 4 ? 1.0f : 17.0f, high = i % 5 == 4 ? 0.4f : 4.5f;

        cloud->p[i][0] = ((float)(next_random() % 10000) / 10000 - 0.5f) * across;
        cloud->p[i][1] = ((float)(next_random() % 10000) / 10000 - 0.5f) * across;
        cloud->p[i][2] = ((float)(next_random() % 10000) / 10000 - 0.5f) * high;
        cloud->p[i][3] = (float)(next_random() % 256);
        cloud->p[i][4] = (float)(next_random() % 10) * 0.05f;
    }
}

static struct spc_points host_points(const struct cloud *cloud)
{
    struct spc_points points = {.data = cloud->p, .count = cloud->count,
                                .stride = sizeof(cloud->p[0]), .num_fields = FEATURES};

    for (int f = 0; f < FEATURES; f++) {
        points.fields[f].type = SPC_DTYPE_F32;
        points.fields[f].offset = (size_t)f * sizeof(float);
    }
    return points;
}

/* The grid of the network: 9, 32, 32 with a cell above the range. */
static struct spc_voxelizer_options voxel_options(const char *backend)
{
    static const float range[6] = {-8, -8, -2, 8, 8, 2}, size[3] = {0.5f, 0.5f, 0.5f};
    struct spc_voxelizer_options o;

    spc_voxelizer_options_default(&o);
    memcpy(o.range, range, sizeof(range));
    memcpy(o.voxel_size, size, sizeof(size));
    o.backend = backend;
    o.grid_extra_z = 1;
    o.max_voxels = 9 * 32 * 32;
    return o;
}

static struct spc_voxelizer *open_voxelizer(const struct spc_voxelizer_options *options)
{
    struct spc_voxelizer *voxelizer = NULL;
    struct spc_error err;

    if (spc_voxelizer_create(options, &voxelizer, &err))
        fprintf(stderr, "voxelizer: %s\n", err.message);
    CHECK(voxelizer);
    return voxelizer;
}

struct voxels {
    struct spc_voxelizer_result result;
    float features[9 * 32 * 32][FEATURES];
    int32_t indices[9 * 32 * 32][4];
};

static bool same_voxels(const struct voxels *a, const struct voxels *b)
{
    size_t rows = (size_t)a->result.num_voxels;

    return !memcmp(&a->result, &b->result, sizeof(a->result)) &&
           !memcmp(a->features, b->features, rows * sizeof(a->features[0])) &&
           !memcmp(a->indices, b->indices, rows * sizeof(a->indices[0]));
}

/* Points of growing and shrinking clouds, from pageable and pinned memory, into host memory. */
TEST(as_the_cpu)
{
    const int64_t counts[] = {0, 1, 700, many, 33, many / 2};
    struct spc_voxelizer_options c = voxel_options("cpu"), g = voxel_options("cuda");
    static struct voxels expected, actual;
    struct spc_error err;

    for (int graph = once; graph < 2; graph++) {
        struct spc_voxelizer *cpu = open_voxelizer(&c), *gpu;
        struct cloud *cloud;

        g.cuda_graph = graph;
        gpu = open_voxelizer(&g);
        REQUIRE(cpu && gpu);
        CHECK_TEXT(spc_voxelizer_backend(gpu), "cuda");
        for (size_t i = once ? 5 : 0; i < sizeof(counts) / sizeof(*counts); i++) {
            struct spc_points points;

            REQUIRE(!cudaHostAlloc((void **)&cloud, sizeof(*cloud), cudaHostAllocDefault));
            make_cloud(cloud, counts[i]);
            points = host_points(cloud);
            REQUIRE(!spc_voxelizer_run(cpu, &points, expected.features, expected.indices[0],
                                       &expected.result, &err));
            CHECK(counts[i] < many || expected.result.num_voxels > 1000 || many < 4000);
            for (int pinned = 0; pinned < 2; pinned++) {
                void *copy = malloc(sizeof(*cloud));

                memcpy(copy, cloud, sizeof(*cloud));
                points.data = pinned ? cloud->p : ((struct cloud *)copy)->p;
                memset(&actual, 0, sizeof(actual));
                CHECK(!spc_voxelizer_run(gpu, &points, actual.features, actual.indices[0],
                                         &actual.result, &err));
                CHECK(same_voxels(&actual, &expected));
                free(copy);
            }
            cudaFreeHost(cloud);
        }
        spc_voxelizer_free(&cpu);
        spc_voxelizer_free(&gpu);
    }
}

/* Points, voxels and their number stay on the device, and the host waits for neither before the
 * session has its frame: the same outputs as through the host. */
static void chain(struct spc_voxelizer *voxelizer, struct spc_session *session,
                  const struct cloud *cloud, bool own, cudaStream_t stream,
                  struct result *result)
{
    struct spc_points points = host_points(cloud);
    struct spc_voxels voxels = {.memory = SPC_MEMORY_CUDA};
    struct spc_voxelizer_result counts;
    struct spc_output outputs[OUTPUTS] = {0};
    struct device_frame device;
    struct spc_error err = {0};
    void *data = NULL;

    device_frame_alloc(&device, MAX_ROWS);
    if (!own) {
        CHECK(!cudaMalloc(&data, sizeof(cloud->p)));
        CHECK(!cudaMemcpyAsync(data, cloud->p, sizeof(cloud->p), cudaMemcpyHostToDevice, stream));
        points.memory = SPC_MEMORY_CUDA;
        points.data = data;
        points.stream = stream;
        voxels.features = device.features;
        voxels.indices = device.indices;
        voxels.device_count = device.count;
    }
    CHECK(!spc_voxelizer_submit(voxelizer, &points, &voxels, &err));
    CHECK(voxels.device_count && voxels.num_voxels == MAX_ROWS);
    CHECK(own || (voxels.features == device.features && voxels.stream == stream));
    CHECK(!spc_session_submit(session, &voxels, outputs, OUTPUTS, &err));
    CHECK(!spc_voxelizer_wait(voxelizer, &counts, &err));
    CHECK(!spc_session_wait(session, &err));
    if (err.message[0])
        fprintf(stderr, "%s\n", err.message);
    keep(result, outputs);
    cudaFree(data);
    device_frame_free(&device);
}

TEST(into_a_session)
{
    struct spc_voxelizer_options o = voxel_options("cuda");
    struct spc_session_options s = options_for("cuda");
    static struct cloud cloud;
    static struct voxels voxels;
    struct spc_voxelizer *voxelizer;
    struct spc_session *session = open_session(&s);
    cudaStream_t stream;

    o.max_voxels = MAX_ROWS;
    voxelizer = open_voxelizer(&o);
    REQUIRE(session && voxelizer);
    REQUIRE(!cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    for (int i = 0; i < 4; i++) {
        struct spc_points points;
        struct result expected, actual;
        struct spc_voxels host = {.feature_type = SPC_DTYPE_F32, .features = voxels.features,
                                  .indices = voxels.indices[0]};

        make_cloud(&cloud, i == 3 ? 0 : many < 1500 ? many : 1500);
        points = host_points(&cloud);
        REQUIRE(!spc_voxelizer_run(voxelizer, &points, voxels.features, voxels.indices[0],
                                   &voxels.result, NULL));
        host.num_voxels = voxels.result.num_voxels;
        REQUIRE(!run(session, &host, NULL, &expected));
        chain(voxelizer, session, &cloud, i == 1, stream, &actual);
        CHECK(same_result(&actual, &expected));
        drop(&expected);
        drop(&actual);
    }
    cudaStreamDestroy(stream);
    spc_voxelizer_free(&voxelizer);
    spc_session_free(&session);
}

/* More voxels than the bound: the wait says how many, nothing is written, the session refuses the
 * frame, too, and the next one is right. */
TEST(too_many_voxels)
{
    struct spc_voxelizer_options o = voxel_options("cuda"), c = voxel_options("cpu");
    struct spc_session_options s = options_for("cuda");
    struct spc_session *session = open_session(&s);
    static struct cloud cloud;
    struct spc_points points = host_points(&cloud);
    struct spc_voxelizer_result result = {.num_voxels = -7};
    struct spc_voxels voxels = {.memory = SPC_MEMORY_CUDA};
    struct spc_output outputs[OUTPUTS] = {0};
    struct spc_error err, expected;
    struct spc_voxelizer *gpu, *cpu;
    float features[40][FEATURES];
    int32_t indices[40][4];

    o.max_voxels = c.max_voxels = 40;
    gpu = open_voxelizer(&o);
    cpu = open_voxelizer(&c);
    REQUIRE(gpu && cpu && session);
    make_cloud(&cloud, 500);
    points.count = 500;
    CHECK_INT(spc_voxelizer_run(cpu, &points, features, indices[0], &result, &expected),
              SPC_ERR_CAPACITY);
    memset(features, 0x5a, sizeof(features));
    CHECK_INT(spc_voxelizer_run(gpu, &points, features, indices[0], &result, &err),
              SPC_ERR_CAPACITY);
    CHECK_TEXT(err.message, expected.message);
    CHECK(!memcmp(features[0], features[39], sizeof(features[0])) && result.num_voxels == -7);
    REQUIRE(!spc_voxelizer_submit(gpu, &points, &voxels, &err));
    REQUIRE(!spc_session_submit(session, &voxels, outputs, OUTPUTS, &err));
    CHECK_INT(spc_voxelizer_wait(gpu, &result, &err), SPC_ERR_CAPACITY);
    CHECK_TEXT(err.message, expected.message);
    CHECK_INT(spc_session_wait(session, &err), SPC_ERR_INPUT);
    CHECK_TEXT(err.message, "-1 voxels");
    points.count = 20;
    CHECK(!spc_voxelizer_run(gpu, &points, features, indices[0], &result, &err));
    CHECK(result.num_voxels > 0 && result.num_voxels <= 20);
    spc_voxelizer_free(&gpu);
    spc_voxelizer_free(&cpu);
    spc_session_free(&session);
}

TEST(refused)
{
    struct spc_voxelizer_options o = voxel_options("cuda");
    struct spc_voxelizer *gpu = open_voxelizer(&o);
    static struct cloud cloud;
    struct spc_points points = host_points(&cloud);
    struct spc_voxels voxels = {0};
    struct spc_voxelizer_result result;
    struct spc_error err;

    REQUIRE(gpu);
    CHECK_INT(spc_voxelizer_submit(gpu, &points, &voxels, &err), SPC_ERR_ARGUMENT);
    CHECK_TEXT(err.message, "leaves voxels in CUDA memory");
    voxels.memory = SPC_MEMORY_CUDA;
    points.count = (int64_t)1 << 31;
    CHECK_INT(spc_voxelizer_submit(gpu, &points, &voxels, &err), SPC_ERR_UNSUPPORTED);
    CHECK_TEXT(err.message, "2147483648 points of 20 bytes");
    points.count = 0;
    CHECK(!spc_voxelizer_submit(gpu, &points, &voxels, &err));
    CHECK_INT(spc_voxelizer_submit(gpu, &points, &voxels, &err), SPC_ERR_ARGUMENT);
    CHECK_TEXT(err.message, "a frame is in flight");
    CHECK(!spc_voxelizer_wait(gpu, &result, &err));
    CHECK_INT(result.num_voxels, 0);
    spc_voxelizer_free(&gpu);
    o.device = 99;
    CHECK_INT(spc_voxelizer_create(&o, &gpu, &err), SPC_ERR_BACKEND);
    CHECK_TEXT(err.message, "no device 99");
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    once = argc > 1 && strcmp(argv[1], "--once") == 0;
    if (once || (argc > 1 && strcmp(argv[1], "--small") == 0))
        many = 700;
    RUN(as_the_cpu);
    if (!once) {
        RUN(into_a_session);
        RUN(too_many_voxels);
        RUN(refused);
    }
    spc_model_free(&model);
    return test_result();
}
