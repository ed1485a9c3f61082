/* SPDX-License-Identifier: MIT */
/* Short ways to write graphs in tests. */
#ifndef SPC_TEST_GRAPH_FIXTURE_H
#define SPC_TEST_GRAPH_FIXTURE_H

#include "graph/graph.h"
#include "test.h"

static const int32_t fixture_grid[3] = {41, 64, 48};

static inline enum spc_status fixture_init(struct spc__graph *graph, struct spc_error *err)
{
    return spc__graph_init(graph, SPC_INDEX_ZYX, "in", 4, fixture_grid, err);
}

/* Parameters with a kernel of `k` on each axis; padding k/2. */
static inline struct spc__conv_params fixture_params(struct spc__graph *graph,
                                                     enum spc__rulebook_kind kind, int k, int s,
                                                     int32_t cin, int32_t cout)
{
    size_t count = (size_t)k * k * k * cin * cout;
    float *weights = spc__graph_block(graph, count);
    struct spc__conv_params params = {.kind = kind,
                                      .key = "",
                                      .kernel = {k, k, k},
                                      .stride = {s, s, s},
                                      .padding = {k / 2, k / 2, k / 2},
                                      .dilation = {1, 1, 1},
                                      .cin = cin,
                                      .cout = cout,
                                      .weights = weights};

    for (size_t i = 0; weights && i < count; i++)
        weights[i] = (float)i;
    return params;
}

static inline enum spc_status fixture_add(struct spc__graph *graph, const char *name,
                                          const char *in, const char *out,
                                          const struct spc__conv_params *params,
                                          struct spc_error *err)
{
    return spc__graph_add_conv(graph, name, "SparseConvolution", spc__graph_find(graph, in), out,
                               params, err);
}

/* 3x3x3 submanifold convolution, named as its value. */
static inline enum spc_status fixture_subm(struct spc__graph *graph, const char *in,
                                           const char *out, int32_t cin, int32_t cout)
{
    struct spc__conv_params params = fixture_params(graph, SPC__SUBM, 3, 1, cin, cout);

    return fixture_add(graph, out, in, out, &params, NULL);
}

/* 3x3x3 convolution of stride 2 and padding 1 with a rulebook key. */
static inline enum spc_status fixture_down(struct spc__graph *graph, const char *in,
                                           const char *out, const char *key, int32_t cin,
                                           int32_t cout)
{
    struct spc__conv_params params = fixture_params(graph, SPC__STRIDED, 3, 2, cin, cout);

    params.key = key;
    return fixture_add(graph, out, in, out, &params, NULL);
}

static inline enum spc_status fixture_sum(struct spc__graph *graph, const char *a, const char *b,
                                          const char *out, struct spc_error *err)
{
    return spc__graph_add_add(graph, out, "Add", spc__graph_find(graph, a),
                              spc__graph_find(graph, b), out, NULL, SPC__STORE_FP16,
                              SPC__STORE_FP16, err);
}

static inline enum spc_status fixture_relu(struct spc__graph *graph, const char *in,
                                           const char *out)
{
    return spc__graph_add_act(graph, out, "Relu", spc__graph_find(graph, in), out, SPC__ACT_RELU, 0,
                              NULL);
}

static inline enum spc_status fixture_output(struct spc__graph *graph, const char *name)
{
    return spc__graph_add_output(graph, spc__graph_find(graph, name), NULL);
}

#endif
