/* SPDX-License-Identifier: MIT */
/* Models and sessions from birth to death: options, errors, several of each, frame after frame. */
#include "api.h"

#include <stddef.h>

static void check_create_fails(const struct spc_model *model,
                               const struct spc_session_options *options, enum spc_status status,
                               const char *says)
{
    struct spc_session *session = NULL;
    struct spc_error err = {SPC_OK, ""};

    CHECK_INT(spc_session_create(model, options, &session, &err), status);
    CHECK_INT(err.status, status);
    CHECK_TEXT(err.message, says);
    CHECK(!session);
    CHECK_INT(spc_session_create(model, options, &session, NULL), status);
}

TEST(free_nothing)
{
    struct spc_model *model = NULL;
    struct spc_session *session = NULL;

    spc_model_free(NULL);
    spc_model_free(&model);
    spc_session_free(NULL);
    spc_session_free(&session);
    spc_array_free(NULL);
    CHECK(!model && !session);
}

TEST(model_errors)
{
    struct spc_model *model = NULL;
    struct spc_error err;

    CHECK_INT(spc_model_load_file("/none.onnx", NULL, &model, &err), SPC_ERR_IO);
    CHECK_TEXT(err.message, "/none.onnx");
    CHECK_INT(spc_model_load_file(NULL, NULL, &model, &err), SPC_ERR_ARGUMENT);
    CHECK_INT(spc_model_load_memory("x", 1, NULL, NULL, &err), SPC_ERR_ARGUMENT);
    CHECK_INT(spc_model_load_memory("x", 1, NULL, &model, &err), SPC_ERR_FORMAT);
    CHECK(!model);
}

TEST(model_describes)
{
    struct spc_model *model = api_model("tiny.onnx");
    struct spc_model_info info;
    struct spc_output_info output;
    struct spc_node_info node;
    struct spc_error err;

    spc_model_get_info(model, &info);
    CHECK(info.index_order == SPC_INDEX_ZYX && info.grid_z == 9 && info.grid_y == 32 &&
          info.grid_x == 32 && info.num_features == 5);
    CHECK_INT(info.num_outputs, 1);
    CHECK_INT(spc_model_get_output(model, 0, &output, &err), SPC_OK);
    CHECK(output.kind == SPC_OUTPUT_DENSE && output.rank == 4 && output.dims[1] == 24 &&
          output.bev_axes == SPC_BEV_YX);
    CHECK_INT(spc_model_get_output(model, 1, &output, &err), SPC_ERR_ARGUMENT);
    CHECK_INT(spc_model_get_output(model, -1, &output, &err), SPC_ERR_ARGUMENT);
    CHECK_INT(spc_model_get_node(model, 0, &node, &err), SPC_OK);
    CHECK_TEXT(node.op, "SparseConvolution");
    CHECK_INT(spc_model_get_node(model, info.num_nodes, &node, &err), SPC_ERR_ARGUMENT);
    spc_model_free(&model);
    CHECK(!model);
}

TEST(option_errors)
{
    struct spc_model *model = api_model("tiny.onnx");
    struct spc_session_options good = api_options(), o = good;

    check_create_fails(NULL, &good, SPC_ERR_ARGUMENT, "NULL");
    CHECK_INT(spc_session_create(model, &good, NULL, NULL), SPC_ERR_ARGUMENT);
    memset(&o, 0, sizeof(o));
    check_create_fails(model, &o, SPC_ERR_ARGUMENT, "struct_size");
#define REFUSED(field, value, status, says)                                                        \
    o = good, o.field = value, check_create_fails(model, &o, status, says)
    REFUSED(backend, "nonsense", SPC_ERR_BACKEND, "known are: auto, cuda, cpu");
    REFUSED(isa, "nonsense", SPC_ERR_ARGUMENT, "nonsense");
    REFUSED(precision, SPC_PRECISION_INT8, SPC_ERR_UNSUPPORTED, "it offers: fp32, fp16");
    REFUSED(precision, (enum spc_precision)9, SPC_ERR_ARGUMENT, "precision 9");
    REFUSED(threads, -1, SPC_ERR_ARGUMENT, "threads is -1");
    REFUSED(threads, 100000, SPC_ERR_ARGUMENT, "threads is 100000");
    REFUSED(device, -2, SPC_ERR_ARGUMENT, "device is -2");
    REFUSED(max_voxels, 0, SPC_ERR_ARGUMENT, "max_voxels is 0");
    REFUSED(max_voxels, INT64_MAX, SPC_ERR_ARGUMENT, "max_voxels");
    REFUSED(site_bound, -1, SPC_ERR_ARGUMENT, "site_bound is -1");
    REFUSED(output_type, SPC_DTYPE_I32, SPC_ERR_ARGUMENT, "output_type int32");
    REFUSED(row_order, (enum spc_row_order)7, SPC_ERR_ARGUMENT, "row_order 7");
    REFUSED(fixed_launch_points, -1, SPC_ERR_ARGUMENT, "fixed_launch_points is -1");
#undef REFUSED
    spc_model_free(&model);
}

