/* SPDX-License-Identifier: MIT */
/* Array files: what parses is consistent, and survives being written and parsed again. */
#include "fuzz.h"

#include "formats/formats.h"

#include <stdlib.h>
#include <string.h>

typedef enum spc_status (*header_fn)(const struct spc_array *array, uint8_t header[SPC__MAX_HEADER],
                                     size_t *length, struct spc_error *err);

static void check_round_trip(const struct spc_array *array, header_fn make_header)
{
    uint8_t header[SPC__MAX_HEADER], *file;
    struct spc_array back;
    size_t length;

    if (make_header(array, header, &length, NULL))
        return; /* a dim that .tensor cannot hold */
    file = malloc(length + array->size);
    memcpy(file, header, length);
    memcpy(file + length, array->data, array->size);
    FUZZ_CHECK(!spc_array_parse(file, length + array->size, &back, NULL));
    FUZZ_CHECK(back.dtype == array->dtype && back.rank == array->rank && back.size == array->size);
    FUZZ_CHECK(!memcmp(back.dims, array->dims, sizeof(back.dims)));
    FUZZ_CHECK(!memcmp(back.data, array->data, array->size));
    spc_array_free(&back);
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct spc_array array;
    struct spc_error err = {SPC_OK, ""};
    size_t count = 1;

    if (spc_array_parse(data, size, &array, &err)) {
        FUZZ_CHECK(err.status != SPC_OK && err.message[0]);
        return 0;
    }
    FUZZ_CHECK(array.rank >= 0 && array.rank <= SPC_MAX_RANK && array.data);
    for (int i = 0; i < array.rank; i++)
        count *= (size_t)array.dims[i];
    FUZZ_CHECK(array.size == count * spc_dtype_size(array.dtype) && array.size < size);
    check_round_trip(&array, spc__tensor_header);
    check_round_trip(&array, spc__npy_header);
    spc_array_free(&array);
    return 0;
}
