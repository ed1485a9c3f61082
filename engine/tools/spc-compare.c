/* SPDX-License-Identifier: MIT */
/* spc-compare: how far are two tensors apart, and is that within bounds? */
#include "args.h"
#include "compare.h"
#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "NAME\n"
    "  spc-compare - compare two tensors, dense or sparse\n"
    "\n"
    "SYNOPSIS\n"
    "  spc-compare A B [--detail] [--min-cosine X] [--max-rel-l2 X] [--max-abs X] [--json]\n"
    "  spc-compare A B --indices-a FA --indices-b FB [...]\n"
    "\n"
    "DESCRIPTION\n"
    "  A and B are .tensor or .npy files of any element types. B is the reference. Shapes may\n"
    "  differ where the number of elements is the same: [1,128,2,180,180] and [1,256,180,180]\n"
    "  are compared in memory order, with a note.\n"
    "  With index files the rows of A and B belong to sites, and rows of the same index are\n"
    "  compared, whatever their order. Sites that only one side has are counted; they fail the\n"
    "  comparison.\n"
    "  Values that are NaN or infinite on both sides in the same way are equal; on one side only,\n"
    "  they fail the comparison. Differences are over the pairs of finite values.\n"
    "\n"
    "OPTIONS\n"
    "  --indices-a FILE   int32 [rows][columns] of A, --indices-b FILE those of B\n"
    "  --indices-b FILE\n"
    "  --detail           ranges of both sides, counts of differences, shapes\n"
    "  --min-cosine X     bound: cosine similarity of at least X (-1 to 1)\n"
    "  --max-rel-l2 X     bound: |A - B| / |B| of at most X\n"
    "  --max-abs X        bound: largest |a - b| of at most X\n"
    "  --json             print one JSON object instead\n"
    "  --help, --version\n"
    "\n"
    "EXIT STATUS\n"
    "  0  every bound that was given held\n"
    "  1  a bound did not hold, sites differ, or NaN or infinity is on one side only\n"
    "  2  wrong usage, unreadable files, or numbers of elements that differ\n"
    "\n"
    "EXAMPLES\n"
    "  spc-compare out.tensor expected.tensor --detail\n"
    "  spc-compare out.tensor expected.npy --max-rel-l2 1e-5 --min-cosine 0.99998\n"
    "  spc-compare f.features.tensor g.features.tensor \\\n"
    "      --indices-a f.indices.tensor --indices-b g.indices.tensor\n";

static const char tool[] = "spc-compare";

struct options {
    const char *path[2], *indices[2];
    bool detail, json;
    double min_cosine, max_rel_l2, max_abs; /* NAN: not given */
};

struct comparison {
    struct spc_array arrays[2];
    double *values[2]; /* sparse: of the matched rows */
    bool sparse, shapes_differ;
    struct compare_match match;
    struct compare_result result;
};

static int read_array(const char *path, struct spc_array *array)
{
    struct spc_error err;

    if (spc_array_read(path, array, &err))
        return tool_fail(tool, "%s", err.message);
    return EXIT_OK;
}

static void shape_text(const struct spc_array *array, const char *separator, char *text,
                       size_t size)
{
    size_t n = 0;

    text[0] = 0;
    for (int i = 0; i < array->rank; i++)
        n += (size_t)snprintf(text + n, size - n, "%s%" PRId64, i ? separator : "",
                              array->dims[i]);
}

static bool same_shape(const struct spc_array *a, const struct spc_array *b)
{
    return a->rank == b->rank && !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof(*a->dims));
}

static int64_t count_of(const struct spc_array *array)
{
    return (int64_t)(array->size / spc_dtype_size(array->dtype));
}

static int compare_dense(struct comparison *c)
{
    char shapes[2][192];

    if (count_of(&c->arrays[0]) != count_of(&c->arrays[1])) {
        shape_text(&c->arrays[0], ",", shapes[0], sizeof(shapes[0]));
        shape_text(&c->arrays[1], ",", shapes[1], sizeof(shapes[1]));
        return tool_fail(tool, "A has %" PRId64 " elements [%s], B has %" PRId64 " [%s]",
                         count_of(&c->arrays[0]), shapes[0], count_of(&c->arrays[1]), shapes[1]);
    }
    c->shapes_differ = !same_shape(&c->arrays[0], &c->arrays[1]);
    compare_values(c->values[0], c->values[1], count_of(&c->arrays[0]), &c->result);
    return EXIT_OK;
}

/* Index rows must be int32 and as many as the feature rows. */
static int check_indices(const struct spc_array *indices, const struct spc_array *features,
                         const char *path)
{
    if (indices->dtype != SPC_DTYPE_I32 || indices->rank != 2 || indices->dims[1] < 1)
        return tool_fail(tool, "%s: is %s of rank %d; indices are int32 [rows][columns]", path,
                         spc_dtype_name(indices->dtype), indices->rank);
    if (features->rank != 2 || features->dims[0] != indices->dims[0])
        return tool_fail(tool, "%s: %" PRId64 " rows of indices, %" PRId64 " rows of features",
                         path, indices->dims[0], features->rank ? features->dims[0] : 0);
    return EXIT_OK;
}

