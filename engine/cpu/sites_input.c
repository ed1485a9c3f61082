/* SPDX-License-Identifier: MIT */
/* Active sites from the index rows of an input frame. */
#include "cpu/columns.h"

#include "graph/refuse.h"

struct cell {
    int32_t z, y, x;
};

static struct cell cell_of(const int32_t *row, enum spc_index_order order)
{
    if (order == SPC_INDEX_XYZ)
        return (struct cell){row[3], row[2], row[1]};
    return (struct cell){row[1], row[2], row[3]};
}

static enum spc_status mark_rows(struct spc__sites *sites, const int32_t *indices, int64_t count,
                                 enum spc_index_order order, struct spc_error *err)
{
    const int32_t *grid = sites->grid;

    for (int64_t i = 0; i < count; i++) {
        const int32_t *row = indices + 4 * i;
        struct cell c = cell_of(row, order);

        if (row[0] || (uint32_t)c.z >= (uint32_t)grid[0] || (uint32_t)c.y >= (uint32_t)grid[1] ||
            (uint32_t)c.x >= (uint32_t)grid[2])
            return spc__refuse_row(row, i, order, grid, err);
        spc__sites_mark(sites, spc__tile(sites, c.y, c.x));
    }
    return SPC_OK;
}

static enum spc_status refuse_duplicate(const int32_t *indices, int64_t i,
                                        enum spc_index_order order, struct spc_error *err)
{
    const int32_t *row = indices + 4 * i;
    int64_t first = 0;

    while (indices[4 * first + 1] != row[1] || indices[4 * first + 2] != row[2] ||
           indices[4 * first + 3] != row[3])
        first++;
    return spc__refuse_duplicate(row, first, i, order, err);
}

static enum spc_status set_rows(struct spc__sites *sites, const int32_t *indices, int64_t count,
                                enum spc_index_order order, struct spc_error *err)
{
    for (int64_t i = 0; i < count; i++) {
        struct cell c = cell_of(indices + 4 * i, order);
        uint64_t bit = (uint64_t)1 << (c.z % 64);
        uint64_t *word =
            &sites->mask[spc__column(sites, c.y, c.x) * sites->words + c.z / 64];

        if (*word & bit)
            return refuse_duplicate(indices, i, order, err);
        *word |= bit;
    }
    return SPC_OK;
}

enum spc_status spc__sites_from_indices(struct spc__sites *sites, const int32_t *indices,
                                        int64_t count, enum spc_index_order order,
                                        int32_t *row_of_input, struct spc_error *err)
{
    enum spc_status status;

    spc__sites_begin(sites);
    if (count > sites->bound)
        return spc__refuse_count(count, sites->bound, err);
    status = mark_rows(sites, indices, count, order, err);
    if (!status) {
        spc__sites_number(sites); /* never above max_slots: a tile has at least one of the rows */
        status = set_rows(sites, indices, count, order, err);
    }
    if (status) {
        spc__sites_begin(sites);
        return status;
    }
    spc__sites_finish(sites, spc__sites_rank(sites));
    for (int64_t i = 0; i < count; i++) {
        struct cell c = cell_of(indices + 4 * i, order);

        row_of_input[i] = spc__sites_row(sites, c.z, c.y, c.x);
    }
    return SPC_OK;
}
