/* SPDX-License-Identifier: MIT */
/*
 * Sessions on a GPU, through the public API: what they refuse and with which words, frames in
 * device memory, counts on the device, recorded frames against plain launches.
 *
 *     test-gpu-session [--probe | --small]
 *
 * --probe only says whether there is a usable GPU; --small takes few voxels, for slow checkers.
 */
#include "test.h"

#include <cuda_runtime_api.h>
#include <pthread.h>
#include <spc/spc.h>

#define MAX_ROWS 1500
#define FEATURES 5
#define OUTPUTS 3
#define MAX_BYTES (1 << 20)

static const int32_t grid[3] = {9, 32, 32};
static struct spc_model *model;
static int64_t some_rows = 1200;

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

static uint32_t next_random(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33);
}

/* `rows` different voxels, in random order. */
static void make_frame(struct frame *frame, int64_t rows)
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

static struct spc_voxels host_voxels(const struct frame *frame)
{
    return (struct spc_voxels){
        .feature_type = SPC_DTYPE_F32,
        .features = frame->features,
        .indices = frame->indices[0],
        .num_voxels = frame->rows,
    };
}

static struct spc_session_options options_for(const char *backend)
{
    struct spc_session_options options;

    spc_session_options_default(&options);
    options.backend = backend;
    options.precision = SPC_PRECISION_FP32;
    options.max_voxels = MAX_ROWS;
    return options;
}

static struct spc_session *open_session(const struct spc_session_options *options)
{
    struct spc_session *session = NULL;
    struct spc_error err;

    if (spc_session_create(model, options, &session, &err))
        fprintf(stderr, "session: %s\n", err.message);
    CHECK(session);
    return session;
}

/* ---- results ---- */

static void keep(struct result *result, const struct spc_output *outputs)
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

static void drop(struct result *result)
{
    for (int i = 0; i < OUTPUTS; i++) {
        free(result->data[i]);
        free(result->indices[i]);
    }
    memset(result, 0, sizeof(*result));
}

