/* SPDX-License-Identifier: MIT */
/*
 * The index order of a file, and the grid of its input.
 *
 * No operator but the convolution changes sites, and a file's nodes are in order, so its first
 * convolution works on the sites of the input.
 */
#include "onnx/loader.h"

#include "base/error.h"

#include <string.h>

void spc__onnx_to_zyx(enum spc_index_order order, const int64_t *from, int32_t to[3])
{
    bool zyx = order == SPC_INDEX_ZYX;

    to[0] = (int32_t)from[zyx ? 0 : 2];
    to[1] = (int32_t)from[1];
    to[2] = (int32_t)from[zyx ? 2 : 0];
}

static const Spc__Onnx__NodeProto *find_node(const Spc__Onnx__GraphProto *graph, const char *op)
{
    for (size_t i = 0; i < graph->n_node; i++)
        if (graph->node[i]->op_type && !strcmp(graph->node[i]->op_type, op))
            return graph->node[i];
    return NULL;
}

static const Spc__Onnx__AttributeProto *find_attribute(const Spc__Onnx__NodeProto *node,
                                                       const char *name, int32_t type)
{
    for (size_t i = 0; i < node->n_attribute; i++) {
        const Spc__Onnx__AttributeProto *attribute = node->attribute[i];

        if (attribute->name && !strcmp(attribute->name, name) && attribute->type == type)
            return attribute;
    }
    return NULL;
}

static bool text_is(const Spc__Onnx__AttributeProto *attribute, const char *text)
{
    return attribute && attribute->s.len == strlen(text) &&
           !memcmp(attribute->s.data, text, attribute->s.len);
}

static enum spc_index_order guess_order(const Spc__Onnx__GraphProto *graph, const int64_t *grid)
{
    const Spc__Onnx__NodeProto *scatter = find_node(graph, "ScatterDense");
    const Spc__Onnx__AttributeProto *format =
        scatter ? find_attribute(scatter, "format", SPC__ONNX_ATTRIBUTE_STRING) : NULL;

    if (text_is(format, "zyx"))
        return SPC_INDEX_ZYX;
    if (text_is(format, "xyz"))
        return SPC_INDEX_XYZ;
    return grid[0] <= grid[2] ? SPC_INDEX_ZYX : SPC_INDEX_XYZ; /* z is the short axis */
}

static enum spc_status check_conv(const Spc__Onnx__NodeProto *conv, const char *name,
                                  struct spc_error *err)
{
    const Spc__Onnx__AttributeProto *ndim, *shape, *cin;

    ndim = find_attribute(conv, "ndim", SPC__ONNX_ATTRIBUTE_INT);
    shape = find_attribute(conv, "input_spatial_shape", SPC__ONNX_ATTRIBUTE_INTS);
    cin = find_attribute(conv, "in_channels", SPC__ONNX_ATTRIBUTE_INT);
    if (ndim && ndim->i != 3)
        return spc__fail(
            err, SPC_ERR_UNSUPPORTED,
            "node '%.100s': attribute ndim is %lld: only 3-D convolutions are supported", name,
            (long long)ndim->i);
    if (!shape || shape->n_ints != 3 || !cin)
        return spc__fail(err, SPC_ERR_MODEL,
                         "node '%.100s': the first convolution must tell the grid of the input by "
                         "attribute input_spatial_shape (3 ints), and in_channels (int)",
                         name);
    for (int i = 0; i < 3; i++)
        if (shape->ints[i] < 1 || shape->ints[i] > SPC__MAX_GRID)
            return spc__fail(err, SPC_ERR_MODEL,
                             "node '%.100s': input_spatial_shape holds %lld; 1 to %d cells are "
                             "supported",
                             name, (long long)shape->ints[i], SPC__MAX_GRID);
    if (cin->i < 1 || cin->i > SPC__MAX_CHANNELS)
        return spc__fail(err, SPC_ERR_MODEL,
                         "node '%.100s': in_channels is %lld; 1 to %d are supported", name,
                         (long long)cin->i, SPC__MAX_CHANNELS);
    return SPC_OK;
}

enum spc_status spc__onnx_find_input(struct spc__onnx_loader *loader, enum spc_index_order wanted,
                                     int32_t grid[3], int32_t *channels)
{
    const Spc__Onnx__NodeProto *conv = find_node(loader->proto, "SparseConvolution");
    const Spc__Onnx__AttributeProto *shape, *cin;
    enum spc_status status;

    if (!conv)
        return spc__fail(loader->err, SPC_ERR_UNSUPPORTED,
                         "the model has no SparseConvolution: this is no sparse-convolution "
                         "network");
    status = check_conv(conv, conv->name && conv->name[0] ? conv->name : "SparseConvolution",
                        loader->err);
    if (status)
        return status;
    shape = find_attribute(conv, "input_spatial_shape", SPC__ONNX_ATTRIBUTE_INTS);
    cin = find_attribute(conv, "in_channels", SPC__ONNX_ATTRIBUTE_INT);
    loader->order = wanted ? wanted : guess_order(loader->proto, shape->ints);
    spc__onnx_to_zyx(loader->order, shape->ints, grid);
    *channels = (int32_t)cin->i;
    return SPC_OK;
}