/* Moves rows into matched order; `rows` of `width` values. */
static double *gather_rows(const double *values, const int64_t *order, int64_t rows, int64_t width)
{
    double *gathered = malloc(((size_t)(rows * width) + 1) * sizeof(*gathered));

    for (int64_t i = 0; gathered && i < rows; i++)
        memcpy(gathered + i * width, values + order[i] * width, (size_t)width * sizeof(*values));
    return gathered;
}

static int compare_matched(struct comparison *c, const struct spc_array indices[2])
{
    int64_t width = c->arrays[0].dims[1];
    const char *wrong;

    if (c->arrays[1].dims[1] != width || indices[0].dims[1] != indices[1].dims[1])
        return tool_fail(tool,
                         "A has %" PRId64 " features and %" PRId64 " index columns, B %" PRId64
                         " and %" PRId64,
                         width, indices[0].dims[1], c->arrays[1].dims[1], indices[1].dims[1]);
    wrong = compare_match_rows(indices[0].data, indices[0].dims[0], indices[1].data,
                               indices[1].dims[0], (int)indices[0].dims[1], &c->match);
    if (wrong)
        return tool_fail(tool, "%s", wrong);
    for (int side = 0; side < 2; side++) {
        int64_t *order = side ? c->match.row_b : c->match.row_a;
        double *gathered = gather_rows(c->values[side], order, c->match.rows, width);

        free(order);
        free(c->values[side]);
        c->values[side] = gathered;
    }
    if (!c->values[0] || !c->values[1])
        return tool_fail(tool, "out of memory");
    compare_values(c->values[0], c->values[1], c->match.rows * width, &c->result);
    return EXIT_OK;
}

static int compare_sparse(struct comparison *c, const char *const paths[2])
{
    struct spc_array indices[2] = {{.rank = 0}, {.rank = 0}};
    int code = EXIT_OK;

    for (int side = 0; side < 2 && !code; side++) {
        code = read_array(paths[side], &indices[side]);
        if (!code)
            code = check_indices(&indices[side], &c->arrays[side], paths[side]);
    }
    if (!code)
        code = compare_matched(c, indices);
    spc_array_free(&indices[0]);
    spc_array_free(&indices[1]);
    return code;
}

static void print_side(const char *label, const struct compare_side *side)
{
    printf("%s: absmax:%.6f, min:%.6f, max:%.6f, std:%.6f, mean:%.6f, nan:%" PRId64
           ", inf:%" PRId64 "\n",
           label, side->absmax, side->min, side->max, side->std, side->mean, side->nans,
           side->infinities);
}

static void print_counts(const struct compare_result *r)
{
    static const int parts[COMPARE_LEVELS] = {75, 50, 25};
    double percent = r->compared ? 100.0 / (double)r->compared : 0;

    for (int i = 0; i < COMPARE_LEVELS; i++)
        printf("[absdiff > m%d%% --- %.6g]: %.3f %%, %" PRId64 "\n", parts[i], r->level[i],
               (double)r->above[i] * percent, r->above[i]);
    printf("[absdiff > 0]: %.3f %%, %" PRId64 "\n", (double)r->nonzero * percent, r->nonzero);
    printf("[absdiff = 0]: %.3f %%, %" PRId64 "\n", (double)(r->compared - r->nonzero) * percent,
           r->compared - r->nonzero);
}

static void print_detail(const struct options *o, const struct comparison *c)
{
    char shape[192];

    for (int side = 0; side < 2; side++) {
        shape_text(&c->arrays[side], " x ", shape, sizeof(shape));
        printf("%c: %s, %s : %s\n", 'A' + side, shape, spc_dtype_name(c->arrays[side].dtype),
               o->path[side]);
    }
    print_side("A", &c->result.a);
    print_side("B", &c->result.b);
}

static void print_text(const struct options *o, const struct comparison *c)
{
    const struct compare_result *r = &c->result;

    if (o->detail)
        print_detail(o, c);
    if (c->shapes_differ)
        printf("note: the shapes differ; compared in memory order\n");
    if (c->sparse)
        printf("[sites]: both:%" PRId64 ", only in A:%" PRId64 ", only in B:%" PRId64 "\n",
               c->match.rows, c->match.only_a, c->match.only_b);
    if (r->mismatched)
        printf("[not finite on one side]: %" PRId64 "\n", r->mismatched);
    printf("[absdiff]: max:%.9g, sum:%.6g, std:%.6g, mean:%.6g\n", r->max, r->sum, r->std, r->mean);
    if (o->detail) {
        if (r->max_at >= 0)
            printf("[absdiff max at]: %" PRId64 ", A:%.9g, B:%.9g\n", r->max_at,
                   c->values[0][r->max_at], c->values[1][r->max_at]);
        print_counts(r);
    }
    printf("[cosine]: %.3f %% (%.9f)\n", 100 * r->cosine, r->cosine);
    printf("[relative L2]: %.6g\n", r->rel_l2);
}

