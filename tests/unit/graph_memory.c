/* SPDX-License-Identifier: MIT */
/*
 * Short memory: every allocation of building and planning fails once, each in a run of its own.
 * The run must end with SPC_ERR_MEMORY and leave a graph that can be cleared (the sanitizer builds
 * see leaks). The linker sends the engine's allocations through the two wrappers here.
 */
#include "graph_fixture.h"

#include "graph/plan.h"

static int until_failure = -1; /* allocations that still succeed; negative: all do */

int __real_posix_memalign(void **block, size_t alignment, size_t size);
int __wrap_posix_memalign(void **block, size_t alignment, size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size);

static bool fails_now(void)
{
    return until_failure >= 0 && until_failure-- == 0;
}

int __wrap_posix_memalign(void **block, size_t alignment, size_t size)
{
    return fails_now() ? 12 /* ENOMEM */ : __real_posix_memalign(block, alignment, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return fails_now() ? NULL : __real_realloc(block, size);
}

/* Convolutions down and up, an addition and an activation to fuse, a dense chain to fold. */
static enum spc_status build(struct spc__graph *graph, struct spc_error *err)
{
    const int64_t perm[5] = {0, 1, 2, 4, 3}, dims[4] = {1, 4 * 41, 48, 64};
    struct spc__conv_params params;
    enum spc_status status = fixture_init(graph, err);

    if (!status) {
        params = fixture_params(graph, SPC__STRIDED, 3, 2, 4, 4);
        params.key = "down";
        status = params.weights ? fixture_add(graph, "a", "in", "a", &params, err) : SPC_ERR_MEMORY;
    }
    if (!status) {
        params.kind = SPC__INVERSE;
        status = fixture_add(graph, "b", "a", "b", &params, err);
    }
    if (!status)
        status = fixture_sum(graph, "b", "in", "c", err);
    if (!status)
        status = fixture_relu(graph, "c", "d");
    if (!status)
        status = spc__graph_add_scatter(graph, "s", spc__graph_find(graph, "d"), "s", SPC_INDEX_ZYX,
                                        SPC_LAYOUT_LINEAR, 0, err);
    if (!status)
        status =
            spc__graph_add_transpose(graph, "t", spc__graph_find(graph, "s"), "t", perm, 5, err);
    if (!status)
        status = spc__graph_add_reshape(graph, "r", spc__graph_find(graph, "t"), "r", dims, 4, err);
    if (!status)
        status = fixture_output(graph, "r");
    return status ? status : spc__graph_finish(graph, err);
}

static enum spc_status build_and_plan(bool expose_all, struct spc_error *err)
{
    const struct spc__plan_options options = {.precision = SPC_PRECISION_FP16,
                                              .max_voxels = 100,
                                              .alignment = 64,
                                              .expose_all = expose_all};
    struct spc__graph graph;
    struct spc__plan plan = {0};
    enum spc_status status = build(&graph, err);

    if (!status)
        status = spc__plan_make(&plan, &graph, &options, err);
    if (!status)
        CHECK_INT(plan.graph.num_nodes, expose_all ? 7 : 3);
    spc__plan_clear(&plan);
    spc__graph_clear(&graph);
    return status;
}

static void fail_each(bool expose_all)
{
    struct spc_error err;
    enum spc_status status = SPC_ERR_MEMORY;
    int n = 0;

    while (status && n < 10000) {
        until_failure = n++;
        status = build_and_plan(expose_all, &err);
        CHECK(status == SPC_OK || status == SPC_ERR_MEMORY);
    }
    CHECK(n > 30); /* there were that many allocations */
    CHECK_INT(status, SPC_OK);
    CHECK(until_failure >= 0); /* the last run needed fewer than it was given */
    until_failure = -1;
}

TEST(each_allocation_fails_once)
{
    fail_each(false);
}

TEST(each_allocation_fails_once_exposed)
{
    fail_each(true);
}

int main(void)
{
    RUN(each_allocation_fails_once);
    RUN(each_allocation_fails_once_exposed);
    return test_result();
}
