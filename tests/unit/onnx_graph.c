/* SPDX-License-Identifier: MIT */
/* The ONNX loader: weights, graphs, index order, metadata, and bytes that are no model. */
#include "onnx_model.h"

#include <locale.h>

/* ---- initializers ----------------------------------------------------------------------- */

/* A graph of one 2 > 1 convolution of kernel 1, with weights and bias written by the test. */
static struct onnx_buffer tiny_graph(void)
{
    static const int64_t ones[3] = {1, 1, 1}, grid[3] = {2, 4, 4}, in_dims[2] = {-1, 2};
    struct onnx_buffer graph = {0};
    struct onnx_buffer node = onnx_node("SparseConvolution", "conv", "in", "w", "b", "out");

    onnx_attribute_int(&node, "subm", 1);
    onnx_attribute_int(&node, "in_channels", 2);
    onnx_attribute_int(&node, "out_channels", 1);
    onnx_attribute_ints(&node, "kernel_size", ones, 3);
    onnx_attribute_ints(&node, "input_spatial_shape", grid, 3);
    onnx_message(&graph, 1, &node);
    onnx_value_info(&graph, 11, "in", F32, in_dims, 2);
    onnx_value_info(&graph, 12, "out", F32, in_dims, 1);
    return graph;
}

static const int64_t tiny_dims[5] = {1, 1, 1, 1, 2};
static const float tiny_weights[4] = {1, 2, 3, 4};

static void put_tiny_weights(struct onnx_buffer *graph)
{
    onnx_initializer(graph, "w", F32, tiny_dims, 5, tiny_weights, 8);
    onnx_initializer(graph, "b", F32, tiny_dims, 1, tiny_weights, 4);
}

static void refuse_tiny(const char *label, struct onnx_buffer *graph, enum spc_status status,
                        const char *says0, const char *says1)
{
    struct onnx_buffer bytes = onnx_model(graph);

    check_refused(label, &bytes, status, says0, says1);
}

/* The tiny graph with weights `dims` and `size` bytes of data, and a good bias. */
static void refuse_weights(const char *label, int type, const int64_t *dims, int rank,
                           const void *data, size_t size, enum spc_status status, const char *says)
{
    struct onnx_buffer graph = tiny_graph();

    onnx_initializer(&graph, "w", type, dims, rank, data, size);
    onnx_initializer(&graph, "b", F32, tiny_dims, 1, tiny_weights, 4);
    refuse_tiny(label, &graph, status, "conv", says);
}

TEST(weights_refused)
{
    static const int64_t huge[5] = {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, 2};
    static const int64_t negative[5] = {1, 1, -1, -1, 2};
    static const float nan_at_1[2] = {1, NAN}, inf_at_0[2] = {-INFINITY, 1};
    static const uint16_t half_inf[2] = {0x3c00, 0x7c00};

    refuse_weights("good", F32, tiny_dims, 5, tiny_weights, 8, SPC_OK, "");
    refuse_weights("short", F32, tiny_dims, 5, tiny_weights, 7, MODEL, "initializer 'w'");
    refuse_weights("half short", F16, tiny_dims, 5, tiny_weights, 2, MODEL, "initializer 'w'");
    refuse_weights("long", F32, tiny_dims, 5, tiny_weights, 12, MODEL, "initializer 'w'");
    refuse_weights("empty", F32, tiny_dims, 5, tiny_weights, 0, MODEL, "initializer 'w'");
    refuse_weights("rank", F32, tiny_dims, 4, tiny_weights, 4, MODEL, "5");
    refuse_weights("huge", F32, huge, 5, tiny_weights, 8, MODEL, "weights 'w'");
    refuse_weights("negative", F32, negative, 5, tiny_weights, 8, MODEL, "weights 'w'");
    refuse_weights("int64", I64, tiny_dims, 5, tiny_weights, 16, UNSUPPORTED, "data type 7");
    refuse_weights("nan", F32, tiny_dims, 5, nan_at_1, 8, MODEL,
                   "element 1 of initializer 'w' is NaN");
    refuse_weights("inf", F32, tiny_dims, 5, inf_at_0, 8, MODEL,
                   "element 0 of initializer 'w' is infinite");
    refuse_weights("half inf", F16, tiny_dims, 5, half_inf, 4, MODEL,
                   "element 1 of initializer 'w' is infinite");
}

