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

/* Most groups of tiles whose sites are summed together. */
#define SPC_CUDA_MAX_GROUPS 512

/* Input rows that a tile's halo may span, from the lowest to the highest, and still be narrow. */
#define SPC_CUDA_BLOB_SPAN 16384

/* The sites of one level. Columns are numbered tile by tile: (tile * 128 + y % 8 * 16 + x % 16).
 * Words of tiles without sites are 0 in `mask` and anything in `base`. Between frames level 0 is
 * empty but for `coords` and `count`; other levels hold what the last frame left, but for
 * group_count, which is 0. */
struct spc_cuda_sites {
    int32_t grid[3];          /* z, y, x */
    int32_t tiles_y, tiles_x;
    int32_t words;            /* 64-bit words of a column: ceil(grid z / 64) */
    int64_t bound;            /* most sites */
    uint64_t *mask;           /* [tiles_y * tiles_x * 128][words] */
    uint32_t *base;           /* the same */
    int32_t *tile_count;      /* [tiles_y * tiles_x]: sites of each tile */
    int64_t *group_count;     /* [SPC_CUDA_MAX_GROUPS]: sites of each group of tiles */
    int32_t group_shift;      /* a group is 1 << group_shift tiles: spc_cuda_group_shift() */
    int16_t *coords;          /* [bound][4]: z, y, x, 0 of each row; aligned to 8 bytes */
    int32_t *count;           /* rows of this frame, at most `bound` */
};

/* For so many tiles: groups of 32, or of as many as makes SPC_CUDA_MAX_GROUPS of them. */
static inline int32_t spc_cuda_group_shift(int64_t tiles)
{
    int32_t shift = 5;

    while ((int64_t)SPC_CUDA_MAX_GROUPS << shift < tiles)
        shift++;
    return shift;
}

/* What a frame's index found; in device memory. A report without a fault has input_fault 0 and no
 * total above its level's bound. */
struct spc_cuda_report {
    int32_t num_voxels;  /* input rows, as the caller counts them; */
    int32_t num_rows;    /* those of them that are there and within the bound */
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

/* Makes all levels, and the report where there is one, empty whatever their memory holds: once
 * before the first frame, and after one whose launches failed. */
cudaError_t spc_cuda_index_reset(const struct spc_cuda_sites *levels, int num_levels,
                                 struct spc_cuda_report *report, cudaStream_t stream);

/* A frame's input: index rows [number of voxels][4] in `order`, and what becomes of them. A number
 * below 0, above the bound or above what there is memory for is reported, and taken as that. */
struct spc_cuda_input {
    const int32_t *indices;
    int32_t num_voxels;          /* with device_count: rows that there is memory for */
    const int32_t *device_count; /* device memory, or host memory that the device can read; NULL:
                                    num_voxels it is */
    enum spc_index_order order;
    int32_t *row_of_input;       /* [bound]: site row of each input row, -1: none; may be NULL */
    const void *features;        /* [number of voxels][channels]; not used where `padded` is NULL */
    enum spc_dtype feature_type; /* SPC_DTYPE_F32 or SPC_DTYPE_F16 */
    int32_t channels;
    void *padded;                /* fp16 [bound][padded_stride], aligned to 16 bytes, or NULL: the
                                    features by site row, with zeros as further channels */
    int32_t padded_stride;       /* a multiple of 8 */
};

/* A frame is: mark, rank level 0, place; strided any time after mark; clear after strided and
 * all that reads level 0. */

/* Marks the sites of level 0, and begins the report. */
cudaError_t spc_cuda_index_mark(const struct spc_cuda_sites *level,
                                const struct spc_cuda_input *input,
                                struct spc_cuda_report *report, cudaStream_t stream);

/* The same in a graph, whose only first node it is, for another num_voxels. */
cudaError_t spc_cuda_index_mark_again(cudaGraphExec_t graph, cudaGraphNode_t node,
                                      const struct spc_cuda_sites *level,
                                      const struct spc_cuda_input *input,
                                      struct spc_cuda_report *report);

/* Rows of marked sites: from mask and tile_count to base, coords, count, and totals[level]. */
cudaError_t spc_cuda_index_rank(const struct spc_cuda_sites *levels, int num_levels,
                                int32_t *totals, cudaStream_t stream);

/* Fills row_of_input and padded. The kernel launched after this one may read the ranked sites
 * while this one still runs, see spc_cuda_index_blobs(). */
cudaError_t spc_cuda_index_place(const struct spc_cuda_sites *level,
                                 const struct spc_cuda_input *input,
                                 struct spc_cuda_report *report, cudaStream_t stream);

/* Empties level 0, the groups of all levels, and the report's input_fault: what a frame expects to
 * be empty. */
cudaError_t spc_cuda_index_clear(const struct spc_cuda_sites *levels, int num_levels,
                                 struct spc_cuda_report *report, cudaStream_t stream);

/* The strided convolution that makes a level: from which level, and how. */
struct spc_cuda_maker {
    int in_level;
    struct spc_cuda_geometry geometry;
};

/* Fills levels[first .. end - 1], not level 0; makers[i] is of level i, and its in_level below i.
 * Reads the marks of levels below, not their rows. Its kernels start early, or beside others. */
cudaError_t spc_cuda_index_strided(const struct spc_cuda_sites *levels,
                                   const struct spc_cuda_maker *makers, int first, int end,
                                   bool beside, struct spc_cuda_report *report,
                                   cudaStream_t stream);

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

/* How a kernel follows the one right before it. */
enum spc_cuda_order {
    SPC_CUDA_BEHIND,  /* it starts early, and waits */
    SPC_CUDA_SETTLED, /* the sites were ranked before that one, and may be read while it runs */
    SPC_CUDA_BESIDE,  /* it starts late, and holds no multiprocessors that others can use */
};

/* Fills the blobs of all jobs, for the rows there are; any number of jobs. */
cudaError_t spc_cuda_index_blobs(const struct spc_cuda_blob_job *jobs, int num_jobs,
                                 enum spc_cuda_order order, cudaStream_t stream);

/* Index rows [count][4] (batch 0) of the sites, in `order`. `indices` is aligned to 16 bytes. */
cudaError_t spc_cuda_index_rows(const struct spc_cuda_sites *sites, enum spc_index_order order,
                                int32_t *indices, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
