/* SPDX-License-Identifier: MIT */
/* A frame of voxels for a tool: from files, made up, or a part of another. */
#ifndef SPC_TOOLS_FRAME_H
#define SPC_TOOLS_FRAME_H

#include <spc/spc.h>

struct frame {
    struct spc_array features; /* [N][C] float32 or float16 */
    struct spc_array indices;  /* int32 [N][4] */
};

/* Reads both files and checks them against each other and the model. Prints what is wrong and
 * returns EXIT_TROUBLE, else EXIT_OK. */
int frame_read(struct frame *frame, const char *features, const char *indices,
               const struct spc_model_info *model, const char *tool);

/* A made-up frame of a spinning lidar on a plane with walls; the same for the same arguments. It
 * has fewer voxels than asked for where the grid is too small. */
int frame_synthesize(struct frame *frame, int64_t voxels, const struct spc_model_info *model,
                     const char *tool);

/* The `voxels` rows of `whole` that are nearest to the middle of the grid, in the same order: a
 * smaller frame that is as dense as the larger one. */
int frame_crop(struct frame *frame, const struct frame *whole, int64_t voxels,
               const struct spc_model_info *model, const char *tool);

void frame_free(struct frame *frame);

/* What the engine takes; points into the frame. */
struct spc_voxels frame_voxels(const struct frame *frame);

#endif
