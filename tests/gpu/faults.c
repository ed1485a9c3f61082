/* SPDX-License-Identifier: MIT */
/*
 * Sessions on a GPU when things run out or break: device memory, pinned memory, and at last the
 * context itself, after which this process can use the GPU no more.
 *
 *     test-gpu-faults
 */
#include "frames.h"

#include <sys/resource.h>
#include <unistd.h>

#define MANY_ROWS 1500000 /* a session of so many has about 300 MB */
#define LARGE ((size_t)1 << 30)
#define SMALL ((size_t)4 << 20)
#define MAX_CHUNKS 4096

static struct frame frame;
static struct result expected; /* of the frame, from a session with room for everything */

static size_t free_memory(void)
{
    size_t left = 0, all;

    CHECK(cudaMemGetInfo(&left, &all) == cudaSuccess);
    return left;
}

/* ---- memory ---- */

static void *chunks[MAX_CHUNKS];
static int num_chunks;

/* Takes the device's memory but for about `left` bytes, the last of it in small chunks. */
static void take_all_but(size_t left)
{
    for (size_t size = LARGE; size >= SMALL; size = size == LARGE ? SMALL : 0)
        while (num_chunks < MAX_CHUNKS && free_memory() > left + size &&
               !cudaMalloc(&chunks[num_chunks], size))
            num_chunks++;
    cudaGetLastError();
}

static void give_back(int count)
{
    while (num_chunks && count--)
        cudaFree(chunks[--num_chunks]);
}

/* A session with room for the frame and no more gives the expected bits. */
static void check_small_session(void)
{
    struct spc_session_options options = options_for("cuda");
    struct spc_voxels voxels = host_voxels(&frame);
    struct spc_session *session;
    struct result result;

    options.log = NULL; /* recordings may lack memory, too */
    session = open_session(&options);
    REQUIRE(session);
    REQUIRE(!run(session, &voxels, NULL, &result));
    CHECK(same_result(&result, &expected));
    drop(&result);
    spc_session_free(&session);
}

/* Tries a session that may be too large, three times: the last one leaves no less memory free than
 * the one before it. (Beside ours, the driver keeps memory of recorded frames, and gives it back
 * where there is no other.) */
static enum spc_status try_large_session(struct spc_error *err)
{
    struct spc_session_options options = options_for("cuda");
    enum spc_status status = SPC_OK;
    size_t left[3];

    options.max_voxels = MANY_ROWS;
    options.log = NULL; /* recordings may lack memory, too */
    for (int i = 0; i < 3; i++) {
        struct spc_session *session = NULL;

        status = spc_session_create(model, &options, &session, err);
        CHECK(!status == !!session);
        spc_session_free(&session);
        left[i] = free_memory();
    }
    CHECK(left[2] >= left[1]);
    return status;
}

/* With ever more memory left, the allocation that fails moves through all that a session makes. */
TEST(device_memory_runs_out)
{
    struct spc_error err;
    int failed = 0, worked = 0;

    CHECK_INT(try_large_session(&err), SPC_OK);
    take_all_but((size_t)8 << 20);
    while (!worked && num_chunks) {
        switch (try_large_session(&err)) {
        case SPC_OK:
            worked++;
            break;
        case SPC_ERR_MEMORY:
            CHECK_TEXT(err.message, "lower max_voxels or site_bound");
            failed++;
            break;
        default:
            fprintf(stderr, "%zu MB: %s\n", free_memory() >> 20, err.message);
            CHECK(!"a status that says memory");
        }
        check_small_session();
        give_back(1 + failed / 4);
    }
    give_back(MAX_CHUNKS);
    printf("      %d sizes too small; the last: %s\n", failed, err.message);
    CHECK(failed > 3 && worked);
}

