/* SPDX-License-Identifier: MIT */
#include "graph/refuse.h"

#include "base/error.h"
#include "graph/build.h"

#include <inttypes.h>

enum spc_status spc__refuse_count(int64_t count, int64_t bound, struct spc_error *err)
{
    return spc__fail(err, SPC_ERR_CAPACITY,
                     "input: %" PRId64 " voxels, but the session was planned for at most %" PRId64
                     ": raise max_voxels", count, bound);
}

enum spc_status spc__refuse_row(const int32_t *row, int64_t i, enum spc_index_order order,
                                const int32_t grid[3], struct spc_error *err)
{
    bool xyz = order == SPC_INDEX_XYZ;

    if (row[0])
        return spc__fail(err, SPC_ERR_INPUT,
                         "input row %" PRId64 ": batch index %d; only batch 0 is supported: run "
                         "one cloud per frame", i, row[0]);
    return spc__fail(err, SPC_ERR_INPUT,
                     "input row %" PRId64 ": voxel (z %d, y %d, x %d) is outside the grid of %d x "
                     "%d x %d cells (z, y, x): check the index order and the voxelizer's range",
                     i, row[xyz ? 3 : 1], row[2], row[xyz ? 1 : 3], grid[0], grid[1], grid[2]);
}

enum spc_status spc__refuse_duplicate(const int32_t *row, int64_t first, int64_t i,
                                      enum spc_index_order order, struct spc_error *err)
{
    bool xyz = order == SPC_INDEX_XYZ;

    return spc__fail(err, SPC_ERR_INPUT,
                     "input rows %" PRId64 " and %" PRId64 " are the same voxel (z %d, y %d, x "
                     "%d): a voxel may come only once", first, i, row[xyz ? 3 : 1], row[2],
                     row[xyz ? 1 : 3]);
}

enum spc_status spc__refuse_sites(const char *node, int64_t count, int64_t bound,
                                  struct spc_error *err)
{
    return spc__fail(err, SPC_ERR_CAPACITY,
                     "node " SPC__NAME ": %" PRId64 " output sites, but the plan's bound is "
                     "%" PRId64 ": raise output_bound in the model or the session's site_bound",
                     node, count, bound);
}

const char *spc__level_name(const struct spc__graph *graph, int level)
{
    int node = graph->levels[level].node;

    return node >= 0 ? graph->nodes[node].name : "of an inverse convolution";
}