static bool same_result(const struct result *a, const struct result *b)
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
static bool close_result(const struct result *a, const struct result *b)
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
static enum spc_status run(struct spc_session *session, const struct spc_voxels *voxels,
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

/* ---- tests ---- */

TEST(as_the_cpu)
{
    static const enum spc_row_order orders[] = {SPC_ROWS_SITE, SPC_ROWS_INPUT};
    int64_t counts[] = {0, 1, 7, some_rows};
    static struct frame frame;

    for (int o = 0; o < 2; o++) {
        struct spc_session_options c = options_for("cpu"), g = options_for("cuda");
        struct spc_session *cpu, *gpu;

        c.row_order = g.row_order = orders[o];
        cpu = open_session(&c);
        gpu = open_session(&g);
        REQUIRE(cpu && gpu);
        for (int i = 0; i < 4; i++) {
            struct result a, b;
            struct spc_voxels voxels;

            make_frame(&frame, counts[i]);
            voxels = host_voxels(&frame);
            REQUIRE(!run(cpu, &voxels, NULL, &a) && !run(gpu, &voxels, NULL, &b));
            CHECK(close_result(&b, &a));
            drop(&a);
            drop(&b);
        }
        spc_session_free(&cpu);
        spc_session_free(&gpu);
    }
}

/* The frame fails on both backends, with the same words, and the next one is computed. */
static void check_refused(struct spc_session *cpu, struct spc_session *gpu,
                          const struct frame *bad, enum spc_status expected)
{
    static struct frame good;
    struct spc_voxels voxels = host_voxels(bad);
    struct spc_output outputs[OUTPUTS] = {0};
    struct spc_error a, b;
    struct result x, y;

    CHECK(spc_session_run(cpu, &voxels, outputs, OUTPUTS, &a) == expected);
    memset(outputs, 0, sizeof(outputs));
    CHECK(spc_session_run(gpu, &voxels, outputs, OUTPUTS, &b) == expected);
    CHECK_TEXT(b.message, a.message);
    make_frame(&good, 5);
    voxels = host_voxels(&good);
    REQUIRE(!run(cpu, &voxels, NULL, &x) && !run(gpu, &voxels, NULL, &y));
    CHECK(close_result(&y, &x));
    drop(&x);
    drop(&y);
}

TEST(refused_frames)
{
    struct spc_session_options c = options_for("cpu"), g = options_for("cuda");
    struct spc_session *cpu, *gpu;
    static struct frame frame;

    c.site_bound = g.site_bound = 600;
    cpu = open_session(&c);
    gpu = open_session(&g);
    REQUIRE(cpu && gpu);
    make_frame(&frame, 100);
    frame.indices[70][0] = 1;
    frame.indices[80][1] = grid[0];
    check_refused(cpu, gpu, &frame, SPC_ERR_INPUT);
    frame.indices[60][3] = -1;
    check_refused(cpu, gpu, &frame, SPC_ERR_INPUT);
    make_frame(&frame, 100);
    memcpy(frame.indices[90], frame.indices[30], sizeof(frame.indices[0]));
    memcpy(frame.indices[85], frame.indices[40], sizeof(frame.indices[0]));
    memcpy(frame.indices[95], frame.indices[40], sizeof(frame.indices[0]));
    check_refused(cpu, gpu, &frame, SPC_ERR_INPUT);
    make_frame(&frame, MAX_ROWS);
    check_refused(cpu, gpu, &frame, SPC_ERR_CAPACITY);
    spc_session_free(&cpu);
    spc_session_free(&gpu);
}

TEST(recorded_and_not)
{
    struct spc_session_options options = options_for("cuda");
    static struct frame frame[3];
    struct result expected[3] = {0}, result;
    struct spc_voxels voxels;

    for (int i = 0; i < 3; i++)
        make_frame(&frame[i], i ? some_rows / i : 3);
    for (int mode = 0; mode < 6; mode++) {
        struct spc_session *session;

        options.precision = mode < 3 ? SPC_PRECISION_FP16 : SPC_PRECISION_FP32;
        options.cuda_graph = mode % 3 == 0;
        options.profile = mode % 3 == 2;
        session = open_session(&options);
        REQUIRE(session);
        for (int i = 0; i < 9; i++) {
            voxels = host_voxels(&frame[i % 3]);
            REQUIRE(!run(session, &voxels, NULL, &result));
            if (mode % 3 == 0 && i < 3) {
                drop(&expected[i]);
                expected[i] = result;
                continue;
            }
            CHECK(same_result(&result, &expected[i % 3]));
            drop(&result);
        }
        spc_session_free(&session);
    }
    for (int i = 0; i < 3; i++)
        drop(&expected[i]);
}

/* ---- device memory ---- */

struct device_frame {
    float *features;
    int32_t *indices, *count;
};

static void to_device(struct device_frame *d, const struct frame *frame, int32_t count,
                      cudaStream_t stream)
{
    CHECK(cudaMemcpyAsync(d->features, frame->features, sizeof(frame->features),
                          cudaMemcpyHostToDevice, stream) == cudaSuccess);
    CHECK(cudaMemcpyAsync(d->indices, frame->indices, sizeof(frame->indices),
                          cudaMemcpyHostToDevice, stream) == cudaSuccess);
    CHECK(cudaMemcpyAsync(d->count, &count, sizeof(count), cudaMemcpyHostToDevice, stream) ==
          cudaSuccess);
}

static void device_frame_alloc(struct device_frame *d)
{
    /* An offset of 4 bytes: only the elements' own alignment is promised. */
    CHECK(cudaMalloc((void **)&d->features, sizeof(float) * FEATURES * MAX_ROWS) == cudaSuccess);
    CHECK(cudaMalloc((void **)&d->indices, sizeof(int32_t) * (4 * MAX_ROWS + 1)) == cudaSuccess);
    CHECK(cudaMalloc((void **)&d->count, sizeof(int32_t)) == cudaSuccess);
    d->indices++;
}

static void device_frame_free(struct device_frame *d)
{
    cudaFree(d->features);
    cudaFree(d->indices - 1);
    cudaFree(d->count);
}

static struct spc_voxels device_voxels(const struct device_frame *d, cudaStream_t stream)
{
    return (struct spc_voxels){
        .memory = SPC_MEMORY_CUDA,
        .feature_type = SPC_DTYPE_F32,
        .features = d->features,
        .indices = d->indices,
        .num_voxels = MAX_ROWS,
        .device_count = d->count,
        .stream = stream,
    };
}

/* More sets of pointers than recorded frames are kept, counts on the device, outputs in the
 * caller's device memory: the same bits as from host memory. */
TEST(device_memory)
{
    enum { SETS = 6 };
    struct spc_session_options options = options_for("cuda");
    struct spc_session *session = open_session(&options);
    struct device_frame device[SETS];
    struct spc_output where[OUTPUTS] = {0};
    void *memory[OUTPUTS];
    cudaStream_t stream;
    static struct frame frame;

    REQUIRE(session);
    REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
    for (int i = 0; i < SETS; i++)
        device_frame_alloc(&device[i]);
    for (int i = 0; i < OUTPUTS; i++) {
        where[i] = (struct spc_output){.memory = SPC_MEMORY_CUDA, .capacity = MAX_BYTES};
        REQUIRE(cudaMalloc(&memory[i], MAX_BYTES) == cudaSuccess);
        where[i].data = memory[i];
    }
    for (int i = 0; i < 3 * SETS; i++) {
        struct spc_voxels voxels;
        struct result a, b;

        make_frame(&frame, i % 4 ? some_rows / (i % 4) : 0);
        voxels = host_voxels(&frame);
        REQUIRE(!run(session, &voxels, NULL, &a));
        to_device(&device[i % SETS], &frame, (int32_t)frame.rows, stream);
        voxels = device_voxels(&device[i % SETS], stream);
        if (i % 2)
            where[1].capacity = 0; /* the session's own */
        REQUIRE(!run(session, &voxels, where, &b));
        CHECK(b.out[0].memory == SPC_MEMORY_CUDA && b.out[1].memory == SPC_MEMORY_CUDA);
        CHECK(b.out[0].data == where[0].data);
        CHECK(same_result(&b, &a));
        drop(&a);
        drop(&b);
    }
    for (int i = 0; i < SETS; i++)
        device_frame_free(&device[i]);
    for (int i = 0; i < OUTPUTS; i++)
        cudaFree(memory[i]);
    cudaStreamDestroy(stream);
    spc_session_free(&session);
}

TEST(counts_on_the_device)
{
    static const struct {
        int32_t count;
        enum spc_status status;
        const char *says;
    } cases[] = {
        {MAX_ROWS + 1, SPC_ERR_CAPACITY, "1501 voxels, but the session was planned for at most"},
        {-5, SPC_ERR_INPUT, "-5 voxels"},
        {1001, SPC_ERR_INPUT, "room for 1000"},
        {1000, SPC_OK, ""},
        {0, SPC_OK, ""},
    };
    struct spc_session_options options = options_for("cuda");
    struct spc_session *session = open_session(&options);
    struct device_frame device;
    static struct frame frame;

    REQUIRE(session);
    device_frame_alloc(&device);
    make_frame(&frame, MAX_ROWS);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct spc_output outputs[OUTPUTS] = {0};
        struct spc_voxels voxels = device_voxels(&device, NULL);
        struct spc_error err = {0};

        voxels.num_voxels = cases[i].count > MAX_ROWS ? MAX_ROWS : 1000;
        to_device(&device, &frame, cases[i].count, NULL);
        CHECK_INT(spc_session_run(session, &voxels, outputs, OUTPUTS, &err), cases[i].status);
        CHECK_TEXT(err.message, cases[i].says);
    }
    device_frame_free(&device);
    spc_session_free(&session);
}

