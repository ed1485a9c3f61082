/* SPDX-License-Identifier: MIT */
/* Random index rows, for the cases of the CPU's index and of the GPU's. */
#ifndef SPC_CHECK_CELLS_H
#define SPC_CHECK_CELLS_H

#include "check.h"

/* A chance in 1000, from none of a grid's cells to all. */
int64_t cells_density(struct check *check);

/* Index rows of random cells in random order, each cell on with the given chance; check_alloc(). */
int32_t (*cells_rows(struct check *check, const int32_t grid[3], int64_t per_mille,
                     int64_t *count))[4];

#endif
