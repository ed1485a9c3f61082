/* SPDX-License-Identifier: MIT */
/*
 * Golden cases: every network and frame of manifest.txt, through the public API, in fp32 and fp16,
 * with every instruction set of this machine, 1 and 3 threads, and on the GPU where there is one,
 * recorded and not; fused and with all values exposed; against results that an independent
 * program computed in float64.
 */
#include "test.h"

#include <spc/spc.h>

#define MAX_OUTPUTS 64
#define MAX_ISAS 5

struct expected {
    char name[SPC_MAX_NAME];
    bool sparse;
    int64_t rows, channels; /* dense: values, 0 */
    const float *values;    /* sparse: [rows][4 + channels], sorted by index */
};

struct golden_case {
    char network[64], kind[16];
    double bound[2][2]; /* [fp32, fp16][relative L2, largest error / largest value] */
    int num_outputs;
    struct expected outputs[MAX_OUTPUTS];
};

struct config {
    enum spc_precision precision;
    const char *backend, *isa;
    int threads;
    bool expose_all, cuda_graph;
};

static const char *golden_folder;
static const char *isas[MAX_ISAS];
static int num_isas;
static bool have_cuda;

static void path_of(char *path, size_t size, const struct golden_case *c, const char *folder,
                    const char *suffix)
{
    if (strcmp(folder, "models") == 0)
        snprintf(path, size, "%s/models/%s.onnx", golden_folder, c->network);
    else
        snprintf(path, size, "%s/%s/%s.%s%s.npy", golden_folder, folder, c->network, c->kind,
                 suffix);
}

/* ---- comparing ---- */

static float value_at(const struct spc_output *out, int64_t i)
{
    float f;

    if (out->dtype == SPC_DTYPE_F32)
        return ((const float *)out->data)[i];
    spc_convert_f16_to_f32((const uint16_t *)out->data + i, &f, 1);
    return f;
}

struct distance {
    double diff2, ref2, max_diff, max_ref;
};

static void distance_add(struct distance *d, double actual, double ref)
{
    double diff = fabs(actual - ref);

    d->diff2 += diff * diff;
    d->ref2 += ref * ref;
    d->max_diff = fmax(d->max_diff, diff); /* a NaN shows in diff2 */
    d->max_ref = fmax(d->max_ref, fabs(ref));
}

static bool distance_ok(const struct distance *d, const double bound[2])
{
    return sqrt(d->diff2) <= bound[0] * sqrt(d->ref2) && d->max_diff <= bound[1] * d->max_ref;
}

struct sorted_row {
    int32_t index[4];
    int64_t row;
};

static int compare_rows(const void *a, const void *b)
{
    const struct sorted_row *x = a, *y = b;

    for (int i = 0; i < 4; i++)
        if (x->index[i] != y->index[i])
            return x->index[i] < y->index[i] ? -1 : 1;
    return 0;
}

/* Distance of a sparse output, rows matched by index; false where the sites differ. */
static bool compare_sparse(const struct spc_output *out, const struct expected *e,
                           struct distance *d)
{
    struct sorted_row *rows = calloc((size_t)out->num_sites + 1, sizeof(*rows));
    bool same = rows && out->num_sites == e->rows && (!e->rows || out->dims[1] == e->channels);

    for (int64_t i = 0; same && i < out->num_sites; i++) {
        memcpy(rows[i].index, out->indices + 4 * i, sizeof(rows[i].index));
        rows[i].row = i;
    }
    if (same)
        qsort(rows, (size_t)out->num_sites, sizeof(*rows), compare_rows);
    for (int64_t i = 0; same && i < e->rows; i++) {
        const float *ref = e->values + i * (4 + e->channels);

        for (int k = 0; k < 4; k++)
            same = same && rows[i].index[k] == (int32_t)ref[k];
        for (int64_t c = 0; c < e->channels; c++)
            distance_add(d, value_at(out, rows[i].row * e->channels + c), ref[4 + c]);
    }
    free(rows);
    return same;
}

static bool compare_dense(const struct spc_output *out, const struct expected *e,
                          struct distance *d)
{
    if (out->size != (size_t)e->rows * spc_dtype_size(out->dtype))
        return false;
    for (int64_t i = 0; i < e->rows; i++)
        distance_add(d, value_at(out, i), e->values[i]);
    return true;
}

/* ---- running ---- */

