/* SPDX-License-Identifier: MIT */
/*
 * Sessions in contexts that are not the primary one, as a framework brings them: made in whichever
 * is current, called while another is, several on one device, and on every device there is.
 *
 *     test-gpu-contexts
 */
#include "frames.h"

#include <cudaTypedefs.h>
#include <dlfcn.h>
#include <pthread.h>

#define MAX_DEVICES 16

static struct {
    PFN_cuCtxCreate_v3020 create;
    PFN_cuCtxDestroy_v4000 destroy;
    PFN_cuCtxSetCurrent_v4000 set_current;
    PFN_cuCtxGetCurrent_v4000 get_current;
    PFN_cuPointerGetAttribute_v4000 get_attribute;
} driver;

static bool find_driver(void)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW);

    if (!library)
        return false;
    driver.create = (PFN_cuCtxCreate_v3020)dlsym(library, "cuCtxCreate_v2");
    driver.destroy = (PFN_cuCtxDestroy_v4000)dlsym(library, "cuCtxDestroy_v2");
    driver.set_current = (PFN_cuCtxSetCurrent_v4000)dlsym(library, "cuCtxSetCurrent");
    driver.get_current = (PFN_cuCtxGetCurrent_v4000)dlsym(library, "cuCtxGetCurrent");
    driver.get_attribute =
        (PFN_cuPointerGetAttribute_v4000)dlsym(library, "cuPointerGetAttribute");
    return driver.create && driver.destroy && driver.set_current && driver.get_current &&
           driver.get_attribute;
}

/* A new context, which is current then. */
static CUcontext make_context(void)
{
    CUcontext context = NULL;

    CHECK_INT(driver.create(&context, 0, 0), CUDA_SUCCESS);
    return context;
}

/* Makes the context current, or none. What is NULL to the driver only uncovers the one before. */
static void make_current(CUcontext context)
{
    CUcontext current = NULL;

    while (!context && !driver.get_current(&current) && current)
        CHECK_INT(driver.set_current(NULL), CUDA_SUCCESS);
    if (context)
        CHECK_INT(driver.set_current(context), CUDA_SUCCESS);
}

static bool is_current(CUcontext context)
{
    CUcontext current = NULL;

    return !driver.get_current(&current) && current == context;
}

static CUcontext context_of(const void *memory)
{
    CUcontext context = NULL;

    CHECK_INT(driver.get_attribute(&context, CU_POINTER_ATTRIBUTE_CONTEXT,
                                   (CUdeviceptr)(uintptr_t)memory), CUDA_SUCCESS);
    return context;
}

/* What the network makes of `frame` in the primary context of device 0. */
static void expect(const struct frame *frame, struct result *result)
{
    struct spc_session_options options = options_for("cuda");
    struct spc_voxels voxels = host_voxels(frame);
    struct spc_session *session;

    options.device = 0;
    session = open_session(&options);
    REQUIRE(session);
    REQUIRE(!run(session, &voxels, NULL, result));
    spc_session_free(&session);
}

/* The frame from the host, with outputs there and in the session's device memory, while `now` is
 * current. */
static void check_frame(struct spc_session *session, const struct frame *frame,
                        const struct result *expected, CUcontext own, CUcontext now)
{
    struct spc_voxels voxels = host_voxels(frame);
    struct spc_output outputs[OUTPUTS] = {0};
    struct result result;
    struct spc_error err = {0};

    make_current(now);
    REQUIRE(!run(session, &voxels, NULL, &result));
    CHECK(same_result(&result, expected));
    drop(&result);
    make_current(now); /* the test's own copies change it */
    outputs[0].memory = SPC_MEMORY_CUDA;
    CHECK_INT(spc_session_run(session, &voxels, outputs, OUTPUTS, &err), SPC_OK);
    CHECK_TEXT(err.message, "");
    CHECK(is_current(now));
    CHECK(context_of(outputs[0].data) == own);
}

/* A frame whose voxels, stream and output are the context's. */
static void check_device_frame(struct spc_session *session, const struct frame *frame,
                               const struct result *expected)
{
    struct spc_output where[OUTPUTS] = {{.memory = SPC_MEMORY_CUDA, .capacity = MAX_BYTES}};
    struct device_frame device;
    struct spc_voxels voxels;
    struct result result;
    cudaStream_t stream;

    REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
    REQUIRE(cudaMalloc(&where[0].data, MAX_BYTES) == cudaSuccess);
    device_frame_alloc(&device, MAX_ROWS);
    to_device(&device, frame, (int32_t)frame->rows, stream);
    voxels = device_voxels(&device, stream);
    REQUIRE(!run(session, &voxels, where, &result));
    CHECK(same_result(&result, expected));
    drop(&result);
    device_frame_free(&device);
    cudaFree(where[0].data);
    cudaStreamDestroy(stream);
}

TEST(made_in_the_current_context)
{
    struct spc_session_options options = options_for("cuda");
    static struct frame frame;
    struct spc_session *session;
    struct result expected;
    CUcontext own;

    make_frame(&frame, 300);
    expect(&frame, &expected);
    own = make_context();
    session = open_session(&options);
    REQUIRE(session);
    CHECK(is_current(own));
    check_frame(session, &frame, &expected, own, own);
    check_device_frame(session, &frame, &expected);
    CHECK(is_current(own));
    spc_session_free(&session);
    CHECK(is_current(own));
    CHECK_INT(driver.destroy(own), CUDA_SUCCESS);
    drop(&expected);
}

