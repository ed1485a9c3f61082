/* SPDX-License-Identifier: MIT */
/*
 * The small good model that the tests of the ONNX loader start from, with a fault where they want
 * one, and what they check of a load: a refusal must tell the node and the reason.
 */
#ifndef SPC_ONNX_MODEL_H
#define SPC_ONNX_MODEL_H

#include "model.h"
#include "onnx_writer.h"
#include "test.h"

#define F16 10
#define F32 1
#define I64 7

#define MODEL SPC_ERR_MODEL
#define UNSUPPORTED SPC_ERR_UNSUPPORTED

/* ---- the good model, and its fault ------------------------------------------------------ */

enum fault_kind { DROP, INT, INTS, FLOAT, FLOATS, TEXT, GRAPH, GRAPHS, TENSOR, REFERENCE, TWICE };

/* Replaces one attribute of one node. */
struct fault {
    const char *node, *attribute;
    enum fault_kind kind;
    int64_t ints[6];
    int count;
    float value;
    const char *text;
    enum spc_status status; /* SPC_OK: it must load */
    const char *says;
};

struct spec {
    const struct fault *fault;
    bool xyz;   /* spatial triples, weights and format in x, y, z */
    bool half;  /* weights in binary16 */
    bool typed; /* weights in float_data or int32_data instead of raw_data */
    bool no_bias;
    const char *metadata[8]; /* keys and values */
};

static const struct fault *fault_at(const struct spec *spec, const char *node,
                                    const char *attribute)
{
    const struct fault *fault = spec->fault;

    return fault && !strcmp(fault->node, node) && !strcmp(fault->attribute, attribute) ? fault
                                                                                       : NULL;
}

/* An attribute whose value sits in a field that the loader does not know. */
static inline void write_foreign(struct onnx_buffer *node, const char *name, int field,
                                 const char *text)
{
    struct onnx_buffer attribute = {0};

    onnx_text(&attribute, 1, name);
    onnx_text(&attribute, field, text);
    onnx_int(&attribute, 20, field);
    onnx_message(node, 5, &attribute);
}

static inline void write_fault(struct onnx_buffer *node, const struct fault *fault)
{
    const float floats[] = {fault->value, fault->value, fault->value, fault->value};

    switch (fault->kind) {
    case DROP:
        break;
    case TWICE:
        onnx_attribute_int(node, fault->attribute, fault->ints[0]);
        /* fall through */
    case INT:
        onnx_attribute_int(node, fault->attribute, fault->ints[0]);
        break;
    case INTS:
        onnx_attribute_ints(node, fault->attribute, fault->ints, fault->count);
        break;
    case FLOAT:
        onnx_attribute_float(node, fault->attribute, fault->value);
        break;
    case FLOATS:
        onnx_attribute_floats(node, fault->attribute, floats, fault->count);
        break;
    case TEXT:
        onnx_attribute_text(node, fault->attribute, fault->text);
        break;
    case TENSOR:
        write_foreign(node, fault->attribute, 5, "");
        break;
    case GRAPH:
        write_foreign(node, fault->attribute, 6, "");
        break;
    case GRAPHS:
        write_foreign(node, fault->attribute, 11, "");
        break;
    case REFERENCE:
        write_foreign(node, fault->attribute, 21, "outer");
        break;
    }
}

static inline void put_int(struct onnx_buffer *node, const struct spec *spec, const char *name,
                           const char *attribute, int64_t value)
{
    if (!fault_at(spec, name, attribute))
        onnx_attribute_int(node, attribute, value);
}

static inline void put_text(struct onnx_buffer *node, const struct spec *spec, const char *name,
                            const char *attribute, const char *text)
{
    if (!fault_at(spec, name, attribute))
        onnx_attribute_text(node, attribute, text);
}

static inline void put_list(struct onnx_buffer *node, const struct spec *spec, const char *name,
                            const char *attribute, const int64_t *values, int count)
{
    if (!fault_at(spec, name, attribute))
        onnx_attribute_ints(node, attribute, values, count);
}

/* z, y, x; turned round for an xyz file. */
static inline void put_triple(struct onnx_buffer *node, const struct spec *spec, const char *name,
                              const char *attribute, const int *zyx)
{
    int64_t values[3] = {zyx[spec->xyz ? 2 : 0], zyx[1], zyx[spec->xyz ? 0 : 2]};

    put_list(node, spec, name, attribute, values, 3);
}

static inline void end_node(struct onnx_buffer *graph, const struct spec *spec, const char *name,
                            struct onnx_buffer *node)
{
    if (spec->fault && !strcmp(spec->fault->node, name))
        write_fault(node, spec->fault);
    onnx_message(graph, 1, node);
}

