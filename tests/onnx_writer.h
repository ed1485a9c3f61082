/* SPDX-License-Identifier: MIT */
/*
 * Writes small ONNX models byte by byte, for tests: also those that no exporter would write.
 *
 * A message is a growing buffer; onnx_message() puts one into another and releases it. Field
 * numbers are those of ONNX.
 */
#ifndef SPC_ONNX_WRITER_H
#define SPC_ONNX_WRITER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct onnx_buffer {
    uint8_t *data;
    size_t size, capacity;
};

static inline void onnx_append(struct onnx_buffer *buffer, const void *data, size_t size)
{
    if (buffer->size + size > buffer->capacity) {
        buffer->capacity = 2 * (buffer->size + size);
        buffer->data = realloc(buffer->data, buffer->capacity);
        if (!buffer->data)
            abort();
    }
    if (size)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

static inline void onnx_free(struct onnx_buffer *buffer)
{
    free(buffer->data);
    memset(buffer, 0, sizeof(*buffer));
}

/* ---- protobuf --------------------------------------------------------------------------- */

static inline void onnx_varint(struct onnx_buffer *buffer, uint64_t value)
{
    uint8_t byte;

    do {
        byte = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        onnx_append(buffer, &byte, 1);
        value >>= 7;
    } while (value);
}

static inline void onnx_int(struct onnx_buffer *buffer, int field, int64_t value)
{
    onnx_varint(buffer, (uint64_t)field << 3);
    onnx_varint(buffer, (uint64_t)value);
}

static inline void onnx_float(struct onnx_buffer *buffer, int field, float value)
{
    onnx_varint(buffer, (uint64_t)field << 3 | 5);
    onnx_append(buffer, &value, sizeof(value));
}

static inline void onnx_bytes(struct onnx_buffer *buffer, int field, const void *data, size_t size)
{
    onnx_varint(buffer, (uint64_t)field << 3 | 2);
    onnx_varint(buffer, size);
    onnx_append(buffer, data, size);
}

static inline void onnx_text(struct onnx_buffer *buffer, int field, const char *text)
{
    onnx_bytes(buffer, field, text, strlen(text));
}

static inline void onnx_message(struct onnx_buffer *buffer, int field, struct onnx_buffer *message)
{
    onnx_bytes(buffer, field, message->data, message->size);
    onnx_free(message);
}

/* ---- attributes of a node --------------------------------------------------------------- */

static inline void onnx_attribute_int(struct onnx_buffer *node, const char *name, int64_t value)
{
    struct onnx_buffer attribute = {0};

    onnx_text(&attribute, 1, name);
    onnx_int(&attribute, 3, value);
    onnx_int(&attribute, 20, 2);
    onnx_message(node, 5, &attribute);
}

static inline void onnx_attribute_float(struct onnx_buffer *node, const char *name, float value)
{
    struct onnx_buffer attribute = {0};

    onnx_text(&attribute, 1, name);
    onnx_float(&attribute, 2, value);
    onnx_int(&attribute, 20, 1);
    onnx_message(node, 5, &attribute);
}

static inline void onnx_attribute_text(struct onnx_buffer *node, const char *name, const char *text)
{
    struct onnx_buffer attribute = {0};

    onnx_text(&attribute, 1, name);
    onnx_text(&attribute, 4, text);
    onnx_int(&attribute, 20, 3);
    onnx_message(node, 5, &attribute);
}

static inline void onnx_attribute_ints(struct onnx_buffer *node, const char *name,
                                       const int64_t *values, int count)
{
    struct onnx_buffer attribute = {0};

    onnx_text(&attribute, 1, name);
    for (int i = 0; i < count; i++)
        onnx_int(&attribute, 8, values[i]);
    onnx_int(&attribute, 20, 7);
    onnx_message(node, 5, &attribute);
}

static inline void onnx_attribute_floats(struct onnx_buffer *node, const char *name,
                                         const float *values, int count)
{
    struct onnx_buffer attribute = {0};

    onnx_text(&attribute, 1, name);
    for (int i = 0; i < count; i++)
        onnx_float(&attribute, 7, values[i]);
    onnx_int(&attribute, 20, 6);
    onnx_message(node, 5, &attribute);
}

/* ---- parts of a graph ------------------------------------------------------------------- */

/* A tensor with raw data of any length, whatever its dims say. */
static inline void onnx_initializer(struct onnx_buffer *graph, const char *name, int type,
                                    const int64_t *dims, int rank, const void *data, size_t size)
{
    struct onnx_buffer tensor = {0};

    for (int i = 0; i < rank; i++)
        onnx_int(&tensor, 1, dims[i]);
    onnx_int(&tensor, 2, type);
    onnx_text(&tensor, 8, name);
    onnx_bytes(&tensor, 9, data, size);
    onnx_message(graph, 5, &tensor);
}

/* field 11: an input, 12: an output; a dim of -1 is left open. */
static inline void onnx_value_info(struct onnx_buffer *graph, int field, const char *name, int type,
                                   const int64_t *dims, int rank)
{
    struct onnx_buffer shape = {0}, tensor_type = {0}, type_proto = {0}, value = {0};

    for (int i = 0; i < rank; i++) {
        struct onnx_buffer dim = {0};

        if (dims[i] >= 0)
            onnx_int(&dim, 1, dims[i]);
        onnx_message(&shape, 1, &dim);
    }
    onnx_int(&tensor_type, 1, type);
    onnx_message(&tensor_type, 2, &shape);
    onnx_message(&type_proto, 1, &tensor_type);
    onnx_text(&value, 1, name);
    onnx_message(&value, 2, &type_proto);
    onnx_message(graph, field, &value);
}

/* Starts a node; NULL inputs are left away. Write attributes, then onnx_message(graph, 1, ...). */
static inline struct onnx_buffer onnx_node(const char *op, const char *name, const char *in0,
                                           const char *in1, const char *in2, const char *out)
{
    struct onnx_buffer node = {0};

    if (in0)
        onnx_text(&node, 1, in0);
    if (in1)
        onnx_text(&node, 1, in1);
    if (in2)
        onnx_text(&node, 1, in2);
    if (out)
        onnx_text(&node, 2, out);
    if (name)
        onnx_text(&node, 3, name);
    onnx_text(&node, 4, op);
    return node;
}

/* The file around a graph, which is released. */
static inline struct onnx_buffer onnx_model(struct onnx_buffer *graph)
{
    struct onnx_buffer model = {0};

    onnx_int(&model, 1, 8);
    onnx_message(&model, 7, graph);
    return model;
}

static inline void onnx_metadata(struct onnx_buffer *model, const char *key, const char *value)
{
    struct onnx_buffer entry = {0};

    onnx_text(&entry, 1, key);
    onnx_text(&entry, 2, value);
    onnx_message(model, 14, &entry);
}

#endif