static int find_output(struct spc_session *session, const char *name)
{
    struct spc_output_info info;

    for (int i = 0; i < spc_session_num_outputs(session); i++)
        if (!spc_session_get_output(session, i, &info, NULL, NULL, NULL) &&
            strcmp(info.name, name) == 0)
            return i;
    return -1;
}

static void check_output(const struct golden_case *c, const struct config *config,
                         const struct expected *e, const struct spc_output *out)
{
    const double *bound = c->bound[config->precision == SPC_PRECISION_FP16];
    struct distance d = {0};
    bool same_shape = e->sparse ? compare_sparse(out, e, &d) : compare_dense(out, e, &d);
    bool good = same_shape && distance_ok(&d, bound);

    if (!good)
        fprintf(stderr,
                "%s.%s output %s, %s, %s %s, %d threads%s: %s: relative L2 %.3g (at most %g), "
                "largest error %.3g of %.3g (at most %g of it)\n",
                c->network, c->kind, e->name, spc_precision_name(config->precision),
                config->backend, config->isa, config->threads,
                config->expose_all ? ", all exposed" : "",
                same_shape ? "values differ" : "sites or shape differ",
                d.ref2 > 0 ? sqrt(d.diff2 / d.ref2) : sqrt(d.diff2), bound[0], d.max_diff,
                d.max_ref, bound[1]);
    CHECK(good);
}

static void session_options(struct spc_session_options *options, const struct config *config)
{
    spc_session_options_default(options);
    options->backend = config->backend;
    options->precision = config->precision;
    options->isa = config->isa;
    options->threads = config->threads;
    options->expose_all = config->expose_all;
    options->cuda_graph = config->cuda_graph;
    options->max_voxels = 2048;
    options->site_bound = 4096;
}

static void run_config(const struct golden_case *c, const struct spc_model *model,
                       const struct spc_voxels *voxels, const struct config *config)
{
    struct spc_session_options options;
    struct spc_session *session = NULL;
    struct spc_output outputs[MAX_OUTPUTS] = {0};
    struct spc_error err = {0};
    enum spc_status status;

    session_options(&options, config);
    status = spc_session_create(model, &options, &session, &err);
    if (!status)
        status = spc_session_run(session, voxels, outputs, spc_session_num_outputs(session), &err);
    if (status)
        fprintf(stderr, "%s.%s, %s, isa %s: %s\n", c->network, c->kind, config->backend,
                config->isa, err.message);
    CHECK(status == SPC_OK);
    for (int i = 0; !status && i < c->num_outputs; i++) {
        int found = find_output(session, c->outputs[i].name);

        CHECK(found >= 0);
        if (found >= 0)
            check_output(c, config, &c->outputs[i], &outputs[found]);
    }
    spc_session_free(&session);
}

static void run_configs(const struct golden_case *c, const struct spc_model *model,
                        const struct spc_voxels *voxels)
{
    for (int bits = 0; bits < 8; bits++)
        for (int isa = 0; isa < num_isas; isa++) {
            struct config config = {
                .precision = bits & 1 ? SPC_PRECISION_FP16 : SPC_PRECISION_FP32,
                .threads = bits & 2 ? 3 : 1,
                .expose_all = bits & 4,
                .backend = "cpu",
                .isa = isas[isa],
            };

            run_config(c, model, voxels, &config);
        }
    for (int bits = 0; have_cuda && bits < 8; bits++) {
        struct config config = {
            .precision = bits & 1 ? SPC_PRECISION_FP16 : SPC_PRECISION_FP32,
            .cuda_graph = bits & 2,
            .expose_all = bits & 4,
            .backend = "cuda",
            .isa = "auto",
        };

        run_config(c, model, voxels, &config);
    }
}

/* Reads the case's files, points the expected outputs into `expected`, runs all. */
static void run_case(struct golden_case *c)
{
    struct spc_array features = {0}, indices = {0}, expected = {0};
    struct spc_model *model = NULL;
    struct spc_error err = {0};
    char path[4][512];
    const float *at;

    path_of(path[0], sizeof(path[0]), c, "models", "");
    path_of(path[1], sizeof(path[1]), c, "frames", ".features");
    path_of(path[2], sizeof(path[2]), c, "frames", ".indices");
    path_of(path[3], sizeof(path[3]), c, "expected", "");
    if (spc_model_load_file(path[0], NULL, &model, &err) ||
        spc_array_read(path[1], &features, &err) || spc_array_read(path[2], &indices, &err) ||
        spc_array_read(path[3], &expected, &err)) {
        fprintf(stderr, "%s.%s: %s\n", c->network, c->kind, err.message);
        CHECK(!"the case can be read");
        goto out;
    }
    at = expected.data;
    for (int i = 0; i < c->num_outputs; i++) {
        struct expected *e = &c->outputs[i];

        e->values = at;
        at += e->rows * (e->sparse ? 4 + e->channels : 1);
    }
    CHECK_INT((const char *)at - (const char *)expected.data, expected.size);
    run_configs(c, model,
                &(struct spc_voxels){
                    .feature_type = SPC_DTYPE_F32,
                    .features = features.data,
                    .indices = indices.data,
                    .num_voxels = indices.dims[0],
                });
out:
    spc_model_free(&model);
    spc_array_free(&features);
    spc_array_free(&indices);
    spc_array_free(&expected);
}

