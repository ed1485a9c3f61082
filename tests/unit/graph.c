/* SPDX-License-Identifier: MIT */
/* Building graphs: shapes, rulebooks, and what is refused. */
#include "graph_fixture.h"

static struct spc__graph graph;
static struct spc_error err;

static const struct spc__value *value(const char *name)
{
    return &graph.values[spc__graph_find(&graph, name)];
}

static const struct spc__node *node(int i)
{
    return &graph.nodes[i];
}

static void check_dims(const char *name, int rank, const int64_t *dims)
{
    CHECK_INT(value(name)->rank, rank);
    for (int d = 0; d < rank; d++)
        CHECK_INT(value(name)->dims[d], dims[d]);
}

TEST(input)
{
    const int32_t flat[3] = {0, 8, 8}, huge[3] = {8, 8, SPC__MAX_GRID + 1};

    CHECK_INT(fixture_init(&graph, &err), SPC_OK);
    CHECK_INT(spc__graph_find(&graph, "in"), 0);
    CHECK_INT(spc__graph_find(&graph, "other"), -1);
    spc__graph_clear(&graph);
    CHECK_INT(spc__graph_init(&graph, SPC_INDEX_ZYX, "in", 0, fixture_grid, &err),
              SPC_ERR_UNSUPPORTED);
    CHECK_TEXT(err.message, "'in' has 0 channels");
    CHECK_INT(spc__graph_init(&graph, SPC_INDEX_ZYX, "in", 4, flat, &err), SPC_ERR_UNSUPPORTED);
    CHECK_TEXT(err.message, "0,8,8 (z,y,x)");
    CHECK_INT(spc__graph_init(&graph, SPC_INDEX_ZYX, "in", 4, huge, &err), SPC_ERR_UNSUPPORTED);
    spc__graph_clear(&graph); /* of a graph that never came to be */
}

TEST(grids_and_levels)
{
    struct spc__conv_params params;

    REQUIRE(!fixture_init(&graph, &err));
    CHECK_INT(fixture_subm(&graph, "in", "a", 4, 16), SPC_OK);
    CHECK_INT(value("a")->level, 0);
    CHECK_INT(value("a")->channels, 16);
    CHECK_INT(fixture_down(&graph, "a", "b", "down", 16, 32), SPC_OK);
    CHECK_INT(value("b")->level, 1);
    CHECK_INT(graph.levels[1].grid[0], 21); /* (41 + 2 - 2 - 1) / 2 + 1 */
    CHECK_INT(graph.levels[1].grid[1], 32);
    CHECK_INT(graph.levels[1].grid[2], 24);
    CHECK_INT(graph.levels[1].bound, 21 * 32 * 24); /* not the default: there are fewer cells */
    CHECK_INT(graph.levels[1].node, 1);
    CHECK_INT(graph.levels[1].rulebook, node(1)->rulebook);

    params = fixture_params(&graph, SPC__STRIDED, 2, 3, 32, 8);
    params.dilation[0] = 5;
    params.padding[0] = 0;
    params.bound = 77;
    CHECK_INT(fixture_add(&graph, "c", "b", "c", &params, &err), SPC_OK);
    CHECK_INT(graph.levels[2].grid[0], 6);  /* (21 - 5 - 1) / 3 + 1 */
    CHECK_INT(graph.levels[2].grid[1], 11); /* (32 + 2 - 1 - 1) / 3 + 1 */
    CHECK_INT(graph.levels[2].bound, 77);
    CHECK_INT(spc__rulebook_offsets(&graph.rulebooks[node(2)->rulebook]), 8);
    spc__graph_clear(&graph);
}

