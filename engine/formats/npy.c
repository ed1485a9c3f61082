/* SPDX-License-Identifier: MIT */
/*
 * `.npy` files, NumPy format 1.0 to 3.0: a magic, a version, a header length, the header as a
 * Python dictionary of 'descr', 'fortran_order' and 'shape', then the values.
 */
#include "base/error.h"
#include "formats/formats.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NumPy itself refuses more than 10,000 by default. */
#define MAX_TEXT 65535
#define MAX_DESCR 16
/* NumPy leaves this much room for the first dim, so that files can grow in place. */
#define GROWTH_DIGITS 21

static const uint8_t magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

static const struct {
    const char *descr;
    enum spc_dtype dtype;
} types[] = {
    {"<f4", SPC_DTYPE_F32}, {"<f2", SPC_DTYPE_F16}, {"|i1", SPC_DTYPE_I8},  {"|u1", SPC_DTYPE_U8},
    {"<i4", SPC_DTYPE_I32}, {"<u4", SPC_DTYPE_U32}, {"<i8", SPC_DTYPE_I64}, {"<u8", SPC_DTYPE_U64},
};
#define NUM_TYPES (sizeof(types) / sizeof(*types))

/* The header's text, read from left to right. */
struct cursor {
    const char *at, *end;
};

struct header {
    char descr[MAX_DESCR];
    bool fortran, has_descr, has_order, has_shape;
    int rank;
    int64_t dims[SPC_MAX_RANK];
};

bool spc__is_npy(const void *data, size_t size)
{
    return size >= sizeof(magic) && !memcmp(data, magic, sizeof(magic));
}

static void skip_space(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t'))
        c->at++;
}

static bool take(struct cursor *c, const char *token)
{
    size_t n = strlen(token);

    skip_space(c);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, token, n))
        return false;
    c->at += n;
    return true;
}

