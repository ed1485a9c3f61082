/* SPDX-License-Identifier: MIT */
/* Models: loading by way of the ONNX loader, and describing what was loaded. */
#include "model.h"

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/options.h"
#include "base/text.h"
#include "onnx/onnx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_FILE_SIZE ((size_t)2 << 30)

void spc_model_options_init(struct spc_model_options *options, size_t size)
{
    const struct spc_model_options defaults = {
        .index_order = SPC_INDEX_ORDER_AUTO,
        .max_file_size = DEFAULT_FILE_SIZE,
    };

    spc__options_give(options, size, &defaults, sizeof(defaults));
}

static enum spc_status take_options(struct spc_model_options *options,
                                    const struct spc_model_options *given, struct spc_error *err)
{
    enum spc_status status;

    spc_model_options_default(options);
    status = spc__options_take(options, sizeof(*options), given, "spc_model_options", err);
    if (status)
        return status;
    if (options->index_order != SPC_INDEX_ORDER_AUTO && options->index_order != SPC_INDEX_ZYX &&
        options->index_order != SPC_INDEX_XYZ)
        return spc__fail(err, SPC_ERR_ARGUMENT, "index_order %d is none of enum spc_index_order",
                         (int)options->index_order);
    return SPC_OK;
}

/* ---- describing nodes ------------------------------------------------------------------- */

static const char *act_name(enum spc__act act)
{
    static const char *const names[] = {
        [SPC__ACT_NONE] = "",
        [SPC__ACT_RELU] = ", ReLU",
        [SPC__ACT_LEAKY_RELU] = ", LeakyReLU",
        [SPC__ACT_SIGMOID] = ", Sigmoid",
    };

    return names[act];
}

static void append_triple(char *text, size_t size, const char *what, const int32_t triple[3])
{
    size_t used = strlen(text);

    snprintf(text + used, size - used, "%s%dx%dx%d", what, triple[0], triple[1], triple[2]);
}

static bool all_are(const int32_t triple[3], int32_t value)
{
    return triple[0] == value && triple[1] == value && triple[2] == value;
}

/* "strided 3x3x3 (zyx), stride 2x2x2, padding 0x1x1, bias, ReLU" */
static void describe_conv(const struct spc__graph *graph, const struct spc__node *node, char *text,
                          size_t size)
{
    static const char *const kinds[] = {
        [SPC__SUBM] = "submanifold ",
        [SPC__STRIDED] = "strided ",
        [SPC__INVERSE] = "inverse ",
    };
    const struct spc__rulebook *rulebook = &graph->rulebooks[node->rulebook];
    size_t used;

    text[0] = 0;
    append_triple(text, size, kinds[rulebook->kind], rulebook->kernel);
    if (rulebook->kind != SPC__SUBM) {
        append_triple(text, size, ", stride ", rulebook->stride);
        append_triple(text, size, ", padding ", rulebook->padding);
    }
    if (!all_are(rulebook->dilation, 1))
        append_triple(text, size, ", dilation ", rulebook->dilation);
    used = strlen(text);
    snprintf(text + used, size - used, "%s%s", node->bias ? ", bias" : "", act_name(node->act));
}

static void describe_dims(const struct spc__value *value, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "to ");

    for (int i = 0; i < value->rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? "x" : "",
                                 (long long)value->dims[i]);
}

static int32_t columns(const struct spc__value *value)
{
    return value->kind == SPC__SPARSE ? value->channels : 0;
}

static void describe_node(const struct spc__graph *graph, const struct spc__node *node,
                          struct spc_node_info *info)
{
    const struct spc__value *out = &graph->values[node->out];

    snprintf(info->name, sizeof(info->name), "%s", node->name);
    snprintf(info->op, sizeof(info->op), "%s", node->op_type);
    snprintf(info->rulebook, sizeof(info->rulebook), "%s", node->key ? node->key : "");
    spc__text_clean(info->name);
    spc__text_clean(info->rulebook);
    info->in_channels = columns(&graph->values[node->in[0]]);
    info->out_channels = columns(out);
    if (node->op == SPC__OP_CONV)
        describe_conv(graph, node, info->detail, sizeof(info->detail));
    else if (out->kind == SPC__DENSE)
        describe_dims(out, info->detail, sizeof(info->detail));
}

static enum spc_status describe_nodes(struct spc_model *model, struct spc_error *err)
{
    size_t count = (size_t)model->graph.num_nodes;

