/* SPDX-License-Identifier: MIT */
/* Index cases on the device: levels there and on the CPU side by side. */
#ifndef SPC_CHECK_CUDA_SITES_H
#define SPC_CHECK_CUDA_SITES_H

#include "check.h"

#include "cpu/pairs.h"
#include "cuda/index.h"

#define TWIN_MAX_LEVELS 5

/* One level, twice. */
struct twin {
    struct spc__sites cpu;
    struct spc_cuda_sites cuda;
};

/* Levels in device memory that holds garbage until spc_cuda_index_reset(). */
void twin_make(struct twin *twin, const int32_t grid[3], int64_t bound);
void twin_clear(struct twin *twin);

/* Whether count, words and coordinates are the CPU's. */
bool twin_same(struct check *check, const struct twin *twin);

struct spc_cuda_geometry twin_geometry(const struct spc__geometry *geometry);

/* [offsets][out->count] as spc_cuda_index_neighbours() has it, from the CPU's reference. */
int32_t *twin_neighbours(struct check *check, const struct spc__geometry *geometry,
                         const struct spc__sites *in, const struct spc__sites *out);

/* All levels of a network and a frame's memory on the device. The caller fills makers[]. */
struct twin_frame {
    struct twin *twins;
    struct spc_cuda_sites levels[TWIN_MAX_LEVELS];
    struct spc_cuda_maker makers[TWIN_MAX_LEVELS];
    int num_levels;
    struct spc_cuda_input input;
    struct spc_cuda_report *report;
    int32_t *indices, *num_voxels;
};

/* Memory for levels[1 ..] beside level 0; empties them. The twins are borrowed. */
void twin_frame_make(struct check *check, struct twin_frame *f, struct twin *twins,
                     int num_levels);
/* Clears what the last frame left, and launches all levels. */
cudaError_t twin_frame_launch(struct twin_frame *f, cudaStream_t stream);
/* Runs all levels on the device; `count` may differ from the rows that are there. */
void twin_frame_run(struct check *check, struct twin_frame *f, const int32_t *rows,
                    int64_t num_rows, int32_t count);
struct spc_cuda_report *twin_frame_report(struct check *check, const struct twin_frame *f);
/* The same rows through the CPU: level 0 and its map, and a strided level. */
void twin_check_input(struct check *check, struct twin_frame *f, const int32_t *rows,
                      int64_t count);
void twin_check_strided(struct check *check, struct twin_frame *f, int level,
                        const struct spc__geometry *g);

/* Neighbours and blobs between levels that are the CPU's already; then check_release(). */
void twin_check_tables(struct check *check, const struct spc__geometry *g, const struct twin *in,
                       const struct twin *out);

/* Geometries of every kind, the common one half the time. */
void twin_random_geometry(struct check *check, struct spc__geometry *g, const int32_t in[3],
                          int32_t out[3]);
void twin_random_grid(struct check *check, int round, int32_t grid[3]);
int64_t twin_cells(const int32_t grid[3]);
#define TWIN_ROUNDS 48

#endif
