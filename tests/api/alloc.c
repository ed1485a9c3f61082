/* SPDX-License-Identifier: MIT */
/*
 * Memory: a frame allocates nothing, and a model or session that cannot get its memory fails
 * cleanly, whichever allocation it is. The linker sends the engine's allocations through here
 * (--wrap), protobuf-c's own excepted. Run it under a leak checker too.
 */
#include "api.h"

#include <errno.h>
#include <stdatomic.h>

static atomic_long calls;
static long fail_at = -1; /* the call that fails; -1: none */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
int __real_posix_memalign(void **block, size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
int __wrap_posix_memalign(void **block, size_t alignment, size_t size);

static bool fails(void)
{
    return atomic_fetch_add(&calls, 1) == fail_at;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return fails() ? NULL : __real_realloc(block, size);
}

int __wrap_posix_memalign(void **block, size_t alignment, size_t size)
{
    return fails() ? ENOMEM : __real_posix_memalign(block, alignment, size);
}

static void check_run_allocates_nothing(const char *network, const char *frame_name,
                                        enum spc_precision precision, bool profile)
{
    struct spc_model *model = api_model(network);
    struct api_frame frame = api_frame(frame_name);
    struct spc_voxels voxels = api_voxels(&frame);
    struct spc_session_options o = api_options();
    struct spc_session *session;
    struct spc_output out;
    long before;

    o.threads = 2;
    o.precision = precision;
    o.profile = profile;
    session = api_session(model, &o);
    before = atomic_load(&calls);
    for (int i = 0; i < 3; i++) {
        out = (struct spc_output){.data = NULL};
        CHECK_INT(spc_session_run(session, &voxels, &out, 1, NULL), SPC_OK);
        voxels.num_voxels /= 2;
    }
    CHECK_INT(atomic_load(&calls) - before, 0);
    spc_session_free(&session);
    api_frame_free(&frame);
    spc_model_free(&model);
}

TEST(run_allocates_nothing)
{
    check_run_allocates_nothing("tiny.onnx", "tiny.some", SPC_PRECISION_FP32, false);
    check_run_allocates_nothing("tiny.onnx", "tiny.some", SPC_PRECISION_FP16, true);
    check_run_allocates_nothing("unet.onnx", "unet.some", SPC_PRECISION_FP32, true);
}

/* Every allocation of loading and of creating fails once. */
TEST(short_memory)
{
    struct spc_session_options o = api_options();
    int failures = 0, wrong = 0;
    enum spc_status status;

    o.threads = 2;
    for (long n = 0; n < 20000; n++) {
        struct spc_model *model = NULL;
        struct spc_session *session = NULL;
        struct spc_error err = {SPC_OK, ""};
        const char *path = api_path("models", "tiny.onnx");

        atomic_store(&calls, 0);
        fail_at = n;
        status = spc_model_load_file(path, NULL, &model, &err);
        if (!status)
            status = spc_session_create(model, &o, &session, &err);
        fail_at = -1;
        spc_session_free(&session);
        spc_model_free(&model);
        if (!status)
            break;
        failures++;
        if (status != SPC_ERR_MEMORY || !err.message[0]) {
            fprintf(stderr, "allocation %ld: %s: %s\n", n, spc_status_name(status), err.message);
            wrong++;
        }
    }
    CHECK_INT(status, SPC_OK);
    CHECK(failures > 50);
    CHECK_INT(wrong, 0);
}

int main(void)
{
    RUN(run_allocates_nothing);
    RUN(short_memory);
    return test_result();
}
