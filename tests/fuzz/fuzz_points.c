/* SPDX-License-Identifier: MIT */
/* Point files: the first byte chooses the record, the rest is the file. */
#include "fuzz.h"

#include <spc/spc.h>

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum spc_dtype types[] = {SPC_DTYPE_NONE, SPC_DTYPE_F32, SPC_DTYPE_F16,
                                           SPC_DTYPE_I8};
    struct spc_error err = {SPC_OK, ""};
    struct spc_array points;
    int num_fields = size ? data[0] & 31 : 0;

    if (!size)
        return 0;
    if (spc_points_parse(data + 1, size - 1, num_fields, types[data[0] >> 6], &points, &err)) {
        FUZZ_CHECK(err.status != SPC_OK && err.message[0]);
        return 0;
    }
    FUZZ_CHECK(points.dtype == SPC_DTYPE_F32 && points.rank == 2);
    FUZZ_CHECK(points.dims[1] >= 1 && points.dims[1] <= SPC_MAX_POINT_FIELDS);
    FUZZ_CHECK(!num_fields || points.dims[1] == num_fields);
    FUZZ_CHECK(points.size == (size_t)(points.dims[0] * points.dims[1]) * sizeof(float));
    spc_array_free(&points);
    return 0;
}
