/* SPDX-License-Identifier: MIT */
/* Sites and pairs: the fast ways against the references. */
#include "cells.h"

#include "cpu/pairs_build.h"

#include <stdlib.h>
#include <string.h>

struct geometry {
    struct spc__geometry raw;
    int32_t in_grid[3], out_grid[3];
    int offsets;
};

static struct spc__pool *make_pool(int threads)
{
    struct spc_error err;
    struct spc__pool *pool = spc__pool_create(threads, &err);

    if (!pool) {
        fprintf(stderr, "spc-check: %s\n", err.message);
        exit(2);
    }
    return pool;
}

static void make_sites(struct spc__sites *sites, const int32_t grid[3], int64_t bound)
{
    struct spc_error err;

    if (spc__sites_init(sites, grid, bound, &err)) {
        fprintf(stderr, "spc-check: %s\n", err.message);
        exit(2);
    }
}

/* Each cell is on with the given chance; rows in random order. */
static void random_sites(struct check *check, struct spc__sites *sites, const int32_t grid[3],
                         int64_t per_mille)
{
    int64_t cells = (int64_t)grid[0] * grid[1] * grid[2], n;
    int32_t(*rows)[4] = cells_rows(check, grid, per_mille, &n);
    int32_t *map = check_alloc(check, (size_t)cells * sizeof(*map));

    make_sites(sites, grid, cells);
    check_true(check, !spc__sites_from_indices(sites, rows[0], n, SPC_INDEX_ZYX, map, NULL),
               "%lld sites are refused", (long long)n);
    check_true(check, sites->count == n, "%lld sites became %lld", (long long)n,
               (long long)sites->count);
}

static void random_geometry(struct check *check, struct geometry *g, int32_t grid_z)
{
    struct spc__geometry *raw = &g->raw;

    memset(g, 0, sizeof(*g));
    g->in_grid[0] = grid_z;
    g->in_grid[1] = (int32_t)check_int(check, 1, 20);
    g->in_grid[2] = (int32_t)check_int(check, 1, 40);
    g->offsets = 1;
    for (int a = 0; a < 3; a++) {
        int32_t room;

        raw->kernel[a] = (int32_t)check_int(check, 1, 5);
        raw->dilation[a] = (int32_t)check_int(check, 1, 3);
        raw->stride[a] = (int32_t)check_int(check, 1, 4);
        raw->padding[a] = (int32_t)check_int(check, 0, 3);
        room = g->in_grid[a] + 2 * raw->padding[a] - raw->dilation[a] * (raw->kernel[a] - 1) - 1;
        g->out_grid[a] = room < 0 ? 1 : room / raw->stride[a] + 1;
        g->offsets *= raw->kernel[a];
    }
}

static void compare_pairs(struct check *check, const struct spc__pairs *a,
                          const struct spc__pairs *e)
{
    if (!check_true(check, a->num_windows == e->num_windows && a->num_pairs == e->num_pairs,
                    "%lld pairs in %lld windows, expected %lld in %lld", (long long)a->num_pairs,
                    (long long)a->num_windows, (long long)e->num_pairs,
                    (long long)e->num_windows))
        return;
    for (int64_t w = 0; w < e->num_windows; w++) {
        const int64_t *sa = a->start + w * (a->offsets + 1), *se = e->start + w * (e->offsets + 1);
        bool same = true;

        for (int k = 0; k <= e->offsets; k++)
            same = same && sa[k] - sa[0] == se[k] - se[0];
        if (!check_true(check, same, "window %lld has other counts", (long long)w))
            return;
        check_same(check, "in", a->in + sa[0], e->in + se[0],
                   (size_t)(se[e->offsets] - se[0]) * sizeof(*e->in));
        check_same(check, "out", a->out + sa[0], e->out + se[0],
                   (size_t)(se[e->offsets] - se[0]) * sizeof(*e->out));
    }
}

struct way {
    const char *isa, *label;
    bool by_columns;
    void (*window)(const struct spc__pairs_job *job, int64_t first_row, int64_t end_row,
                   int64_t *start);
};

static const struct way ways[] = {
    {"c", "columns, any machine", true, spc__pairs_columns_any},
    {"c", "rows, any machine", false, spc__pairs_rows_any},
#if defined(__x86_64__)
    {"bmi2", "columns, bmi2", true, spc__pairs_columns_bmi2},
    {"bmi2", "rows, bmi2", false, spc__pairs_rows_bmi2},
    {"avx512", "columns, avx512", true, spc__pairs_columns_avx512},
#endif
};

