/* SPDX-License-Identifier: MIT */
/* The SparseConvolution operator. */
#include "onnx/loader.h"

#include "base/error.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

struct fields {
    int64_t ndim, groups, transposed, subm, inverse, cin, cout, bound;
    struct spc__onnx_ints kernel, stride, padding, dilation, output_padding, in_grid, out_grid;
    struct spc__onnx_floats weight_ranges;
    float in_range, slope;
    char rulebook[SPC_MAX_NAME], activation[SPC_MAX_NAME];
    char precision[SPC_MAX_NAME], output_precision[SPC_MAX_NAME];
};

#define AT(field) .offset = offsetof(struct fields, field)
#define FLAG .kind = SPC__ONNX_INT, .min = 0, .max = 1
#define TRIPLE .kind = SPC__ONNX_INTS, .count = 3

/* What exporters write; those that are often missing have defaults. */
static const struct spc__onnx_attribute known[] = {
    {"ndim", SPC__ONNX_INT, AT(ndim), .min = 3, .max = 3,
     .unsupported = "only 3-D convolutions are supported"},
    {"groups", SPC__ONNX_INT, AT(groups), .min = 1, .max = 1,
     .unsupported = "grouped convolutions are not supported"},
    {"transposed", SPC__ONNX_INT, AT(transposed), .min = 0, .max = 0,
     .unsupported = "transposed convolutions are not supported, inverse ones are"},
    {"output_padding", SPC__ONNX_INTS, AT(output_padding), .min = 0, .max = 0,
     .unsupported = "only transposed convolutions have it, and they are not supported"},
    {"subm", FLAG, AT(subm)},
    {"inverse", FLAG, AT(inverse)},
    {"in_channels", SPC__ONNX_INT, AT(cin), .min = 1, .max = SPC__MAX_CHANNELS, .required = true},
    {"out_channels", SPC__ONNX_INT, AT(cout), .min = 1, .max = SPC__MAX_CHANNELS, .required = true},
    {"kernel_size", TRIPLE, AT(kernel), .min = 1, .max = SPC__MAX_KERNEL, .required = true},
    {"stride", TRIPLE, AT(stride), .min = 1, .max = SPC__MAX_GRID},
    {"padding", TRIPLE, AT(padding), .min = 0, .max = SPC__MAX_GRID},
    {"dilation", TRIPLE, AT(dilation), .min = 1, .max = SPC__MAX_GRID},
    {"input_spatial_shape", TRIPLE, AT(in_grid), .min = 1, .max = SPC__MAX_GRID},
    {"output_spatial_shape", TRIPLE, AT(out_grid), .min = 1, .max = SPC__MAX_GRID},
    {"output_bound", SPC__ONNX_INT, AT(bound), .min = 0, .max = SPC__MAX_SITES},
    {"rulebook", SPC__ONNX_TEXT, AT(rulebook)},
    {"activation", SPC__ONNX_TEXT, AT(activation)},
    {"alpha", SPC__ONNX_FLOAT, AT(slope)},
    {"act_alpha", SPC__ONNX_FLOAT, AT(slope)},
    {"precision", SPC__ONNX_TEXT, AT(precision)},
    {"output_precision", SPC__ONNX_TEXT, AT(output_precision)},
    {"input_dynamic_range", SPC__ONNX_RANGE, AT(in_range)},
    {"weight_dynamic_ranges", SPC__ONNX_RANGES, AT(weight_ranges)},
    {"input_shape", SPC__ONNX_IGNORED}, /* of the frame that was exported */
    {"output_shape", SPC__ONNX_IGNORED},
};

static enum spc_status parse_activation(const struct spc__onnx_node *node, const char *text,
                                        enum spc__act *act)
{
    static const struct {
        const char *name;
        enum spc__act act;
    } names[] = {
        {"", SPC__ACT_NONE},           {"None", SPC__ACT_NONE},
        {"ReLU", SPC__ACT_RELU},       {"LeakyReLU", SPC__ACT_LEAKY_RELU},
        {"Sigmoid", SPC__ACT_SIGMOID},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!strcasecmp(text, names[i].name)) {
            *act = names[i].act;
            return SPC_OK;
        }
    }
    return spc__fail(node->loader->err, SPC_ERR_UNSUPPORTED,
                     "node '%s': activation '%s' is not supported; None, ReLU, LeakyReLU and "
                     "Sigmoid are",
                     node->name, text);
}

