/* SPDX-License-Identifier: MIT */
/*
 * `.tensor` files: int32 magic, rank, type, dims[rank], then the values, row-major, all little
 * endian.
 */
#include "base/error.h"
#include "formats/formats.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The number of each type in the file. */
static const struct {
    int32_t number;
    enum spc_dtype dtype;
} types[] = {
    {1, SPC_DTYPE_I32}, {2, SPC_DTYPE_F16}, {3, SPC_DTYPE_F32}, {4, SPC_DTYPE_I64},
    {5, SPC_DTYPE_U64}, {6, SPC_DTYPE_U32}, {7, SPC_DTYPE_I8},  {8, SPC_DTYPE_U8},
};
#define NUM_TYPES (sizeof(types) / sizeof(*types))

static int32_t get_i32(const uint8_t *bytes)
{
    return (int32_t)((uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                     (uint32_t)bytes[3] << 24);
}

static void put_i32(uint8_t *bytes, int32_t value)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)((uint32_t)value >> (8 * i));
}

bool spc__is_tensor(const void *data, size_t size)
{
    return size >= 4 && (uint32_t)get_i32(data) == SPC__TENSOR_MAGIC;
}

enum spc_status spc__tensor_parse(const void *data, size_t size, struct spc_array *array,
                                  struct spc_error *err)
{
    const uint8_t *bytes = data;
    enum spc_dtype dtype = SPC_DTYPE_NONE;
    int64_t dims[SPC_MAX_RANK];
    int32_t rank;
    size_t header;

    if (size < 12)
        return spc__fail(err, SPC_ERR_FORMAT, "the header is cut off after %zu bytes", size);
    rank = get_i32(bytes + 4);
    if (rank < 0 || rank > SPC_MAX_RANK)
        return spc__fail(err, SPC_ERR_FORMAT, "rank %" PRId32 " is not supported, at most %d is",
                         rank, SPC_MAX_RANK);
    header = 12 + 4 * (size_t)rank;
    if (size < header)
        return spc__fail(err, SPC_ERR_FORMAT, "the header is cut off after %zu of %zu bytes", size,
                         header);
    for (size_t i = 0; i < NUM_TYPES; i++)
        if (types[i].number == get_i32(bytes + 8))
            dtype = types[i].dtype;
    if (dtype == SPC_DTYPE_NONE)
        return spc__fail(err, SPC_ERR_UNSUPPORTED,
                         "type number %" PRId32 " is not known (1 to %zu are)", get_i32(bytes + 8),
                         NUM_TYPES);
    for (int i = 0; i < rank; i++)
        dims[i] = get_i32(bytes + 12 + 4 * i);
    return spc__array_take(array, dtype, rank, dims, bytes + header, size - header, err);
}

enum spc_status spc__tensor_header(const struct spc_array *array, uint8_t header[SPC__MAX_HEADER],
                                   size_t *length, struct spc_error *err)
{
    put_i32(header, (int32_t)SPC__TENSOR_MAGIC);
    put_i32(header + 4, array->rank);
    for (size_t i = 0; i < NUM_TYPES; i++)
        if (types[i].dtype == array->dtype)
            put_i32(header + 8, types[i].number);
    for (int i = 0; i < array->rank; i++) {
        if (array->dims[i] > INT32_MAX)
            return spc__fail(err, SPC_ERR_UNSUPPORTED,
                             "dim %d of %" PRId64 " does not fit a .tensor file; write .npy", i,
                             array->dims[i]);
        put_i32(header + 12 + 4 * i, (int32_t)array->dims[i]);
    }
    *length = 12 + 4 * (size_t)array->rank;
    return SPC_OK;
}