/* ---- manifest ---- */

static void end_case(struct golden_case *c)
{
    int before = test_failures;

    if (!c->network[0])
        return;
    run_case(c);
    printf("%s %s.%s\n", test_failures == before ? "ok  " : "FAIL", c->network, c->kind);
    memset(c, 0, sizeof(*c));
}

/* One line of manifest.txt; a "case" line runs the case before it. */
static void take_line(struct golden_case *c, const char *line, int *num_cases)
{
    struct expected *e = &c->outputs[c->num_outputs];
    long long rows, channels = 0;

    if (strncmp(line, "case ", 5) == 0) {
        end_case(c);
        REQUIRE(sscanf(line, "case %63s %15s fp32 %lf %lf fp16 %lf %lf", c->network, c->kind,
                       &c->bound[0][0], &c->bound[0][1], &c->bound[1][0], &c->bound[1][1]) == 6);
        (*num_cases)++;
    } else if (sscanf(line, "sparse %127s %lld %lld", e->name, &rows, &channels) == 3 ||
               sscanf(line, "dense %127s %lld", e->name, &rows) == 2) {
        e->sparse = line[0] == 's';
        e->rows = rows;
        e->channels = channels;
        REQUIRE(c->num_outputs < MAX_OUTPUTS - 1);
        c->num_outputs++;
    } else {
        CHECK(line[0] == '#' || strncmp(line, "file ", 5) == 0);
    }
}

TEST(manifest)
{
    static struct golden_case c;
    char path[512], line[512];
    int num_cases = 0;
    FILE *file;

    snprintf(path, sizeof(path), "%s/manifest.txt", golden_folder);
    file = fopen(path, "r");
    REQUIRE(file);
    while (fgets(line, sizeof(line), file))
        take_line(&c, line, &num_cases);
    end_case(&c);
    fclose(file);
    CHECK(num_cases > 0);
}

/* Instruction sets that this machine has; "c" and "auto" must always be there. */
TEST(instruction_sets)
{
    static const char *const names[MAX_ISAS] = {"auto", "c", "avx2", "avx512", "neon"};
    struct golden_case c = {.network = "tiny", .kind = "some"};
    struct spc_model *model = NULL;
    struct spc_error err = {0};
    char path[512];

    path_of(path, sizeof(path), &c, "models", "");
    REQUIRE(spc_model_load_file(path, NULL, &model, &err) == SPC_OK);
    for (int i = 0; i < MAX_ISAS; i++) {
        struct config config = {
            .precision = SPC_PRECISION_FP32, .backend = "cpu", .isa = names[i], .threads = 1};
        struct spc_session_options options;
        struct spc_session *session = NULL;

        session_options(&options, &config);
        if (spc_session_create(model, &options, &session, &err) == SPC_OK)
            isas[num_isas++] = names[i];
        else
            printf("isa %s is left out: %s\n", names[i], err.message);
        CHECK(session || i >= 2);
        spc_session_free(&session);
    }
    spc_model_free(&model);
}

/* Whether the GPU takes part; on a machine without one, the reason must be said. */
TEST(cuda)
{
    struct spc_error why;
    const char *name;

    for (int i = 0; (name = spc_backend_name(i, &why)); i++)
        if (strcmp(name, "cuda") == 0) {
            have_cuda = why.status == SPC_OK;
            CHECK(have_cuda || why.message[0]);
            printf("cuda: %s\n", have_cuda ? "takes part" : why.message);
        }
}

int main(void)
{
    golden_folder = getenv("SPC_GOLDEN");
    if (!golden_folder) {
        fprintf(stderr, "set SPC_GOLDEN to the folder of manifest.txt\n");
        return 2;
    }
    RUN(instruction_sets);
    RUN(cuda);
    RUN(manifest);
    return test_result();
}