/* A backend that is there by name and cannot be used is an error that says what can. */
TEST(backends)
{
    struct spc_model *model = api_model("tiny.onnx");
    bool has_cpu = false;
    struct spc_error why;
    const char *name;

    for (int i = 0; (name = spc_backend_name(i, &why)); i++) {
        struct spc_session_options o = api_options();

        has_cpu = has_cpu || (!strcmp(name, "cpu") && why.status == SPC_OK);
        CHECK(!strcmp(name, spc_backend_name(i, NULL)));
        o.backend = name;
        if (why.status)
            check_create_fails(model, &o, SPC_ERR_BACKEND, "usable here: ");
    }
    CHECK(has_cpu);
    CHECK(!spc_backend_name(-1, NULL) && !spc_backend_name(99, NULL));
    spc_model_free(&model);
}

static void keep_log(void *user, enum spc_log_level level, const char *message)
{
    char *text = user;

    (void)level;
    strncat(text, message, 1023 - strlen(text));
    strncat(text, "\n", 1023 - strlen(text));
}

TEST(defaults_and_auto)
{
    struct spc_model *model = api_model("tiny.onnx");
    struct spc_session *session = api_session(model, NULL);
    struct spc_session_options o;
    struct spc_session_info info;
    char log[1024] = "";

    spc_session_get_info(session, &info);
    CHECK_INT(info.max_voxels, 200000);
    CHECK(info.precision != SPC_PRECISION_AUTO && info.backend[0]);
    spc_session_free(&session);
    CHECK(!session);
    spc_session_options_default(&o);
    o.log = keep_log;
    o.log_user = log;
    session = api_session(model, &o);
    CHECK_TEXT(log, "backend \"auto\" takes \"");
    CHECK_TEXT(log, info.backend);
    spc_session_free(&session);
    spc_model_free(&model);
}

/* A program that was built with a header whose struct ended earlier. */
TEST(older_options)
{
    struct spc_model *model = api_model("tiny.onnx");
    struct spc_session_options o = api_options();
    struct spc_session *session;
    struct spc_session_info info;

    o.profile = true;
    o.struct_size = offsetof(struct spc_session_options, output_type);
    o.output_type = (enum spc_dtype)99; /* beyond the size: not looked at */
    o.log = (spc_log_fn)(uintptr_t)1;
    session = api_session(model, &o);
    spc_session_get_info(session, &info);
    CHECK_INT(info.max_voxels, 200);
    spc_session_free(&session);
    spc_model_free(&model);
}

/* The library may have longer structs than the program's header: it must not write them whole. */
TEST(shorter_options_are_not_overrun)
{
    struct {
        struct spc_session_options o;
        char guard[64];
    } room;
    size_t size = offsetof(struct spc_session_options, output_type);
    const char *bytes = (const char *)&room;

    memset(&room, 0x5a, sizeof(room));
    spc_session_options_init(&room.o, size);
    CHECK_INT(room.o.struct_size, size);
    CHECK_INT(room.o.max_voxels, 200000);
    for (size_t i = size; i < sizeof(room); i++)
        CHECK_INT(bytes[i], 0x5a);
    memset(&room, 0x5a, sizeof(room));
    spc_session_options_init(&room.o, sizeof(room)); /* a longer one ends in zeros */
    CHECK_INT(room.o.struct_size, sizeof(room));
    for (size_t i = 0; i < sizeof(room.guard); i++)
        CHECK_INT(room.guard[i], 0);
}