/* A number means the primary context, whatever is current. */
TEST(made_on_a_device)
{
    struct spc_session_options options = options_for("cuda");
    static struct frame frame;
    struct spc_session *session;
    struct result expected;
    CUcontext other, primary = NULL;

    make_frame(&frame, 200);
    expect(&frame, &expected);
    CHECK(cudaSetDevice(0) == cudaSuccess && !driver.get_current(&primary));
    other = make_context();
    options.device = 0;
    session = open_session(&options);
    REQUIRE(session);
    check_frame(session, &frame, &expected, primary, other);
    spc_session_free(&session);
    CHECK_INT(driver.destroy(other), CUDA_SUCCESS);
    make_current(primary);
    drop(&expected);
}

/* Two contexts on one device with a session each, called while the other's context is current,
 * and with none; then a third context after the first is gone, which may get its handle. */
TEST(two_contexts)
{
    struct spc_session_options options = options_for("cuda");
    static struct frame frame;
    struct spc_session *session[2];
    struct result expected;
    CUcontext context[2];

    make_frame(&frame, 250);
    expect(&frame, &expected);
    for (int i = 0; i < 2; i++) {
        context[i] = make_context();
        session[i] = open_session(&options);
        REQUIRE(session[i]);
    }
    for (int current = -1; current < 2; current++)
        for (int i = 0; i < 2; i++)
            check_frame(session[i], &frame, &expected, context[i],
                        current < 0 ? NULL : context[current]);
    spc_session_free(&session[0]);
    CHECK(is_current(context[1]));
    CHECK_INT(driver.destroy(context[0]), CUDA_SUCCESS);
    make_current(NULL);
    context[0] = make_context();
    session[0] = open_session(&options);
    REQUIRE(session[0]);
    for (int i = 0; i < 2; i++) {
        check_frame(session[i], &frame, &expected, context[i], context[i]);
        spc_session_free(&session[i]);
        CHECK_INT(driver.destroy(context[i]), CUDA_SUCCESS);
    }
    drop(&expected);
}

TEST(context_gone)
{
    struct spc_session_options options = options_for("cuda");
    struct spc_output outputs[OUTPUTS] = {0};
    struct spc_error err = {0};
    static struct frame frame;
    struct spc_voxels voxels = host_voxels(&frame);
    CUcontext context = make_context();
    struct spc_session *session = open_session(&options);

    REQUIRE(session);
    CHECK_INT(driver.destroy(context), CUDA_SUCCESS);
    CHECK_INT(spc_session_run(session, &voxels, outputs, OUTPUTS, &err), SPC_ERR_DEVICE);
    CHECK_TEXT(err.message, "the session was created in is gone");
    spc_session_free(&session);
    CHECK(!session);
}

/* ---- devices ---- */

struct worker {
    pthread_t thread;
    int device;
    const struct frame *frame;
    struct result result; /* of the last frame */
    char message[512];    /* "" where all went well */
};

/* Frames on one device, all alike. */
static void *run_on_device(void *context)
{
    struct worker *worker = context;
    struct spc_session_options options = options_for("cuda");
    struct spc_voxels voxels = host_voxels(worker->frame);
    struct spc_session *session = NULL;
    struct spc_output outputs[OUTPUTS];
    struct spc_error err = {0};
    enum spc_status status;

    options.device = worker->device;
    status = spc_session_create(model, &options, &session, &err);
    for (int i = 0; i < 100 && !status; i++) {
        struct result result;

        memset(outputs, 0, sizeof(outputs));
        status = spc_session_run(session, &voxels, outputs, OUTPUTS, &err);
        if (status)
            break;
        keep(&result, outputs);
        if (i && !same_result(&result, &worker->result))
            snprintf(worker->message, sizeof(worker->message), "frame %d differs", i);
        drop(&worker->result);
        worker->result = result;
    }
    if (status)
        snprintf(worker->message, sizeof(worker->message), "%.500s", err.message);
    spc_session_free(&session);
    return NULL;
}

/* A thread for every device, at once, on one model: equal GPUs give equal bits. */
TEST(every_device)
{
    static struct worker workers[MAX_DEVICES];
    static struct frame frame;
    int count = 0;

    CHECK(cudaGetDeviceCount(&count) == cudaSuccess);
    count = count < MAX_DEVICES ? count : MAX_DEVICES;
    make_frame(&frame, 400);
    for (int i = 0; i < count; i++) {
        workers[i].device = i;
        workers[i].frame = &frame;
        REQUIRE(!pthread_create(&workers[i].thread, NULL, run_on_device, &workers[i]));
    }
    for (int i = 0; i < count; i++) {
        REQUIRE(!pthread_join(workers[i].thread, NULL));
        if (workers[i].message[0])
            fprintf(stderr, "device %d: %s\n", i, workers[i].message);
        CHECK(!workers[i].message[0]);
        CHECK(same_result(&workers[i].result, &workers[0].result));
    }
    for (int i = 0; i < count; i++)
        drop(&workers[i].result);
    printf("      %d device%s\n", count, count == 1 ? "" : "s");
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    if (!find_driver()) {
        fprintf(stderr, "libcuda.so.1 lacks a function: %s\n", dlerror());
        return 2;
    }
    RUN(made_in_the_current_context);
    RUN(made_on_a_device);
    RUN(two_contexts);
    RUN(context_gone);
    RUN(every_device);
    spc_model_free(&model);
    return test_result();
}