/* Rulebooks are one where they compute the same, whatever keys and ignored parameters say. */
TEST(rulebooks_are_shared)
{
    struct spc__conv_params params;

    REQUIRE(!fixture_init(&graph, &err));
    CHECK_INT(fixture_subm(&graph, "in", "a", 4, 4), SPC_OK);
    params = fixture_params(&graph, SPC__SUBM, 3, 2, 4, 4); /* stride of a submanifold: ignored */
    params.padding[1] = 7;
    params.key = "other";
    CHECK_INT(fixture_add(&graph, "b", "a", "b", &params, &err), SPC_OK);
    CHECK_INT(node(1)->rulebook, node(0)->rulebook);
    params.dilation[2] = 2;
    params.key = "";
    CHECK_INT(fixture_add(&graph, "c", "b", "c", &params, &err), SPC_OK);
    CHECK(node(2)->rulebook != node(0)->rulebook);
    CHECK_INT(graph.rulebooks[node(2)->rulebook].padding[2], 2);

    CHECK_INT(fixture_down(&graph, "a", "d", "", 4, 4), SPC_OK);
    CHECK_INT(fixture_down(&graph, "b", "e", "named", 4, 8), SPC_OK);
    CHECK_INT(value("d")->level, value("e")->level);
    CHECK_INT(node(3)->rulebook, node(4)->rulebook);
    CHECK_INT(graph.num_levels, 2);
    CHECK_INT(fixture_down(&graph, "d", "f", "", 4, 4), SPC_OK);
    CHECK_INT(graph.num_levels, 3);

    /* 1x1x1, stride 1, no padding: spconv keeps the sites. */
    params = fixture_params(&graph, SPC__STRIDED, 1, 1, 4, 4);
    params.dilation[0] = 3;
    CHECK_INT(fixture_add(&graph, "g", "f", "g", &params, &err), SPC_OK);
    CHECK_INT(value("g")->level, value("f")->level);
    CHECK_INT(graph.num_levels, 3);
    spc__graph_clear(&graph);
}

TEST(inverse)
{
    struct spc__conv_params params;
    const struct spc__rulebook *book;

    REQUIRE(!fixture_init(&graph, &err));
    CHECK_INT(fixture_down(&graph, "in", "a", "down", 4, 8), SPC_OK);
    CHECK_INT(fixture_subm(&graph, "a", "b", 8, 8), SPC_OK);
    params = fixture_params(&graph, SPC__INVERSE, 3, 1, 8, 4);
    params.key = "down";
    params.padding[0] = 0; /* the forward convolution's counts */
    memcpy(params.in_grid, graph.levels[1].grid, sizeof(params.in_grid));
    memcpy(params.out_grid, fixture_grid, sizeof(params.out_grid));
    CHECK_INT(fixture_add(&graph, "c", "b", "c", &params, &err), SPC_OK);
    book = &graph.rulebooks[node(2)->rulebook];
    CHECK_INT(book->kind, SPC__INVERSE);
    CHECK_INT(book->in_level, 1);
    CHECK_INT(book->out_level, 0);
    CHECK_INT(book->forward, node(0)->rulebook);
    CHECK_INT(book->padding[0], 1);
    CHECK_INT(book->stride[2], 2);
    CHECK_INT(value("c")->level, 0);
    CHECK_INT(fixture_sum(&graph, "in", "c", "d", &err), SPC_OK); /* the usual skip connection */

    CHECK_INT(fixture_add(&graph, "e", "b", "e", &params, &err), SPC_OK);
    CHECK_INT(node(4)->rulebook, node(2)->rulebook);
    /* The key again, forward, behind the inverse: the sites are the same, so is the rulebook. */
    CHECK_INT(fixture_down(&graph, "d", "f", "down", 4, 4), SPC_OK);
    CHECK_INT(node(5)->rulebook, node(0)->rulebook);
    spc__graph_clear(&graph);
}

TEST(inverse_refused)
{
    struct spc__conv_params params;

    REQUIRE(!fixture_init(&graph, &err));
    CHECK_INT(fixture_down(&graph, "in", "a", "down", 4, 8), SPC_OK);
    CHECK_INT(fixture_down(&graph, "a", "b", "down2", 8, 8), SPC_OK);
    params = fixture_params(&graph, SPC__SUBM, 3, 1, 8, 8);
    params.key = "subm";
    CHECK_INT(fixture_add(&graph, "s", "a", "s", &params, &err), SPC_OK);

    params = fixture_params(&graph, SPC__INVERSE, 3, 1, 8, 4);
    CHECK_INT(fixture_add(&graph, "up", "a", "c", &params, &err), SPC_ERR_MODEL);
    CHECK_TEXT(err.message, "node 'up': an inverse convolution needs the rulebook name");
    params.key = "nowhere";
    CHECK_INT(fixture_add(&graph, "up", "a", "c", &params, &err), SPC_ERR_MODEL);
    CHECK_TEXT(err.message, "reverses rulebook 'nowhere', but no convolution");
    params.key = "subm";
    CHECK_INT(fixture_add(&graph, "up", "a", "c", &params, &err), SPC_ERR_MODEL);
    CHECK_TEXT(err.message, "rulebook 'subm' of node 's', which is no strided");
    params.key = "down";
    CHECK_INT(fixture_add(&graph, "up", "b", "c", &params, &err), SPC_ERR_MODEL);
    CHECK_TEXT(err.message, "node 'up': reverses node 'a', but its input is not on the sites");
    params.kernel[1] = 1;
    CHECK_INT(fixture_add(&graph, "up", "a", "c", &params, &err), SPC_ERR_MODEL);
    CHECK_TEXT(err.message, "its kernel size is 3,1,3 (z,y,x), but node 'a'");
    spc__graph_clear(&graph);
}

