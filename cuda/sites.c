/* SPDX-License-Identifier: MIT */
#include "cuda/sites.h"

enum spc_status spc__cuda_take_sites(struct spc__cuda_memory *memory, struct spc_cuda_sites *sites,
                                     const int32_t grid[3], int64_t bound, struct spc_error *err)
{
    const char *what = "the site index of a level";
    size_t tiles, words;

    for (int a = 0; a < 3; a++)
        sites->grid[a] = grid[a];
    sites->tiles_y = (grid[1] + SPC_CUDA_TILE_Y - 1) / SPC_CUDA_TILE_Y;
    sites->tiles_x = (grid[2] + SPC_CUDA_TILE_X - 1) / SPC_CUDA_TILE_X;
    sites->words = (grid[0] + 63) / 64;
    sites->bound = bound;
    sites->group_shift = spc_cuda_group_shift((int64_t)sites->tiles_y * sites->tiles_x);
    tiles = (size_t)sites->tiles_y * (size_t)sites->tiles_x;
    words = tiles * SPC_CUDA_TILE_COLUMNS * (size_t)sites->words;
    sites->mask = spc__cuda_take(memory, words, sizeof(*sites->mask), what, err);
    sites->base = spc__cuda_take(memory, words, sizeof(*sites->base), what, err);
    sites->tile_count = spc__cuda_take(memory, tiles, sizeof(*sites->tile_count), what, err);
    sites->group_count = spc__cuda_take(memory, SPC_CUDA_MAX_GROUPS,
                                        sizeof(*sites->group_count), what, err);
    sites->coords = spc__cuda_take(memory, (size_t)bound, 4 * sizeof(*sites->coords), what, err);
    sites->count = spc__cuda_take(memory, 1, sizeof(*sites->count), what, err);
    return sites->mask && sites->base && sites->tile_count && sites->group_count &&
                   sites->coords && sites->count
               ? SPC_OK
               : SPC_ERR_MEMORY;
}