struct conv {
    const char *name, *in, *out;
    int cin, cout;
    bool subm;
    int kernel[3], stride[3], padding[3], grid[3], out_grid[3];
};

/* 2 > 4 submanifold on 5 x 8 x 6 cells, then 4 > 4 strided to 3 x 3 x 3. */
static const struct conv convs[] = {
    {"conv0", "in", "a", 2, 4, true, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {5, 8, 6}, {5, 8, 6}},
    {"conv1", "c", "d", 4, 4, false, {3, 5, 1}, {2, 2, 2}, {1, 1, 0}, {5, 8, 6}, {3, 3, 3}},
};

static inline void weight_names(const struct conv *conv, char *weights, char *bias)
{
    snprintf(weights, 32, "%s.weight", conv->name);
    snprintf(bias, 32, "%s.bias", conv->name);
}

static inline void put_conv(struct onnx_buffer *graph, const struct spec *spec,
                            const struct conv *conv)
{
    struct onnx_buffer node;
    char weights[32], bias[32];

    weight_names(conv, weights, bias);
    node = onnx_node("SparseConvolution", conv->name, conv->in, weights,
                     spec->no_bias ? NULL : bias, conv->out);
    put_int(&node, spec, conv->name, "ndim", 3);
    put_int(&node, spec, conv->name, "in_channels", conv->cin);
    put_int(&node, spec, conv->name, "out_channels", conv->cout);
    put_int(&node, spec, conv->name, "subm", conv->subm);
    put_int(&node, spec, conv->name, "inverse", 0);
    put_int(&node, spec, conv->name, "output_bound", 1000);
    put_triple(&node, spec, conv->name, "kernel_size", conv->kernel);
    put_triple(&node, spec, conv->name, "stride", conv->stride);
    put_triple(&node, spec, conv->name, "padding", conv->padding);
    put_triple(&node, spec, conv->name, "input_spatial_shape", conv->grid);
    put_triple(&node, spec, conv->name, "output_spatial_shape", conv->out_grid);
    put_text(&node, spec, conv->name, "rulebook", "");
    put_text(&node, spec, conv->name, "activation", "None");
    end_node(graph, spec, conv->name, &node);
}

/* A weight's value tells where it belongs, and is exact in binary16. */
static inline float weight_at(int offset, int cin, int cout)
{
    return (float)(offset * 16 + cin * 4 + cout) / 8;
}

static inline uint16_t to_half(float value)
{
    uint16_t half;

    spc_convert_f32_to_f16(&value, &half, 1);
    return half;
}

/* float32 or binary16, as raw bytes or in the typed field. */
static inline void put_floats(struct onnx_buffer *graph, const struct spec *spec, const char *name,
                              const int64_t *dims, int rank, const float *values, int count)
{
    struct onnx_buffer tensor = {0}, data = {0};

    for (int i = 0; i < rank; i++)
        onnx_int(&tensor, 1, dims[i]);
    onnx_int(&tensor, 2, spec->half ? F16 : F32);
    onnx_text(&tensor, 8, name);
    for (int i = 0; i < count; i++) {
        uint16_t half = to_half(values[i]);

        if (spec->half && spec->typed)
            onnx_varint(&data, half);
        else if (spec->half)
            onnx_append(&data, &half, sizeof(half));
        else
            onnx_append(&data, &values[i], sizeof(values[i]));
    }
    onnx_bytes(&tensor, spec->typed ? (spec->half ? 5 : 4) : 9, data.data, data.size);
    onnx_free(&data);
    onnx_message(graph, 5, &tensor);
}

static inline void put_weights(struct onnx_buffer *graph, const struct spec *spec,
                               const struct conv *conv)
{
    const int *k = conv->kernel;
    int axis[3] = {spec->xyz ? 2 : 0, 1, spec->xyz ? 0 : 2};
    int64_t dims[5] = {conv->cout, k[axis[0]], k[1], k[axis[2]], conv->cin};
    float values[4 * 27 * 4], bias_values[4] = {1, -2, 3, -4};
    char weights[32], bias[32];
    int count = 0, at[3];

    for (int o = 0; o < conv->cout; o++)
        for (at[axis[0]] = 0; at[axis[0]] < k[axis[0]]; at[axis[0]]++)
            for (at[1] = 0; at[1] < k[1]; at[1]++)
                for (at[axis[2]] = 0; at[axis[2]] < k[axis[2]]; at[axis[2]]++)
                    for (int c = 0; c < conv->cin; c++)
                        values[count++] = weight_at((at[0] * k[1] + at[1]) * k[2] + at[2], c, o);
    weight_names(conv, weights, bias);
    put_floats(graph, spec, weights, dims, 5, values, count);
    put_floats(graph, spec, bias, dims, 1, bias_values, conv->cout);
}