TEST(keys_are_checked)
{
    struct spc__conv_params params;

    REQUIRE(!fixture_init(&graph, &err));
    params = fixture_params(&graph, SPC__SUBM, 3, 1, 4, 4);
    params.key = "k";
    CHECK_INT(fixture_add(&graph, "first", "in", "a", &params, &err), SPC_OK);
    CHECK_INT(fixture_down(&graph, "a", "b", "", 4, 4), SPC_OK);
    CHECK_INT(fixture_add(&graph, "second", "b", "c", &params, &err), SPC_ERR_MODEL);
    CHECK_TEXT(err.message, "node 'second': shares rulebook 'k' with node 'first'");
    CHECK_TEXT(err.message, "different sites: grids 21,32,24 (z,y,x) and 41,64,48 (z,y,x)");
    params.dilation[0] = 2;
    CHECK_INT(fixture_add(&graph, "third", "a", "d", &params, &err), SPC_ERR_MODEL);
    CHECK_TEXT(err.message, "node 'third': shares rulebook 'k' with node 'first', but kernel");
    spc__graph_clear(&graph);
}

TEST(conv_refused)
{
    struct spc__conv_params good, params;

    REQUIRE(!fixture_init(&graph, &err));
    good = fixture_params(&graph, SPC__STRIDED, 3, 2, 4, 8);
#define REFUSED(change, code, text)                                                                \
    do {                                                                                           \
        params = good;                                                                             \
        change;                                                                                    \
        CHECK_INT(fixture_add(&graph, "conv", "in", "out", &params, &err), code);                  \
        CHECK_TEXT(err.message, "node 'conv'");                                                    \
        CHECK_TEXT(err.message, text);                                                             \
    } while (0)
    REFUSED(params.cin = 5, SPC_ERR_MODEL, "has 5 input channels, but its input 'in' has 4");
    REFUSED(params.cout = 0, SPC_ERR_UNSUPPORTED, "has 0 output channels");
    REFUSED(params.cout = SPC__MAX_CHANNELS + 1, SPC_ERR_UNSUPPORTED, "4097 output channels");
    REFUSED(params.weights = NULL, SPC_ERR_MODEL, "has no weights");
    REFUSED(params.kernel[2] = 16, SPC_ERR_UNSUPPORTED, "kernel size is 3,3,16");
    REFUSED(params.kernel[2] = 0, SPC_ERR_UNSUPPORTED, "kernel size is 3,3,0");
    REFUSED(params.stride[0] = 0, SPC_ERR_UNSUPPORTED, "stride is 0,2,2");
    REFUSED(params.padding[1] = -1, SPC_ERR_UNSUPPORTED, "padding is 1,-1,1");
    REFUSED(params.dilation[1] = 0, SPC_ERR_UNSUPPORTED, "dilation is 1,0,1");
    REFUSED(params.in_grid[0] = 7, SPC_ERR_MODEL,
            "declares the input grid 7,0,0 (z,y,x), but it is 41,64,48 (z,y,x)");
    REFUSED(params.out_grid[1] = 9, SPC_ERR_MODEL,
            "declares the output grid 0,9,0 (z,y,x), but it is 21,32,24");
    REFUSED(params.dilation[0] = 22, SPC_ERR_MODEL, "makes 0 cells in z from a grid of 41,64,48");
    REFUSED(params.padding[2] = SPC__MAX_GRID, SPC_ERR_MODEL, "cells in x");
    REFUSED(params.bound = -1, SPC_ERR_UNSUPPORTED, "output_bound is -1");
    REFUSED(params.bound = SPC__MAX_SITES + 1, SPC_ERR_UNSUPPORTED, "output_bound is 134217729");
    REFUSED((params.kind = SPC__SUBM, params.kernel[0] = 2), SPC_ERR_MODEL,
            "a submanifold kernel must be odd, this is 2,3,3");
#undef REFUSED
    params = good;
    CHECK_INT(spc__graph_add_conv(&graph, "conv", "SparseConvolution", 99, "out", &params, &err),
              SPC_ERR_MODEL);
    CHECK_TEXT(err.message, "node 'conv': its input is made by no node");
    CHECK_INT(fixture_add(&graph, "conv", "in", "in", &params, &err), SPC_ERR_MODEL);
    CHECK_TEXT(err.message, "output 'in' has a name that is taken already");
    CHECK_TEXT(err.message, "the graph input");
    CHECK_INT(graph.num_nodes, 0);
    CHECK_INT(fixture_add(&graph, "conv", "in", "out", &good, &err), SPC_OK);
    CHECK_INT(fixture_add(&graph, "again", "in", "out", &good, &err), SPC_ERR_MODEL);
    CHECK_TEXT(err.message, "node 'again': its output 'out'");
    CHECK_TEXT(err.message, "what 'conv' makes");
    spc__graph_clear(&graph);
}

