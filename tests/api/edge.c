/* SPDX-License-Identifier: MIT */
/* Frames at the edges of what is valid, and beyond: each has a defined result, and the session
 * takes the next frame as if nothing had been. */
#include "api.h"

#define MAX_ROWS 600

/* A frame that tests change; on tiny.onnx's grid of 9 x 32 x 32 with 5 features. */
struct rows {
    float features[MAX_ROWS][5];
    int32_t indices[MAX_ROWS][4];
    struct spc_voxels voxels;
};

static struct spc_model *tiny, *unet;
static struct api_frame good;

static void set_rows(struct rows *rows, int64_t count)
{
    memset(rows, 0, sizeof(*rows));
    for (int i = 0; i < MAX_ROWS; i++) {
        for (int c = 0; c < 5; c++)
            rows->features[i][c] = (float)((i * 7 + c * 3) % 11) - 5;
        rows->indices[i][1] = i % 9;
        rows->indices[i][2] = (i / 9) % 32;
        rows->indices[i][3] = (i * 5) % 32;
    }
    rows->voxels = (struct spc_voxels){
        .feature_type = SPC_DTYPE_F32,
        .features = rows->features,
        .indices = &rows->indices[0][0],
        .num_voxels = count,
    };
}

static enum spc_status run(struct spc_session *session, const struct spc_voxels *voxels,
                           struct spc_output *out, struct spc_error *err)
{
    memset(out, 0, sizeof(*out));
    return spc_session_run(session, voxels, out, 1, err);
}

static uint64_t good_hash(struct spc_session *session)
{
    struct spc_voxels voxels = api_voxels(&good);
    struct spc_output out;

    CHECK_INT(run(session, &voxels, &out, NULL), SPC_OK);
    return api_hash(&out);
}

static struct spc_session *tiny_session(enum spc_precision precision, int64_t max_voxels)
{
    struct spc_session_options o = api_options();

    o.precision = precision;
    o.max_voxels = max_voxels;
    o.threads = 2;
    return api_session(tiny, &o);
}

static void check_zero_voxels(enum spc_precision precision)
{
    struct spc_session *session = tiny_session(precision, 200);
    struct spc_voxels none = {.feature_type = SPC_DTYPE_F32};
    uint64_t before = good_hash(session);
    struct spc_output out;
    bool all_zero = true;

    CHECK_INT(run(session, &none, &out, NULL), SPC_OK);
    CHECK(out.num_sites == 0 && out.rank == 4 && out.size > 0);
    for (size_t i = 0; i < out.size; i++)
        all_zero = all_zero && !((uint8_t *)out.data)[i];
    CHECK(all_zero);
    CHECK(good_hash(session) == before);
    spc_session_free(&session);
}

TEST(zero_voxels)
{
    struct spc_session_options o = api_options();
    struct spc_voxels none = {.feature_type = SPC_DTYPE_F16};
    struct spc_session *session = api_session(unet, &o);
    struct spc_output out;

    check_zero_voxels(SPC_PRECISION_FP32);
    check_zero_voxels(SPC_PRECISION_FP16);
    CHECK_INT(run(session, &none, &out, NULL), SPC_OK);
    CHECK(out.num_sites == 0 && out.rank == 2 && out.dims[0] == 0 && out.dims[1] == 4 &&
          out.size == 0);
    spc_session_free(&session);
}

TEST(one_voxel)
{
    struct spc_session *session = tiny_session(SPC_PRECISION_FP32, 1);
    static struct rows rows;
    struct spc_output out;
    struct spc_error err;

    set_rows(&rows, 1);
    CHECK_INT(run(session, &rows.voxels, &out, &err), SPC_OK);
    CHECK(out.num_sites > 0 && out.num_sites <= 8);
    set_rows(&rows, 2);
    CHECK_INT(run(session, &rows.voxels, &out, &err), SPC_ERR_CAPACITY);
    CHECK_TEXT(err.message, "2 voxels");
    CHECK_TEXT(err.message, "at most 1;");
    CHECK_TEXT(err.message, "max_voxels");
    spc_session_free(&session);
}

static void check_input_error(struct spc_session *session, struct rows *rows, const char *says)
{
    struct spc_output out = {.rank = 0};
    struct spc_error err = {SPC_OK, ""};
    uint64_t before = good_hash(session);

    CHECK_INT(run(session, &rows->voxels, &out, &err), SPC_ERR_INPUT);
    CHECK_TEXT(err.message, says);
    CHECK_INT(run(session, &rows->voxels, &out, NULL), SPC_ERR_INPUT);
    CHECK(good_hash(session) == before);
}

TEST(bad_indices)
{
    static const struct {
        int column;
        int32_t value;
    } bad[] = {{0, 1},  {0, -1},        {1, 9},         {1, -1}, {2, 32},
               {2, -1}, {3, 32},        {3, INT32_MAX}, {3, -1}, {1, INT32_MIN},
               {2, INT32_MAX}, {0, INT32_MIN}};
    struct spc_session *session = tiny_session(SPC_PRECISION_FP32, 200);
    static struct rows rows;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        for (int row = 0; row < 50; row += 49) { /* the first and the last */
            char says[32];

            set_rows(&rows, 50);
            rows.indices[row][bad[i].column] = bad[i].value;
            snprintf(says, sizeof(says), "row %d", row);
            check_input_error(session, &rows, says);
        }
    spc_session_free(&session);
}

