/* SPDX-License-Identifier: MIT */
/*
 * Kernels chosen by trial and by a file: results stay right and are the same bits for the same
 * choice; files that hold for something else change nothing.
 *
 *     test-gpu-tuning
 */
#include "frames.h"

#include "base/file.h"
#include "base/tuning.h"

#include <unistd.h>

static struct frame frame;
static struct result untuned;
static char path[64], log_text[4096];

static void keep_log(void *user, enum spc_log_level level, const char *message)
{
    (void)user;
    (void)level;
    snprintf(log_text + strlen(log_text), sizeof(log_text) - strlen(log_text), "%s\n", message);
}

/* A session in fp16 that reads and writes the file at `path`; its log starts empty. */
static struct spc_session *open_tuned(enum spc_precision precision)
{
    struct spc_session_options options = options_for("cuda");

    options.precision = precision;
    options.output_type = SPC_DTYPE_F32;
    options.tuning_cache = path;
    options.log = keep_log;
    log_text[0] = 0;
    return open_session(&options);
}

static void run_frame(struct spc_session *session, struct result *result)
{
    struct spc_voxels voxels = host_voxels(&frame);

    REQUIRE(!run(session, &voxels, NULL, result));
}

/* The sums of another kernel may round elsewhere: a few units of fp16 apart. */
static bool near_untuned(const struct result *result)
{
    for (int i = 0; i < OUTPUTS; i++) {
        const float *x = (const float *)result->data[i], *y = (const float *)untuned.data[i];

        if (result->out[i].size != untuned.out[i].size)
            return false;
        for (size_t e = 0; e < result->out[i].size / sizeof(float); e++)
            if (!(fabsf(x[e] - y[e]) <= 4e-3f + 4e-3f * fabsf(y[e])))
                return false;
    }
    return true;
}

/* Frames of a session made now: its first and second give the same bits, near the untuned. */
static void check_session(const char *says, struct result *kept)
{
    struct spc_session *session = open_tuned(SPC_PRECISION_FP16);
    struct result first, second;

    REQUIRE(session);
    CHECK_TEXT(log_text, says);
    run_frame(session, &first);
    run_frame(session, &second);
    CHECK(same_result(&first, &second));
    CHECK(near_untuned(&first));
    drop(&second);
    if (kept)
        *kept = first;
    else
        drop(&first);
    spc_session_free(&session);
}

TEST(tried_and_kept)
{
    struct spc_session *session = open_tuned(SPC_PRECISION_FP16);
    struct spc_voxels voxels = host_voxels(&frame);
    struct result tuned, again;
    struct spc_error err;

    REQUIRE(session);
    CHECK_TEXT(log_text, "no tuning cache yet");
    run_frame(session, &untuned);
    CHECK_INT(spc_session_tune(session, &voxels, &err), SPC_OK);
    CHECK_TEXT(log_text, "tuning: ");
    CHECK_TEXT(log_text, "mma");
    run_frame(session, &tuned);
    CHECK(near_untuned(&tuned));
    spc_session_free(&session);
    check_session("tuning taken", &again);
    CHECK(same_result(&again, &tuned));
    drop(&tuned);
    drop(&again);
}

/* A frame that is refused is no frame to tune on; the session goes on as it was, tuned. */
TEST(refused_frame)
{
    struct spc_session *session = open_tuned(SPC_PRECISION_FP16);
    struct spc_voxels voxels = host_voxels(&frame);
    int32_t z = frame.indices[7][1];
    struct spc_error err;
    struct result before, after;

    REQUIRE(session);
    CHECK_INT(spc_session_tune(session, &voxels, &err), SPC_OK);
    run_frame(session, &before);
    frame.indices[7][1] = -1;
    CHECK_INT(spc_session_tune(session, &voxels, &err), SPC_ERR_INPUT);
    frame.indices[7][1] = z;
    run_frame(session, &after);
    CHECK(near_untuned(&after) && same_result(&after, &before));
    drop(&before);
    drop(&after);
    spc_session_free(&session);
    CHECK(!unlink(path));
}

/* The first tuning in the file. */
static void read_first(struct spc__tuning *tuning)
{
    struct spc__tuning_text text = {.line = 0};
    void *data;
    size_t size;

    REQUIRE(!spc__file_read(path, 1 << 20, &data, &size, NULL));
    text.at = data;
    text.end = text.at + size;
    REQUIRE(!spc__tuning_parse(&text, tuning, NULL));
    free(data);
}

/* The same network in another precision has a choice of its own, beside the first. */
TEST(two_in_a_file)
{
    struct spc_session *session = open_tuned(SPC_PRECISION_FP32);
    struct spc_voxels voxels = host_voxels(&frame);

    REQUIRE(session);
    CHECK_TEXT(log_text, "no tuning yet for this network");
    CHECK_INT(spc_session_tune(session, &voxels, NULL), SPC_OK);
    spc_session_free(&session);
    session = open_tuned(SPC_PRECISION_FP32);
    REQUIRE(session);
    CHECK_TEXT(log_text, "tuning taken");
    spc_session_free(&session);
    check_session("tuning taken", NULL);
}

/* Every node by itself, with mma.sync: convolutions that can take it do, others refuse the file. */
TEST(chosen_by_a_file)
{
    struct spc__tuning tuning;
    int taken = 0;

    read_first(&tuning);
    for (int i = 0; i < tuning.num_nodes; i++) {
        memset(tuning.ways, 0, (size_t)tuning.num_nodes * sizeof(*tuning.ways));
        strcpy(tuning.ways[i], "mma");
        REQUIRE(!spc__tuning_write(path, &tuning, NULL));
        check_session("tuning", NULL);
        taken += strstr(log_text, "tuning taken") != NULL;
        CHECK(strstr(log_text, "tuning taken") || strstr(log_text, "has no way \"mma\""));
    }
    CHECK(taken > 0 && taken < tuning.num_nodes);
    strcpy(tuning.ways[0], "abacus");
    REQUIRE(!spc__tuning_write(path, &tuning, NULL));
    check_session("has no way \"abacus\"", NULL);
    CHECK(!unlink(path));
    tuning.network++;
    REQUIRE(!spc__tuning_write(path, &tuning, NULL));
    check_session("no tuning yet for this network", NULL);
    spc__tuning_clear(&tuning);
}

TEST(damaged_file)
{
    FILE *file = fopen(path, "w");

    REQUIRE(file);
    fputs("spc-tuning 1\nengine", file);
    fclose(file);
    check_session("line 2", NULL);
    unlink(path);
    CHECK(mkdtemp(strcpy(path, "/tmp/spc-tuning-XXXXXX")) != NULL);
    check_session("is a folder", NULL);
    rmdir(path);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    snprintf(path, sizeof(path), "/tmp/spc-gpu-tuning-%ld.txt", (long)getpid());
    make_frame(&frame, 700);
    RUN(tried_and_kept);
    RUN(two_in_a_file);
    RUN(chosen_by_a_file);
    RUN(damaged_file);
    RUN(refused_frame);
    drop(&untuned);
    spc_model_free(&model);
    return test_result();
}
