/* SPDX-License-Identifier: MIT */
/* See compare.h. */
#include "compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void describe_side(const double *values, int64_t count, struct compare_side *side)
{
    double sum = 0, squares = 0;

    *side = (struct compare_side){.min = INFINITY, .max = -INFINITY};
    for (int64_t i = 0; i < count; i++) {
        double v = values[i];

        if (isnan(v) || isinf(v)) {
            isnan(v) ? side->nans++ : side->infinities++;
            continue;
        }
        side->finite++;
        side->min = fmin(side->min, v);
        side->max = fmax(side->max, v);
        sum += v;
    }
    if (!side->finite) {
        side->min = side->max = 0;
        return;
    }
    side->absmax = fmax(fabs(side->min), fabs(side->max));
    side->mean = sum / (double)side->finite;
    for (int64_t i = 0; i < count; i++)
        if (isfinite(values[i]))
            squares += (values[i] - side->mean) * (values[i] - side->mean);
    side->std = sqrt(squares / (double)side->finite);
}

static bool both_finite(double a, double b)
{
    return isfinite(a) && isfinite(b);
}

static void sum_differences(const double *a, const double *b, struct compare_result *r)
{
    double dot = 0, aa = 0, bb = 0, dd = 0;

    for (int64_t i = 0; i < r->count; i++) {
        double d = fabs(a[i] - b[i]);

        if (!both_finite(a[i], b[i])) {
            r->mismatched += !(a[i] == b[i] || (isnan(a[i]) && isnan(b[i])));
            continue;
        }
        r->compared++;
        r->nonzero += d != 0;
        r->sum += d;
        if (d > r->max || r->max_at < 0) {
            r->max = d;
            r->max_at = i;
        }
        dot += a[i] * b[i];
        aa += a[i] * a[i];
        bb += b[i] * b[i];
        dd += d * d;
    }
    r->mean = r->compared ? r->sum / (double)r->compared : 0;
    if (aa > 0 && bb > 0)
        r->cosine = dot / (sqrt(aa) * sqrt(bb));
    else
        r->cosine = aa == bb ? 1 : 0;
    r->rel_l2 = dd == 0 ? 0 : bb > 0 ? sqrt(dd / bb) : INFINITY;
}

void compare_values(const double *a, const double *b, int64_t count, struct compare_result *result)
{
    static const double parts[COMPARE_LEVELS] = {0.75, 0.50, 0.25};
    struct compare_result r = {.count = count, .max_at = -1};
    double squares = 0;

    describe_side(a, count, &r.a);
    describe_side(b, count, &r.b);
    sum_differences(a, b, &r);
    for (int level = 0; level < COMPARE_LEVELS; level++)
        r.level[level] = r.max * parts[level];
    for (int64_t i = 0; i < count; i++) {
        double d = fabs(a[i] - b[i]);

        if (!both_finite(a[i], b[i]))
            continue;
        squares += (d - r.mean) * (d - r.mean);
        for (int level = 0; level < COMPARE_LEVELS; level++)
            r.above[level] += d > r.level[level];
    }
    r.std = r.compared ? sqrt(squares / (double)r.compared) : 0;
    *result = r;
}

double *compare_load(const struct spc_array *array)
{
    size_t unit = spc_dtype_size(array->dtype), count = array->size / unit;
    double *values = malloc((count + 1) * sizeof(*values));
    const char *at = array->data;

    for (size_t i = 0; values && i < count; i++, at += unit) {
        float f;

        switch (array->dtype) {
#define CASE(code, type)                                                                           \
    case SPC_DTYPE_##code: {                                                                       \
        type v;                                                                                    \
        memcpy(&v, at, sizeof(v));                                                                 \
        values[i] = (double)v;                                                                     \
        break;                                                                                     \
    }
            CASE(F32, float)
            CASE(I8, int8_t)
            CASE(U8, uint8_t)
            CASE(I32, int32_t)
            CASE(U32, uint32_t)
            CASE(I64, int64_t)
            CASE(U64, uint64_t)
#undef CASE
        case SPC_DTYPE_F16:
            spc_convert_f16_to_f32((const uint16_t *)(const void *)at, &f, 1);
            values[i] = f;
            break;
        case SPC_DTYPE_NONE:
            break;
        }
    }
    return values;
}

/* An index row and where it stands, for sorting. */
struct row {
    const int32_t *index;
    int64_t number;
    int width;
};

static int compare_index(const int32_t *a, const int32_t *b, int width)
{
    for (int i = 0; i < width; i++)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

static int compare_rows(const void *a, const void *b)
{
    const struct row *x = a, *y = b;

    return compare_index(x->index, y->index, x->width);
}

static struct row *sort_rows(const int32_t *indices, int64_t rows, int width)
{
    struct row *sorted = malloc(((size_t)rows + 1) * sizeof(*sorted));

    if (!sorted)
        return NULL;
    for (int64_t i = 0; i < rows; i++)
        sorted[i] = (struct row){indices + i * width, i, width};
    qsort(sorted, (size_t)rows, sizeof(*sorted), compare_rows);
    return sorted;
}

static bool has_duplicate(const struct row *sorted, int64_t rows)
{
    for (int64_t i = 1; i < rows; i++)
        if (!compare_rows(&sorted[i - 1], &sorted[i]))
            return true;
    return false;
}

static void merge_rows(const struct row *a, int64_t rows_a, const struct row *b, int64_t rows_b,
                       struct compare_match *match)
{
    int64_t i = 0, j = 0;

    while (i < rows_a && j < rows_b) {
        int order = compare_rows(&a[i], &b[j]);

        if (!order) {
            match->row_a[match->rows] = a[i].number;
            match->row_b[match->rows++] = b[j].number;
        }
        i += order <= 0;
        j += order >= 0;
    }
    match->only_a = rows_a - match->rows;
    match->only_b = rows_b - match->rows;
}

const char *compare_match_rows(const int32_t *a, int64_t rows_a, const int32_t *b, int64_t rows_b,
                               int width, struct compare_match *match)
{
    struct row *sorted_a = sort_rows(a, rows_a, width), *sorted_b = sort_rows(b, rows_b, width);
    const char *wrong = NULL;

    *match = (struct compare_match){
        .row_a = malloc(((size_t)rows_a + 1) * sizeof(int64_t)),
        .row_b = malloc(((size_t)rows_a + 1) * sizeof(int64_t)),
    };
    if (!sorted_a || !sorted_b || !match->row_a || !match->row_b)
        wrong = "out of memory";
    else if (has_duplicate(sorted_a, rows_a))
        wrong = "the same index twice in A";
    else if (has_duplicate(sorted_b, rows_b))
        wrong = "the same index twice in B";
    else
        merge_rows(sorted_a, rows_a, sorted_b, rows_b, match);
    if (wrong) {
        free(match->row_a);
        free(match->row_b);
    }
    free(sorted_a);
    free(sorted_b);
    return wrong;
}
