/* SPDX-License-Identifier: MIT */
/* The levels and rulebooks of CenterPoint's backbone, and a frame for it. */
#ifndef SPC_CHECK_CENTERPOINT_H
#define SPC_CHECK_CENTERPOINT_H

#include "check.h"

#include "cpu/pairs.h"

#define CENTERPOINT_LEVELS 5
#define CENTERPOINT_BOUND 200000 /* sites of any level */

extern const int32_t centerpoint_grids[CENTERPOINT_LEVELS][3];
/* From level i to level i + 1. */
extern const struct spc__geometry centerpoint_down[CENTERPOINT_LEVELS - 1];
/* On each level but the last. */
extern const struct spc__geometry centerpoint_subm;

/* Index rows [CENTERPOINT_BOUND] (batch, z, y, x) of the real frame where it is at hand, else of a
 * synthetic one; returns how many there are. */
int64_t centerpoint_rows(struct check *check, int32_t (*indices)[4], bool *real);

#endif
