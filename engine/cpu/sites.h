/* SPDX-License-Identifier: MIT */
/*
 * The active sites of one level, found without hashing or sorting.
 *
 * The (y, x) plane is cut into tiles of 8 x 16 columns. A directory maps a tile to a slot; only
 * tiles with a site have one. A slot holds, for each of its 128 columns, the z occupancy as bits
 * of 64-bit words (one word for grids of up to 64 cells in z) and the row of each word's lowest
 * site. A site's row is then base + popcount(bits below it), and rows in order of
 * (tile, y, x, z) - the engine's site order - come out of a running sum, without a sort.
 */
#ifndef SPC_CPU_SITES_H
#define SPC_CPU_SITES_H

#include "base/pool.h"

#include <spc/spc.h>

#define SPC__TILE_Y 8
#define SPC__TILE_X 16
#define SPC__TILE_COLUMNS (SPC__TILE_Y * SPC__TILE_X)

struct spc__sites {
    int32_t grid[3];             /* z, y, x */
    int32_t tiles_y, tiles_x;    /* directory extent */
    int32_t words;               /* 64-bit words of a column: ceil(grid z / 64) */
    int64_t bound;               /* most sites */
    int32_t max_slots;           /* min(tiles, bound) */
    int32_t *slot_of_tile;       /* [tiles_y * tiles_x], -1: no site in it */
    int32_t *tile_of_slot;       /* [max_slots], ascending */
    uint64_t *mask;              /* [max_slots][128][words] */
    uint32_t *base;              /* [max_slots][128][words] */
    int32_t *coords;             /* [bound][3]: z, y, x of each row */
    int32_t num_slots;           /* of this frame */
    int64_t count;               /* of this frame */
};

enum spc_status spc__sites_init(struct spc__sites *sites, const int32_t grid[3], int64_t bound,
                                struct spc_error *err);
void spc__sites_clear(struct spc__sites *sites);
/* Bytes that init reserved. */
size_t spc__sites_bytes(const struct spc__sites *sites);

/* Row of the site at (z, y, x), or -1: also for coordinates outside the grid. */
int32_t spc__sites_row(const struct spc__sites *sites, int32_t z, int32_t y, int32_t x);

/* Level 0 from index rows [count][4] in `order`: checks range, batch and duplicates
 * (SPC_ERR_INPUT) and the bound (SPC_ERR_CAPACITY); fills row_of_input[count], the site row of
 * each input row, a permutation. After a failure the sites are empty. */
enum spc_status spc__sites_from_indices(struct spc__sites *sites, const int32_t *indices,
                                        int64_t count, enum spc_index_order order,
                                        int32_t *row_of_input, struct spc_error *err);

/* The output sites of a strided convolution over `in`: every o within out->grid for which
 * some site i = o * stride + k * dilation - padding exists. SPC_ERR_CAPACITY names `node`. */
enum spc_status spc__sites_from_strided(struct spc__sites *out, const struct spc__sites *in,
                                        const int32_t kernel[3], const int32_t stride[3],
                                        const int32_t padding[3], const int32_t dilation[3],
                                        const char *node, struct spc__pool *pool,
                                        struct spc_error *err);

/* Index rows [count][4] (batch 0) of the sites, in `order`. */
void spc__sites_write_indices(const struct spc__sites *sites, enum spc_index_order order,
                              int32_t *indices);

#endif