TEST(duplicates)
{
    struct spc_session *session = tiny_session(SPC_PRECISION_FP32, 200);
    static struct rows rows;

    set_rows(&rows, 50);
    memcpy(rows.indices[31], rows.indices[7], sizeof(rows.indices[0]));
    check_input_error(session, &rows, "7");
    check_input_error(session, &rows, "31");
    spc_session_free(&session);
}

/* NaN and infinity are numbers like others: they spread through ReLU, and nowhere else. */
static void check_not_finite(float value, enum spc_precision precision)
{
    struct spc_session *session = tiny_session(precision, 200);
    static struct rows rows;
    struct spc_output out;
    uint64_t before = good_hash(session);
    int finite = 0, other = 0;

    set_rows(&rows, 20);
    rows.features[10][2] = value;
    CHECK_INT(run(session, &rows.voxels, &out, NULL), SPC_OK);
    for (size_t i = 0; i < out.size / spc_dtype_size(out.dtype); i++) {
        float f = 0;

        if (out.dtype == SPC_DTYPE_F16)
            spc_convert_f16_to_f32((uint16_t *)out.data + i, &f, 1);
        else
            f = ((float *)out.data)[i];
        isfinite(f) ? finite++ : other++;
    }
    CHECK(finite > 0 && other > 0);
    CHECK(good_hash(session) == before);
    spc_session_free(&session);
}

TEST(not_finite)
{
    check_not_finite(NAN, SPC_PRECISION_FP32);
    check_not_finite(NAN, SPC_PRECISION_FP16);
    check_not_finite(INFINITY, SPC_PRECISION_FP32);
    check_not_finite(-INFINITY, SPC_PRECISION_FP16);
}

/* Exactly the bound runs; one more is refused, with both numbers. */
TEST(input_bound)
{
    static struct rows rows;
    struct spc_session *session = tiny_session(SPC_PRECISION_FP32, 250);
    struct spc_output out;
    struct spc_error err;

    set_rows(&rows, 250);
    CHECK_INT(run(session, &rows.voxels, &out, &err), SPC_OK);
    set_rows(&rows, 251);
    CHECK_INT(run(session, &rows.voxels, &out, &err), SPC_ERR_CAPACITY);
    CHECK_TEXT(err.message, "251 voxels");
    CHECK_TEXT(err.message, "at most 250");
    spc_session_free(&session);
}

/* The golden frame has 90 voxels, then 124, 69 and 60 sites: with a site bound between those, a
 * level in the middle overflows. */
TEST(level_bound)
{
    struct spc_session_options o = api_options();
    struct spc_voxels voxels = api_voxels(&good);
    struct spc_session *session;
    struct spc_output out;
    struct spc_error err;

    o.site_bound = 124;
    session = api_session(tiny, &o);
    CHECK_INT(run(session, &voxels, &out, &err), SPC_OK);
    spc_session_free(&session);
    o.site_bound = 123;
    session = api_session(tiny, &o);
    for (int i = 0; i < 2; i++) { /* the second time as the first */
        struct spc_voxels none = {.feature_type = SPC_DTYPE_F32};

        CHECK_INT(run(session, &voxels, &out, &err), SPC_ERR_CAPACITY);
        CHECK_TEXT(err.message, "conv2");
        CHECK_TEXT(err.message, "124");
        CHECK_TEXT(err.message, "123");
        CHECK_INT(run(session, &none, &out, &err), SPC_OK);
    }
    spc_session_free(&session);
}

/* Another order of the same rows is the same frame. */
TEST(shuffled_rows)
{
    struct spc_session *session = tiny_session(SPC_PRECISION_FP32, 200);
    static struct rows rows, reversed;
    struct spc_output out;
    uint64_t expected;

    set_rows(&rows, 150);
    set_rows(&reversed, 150);
    for (int i = 0; i < 150; i++) {
        memcpy(reversed.features[i], rows.features[149 - i], sizeof(rows.features[0]));
        memcpy(reversed.indices[i], rows.indices[149 - i], sizeof(rows.indices[0]));
    }
    CHECK_INT(run(session, &rows.voxels, &out, NULL), SPC_OK);
    expected = api_hash(&out);
    CHECK_INT(run(session, &reversed.voxels, &out, NULL), SPC_OK);
    CHECK(api_hash(&out) == expected);
    spc_session_free(&session);
}

int main(void)
{
    tiny = api_model("tiny.onnx");
    unet = api_model("unet.onnx");
    good = api_frame("tiny.some");
    RUN(zero_voxels);
    RUN(one_voxel);
    RUN(bad_indices);
    RUN(duplicates);
    RUN(not_finite);
    RUN(input_bound);
    RUN(level_bound);
    RUN(shuffled_rows);
    api_frame_free(&good);
    spc_model_free(&tiny);
    spc_model_free(&unet);
    return test_result();
}
