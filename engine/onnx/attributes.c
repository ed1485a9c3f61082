/* SPDX-License-Identifier: MIT */
/* Attributes of a node, checked against the table of its operator. */
#include "onnx/loader.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

static const char *type_name(int32_t type)
{
    static const char *const names[] = {"undefined",      "float",   "int",    "string",
                                        "tensor",         "graph",   "floats", "ints",
                                        "strings",        "tensors", "graphs", "sparse tensor",
                                        "sparse tensors", "type",    "types"};

    return type >= 0 && (size_t)type < sizeof(names) / sizeof(names[0]) ? names[type] : "unknown";
}

static int32_t expected_type(enum spc__onnx_kind kind)
{
    switch (kind) {
    case SPC__ONNX_INT:
        return SPC__ONNX_ATTRIBUTE_INT;
    case SPC__ONNX_FLOAT:
    case SPC__ONNX_RANGE:
        return SPC__ONNX_ATTRIBUTE_FLOAT;
    case SPC__ONNX_TEXT:
        return SPC__ONNX_ATTRIBUTE_STRING;
    case SPC__ONNX_INTS:
        return SPC__ONNX_ATTRIBUTE_INTS;
    default:
        return SPC__ONNX_ATTRIBUTE_FLOATS;
    }
}

static enum spc_status check_int(const struct spc__onnx_node *node,
                                 const struct spc__onnx_attribute *want, int64_t value)
{
    struct spc_error *err = node->loader->err;

    if (value >= want->min && value <= want->max)
        return SPC_OK;
    if (want->unsupported)
        return spc__fail(err, SPC_ERR_UNSUPPORTED, "node '%s': attribute %s is %lld: %s",
                         node->name, want->name, (long long)value, want->unsupported);
    return spc__fail(
        err, SPC_ERR_MODEL, "node '%s': attribute %s holds %lld, which is not within %lld to %lld",
        node->name, want->name, (long long)value, (long long)want->min, (long long)want->max);
}

static enum spc_status check_float(const struct spc__onnx_node *node,
                                   const struct spc__onnx_attribute *want, float value)
{
    bool sign_ok = want->kind == SPC__ONNX_FLOAT || value >= 0;

    if (isfinite(value) && sign_ok)
        return SPC_OK;
    return spc__fail(node->loader->err, SPC_ERR_MODEL,
                     "node '%s': attribute %s holds %g, which is no finite%s number", node->name,
                     want->name, value, want->kind == SPC__ONNX_FLOAT ? "" : " positive");
}

static enum spc_status read_text(const struct spc__onnx_node *node, const char *name,
                                 const ProtobufCBinaryData *bytes, char text[SPC_MAX_NAME])
{
    struct spc_error *err = node->loader->err;

    if (bytes->len >= SPC_MAX_NAME)
        return spc__fail(err, SPC_ERR_UNSUPPORTED,
                         "node '%s': attribute %s is %zu bytes long; at most %d are supported",
                         node->name, name, bytes->len, SPC_MAX_NAME - 1);
    if (bytes->len && memchr(bytes->data, 0, bytes->len))
        return spc__fail(err, SPC_ERR_MODEL, "node '%s': attribute %s holds a zero byte",
                         node->name, name);
    if (bytes->len)
        memcpy(text, bytes->data, bytes->len);
    text[bytes->len] = 0;
    return SPC_OK;
}

static enum spc_status read_ints(const struct spc__onnx_node *node,
                                 const struct spc__onnx_attribute *want,
                                 const Spc__Onnx__AttributeProto *attribute,
                                 struct spc__onnx_ints *ints)
{
    enum spc_status status = SPC_OK;

    if (want->count && attribute->n_ints != want->count)
        return spc__fail(node->loader->err, SPC_ERR_MODEL,
                         "node '%s': attribute %s has %zu values instead of %zu", node->name,
                         want->name, attribute->n_ints, want->count);
    if (attribute->n_ints > SPC_MAX_RANK)
        return spc__fail(node->loader->err, SPC_ERR_UNSUPPORTED,
                         "node '%s': attribute %s has %zu values; at most %d are supported",
                         node->name, want->name, attribute->n_ints, SPC_MAX_RANK);
    for (size_t i = 0; i < attribute->n_ints && !status; i++)
        status = check_int(node, want, attribute->ints[i]);
    ints->values = attribute->ints;
    ints->count = attribute->n_ints;
    return status;
}

static enum spc_status read_floats(const struct spc__onnx_node *node,
                                   const struct spc__onnx_attribute *want,
                                   const Spc__Onnx__AttributeProto *attribute,
                                   struct spc__onnx_floats *floats)
{
    enum spc_status status = SPC_OK;

    for (size_t i = 0; i < attribute->n_floats && !status; i++)
        status = check_float(node, want, attribute->floats[i]);
    floats->values = attribute->floats;
    floats->count = attribute->n_floats;
    return status;
}

