/* SPDX-License-Identifier: MIT */
/* The ONNX loader: what a good file becomes, and files with one fault in an attribute. */
#include "onnx_model.h"

/* ---- the good model -------------------------------------------------------------------- */

TEST(describes_the_file)
{
    struct spc_model *model = load_good(&(struct spec){0});
    struct spc_output_info output;
    struct spc_model_info info;
    struct spc_node_info node;
    struct spc_error err;

    REQUIRE(model);
    spc_model_get_info(model, &info);
    CHECK_INT(info.index_order, SPC_INDEX_ZYX);
    CHECK(info.grid_z == 5 && info.grid_y == 8 && info.grid_x == 6);
    CHECK_INT(info.num_features, 2);
    CHECK_INT(info.num_nodes, 6);
    CHECK_INT(info.num_outputs, 1);
    CHECK_INT(info.num_parameters, 4 * 27 * 2 + 4 + 4 * 15 * 4 + 4);
    CHECK_INT(spc_model_get_output(model, 0, &output, &err), SPC_OK);
    CHECK(output.kind == SPC_OUTPUT_DENSE && output.rank == 4 && output.dims[1] == 12);
    CHECK_TEXT(output.name, "out");
    CHECK_INT(spc_model_get_output(model, 1, &output, &err), SPC_ERR_ARGUMENT);
    CHECK_INT(spc_model_get_output(model, -1, &output, &err), SPC_ERR_ARGUMENT);
    CHECK_INT(spc_model_get_node(model, 3, &node, &err), SPC_OK);
    CHECK_TEXT(node.name, "conv1");
    CHECK_TEXT(node.op, "SparseConvolution");
    CHECK_TEXT(node.detail, "strided 3x5x1, stride 2x2x2, padding 1x1x0, bias");
    CHECK(node.in_channels == 4 && node.out_channels == 4);
    CHECK_INT(spc_model_get_node(model, 6, &node, &err), SPC_ERR_ARGUMENT);
    spc_model_free(&model);
    CHECK(!model);
}

/* Weights come out as [offset][in][out] in z, y, x, whatever the file's order and type are. */
static void check_weights(const struct spec *spec)
{
    struct spc_model *model = load_good(spec);
    int wrong = 0, nodes = 0;

    REQUIRE(model);
    for (int i = 0; i < model->graph.num_nodes; i++) {
        const struct spc__node *node = &model->graph.nodes[i];
        const struct conv *conv = &convs[nodes];
        int count = 0;

        if (node->op != SPC__OP_CONV)
            continue;
        for (int k = 0; k < conv->kernel[0] * conv->kernel[1] * conv->kernel[2]; k++)
            for (int c = 0; c < conv->cin; c++)
                for (int o = 0; o < conv->cout; o++)
                    wrong += node->weights[count++] != weight_at(k, c, o);
        CHECK((node->bias != NULL) == !spec->no_bias);
        CHECK(!node->bias || (node->bias[1] == -2 && node->bias[3] == -4));
        nodes++;
    }
    CHECK_INT(nodes, 2);
    CHECK_INT(wrong, 0);
    CHECK(model->graph.levels[1].grid[0] == 3 && model->graph.levels[1].grid[1] == 3);
    spc_model_free(&model);
}

TEST(weights_in_every_form)
{
    for (int form = 0; form < 16; form++)
        check_weights(&(struct spec){
            .xyz = form & 1, .half = form & 2, .typed = form & 4, .no_bias = form & 8});
}

TEST(xyz_model)
{
    struct spc_model *model = load_good(&(struct spec){.xyz = true});
    const struct spc__rulebook *strided = NULL;
    struct spc_model_info info;

    REQUIRE(model);
    spc_model_get_info(model, &info);
    CHECK_INT(info.index_order, SPC_INDEX_XYZ);
    CHECK(info.grid_z == 5 && info.grid_y == 8 && info.grid_x == 6);
    for (int i = 0; i < model->graph.num_rulebooks; i++)
        if (model->graph.rulebooks[i].kind == SPC__STRIDED)
            strided = &model->graph.rulebooks[i];
    REQUIRE(strided);
    CHECK(strided->kernel[0] == 3 && strided->kernel[1] == 5 && strided->kernel[2] == 1);
    CHECK(strided->padding[0] == 1 && strided->padding[1] == 1 && strided->padding[2] == 0);
    spc_model_free(&model);
}

