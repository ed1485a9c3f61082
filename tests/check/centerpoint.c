/* SPDX-License-Identifier: MIT */
/* CenterPoint's levels, and its frame: read or made. */
#include "centerpoint.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const int32_t centerpoint_grids[CENTERPOINT_LEVELS][3] = {
    {41, 1440, 1440}, {21, 720, 720}, {11, 360, 360}, {5, 180, 180}, {2, 180, 180}};

const struct spc__geometry centerpoint_down[CENTERPOINT_LEVELS - 1] = {
    {false, false, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}, {1, 1, 1}},
    {false, false, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}, {1, 1, 1}},
    {false, false, {3, 3, 3}, {2, 2, 2}, {0, 1, 1}, {1, 1, 1}},
    {false, false, {3, 1, 1}, {2, 1, 1}, {0, 0, 0}, {1, 1, 1}},
};
const struct spc__geometry centerpoint_subm = {
    true, false, {3, 3, 3}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}};

static int64_t read_rows(int32_t (*indices)[4])
{
    const char *folder = getenv("SPC_TEST_DATA");
    struct spc_array array;
    char path[4096];
    int64_t count;

    snprintf(path, sizeof(path), "%s/frames/centerpoint.indices_zyx.tensor", folder ? folder : "");
    if (spc_array_read(path, &array, NULL) || array.dtype != SPC_DTYPE_I32 || array.rank != 2 ||
        array.dims[1] != 4 || array.dims[0] > CENTERPOINT_BOUND)
        return 0;
    count = array.dims[0];
    memcpy(indices, array.data, array.size);
    spc_array_free(&array);
    return count;
}

/* Arcs of ground around the sensor, some with two or three voxels above one another. */
static int64_t make_rows(struct check *check, int32_t (*indices)[4])
{
    unsigned char *taken = calloc(1440 * 1440, 1);
    int64_t count = 0;

    for (int64_t i = 0; taken && i < 90000; i++) {
        float distance = 2.5f * powf(1.11f, (float)(i % 32)) * check_float(check, 0.95f, 1.05f);
        float angle = check_float(check, 0, 6.2832f);
        int32_t y = 720 + (int32_t)(distance * sinf(angle) / 0.075f);
        int32_t x = 720 + (int32_t)(distance * cosf(angle) / 0.075f);
        int32_t z = (int32_t)check_int(check, 10, 14), n = (int32_t)check_int(check, -4, 3);

        if (y < 0 || x < 0 || y >= 1440 || x >= 1440 || taken[y * 1440 + x]++)
            continue;
        do {
            memcpy(indices[count++], (int32_t[]){0, z++, y, x}, 16);
        } while (--n > 0);
    }
    free(taken);
    return count;
}

int64_t centerpoint_rows(struct check *check, int32_t (*indices)[4], bool *real)
{
    int64_t count = read_rows(indices);

    *real = count > 0;
    return count ? count : make_rows(check, indices);
}
