/* SPDX-License-Identifier: MIT */
/*
 * Points to voxels on the device.
 *
 * The cells that have points are marked as the sites of a level are (index.h), so that voxels come
 * in site order without hash or sort. Every voxel then gets a list of its points, which arrive in
 * any order, and are put into point order before they are summed: what is computed depends on the
 * points alone.
 *
 * All pointers are device pointers unless they are said not to be, all launches asynchronous on
 * `stream`. Thread-safety: any thread, one frame at a time.
 */
#ifndef SPC_CUDA_VOXEL_H
#define SPC_CUDA_VOXEL_H

#include "cuda/index.h"

/* Points of a voxel that is averaged together with others. */
#define SPC_CUDA_SHORT_LIST 32

/* What a frame adds up. All zero before the first. */
struct spc_cuda_voxel_sums {
    unsigned long long inside; /* points in range */
    unsigned long long over;   /* of them, beyond the limit of their voxel */
    uint32_t short_points;     /* points that have a place in a short list, */
    uint32_t long_points;      /* and in a long one */
    uint32_t num_long;         /* voxels in `long_lists` */
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

/* A list of more than SPC_CUDA_SHORT_LIST points. */
struct spc_cuda_long_list {
    uint32_t row, first, count;
};

struct spc_cuda_voxels {
    struct spc_cuda_sites sites;
    float range[6], size[3];   /* as spc_voxelizer_options has them */
    int32_t cells_in_range[3]; /* x, y, z */
    uint32_t limit;            /* points averaged */
    enum spc_index_order order;
    enum spc_dtype feature_type;
    int32_t room;                 /* most points */
    unsigned long long *place;    /* [room]: each point's cell, then its row and place there */
    uint32_t *list, *sorted;      /* [room]: point numbers: short lists in the order of their rows
                                     as far as 256 rows go, long ones from the end */
    uint32_t *list_count;         /* [bound]: points of each voxel; 0 between frames */
    uint32_t *list_first;         /* [bound]: where its list begins */
    struct spc_cuda_long_list *long_lists; /* [room / SPC_CUDA_SHORT_LIST + 1] */
    struct spc_cuda_voxel_sums *sums;
    struct spc_cuda_points *points; /* the frame's, as later kernels read it */
    int32_t *total;                 /* voxels */
    struct spc_cuda_voxel_report *report; /* host memory that the device can write */
};

#ifdef __cplusplus
extern "C" {
#endif

/* One frame. `points` is read by the call. `voxels` is the same from frame to frame, its sites
 * reset, its list_count and sums zeroed before the first. */
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
