/* SPDX-License-Identifier: MIT */
/* Point clouds and settings for the cases of the CPU's voxelizer and of the GPU's. */
#ifndef SPC_CHECK_CLOUDS_H
#define SPC_CHECK_CLOUDS_H

#include "check.h"

#include <spc/spc.h>

/* Any settings that are possible; about one in four bounds the voxels of `points` points below
 * what there may be. The backend is "cpu". */
void cloud_options(struct check *check, struct spc_voxelizer_options *o, int64_t points);

/* Records of float32 coordinates and fields of any type, all at odd offsets; coordinates inside the
 * range, on borders between cells, just off the edges, and no numbers. */
void cloud_points(struct check *check, const struct spc_voxelizer_options *o,
                  struct spc_points *points, int64_t count);

/* The real frame where it is at hand, else rings on flat ground at distances like a sensor's:
 * float32 [N][5]. And the settings of CenterPoint. */
void cloud_of_sensor(struct check *check, struct spc_array *cloud);
void cloud_sensor_options(struct spc_voxelizer_options *o);
/* Its description; `data` may be another copy. */
struct spc_points cloud_sensor_points(const struct spc_array *cloud, const void *data);

#endif