TEST(pointwise_refused)
{
    REQUIRE(!fixture_init(&graph, &err));
    fixture_subm(&graph, "in", "a", 4, 8);
    fixture_down(&graph, "a", "b", "", 8, 8);
    CHECK_INT(spc__graph_add_scatter(&graph, "scatter", spc__graph_find(&graph, "b"), "s",
                                     SPC_INDEX_ZYX, SPC_LAYOUT_LINEAR, 0, &err),
              SPC_OK);
    CHECK_INT(spc__graph_add_scatter(&graph, "scatter", spc__graph_find(&graph, "b"), "t",
                                     SPC_INDEX_XYZ, SPC_LAYOUT_LINEAR, 0, &err),
              SPC_OK);
    CHECK_INT(fixture_sum(&graph, "in", "a", "c", &err), SPC_ERR_MODEL);
    CHECK_TEXT(err.message, "node 'c': adds 'in' with 4 channels and 'a' with 8");
    CHECK_INT(fixture_sum(&graph, "a", "b", "c", &err), SPC_ERR_MODEL);
    CHECK_TEXT(err.message, "on different sites: grids 41,64,48 (z,y,x) and 21,32,24 (z,y,x)");
    CHECK_INT(fixture_sum(&graph, "a", "s", "c", &err), SPC_ERR_MODEL);
    CHECK_TEXT(err.message, "needs a sparse input, but 's' is dense");
    CHECK_INT(fixture_sum(&graph, "s", "t", "c", &err), SPC_ERR_UNSUPPORTED);
    CHECK_TEXT(err.message, "whose shapes or layouts differ");
    CHECK_INT(fixture_sum(&graph, "s", "missing", "c", &err), SPC_ERR_MODEL);
    CHECK_INT(fixture_sum(&graph, "missing", "s", "c", &err), SPC_ERR_MODEL);
    CHECK_TEXT(err.message, "node 'c': its input is made by no node");
    CHECK_INT(fixture_sum(&graph, "s", "s", "c", &err), SPC_OK);
    CHECK_INT(fixture_relu(&graph, "missing", "d"), SPC_ERR_MODEL);
    CHECK_INT(fixture_relu(&graph, "c", "d"), SPC_OK);
    CHECK_INT(value("d")->kind, SPC__DENSE);
    CHECK_INT(value("d")->rank, 5);
    spc__graph_clear(&graph);
}

