/* SPDX-License-Identifier: MIT */
/* Steps that the index's files call one another for; see index.h. */
#ifndef SPC_CUDA_INDEX_STEPS_H
#define SPC_CUDA_INDEX_STEPS_H

#include "cuda/index.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Empties the levels after a frame, and begins the report of the next. */
cudaError_t spc_cuda_index_clear(const struct spc_cuda_sites *levels, int num_levels,
                                 const int32_t *num_voxels, struct spc_cuda_report *report,
                                 cudaStream_t stream);

/* Rows of marked sites: from mask and tile_count to base, coords, count, and totals[level]. */
cudaError_t spc_cuda_index_rank(const struct spc_cuda_sites *levels, int num_levels,
                                int32_t *totals, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
