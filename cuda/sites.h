/* SPDX-License-Identifier: MIT */
/* Memory of the sites of a level; see index.h. */
#ifndef SPC_CUDA_SITES_H
#define SPC_CUDA_SITES_H

#include "cuda/device.h"
#include "cuda/index.h"

/* Fills `sites`, for a grid of z, y, x cells and at most `bound` sites, with blocks of `memory`;
 * spc_cuda_index_reset() makes them empty. On failure the blocks stay with `memory`. */
enum spc_status spc__cuda_take_sites(struct spc__cuda_memory *memory, struct spc_cuda_sites *sites,
                                     const int32_t grid[3], int64_t bound, struct spc_error *err);

#endif