TEST(dense_shapes)
{
    const int64_t perm[5] = {0, 1, 4, 2, 3}, twice[5] = {0, 1, 1, 2, 3};
    const int64_t outside[5] = {0, 1, 2, 3, 5};
    const int64_t bev[4] = {0, -1, 48, 64}, wrong[4] = {1, 328, 64, 47}, open[4] = {-1, -1, 64, 48};
    int in, s, t;

    REQUIRE(!fixture_init(&graph, &err));
    fixture_subm(&graph, "in", "a", 4, 8);
    in = spc__graph_find(&graph, "a");
    CHECK_INT(spc__graph_add_scatter(&graph, "scatter", in, "s", SPC_INDEX_XYZ, SPC_LAYOUT_LINEAR,
                                     0, &err),
              SPC_OK);
    check_dims("s", 5, (int64_t[]){1, 8, 48, 64, 41});
    s = spc__graph_find(&graph, "s");
    CHECK_INT(spc__graph_add_transpose(&graph, "move", s, "t", perm, 5, &err), SPC_OK);
    check_dims("t", 5, (int64_t[]){1, 8, 41, 48, 64});
    t = spc__graph_find(&graph, "t");
    CHECK_INT(spc__graph_add_reshape(&graph, "merge", t, "r", bev, 4, &err), SPC_OK);
    check_dims("r", 4, (int64_t[]){1, 328, 48, 64});

    CHECK_INT(spc__graph_add_transpose(&graph, "move", s, "x", perm, 4, &err), SPC_ERR_MODEL);
    CHECK_TEXT(err.message, "node 'move': permutes 4 dims, but its input 's' has 5");
    CHECK_INT(spc__graph_add_transpose(&graph, "move", s, "x", twice, 5, &err), SPC_ERR_MODEL);
    CHECK_TEXT(err.message, "entry 2 of its permutation is 1");
    CHECK_INT(spc__graph_add_transpose(&graph, "move", s, "x", outside, 5, &err), SPC_ERR_MODEL);
    CHECK_INT(spc__graph_add_transpose(&graph, "move", in, "x", perm, 5, &err), SPC_ERR_MODEL);
    CHECK_TEXT(err.message, "needs a dense input, but 'a' is sparse");
    CHECK_INT(spc__graph_add_reshape(&graph, "merge", s, "x", wrong, 4, &err), SPC_ERR_MODEL);
    CHECK_TEXT(err.message, "cannot reshape 1,8,48,64,41 to 1,328,64,47");
    CHECK_INT(spc__graph_add_reshape(&graph, "merge", s, "x", open, 4, &err), SPC_ERR_MODEL);
    CHECK_INT(spc__graph_add_reshape(&graph, "merge", s, "x", open, 9, &err), SPC_ERR_UNSUPPORTED);
    CHECK_TEXT(err.message, "reshapes to 9 dims");
    CHECK_INT(
        spc__graph_add_scatter(&graph, "again", s, "x", SPC_INDEX_XYZ, SPC_LAYOUT_LINEAR, 0, &err),
        SPC_ERR_MODEL);
    CHECK_TEXT(err.message, "node 'again': needs a sparse input");
    spc__graph_clear(&graph);
}

TEST(layouts)
{
    const int64_t perm[5] = {0, 1, 4, 2, 3}, bev[4] = {1, 256, 64, 48};
    const int32_t grid[3] = {2, 64, 48};
    struct spc_output_info info;

    REQUIRE(!spc__graph_init(&graph, SPC_INDEX_ZYX, "in", 128, grid, &err));
    CHECK_INT(
        spc__graph_add_scatter(&graph, "s32", 0, "a", SPC_INDEX_ZYX, SPC_LAYOUT_NCHW32, 0, &err),
        SPC_OK);
    check_dims("a", 5, (int64_t[]){1, 8, 64, 48, 32});
    CHECK_INT(spc__graph_add_reshape(&graph, "r", 1, "b", bev, 4, &err), SPC_OK);
    check_dims("b", 5, (int64_t[]){1, 8, 64, 48, 32});
    CHECK_INT(spc__graph_add_transpose(&graph, "t", 1, "x", perm, 5, &err), SPC_ERR_UNSUPPORTED);
    CHECK_TEXT(err.message, "node 't': Transpose behind output_layout NCHW32");
    CHECK_INT(
        spc__graph_add_scatter(&graph, "shwzc", 0, "c", SPC_INDEX_ZYX, SPC_LAYOUT_NHWZC, 0, &err),
        SPC_OK);
    check_dims("c", 5, (int64_t[]){1, 64, 48, 2, 128});
    CHECK_INT(node(2)->scatter_stride[0], 1);
    CHECK_INT(node(2)->scatter_stride[1], 128);
    CHECK_INT(node(2)->scatter_stride[2], 48 * 256);
    CHECK_INT(node(2)->scatter_stride[3], 256);
    spc__graph_describe(&graph, 2, 0, &info);
    CHECK_INT(info.layout, SPC_LAYOUT_NCHW32);
    CHECK_INT(info.channels, 256);
    CHECK_INT(info.bev_axes, SPC_BEV_NONE);
    spc__graph_clear(&graph);

    REQUIRE(!spc__graph_init(&graph, SPC_INDEX_ZYX, "in", 8, grid, &err));
    CHECK_INT(
        spc__graph_add_scatter(&graph, "s32", 0, "a", SPC_INDEX_ZYX, SPC_LAYOUT_NCHW32, 0, &err),
        SPC_ERR_UNSUPPORTED);
    CHECK_TEXT(err.message, "node 's32': layout NCHW32 needs");
    spc__graph_clear(&graph);
}