TEST(reserved_words)
{
    struct spc_model *model = api_model("tiny.onnx");
    struct spc_session_options o = api_options();
    struct spc_session *session = api_session(model, &o);
    struct spc_voxels voxels = {.feature_type = SPC_DTYPE_F32};
    struct spc_output out = {0};
    struct spc_error err;

    voxels.reserved[3] = 1;
    CHECK_INT(spc_session_run(session, &voxels, &out, 1, &err), SPC_ERR_ARGUMENT);
    CHECK_TEXT(err.message, "spc_voxels");
    voxels.reserved[3] = 0;
    out.reserved[0] = 1;
    CHECK_INT(spc_session_run(session, &voxels, &out, 1, &err), SPC_ERR_ARGUMENT);
    CHECK_TEXT(err.message, "spc_output");
    out.reserved[0] = 0;
    CHECK_INT(spc_session_run(session, &voxels, &out, 1, &err), SPC_OK);
    spc_session_free(&session);
    spc_model_free(&model);
}

TEST(descriptions)
{
    struct spc_model *model = api_model("tiny.onnx");
    struct spc_session_options o = api_options();
    struct spc_session *session = api_session(model, &o);
    struct spc_step_profile step;
    struct spc_output_info output;
    struct spc_session_info info;
    struct spc_error err;
    enum spc_dtype dtype;
    size_t size;

    CHECK_INT(spc_session_num_outputs(session), 1);
    CHECK_INT(spc_session_get_output(session, 0, &output, &dtype, &size, &err), SPC_OK);
    CHECK(dtype == SPC_DTYPE_F32 && size == 24 * 8 * 8 * 4 && output.dims[3] == 8);
    CHECK_INT(spc_session_get_output(session, 0, NULL, NULL, NULL, NULL), SPC_OK);
    CHECK_INT(spc_session_get_output(session, 1, &output, NULL, NULL, &err), SPC_ERR_ARGUMENT);
    CHECK_TEXT(err.message, "output 1 of a session that has 1");
    CHECK_INT(spc_session_get_output(session, -1, &output, NULL, NULL, &err), SPC_ERR_ARGUMENT);
    spc_session_get_info(session, &info);
    CHECK(!strcmp(info.backend, "cpu") && info.threads == 1 && info.max_voxels == 200 &&
          info.precision == SPC_PRECISION_FP32 && info.host_bytes && info.shared_bytes &&
          !info.device_bytes && info.num_steps > 0 && info.isa[0] && info.device[0]);
    CHECK_INT(spc_session_get_step(session, 0, &step, &err), SPC_OK);
    CHECK_INT(spc_session_get_step(session, info.num_steps, &step, &err), SPC_ERR_ARGUMENT);
    CHECK_TEXT(err.message, "step");
    CHECK_INT(spc_session_get_step(session, -1, &step, &err), SPC_ERR_ARGUMENT);
    CHECK_INT(spc_session_get_step(session, 0, NULL, &err), SPC_ERR_ARGUMENT);
    spc_session_free(&session);
    spc_model_free(&model);
}

static void check_run_fails(struct spc_session *session, const struct spc_voxels *voxels,
                            struct spc_output *outputs, int num_outputs, const char *says)
{
    struct spc_error err = {SPC_OK, ""};

    CHECK_INT(spc_session_run(session, voxels, outputs, num_outputs, &err), SPC_ERR_ARGUMENT);
    CHECK_TEXT(err.message, says);
}

