/* SPDX-License-Identifier: MIT */
/* Point clouds from array files and from raw records, as float32 [N][F]. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "formats/formats.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static enum spc_status check_arguments(int num_fields, enum spc_dtype type, struct spc_error *err)
{
    if (num_fields < 0 || num_fields > SPC_MAX_POINT_FIELDS)
        return spc__fail(err, SPC_ERR_ARGUMENT, "%d fields a point; 1 to %d are possible",
                         num_fields, SPC_MAX_POINT_FIELDS);
    if (type != SPC_DTYPE_NONE && type != SPC_DTYPE_F32 && type != SPC_DTYPE_F16)
        return spc__fail(err, SPC_ERR_ARGUMENT, "fields of type %s; float32 and float16 are known",
                         spc_dtype_name(type));
    return SPC_OK;
}

/* Turns float16 values into float32 ones. */
static enum spc_status widen(struct spc_array *array, struct spc_error *err)
{
    size_t count = array->size / 2;
    float *values;

    if (array->dtype == SPC_DTYPE_F32)
        return SPC_OK;
    values = spc__alloc(count, sizeof(*values));
    if (!values)
        return spc__fail_memory(err, 2 * array->size, "points");
    spc_convert_f16_to_f32(array->data, values, count);
    free(array->data);
    array->data = values;
    array->size *= 2;
    array->dtype = SPC_DTYPE_F32;
    return SPC_OK;
}

static enum spc_status check_array(const struct spc_array *array, int num_fields,
                                   enum spc_dtype type, struct spc_error *err)
{
    if (array->rank != 2)
        return spc__fail(err, SPC_ERR_FORMAT, "rank %d; points are [N][fields], rank 2",
                         array->rank);
    if (array->dtype != SPC_DTYPE_F32 && array->dtype != SPC_DTYPE_F16)
        return spc__fail(err, SPC_ERR_UNSUPPORTED,
                         "values of type %s; points are float32 or float16",
                         spc_dtype_name(array->dtype));
    if (array->dims[1] < 1 || array->dims[1] > SPC_MAX_POINT_FIELDS)
        return spc__fail(err, SPC_ERR_UNSUPPORTED,
                         "%" PRId64 " fields a point; 1 to %d are possible", array->dims[1],
                         SPC_MAX_POINT_FIELDS);
    if (num_fields && array->dims[1] != num_fields)
        return spc__fail(err, SPC_ERR_FORMAT, "%" PRId64 " fields a point, %d are expected",
                         array->dims[1], num_fields);
    if (type != SPC_DTYPE_NONE && array->dtype != type)
        return spc__fail(err, SPC_ERR_FORMAT, "fields of type %s, %s is expected",
                         spc_dtype_name(array->dtype), spc_dtype_name(type));
    return SPC_OK;
}

static enum spc_status parse_array(const void *data, size_t size, int num_fields,
                                   enum spc_dtype type, struct spc_array *points,
                                   struct spc_error *err)
{
    struct spc_array array;
    enum spc_status status = spc_array_parse(data, size, &array, err);

    if (status)
        return status;
    status = check_array(&array, num_fields, type, err);
    if (!status)
        status = widen(&array, err);
    if (status)
        spc_array_free(&array);
    else
        *points = array;
    return status;
}

static enum spc_status parse_raw(const void *data, size_t size, int num_fields, enum spc_dtype type,
                                 struct spc_array *points, struct spc_error *err)
{
    size_t record = (size_t)num_fields * spc_dtype_size(type);
    struct spc_array array;
    int64_t dims[2];
    enum spc_status status;

    if (!record)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "raw points need the number of fields and their type (float32, float16)");
    if (size % record)
        return spc__fail(err, SPC_ERR_FORMAT,
                         "%zu bytes are no whole number of points of %d %s fields (%zu bytes)",
                         size, num_fields, spc_dtype_name(type), record);
    dims[0] = (int64_t)(size / record);
    dims[1] = num_fields;
    status = spc__array_take(&array, type, 2, dims, data, size, err);
    if (status)
        return status;
    status = widen(&array, err);
    if (status)
        spc_array_free(&array);
    else
        *points = array;
    return status;
}

enum spc_status spc_points_parse(const void *data, size_t size, int num_fields,
                                 enum spc_dtype type, struct spc_array *points,
                                 struct spc_error *err)
{
    enum spc_status status = check_arguments(num_fields, type, err);

    if (status)
        return status;
    if (!points || (!data && size))
        return spc__fail(err, SPC_ERR_ARGUMENT, "spc_points_parse: data or points is NULL");
    if (spc__is_tensor(data, size) || spc__is_npy(data, size))
        return parse_array(data, size, num_fields, type, points, err);
    return parse_raw(data, size, num_fields, type, points, err);
}

enum spc_status spc_points_read(const char *path, int num_fields, enum spc_dtype type,
                                struct spc_array *points, struct spc_error *err)
{
    enum spc_status status = check_arguments(num_fields, type, err);
    void *data;
    size_t size;

    if (status)
        return status;
    if (!path || !points)
        return spc__fail(err, SPC_ERR_ARGUMENT, "spc_points_read: path or points is NULL");
    status = spc__file_read(path, SPC__MAX_ARRAY_BYTES, &data, &size, err);
    if (status)
        return status;
    /* A broken array file must not pass as raw values. */
    if (spc__has_suffix(path, ".npy") || spc__has_suffix(path, ".tensor"))
        status = parse_array(data, size, num_fields, type, points, err);
    else
        status = spc_points_parse(data, size, num_fields, type, points, err);
    free(data);
    return status ? spc__fail_in_file(err, status, path) : SPC_OK;
}
