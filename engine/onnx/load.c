/* SPDX-License-Identifier: MIT */
/* Bytes to graph: unpacking, the graph as a whole, and the walk over its nodes. */
#include "onnx/loader.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- unpacking, with a budget ----------------------------------------------------------- */

/* A few bytes of a hostile file can ask for a hundred times as many; weights need one time. */
#define BUDGET_FACTOR 4
#define BUDGET_BASE ((size_t)64 << 20)

struct budget {
    size_t left;
    bool spent;
};

static void *budget_alloc(void *data, size_t size)
{
    struct budget *budget = data;
    void *block = NULL;

    if (size <= budget->left)
        block = malloc(size ? size : 1);
    if (block)
        budget->left -= size;
    else
        budget->spent = true;
    return block;
}

static void budget_free(void *data, void *block)
{
    (void)data;
    free(block);
}

static enum spc_status unpack(const void *data, size_t size, Spc__Onnx__ModelProto **model,
                              struct spc_error *err)
{
    struct budget budget = {BUDGET_BASE, false};
    ProtobufCAllocator allocator = {budget_alloc, budget_free, &budget};

    if (size < (SIZE_MAX - BUDGET_BASE) / BUDGET_FACTOR)
        budget.left += size * BUDGET_FACTOR;
    *model = spc__onnx__model_proto__unpack(&allocator, size, data);
    if (*model)
        return SPC_OK;
    if (budget.spent)
        return spc__fail(err, SPC_ERR_MEMORY,
                         "unpacking this ONNX file of %zu bytes takes too much memory", size);
    return spc__fail(err, SPC_ERR_FORMAT,
                     "these %zu bytes are no ONNX file, or are damaged or cut short", size);
}

/* ---- checks of the graph ---------------------------------------------------------------- */

static enum spc_status check_counts(const Spc__Onnx__GraphProto *proto, struct spc_error *err)
{
    if (!proto->n_node)
        return spc__fail(err, SPC_ERR_MODEL, "the graph has no nodes");
    if (proto->n_node > SPC__ONNX_MAX_NODES)
        return spc__fail(err, SPC_ERR_UNSUPPORTED,
                         "the graph has %zu nodes; at most %d are supported", proto->n_node,
                         SPC__ONNX_MAX_NODES);
    if (!proto->n_output)
        return spc__fail(err, SPC_ERR_MODEL, "the graph has no outputs");
    if (proto->n_output > SPC__ONNX_MAX_OUTPUTS)
        return spc__fail(err, SPC_ERR_UNSUPPORTED,
                         "the graph has %zu outputs; at most %d are supported", proto->n_output,
                         SPC__ONNX_MAX_OUTPUTS);
    return SPC_OK;
}

static enum spc_status check_input_type(const Spc__Onnx__ValueInfoProto *input, int32_t channels,
                                        struct spc_error *err)
{
    const Spc__Onnx__TensorTypeProto *type = input->type ? input->type->tensor_type : NULL;
    const Spc__Onnx__TensorShapeProto *shape = type ? type->shape : NULL;
    int64_t columns;

    if (!type ||
        (type->elem_type != SPC__ONNX_TYPE_FLOAT && type->elem_type != SPC__ONNX_TYPE_FLOAT16))
        return spc__fail(err, SPC_ERR_UNSUPPORTED,
                         "input '%.100s': ONNX data type %d is not supported; a tensor of float32 "
                         "(1) or float16 (10) is",
                         input->name, type ? type->elem_type : 0);
    if (!shape)
        return SPC_OK;
    if (shape->n_dim != 2)
        return spc__fail(err, SPC_ERR_MODEL,
                         "input '%.100s' has %zu dims instead of 2: [voxels][channels]",
                         input->name, shape->n_dim);
    columns = shape->dim[1]->dim_value;
    if (shape->dim[1]->has_dim_value && columns != channels)
        return spc__fail(err, SPC_ERR_MODEL,
                         "input '%.100s' has %lld channels, but the first convolution takes %d",
                         input->name, (long long)columns, channels);
    return SPC_OK;
}

/* Old exporters list initializers among the inputs; one other must be left. */
static enum spc_status find_graph_input(const struct spc__onnx_loader *loader,
                                        const Spc__Onnx__ValueInfoProto **input)
{
    const Spc__Onnx__GraphProto *proto = loader->proto;

    *input = NULL;
    for (size_t i = 0; i < proto->n_input; i++) {
        const char *name = proto->input[i]->name;

        if (!name || !name[0])
            return spc__fail(loader->err, SPC_ERR_MODEL, "graph input %zu has no name", i);
        if (spc__onnx_find_initializer(loader, name))
            continue;
        if (*input)
            return spc__fail(loader->err, SPC_ERR_UNSUPPORTED,
                             "the graph has more than one input: '%.100s' and '%.100s'; one is "
                             "supported, the voxels' features",
                             (*input)->name, name);
        *input = proto->input[i];
    }
    if (!*input)
        return spc__fail(loader->err, SPC_ERR_MODEL, "the graph has no input");
    return SPC_OK;
}

static enum spc_status start_graph(struct spc__onnx_loader *loader, enum spc_index_order wanted)
{
    const Spc__Onnx__ValueInfoProto *input;
    enum spc_status status;
    int32_t grid[3], channels;