static void check_voxel_errors(struct spc_session *session, const struct spc_voxels *good)
{
    struct spc_voxels v = *good;
    int32_t count = 1;

    check_run_fails(session, NULL, NULL, 0, "voxels is NULL");
#define REFUSED(field, value, says)                                                                \
    v = *good, v.field = value, check_run_fails(session, &v, NULL, 0, says)
    REFUSED(feature_type, SPC_DTYPE_I8, "features are int8");
    REFUSED(features, NULL, "features is NULL");
    REFUSED(indices, NULL, "indices is NULL");
    REFUSED(num_voxels, -1, "num_voxels is -1");
    REFUSED(memory, SPC_MEMORY_CUDA, "takes no CUDA memory");
    REFUSED(memory, (enum spc_memory)5, "memory kind 5");
    REFUSED(device_count, &count, "device_count");
    REFUSED(features, (const char *)good->features + 1, "not aligned");
    REFUSED(indices, (const int32_t *)(uintptr_t)((uintptr_t)good->indices + 2), "not aligned");
#undef REFUSED
}

static void check_output_errors(struct spc_session *session, const struct spc_voxels *good)
{
    float room[24 * 8 * 8 + 1];
    struct spc_output out = {.data = room, .capacity = 24 * 8 * 8 * 4 - 1, .rank = 55};

    check_run_fails(session, good, &out, 1, "6143 bytes of room, 6144 are needed");
    out.capacity = sizeof(room);
    out.data = (char *)room + 1;
    check_run_fails(session, good, &out, 1, "not aligned");
    out.data = NULL;
    check_run_fails(session, good, &out, 1, "data is NULL");
    out.data = room;
    out.memory = SPC_MEMORY_CUDA;
    check_run_fails(session, good, &out, 1, "takes no CUDA memory");
    out.memory = SPC_MEMORY_HOST;
    check_run_fails(session, good, &out, 2, "num_outputs is 2; the session has 1");
    check_run_fails(session, good, &out, -1, "num_outputs is -1");
    check_run_fails(session, good, NULL, 1, "outputs is NULL");
    CHECK_INT(out.rank, 55); /* untouched by failures */
}

TEST(frame_errors)
{
    struct spc_model *model = api_model("tiny.onnx");
    struct api_frame frame = api_frame("tiny.some");
    struct spc_session_options o = api_options();
    struct spc_session *session = api_session(model, &o);
    struct spc_voxels good = api_voxels(&frame);
    struct spc_output out = {.data = NULL};
    uint64_t before;

    CHECK_INT(spc_session_run(session, &good, &out, 1, NULL), SPC_OK);
    before = api_hash(&out);
    check_run_fails(NULL, &good, NULL, 0, "session is NULL");
    check_voxel_errors(session, &good);
    check_output_errors(session, &good);
    CHECK_INT(spc_session_run(session, &good, &out, 1, NULL), SPC_OK); /* the same struct again */
    CHECK(api_hash(&out) == before);
    spc_session_free(&session);
    api_frame_free(&frame);
    spc_model_free(&model);
}

/* A backend that has one kernel for each node takes the call, and leaves files alone. */
TEST(nothing_to_tune)
{
    struct spc_model *model = api_model("tiny.onnx");
    struct api_frame frame = api_frame("tiny.some");
    struct spc_session_options o = api_options();
    struct spc_voxels voxels = api_voxels(&frame);
    struct spc_session *session;
    struct spc_output out = {.data = NULL};
    char log[1024] = "";
    uint64_t before;

    o.tuning_cache = "/nowhere/at/all";
    o.log = keep_log;
    o.log_user = log;
    session = api_session(model, &o);
    CHECK_INT(spc_session_run(session, &voxels, &out, 1, NULL), SPC_OK);
    before = api_hash(&out);
    CHECK_INT(spc_session_tune(NULL, &voxels, NULL), SPC_ERR_ARGUMENT);
    CHECK_INT(spc_session_tune(session, NULL, NULL), SPC_ERR_ARGUMENT);
    CHECK_INT(spc_session_tune(session, &voxels, NULL), SPC_OK);
    CHECK_TEXT(log, "backend \"cpu\" has nothing to tune");
    CHECK(!strstr(log, "nowhere"));
    CHECK_INT(spc_session_run(session, &voxels, &out, 1, NULL), SPC_OK);
    CHECK(api_hash(&out) == before);
    spc_session_free(&session);
    api_frame_free(&frame);
    spc_model_free(&model);
}