static void refuse_bias(const char *label, const int64_t *dims, int rank, const void *data,
                        size_t size, const char *says)
{
    struct onnx_buffer graph = tiny_graph();

    onnx_initializer(&graph, "w", F32, tiny_dims, 5, tiny_weights, 8);
    onnx_initializer(&graph, "b", F32, dims, rank, data, size);
    refuse_tiny(label, &graph, MODEL, "conv", says);
}

TEST(bias_refused)
{
    static const int64_t two[1] = {2};
    static const float nan_bias[1] = {NAN};

    refuse_bias("two", two, 1, tiny_weights, 8, "initializer 'b'");
    refuse_bias("rank", tiny_dims, 2, tiny_weights, 4, "initializer 'b'");
    refuse_bias("nan", tiny_dims, 1, nan_bias, 4, "element 0 of initializer 'b' is NaN");
}

TEST(initializers_refused)
{
    struct onnx_buffer graph = tiny_graph(), tensor = {0}, entry = {0};

    onnx_initializer(&graph, "w", F32, tiny_dims, 5, tiny_weights, 8);
    refuse_tiny("no bias", &graph, MODEL, "conv", "'b'");

    graph = tiny_graph();
    put_tiny_weights(&graph);
    onnx_initializer(&graph, "w", F32, tiny_dims, 5, tiny_weights, 8);
    refuse_tiny("twice", &graph, MODEL, "named 'w'", "two");

    graph = tiny_graph();
    put_tiny_weights(&graph);
    onnx_initializer(&graph, "", F32, tiny_dims, 5, tiny_weights, 8);
    refuse_tiny("nameless", &graph, MODEL, "no name", "");

    graph = tiny_graph();
    onnx_text(&entry, 1, "location");
    onnx_text(&entry, 2, "weights.bin");
    onnx_text(&tensor, 8, "w");
    onnx_message(&tensor, 13, &entry);
    onnx_message(&graph, 5, &tensor);
    refuse_tiny("external", &graph, UNSUPPORTED, "initializer 'w'", "another file");
}

/* Two nodes that name one initializer share its floats; its other use must fit as well. */
TEST(initializer_shared)
{
    struct onnx_buffer graph = {0}, bytes;
    struct spc_model *model;
    struct spc_error err;

    put_body(&graph, &(struct spec){0});
    onnx_value_info(&graph, 12, "b", F32, tiny_dims, 1);
    onnx_value_info(&graph, 12, "out", F32, tiny_dims, 1);
    bytes = onnx_model(&graph);
    REQUIRE(!load(&bytes, &model, &err));
    CHECK_INT(model->graph.num_blocks, 4);
    CHECK_INT(model->graph.num_outputs, 2);
    spc_model_free(&model);
}

/* ---- the graph as a whole --------------------------------------------------------------- */

/* The tiny graph with one more node behind it. */
static void refuse_node(const char *op, const char *in0, const char *in1, const char *out,
                        enum spc_status status, const char *says)
{
    struct onnx_buffer graph = tiny_graph(), node = onnx_node(op, "extra", in0, in1, NULL, out);

    put_tiny_weights(&graph);
    onnx_message(&graph, 1, &node);
    refuse_tiny(op, &graph, status, "node 'extra'", says);
}

