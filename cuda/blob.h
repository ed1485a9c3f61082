/* SPDX-License-Identifier: MIT */
/*
 * The tile blobs of a rulebook: what the fast convolution needs to know of 128 output rows.
 *
 * Output rows are cut into tiles of 128. The input rows that a tile meets, each once and
 * ascending, are its halo: a convolution copies them into shared memory and finds every neighbour
 * there. The kernel's K offsets are `groups` of `run`: the offsets of a group meet cells that lie
 * one above the other, so that the rows they meet, where there are such, follow one another. Step
 * s = group * run + member is offset k = member * groups + group. With run = kernel z and
 * groups = kernel y * kernel x that holds for every kernel of dilation 1 in z but inverse ones;
 * run = 1 and groups = K holds for all.
 *
 * A blob is
 *     header          struct spc_cuda_blob_header, 16 bytes
 *     entries         [groups][128], of 2 bytes (narrow) or 4 bytes (wide)
 *     halo            [header.halo] int32: input rows, ascending; narrow blobs only
 * An entry tells which members of its group its output row meets (present: bit m for member m),
 * and where the lowest of them is: member m is at place + popcount(present below bit m).
 *     narrow: place | present << 13, place is an index into the halo
 *     wide:   place | present << 29, place is an input row
 * An entry with no present member is 0, also those of rows past the last. A blob is narrow where
 * its halo has at most `max_halo` rows. Blobs are `stride` bytes apart, a multiple of 16.
 */
#ifndef SPC_CUDA_BLOB_H
#define SPC_CUDA_BLOB_H

#include <stdbool.h>
#include <stdint.h>

#define SPC_CUDA_BLOB_ROWS 128
#define SPC_CUDA_BLOB_MAX_RUN 3
#define SPC_CUDA_BLOB_MAX_STEPS 32
#define SPC_CUDA_BLOB_MAX_HALO 1024
#define SPC_CUDA_BLOB_NARROW_SHIFT 13
#define SPC_CUDA_BLOB_WIDE_SHIFT 29

#ifdef __CUDACC__
#define SPC_CUDA_BOTH __host__ __device__
#else
#define SPC_CUDA_BOTH
#endif

struct spc_cuda_blob_header {
    uint32_t active;    /* bit s: some row of the tile meets step s */
    int32_t halo;       /* rows of the halo, -1: wide */
    uint32_t unused[2]; /* 0 */
};

/* The blobs of one rulebook; `blobs` is device memory. */
struct spc_cuda_blobs {
    uint8_t *blobs; /* [tiles of the bound][stride] */
    int32_t groups, run;
    int32_t max_halo;
    int64_t stride;
};

/* Sets all but `blobs` from a rulebook's kernel and dilation (z, y, x); false where the kernel has
 * too many offsets for blobs. */
static inline bool spc_cuda_blobs_shape(struct spc_cuda_blobs *blobs, const int32_t kernel[3],
                                        const int32_t dilation[3], bool inverse, int32_t max_halo)
{
    int64_t narrow, wide;

    blobs->run = kernel[0];
    blobs->groups = kernel[1] * kernel[2];
    if (inverse || kernel[0] > SPC_CUDA_BLOB_MAX_RUN ||
        (kernel[0] > 1 && dilation[0] > 1)) {
        blobs->run = 1;
        blobs->groups *= kernel[0];
    }
    blobs->max_halo = max_halo < SPC_CUDA_BLOB_MAX_HALO ? max_halo : SPC_CUDA_BLOB_MAX_HALO;
    narrow = (int64_t)blobs->groups * SPC_CUDA_BLOB_ROWS * 2 + (int64_t)blobs->max_halo * 4;
    wide = (int64_t)blobs->groups * SPC_CUDA_BLOB_ROWS * 4;
    blobs->stride = (int64_t)sizeof(struct spc_cuda_blob_header) + (narrow > wide ? narrow : wide);
    blobs->stride = (blobs->stride + 15) / 16 * 16;
    return blobs->groups * blobs->run <= SPC_CUDA_BLOB_MAX_STEPS;
}

/* Tiles of so many rows. */
static inline SPC_CUDA_BOTH int64_t spc_cuda_blob_tiles(int64_t rows)
{
    return (rows + SPC_CUDA_BLOB_ROWS - 1) / SPC_CUDA_BLOB_ROWS;
}

#endif
