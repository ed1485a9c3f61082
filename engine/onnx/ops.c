/* SPDX-License-Identifier: MIT */
/* One table: ONNX operator to builder; and the builders of all but the convolution. */
#include "onnx/loader.h"

#include "base/error.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- what builders share ---------------------------------------------------------------- */

enum spc_status spc__onnx_check_inputs(const struct spc__onnx_node *node, size_t min, size_t max)
{
    size_t count = node->proto->n_input;

    while (count > 0 && !node->proto->input[count - 1][0])
        count--; /* left out at the end */
    if (count >= min && count <= max)
        return SPC_OK;
    return spc__fail(node->loader->err, SPC_ERR_MODEL,
                     "node '%s': %s has %zu inputs; it takes %zu to %zu", node->name, node->op,
                     count, min, max);
}

static bool makes(const Spc__Onnx__NodeProto *proto, const char *name)
{
    for (size_t i = 0; i < proto->n_output; i++)
        if (!strcmp(proto->output[i], name))
            return true;
    return false;
}

/* Why there is no value of this name before this node. */
static enum spc_status refuse_input(const struct spc__onnx_node *node, const char *name)
{
    const struct spc__onnx_loader *loader = node->loader;

    for (size_t i = node->index; i < loader->proto->n_node; i++) {
        const char *maker = loader->proto->node[i]->name;

        if (makes(loader->proto->node[i], name))
            return spc__fail(
                loader->err, SPC_ERR_MODEL,
                "node '%s': reads '%.100s', which node '%.100s' (number %zu) makes only "
                "later: the graph has a cycle, or its nodes are not in order",
                node->name, name, maker ? maker : "", i);
    }
    if (spc__onnx_find_initializer(loader, name))
        return spc__fail(loader->err, SPC_ERR_UNSUPPORTED,
                         "node '%s': %s of the constant '%.100s' is not supported; it takes values "
                         "that depend on the input",
                         node->name, node->op, name);
    return spc__fail(loader->err, SPC_ERR_MODEL,
                     "node '%s': reads '%.100s', which no node makes and which is no input",
                     node->name, name);
}

enum spc_status spc__onnx_get_input(const struct spc__onnx_node *node, size_t i, int *value)
{
    *value = spc__graph_find(node->loader->graph, node->proto->input[i]);
    return *value >= 0 ? SPC_OK : refuse_input(node, node->proto->input[i]);
}

enum spc_status spc__onnx_parse_precision(const struct spc__onnx_node *node, const char *what,
                                          const char *text, enum spc__store *store)
{
    if (!strcmp(text, "int8"))
        *store = SPC__STORE_INT8;
    else if (!text[0] || !strcmp(text, "fp16") || !strcmp(text, "fp32"))
        *store = SPC__STORE_FP16;
    else
        return spc__fail(node->loader->err, SPC_ERR_UNSUPPORTED,
                         "node '%s': %s '%s' is not supported; fp16, fp32 and int8 are", node->name,
                         what, text);
    return SPC_OK;
}

/* ---- Add, QuantAdd, Relu ---------------------------------------------------------------- */

struct add_fields {
    float amax[2];
    char precision[SPC_MAX_NAME], output_precision[SPC_MAX_NAME];
};

static enum spc_status add_add(const struct spc__onnx_node *node)
{
    static const struct spc__onnx_attribute known[] = {
        {"input0_dynamic_range", SPC__ONNX_RANGE, offsetof(struct add_fields, amax[0])},
        {"input1_dynamic_range", SPC__ONNX_RANGE, offsetof(struct add_fields, amax[1])},
        {"precision", SPC__ONNX_TEXT, offsetof(struct add_fields, precision)},
        {"output_precision", SPC__ONNX_TEXT, offsetof(struct add_fields, output_precision)},
    };
    struct add_fields fields = {0};
    enum spc__store compute = SPC__STORE_FP16, store = SPC__STORE_FP16;
    enum spc_status status;
    int in0, in1;

    if ((status = spc__onnx_check_inputs(node, 2, 2)) ||
        (status = spc__onnx_get_input(node, 0, &in0)) ||
        (status = spc__onnx_get_input(node, 1, &in1)) ||
        (status = spc__onnx_read_attributes(node, known, COUNT(known), &fields)) ||
        (status = spc__onnx_parse_precision(node, "precision", fields.precision, &compute)) ||
        (status =
             spc__onnx_parse_precision(node, "output_precision", fields.output_precision, &store)))
        return status;
    return spc__graph_add_add(node->loader->graph, node->name, node->op, in0, in1, node->out,
                              fields.amax, compute, store, node->loader->err);
}

static enum spc_status add_relu(const struct spc__onnx_node *node)
{
    enum spc_status status;
    int in;

