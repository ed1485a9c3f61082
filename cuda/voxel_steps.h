/* SPDX-License-Identifier: MIT */
/* Steps that the voxelizer's files call one another for; see voxel.h. */
#ifndef SPC_CUDA_VOXEL_STEPS_H
#define SPC_CUDA_VOXEL_STEPS_H

#include "cuda/voxel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* From lists to the frame's features and indices, its count and its report; empties all for the
 * next frame. `listing` blocks have counted points. */
cudaError_t spc_cuda_voxel_means(const struct spc_cuda_voxels *voxels, uint32_t listing,
                                 cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