static bool usable(const struct check *check, const struct way *way)
{
#if defined(__x86_64__)
    if (!strcmp(way->isa, "bmi2") &&
        !(__builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi2")))
        return false;
    if (!strcmp(way->isa, "avx512") && !spc__pairs_has_avx512())
        return false;
#endif
    return check_isa(check, way->isa);
}

static void check_ways(struct check *check, const struct geometry *g, struct spc__pairs *fast,
                       const struct spc__pairs *plain, const struct spc__sites *in,
                       const struct spc__sites *out, int window, struct spc__pool *pool)
{
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct spc__pairs_job job = {fast, &g->raw, in, out, ways[i].window};

        if (!usable(check, &ways[i]) ||
            !(ways[i].by_columns ? spc__pairs_columns_fit(&g->raw, in, out, window)
                                 : spc__pairs_rows_fit(&g->raw, window)))
            continue;
        spc__pairs_run(&job, window, pool);
        compare_pairs(check, fast, plain);
    }
}

/* Every way, with one and three threads, against the reference with one. */
static void check_build(struct check *check, const struct geometry *g, const struct spc__sites *in,
                        const struct spc__sites *out)
{
    static const int windows[] = {1, 13, 64, 256, 1000, SPC__MAX_WINDOW};
    int window = windows[check_int(check, 0, 5)];
    struct spc__pool *pools[2] = {make_pool(1), make_pool(3)};
    struct spc__pairs fast, plain;

    if (spc__pairs_init(&fast, g->offsets, out->bound, window, NULL) ||
        spc__pairs_init(&plain, g->offsets, out->bound, window, NULL)) {
        fprintf(stderr, "spc-check: no memory for pairs\n");
        exit(2);
    }
    spc__pairs_build_c(&plain, &g->raw, in, out, window, pools[0]);
    for (int i = 0; i < 2; i++) {
        spc__pairs_build(&fast, &g->raw, in, out, window, pools[i]);
        compare_pairs(check, &fast, &plain);
        check_ways(check, g, &fast, &plain, in, out, window, pools[i]);
        spc__pool_destroy(pools[i]);
    }
    spc__pairs_clear(&fast);
    spc__pairs_clear(&plain);
}

static const int32_t grids_z[] = {1, 2, 5, 21, 41, 63, 64, 65, 130};
#define NUM_GRIDS_Z (int)(sizeof(grids_z) / sizeof(grids_z[0]))

static void test_subm(struct check *check)
{
    for (int round = 0; round < 6 * NUM_GRIDS_Z; round++) {
        struct geometry g;
        struct spc__sites sites;

        random_geometry(check, &g, grids_z[round % NUM_GRIDS_Z]);
        g.raw.subm = true;
        g.offsets = 1;
        for (int a = 0; a < 3; a++)
            g.offsets *= g.raw.kernel[a] |= 1;
        random_sites(check, &sites, g.in_grid, cells_density(check));
        check_build(check, &g, &sites, &sites);
        spc__sites_clear(&sites);
        check_release(check);
    }
}

/* Sites that the pairs of the reference reach, against the strided sites. */
static void test_strided(struct check *check)
{
    struct spc__pool *pool = make_pool(3);

    for (int round = 0; round < 6 * NUM_GRIDS_Z; round++) {
        struct geometry g;
        struct spc__sites in, out;
        const struct spc__geometry *raw = &g.raw;

        random_geometry(check, &g, grids_z[round % NUM_GRIDS_Z]);
        random_sites(check, &in, g.in_grid, cells_density(check));
        make_sites(&out, g.out_grid, (int64_t)g.out_grid[0] * g.out_grid[1] * g.out_grid[2]);
        check_true(check,
                   !spc__sites_from_strided(&out, &in, raw->kernel, raw->stride, raw->padding,
                                            raw->dilation, "node", pool, NULL),
                   "strided sites are refused");
        check_build(check, &g, &in, &out);
        g.raw.inverse = true;
        check_build(check, &g, &out, &in);
        spc__sites_clear(&in);
        spc__sites_clear(&out);
        check_release(check);
    }
    spc__pool_destroy(pool);
}

struct bench {
    struct spc__pairs_job job;
    struct spc__pool *pool;
};

static void run_way(void *context)
{
    struct bench *b = context;

    spc__pairs_run(&b->job, 256, b->pool);
}

static void run_reference(void *context)
{
    struct bench *b = context;

    spc__pairs_build_c(b->job.pairs, b->job.geometry, b->job.in, b->job.out, 256, b->pool);
}

static void bench_subm(struct check *check)
{
    static const struct spc__geometry g = {
        true, false, {3, 3, 3}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}};
    static const int32_t grid[3] = {41, 160, 160};
    struct spc__sites sites;
    struct spc__pairs pairs;
    struct bench b = {{&pairs, &g, &sites, &sites, NULL}, make_pool(1)};

    random_sites(check, &sites, grid, 30);
    if (spc__pairs_init(&pairs, 27, sites.bound, 256, NULL))
        abort();
    run_reference(&b);
    check_bench(check, "reference", (double)pairs.num_pairs, "pair", run_reference, &b);
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        b.job.window = ways[i].window;
        if (usable(check, &ways[i]))
            check_bench(check, ways[i].label, (double)pairs.num_pairs, "pair", run_way, &b);
    }
    spc__pairs_clear(&pairs);
    spc__sites_clear(&sites);
    spc__pool_destroy(b.pool);
}

const struct check_case check_index[] = {
    {"subm", test_subm, bench_subm},
    {"strided", test_strided, NULL},
    {NULL, NULL, NULL},
};