TEST(declared_shape)
{
    static const int64_t other[4] = {1, 12, 3, 4};
    struct onnx_buffer graph = {0}, bytes;
    struct spc_model *model = load_good(&(struct spec){0});
    struct spc_error err;

    CHECK(model && !log_text[0]);
    spc_model_free(&model);
    put_body(&graph, &(struct spec){0});
    onnx_value_info(&graph, 12, "out", F16, other, 4);
    bytes = onnx_model(&graph);
    CHECK_INT(load(&bytes, &model, &err), SPC_OK);
    CHECK_TEXT(log_text, "output 'out': the file declares another shape");
    spc_model_free(&model);
}

/* ---- one fault at a time ---------------------------------------------------------------- */

#define INTS3(a, b, c) INTS, {a, b, c}, 3, 0, NULL
#define INT1(a) INT, {a}, 0, 0, NULL
#define TEXT1(t) TEXT, {0}, 0, 0, t
#define FLOAT1(f) FLOAT, {0}, 0, f, NULL
#define PLAIN(kind) kind, {0}, 0, 0, NULL

static const struct fault faults[] = {
    /* what exporters leave out has defaults */
    {"conv0", "rulebook", PLAIN(DROP), SPC_OK, ""},
    {"conv0", "activation", PLAIN(DROP), SPC_OK, ""},
    {"conv0", "activation", TEXT1(""), SPC_OK, ""},
    {"conv0", "activation", TEXT1("LeakyReLU"), SPC_OK, ""},
    {"conv0", "activation", TEXT1("Sigmoid"), SPC_OK, ""},
    {"conv0", "output_bound", PLAIN(DROP), SPC_OK, ""},
    {"conv0", "stride", PLAIN(DROP), SPC_OK, ""},
    {"conv0", "padding", PLAIN(DROP), SPC_OK, ""},
    {"conv0", "inverse", PLAIN(DROP), SPC_OK, ""},
    {"conv0", "ndim", PLAIN(DROP), SPC_OK, ""},
    {"conv0", "groups", INT1(1), SPC_OK, ""},
    {"conv0", "dilation", INTS3(1, 1, 1), SPC_OK, ""},
    {"conv0", "output_padding", INTS3(0, 0, 0), SPC_OK, ""},
    {"conv0", "weight_dynamic_ranges", FLOATS, {0}, 4, 1.5f, NULL, SPC_OK, ""},
    {"conv0", "output_spatial_shape", PLAIN(DROP), SPC_OK, ""},
    {"conv1", "input_spatial_shape", PLAIN(DROP), SPC_OK, ""},
    {"scatter0", "format", PLAIN(DROP), SPC_OK, ""},
    {"scatter0", "output_shape", PLAIN(DROP), SPC_OK, ""},
    {"scatter0", "output_layout", TEXT1("NCHW"), SPC_OK, ""},
    {"add0", "precision", TEXT1("int8"), SPC_OK, ""},
    {"relu0", "something_new", INT1(1), SPC_OK, ""}, /* logged */
    /* values that are not supported */
    {"conv0", "ndim", INT1(2), UNSUPPORTED, "only 3-D"},
    {"conv1", "ndim", INT1(2), UNSUPPORTED, "only 3-D"},
    {"conv0", "groups", INT1(2), UNSUPPORTED, "grouped"},
    {"conv0", "transposed", INT1(1), UNSUPPORTED, "transposed"},
    {"conv0", "output_padding", INTS3(0, 1, 0), UNSUPPORTED, "output_padding"},
    {"conv0", "activation", TEXT1("GELU"), UNSUPPORTED, "GELU"},
    {"conv0", "precision", TEXT1("bf16"), UNSUPPORTED, "bf16"},
    {"add0", "output_precision", TEXT1("int4"), UNSUPPORTED, "int4"},
    {"scatter0", "format", TEXT1("yxz"), UNSUPPORTED, "yxz"},
    {"scatter0", "output_layout", TEXT1("NC4HW"), UNSUPPORTED, "NC4HW"},
    {"reshape0", "allowzero", INT1(1), UNSUPPORTED, "zero"},
    {"conv0", "subgraph", PLAIN(GRAPH), UNSUPPORTED, "graph"},
    {"relu0", "body", PLAIN(GRAPHS), UNSUPPORTED, "graph"},
    {"scatter0", "value", PLAIN(TENSOR), UNSUPPORTED, "tensor"},
    {"conv0", "stride", PLAIN(REFERENCE), UNSUPPORTED, "stride"},
    /* values that make no sense */
    {"conv0", "kernel_size", PLAIN(DROP), MODEL, "kernel_size"},
    {"conv1", "in_channels", PLAIN(DROP), MODEL, "in_channels"},
    {"conv0", "out_channels", PLAIN(DROP), MODEL, "out_channels"},
    {"conv0", "in_channels", PLAIN(DROP), MODEL, "in_channels"},
    {"conv0", "input_spatial_shape", PLAIN(DROP), MODEL, "input_spatial_shape"},
    {"conv0", "kernel_size", INTS3(3, 3, 1), MODEL, "conv0.weight"},
    {"conv0", "kernel_size", INTS3(0, 3, 3), MODEL, "kernel_size"},
    {"conv0", "kernel_size", INTS3(3, 3, 1 << 30), MODEL, "kernel_size"},
    {"conv0", "kernel_size", INTS, {3, 3}, 2, 0, NULL, MODEL, "kernel_size"},
    {"conv0", "kernel_size", INT1(3), MODEL, "type int"},
    {"conv0", "kernel_size", TEXT1("3,3,3"), MODEL, "type string"},
    {"conv1", "stride", INTS3(0, 2, 2), MODEL, "stride"},
    {"conv1", "stride", INTS3(-1, 2, 2), MODEL, "stride"},
    {"conv1", "padding", INTS3(-1, 0, 0), MODEL, "padding"},
    {"conv1", "dilation", INTS3(0, 1, 1), MODEL, "dilation"},
    {"conv1", "in_channels", INT1(3), MODEL, "channels"},
    {"conv0", "in_channels", INT1(INT64_MAX), MODEL, "in_channels"},
    {"conv0", "out_channels", INT1(0), MODEL, "out_channels"},
    {"conv1", "out_channels", INT1(5), MODEL, "conv1.weight"},
    {"conv0", "subm", INT1(2), MODEL, "subm"},
    {"conv0", "subm", FLOAT1(1), MODEL, "type float"},
    {"conv0", "inverse", INT1(1), MODEL, "both submanifold and inverse"},
    {"conv0", "subm", PLAIN(TWICE), MODEL, "twice"},
    {"conv0", "output_bound", INT1(-1), MODEL, "output_bound"},
    {"conv0", "rulebook", INT1(1), MODEL, "rulebook"},
    {"conv0", "alpha", FLOAT1(NAN), MODEL, "alpha"},
    {"conv0", "input_dynamic_range", FLOAT1(-1), MODEL, "input_dynamic_range"},
    {"conv0", "input_dynamic_range", FLOAT1(INFINITY), MODEL, "input_dynamic_range"},
    {"conv0", "weight_dynamic_ranges", FLOATS, {0}, 3, 1, NULL, MODEL, "3 values for 4"},
    {"conv0", "weight_dynamic_ranges", FLOATS, {0}, 4, NAN, NULL, MODEL, "weight_dynamic_ranges"},
    {"conv0", "input_spatial_shape", INTS3(5, 8, 1 << 20), MODEL, "input_spatial_shape"},
    {"conv1", "input_spatial_shape", INTS3(5, 8, 7), MODEL, "conv1"},
    {"conv1", "output_spatial_shape", INTS3(3, 3, 4), MODEL, "conv1"},
    {"add0", "input0_dynamic_range", FLOAT1(NAN), MODEL, "input0_dynamic_range"},
    {"scatter0", "input_spatial_shape", INTS3(3, 3, 2), MODEL, "input_spatial_shape"},
    {"scatter0", "output_shape", INTS, {1, 4, 3, 3, 9}, 5, 0, NULL, MODEL, "output_shape"},
    {"scatter0", "output_shape", INTS, {1, 4, 3, 3}, 4, 0, NULL, MODEL, "output_shape"},
    {"reshape0", "dims", INTS, {1, 12, 3, 4}, 4, 0, NULL, MODEL, "reshape0"},
    {"reshape0", "dims", INTS, {-1, -1, 3, 3}, 4, 0, NULL, MODEL, "reshape0"},
    {"reshape0", "dims", INTS, {INT64_MAX, INT64_MAX, 3, 3}, 4, 0, NULL, MODEL, "reshape0"},
    {"reshape0", "dims", PLAIN(DROP), MODEL, "shape"},
};