/* Two sessions of one model with a frame in flight each. */
TEST(two_sessions)
{
    struct spc_session_options options = options_for("cuda");
    struct spc_session *session[2] = {open_session(&options), open_session(&options)};
    static struct frame frame[2];
    struct spc_output outputs[2][OUTPUTS] = {0};
    struct spc_error err;
    struct result expected, result[2];
    struct spc_voxels voxels;

    REQUIRE(session[0] && session[1]);
    for (int i = 0; i < 2; i++) {
        make_frame(&frame[i], some_rows / (i + 1));
        voxels = host_voxels(&frame[i]);
        CHECK(spc_session_submit(session[i], &voxels, outputs[i], OUTPUTS, &err) == SPC_OK);
    }
    for (int i = 0; i < 2; i++) {
        REQUIRE(spc_session_wait(session[i], &err) == SPC_OK);
        keep(&result[i], outputs[i]);
    }
    for (int i = 0; i < 2; i++) {
        voxels = host_voxels(&frame[i]);
        REQUIRE(!run(session[!i], &voxels, NULL, &expected));
        CHECK(same_result(&result[i], &expected));
        drop(&result[i]);
        drop(&expected);
    }
    spc_session_free(&session[0]);
    spc_session_free(&session[1]);
}

/* Sessions made and run by several threads at once: recording in one disturbs no other. */
static void *thread_frames(void *context)
{
    const struct frame *frame = context;
    struct spc_session_options options = options_for("cuda");
    struct spc_voxels voxels = host_voxels(frame);
    struct spc_output outputs[OUTPUTS];
    struct spc_session *session = NULL;
    struct spc_error err;
    enum spc_status status;

    for (int round = 0; round < 3; round++) {
        status = spc_session_create(model, &options, &session, &err);
        for (int i = 0; i < 20 && !status; i++) {
            memset(outputs, 0, sizeof(outputs));
            status = spc_session_run(session, &voxels, outputs, 1 + i % OUTPUTS, &err);
        }
        spc_session_free(&session);
        if (status)
            return strdup(err.message);
    }
    return NULL;
}

