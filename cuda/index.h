/* SPDX-License-Identifier: MIT */
/*
 * The index on the device: active sites of every level, neighbour tables, and tile blobs.
 *
 * Sites are in the same order as the CPU's (cpu/sites.h): tiles of 8 x 16 columns row by row,
 * within a tile by y, x, z. A level keeps the z occupancy of every column of its grid as 64-bit
 * words, and the row of each word's lowest site: a site's row is base + popcount(bits below it),
 * without hash or sort. There is no directory of tiles: memory grows with the grid's area, and a
 * lookup is two loads that do not wait for one another.
 *
 * All pointers are device pointers, all launches asynchronous on `stream`; counts stay on the
 * device. What is wrong with a frame is put into a report; nothing is read or written out of
 * bounds because of it. Thread-safety: any thread, one frame at a time.
 */
#ifndef SPC_CUDA_INDEX_H
#define SPC_CUDA_INDEX_H

#include <cuda_runtime_api.h>
#include <spc/spc.h>
#include <stdbool.h>

#define SPC_CUDA_TILE_Y 8
#define SPC_CUDA_TILE_X 16
#define SPC_CUDA_TILE_COLUMNS (SPC_CUDA_TILE_Y * SPC_CUDA_TILE_X)

/* Most levels in one call; a network with more takes several. */
#define SPC_CUDA_MAX_LEVELS 16

/* Most groups of tiles whose counts are summed together. */
#define SPC_CUDA_MAX_GROUPS 512

/* Input rows that a tile's halo may span, from the lowest to the highest, and still be narrow. */
#define SPC_CUDA_BLOB_SPAN 16384

/* The sites of one level. Columns are numbered tile by tile: (tile * 128 + y % 8 * 16 + x % 16).
 * Words of tiles without sites are 0 in `mask` and anything in `base`. */
struct spc_cuda_sites {
    int32_t grid[3];          /* z, y, x */
    int32_t tiles_y, tiles_x;
    int32_t words;            /* 64-bit words of a column: ceil(grid z / 64) */
    int64_t bound;            /* most sites */
    uint64_t *mask;           /* [tiles_y * tiles_x * 128][words] */
    uint32_t *base;           /* the same */
    int32_t *tile_count;      /* [tiles_y * tiles_x]: sites of each tile */
    int64_t *group_count;     /* [SPC_CUDA_MAX_GROUPS]: sites of groups of tiles */
    int16_t *coords;          /* [bound][4]: z, y, x, 0 of each row; aligned to 8 bytes */
    int32_t *count;           /* rows of this frame, at most `bound` */
};

/* What a frame's index found; in device memory. A report without a fault has input_fault 0 and no
 * total above its level's bound. */
struct spc_cuda_report {
    int32_t num_voxels;  /* input rows, as the caller gave them */
    int32_t input_fault; /* not 0: a row outside the grid, of another batch, or that came twice */
    int32_t totals[];    /* [levels]: sites, also where there are more than the bound; at most
                            INT32_MAX */
};

/* Shape of a rulebook as spc__rulebook has it. */
struct spc_cuda_geometry {
    bool subm;    /* stride and padding are not used */
    bool inverse; /* pairs of the strided geometry with in and out swapped */
    int32_t kernel[3], stride[3], padding[3], dilation[3]; /* z, y, x */
};

#ifdef __cplusplus
extern "C" {
#endif

/* Makes all levels empty whatever their memory holds; once, before the first frame. */
cudaError_t spc_cuda_index_reset(const struct spc_cuda_sites *levels, int num_levels,
                                 cudaStream_t stream);

/* Level 0 from index rows [*num_voxels][4] in `order`. `num_voxels` may also be host memory that
 * the device can read; a number below 0 or above the bound is reported and taken as 0 or the
 * bound. Fills row_of_input[i], the site row of each input row, -1 where it has none. */
struct spc_cuda_input {
    const int32_t *indices;
    const int32_t *num_voxels;
    enum spc_index_order order;
    int32_t *row_of_input; /* [bound of level 0] */
};

/* Begins a frame: clears what the last one left in all `levels`, then fills levels[0]. */
cudaError_t spc_cuda_index_input(const struct spc_cuda_sites *levels, int num_levels,
                                 const struct spc_cuda_input *input,
                                 struct spc_cuda_report *report, cudaStream_t stream);

/* The strided convolution that makes a level: from which level, and how. */
struct spc_cuda_maker {
    int in_level;
    struct spc_cuda_geometry geometry;
};

/* Fills levels[1 ..]; makers[i] is of level i, and its in_level below i. */
cudaError_t spc_cuda_index_strided(const struct spc_cuda_sites *levels,
                                   const struct spc_cuda_maker *makers, int num_levels,
                                   struct spc_cuda_report *report, cudaStream_t stream);

/* nbr[k * stride + row] = row of `in` that meets offset k for row `row` of `out`, -1: none.
 * `in` and `out` are those of the rulebook: for an inverse one, `out` is the finer level. */
cudaError_t spc_cuda_index_neighbours(const struct spc_cuda_sites *out,
                                      const struct spc_cuda_sites *in,
                                      const struct spc_cuda_geometry *geometry, int32_t *nbr,
                                      int64_t stride, cudaStream_t stream);

/* The tile blobs of one rulebook; see blob.h. Beside tiles with too large a halo, those whose halo
 * spans more than SPC_CUDA_BLOB_SPAN rows get wide blobs. */
struct spc_cuda_blobs;
struct spc_cuda_blob_job {
    struct spc_cuda_sites out, in; /* as for neighbours */
    struct spc_cuda_geometry geometry;
    const struct spc_cuda_blobs *blobs; /* host memory, read by the call */
};

/* Fills the blobs of all jobs, for the rows there are; any number of jobs. */
cudaError_t spc_cuda_index_blobs(const struct spc_cuda_blob_job *jobs, int num_jobs,
                                 cudaStream_t stream);

/* Index rows [count][4] (batch 0) of the sites, in `order`. `indices` is aligned to 16 bytes. */
cudaError_t spc_cuda_index_rows(const struct spc_cuda_sites *sites, enum spc_index_order order,
                                int32_t *indices, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
