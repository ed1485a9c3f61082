/* SPDX-License-Identifier: MIT */
/* Active sites: storage, lookup, and the steps that every way of filling them shares. */
#include "cpu/columns.h"

#include "base/error.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static size_t directory_bytes(const struct spc__sites *sites)
{
    return (size_t)sites->tiles_y * (size_t)sites->tiles_x * sizeof(int32_t);
}

static size_t slot_words(const struct spc__sites *sites)
{
    return (size_t)SPC__TILE_COLUMNS * (size_t)sites->words;
}

enum spc_status spc__sites_init(struct spc__sites *sites, const int32_t grid[3], int64_t bound,
                                struct spc_error *err)
{
    size_t slots;
    int64_t tiles;

    memset(sites, 0, sizeof(*sites));
    memcpy(sites->grid, grid, sizeof(sites->grid));
    sites->tiles_y = (grid[1] + SPC__TILE_Y - 1) / SPC__TILE_Y;
    sites->tiles_x = (grid[2] + SPC__TILE_X - 1) / SPC__TILE_X;
    sites->words = (grid[0] + 63) / 64;
    sites->bound = bound;
    tiles = (int64_t)sites->tiles_y * sites->tiles_x;
    sites->max_slots = (int32_t)(tiles < bound ? tiles : bound);
    slots = (size_t)sites->max_slots;
    sites->slot_of_tile = spc__alloc(directory_bytes(sites), 1);
    sites->tile_of_slot = spc__alloc(slots, sizeof(int32_t));
    sites->mask = spc__alloc(slots, slot_words(sites) * sizeof(uint64_t));
    sites->base = spc__alloc(slots, slot_words(sites) * sizeof(uint32_t));
    sites->coords = spc__alloc((size_t)bound, 3 * sizeof(int32_t));
    if (!sites->slot_of_tile || !sites->tile_of_slot || !sites->mask || !sites->base ||
        !sites->coords) {
        size_t bytes = spc__sites_bytes(sites);

        spc__sites_clear(sites);
        return spc__fail_memory(err, bytes, "the site index of a level");
    }
    spc__sites_begin(sites);
    return SPC_OK;
}

void spc__sites_clear(struct spc__sites *sites)
{
    free(sites->slot_of_tile);
    free(sites->tile_of_slot);
    free(sites->mask);
    free(sites->base);
    free(sites->coords);
    memset(sites, 0, sizeof(*sites));
}

size_t spc__sites_bytes(const struct spc__sites *sites)
{
    size_t slot = sizeof(int32_t) + slot_words(sites) * (sizeof(uint64_t) + sizeof(uint32_t));

    return directory_bytes(sites) + (size_t)sites->max_slots * slot +
           (size_t)sites->bound * 3 * sizeof(int32_t);
}

int32_t spc__sites_row(const struct spc__sites *sites, int32_t z, int32_t y, int32_t x)
{
    int64_t column = spc__column(sites, y, x), word;

    if (column < 0 || (uint32_t)z >= (uint32_t)sites->grid[0])
        return -1;
    word = column * sites->words + z / 64;
    if (!(sites->mask[word] >> (z % 64) & 1))
        return -1;
    return (int32_t)sites->base[word] +
           __builtin_popcountll(sites->mask[word] & spc__below(z % 64));
}

void spc__sites_begin(struct spc__sites *sites)
{
    memset(sites->slot_of_tile, 0xff, directory_bytes(sites));
    sites->num_slots = 0;
    sites->count = 0;
}

/* Takes the slots for the first of `tiles` numbered tiles. */
static void take_slots(struct spc__sites *sites, int32_t tiles)
{
    sites->num_slots = tiles < sites->max_slots ? tiles : sites->max_slots;
    memset(sites->mask, 0,
           (size_t)sites->num_slots * slot_words(sites) * sizeof(*sites->mask));
}

int32_t spc__sites_number(struct spc__sites *sites)
{
    int32_t tiles = sites->tiles_y * sites->tiles_x, n = 0;

    for (int32_t tile = 0; tile < tiles; tile++) {
        if (sites->slot_of_tile[tile] < 0)
            continue;
        if (n < sites->max_slots)
            sites->tile_of_slot[n] = tile;
        sites->slot_of_tile[tile] = n++;
    }
    take_slots(sites, n);
    return n;
}

bool spc__sites_next(struct spc__sites *sites, int32_t *tiles)
{
    if (*tiles <= sites->max_slots)
        return false;
    for (int32_t tile = 0; tile < sites->tiles_y * sites->tiles_x; tile++) {
        int32_t slot = sites->slot_of_tile[tile];

        sites->slot_of_tile[tile] = slot < sites->max_slots ? -1 : slot - sites->max_slots;
    }
    *tiles -= sites->max_slots;
    take_slots(sites, *tiles);
    return true;
}

int64_t spc__sites_rank(struct spc__sites *sites)
{
    size_t words = (size_t)sites->num_slots * slot_words(sites);
    int64_t count = 0;

    for (size_t i = 0; i < words; i++) {
        sites->base[i] = (uint32_t)count;
        if (sites->mask[i])
            count += __builtin_popcountll(sites->mask[i]);
    }
    return count;
}

/* Writes the coordinates of a column's sites; returns where the next column's go. */
static int32_t *column_coords(const struct spc__sites *sites, const uint64_t *mask, int32_t y,
                              int32_t x, int32_t *coords)
{
    for (int32_t w = 0; w < sites->words; w++) {
        for (uint64_t bits = mask[w]; bits; bits &= bits - 1) {
            coords[0] = w * 64 + __builtin_ctzll(bits);
            coords[1] = y;
            coords[2] = x;
            coords += 3;
        }
    }
    return coords;
}

void spc__sites_finish(struct spc__sites *sites, int64_t count)
{
    const uint64_t *mask = sites->mask;
    int32_t *coords = sites->coords;

    for (int32_t slot = 0; slot < sites->num_slots; slot++) {
        int32_t y = sites->tile_of_slot[slot] / sites->tiles_x * SPC__TILE_Y;
        int32_t x = sites->tile_of_slot[slot] % sites->tiles_x * SPC__TILE_X;

        for (int i = 0; i < SPC__TILE_COLUMNS; i++, mask += sites->words)
            coords = column_coords(sites, mask, y + i / SPC__TILE_X, x + i % SPC__TILE_X, coords);
    }
    sites->count = count;
}

void spc__sites_write_indices(const struct spc__sites *sites, enum spc_index_order order,
                              int32_t *indices)
{
    const int32_t *c = sites->coords;
    bool xyz = order == SPC_INDEX_XYZ;

    for (int64_t i = 0; i < sites->count; i++, c += 3, indices += 4) {
        indices[0] = 0;
        indices[1] = c[xyz ? 2 : 0];
        indices[2] = c[1];
        indices[3] = c[xyz ? 0 : 2];
    }
}
