/* SPDX-License-Identifier: MIT */
/* Tile blobs made on the host, the obvious way, for cases of the fast convolution. */
#ifndef SPC_CHECK_CUDA_BLOBS_H
#define SPC_CHECK_CUDA_BLOBS_H

#include "check.h"

#include "cpu/pairs.h"
#include "cuda/blob.h"

struct host_blobs {
    struct spc_cuda_blobs form; /* form.blobs is host memory */
    size_t bytes;
    int offsets;
    int32_t *neighbours; /* [offsets][rows], -1: none */
    int64_t pairs;
};

/* Memory is of check_alloc(). Neighbours of no geometry: the rows that a tile meets are within
 * `reach` of one another, some steps are met by no row of a tile. */
void random_blobs(struct check *check, struct host_blobs *blobs, const int kernel[3],
                  int64_t rows, int64_t in_rows, int64_t reach, int32_t max_halo);

/* Of a rulebook between CPU sites. */
void sites_blobs(struct check *check, struct host_blobs *blobs,
                 const struct spc__geometry *geometry, const struct spc__sites *in,
                 const struct spc__sites *out, int32_t max_halo);

/* A copy on the device, with memory for the tiles of `bound` rows: rubbish past those there are. */
void *device_blobs(struct check *check, const struct host_blobs *blobs, int64_t bound);

#endif