/* Address space that this process has. */
static rlim_t address_space(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long long pages = 0;

    CHECK(file && fscanf(file, "%llu", &pages) == 1);
    if (file)
        fclose(file);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* What pins memory, and what maps the device's, needs address space. With ever more of it the
 * pinned memory is at some time what is missing. */
TEST(pinned_memory_runs_out)
{
    struct rlimit unlimited, limit;
    struct spc_error err = {0};
    bool pinned = false;

    REQUIRE(!getrlimit(RLIMIT_AS, &unlimited));
    limit = unlimited;
    for (rlim_t room = 16 << 20; room < (rlim_t)8 << 30; room += room / 4) {
        enum spc_status status;

        limit.rlim_cur = address_space() + room;
        REQUIRE(!setrlimit(RLIMIT_AS, &limit));
        status = try_large_session(&err);
        REQUIRE(!setrlimit(RLIMIT_AS, &unlimited));
        if (!status)
            break;
        CHECK_INT(status, SPC_ERR_MEMORY);
        CHECK_TEXT(err.message, "cannot allocate");
        pinned = pinned || strstr(err.message, "pinned host memory");
    }
    CHECK(pinned);
    check_small_session();
}

/* ---- the context ---- */

/* Features that are no memory of the device: its kernels fault, and with them the context. */
TEST(context_lost)
{
    struct spc_session_options options = options_for("cuda");
    struct spc_session *session = open_session(&options), *beside = open_session(&options);
    struct spc_output outputs[OUTPUTS] = {0};
    struct spc_voxels voxels = host_voxels(&frame), bad;
    struct device_frame device;
    struct spc_error err = {0};

    REQUIRE(session && beside);
    device_frame_alloc(&device, MAX_ROWS);
    to_device(&device, &frame, (int32_t)frame.rows, NULL);
    bad = device_voxels(&device, NULL);
    bad.features = (const void *)(uintptr_t)4096;
    CHECK_INT(spc_session_submit(beside, &voxels, outputs, OUTPUTS, &err), SPC_OK);
    CHECK_INT(spc_session_run(session, &bad, outputs, OUTPUTS, &err), SPC_ERR_DEVICE);
    CHECK_TEXT(err.message, "cudaErrorIllegalAddress");
    printf("      %s\n", err.message);
    spc_session_wait(beside, NULL); /* may have been done before */
    for (int i = 0; i < 2; i++) {
        err.message[0] = 0;
        CHECK_INT(spc_session_run(i ? beside : session, &voxels, outputs, OUTPUTS, &err),
                  SPC_ERR_DEVICE);
        CHECK_TEXT(err.message, "ended all work in the CUDA context");
    }
    CHECK_INT(spc_session_submit(session, &voxels, outputs, OUTPUTS, &err), SPC_ERR_DEVICE);
    CHECK_INT(spc_session_wait(session, &err), SPC_ERR_ARGUMENT);
    spc_session_free(&session);
    spc_session_free(&beside);
    CHECK_INT(spc_session_create(model, &options, &session, &err), SPC_ERR_DEVICE);
    CHECK(!session);
    printf("      %s\n", err.message);
}

/* The CPU goes on. */
TEST(cpu_after_all)
{
    struct spc_session_options options = options_for("cpu");
    struct spc_voxels voxels = host_voxels(&frame);
    struct spc_session *session = open_session(&options);
    struct spc_output outputs[OUTPUTS] = {0};

    REQUIRE(session);
    CHECK_INT(spc_session_run(session, &voxels, outputs, OUTPUTS, NULL), SPC_OK);
    CHECK_INT(outputs[0].size, expected.out[0].size);
    spc_session_free(&session);
}

int main(int argc, char **argv)
{
    struct spc_session_options options = options_for("cuda");
    struct spc_session *session;
    struct spc_voxels voxels;

    begin(argc, argv);
    make_frame(&frame, 500);
    voxels = host_voxels(&frame);
    session = open_session(&options);
    if (!session || run(session, &voxels, NULL, &expected))
        return 1;
    spc_session_free(&session);
    RUN(device_memory_runs_out);
    RUN(pinned_memory_runs_out);
    RUN(context_lost);
    RUN(cpu_after_all);
    drop(&expected);
    spc_model_free(&model);
    return test_result();
}