static inline void put_dense(struct onnx_buffer *graph, const struct spec *spec)
{
    static const int grid[3] = {3, 3, 3};
    static const int64_t scattered[5] = {1, 4, 3, 3, 3}, flat[4] = {1, 12, 3, 3};
    struct onnx_buffer node = onnx_node("ScatterDense", "scatter0", "d", NULL, NULL, "e");

    put_text(&node, spec, "scatter0", "format", spec->xyz ? "xyz" : "zyx");
    put_triple(&node, spec, "scatter0", "input_spatial_shape", grid);
    put_list(&node, spec, "scatter0", "output_shape", scattered, 5);
    end_node(graph, spec, "scatter0", &node);
    if (spec->xyz) {
        static const int64_t perm[5] = {0, 1, 4, 3, 2};

        node = onnx_node("Transpose", "transpose0", "e", NULL, NULL, "f");
        put_list(&node, spec, "transpose0", "dims", perm, 5);
        end_node(graph, spec, "transpose0", &node);
    }
    node = onnx_node("Reshape", "reshape0", spec->xyz ? "f" : "e", NULL, NULL, "out");
    put_list(&node, spec, "reshape0", "dims", flat, 4);
    end_node(graph, spec, "reshape0", &node);
}

static inline void put_body(struct onnx_buffer *graph, const struct spec *spec)
{
    static const int64_t in_dims[2] = {-1, 2};
    struct onnx_buffer node;

    onnx_value_info(graph, 11, "in", F16, in_dims, 2);
    put_conv(graph, spec, &convs[0]);
    node = onnx_node("Relu", "relu0", "a", NULL, NULL, "b");
    end_node(graph, spec, "relu0", &node);
    node = onnx_node("Add", "add0", "a", "b", NULL, "c");
    end_node(graph, spec, "add0", &node);
    put_conv(graph, spec, &convs[1]);
    put_dense(graph, spec);
    put_weights(graph, spec, &convs[0]);
    put_weights(graph, spec, &convs[1]);
}

static inline struct onnx_buffer make_model(const struct spec *spec)
{
    static const int64_t out_dims[4] = {1, 12, 3, 3};
    struct onnx_buffer graph = {0}, model;

    put_body(&graph, spec);
    onnx_value_info(&graph, 12, "out", F16, out_dims, 4);
    model = onnx_model(&graph);
    for (int i = 0; i + 1 < 8 && spec->metadata[i]; i += 2)
        onnx_metadata(&model, spec->metadata[i], spec->metadata[i + 1]);
    return model;
}

/* ---- loading, and what must come of it -------------------------------------------------- */

static char log_text[4000];

static inline void keep_log(void *user, enum spc_log_level level, const char *message)
{
    size_t used = strlen(log_text);

    (void)user;
    (void)level;
    snprintf(log_text + used, sizeof(log_text) - used, "%s\n", message);
}

/* Loads and releases the bytes. */
static inline enum spc_status load(struct onnx_buffer *bytes, struct spc_model **model,
                                   struct spc_error *err)
{
    struct spc_model_options options;
    enum spc_status status;

    spc_model_options_default(&options);
    options.log = keep_log;
    log_text[0] = 0;
    *model = NULL;
    err->message[0] = 0;
    status = spc_model_load_memory(bytes->data, bytes->size, &options, model, err);
    onnx_free(bytes);
    return status;
}

static inline void check_refused(const char *label, struct onnx_buffer *bytes,
                                 enum spc_status expected, const char *says0, const char *says1)
{
    struct spc_model *model;
    struct spc_error err;
    enum spc_status status = load(bytes, &model, &err);

    if (status != expected ||
        (expected && (!strstr(err.message, says0) || !strstr(err.message, says1))))
        fprintf(stderr, "case %s: %s, \"%s\"\n", label, spc_status_name(status), err.message);
    CHECK_INT(status, expected);
    CHECK((status == SPC_OK) == (model != NULL));
    if (expected) {
        CHECK_TEXT(err.message, says0);
        CHECK_TEXT(err.message, says1);
    }
    spc_model_free(&model);
}

static inline struct spc_model *load_good(const struct spec *spec)
{
    struct onnx_buffer bytes = make_model(spec);
    struct spc_model *model;
    struct spc_error err;

    if (load(&bytes, &model, &err))
        fprintf(stderr, "%s\n", err.message);
    return model;
}

#endif
