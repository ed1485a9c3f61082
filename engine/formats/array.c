/* SPDX-License-Identifier: MIT */
/* Arrays: limits, ownership, and the choice of a file format. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "formats/formats.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool spc__has_suffix(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);

    return n > m && !strcmp(path + n - m, suffix);
}

void spc_array_free(struct spc_array *array)
{
    if (!array)
        return;
    free(array->data);
    memset(array, 0, sizeof(*array));
}

enum spc_status spc__array_bytes(enum spc_dtype dtype, int rank, const int64_t *dims, size_t *bytes,
                                 struct spc_error *err)
{
    uint64_t total = spc_dtype_size(dtype);
    bool empty = false;

    if (!total)
        return spc__fail(err, SPC_ERR_UNSUPPORTED, "element type %d is not known", (int)dtype);
    if (rank < 0 || rank > SPC_MAX_RANK)
        return spc__fail(err, SPC_ERR_UNSUPPORTED, "rank %d is not supported, at most %d is", rank,
                         SPC_MAX_RANK);
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0)
            return spc__fail(err, SPC_ERR_FORMAT, "dim %d is negative: %" PRId64, i, dims[i]);
        empty = empty || !dims[i];
        if (dims[i] && (__builtin_mul_overflow(total, (uint64_t)dims[i], &total) ||
                        total > SPC__MAX_ARRAY_BYTES))
            return spc__fail(err, SPC_ERR_UNSUPPORTED, "the dims make more than %" PRIu64 " bytes",
                             SPC__MAX_ARRAY_BYTES);
    }
    *bytes = empty ? 0 : (size_t)total;
    return SPC_OK;
}

enum spc_status spc__array_take(struct spc_array *array, enum spc_dtype dtype, int rank,
                                const int64_t *dims, const void *values, size_t size,
                                struct spc_error *err)
{
    struct spc_array made = {.dtype = dtype, .rank = rank};
    enum spc_status status = spc__array_bytes(dtype, rank, dims, &made.size, err);

    if (status)
        return status;
    if (size != made.size)
        return spc__fail(err, SPC_ERR_FORMAT,
                         "the header promises %zu bytes of values, %zu are there", made.size, size);
    made.data = spc__alloc(made.size, 1);
    if (!made.data)
        return spc__fail_memory(err, made.size, "an array");
    if (rank)
        memcpy(made.dims, dims, (size_t)rank * sizeof(*dims));
    if (size)
        memcpy(made.data, values, size);
    *array = made;
    return SPC_OK;
}

enum spc_status spc_array_parse(const void *data, size_t size, struct spc_array *array,
                                struct spc_error *err)
{
    if (!array || (!data && size))
        return spc__fail(err, SPC_ERR_ARGUMENT, "spc_array_parse: data or array is NULL");
    if (spc__is_tensor(data, size))
        return spc__tensor_parse(data, size, array, err);
    if (spc__is_npy(data, size))
        return spc__npy_parse(data, size, array, err);
    return spc__fail(err, SPC_ERR_FORMAT,
                     "neither a .tensor nor a .npy file: the first bytes are of neither format");
}

enum spc_status spc_array_read(const char *path, struct spc_array *array, struct spc_error *err)
{
    enum spc_status status;
    void *data;
    size_t size;

    if (!path || !array)
        return spc__fail(err, SPC_ERR_ARGUMENT, "spc_array_read: path or array is NULL");
    status = spc__file_read(path, SPC__MAX_ARRAY_BYTES, &data, &size, err);
    if (status)
        return status;
    status = spc_array_parse(data, size, array, err);
    free(data);
    return status ? spc__fail_in_file(err, status, path) : SPC_OK;
}

enum spc_status spc_array_write(const char *path, const struct spc_array *array,
                                struct spc_error *err)
{
    uint8_t header[SPC__MAX_HEADER];
    enum spc_status status;
    size_t length, bytes;

    if (!path || !array)
        return spc__fail(err, SPC_ERR_ARGUMENT, "spc_array_write: path or array is NULL");
    if (spc__array_bytes(array->dtype, array->rank, array->dims, &bytes, err))
        return spc__fail_in_file(err, SPC_ERR_ARGUMENT, path);
    if (bytes != array->size || (bytes && !array->data))
        return spc__fail(err, SPC_ERR_ARGUMENT, "%s: the dims make %zu bytes, the array has %zu",
                         path, bytes, array->data ? array->size : 0);
    if (spc__has_suffix(path, ".tensor"))
        status = spc__tensor_header(array, header, &length, err);
    else if (spc__has_suffix(path, ".npy"))
        status = spc__npy_header(array, header, &length, err);
    else
        return spc__fail(err, SPC_ERR_UNSUPPORTED,
                         "%s: cannot tell the format; let the name end in .tensor or .npy", path);
    if (status)
        return spc__fail_in_file(err, status, path);
    return spc__file_write(path, header, length, array->data, array->size, err);
}