static bool take_string(struct cursor *c, char *text, size_t size)
{
    char quote;
    size_t n = 0;

    skip_space(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"'))
        return false;
    quote = *c->at++;
    for (; c->at < c->end && *c->at != quote; c->at++) {
        if (n + 1 >= size || *c->at == '\\' || !*c->at)
            return false;
        text[n++] = *c->at;
    }
    text[n] = 0;
    return take(c, quote == '"' ? "\"" : "'");
}

static bool take_dim(struct cursor *c, int64_t *dim)
{
    const char *start;
    bool negative = take(c, "-");

    skip_space(c);
    start = c->at;
    *dim = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
        if (__builtin_mul_overflow(*dim, 10, dim) ||
            __builtin_add_overflow(*dim, *c->at - '0', dim))
            return false;
    if (negative)
        *dim = -*dim;
    return c->at > start;
}

/* "()", "(3,)" or "(3, 4)" */
static enum spc_status take_shape(struct cursor *c, struct header *h, struct spc_error *err)
{
    bool comma = false;

    h->rank = 0;
    if (!take(c, "("))
        return spc__fail(err, SPC_ERR_FORMAT, "the header's 'shape' is no tuple");
    while (!take(c, ")")) {
        if (h->rank && !comma)
            return spc__fail(err, SPC_ERR_FORMAT, "the header's 'shape' is not closed");
        if (h->rank == SPC_MAX_RANK)
            return spc__fail(err, SPC_ERR_UNSUPPORTED, "more than %d dims are not supported",
                             SPC_MAX_RANK);
        if (!take_dim(c, &h->dims[h->rank]))
            return spc__fail(err, SPC_ERR_FORMAT, "dim %d in the header's 'shape' is no number",
                             h->rank);
        h->rank++;
        comma = take(c, ",");
    }
    if (h->rank == 1 && !comma)
        return spc__fail(err, SPC_ERR_FORMAT, "the header's 'shape' is no tuple");
    h->has_shape = true;
    return SPC_OK;
}

static enum spc_status take_entry(struct cursor *c, struct header *h, struct spc_error *err)
{
    char key[16];

    if (!take_string(c, key, sizeof(key)) || !take(c, ":"))
        return spc__fail(err, SPC_ERR_FORMAT, "the header is no dictionary of NumPy's");
    if (!strcmp(key, "descr") && !h->has_descr) {
        h->has_descr = true;
        if (!take_string(c, h->descr, sizeof(h->descr)))
            return spc__fail(err, SPC_ERR_UNSUPPORTED,
                             "structured element types are not supported; save a plain array");
        return SPC_OK;
    }
    if (!strcmp(key, "fortran_order") && !h->has_order) {
        h->has_order = true;
        h->fortran = take(c, "True");
        if (!h->fortran && !take(c, "False"))
            return spc__fail(err, SPC_ERR_FORMAT, "the header's 'fortran_order' is no boolean");
        return SPC_OK;
    }
    if (!strcmp(key, "shape") && !h->has_shape)
        return take_shape(c, h, err);
    return spc__fail(err, SPC_ERR_FORMAT, "the header has an unknown or repeated key '%s'", key);
}

static enum spc_status parse_header(struct cursor c, struct header *h, struct spc_error *err)
{
    enum spc_status status;

    if (!take(&c, "{"))
        return spc__fail(err, SPC_ERR_FORMAT, "the header is no dictionary of NumPy's");
    while (!take(&c, "}")) {
        status = take_entry(&c, h, err);
        if (status)
            return status;
        if (!take(&c, ",")) {
            if (!take(&c, "}"))
                return spc__fail(err, SPC_ERR_FORMAT, "the header's dictionary is not closed");
            break;
        }
    }
    skip_space(&c);
    if (c.at != c.end)
        return spc__fail(err, SPC_ERR_FORMAT, "the header goes on behind its dictionary");
    if (!h->has_descr || !h->has_order || !h->has_shape)
        return spc__fail(err, SPC_ERR_FORMAT, "the header lacks '%s'",
                         !h->has_descr ? "descr" : !h->has_order ? "fortran_order" : "shape");
    return SPC_OK;
}

static enum spc_status find_type(const struct header *h, enum spc_dtype *dtype,
                                 struct spc_error *err)
{
    for (size_t i = 0; i < NUM_TYPES; i++)
        /* One-byte types have no byte order, whatever sign is written. */
        if (!strcmp(h->descr + 1, types[i].descr + 1) && h->descr[0] &&
            (h->descr[0] == types[i].descr[0] || types[i].descr[0] == '|')) {
            *dtype = types[i].dtype;
            return SPC_OK;
        }
    if (h->descr[0] == '>')
        return spc__fail(err, SPC_ERR_UNSUPPORTED,
                         "big-endian values ('%s') are not supported; save little-endian ones",
                         h->descr);
    return spc__fail(err, SPC_ERR_UNSUPPORTED,
                     "element type '%s' is not supported; use float32, float16, int8, uint8, "
                     "int32, uint32, int64 or uint64",
                     h->descr);
}

/* Where the header's text begins and how long it is. */
static enum spc_status locate_text(const uint8_t *bytes, size_t size, size_t *start, size_t *length,
                                   struct spc_error *err)
{
    if (size < 10)
        return spc__fail(err, SPC_ERR_FORMAT, "the header is cut off after %zu bytes", size);
    if (bytes[6] < 1 || bytes[6] > 3 || bytes[7])
        return spc__fail(err, SPC_ERR_UNSUPPORTED, "format version %d.%d is not supported",
                         bytes[6], bytes[7]);
    *start = bytes[6] == 1 ? 10 : 12;
    if (size < *start)
        return spc__fail(err, SPC_ERR_FORMAT, "the header is cut off after %zu bytes", size);
    *length = bytes[8] | (size_t)bytes[9] << 8;
    if (bytes[6] > 1)
        *length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (*length > MAX_TEXT)
        return spc__fail(err, SPC_ERR_UNSUPPORTED, "a header of %zu bytes is not supported",
                         *length);
    if (size - *start < *length)
        return spc__fail(err, SPC_ERR_FORMAT, "the header is cut off after %zu of %zu bytes", size,
                         *start + *length);
    return SPC_OK;
}

enum spc_status spc__npy_parse(const void *data, size_t size, struct spc_array *array,
                               struct spc_error *err)
{
    const uint8_t *bytes = data;
    struct header header = {.rank = 0};
    struct cursor cursor;
    enum spc_dtype dtype = SPC_DTYPE_NONE;
    enum spc_status status;
    size_t start = 0, length = 0;

    status = locate_text(bytes, size, &start, &length, err);
    if (status)
        return status;
    cursor.at = (const char *)bytes + start;
    cursor.end = cursor.at + length;
    status = parse_header(cursor, &header, err);
    if (!status)
        status = find_type(&header, &dtype, err);
    if (status)
        return status;
    if (header.fortran)
        return spc__fail(err, SPC_ERR_UNSUPPORTED,
                         "Fortran order is not supported; save numpy.ascontiguousarray(array)");
    start += length;
    return spc__array_take(array, dtype, header.rank, header.dims, bytes + start, size - start,
                           err);
}

/* The bytes NumPy would write. */
enum spc_status spc__npy_header(const struct spc_array *array, uint8_t header[SPC__MAX_HEADER],
                                size_t *length, struct spc_error *err)
{
    char *text = (char *)header + 10;
    const char *descr = "";
    int n, first;
    size_t total;

    (void)err;
    for (size_t i = 0; i < NUM_TYPES; i++)
        if (types[i].dtype == array->dtype)
            descr = types[i].descr;
    n = sprintf(text, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (int i = 0; i < array->rank; i++)
        n += sprintf(text + n, i ? ", %" PRId64 : "%" PRId64, array->dims[i]);
    n += sprintf(text + n, array->rank == 1 ? ",), }" : "), }");
    if (array->rank) {
        first = snprintf(NULL, 0, "%" PRId64, array->dims[0]);
        n += sprintf(text + n, "%*s", GROWTH_DIGITS - first, "");
    }
    total = (10 + (size_t)n + 1 + 63) / 64 * 64; /* values start at a multiple of 64 */
    memset(text + n, ' ', total - 10 - (size_t)n);
    header[total - 1] = '\n';
    memcpy(header, magic, sizeof(magic));
    header[6] = 1;
    header[7] = 0;
    header[8] = (uint8_t)(total - 10);
    header[9] = (uint8_t)((total - 10) >> 8);
    *length = total;
    return SPC_OK;
}