TEST(one_fault_each)
{
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        const struct fault *fault = &faults[i];
        struct onnx_buffer bytes = make_model(&(struct spec){.fault = fault});
        char label[100];

        snprintf(label, sizeof(label), "%zu (%s %s)", i, fault->node, fault->attribute);
        check_refused(label, &bytes, fault->status, fault->node, fault->says);
        if (!strcmp(fault->attribute, "something_new"))
            CHECK_TEXT(log_text, "something_new");
    }
}

TEST(transpose_faults)
{
    static const struct fault bad[] = {
        {"transpose0", "dims", PLAIN(DROP), MODEL, "order of axes"},
        {"transpose0", "dims", INTS, {0, 1, 4, 3, 3}, 5, 0, NULL, MODEL, "transpose0"},
        {"transpose0", "dims", INTS, {0, 1, 4, 3, 9}, 5, 0, NULL, MODEL, "dims"},
        {"transpose0", "perm", INTS, {0, 1, 4, 3, 2}, 5, 0, NULL, MODEL, "order of axes"},
        {"transpose0", "dims", INTS, {0, 1, 2}, 3, 0, NULL, MODEL, "transpose0"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct onnx_buffer bytes = make_model(&(struct spec){.fault = &bad[i], .xyz = true});

        check_refused(bad[i].attribute, &bytes, bad[i].status, bad[i].node, bad[i].says);
    }
}

/* ---- files and options ------------------------------------------------------------------ */

static void refuse_file(const char *path, enum spc_status status, const char *says)
{
    struct spc_model *model = NULL;
    struct spc_error err = {0};

    CHECK_INT(spc_model_load_file(path, NULL, &model, &err), status);
    CHECK_TEXT(err.message, path);
    CHECK_TEXT(err.message, says);
    CHECK(!model);
}

TEST(files)
{
    refuse_file("/nonexistent/model.onnx", SPC_ERR_IO, "No such file");
    refuse_file("/", SPC_ERR_IO, "folder");
    refuse_file("/dev/null", SPC_ERR_FORMAT, "no ONNX file");
}

TEST(options)
{
    struct onnx_buffer bytes = make_model(&(struct spec){0});
    struct spc_model_options options;
    struct spc_model *model = NULL;
    struct spc_error err;

    spc_model_options_default(&options);
    options.max_file_size = bytes.size - 1;
    CHECK_INT(spc_model_load_memory(bytes.data, bytes.size, &options, &model, &err), UNSUPPORTED);
    CHECK_TEXT(err.message, "max_file_size");
    options.max_file_size = bytes.size;
    options.index_order = (enum spc_index_order)7;
    CHECK_INT(spc_model_load_memory(bytes.data, bytes.size, &options, &model, &err),
              SPC_ERR_ARGUMENT);
    memset(&options, 0, sizeof(options));
    CHECK_INT(spc_model_load_memory(bytes.data, bytes.size, &options, &model, &err),
              SPC_ERR_ARGUMENT);
    CHECK_TEXT(err.message, "spc_model_options_default");
    CHECK_INT(spc_model_load_memory(NULL, 3, NULL, &model, NULL), SPC_ERR_ARGUMENT);
    CHECK(!model);
    onnx_free(&bytes);
    spc_model_free(&model);
    spc_model_free(NULL);
}

/* ---- real models ------------------------------------------------------------------------ */

static void check_real(const char *folder, const char *name, enum spc_index_order order, int nodes,
                       int outputs, int64_t parameters)
{
    struct spc_model *model = NULL;
    struct spc_model_info info;
    struct spc_error err = {0};
    char path[4096];

    snprintf(path, sizeof(path), "%s/models/%s", folder, name);
    if (spc_model_load_file(path, NULL, &model, &err))
        fprintf(stderr, "%s\n", err.message);
    REQUIRE(model);
    spc_model_get_info(model, &info);
    CHECK_INT(info.index_order, order);
    CHECK(info.grid_z == 41 && info.grid_y == 1440 && info.grid_x == 1440);
    CHECK_INT(info.num_features, 5);
    CHECK_INT(info.num_nodes, nodes);
    CHECK_INT(info.num_outputs, outputs);
    CHECK_INT(info.num_parameters, parameters);
    spc_model_free(&model);
}

TEST(real_models)
{
    const char *folder = getenv("SPC_TEST_DATA");
    char path[4096];
    FILE *file;

    snprintf(path, sizeof(path), "%s/models/centerpoint.ptq.onnx", folder ? folder : "");
    file = fopen(path, "rb");
    if (!file) {
        printf("skip real_models: no %s\n", path);
        return;
    }
    fclose(file);
    check_real(folder, "centerpoint.ptq.onnx", SPC_INDEX_ZYX, 39, 1, 2693024);
    check_real(folder, "bevfusion_zyx.ptq.onnx", SPC_INDEX_ZYX, 40, 1, 2693024);
    check_real(folder, "bevfusion_xyz.ptq.onnx", SPC_INDEX_XYZ, 40, 1, 2693024);
    check_real(folder, "unet32.ptq.onnx", SPC_INDEX_ZYX, 27, 2, 577280);
    check_real(folder, "int8_probe.onnx", SPC_INDEX_ZYX, 10, 5, 43744);
}

int main(void)
{
    RUN(describes_the_file);
    RUN(weights_in_every_form);
    RUN(xyz_model);
    RUN(declared_shape);
    RUN(one_fault_each);
    RUN(transpose_faults);
    RUN(files);
    RUN(options);
    RUN(real_models);
    return test_result();
}
