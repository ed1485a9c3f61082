/* SPDX-License-Identifier: MIT */
/* Scatter on the device: every element of a dense tensor, in every order of its axes. */
#include "cells.h"
#include "cuda_sites.h"
#include "device.h"

#include "cuda/kernels.h"

#include <string.h>

#define ROUNDS 120

/* Elements of a step along c, z, y, x of a tensor without gaps, whose axes follow one another in a
 * random order; channels come first in half of the cases, as networks have it. */
static void random_strides(struct check *check, const int64_t dims[4], int64_t stride[4])
{
    int order[4] = {3, 2, 1, 0}; /* innermost first */
    int64_t step = 1;

    for (int i = 0; i < 3 && check_int(check, 0, 1); i++) {
        int other = (int)check_int(check, i, 3), axis = order[i];

        order[i] = order[other];
        order[other] = axis;
    }
    for (int i = 0; i < 4; i++) {
        stride[order[i]] = step;
        step *= dims[order[i]];
    }
}

static size_t element_at(const struct spc_cuda_scatter *s, int64_t c, const int32_t *at)
{
    const int32_t *grid = s->sites.grid;
    int64_t plane = c * grid[0] + at[0];

    if (s->nchw32)
        return (size_t)(((plane / 32 * grid[1] + at[1]) * grid[2] + at[2]) * 32 + plane % 32);
    return (size_t)(c * s->stride[0] + at[0] * s->stride[1] + at[1] * s->stride[2] +
                    at[2] * s->stride[3]);
}

static void check_scatter(struct check *check, const struct twin *twin)
{
    const struct spc__sites *sites = &twin->cpu;
    int32_t element = 1 << check_int(check, 0, 2);
    int32_t channels = (int32_t)check_int(check, 1, 20) * (check_int(check, 0, 1) ? 8 : 1);
    int64_t dims[4] = {channels, sites->grid[0], sites->grid[1], sites->grid[2]};
    size_t bytes = (size_t)(sites->count * channels * element);
    unsigned char *rows = check_alloc(check, bytes), *expected, *actual;
    struct spc_cuda_scatter s = {.element = element, .channels = channels, .sites = twin->cuda};
    size_t size = (size_t)(channels * twin_cells(sites->grid) * element);

    for (size_t i = 0; i < bytes; i++)
        rows[i] = (unsigned char)check_int(check, 1, 255);
    s.nchw32 = check_int(check, 0, 9) == 0;
    s.early = check_int(check, 0, 1);
    if (s.nchw32) /* all elements of the last block of 32 planes that there are */
        size = (size_t)((dims[0] * dims[1] + 31) / 32 * 32 * dims[2] * dims[3] * element);
    random_strides(check, dims, s.stride);
    expected = check_alloc(check, size);
    actual = check_alloc(check, size);
    memset(expected, s.nchw32 ? 0xa5 : 0, size);
    for (int64_t i = 0; s.nchw32 && i < twin_cells(sites->grid); i++)
        for (int64_t c = 0; c < channels; c++) {
            int32_t at[3] = {(int32_t)(i / dims[3] / dims[2]), (int32_t)(i / dims[3] % dims[2]),
                             (int32_t)(i % dims[3])};

            memset(expected + element_at(&s, c, at) * (size_t)element, 0, (size_t)element);
        }
    for (int64_t row = 0; row < sites->count; row++)
        for (int64_t c = 0; c < channels; c++)
            memcpy(expected + element_at(&s, c, &sites->coords[3 * row]) * (size_t)element,
                   rows + (row * channels + c) * element, (size_t)element);
    memset(actual, 0xa5, size);
    s.in = device_copy(rows, bytes);
    s.out = device_copy(actual, size);
    device_ok(check, "scatter", spc_cuda_scatter(&s, NULL));
    device_read(actual, s.out, size);
    check_same(check, "the dense tensor", actual, expected, size);
}

static void test_scatter(struct check *check)
{
    for (int round = 0; device_usable(check) && round < ROUNDS; round++) {
        struct twin twin;
        struct twin_frame f = {0};
        int32_t grid[3] = {(int32_t)check_int(check, 1, 3), (int32_t)check_int(check, 1, 30),
                           (int32_t)check_int(check, 1, 50)};
        int32_t(*rows)[4];
        int64_t count;

        grid[2] *= check_int(check, 0, 1) ? 4 : 1;
        rows = cells_rows(check, grid, cells_density(check), &count);
        twin_make(&twin, grid, twin_cells(grid));
        twin_frame_make(check, &f, &twin, 1);
        twin_frame_run(check, &f, rows[0], count, (int32_t)count);
        twin_check_input(check, &f, rows[0], count);
        check_scatter(check, &twin);
        twin_clear(&twin);
        check_release(check);
        device_release();
    }
}

const struct check_case check_cuda_dense[] = {
    {"scatter", test_scatter, NULL},
    {NULL, NULL, NULL},
};