    if ((status = spc__onnx_check_inputs(node, 1, 1)) ||
        (status = spc__onnx_get_input(node, 0, &in)) ||
        (status = spc__onnx_read_attributes(node, NULL, 0, NULL)))
        return status;
    return spc__graph_add_act(node->loader->graph, node->name, node->op, in, node->out,
                              SPC__ACT_RELU, 0, node->loader->err);
}

/* ---- ScatterDense ----------------------------------------------------------------------- */

struct scatter_fields {
    char format[SPC_MAX_NAME], layout[SPC_MAX_NAME];
    struct spc__onnx_ints in_grid, out_shape;
    float amax;
};

static enum spc_status parse_layout(const struct spc__onnx_node *node, const char *text,
                                    enum spc_layout *layout)
{
    if (!text[0] || !strcasecmp(text, "NCHW"))
        *layout = SPC_LAYOUT_LINEAR;
    else if (!strcasecmp(text, "NCHW32"))
        *layout = SPC_LAYOUT_NCHW32;
    else if (!strcasecmp(text, "NHWzC"))
        *layout = SPC_LAYOUT_NHWZC;
    else
        return spc__fail(node->loader->err, SPC_ERR_UNSUPPORTED,
                         "node '%s': output_layout '%s' is not supported; NCHW, NCHW32 and NHWzC "
                         "are",
                         node->name, text);
    return SPC_OK;
}

/* The index order was chosen from `format`, unless the caller asked for another. */
static enum spc_status check_format(const struct spc__onnx_node *node, const char *format)
{
    const char *ours = node->loader->order == SPC_INDEX_ZYX ? "zyx" : "xyz";

    if (!format[0] || !strcmp(format, ours))
        return SPC_OK;
    if (strcmp(format, "zyx") && strcmp(format, "xyz"))
        return spc__fail(node->loader->err, SPC_ERR_UNSUPPORTED,
                         "node '%s': format '%s' is not supported; zyx and xyz are", node->name,
                         format);
    return spc__fail(node->loader->err, SPC_ERR_MODEL,
                     "node '%s': format is '%s', but the model's index order is '%s'", node->name,
                     format, ours);
}

/* What the file declares must be what the input has: [1][C] and its grid, in the file's order. */
static enum spc_status check_shapes(const struct spc__onnx_node *node, int in,
                                    const struct scatter_fields *fields)
{
    const struct spc__graph *graph = node->loader->graph;
    const struct spc__value *value = &graph->values[in];
    const int32_t *grid = graph->levels[value->level].grid;
    bool zyx = node->loader->order == SPC_INDEX_ZYX;
    int64_t shape[5] = {1, value->channels, grid[zyx ? 0 : 2], grid[1], grid[zyx ? 2 : 0]};
    const struct {
        const char *name;
        const struct spc__onnx_ints *declared;
        const int64_t *actual;
    } checks[] = {
        {"input_spatial_shape", &fields->in_grid, shape + 2},
        {"output_shape", &fields->out_shape, shape},
    };

    if (value->kind != SPC__SPARSE)
        return SPC_OK; /* refused, with its name, when it is added */
    for (size_t i = 0; i < COUNT(checks); i++)
        for (size_t k = 0; k < checks[i].declared->count; k++)
            if (checks[i].declared->values[k] != checks[i].actual[k])
                return spc__fail(node->loader->err, SPC_ERR_MODEL,
                                 "node '%s': value %zu of %s is %" PRId64 ", but its input gives "
                                 "%" PRId64,
                                 node->name, k, checks[i].name, checks[i].declared->values[k],
                                 checks[i].actual[k]);
    return SPC_OK;
}

static enum spc_status add_scatter(const struct spc__onnx_node *node)
{
    static const struct spc__onnx_attribute known[] = {
        {"format", SPC__ONNX_TEXT, offsetof(struct scatter_fields, format)},
        {"output_layout", SPC__ONNX_TEXT, offsetof(struct scatter_fields, layout)},
        {"input_spatial_shape", SPC__ONNX_INTS, offsetof(struct scatter_fields, in_grid), .min = 1,
         .max = SPC__MAX_GRID, .count = 3},
        {"output_shape", SPC__ONNX_INTS, offsetof(struct scatter_fields, out_shape), .min = 1,
         .max = INT32_MAX, .count = 5},
        {"input_dynamic_range", SPC__ONNX_RANGE, offsetof(struct scatter_fields, amax)},
        {"input_shape", SPC__ONNX_IGNORED},
    };
    struct scatter_fields fields = {0};
    enum spc_layout layout = SPC_LAYOUT_LINEAR;
    enum spc_status status;
    int in;

    if ((status = spc__onnx_check_inputs(node, 1, 1)) ||
        (status = spc__onnx_get_input(node, 0, &in)) ||
        (status = spc__onnx_read_attributes(node, known, COUNT(known), &fields)) ||
        (status = parse_layout(node, fields.layout, &layout)) ||
        (status = check_format(node, fields.format)) || (status = check_shapes(node, in, &fields)))
        return status;
    return spc__graph_add_scatter(node->loader->graph, node->name, in, node->out,
                                  node->loader->order, layout, fields.amax, node->loader->err);
}