TEST(nodes_refused)
{
    refuse_node("MaxPool", "out", NULL, "z", UNSUPPORTED, "ScatterDense, Transpose, Reshape");
    refuse_node("If", "out", NULL, "z", UNSUPPORTED, "'If' is not supported");
    refuse_node("Relu", "nowhere", NULL, "z", MODEL, "'nowhere', which no node makes");
    refuse_node("Relu", "z", NULL, "z", MODEL, "cycle");
    refuse_node("Relu", "out", NULL, "out", MODEL, "out");
    refuse_node("Relu", "out", NULL, "in", MODEL, "in");
    refuse_node("Relu", "out", NULL, "w", MODEL, "initializer");
    refuse_node("Relu", "out", NULL, "", MODEL, "outputs");
    refuse_node("Relu", "out", NULL, NULL, MODEL, "0 outputs");
    refuse_node("Relu", "out", "out", "z", MODEL, "2 inputs");
    refuse_node("Relu", NULL, NULL, "z", MODEL, "0 inputs");
    refuse_node("Add", "out", NULL, "z", MODEL, "1 inputs");
    refuse_node("Add", "out", "b", "z", UNSUPPORTED, "constant 'b'");
    refuse_node("Add", "out", "in", "z", MODEL, "channels");
    refuse_node("Reshape", "out", "w", "z", MODEL, "initializer 'w'");
    refuse_node("Reshape", "out", "out", "z", MODEL, "no initializer");
    refuse_node("SparseConvolution", "out", "w", "z", MODEL, "missing");
}

TEST(long_name)
{
    char name[1002];

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    refuse_node("Relu", "out", NULL, name, UNSUPPORTED, "more than 1000 bytes");
}

/* A reads B's value, and B reads A's. */
TEST(cycle_refused)
{
    struct onnx_buffer graph = tiny_graph(), a, b;

    put_tiny_weights(&graph);
    a = onnx_node("Relu", "first", "y", NULL, NULL, "x");
    b = onnx_node("Relu", "second", "x", NULL, NULL, "y");
    onnx_message(&graph, 1, &a);
    onnx_message(&graph, 1, &b);
    refuse_tiny("cycle", &graph, MODEL, "node 'first': reads 'y', which node 'second'", "cycle");
}

TEST(node_without_a_name)
{
    struct onnx_buffer graph = tiny_graph(), node = onnx_node("Relu", NULL, "q", NULL, NULL, "r");

    put_tiny_weights(&graph);
    onnx_message(&graph, 1, &node);
    refuse_tiny("nameless", &graph, MODEL, "node 'Relu_1'", "'q'");
}

/* A graph with the tiny convolution and these inputs and outputs. */
static struct onnx_buffer bare_graph(void)
{
    static const int64_t ones[3] = {1, 1, 1}, grid[3] = {2, 4, 4};
    struct onnx_buffer graph = {0};
    struct onnx_buffer node = onnx_node("SparseConvolution", "conv", "in", "w", NULL, "out");

    onnx_attribute_int(&node, "in_channels", 2);
    onnx_attribute_int(&node, "out_channels", 1);
    onnx_attribute_ints(&node, "kernel_size", ones, 3);
    onnx_attribute_ints(&node, "input_spatial_shape", grid, 3);
    onnx_message(&graph, 1, &node);
    put_tiny_weights(&graph);
    return graph;
}

TEST(inputs_and_outputs)
{
    static const int64_t dims[3] = {-1, 2, 1}, wide[2] = {-1, 3};
    struct onnx_buffer graph = bare_graph();

    onnx_value_info(&graph, 12, "out", F32, dims, 1);
    refuse_tiny("no input", &graph, MODEL, "no input", "");

    graph = bare_graph();
    onnx_value_info(&graph, 11, "in", F32, dims, 2);
    refuse_tiny("no output", &graph, MODEL, "no outputs", "");

    graph = bare_graph();
    onnx_value_info(&graph, 11, "in", F32, dims, 2);
    onnx_value_info(&graph, 11, "more", F32, dims, 2);
    onnx_value_info(&graph, 12, "out", F32, dims, 1);
    refuse_tiny("two inputs", &graph, UNSUPPORTED, "'in' and 'more'", "one");

    graph = bare_graph();
    onnx_value_info(&graph, 11, "w", F32, dims, 2); /* initializers may be listed */
    onnx_value_info(&graph, 11, "in", F32, dims, 2);
    onnx_value_info(&graph, 12, "out", F32, dims, 1);
    refuse_tiny("listed", &graph, SPC_OK, "", "");

    graph = bare_graph();
    onnx_value_info(&graph, 11, "in", F32, dims, 3);
    onnx_value_info(&graph, 12, "out", F32, dims, 1);
    refuse_tiny("rank", &graph, MODEL, "input 'in'", "3 dims");

    graph = bare_graph();
    onnx_value_info(&graph, 11, "in", F32, wide, 2);
    onnx_value_info(&graph, 12, "out", F32, dims, 1);
    refuse_tiny("channels", &graph, MODEL, "input 'in'", "3 channels");

    graph = bare_graph();
    onnx_value_info(&graph, 11, "in", I64, dims, 2);
    onnx_value_info(&graph, 12, "out", F32, dims, 1);
    refuse_tiny("type", &graph, UNSUPPORTED, "input 'in'", "data type 7");

    graph = bare_graph();
    onnx_value_info(&graph, 11, "in", F32, dims, 2);
    onnx_value_info(&graph, 12, "nothing", F32, dims, 1);
    refuse_tiny("unknown output", &graph, MODEL, "'nothing'", "output 0");
}

