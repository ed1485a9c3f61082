/* SPDX-License-Identifier: MIT */
/* Sessions of one model in threads of their own: created, run and freed side by side, they give
 * the bits that one session alone gives. */
#include "api.h"

#include <pthread.h>

#define THREADS 4
#define ROUNDS 3
#define FRAMES 8

static const char *const frame_names[] = {"tiny.some", "tiny.one", "tiny.zero"};
#define NUM_FRAMES ((int)(sizeof(frame_names) / sizeof(*frame_names)))

struct job {
    const struct spc_model *model;
    const struct api_frame *frames;
    const uint64_t *expected; /* [NUM_FRAMES] */
    int number, wrong;
    enum spc_precision precision;
};

static uint64_t run_hash(struct spc_session *session, const struct api_frame *frame)
{
    struct spc_voxels voxels = api_voxels(frame);
    struct spc_output out = {.data = NULL};

    return spc_session_run(session, &voxels, &out, 1, NULL) ? 0 : api_hash(&out);
}

static void *work(void *argument)
{
    struct job *job = argument;

    for (int round = 0; round < ROUNDS; round++) {
        struct spc_session_options o = api_options();
        struct spc_session *session = NULL;

        o.threads = 1 + (job->number + round) % 3;
        o.precision = job->precision;
        if (spc_session_create(job->model, &o, &session, NULL)) {
            job->wrong++;
            continue;
        }
        for (int i = 0; i < FRAMES; i++) {
            int frame = (i + job->number) % NUM_FRAMES;

            job->wrong += run_hash(session, &job->frames[frame]) != job->expected[frame];
        }
        spc_session_free(&session);
    }
    return NULL;
}

static void run_jobs(const struct spc_model *model, const struct api_frame *frames,
                     enum spc_precision precision)
{
    struct spc_session_options o = api_options();
    struct spc_session *alone;
    struct job jobs[THREADS];
    pthread_t threads[THREADS];
    uint64_t expected[NUM_FRAMES];

    o.precision = precision;
    alone = api_session(model, &o);
    for (int i = 0; i < NUM_FRAMES; i++) {
        expected[i] = run_hash(alone, &frames[i]);
        CHECK(expected[i]);
    }
    for (int t = 0; t < THREADS; t++) {
        jobs[t] = (struct job){model, frames, expected, t, 0, precision};
        REQUIRE(!pthread_create(&threads[t], NULL, work, &jobs[t]));
    }
    for (int t = 0; t < THREADS; t++) {
        pthread_join(threads[t], NULL);
        CHECK_INT(jobs[t].wrong, 0);
    }
    spc_session_free(&alone);
}

TEST(sessions_in_threads)
{
    struct spc_model *model = api_model("tiny.onnx");
    struct api_frame frames[NUM_FRAMES];

    for (int i = 0; i < NUM_FRAMES; i++)
        frames[i] = api_frame(frame_names[i]);
    run_jobs(model, frames, SPC_PRECISION_FP32);
    run_jobs(model, frames, SPC_PRECISION_FP16);
    for (int i = 0; i < NUM_FRAMES; i++)
        api_frame_free(&frames[i]);
    spc_model_free(&model);
}

static void *load_and_run(void *argument)
{
    const struct api_frame *frame = argument;
    struct spc_session_options o = api_options();
    struct spc_model *model = NULL;
    struct spc_session *session = NULL;
    uint64_t hash = 0;
    char path[512];

    snprintf(path, sizeof(path), "%s/models/tiny.onnx", getenv("SPC_GOLDEN"));
    if (!spc_model_load_file(path, NULL, &model, NULL) &&
        !spc_session_create(model, &o, &session, NULL))
        hash = run_hash(session, frame);
    spc_session_free(&session);
    spc_model_free(&model);
    return (void *)(uintptr_t)hash;
}

/* Nothing is shared between models: loading is safe side by side too. */
TEST(models_in_threads)
{
    struct api_frame frame = api_frame("tiny.some");
    void *hashes[THREADS];
    pthread_t threads[THREADS];

    for (int t = 0; t < THREADS; t++)
        REQUIRE(!pthread_create(&threads[t], NULL, load_and_run, &frame));
    for (int t = 0; t < THREADS; t++) {
        pthread_join(threads[t], &hashes[t]);
        CHECK(hashes[t] && hashes[t] == hashes[0]);
    }
    api_frame_free(&frame);
}

int main(void)
{
    if (!getenv("SPC_GOLDEN"))
        SKIP_ALL("SPC_GOLDEN does not name the folder of the golden models");
    RUN(sessions_in_threads);
    RUN(models_in_threads);
    return test_result();
}