TEST(dense_too_large)
{
    const int32_t grid[3] = {64, SPC__MAX_GRID, SPC__MAX_GRID};

    REQUIRE(!spc__graph_init(&graph, SPC_INDEX_ZYX, "in", 4, grid, &err));
    CHECK_INT(
        spc__graph_add_scatter(&graph, "s", 0, "a", SPC_INDEX_ZYX, SPC_LAYOUT_LINEAR, 0, &err),
        SPC_ERR_UNSUPPORTED);
    CHECK_TEXT(err.message, "node 's': a dense grid of 64,32768,32768 (z,y,x) with 4 channels");
    spc__graph_clear(&graph);
}

/* CenterPoint's rows are y; BEVFusion's are x, in both index orders. */
TEST(describe)
{
    const int64_t merge_yx[4] = {1, 328, 64, 48}, merge_xy[4] = {1, 328, 48, 64};
    const int64_t swap[5] = {0, 1, 2, 4, 3}, turn[5] = {0, 1, 4, 2, 3}, off[4] = {1, 164, 128, 48};
    struct spc_output_info info;
    int s, x;

    REQUIRE(!fixture_init(&graph, &err));
    fixture_subm(&graph, "in", "a", 4, 8);
    spc__graph_add_scatter(&graph, "s", 1, "s", SPC_INDEX_ZYX, SPC_LAYOUT_LINEAR, 0, &err);
    spc__graph_add_scatter(&graph, "x", 1, "x", SPC_INDEX_XYZ, SPC_LAYOUT_LINEAR, 0, &err);
    s = spc__graph_find(&graph, "s");
    x = spc__graph_find(&graph, "x");
    spc__graph_add_reshape(&graph, "r", s, "yx", merge_yx, 4, &err);
    spc__graph_add_transpose(&graph, "t", s, "t", swap, 5, &err);
    spc__graph_add_reshape(&graph, "r", spc__graph_find(&graph, "t"), "xy", merge_xy, 4, &err);
    spc__graph_add_transpose(&graph, "u", x, "u", turn, 5, &err);
    spc__graph_add_reshape(&graph, "r", spc__graph_find(&graph, "u"), "xy2", merge_xy, 4, &err);
    spc__graph_add_reshape(&graph, "r", s, "off", off, 4, &err);
    fixture_relu(&graph, "xy2", "relu");
#define AXES(name, axes)                                                                           \
    do {                                                                                           \
        spc__graph_describe(&graph, spc__graph_find(&graph, name), 0, &info);                      \
        CHECK_INT(info.bev_axes, axes);                                                            \
    } while (0)
    AXES("s", SPC_BEV_NONE);
    AXES("yx", SPC_BEV_YX);
    AXES("xy", SPC_BEV_XY);
    AXES("xy2", SPC_BEV_XY);
    AXES("relu", SPC_BEV_XY);
    AXES("off", SPC_BEV_NONE);
#undef AXES
    CHECK_INT(info.kind, SPC_OUTPUT_DENSE);
    CHECK_INT(info.channels, 164);
    CHECK_INT(info.grid_z, 41);
    CHECK_INT(info.grid_x, 48);
    spc__graph_describe(&graph, 1, 123, &info);
    CHECK_INT(info.kind, SPC_OUTPUT_SPARSE);
    CHECK_INT(info.dims[0], 123);
    CHECK_INT(info.dims[1], 8);
    CHECK_INT(info.channels, 8);
    CHECK(!strcmp(info.name, "a"));
    spc__graph_clear(&graph);
}