static enum spc_status get_kind(const struct spc__onnx_node *node, const struct fields *fields,
                                enum spc__rulebook_kind *kind)
{
    if (fields->subm && fields->inverse)
        return spc__fail(node->loader->err, SPC_ERR_MODEL,
                         "node '%s': a convolution cannot be both submanifold and inverse",
                         node->name);
    *kind = fields->subm ? SPC__SUBM : fields->inverse ? SPC__INVERSE : SPC__STRIDED;
    return SPC_OK;
}

/* A triple in z, y, x; `absent` in each place where the file has none. */
static void get_triple(const struct spc__onnx_node *node, const struct spc__onnx_ints *ints,
                       int32_t absent, int32_t triple[3])
{
    int64_t absents[3] = {absent, absent, absent};

    spc__onnx_to_zyx(node->loader->order, ints->count ? ints->values : absents, triple);
}

static void get_geometry(const struct spc__onnx_node *node, const struct fields *fields,
                         struct spc__conv_params *params)
{
    get_triple(node, &fields->kernel, 1, params->kernel);
    get_triple(node, &fields->stride, 1, params->stride);
    get_triple(node, &fields->padding, 0, params->padding);
    get_triple(node, &fields->dilation, 1, params->dilation);
    get_triple(node, &fields->in_grid, 0, params->in_grid);
    get_triple(node, &fields->out_grid, 0, params->out_grid);
    params->cin = (int32_t)fields->cin;
    params->cout = (int32_t)fields->cout;
    params->bound = fields->bound;
    params->key = fields->rulebook;
    params->act_slope = fields->slope;
    params->in_amax = fields->in_range;
}

static enum spc_status get_parameters(const struct spc__onnx_node *node,
                                      struct spc__conv_params *params)
{
    struct spc__onnx_initializer *initializer;
    enum spc_status status = spc__onnx_get_initializer(node, 1, "weights", &initializer);

    if (!status)
        status = spc__onnx_get_weights(node, initializer, params->kernel, params->cin, params->cout,
                                       &params->weights);
    if (status || node->proto->n_input < 3 || !node->proto->input[2][0])
        return status;
    status = spc__onnx_get_initializer(node, 2, "bias", &initializer);
    if (!status)
        status = spc__onnx_get_vector(node, initializer, params->cout, &params->bias);
    return status;
}

static enum spc_status get_weight_ranges(const struct spc__onnx_node *node,
                                         const struct spc__onnx_floats *ranges,
                                         struct spc__conv_params *params)
{
    float *block;

    if (!ranges->count)
        return SPC_OK;
    if (ranges->count != (size_t)params->cout)
        return spc__fail(node->loader->err, SPC_ERR_MODEL,
                         "node '%s': weight_dynamic_ranges has %zu values for %d output channels",
                         node->name, ranges->count, params->cout);
    block = spc__graph_block(node->loader->graph, ranges->count);
    if (!block)
        return spc__fail_memory(node->loader->err, ranges->count * sizeof(float), node->name);
    memcpy(block, ranges->values, ranges->count * sizeof(float));
    params->weight_amax = block;
    return SPC_OK;
}

enum spc_status spc__onnx_add_conv(const struct spc__onnx_node *node)
{
    struct fields fields = {.ndim = 3, .groups = 1, .slope = 0.01f};
    struct spc__conv_params params = {0};
    enum spc_status status;
    int in = -1;

    if ((status = spc__onnx_check_inputs(node, 2, 3)) ||
        (status = spc__onnx_get_input(node, 0, &in)) ||
        (status =
             spc__onnx_read_attributes(node, known, sizeof(known) / sizeof(known[0]), &fields)) ||
        (status = get_kind(node, &fields, &params.kind)) ||
        (status = parse_activation(node, fields.activation, &params.act)) ||
        (status =
             spc__onnx_parse_precision(node, "precision", fields.precision, &params.compute)) ||
        (status = spc__onnx_parse_precision(node, "output_precision", fields.output_precision,
                                            &params.store)))
        return status;
    get_geometry(node, &fields, &params);
    if ((status = get_parameters(node, &params)) ||
        (status = get_weight_ranges(node, &fields.weight_ranges, &params)))
        return status;
    return spc__graph_add_conv(node->loader->graph, node->name, node->op, in, node->out, &params,
                               node->loader->err);
}
