/* SPDX-License-Identifier: MIT */
/*
 * Memory that runs out at every allocation in turn, from loading a model to making its session;
 * and a run that asks for none. Leaks are for the sanitizer builds to see.
 */
#include "onnx_model.h"

/* Allocations left until they fail; below zero: unlimited. */
static long allowance = -1;
static long allocations;

void *__real_malloc(size_t size);
void *__real_realloc(void *block, size_t size);
int __real_posix_memalign(void **block, size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *block, size_t size);
int __wrap_posix_memalign(void **block, size_t alignment, size_t size);

static bool granted(void)
{
    allocations++;
    if (allowance == 0)
        return false;
    if (allowance > 0)
        allowance--;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return granted() ? __real_malloc(size) : NULL;
}

void *__wrap_realloc(void *block, size_t size)
{
    return granted() ? __real_realloc(block, size) : NULL;
}

int __wrap_posix_memalign(void **block, size_t alignment, size_t size)
{
    return granted() ? __real_posix_memalign(block, alignment, size) : 12; /* ENOMEM */
}

static enum spc_status create(const struct onnx_buffer *bytes, struct spc_model **model,
                              struct spc_session **session, struct spc_error *err)
{
    struct spc_session_options options;
    enum spc_status status;

    spc_session_options_default(&options);
    options.backend = "cpu";
    options.threads = 1;
    status = spc_model_load_memory(bytes->data, bytes->size, NULL, model, err);
    return status ? status : spc_session_create(*model, &options, session, err);
}

static const struct spec full = {
    .xyz = true, .half = true, .metadata = {"spc.voxel_size", "1,1,1", "spc.features", "a,b"}};

TEST(memory_runs_out)
{
    struct onnx_buffer bytes = make_model(&full);
    enum spc_status status = SPC_ERR_MEMORY;
    long n = 0;

    for (; status && n < 10000; n++) {
        struct spc_session *session = NULL;
        struct spc_model *model = NULL;
        struct spc_error err = {0};

        allowance = n;
        status = create(&bytes, &model, &session, &err);
        allowance = -1;
        if (status) {
            CHECK_INT(status, SPC_ERR_MEMORY);
            CHECK(err.message[0] && !session);
        }
        spc_session_free(&session);
        spc_model_free(&model);
    }
    CHECK_INT(status, SPC_OK);
    CHECK(n > 50); /* otherwise nothing was wrapped */
    onnx_free(&bytes);
}

TEST(run_allocates_nothing)
{
    static const float features[4] = {1, 2, 3, 4};
    static const int32_t indices[8] = {0, 2, 2, 3, 0, 4, 6, 4};
    struct onnx_buffer bytes = make_model(&full);
    struct spc_voxels voxels = {
        .feature_type = SPC_DTYPE_F32, .features = features, .indices = indices, .num_voxels = 2};
    struct spc_session *session = NULL;
    struct spc_output output = {0};
    struct spc_model *model = NULL;
    struct spc_error err = {0};
    long before;

    REQUIRE(!create(&bytes, &model, &session, &err));
    before = allocations;
    for (int i = 0; i < 3; i++) {
        CHECK_INT(spc_session_run(session, &voxels, &output, 1, &err), SPC_OK);
    }
    CHECK_INT(allocations - before, 0);
    CHECK(output.num_sites > 0);
    spc_session_free(&session);
    spc_model_free(&model);
    onnx_free(&bytes);
}

int main(void)
{
    RUN(memory_runs_out);
    RUN(run_allocates_nothing);
    return test_result();
}