/* ---- Transpose, Reshape ----------------------------------------------------------------- */

struct dims_fields {
    struct spc__onnx_ints dims, perm;
    int64_t allowzero;
};

static enum spc_status add_transpose(const struct spc__onnx_node *node)
{
    static const struct spc__onnx_attribute known[] = {
        {"dims", SPC__ONNX_INTS, offsetof(struct dims_fields, dims), .max = SPC_MAX_RANK - 1},
        {"perm", SPC__ONNX_INTS, offsetof(struct dims_fields, perm), .max = SPC_MAX_RANK - 1},
    };
    struct dims_fields fields = {{0}};
    const struct spc__onnx_ints *order;
    enum spc_status status;
    int in;

    if ((status = spc__onnx_check_inputs(node, 1, 1)) ||
        (status = spc__onnx_get_input(node, 0, &in)) ||
        (status = spc__onnx_read_attributes(node, known, COUNT(known), &fields)))
        return status;
    order = fields.perm.count ? &fields.perm : &fields.dims;
    if (!order->count || (fields.perm.count && fields.dims.count))
        return spc__fail(
            node->loader->err, SPC_ERR_MODEL,
            "node '%s': a Transpose needs the order of axes, as attribute perm or dims",
            node->name);
    return spc__graph_add_transpose(node->loader->graph, node->name, in, node->out, order->values,
                                    (int)order->count, node->loader->err);
}

/* The shape is an attribute in what lidar exporters write, and an input in ONNX. */
static enum spc_status get_shape(const struct spc__onnx_node *node,
                                 const struct spc__onnx_ints *attribute, int64_t dims[SPC_MAX_RANK],
                                 int *rank)
{
    struct spc__onnx_initializer *initializer;
    bool input = node->proto->n_input > 1 && node->proto->input[1][0];
    enum spc_status status;

    if (input == (attribute->count > 0))
        return spc__fail(node->loader->err, SPC_ERR_MODEL,
                         "node '%s': a Reshape needs the new shape, as attribute dims or as a "
                         "constant second input",
                         node->name);
    if (input) {
        status = spc__onnx_get_initializer(node, 1, "shape", &initializer);
        return status ? status : spc__onnx_get_dims(node, initializer, dims, rank);
    }
    memcpy(dims, attribute->values, attribute->count * sizeof(*dims));
    *rank = (int)attribute->count;
    return SPC_OK;
}

static enum spc_status add_reshape(const struct spc__onnx_node *node)
{
    static const struct spc__onnx_attribute known[] = {
        {"dims", SPC__ONNX_INTS, offsetof(struct dims_fields, dims), .min = -1, .max = INT64_MAX},
        {"allowzero", SPC__ONNX_INT, offsetof(struct dims_fields, allowzero),
         .unsupported = "dims of zero are not supported"},
    };
    struct dims_fields fields = {{0}};
    int64_t dims[SPC_MAX_RANK];
    enum spc_status status;
    int in, rank;

    if ((status = spc__onnx_check_inputs(node, 1, 2)) ||
        (status = spc__onnx_get_input(node, 0, &in)) ||
        (status = spc__onnx_read_attributes(node, known, COUNT(known), &fields)) ||
        (status = get_shape(node, &fields.dims, dims, &rank)))
        return status;
    return spc__graph_add_reshape(node->loader->graph, node->name, in, node->out, dims, rank,
                                  node->loader->err);
}

/* ---- the table -------------------------------------------------------------------------- */

static const struct {
    const char *op;
    enum spc_status (*add)(const struct spc__onnx_node *node);
} operators[] = {
    {"SparseConvolution", spc__onnx_add_conv},
    {"Add", add_add},
    {"QuantAdd", add_add},
    {"Relu", add_relu},
    {"ScatterDense", add_scatter},
    {"Transpose", add_transpose},
    {"Reshape", add_reshape},
};

static enum spc_status refuse_operator(const struct spc__onnx_node *node)
{
    char list[200] = "";

    for (size_t i = 0; i < COUNT(operators); i++) {
        size_t used = strlen(list);

        snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", operators[i].op);
    }
    return spc__fail(node->loader->err, SPC_ERR_UNSUPPORTED,
                     "node '%s': operator '%.100s' is not supported; supported are %s", node->name,
                     node->op, list);
}

enum spc_status spc__onnx_add_node(const struct spc__onnx_node *node)
{
    for (size_t i = 0; i < COUNT(operators); i++)
        if (!strcmp(operators[i].op, node->op))
            return operators[i].add(node);
    return refuse_operator(node);
}