/* Axes of one cell, a batch that is none, and planes that are not y and x. */
TEST(describe_edges)
{
    const int64_t turn[5] = {0, 1, 3, 4, 2}, plane[4] = {1, 8, 6, 7}, odd[4] = {1, 8, 7, 6};
    const int64_t no_batch[4] = {8, 1, 6, 7}, depth[4] = {1, 8 * 6, 7, 5};
    const int32_t flat[3] = {1, 6, 7}, line[3] = {1, 1, 7}, deep[3] = {5, 6, 7};
    struct spc_output_info info;

    REQUIRE(!spc__graph_init(&graph, SPC_INDEX_ZYX, "in", 8, flat, &err));
    spc__graph_add_scatter(&graph, "s", 0, "s", SPC_INDEX_ZYX, SPC_LAYOUT_LINEAR, 0, &err);
    spc__graph_add_reshape(&graph, "p", 1, "p", plane, 4, &err);
    spc__graph_add_reshape(&graph, "n", 1, "n", no_batch, 4, &err);
    spc__graph_add_reshape(&graph, "o", 1, "o", odd, 4, &err);
    spc__graph_describe(&graph, 2, 0, &info);
    CHECK_INT(info.bev_axes, SPC_BEV_YX);
    spc__graph_describe(&graph, 3, 0, &info);
    CHECK_INT(info.bev_axes, SPC_BEV_NONE);
    spc__graph_describe(&graph, 4, 0, &info);
    CHECK_INT(info.bev_axes, SPC_BEV_NONE);
    spc__graph_clear(&graph);

    REQUIRE(!spc__graph_init(&graph, SPC_INDEX_ZYX, "in", 8, line, &err));
    spc__graph_add_scatter(&graph, "s", 0, "s", SPC_INDEX_XYZ, SPC_LAYOUT_LINEAR, 0, &err);
    spc__graph_add_reshape(&graph, "p", 1, "p", (int64_t[]){1, 8, 7, 1}, 4, &err);
    spc__graph_describe(&graph, 2, 0, &info);
    CHECK_INT(info.bev_axes, SPC_BEV_XY);
    spc__graph_clear(&graph);

    REQUIRE(!spc__graph_init(&graph, SPC_INDEX_ZYX, "in", 8, deep, &err));
    spc__graph_add_scatter(&graph, "s", 0, "s", SPC_INDEX_ZYX, SPC_LAYOUT_LINEAR, 0, &err);
    spc__graph_add_transpose(&graph, "t", 1, "t", turn, 5, &err);
    CHECK_INT(spc__graph_add_reshape(&graph, "d", 2, "d", depth, 4, &err), SPC_OK);
    spc__graph_describe(&graph, 3, 0, &info);
    CHECK_INT(info.bev_axes, SPC_BEV_NONE); /* rows are x, columns z */
    CHECK_INT(info.channels, 48);
    spc__graph_clear(&graph);
}

