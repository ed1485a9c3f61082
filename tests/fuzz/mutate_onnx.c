/* SPDX-License-Identifier: MIT */
/*
 * Mutations of an ONNX file that keep it a protobuf message: other attribute values, wiring, order
 * of nodes, dims. Changes of single bytes hardly ever get past the parser.
 */
#include "fuzz.h"

#include "onnx/onnx.pb-c.h"

#include <stdlib.h>
#include <string.h>

/* Changes bytes without knowing what they mean; libFuzzer has it, and replay.c. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

struct mutation {
    Spc__Onnx__GraphProto *graph;
    uint64_t state;
};

static size_t below(struct mutation *m, size_t bound)
{
    m->state ^= m->state << 13;
    m->state ^= m->state >> 7;
    m->state ^= m->state << 17;
    return bound ? (size_t)(m->state % bound) : 0;
}

static int64_t any_int(struct mutation *m)
{
    static const int64_t values[] = {0, 1, 1, 2, 2, 3, 3, 4, 5, 7, 8, 15, 16, 17, 41, 64, 65, -1,
                                     32768, 32769, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};

    return values[below(m, sizeof(values) / sizeof(*values))];
}

static float any_float(struct mutation *m)
{
    static const float values[] = {0, 1, -1, 0.01f, 1e-40f, 65504, 3e38f, -3e38f,
                                   __builtin_inff(), __builtin_nanf("")};

    return values[below(m, sizeof(values) / sizeof(*values))];
}

static const char *any_text(struct mutation *m)
{
    static const char *const values[] = {"",     "zyx",    "xyz",   "None",  "ReLU", "LeakyReLU",
                                         "Sigmoid", "NCHW", "NCHW32", "NHWzC", "fp16", "int8"};

    return values[below(m, sizeof(values) / sizeof(*values))];
}

static void set_text(char **text, const char *value)
{
    char *copy = strdup(value ? value : "");

    free(*text);
    *text = copy;
}

static Spc__Onnx__NodeProto *any_node(struct mutation *m)
{
    return m->graph->node[below(m, m->graph->n_node)];
}

/* Name of a value, of an initializer or of nothing. */
static const char *any_name(struct mutation *m)
{
    const Spc__Onnx__NodeProto *node = any_node(m);
    size_t what = below(m, 8);

    if (what == 0 && m->graph->n_input)
        return m->graph->input[0]->name;
    if (what == 1 && m->graph->n_initializer)
        return m->graph->initializer[below(m, m->graph->n_initializer)]->name;
    if (what == 2)
        return "";
    return node->n_output ? node->output[0] : "";
}

static void change_attribute(struct mutation *m)
{
    Spc__Onnx__NodeProto *node = any_node(m);
    Spc__Onnx__AttributeProto *attribute;
    const char *text;

    if (!node->n_attribute)
        return;
    attribute = node->attribute[below(m, node->n_attribute)];
    attribute->i = any_int(m);
    attribute->f = any_float(m);
    if (attribute->n_ints)
        attribute->ints[below(m, attribute->n_ints)] = any_int(m);
    if (attribute->n_ints && !below(m, 16))
        attribute->n_ints--;
    if (attribute->n_floats)
        attribute->floats[below(m, attribute->n_floats)] = any_float(m);
    if (attribute->has_s) {
        text = any_text(m);
        free(attribute->s.data);
        attribute->s.data = (uint8_t *)strdup(text);
        attribute->s.len = strlen(text);
    }
    if (!below(m, 16))
        attribute->type = (int32_t)below(m, 12);
}

static void change_wiring(struct mutation *m)
{
    Spc__Onnx__NodeProto *node = any_node(m), *other = any_node(m);

    switch (below(m, 4)) {
    case 0:
        if (node->n_input)
            set_text(&node->input[below(m, node->n_input)], any_name(m));
        break;
    case 1:
        set_text(&node->op_type, other->op_type);
        break;
    case 2:
        if (node->n_output && !below(m, 4))
            set_text(&node->output[0], any_name(m));
        break;
    default:
        if (m->graph->n_output)
            set_text(&m->graph->output[below(m, m->graph->n_output)]->name, any_name(m));
    }
}

static void swap_nodes(struct mutation *m)
{
    Spc__Onnx__NodeProto **a = &m->graph->node[below(m, m->graph->n_node)];
    Spc__Onnx__NodeProto **b = &m->graph->node[below(m, m->graph->n_node)], *kept = *a;

    *a = *b;
    *b = kept;
}

static void change_initializer(struct mutation *m)
{
    Spc__Onnx__TensorProto *tensor;

    if (!m->graph->n_initializer)
        return;
    tensor = m->graph->initializer[below(m, m->graph->n_initializer)];
    if (tensor->n_dims)
        tensor->dims[below(m, tensor->n_dims)] = any_int(m);
    if (!below(m, 4))
        tensor->data_type = (int32_t)below(m, 12);
    if (tensor->raw_data.len && !below(m, 4))
        tensor->raw_data.len--;
}

static void change_once(struct mutation *m)
{
    switch (below(m, 8)) {
    case 0:
        swap_nodes(m);
        break;
    case 1:
    case 2:
        change_wiring(m);
        break;
    case 3:
        change_initializer(m);
        break;
    default:
        change_attribute(m);
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    Spc__Onnx__ModelProto *model = spc__onnx__model_proto__unpack(NULL, size, data);
    struct mutation m = {model ? model->graph : NULL, seed * 0x9e3779b97f4a7c15u + 1};
    size_t changed = 0;

    if (m.graph && m.graph->n_node && below(&m, 8)) {
        for (size_t n = 1 + below(&m, 3); n; n--)
            change_once(&m);
        if (spc__onnx__model_proto__get_packed_size(model) <= max_size)
            changed = spc__onnx__model_proto__pack(model, data);
    }
    if (model)
        spc__onnx__model_proto__free_unpacked(model, NULL);
    return changed ? changed : LLVMFuzzerMutate(data, size, max_size);
}