TEST(submit_and_wait)
{
    struct spc_model *model = api_model("tiny.onnx");
    struct api_frame frame = api_frame("tiny.some");
    struct spc_session_options o = api_options();
    struct spc_session *session = api_session(model, &o);
    struct spc_voxels voxels = api_voxels(&frame);
    struct spc_output out = {.data = NULL};
    struct spc_error err;

    CHECK_INT(spc_session_wait(session, &err), SPC_ERR_ARGUMENT);
    CHECK_TEXT(err.message, "no frame is in flight");
    CHECK_INT(spc_session_submit(session, &voxels, &out, 1, &err), SPC_OK);
    CHECK_INT(spc_session_submit(session, &voxels, &out, 1, &err), SPC_ERR_ARGUMENT);
    CHECK_TEXT(err.message, "spc_session_wait()");
    CHECK_INT(spc_session_wait(session, &err), SPC_OK);
    CHECK(out.num_sites > 0 && out.rank == 4);
    CHECK_INT(spc_session_wait(NULL, &err), SPC_ERR_ARGUMENT);
    CHECK_INT(spc_session_submit(session, &voxels, NULL, 0, &err), SPC_OK);
    spc_session_free(&session); /* with a frame in flight */
    api_frame_free(&frame);
    spc_model_free(&model);
}

/* The caller's memory gets what the session's own would, and nothing beyond it. */
TEST(output_memory)
{
    struct spc_model *model = api_model("tiny.onnx");
    struct api_frame frame = api_frame("tiny.some");
    struct spc_session_options o = api_options();
    struct spc_session *session = api_session(model, &o);
    struct spc_voxels voxels = api_voxels(&frame);
    struct spc_output own = {.data = NULL}, mine = {.data = NULL};
    float room[24 * 8 * 8 + 16];

    memset(room, 0x5a, sizeof(room));
    mine.data = room;
    mine.capacity = sizeof(room);
    CHECK_INT(spc_session_run(session, &voxels, &own, 1, NULL), SPC_OK);
    CHECK_INT(spc_session_run(session, &voxels, &mine, 1, NULL), SPC_OK);
    CHECK(mine.data == room && mine.size == 24 * 8 * 8 * 4);
    CHECK(api_hash(&own) == api_hash(&mine));
    for (int i = 0; i < 16 * 4; i++)
        CHECK(((uint8_t *)(room + 24 * 8 * 8))[i] == 0x5a);
    spc_session_free(&session);
    api_frame_free(&frame);
    spc_model_free(&model);
}