/* What no output needs goes, with its sites. */
TEST(finish)
{
    REQUIRE(!fixture_init(&graph, &err));
    CHECK_INT(spc__graph_finish(&graph, &err), SPC_ERR_MODEL);
    CHECK_TEXT(err.message, "no outputs");
    CHECK_INT(spc__graph_add_output(&graph, 3, &err), SPC_ERR_MODEL);
    fixture_down(&graph, "in", "dead", "", 4, 8);
    fixture_subm(&graph, "dead", "dead2", 8, 8);
    fixture_subm(&graph, "in", "a", 4, 6);
    {
        struct spc__conv_params params = fixture_params(&graph, SPC__STRIDED, 2, 2, 6, 8);

        fixture_add(&graph, "b", "a", "b", &params, &err);
    }
    fixture_relu(&graph, "b", "c");
    fixture_output(&graph, "c");
    CHECK_INT(spc__graph_finish(&graph, &err), SPC_OK);
    CHECK_INT(graph.info.num_nodes, 5);
    CHECK_INT(graph.info.num_outputs, 1);
    CHECK_INT(graph.info.grid_y, 64);
    CHECK_INT(graph.info.num_features, 4);
    CHECK_INT(graph.info.num_parameters, 27 * (4 * 8 + 8 * 8 + 4 * 6) + 8 * 6 * 8);
    CHECK_INT(graph.num_nodes, 3);
    CHECK_INT(graph.num_values, 4);
    CHECK_INT(spc__graph_find(&graph, "dead"), -1);
    CHECK_INT(graph.num_levels, 2);
    CHECK_INT(graph.num_rulebooks, 2);
    CHECK_INT(graph.levels[1].node, 1);
    CHECK_INT(graph.levels[1].rulebook, graph.nodes[1].rulebook);
    CHECK_INT(graph.levels[1].grid[1], 33); /* the even kernel's */
    CHECK_INT(graph.rulebooks[graph.nodes[1].rulebook].out_level, 1);
    CHECK_INT(value("c")->level, 1);
    CHECK_INT(graph.nodes[2].in[0], graph.nodes[1].out);
    CHECK_INT(graph.outputs[0], graph.nodes[2].out);
    spc__graph_clear(&graph);
}

/* An inverse convolution still finds its forward one when things before both have gone. */
TEST(finish_keeps_inverse)
{
    struct spc__conv_params params;
    const struct spc__rulebook *book;

    REQUIRE(!fixture_init(&graph, &err));
    fixture_subm(&graph, "in", "a", 4, 4);
    params = fixture_params(&graph, SPC__STRIDED, 2, 2, 4, 8);
    fixture_add(&graph, "dead", "a", "dead", &params, &err);
    fixture_down(&graph, "in", "b", "down", 4, 8);
    params = fixture_params(&graph, SPC__INVERSE, 3, 1, 8, 4);
    params.key = "down";
    REQUIRE(!fixture_add(&graph, "c", "b", "c", &params, &err));
    fixture_output(&graph, "c");
    REQUIRE(!spc__graph_finish(&graph, &err));
    CHECK_INT(graph.num_rulebooks, 2);
    CHECK_INT(graph.num_levels, 2);
    book = &graph.rulebooks[graph.nodes[1].rulebook];
    CHECK_INT(book->kind, SPC__INVERSE);
    CHECK_INT(book->in_level, 1);
    CHECK_INT(book->forward, graph.nodes[0].rulebook);
    CHECK_INT(graph.rulebooks[book->forward].kernel[0], 3);
    CHECK_INT(graph.rulebooks[book->forward].out_level, 1);
    CHECK_INT(graph.levels[1].rulebook, book->forward);
    spc__graph_clear(&graph);
}

TEST(copy)
{
    struct spc__graph copy;

    REQUIRE(!fixture_init(&graph, &err));
    fixture_subm(&graph, "in", "a", 4, 6);
    fixture_output(&graph, "a");
    REQUIRE(!spc__graph_finish(&graph, &err));
    REQUIRE(!spc__graph_copy(&copy, &graph, &err));
    CHECK(copy.nodes != graph.nodes && copy.nodes[0].name != graph.nodes[0].name);
    CHECK(!strcmp(copy.nodes[0].name, "a") && !strcmp(copy.values[0].name, "in"));
    CHECK(copy.nodes[0].weights == graph.nodes[0].weights);
    CHECK_INT(copy.num_blocks, 0);
    CHECK_INT(copy.outputs[0], 1);
    spc__graph_clear(&copy);
    CHECK(graph.nodes[0].weights[5] == 5); /* still there */
    spc__graph_clear(&graph);
}

int main(void)
{
    RUN(input);
    RUN(grids_and_levels);
    RUN(rulebooks_are_shared);
    RUN(inverse);
    RUN(inverse_refused);
    RUN(keys_are_checked);
    RUN(conv_refused);
    RUN(pointwise_refused);
    RUN(dense_shapes);
    RUN(layouts);
    RUN(dense_too_large);
    RUN(describe);
    RUN(describe_edges);
    RUN(finish);
    RUN(finish_keeps_inverse);
    RUN(copy);
    return test_result();
}
