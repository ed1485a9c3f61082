/* SPDX-License-Identifier: MIT */
/*
 * Points to voxels on the device.
 *
 * The cells that have points are marked as the sites of a level are (index.h), so that voxels come
 * in site order without hash or sort. Every row then has a list of its points, which arrive in any
 * order, and are put into point order before they are summed: what is computed depends on the
 * points alone. A list has room for 32 points; of the few voxels that have more, the others go to
 * a table of records, six each.
 *
 * All pointers are device pointers unless they are said not to be, all launches asynchronous on
 * `stream`. Thread-safety: any thread, one frame at a time.
 */
#ifndef SPC_CUDA_VOXEL_H
#define SPC_CUDA_VOXEL_H

#include "cuda/index.h"

/* Points of a voxel that is averaged together with others. */
#define SPC_CUDA_SHORT_LIST 32

/* Points of a row beyond these; see voxel_more.cuh. Key 0: a free record. */
#define SPC_CUDA_RECORD_POINTS 6
struct spc_cuda_record {
    unsigned long long key;
    uint32_t point[SPC_CUDA_RECORD_POINTS];
};

/* Most blocks that count points. */
#define SPC_CUDA_LIST_BLOCKS 1056

/* What a frame counts. All zero between frames. */
struct spc_cuda_voxel_sums {
    uint32_t num_long;    /* rows in `long_rows` */
    uint32_t long_points; /* of those of them that need `long_lists` */
    uint32_t long_blocks; /* that are done with long lists */
};

struct spc_cuda_voxel_report {
    int64_t inside, over;
    int32_t total; /* voxels, also where there are more than the bound */
};

/* A frame: where its points are, and where its voxels go. */
struct spc_cuda_points {
    const unsigned char *data;
    int32_t count;
    int32_t num_fields; /* those that are averaged; the first three are x, y, z */
    uint32_t stride;
    bool plain; /* all fields are float32 and aligned */
    uint8_t type[SPC_MAX_POINT_FIELDS]; /* enum spc_dtype */
    uint32_t offset[SPC_MAX_POINT_FIELDS];
    void *features;     /* [bound][num_fields] of feature_type */
    int32_t *indices;   /* [bound][4] */
    int32_t *count_out; /* number of voxels; -1 where there are more than the bound, and nothing
                           else is written */
};

struct spc_cuda_voxels {
    struct spc_cuda_sites sites;
    float range[6], size[3];   /* as spc_voxelizer_options has them */
    int32_t cells_in_range[3]; /* x, y, z */
    uint32_t limit;            /* points averaged */
    enum spc_index_order order;
    enum spc_dtype feature_type;
    int32_t room;             /* most points */
    unsigned long long *cell; /* [room]: of each point */
    uint32_t *count;          /* [bound]: points of each row; 0 between frames */
    uint32_t *list;           /* [bound][SPC_CUDA_SHORT_LIST]: their numbers; aligned to 16 bytes */
    uint32_t num_records;     /* half as many again as there can be of these, or more */
    struct spc_cuda_record *records; /* aligned to 16 bytes; keys are 0 between frames */
    uint32_t *long_rows;  /* [room / SPC_CUDA_SHORT_LIST + 1]: those of more points than a list */
    uint32_t *long_lists; /* [room][2]: points of some of these */
    uint32_t *inside;     /* [SPC_CUDA_LIST_BLOCKS]: points in range, of each block */
    uint32_t *over;       /* the same of those beyond the limit of their voxel */
    struct spc_cuda_voxel_sums *sums;
    struct spc_cuda_points *points; /* the frame's, as later kernels read it */
    int32_t *total;                 /* voxels */
    struct spc_cuda_voxel_report *report; /* host memory that the device can write */
};

#ifdef __cplusplus
extern "C" {
#endif

/* One frame. `points` is read by the call. `voxels` is the same from frame to frame, its sites
 * reset, its count, records and sums zeroed before the first. */
cudaError_t spc_cuda_voxelize(const struct spc_cuda_voxels *voxels,
                              const struct spc_cuda_points *points, cudaStream_t stream);

/* Gives other points to a frame that was recorded: `exec` was made of `recorded`, which holds one
 * call of spc_cuda_voxelize() with these `voxels`, and nothing else. */
cudaError_t spc_cuda_voxelize_again(cudaGraphExec_t exec, cudaGraph_t recorded,
                                    const struct spc_cuda_voxels *voxels,
                                    const struct spc_cuda_points *points);

#ifdef __cplusplus
}
#endif

#endif