    model->nodes = spc__alloc_zeroed(count, sizeof(*model->nodes));
    if (!model->nodes)
        return spc__fail_memory(err, count * sizeof(*model->nodes), "nodes");
    model->num_nodes = model->graph.num_nodes;
    for (size_t i = 0; i < count; i++)
        describe_node(&model->graph, &model->graph.nodes[i], &model->nodes[i]);
    return SPC_OK;
}

/* ---- loading ---------------------------------------------------------------------------- */

static enum spc_status fill_model(struct spc_model *model, const void *data, size_t size,
                                  const struct spc_model_options *options, struct spc_error *err)
{
    struct spc__onnx_options onnx = {options->index_order, {options->log, options->log_user}};
    enum spc_status status;

    model->shared = spc__shared_create();
    if (!model->shared)
        return spc__fail(err, SPC_ERR_MEMORY, "cannot allocate a model");
    if ((status = spc__onnx_load(data, size, &onnx, &model->graph, err)) ||
        (status = describe_nodes(model, err)) || (status = spc__graph_finish(&model->graph, err)))
        return status;
    model->graph.info.num_nodes = model->num_nodes;
    return SPC_OK;
}

static enum spc_status load(const void *data, size_t size, const struct spc_model_options *options,
                            struct spc_model **model, struct spc_error *err)
{
    struct spc_model *made = spc__alloc_zeroed(1, sizeof(*made));
    enum spc_status status;

    if (!made)
        return spc__fail_memory(err, sizeof(*made), "a model");
    made->hash = spc__hash(SPC__HASH_START, data, size);
    status = fill_model(made, data, size, options, err);
    if (status)
        spc_model_free(&made);
    else
        *model = made;
    return status;
}

enum spc_status spc_model_load_memory(const void *data, size_t size,
                                      const struct spc_model_options *options,
                                      struct spc_model **model, struct spc_error *err)
{
    struct spc_model_options taken;
    enum spc_status status = take_options(&taken, options, err);

    if (status)
        return status;
    if (!model || (!data && size))
        return spc__fail(err, SPC_ERR_ARGUMENT, "spc_model_load_memory: no data or no model");
    if (size > taken.max_file_size)
        return spc__fail(err, SPC_ERR_UNSUPPORTED,
                         "a model of %zu bytes is larger than max_file_size, %zu bytes", size,
                         taken.max_file_size);
    return load(data, size, &taken, model, err);
}

enum spc_status spc_model_load_file(const char *path, const struct spc_model_options *options,
                                    struct spc_model **model, struct spc_error *err)
{
    struct spc_model_options taken;
    enum spc_status status = take_options(&taken, options, err);
    void *data;
    size_t size;

    if (status)
        return status;
    if (!path || !model)
        return spc__fail(err, SPC_ERR_ARGUMENT, "spc_model_load_file: no path or no model");
    status = spc__file_read(path, taken.max_file_size, &data, &size, err);
    if (status)
        return status;
    status = load(data, size, &taken, model, err);
    free(data);
    return status ? spc__fail_in_file(err, status, path) : SPC_OK;
}

void spc_model_free(struct spc_model **model)
{
    if (!model || !*model)
        return;
    spc__shared_destroy((*model)->shared);
    spc__graph_clear(&(*model)->graph);
    free((*model)->nodes);
    free(*model);
    *model = NULL;
}

/* ---- asking ----------------------------------------------------------------------------- */

void spc_model_get_info(const struct spc_model *model, struct spc_model_info *info)
{
    *info = model->graph.info;
}

enum spc_status spc_model_get_output(const struct spc_model *model, int i,
                                     struct spc_output_info *info, struct spc_error *err)
{
    const struct spc__graph *graph = &model->graph;
    int64_t bound;
    int value;

    if (i < 0 || i >= graph->num_outputs)
        return spc__fail(err, SPC_ERR_ARGUMENT, "output %d: the model has outputs 0 to %d", i,
                         graph->num_outputs - 1);
    value = graph->outputs[i];
    bound = graph->levels[graph->values[value].level].bound;
    spc__graph_describe(graph, value, bound, info);
    return SPC_OK;
}

enum spc_status spc_model_get_node(const struct spc_model *model, int i, struct spc_node_info *info,
                                   struct spc_error *err)
{
    if (i < 0 || i >= model->num_nodes)
        return spc__fail(err, SPC_ERR_ARGUMENT, "node %d: the model has nodes 0 to %d", i,
                         model->num_nodes - 1);
    *info = model->nodes[i];
    return SPC_OK;
}
