/* SPDX-License-Identifier: MIT */
/* The whole index of a CenterPoint frame: five levels, eight rulebooks. On the real frame where it
 * is at hand, else on a synthetic one. */
#include "centerpoint.h"

#include <stdlib.h>
#include <string.h>

#define RULEBOOKS 8
#define WINDOW 512

/* Rulebooks 2 * i: submanifold of level i; 2 * i + 1: from level i to i + 1. */
static const struct spc__geometry *geometry_of(int rulebook)
{
    return rulebook % 2 ? &centerpoint_down[rulebook / 2] : &centerpoint_subm;
}

struct frame {
    int64_t count;
    int32_t (*indices)[4]; /* zyx */
    bool real;
    struct spc__sites sites[CENTERPOINT_LEVELS];
    struct spc__pairs pairs[RULEBOOKS];
    int32_t *row_of_input;
    struct spc__pool *pool;
    int level, rulebook; /* what a benchmark is about */
};

static void set_up(struct check *check, struct frame *frame)
{
    memset(frame, 0, sizeof(*frame));
    frame->indices = check_alloc(check, (size_t)CENTERPOINT_BOUND * sizeof(*frame->indices));
    frame->row_of_input =
        check_alloc(check, (size_t)CENTERPOINT_BOUND * sizeof(*frame->row_of_input));
    frame->count = centerpoint_rows(check, frame->indices, &frame->real);
    frame->pool = spc__pool_create(1, NULL);
    for (int i = 0; i < CENTERPOINT_LEVELS; i++)
        check_true(check,
                   !spc__sites_init(&frame->sites[i], centerpoint_grids[i], CENTERPOINT_BOUND,
                                    NULL), "no memory");
    for (int i = 0; i < RULEBOOKS; i++) {
        const struct spc__geometry *g = geometry_of(i);

        check_true(check,
                   !spc__pairs_init(&frame->pairs[i], g->kernel[0] * g->kernel[1] * g->kernel[2],
                                    CENTERPOINT_BOUND, WINDOW, NULL), "no memory");
    }
}

static void tear_down(struct frame *frame)
{
    for (int i = 0; i < CENTERPOINT_LEVELS; i++)
        spc__sites_clear(&frame->sites[i]);
    for (int i = 0; i < RULEBOOKS; i++)
        spc__pairs_clear(&frame->pairs[i]);
    spc__pool_destroy(frame->pool);
}

static void build_level(void *context)
{
    struct frame *frame = context;
    int i = frame->level;
    const struct spc__geometry *g = i ? &centerpoint_down[i - 1] : NULL;
    enum spc_status status;

    if (i)
        status = spc__sites_from_strided(&frame->sites[i], &frame->sites[i - 1], g->kernel,
                                         g->stride, g->padding, g->dilation, "level", frame->pool,
                                         NULL);
    else
        status = spc__sites_from_indices(&frame->sites[0], frame->indices[0], frame->count,
                                         SPC_INDEX_ZYX, frame->row_of_input, NULL);
    if (status)
        abort();
}

static void build_rulebook(void *context)
{
    struct frame *frame = context;
    int i = frame->rulebook;

    spc__pairs_build(&frame->pairs[i], geometry_of(i), &frame->sites[i / 2],
                     &frame->sites[(i + 1) / 2], WINDOW, frame->pool);
}

static void build_all(void *context)
{
    struct frame *frame = context;

    for (frame->level = 0; frame->level < CENTERPOINT_LEVELS; frame->level++)
        build_level(frame);
    for (frame->rulebook = 0; frame->rulebook < RULEBOOKS; frame->rulebook++)
        build_rulebook(frame);
}

static int64_t pairs_by_reference(const struct frame *frame, int rulebook)
{
    struct spc__pairs pairs;
    int64_t n = -1;

    if (spc__pairs_init(&pairs, frame->pairs[rulebook].offsets, CENTERPOINT_BOUND, WINDOW, NULL))
        return n;
    spc__pairs_build_c(&pairs, geometry_of(rulebook), &frame->sites[rulebook / 2],
                       &frame->sites[(rulebook + 1) / 2], WINDOW, frame->pool);
    n = pairs.num_pairs;
    spc__pairs_clear(&pairs);
    return n;
}

static void test_centerpoint(struct check *check)
{
    static const int64_t real_sites[CENTERPOINT_LEVELS] = {79745, 69276, 29723, 10335, 7658};
    struct frame *frame = check_alloc(check, sizeof(*frame));

    set_up(check, frame);
    build_all(frame);
    for (int i = 0; i < CENTERPOINT_LEVELS && frame->real; i++)
        check_true(check, frame->sites[i].count == real_sites[i], "level %d has %lld sites", i,
                   (long long)frame->sites[i].count);
    for (int i = 0; i < RULEBOOKS; i++)
        check_true(check, frame->pairs[i].num_pairs == pairs_by_reference(frame, i),
                   "rulebook %d has %lld pairs", i, (long long)frame->pairs[i].num_pairs);
    tear_down(frame);
}

static void bench_centerpoint(struct check *check)
{
    struct frame *frame = check_alloc(check, sizeof(*frame));
    char label[64];

    set_up(check, frame);
    if (!frame->real)
        fprintf(stderr, "spc-check: no frame below SPC_TEST_DATA: a synthetic one instead\n");
    build_all(frame);
    for (int i = 0; i < CENTERPOINT_LEVELS; i++) {
        snprintf(label, sizeof(label), "sites, level %d", i);
        frame->level = i;
        check_bench(check, label, (double)frame->sites[i].count, "site", build_level, frame);
    }
    for (int i = 0; i < RULEBOOKS; i++) {
        snprintf(label, sizeof(label), i % 2 ? "pairs, level %d to %d" : "pairs, level %d", i / 2,
                 i / 2 + 1);
        frame->rulebook = i;
        check_bench(check, label, (double)frame->pairs[i].num_pairs, "pair", build_rulebook,
                    frame);
    }
    check_bench(check, "all", (double)frame->count, "voxel", build_all, frame);
    tear_down(frame);
}

const struct check_case check_frame[] = {
    {"centerpoint", test_centerpoint, bench_centerpoint},
    {NULL, NULL, NULL},
};