static void json_side(const struct options *o, const struct comparison *c, int side)
{
    const struct compare_side *s = side ? &c->result.b : &c->result.a;
    char shape[192];

    shape_text(&c->arrays[side], ", ", shape, sizeof(shape));
    printf(", \"%c\": {\"file\": ", 'a' + side);
    json_string(stdout, o->path[side]);
    printf(", \"type\": \"%s\", \"shape\": [%s]", spc_dtype_name(c->arrays[side].dtype), shape);
    printf(", \"nan\": %" PRId64 ", \"inf\": %" PRId64, s->nans, s->infinities);
    json_field(stdout, "min", s->min);
    json_field(stdout, "max", s->max);
    json_field(stdout, "mean", s->mean);
    json_field(stdout, "std", s->std);
    printf("}");
}

static void print_json(const struct options *o, const struct comparison *c, bool held)
{
    const struct compare_result *r = &c->result;

    printf("{\"held\": %s, \"count\": %" PRId64 ", \"compared\": %" PRId64
           ", \"mismatched\": %" PRId64 ", \"nonzero\": %" PRId64,
           held ? "true" : "false", r->count, r->compared, r->mismatched, r->nonzero);
    if (c->sparse)
        printf(", \"sites\": %" PRId64 ", \"only_a\": %" PRId64 ", \"only_b\": %" PRId64,
               c->match.rows, c->match.only_a, c->match.only_b);
    json_field(stdout, "max", r->max);
    json_field(stdout, "mean", r->mean);
    json_field(stdout, "sum", r->sum);
    json_field(stdout, "std", r->std);
    printf(", \"above\": [%" PRId64 ", %" PRId64 ", %" PRId64 "]", r->above[0], r->above[1],
           r->above[2]);
    json_field(stdout, "cosine", r->cosine);
    json_field(stdout, "rel_l2", r->rel_l2);
    json_side(o, c, 0);
    json_side(o, c, 1);
    printf("}\n");
}

/* Says which bound did not hold, on stderr so that --json stays parsable. */
static bool check_bound(const char *name, double value, double bound, bool is_minimum)
{
    if (isnan(bound) || (is_minimum ? value >= bound : value <= bound))
        return true;
    fflush(stdout);
    fprintf(stderr, "%s: %s %.9g is %s the bound %.9g\n", tool, name, value,
            is_minimum ? "below" : "above", bound);
    return false;
}

static bool check_bounds(const struct options *o, const struct comparison *c)
{
    const struct compare_result *r = &c->result;
    bool held = true;

    held &= check_bound("cosine", r->cosine, o->min_cosine, true);
    held &= check_bound("relative L2", r->rel_l2, o->max_rel_l2, false);
    held &= check_bound("absdiff max", r->max, o->max_abs, false);
    held &= check_bound("sites on one side only", (double)(c->match.only_a + c->match.only_b), 0,
                        false);
    held &= check_bound("values not finite on one side", (double)r->mismatched, 0, false);
    return held;
}

static int compare_files(const struct options *o, struct comparison *c)
{
    int code = EXIT_OK;

    for (int side = 0; side < 2 && !code; side++) {
        code = read_array(o->path[side], &c->arrays[side]);
        if (!code && !(c->values[side] = compare_load(&c->arrays[side])))
            code = tool_fail(tool, "%s: out of memory", o->path[side]);
    }
    c->sparse = o->indices[0] != NULL;
    if (!code)
        code = c->sparse ? compare_sparse(c, o->indices) : compare_dense(c);
    if (code)
        return code;
    if (!o->json)
        print_text(o, c);
    code = check_bounds(o, c) ? EXIT_OK : EXIT_DIFFERS;
    if (o->json)
        print_json(o, c, !code);
    return code;
}

int main(int argc, char **argv)
{
    struct options o = {.min_cosine = NAN, .max_rel_l2 = NAN, .max_abs = NAN};
    const struct arg table[] = {
        {"--indices-a", ARG_TEXT, &o.indices[0]},
        {"--indices-b", ARG_TEXT, &o.indices[1]},
        {"--detail", ARG_FLAG, &o.detail},
        {"--json", ARG_FLAG, &o.json},
        {"--min-cosine", ARG_NUMBER, &o.min_cosine},
        {"--max-rel-l2", ARG_NUMBER, &o.max_rel_l2},
        {"--max-abs", ARG_NUMBER, &o.max_abs},
        {NULL},
    };
    struct args args = {tool, help, table, 2};
    struct comparison c = {.sparse = false};
    int code = args_parse(&args, argc, argv);

    if (code >= 0)
        return code;
    if (args.num_positional != 2)
        return tool_fail(tool, "expected two files A and B; see %s --help", tool);
    if (!o.indices[0] != !o.indices[1])
        return tool_fail(tool, "--indices-a and --indices-b belong together; one is missing");
    o.path[0] = args.positional[0];
    o.path[1] = args.positional[1];
    code = compare_files(&o, &c);
    for (int side = 0; side < 2; side++) {
        spc_array_free(&c.arrays[side]);
        free(c.values[side]);
    }
    return code;
}