static struct spc_output run_once(struct spc_session *session, const struct spc_voxels *voxels,
                                  int index)
{
    struct spc_output outputs[16];
    struct spc_error err = {SPC_OK, ""};

    memset(outputs, 0, sizeof(outputs));
    if (spc_session_run(session, voxels, outputs, index + 1, &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    return outputs[index];
}

/* Several sessions of one model, each run twice, with every option that must not change bits. */
TEST(same_bits)
{
    struct spc_model *model = api_model("tiny.onnx");
    struct api_frame frame = api_frame("tiny.some");
    struct spc_voxels voxels = api_voxels(&frame);
    struct spc_session *sessions[4];
    struct spc_output out;
    uint64_t expected = 0;

    for (int i = 0; i < 4; i++) {
        struct spc_session_options o = api_options();

        o.threads = 1 + i;
        o.profile = i == 2;
        o.max_voxels = 100 + 1000 * i;
        sessions[i] = api_session(model, &o);
    }
    for (int i = 0; i < 8; i++) {
        out = run_once(sessions[i % 4], &voxels, 0);
        expected = i ? expected : api_hash(&out);
        CHECK(api_hash(&out) == expected);
    }
    for (int i = 0; i < 4; i++)
        spc_session_free(&sessions[i]);
    api_frame_free(&frame);
    spc_model_free(&model);
}

/* An output in another type holds the other's values, rounded. */
TEST(output_types)
{
    struct spc_model *model = api_model("tiny.onnx");
    struct api_frame frame = api_frame("tiny.some");
    struct spc_voxels voxels = api_voxels(&frame);
    struct spc_session_options o = api_options();
    struct spc_session *full = api_session(model, &o), *half;
    struct spc_output a = run_once(full, &voxels, 0), b;
    uint16_t rounded[24 * 8 * 8];

    o.output_type = SPC_DTYPE_F16;
    half = api_session(model, &o);
    b = run_once(half, &voxels, 0);
    CHECK(a.dtype == SPC_DTYPE_F32 && b.dtype == SPC_DTYPE_F16 && a.size == 2 * b.size);
    spc_convert_f32_to_f16(a.data, rounded, 24 * 8 * 8);
    CHECK(!memcmp(rounded, b.data, sizeof(rounded)));
    spc_session_free(&full);
    spc_session_free(&half);
    api_frame_free(&frame);
    spc_model_free(&model);
}

/* Rows in input order: the input's own indices come back, whichever order they had. */
TEST(row_order)
{
    struct spc_model *model = api_model("unet.onnx");
    struct api_frame frame = api_frame("unet.some");
    struct spc_voxels voxels = api_voxels(&frame);
    struct spc_session_options o = api_options();
    struct spc_session *session;
    struct spc_output out;

    o.row_order = SPC_ROWS_INPUT;
    session = api_session(model, &o);
    out = run_once(session, &voxels, 0);
    REQUIRE(out.indices && out.num_sites == voxels.num_voxels);
    CHECK(!memcmp(out.indices, voxels.indices, (size_t)voxels.num_voxels * 16));
    spc_session_free(&session);
    api_frame_free(&frame);
    spc_model_free(&model);
}

TEST(expose_all)
{
    struct spc_model *model = api_model("tiny.onnx");
    struct api_frame frame = api_frame("tiny.some");
    struct spc_voxels voxels = api_voxels(&frame);
    struct spc_session_options o = api_options();
    struct spc_session *fused = api_session(model, &o), *exposed;
    struct spc_output a = run_once(fused, &voxels, 0), b;
    struct spc_output_info info;

    o.expose_all = true;
    exposed = api_session(model, &o);
    CHECK_INT(spc_session_num_outputs(exposed), 11); /* the input and ten nodes */
    spc_session_get_output(exposed, 0, &info, NULL, NULL, NULL);
    CHECK(info.kind == SPC_OUTPUT_SPARSE && info.channels == 5);
    b = run_once(exposed, &voxels, 10);
    CHECK(api_hash(&a) == api_hash(&b)); /* fusion keeps every bit */
    spc_session_free(&fused);
    spc_session_free(&exposed);
    api_frame_free(&frame);
    spc_model_free(&model);
}

TEST(profile)
{
    struct spc_model *model = api_model("tiny.onnx");
    struct api_frame frame = api_frame("tiny.some");
    struct spc_voxels voxels = api_voxels(&frame);
    struct spc_session_options o = api_options();
    struct spc_session *session;
    struct spc_session_info info;
    struct spc_step_profile step;
    double milliseconds = 0, gflop = 0;

    o.profile = true;
    session = api_session(model, &o);
    run_once(session, &voxels, 0);
    spc_session_get_info(session, &info);
    CHECK_INT(info.frame_voxels, voxels.num_voxels);
    for (int i = 0; i < info.num_steps; i++) {
        CHECK_INT(spc_session_get_step(session, i, &step, NULL), SPC_OK);
        CHECK(step.name[0] && step.op[0] && step.milliseconds >= 0);
        CHECK_NEAR(step.gflop, 2e-9 * (double)step.pairs * step.in_channels * step.out_channels,
                   1e-12);
        milliseconds += step.milliseconds;
        gflop += step.gflop;
    }
    CHECK(milliseconds > 0 && gflop > 0);
    spc_session_free(&session);
    api_frame_free(&frame);
    spc_model_free(&model);
}

int main(void)
{
    RUN(free_nothing);
    RUN(model_errors);
    RUN(model_describes);
    RUN(option_errors);
    RUN(backends);
    RUN(defaults_and_auto);
    RUN(older_options);
    RUN(shorter_options_are_not_overrun);
    RUN(reserved_words);
    RUN(descriptions);
    RUN(frame_errors);
    RUN(nothing_to_tune);
    RUN(submit_and_wait);
    RUN(output_memory);
    RUN(same_bits);
    RUN(output_types);
    RUN(row_order);
    RUN(expose_all);
    RUN(profile);
    return test_result();
}