TEST(no_convolution)
{
    struct onnx_buffer graph = {0}, node = onnx_node("Relu", "r", "in", NULL, NULL, "out");

    onnx_message(&graph, 1, &node);
    onnx_value_info(&graph, 11, "in", F32, tiny_dims, 2);
    onnx_value_info(&graph, 12, "out", F32, tiny_dims, 2);
    refuse_tiny("no conv", &graph, UNSUPPORTED, "no SparseConvolution", "");
}

TEST(too_many_nodes)
{
    struct onnx_buffer graph = tiny_graph();

    put_tiny_weights(&graph);
    for (int i = 0; i < 10001; i++) {
        struct onnx_buffer node = onnx_node("Relu", "r", "out", NULL, NULL, "z");

        onnx_message(&graph, 1, &node);
    }
    refuse_tiny("nodes", &graph, UNSUPPORTED, "10002 nodes", "10000");
}

/* ---- index order ------------------------------------------------------------------------ */

static enum spc_index_order order_of(const int64_t grid[3], enum spc_index_order wanted)
{
    static const int64_t ones[3] = {1, 1, 1}, dims[2] = {-1, 2};
    struct onnx_buffer graph = {0}, bytes;
    struct onnx_buffer node = onnx_node("SparseConvolution", "conv", "in", "w", NULL, "out");
    struct spc_model_options options;
    struct spc_model *model = NULL;
    struct spc_model_info info = {0};
    struct spc_error err;

    onnx_attribute_int(&node, "in_channels", 2);
    onnx_attribute_int(&node, "out_channels", 1);
    onnx_attribute_ints(&node, "kernel_size", ones, 3);
    onnx_attribute_ints(&node, "input_spatial_shape", grid, 3);
    onnx_message(&graph, 1, &node);
    put_tiny_weights(&graph);
    onnx_value_info(&graph, 11, "in", F32, dims, 2);
    onnx_value_info(&graph, 12, "out", F32, dims, 1);
    bytes = onnx_model(&graph);
    spc_model_options_default(&options);
    options.index_order = wanted;
    if (!spc_model_load_memory(bytes.data, bytes.size, &options, &model, &err))
        spc_model_get_info(model, &info);
    onnx_free(&bytes);
    spc_model_free(&model);
    CHECK_INT(info.grid_x, grid[info.index_order == SPC_INDEX_ZYX ? 2 : 0]);
    return info.index_order;
}

TEST(index_order)
{
    static const int64_t zyx[3] = {41, 1440, 1440}, xyz[3] = {1440, 1440, 41}, cube[3] = {9, 9, 9};
    struct onnx_buffer bytes = make_model(&(struct spec){0});
    struct spc_model_options options;
    struct spc_model *model = NULL;
    struct spc_error err;

    CHECK_INT(order_of(zyx, SPC_INDEX_ORDER_AUTO), SPC_INDEX_ZYX);
    CHECK_INT(order_of(xyz, SPC_INDEX_ORDER_AUTO), SPC_INDEX_XYZ);
    CHECK_INT(order_of(cube, SPC_INDEX_ORDER_AUTO), SPC_INDEX_ZYX);
    CHECK_INT(order_of(zyx, SPC_INDEX_XYZ), SPC_INDEX_XYZ);
    CHECK_INT(order_of(xyz, SPC_INDEX_ZYX), SPC_INDEX_ZYX);

    spc_model_options_default(&options);
    options.index_order = SPC_INDEX_XYZ; /* against what scatter0 says */
    CHECK_INT(spc_model_load_memory(bytes.data, bytes.size, &options, &model, &err), MODEL);
    CHECK(strstr(err.message, "zyx") || strstr(err.message, "conv"));
    CHECK(!model);
    onnx_free(&bytes);
}