static enum spc_status read_value(const struct spc__onnx_node *node,
                                  const struct spc__onnx_attribute *want,
                                  const Spc__Onnx__AttributeProto *attribute, void *field)
{
    int32_t type = expected_type(want->kind);

    if (want->kind == SPC__ONNX_IGNORED)
        return SPC_OK;
    if (attribute->type != type)
        return spc__fail(node->loader->err, SPC_ERR_MODEL,
                         "node '%s': attribute %s has type %s (%d) instead of %s", node->name,
                         want->name, type_name(attribute->type), attribute->type, type_name(type));
    switch (want->kind) {
    case SPC__ONNX_INT:
        *(int64_t *)field = attribute->i;
        return check_int(node, want, attribute->i);
    case SPC__ONNX_FLOAT:
    case SPC__ONNX_RANGE:
        *(float *)field = attribute->f;
        return check_float(node, want, attribute->f);
    case SPC__ONNX_TEXT:
        return read_text(node, want->name, &attribute->s, field);
    case SPC__ONNX_INTS:
        return read_ints(node, want, attribute, field);
    default:
        return read_floats(node, want, attribute, field);
    }
}

/* What the schema leaves out (see onnx.proto) carries meaning that cannot be ignored. */
static enum spc_status check_contents(const struct spc__onnx_node *node,
                                      const Spc__Onnx__AttributeProto *attribute)
{
    struct spc_error *err = node->loader->err;

    if (!attribute->name || !attribute->name[0])
        return spc__fail(err, SPC_ERR_MODEL, "node '%s': an attribute has no name", node->name);
    if (attribute->ref_attr_name && attribute->ref_attr_name[0])
        return spc__fail(err, SPC_ERR_UNSUPPORTED,
                         "node '%s': attribute '%.100s' refers to a function's attribute, which is "
                         "not supported: inline the functions of the model",
                         node->name, attribute->name);
    for (unsigned i = 0; i < attribute->base.n_unknown_fields; i++) {
        uint32_t tag = attribute->base.unknown_fields[i].tag;
        const char *what = tag == 6 || tag == 11   ? "a graph"
                           : tag == 5 || tag == 10 ? "a tensor"
                                                   : "data of an unknown kind";

        return spc__fail(
            err, SPC_ERR_UNSUPPORTED,
            "node '%s': attribute '%.100s' holds %s (field %u), which is not supported", node->name,
            attribute->name, what, (unsigned)tag);
    }
    return SPC_OK;
}

static const struct spc__onnx_attribute *find_known(const struct spc__onnx_attribute *table,
                                                    size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(table[i].name, name))
            return &table[i];
    return NULL;
}

static enum spc_status check_all(const struct spc__onnx_node *node,
                                 const struct spc__onnx_attribute *table, size_t count)
{
    const Spc__Onnx__NodeProto *proto = node->proto;
    enum spc_status status;

    if (proto->n_attribute > SPC__ONNX_MAX_ATTRIBUTES)
        return spc__fail(node->loader->err, SPC_ERR_UNSUPPORTED,
                         "node '%s': %zu attributes; at most %d are supported", node->name,
                         proto->n_attribute, SPC__ONNX_MAX_ATTRIBUTES);
    for (size_t i = 0; i < proto->n_attribute; i++) {
        status = check_contents(node, proto->attribute[i]);
        if (status)
            return status;
        if (!find_known(table, count, proto->attribute[i]->name))
            spc__log(&node->loader->log, SPC_LOG_WARNING,
                     "node '%s': attribute '%.100s' of %s is unknown and has no effect", node->name,
                     proto->attribute[i]->name, node->op);
    }
    return SPC_OK;
}

static enum spc_status read_one(const struct spc__onnx_node *node,
                                const struct spc__onnx_attribute *want, void *fields)
{
    const Spc__Onnx__AttributeProto *found = NULL;
    struct spc_error *err = node->loader->err;

    for (size_t i = 0; i < node->proto->n_attribute; i++) {
        const Spc__Onnx__AttributeProto *attribute = node->proto->attribute[i];

        if (strcmp(attribute->name, want->name))
            continue;
        if (found)
            return spc__fail(err, SPC_ERR_MODEL, "node '%s': attribute %s is given twice",
                             node->name, want->name);
        found = attribute;
    }
    if (found)
        return read_value(node, want, found, (char *)fields + want->offset);
    if (want->required)
        return spc__fail(err, SPC_ERR_MODEL, "node '%s': attribute %s is missing", node->name,
                         want->name);
    return SPC_OK;
}

enum spc_status spc__onnx_read_attributes(const struct spc__onnx_node *node,
                                          const struct spc__onnx_attribute *table, size_t count,
                                          void *fields)
{
    enum spc_status status = check_all(node, table, count);

    for (size_t i = 0; i < count && !status; i++)
        status = read_one(node, &table[i], fields);
    return status;
}
