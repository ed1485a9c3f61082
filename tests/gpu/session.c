/* SPDX-License-Identifier: MIT */
/*
 * Sessions on a GPU, through the public API: what they refuse and with which words, frames in
 * device memory, counts on the device, recorded frames against plain launches.
 *
 *     test-gpu-session [--probe | --small | --once]
 *
 * --probe only says whether there is a usable GPU; --small takes few voxels and
 * frames, for slow checkers; --once takes less still, but runs every kernel.
 */
#include "frames.h"

#include <pthread.h>

static const int32_t grid[3] = {9, 32, 32};
static bool small, once;
static int64_t some_rows = 1200;

TEST(as_the_cpu)
{
    static const enum spc_row_order orders[] = {SPC_ROWS_SITE, SPC_ROWS_INPUT};
    int64_t counts[] = {0, 1, 7, some_rows};
    static struct frame frame;

    for (int o = once; o < 2; o++) {
        struct spc_session_options c = options_for("cpu"), g = options_for("cuda");
        struct spc_session *cpu, *gpu;

        c.row_order = g.row_order = orders[o];
        cpu = open_session(&c);
        gpu = open_session(&g);
        REQUIRE(cpu && gpu);
        for (int i = once ? 2 : 0; i < 4; i++) {
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
    make_frame(&good, 3); /* at most 8 sites each, on every level: within any bound here */
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

    c.site_bound = g.site_bound = small ? 45 : 600; /* 5 voxels make up to 40 sites */
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
    make_frame(&frame, some_rows);
    check_refused(cpu, gpu, &frame, SPC_ERR_CAPACITY);
    spc_session_free(&cpu);
    spc_session_free(&gpu);
}

/* Recorded, launched, measured, on one stream: the same bits. Hints change nothing. */
TEST(ways_to_run)
{
    static const struct {
        bool graph, profile, aux_stream, sort_mask;
        int64_t launch_points;
    } ways[] = {
        {true, false, true, false, 0},      {false, false, true, false, 0},
        {false, true, true, false, 0},      {true, false, false, true, 0},
        {false, false, false, false, 1000},
    };
    enum { WAYS = sizeof(ways) / sizeof(*ways) };
    struct spc_session_options options = options_for("cuda");
    static struct frame frame[3];
    struct result expected[3] = {0}, result;
    struct spc_voxels voxels;

    for (int i = 0; i < 3; i++)
        make_frame(&frame[i], i ? some_rows / i : 3);
    for (int mode = 0; mode < (once ? 2 : small ? WAYS + 1 : 2 * WAYS); mode++) {
        int way = mode % WAYS;
        struct spc_session *session;

        options.precision = mode < WAYS ? SPC_PRECISION_FP16 : SPC_PRECISION_FP32;
        options.cuda_graph = ways[way].graph;
        options.profile = ways[way].profile;
        options.aux_stream = ways[way].aux_stream;
        options.sort_mask = ways[way].sort_mask;
        options.fixed_launch_points = ways[way].launch_points;
        session = open_session(&options);
        REQUIRE(session);
        for (int i = 0; i < (once ? 3 : small ? 4 : 9); i++) {
            voxels = host_voxels(&frame[i % 3]);
            REQUIRE(!run(session, &voxels, NULL, &result));
            if (!way && i < 3) {
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

/* Counts on the device, outputs in the caller's device memory: the same bits as from host
 * memory. */
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
        device_frame_alloc(&device[i], MAX_ROWS);
    for (int i = 0; i < OUTPUTS; i++) {
        where[i] = (struct spc_output){.memory = SPC_MEMORY_CUDA, .capacity = MAX_BYTES};
        REQUIRE(cudaMalloc(&memory[i], MAX_BYTES) == cudaSuccess);
        where[i].data = memory[i];
    }
    for (int i = 0; i < (small ? SETS + 1 : 3 * SETS); i++) {
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

/* Kernels write 16 bytes at a time. */
TEST(misaligned_output)
{
    struct spc_session_options options = options_for("cuda");
    struct spc_session *session = open_session(&options);
    struct spc_output where = {.memory = SPC_MEMORY_CUDA, .capacity = MAX_BYTES};
    static struct frame frame;
    struct spc_voxels voxels;
    struct spc_error err;
    char *memory;

    REQUIRE(session && !cudaMalloc((void **)&memory, MAX_BYTES + 8));
    make_frame(&frame, some_rows);
    voxels = host_voxels(&frame);
    where.data = memory + 8;
    CHECK_INT(spc_session_run(session, &voxels, &where, 1, &err), SPC_ERR_ARGUMENT);
    CHECK_TEXT(err.message, "16 bytes");
    where.data = memory;
    CHECK_INT(spc_session_run(session, &voxels, &where, 1, &err), SPC_OK);
    cudaFree(memory);
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
        {1001, SPC_ERR_INPUT, "memory for 1000"},
        {1000, SPC_OK, ""},
        {0, SPC_OK, ""},
    };
    struct spc_session_options options = options_for("cuda");
    struct spc_session *session = open_session(&options);
    struct device_frame device;
    static struct frame frame;

    REQUIRE(session);
    device_frame_alloc(&device, MAX_ROWS);
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

/* A count beyond the caller's memory reads no further, which memcheck sees; what there is room for
 * may change from frame to frame, with the same pointers. */
TEST(memory_behind_a_count)
{
    struct spc_session_options options = options_for("cuda");
    struct spc_session *session = open_session(&options);
    static struct frame frame;
    struct device_frame device;
    struct result expected, result;
    struct spc_voxels voxels;

    REQUIRE(session);
    make_frame(&frame, some_rows);
    voxels = host_voxels(&frame);
    REQUIRE(!run(session, &voxels, NULL, &expected));
    for (int64_t rows = frame.rows; rows >= frame.rows - 1; rows--) {
        device_frame_alloc(&device, rows);
        to_device(&device, &frame, (int32_t)frame.rows, NULL);
        voxels = device_voxels(&device, NULL);
        for (int i = 0; i < 4; i++) {
            bool fits = rows == frame.rows && i % 2;

            voxels.num_voxels = rows - (rows == frame.rows && !fits);
            CHECK_INT(run(session, &voxels, NULL, &result), fits ? SPC_OK : SPC_ERR_INPUT);
            if (!fits)
                continue;
            CHECK(same_result(&result, &expected));
            drop(&result);
        }
        device_frame_free(&device);
    }
    drop(&expected);
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

/* ---- threads ---- */

struct worker {
    pthread_t thread;
    enum spc_precision precision;
    struct frame frame;
    struct result expected;
};

/* Frames from the host and from device memory, on a stream of the thread's own. */
static const char *frames_of_session(struct spc_session *session, struct worker *worker,
                                     const struct device_frame *device, cudaStream_t stream)
{
    for (int i = 0; i < (small ? 2 : 20); i++) {
        struct spc_voxels voxels =
            i % 2 ? device_voxels(device, stream) : host_voxels(&worker->frame);
        struct result result;
        bool same;

        if (run(session, &voxels, NULL, &result))
            return "a frame failed";
        same = same_result(&result, &worker->expected);
        drop(&result);
        if (!same)
            return "a frame differs";
    }
    return NULL;
}

static void *thread_frames(void *context)
{
    struct worker *worker = context;
    struct spc_session_options options = options_for("cuda");
    const char *message = NULL;
    struct device_frame device;
    cudaStream_t stream;

    options.precision = worker->precision;
    if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking))
        return "no stream";
    device_frame_alloc(&device, MAX_ROWS);
    to_device(&device, &worker->frame, (int32_t)worker->frame.rows, stream);
    for (int round = 0; round < (small ? 1 : 3) && !message; round++) {
        struct spc_session *session = open_session(&options);

        if (!session)
            return "no session";
        message = frames_of_session(session, worker, &device, stream);
        spc_session_free(&session);
    }
    device_frame_free(&device);
    cudaStreamDestroy(stream);
    return (void *)message;
}

/* Sessions made and run by several threads at once: recording in one disturbs no other, and the
 * frames of all give the bits that they give alone. */
TEST(threads)
{
    enum { THREADS = 4 };
    static struct worker workers[THREADS];
    char *message;

    for (int i = 0; i < THREADS; i++) {
        struct spc_session_options options = options_for("cuda");
        struct spc_session *session;
        struct spc_voxels voxels;

        options.precision = workers[i].precision =
            i % 2 ? SPC_PRECISION_FP32 : SPC_PRECISION_FP16;
        session = open_session(&options);
        REQUIRE(session);
        make_frame(&workers[i].frame, some_rows / (i + 1));
        voxels = host_voxels(&workers[i].frame);
        REQUIRE(!run(session, &voxels, NULL, &workers[i].expected));
        spc_session_free(&session);
    }
    for (int i = 0; i < THREADS; i++)
        REQUIRE(!pthread_create(&workers[i].thread, NULL, thread_frames, &workers[i]));
    for (int i = 0; i < THREADS; i++) {
        REQUIRE(!pthread_join(workers[i].thread, (void **)&message));
        if (message)
            fprintf(stderr, "thread %d: %s\n", i, message);
        CHECK(!message);
        drop(&workers[i].expected);
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

int main(int argc, char **argv)
{
    begin(argc, argv);
    once = argc > 1 && strcmp(argv[1], "--once") == 0;
    small = once || (argc > 1 && strcmp(argv[1], "--small") == 0);
    some_rows = small ? 60 : some_rows;
    RUN(as_the_cpu);
    RUN(ways_to_run);
    if (!once) {
        RUN(refused_frames);
        RUN(device_memory);
        RUN(misaligned_output);
        RUN(counts_on_the_device);
        RUN(memory_behind_a_count);
        RUN(two_sessions);
        RUN(threads);
        RUN(host_outputs);
        RUN(missing_device);
    }
    spc_model_free(&model);
    return test_result();
}