/* ---- metadata --------------------------------------------------------------------------- */

TEST(metadata)
{
    struct spc_model *model;
    struct spc_model_info info;

    /* A program's locale must not change what numbers mean. */
    setlocale(LC_ALL, "de_DE.UTF-8");
    model = load_good(&(struct spec){.metadata = {"spc.voxel_size", "0.5,0.25,1e0", "spc.range",
                                                  "-1.5,-1,-5,1.5,1,-1", "spc.features", "x,y_1",
                                                  "spc.max_points_per_voxel", "10"}});
    setlocale(LC_ALL, "C");
    REQUIRE(model);
    spc_model_get_info(model, &info);
    CHECK(info.has_voxel_size && info.has_range && info.has_max_points_per_voxel);
    CHECK(info.voxel_size[0] == 0.5f && info.voxel_size[1] == 0.25f && info.voxel_size[2] == 1);
    CHECK(info.range[0] == -1.5f && info.range[2] == -5 && info.range[5] == -1);
    CHECK_INT(info.max_points_per_voxel, 10);
    CHECK_TEXT(info.features, "x,y_1");
    spc_model_free(&model);

    model = load_good(&(struct spec){0});
    REQUIRE(model);
    spc_model_get_info(model, &info);
    CHECK(!info.has_voxel_size && !info.has_range && !info.features[0]);
    spc_model_free(&model);
}

TEST(metadata_refused)
{
    static const char *const bad[][4] = {
        {"spc.voxel_size", "0.5,0.25"},
        {"spc.voxel_size", "0.5,0.25,1,2"},
        {"spc.voxel_size", "0.5, 0.25,1"},
        {"spc.voxel_size", "0.5,,1"},
        {"spc.voxel_size", "0.5,0.25,-1"},
        {"spc.voxel_size", "0.5,0.25,0"},
        {"spc.voxel_size", "nan,0.25,1"},
        {"spc.voxel_size", "1e99,0.25,1"},
        {"spc.voxel_size", "0x1,0.25,1"},
        {"spc.voxel_size", ""},
        {"spc.range", "0,0,0,1,1"},
        {"spc.range", "0,0,0,1,1,0"},
        {"spc.range", "0,0,0,1,1,1,"},
        {"spc.features", ""},
        {"spc.features", "x,,y"},
        {"spc.features", "x,y,"},
        {"spc.features", "x y"},
        {"spc.features", "x,y,z"},
        {"spc.max_points_per_voxel", "-1"},
        {"spc.max_points_per_voxel", "ten"},
        {"spc.max_points_per_voxel", "99999999999"},
        {"spc.max_points_per_voxel", "2147483648"},
        {"spc.features", "x,y", "spc.features", "x,y"},
        {"spc.voxel_size", "1,1,1", "spc.range", "0,0,0,6,7,5"}, /* the grid's y has 8 */
        {"spc.voxel_size", "1,1,1", "spc.range", "0,0,0,6,8,6"}, /* and its z 5 */
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct spec spec = {.metadata = {bad[i][0], bad[i][1], bad[i][2], bad[i][3]}};
        struct onnx_buffer bytes = make_model(&spec);

        check_refused(bad[i][1], &bytes, MODEL, bad[i][0], "metadata");
    }
}

/* ---- bytes that are no model ------------------------------------------------------------ */

static void refuse_bytes(const char *label, const void *data, size_t size)
{
    struct onnx_buffer bytes = {0};

    onnx_append(&bytes, data, size);
    check_refused(label, &bytes, SPC_ERR_FORMAT, "no ONNX file", "");
}

