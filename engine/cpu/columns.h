/* SPDX-License-Identifier: MIT */
/* Inside struct spc__sites: finding a column's words, and the steps that fill one. */
#ifndef SPC_CPU_COLUMNS_H
#define SPC_CPU_COLUMNS_H

#include "cpu/sites.h"

/* Most words of a column: grids have at most 2^15 cells in z (SPC__MAX_GRID). */
#define SPC__MAX_WORDS ((1 << 15) / 64)

/* Tile of the column at (y, x), which is inside the grid. */
static inline int32_t spc__tile(const struct spc__sites *sites, int32_t y, int32_t x)
{
    return (int32_t)((uint32_t)y / SPC__TILE_Y) * sites->tiles_x +
           (int32_t)((uint32_t)x / SPC__TILE_X);
}

/* Place of the column at (y, x) in its tile. */
static inline int spc__column_in_tile(int32_t y, int32_t x)
{
    return (int)((uint32_t)y % SPC__TILE_Y * SPC__TILE_X + (uint32_t)x % SPC__TILE_X);
}

/* Number of the column at (y, x), or -1 where its tile has no slot or it is outside the grid. Its
 * words are at mask and base + number * words. */
static inline int64_t spc__column(const struct spc__sites *sites, int32_t y, int32_t x)
{
    int32_t slot;

    if ((uint32_t)y >= (uint32_t)sites->grid[1] || (uint32_t)x >= (uint32_t)sites->grid[2])
        return -1;
    slot = sites->slot_of_tile[spc__tile(sites, y, x)];
    return slot < 0 ? -1 : (int64_t)slot * SPC__TILE_COLUMNS + spc__column_in_tile(y, x);
}

/* Bits below `bit` (0 .. 63). */
static inline uint64_t spc__below(int bit)
{
    return ((uint64_t)1 << bit) - 1;
}

/* The steps that fill sites:
 *
 *     spc__sites_begin(sites);                     no sites, no tile marked
 *     ... spc__sites_mark() each tile with a site; parallel callers mark distinct tiles ...
 *     tiles = spc__sites_number(sites);            gives marked tiles their slots
 *     do {
 *         ... set bits in mask, of the tiles whose slot is below num_slots ...
 *         count += spc__sites_rank(sites);         fills base
 *     } while (spc__sites_next(sites, &tiles));
 *     ... fail where count is above bound ...
 *     spc__sites_finish(sites, count);             sets count, fills coords
 *
 * The loop ends at once, except where more tiles are marked than there are slots. Then the bound
 * is exceeded for certain, and each round counts the sites of the next max_slots tiles. */
void spc__sites_begin(struct spc__sites *sites);
static inline void spc__sites_mark(struct spc__sites *sites, int32_t tile)
{
    sites->slot_of_tile[tile] = 0;
}
int32_t spc__sites_number(struct spc__sites *sites);
int64_t spc__sites_rank(struct spc__sites *sites);
bool spc__sites_next(struct spc__sites *sites, int32_t *tiles);
void spc__sites_finish(struct spc__sites *sites, int64_t count);

#endif
