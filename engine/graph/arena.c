/* SPDX-License-Identifier: MIT */
#include "graph/arena.h"

#include "base/error.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* Larger first; equal ones in the caller's order. */
static int compare_size(const void *left, const void *right)
{
    const struct spc__block *a = *(struct spc__block *const *)left;
    const struct spc__block *b = *(struct spc__block *const *)right;

    if (a->size != b->size)
        return a->size < b->size ? 1 : -1;
    return a < b ? -1 : a > b;
}

/* `placed` is in ascending order of offset. */
static size_t find_gap(struct spc__block *const *placed, int count, const struct spc__block *block,
                       size_t alignment)
{
    size_t end = 0, best = SIZE_MAX, best_size = SIZE_MAX;

    for (int i = 0; i < count; i++) {
        const struct spc__block *other = placed[i];

        if (other->first > block->last || other->last < block->first)
            continue;
        if (other->offset > end && other->offset - end >= block->size &&
            other->offset - end < best_size) {
            best = end;
            best_size = other->offset - end;
        }
        if (other->offset + other->size > end)
            end = spc__round_up(other->offset + other->size, alignment);
    }
    return best != SIZE_MAX ? best : end;
}

static void insert(struct spc__block **placed, int count, struct spc__block *block)
{
    int at = count;

    while (at > 0 && placed[at - 1]->offset > block->offset)
        at--;
    memmove(&placed[at + 1], &placed[at], sizeof(*placed) * (size_t)(count - at));
    placed[at] = block;
}

enum spc_status spc__arena_lay_out(struct spc__block *blocks, int count, size_t alignment,
                                   size_t *size, struct spc_error *err)
{
    struct spc__block **order = spc__alloc((size_t)count * 2, sizeof(*order));
    struct spc__block **placed;

    if (!order)
        return spc__fail_memory(err, (size_t)count * 2 * sizeof(*order), "the memory plan");
    placed = order + count;
    for (int i = 0; i < count; i++)
        order[i] = &blocks[i];
    qsort(order, (size_t)count, sizeof(*order), compare_size);
    *size = 0;
    for (int i = 0; i < count; i++) {
        struct spc__block *block = order[i];

        block->offset = find_gap(placed, i, block, alignment);
        insert(placed, i, block);
        if (block->offset + block->size > *size)
            *size = spc__round_up(block->offset + block->size, alignment);
    }
    free(order);
    return SPC_OK;
}