TEST(not_onnx)
{
    static const uint8_t wrong_wire[] = {0x38, 0x01}; /* graph as a varint */
    static const uint8_t overlong[] = {0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
    static const uint8_t other_field[] = {0x08, 0x08}; /* ir_version alone */

    refuse_bytes("empty", "", 0);
    refuse_bytes("text", "this is a text file\n", 20);
    refuse_bytes("png", "\x89PNG\r\n\x1a\n", 8);
    refuse_bytes("wire", wrong_wire, sizeof(wrong_wire));
    refuse_bytes("overlong", overlong, sizeof(overlong));
    refuse_bytes("graphless", other_field, sizeof(other_field));
}

/* No prefix crashes; and since outputs and metadata come last, few prefixes can be whole. */
TEST(truncated_anywhere)
{
    struct onnx_buffer whole = make_model(&(struct spec){.half = true});
    int loaded = 0;

    for (size_t size = 0; size < whole.size; size++) {
        struct onnx_buffer part = {0};
        struct spc_model *model;
        struct spc_error err;

        onnx_append(&part, whole.data, size);
        loaded += load(&part, &model, &err) == SPC_OK;
        CHECK(!model || model->num_nodes);
        CHECK(model || err.message[0]);
        spc_model_free(&model);
    }
    CHECK_INT(loaded, 0);
    onnx_free(&whole);
}

/* GraphProto.node, NodeProto.attribute, AttributeProto.g, and so on, 200,000 messages deep. */
TEST(deep_nesting)
{
    enum { DEPTH = 200000 };
    static const uint8_t tags[3] = {1 << 3 | 2, 5 << 3 | 2, 6 << 3 | 2};
    struct onnx_buffer turned = {0}, bytes = {0};
    uint8_t varint[10];

    for (int level = 0; level < DEPTH; level++) { /* from the innermost outwards, backwards */
        uint64_t size = turned.size;
        int n = 0;

        do
            varint[n++] = (uint8_t)(size & 0x7f);
        while (size >>= 7);
        for (int i = n - 1; i >= 0; i--)
            onnx_append(&turned, (uint8_t[]){(uint8_t)(varint[i] | (i + 1 < n ? 0x80 : 0))}, 1);
        onnx_append(&turned, &tags[(DEPTH - 1 - level) % 3], 1);
    }
    for (size_t i = 0; i < turned.size / 2; i++) {
        uint8_t swap = turned.data[i];

        turned.data[i] = turned.data[turned.size - 1 - i];
        turned.data[turned.size - 1 - i] = swap;
    }
    onnx_bytes(&bytes, 7, turned.data, turned.size);
    onnx_free(&turned);
    CHECK(bytes.size > 3 * DEPTH);
    check_refused("deep", &bytes, MODEL, "no outputs", "");
}

/* A node takes 2 bytes in the file and some hundred in memory. */
TEST(unpacking_has_a_budget)
{
    enum { COUNT = 2000000 };
    struct onnx_buffer graph = {0}, bytes;
    static const uint8_t empty_node[2] = {1 << 3 | 2, 0};

    for (int i = 0; i < COUNT; i++)
        onnx_append(&graph, empty_node, sizeof(empty_node));
    bytes = onnx_model(&graph);
    check_refused("budget", &bytes, SPC_ERR_MEMORY, "too much memory", "unpacking");
}

int main(void)
{
    RUN(weights_refused);
    RUN(bias_refused);
    RUN(initializers_refused);
    RUN(initializer_shared);
    RUN(nodes_refused);
    RUN(long_name);
    RUN(cycle_refused);
    RUN(node_without_a_name);
    RUN(inputs_and_outputs);
    RUN(no_convolution);
    RUN(too_many_nodes);
    RUN(index_order);
    RUN(metadata);
    RUN(metadata_refused);
    RUN(not_onnx);
    RUN(truncated_anywhere);
    RUN(deep_nesting);
    RUN(unpacking_has_a_budget);
    return test_result();
}
