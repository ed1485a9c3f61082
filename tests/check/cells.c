/* SPDX-License-Identifier: MIT */
/* See cells.h. */
#include "cells.h"

#include <string.h>

int64_t cells_density(struct check *check)
{
    static const int64_t densities[] = {0, 1, 10, 100, 500, 1000};

    return densities[check_int(check, 0, 5)];
}

int32_t (*cells_rows(struct check *check, const int32_t grid[3], int64_t per_mille,
                     int64_t *count))[4]
{
    int64_t cells = (int64_t)grid[0] * grid[1] * grid[2], n = 0;
    int32_t(*rows)[4] = check_alloc(check, (size_t)cells * sizeof(*rows));

    for (int64_t i = 0; i < cells; i++) {
        int64_t at;

        if (check_int(check, 0, 999) >= per_mille)
            continue;
        at = check_int(check, 0, n);
        memmove(rows[n++], rows[at], sizeof(rows[at]));
        rows[at][0] = 0;
        rows[at][1] = (int32_t)(i / grid[2] / grid[1]);
        rows[at][2] = (int32_t)(i / grid[2] % grid[1]);
        rows[at][3] = (int32_t)(i % grid[2]);
    }
    *count = n;
    return rows;
}