TEST(threads)
{
    enum { THREADS = 4 };
    static struct frame frame[THREADS];
    pthread_t thread[THREADS];
    char *message;

    for (int i = 0; i < THREADS; i++) {
        make_frame(&frame[i], some_rows / (i + 1));
        REQUIRE(pthread_create(&thread[i], NULL, thread_frames, &frame[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        REQUIRE(pthread_join(thread[i], (void **)&message) == 0);
        if (message)
            fprintf(stderr, "thread %d: %s\n", i, message);
        CHECK(!message);
        free(message);
    }
}

/* Dense outputs straight into memory of the caller, pinned and not. */
TEST(host_outputs)
{
    struct spc_session_options options = options_for("cuda");
    struct spc_session *session = open_session(&options);
    struct spc_output where[OUTPUTS] = {0};
    static struct frame frame;
    static unsigned char plain[MAX_BYTES];
    struct spc_voxels voxels;
    struct result expected, result;
    void *pinned;

    REQUIRE(session);
    REQUIRE(cudaHostAlloc(&pinned, MAX_BYTES, 0) == cudaSuccess);
    make_frame(&frame, some_rows);
    voxels = host_voxels(&frame);
    REQUIRE(!run(session, &voxels, NULL, &expected));
    for (int i = 0; i < 2; i++) {
        where[0] = (struct spc_output){.data = i ? pinned : plain, .capacity = MAX_BYTES};
        memset(where[0].data, 0xff, MAX_BYTES);
        REQUIRE(!run(session, &voxels, where, &result));
        CHECK(result.out[0].data == where[0].data);
        CHECK(same_result(&result, &expected));
        drop(&result);
    }
    drop(&expected);
    cudaFreeHost(pinned);
    spc_session_free(&session);
}

TEST(missing_device)
{
    struct spc_session_options options = options_for("cuda");
    struct spc_session *session = NULL;
    struct spc_error err;

    options.device = 99;
    CHECK(spc_session_create(model, &options, &session, &err) == SPC_ERR_BACKEND);
    CHECK_TEXT(err.message, "no device 99");
}

/* The reason why there is no usable GPU; NULL where there is one. */
static const char *why_not(void)
{
    static struct spc_error why;
    const char *name;

    for (int i = 0; (name = spc_backend_name(i, &why)); i++)
        if (strcmp(name, "cuda") == 0)
            return why.status == SPC_OK ? NULL : why.message;
    return "backend cuda is not in the list";
}

int main(int argc, char **argv)
{
    const char *folder = getenv("SPC_GOLDEN"), *why = why_not();
    struct spc_error err;
    char path[512];

    if (why)
        SKIP_ALL(why);
    if (argc > 1 && strcmp(argv[1], "--probe") == 0)
        return 0;
    if (argc > 1 && strcmp(argv[1], "--small") == 0)
        some_rows = 60;
    snprintf(path, sizeof(path), "%s/models/tiny_sparse_out.onnx", folder ? folder : ".");
    if (spc_model_load_file(path, NULL, &model, &err)) {
        fprintf(stderr, "%s; set SPC_GOLDEN to tests/golden\n", err.message);
        return 2;
    }
    RUN(as_the_cpu);
    RUN(refused_frames);
    RUN(recorded_and_not);
    RUN(device_memory);
    RUN(counts_on_the_device);
    RUN(two_sessions);
    RUN(threads);
    RUN(host_outputs);
    RUN(missing_device);
    spc_model_free(&model);
    return test_result();
}