    if ((status = find_graph_input(loader, &input)) ||
        (status = spc__onnx_find_input(loader, wanted, grid, &channels)) ||
        (status = check_input_type(input, channels, loader->err)))
        return status;
    return spc__graph_init(loader->graph, loader->order, input->name, channels, grid, loader->err);
}

/* ---- nodes and outputs ------------------------------------------------------------------ */

static enum spc_status check_node_output(struct spc__onnx_node *node)
{
    const Spc__Onnx__NodeProto *proto = node->proto;
    struct spc_error *err = node->loader->err;

    if (proto->n_output != 1 || !proto->output[0][0])
        return spc__fail(err, SPC_ERR_MODEL, "node '%s': %s has %zu outputs instead of 1, named",
                         node->name, node->op, proto->n_output);
    node->out = proto->output[0];
    if (strlen(node->out) > SPC__ONNX_MAX_NAME)
        return spc__fail(err, SPC_ERR_UNSUPPORTED,
                         "node '%s': the name of its output has more than %d bytes", node->name,
                         SPC__ONNX_MAX_NAME);
    if (spc__onnx_find_initializer(node->loader, node->out))
        return spc__fail(err, SPC_ERR_MODEL,
                         "node '%s': its output '%.100s' has the name of an initializer",
                         node->name, node->out);
    return SPC_OK;
}

static enum spc_status add_node(struct spc__onnx_loader *loader, size_t index)
{
    const Spc__Onnx__NodeProto *proto = loader->proto->node[index];
    struct spc__onnx_node node = {
        .loader = loader, .proto = proto, .index = index, .op = proto->op_type};
    enum spc_status status;

    if (!node.op || !node.op[0])
        return spc__fail(loader->err, SPC_ERR_MODEL, "node number %zu ('%.100s') has no operator",
                         index, proto->name ? proto->name : "");
    if (proto->name && proto->name[0])
        snprintf(node.name, sizeof(node.name), "%s", proto->name);
    else
        snprintf(node.name, sizeof(node.name), "%.100s_%zu", node.op, index);
    status = check_node_output(&node);
    return status ? status : spc__onnx_add_node(&node);
}

/* What the file declares of a dense output decides nothing, but tells of a mistake in the export.
 * Sparse outputs have as many rows as the frame that was exported. */
static void compare_shape(const struct spc__onnx_loader *loader,
                          const Spc__Onnx__ValueInfoProto *output, const struct spc__value *value)
{
    const Spc__Onnx__TypeProto *type = output->type;
    const Spc__Onnx__TensorShapeProto *shape =
        type && type->tensor_type ? type->tensor_type->shape : NULL;
    bool same;

    if (!shape || value->kind != SPC__DENSE || value->layout != SPC_LAYOUT_LINEAR)
        return;
    same = shape->n_dim == (size_t)value->rank;
    for (int i = 0; i < value->rank && same; i++)
        same = !shape->dim[i]->has_dim_value || shape->dim[i]->dim_value == value->dims[i];
    if (!same)
        spc__log(&loader->log, SPC_LOG_WARNING,
                 "output '%.100s': the file declares another shape than its nodes give",
                 output->name);
}

static enum spc_status add_outputs(struct spc__onnx_loader *loader)
{
    enum spc_status status = SPC_OK;

    for (size_t i = 0; i < loader->proto->n_output && !status; i++) {
        const char *name = loader->proto->output[i]->name;
        int value = name ? spc__graph_find(loader->graph, name) : -1;

        if (value < 0)
            return spc__fail(loader->err, SPC_ERR_MODEL,
                             "graph output %zu is '%.100s', which no node makes", i,
                             name ? name : "");
        compare_shape(loader, loader->proto->output[i], &loader->graph->values[value]);
        status = spc__graph_add_output(loader->graph, value, loader->err);
    }
    return status;
}

static enum spc_status build(struct spc__onnx_loader *loader, const Spc__Onnx__ModelProto *model,
                             enum spc_index_order wanted)
{
    enum spc_status status;

    if ((status = check_counts(loader->proto, loader->err)) ||
        (status = spc__onnx_index_initializers(loader)) || (status = start_graph(loader, wanted)))
        return status;
    for (size_t i = 0; i < loader->proto->n_node && !status; i++)
        status = add_node(loader, i);
    if (!status)
        status = add_outputs(loader);
    return status ? status : spc__onnx_read_metadata(loader, model);
}

enum spc_status spc__onnx_load(const void *data, size_t size,
                               const struct spc__onnx_options *options, struct spc__graph *graph,
                               struct spc_error *err)
{
    struct spc__graph made = {0};
    struct spc__onnx_loader loader = {.graph = &made, .log = options->log, .err = err};
    Spc__Onnx__ModelProto *model = NULL;
    enum spc_status status = unpack(data, size, &model, err);

    if (status)
        return status;
    loader.proto = model->graph;
    if (!model->graph)
        status = spc__fail(err, SPC_ERR_FORMAT,
                           "these %zu bytes are no ONNX file: there is no graph in them", size);
    else
        status = build(&loader, model, options->index_order);
    free(loader.initializers);
    spc__onnx__model_proto__free_unpacked(model, NULL);
    if (status)
        spc__graph_clear(&made);
    else
        *graph = made;
    return status;
}
