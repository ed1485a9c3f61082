/* SPDX-License-Identifier: MIT */
/* Initializers: finding them, checking their lengths, and turning them into floats. */
#include "onnx/loader.h"

#include "base/error.h"
#include "base/half.h"
#include "base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LOCATION_EXTERNAL 1

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct spc__onnx_initializer *)a)->name,
                  ((const struct spc__onnx_initializer *)b)->name);
}

static enum spc_status check_stored(const Spc__Onnx__TensorProto *proto, struct spc_error *err)
{
    if (!proto->name || !proto->name[0])
        return spc__fail(err, SPC_ERR_MODEL, "an initializer has no name");
    if (proto->n_external_data || proto->data_location == LOCATION_EXTERNAL)
        return spc__fail(err, SPC_ERR_UNSUPPORTED,
                         "initializer '%.100s': its data is in another file, which is not "
                         "supported: save the model as one file",
                         proto->name);
    return SPC_OK;
}

enum spc_status spc__onnx_index_initializers(struct spc__onnx_loader *loader)
{
    size_t count = loader->proto->n_initializer;
    enum spc_status status;

    if (count > SPC__ONNX_MAX_INITIALIZERS)
        return spc__fail(loader->err, SPC_ERR_UNSUPPORTED,
                         "the graph has %zu initializers; at most %d are supported", count,
                         SPC__ONNX_MAX_INITIALIZERS);
    loader->initializers = spc__alloc_zeroed(count, sizeof(*loader->initializers));
    if (!loader->initializers)
        return spc__fail_memory(loader->err, count * sizeof(*loader->initializers), "initializers");
    for (size_t i = 0; i < count; i++) {
        const Spc__Onnx__TensorProto *proto = loader->proto->initializer[i];

        status = check_stored(proto, loader->err);
        if (status)
            return status;
        loader->initializers[i].name = proto->name;
        loader->initializers[i].proto = proto;
    }
    loader->num_initializers = count;
    qsort(loader->initializers, count, sizeof(*loader->initializers), by_name);
    for (size_t i = 1; i < count; i++)
        if (!by_name(&loader->initializers[i - 1], &loader->initializers[i]))
            return spc__fail(loader->err, SPC_ERR_MODEL, "two initializers are named '%.100s'",
                             loader->initializers[i].name);
    return SPC_OK;
}

struct spc__onnx_initializer *spc__onnx_find_initializer(const struct spc__onnx_loader *loader,
                                                         const char *name)
{
    struct spc__onnx_initializer key = {.name = name};

    return bsearch(&key, loader->initializers, loader->num_initializers, sizeof(key), by_name);
}

enum spc_status spc__onnx_get_initializer(const struct spc__onnx_node *node, size_t i,
                                          const char *what,
                                          struct spc__onnx_initializer **initializer)
{
    const char *name = node->proto->input[i];

    *initializer = spc__onnx_find_initializer(node->loader, name);
    if (*initializer)
        return SPC_OK;
    return spc__fail(node->loader->err, SPC_ERR_MODEL,
                     "node '%s': its %s, input %zu, is '%.100s', which is no initializer",
                     node->name, what, i, name);
}

/* ---- elements --------------------------------------------------------------------------- */

/* Elements that the dims announce; fails where the product overflows or a dim is not positive. */
static bool count_elements(const Spc__Onnx__TensorProto *proto, size_t *count)
{
    *count = 1;
    for (size_t i = 0; i < proto->n_dims; i++)
        if (proto->dims[i] <= 0 || !spc__mul(*count, (size_t)proto->dims[i], count))
            return false;
    return true;
}

/* Elements of this size that are stored, in whichever of its fields the file uses. */
static enum spc_status check_length(const struct spc__onnx_node *node,
                                    const Spc__Onnx__TensorProto *proto, size_t element,
                                    size_t typed)
{
    size_t count, stored;

    if (!count_elements(proto, &count))
        return spc__fail(
            node->loader->err, SPC_ERR_MODEL,
            "node '%s': initializer '%.100s' has a dim that is not positive, or too many "
            "elements",
            node->name, proto->name);
    if (proto->has_raw_data && typed)
        return spc__fail(node->loader->err, SPC_ERR_MODEL,
                         "node '%s': initializer '%.100s' holds its data twice", node->name,
                         proto->name);
    stored = proto->has_raw_data ? proto->raw_data.len / element : typed;
    if (stored != count || (proto->has_raw_data && proto->raw_data.len % element))
        return spc__fail(node->loader->err, SPC_ERR_MODEL,
                         "node '%s': initializer '%.100s' holds %zu bytes, but its dims need %zu "
                         "elements of %zu bytes",
                         node->name, proto->name,
                         proto->has_raw_data ? proto->raw_data.len : typed * element, count,
                         element);
    return SPC_OK;
}

/* The bits of binary16 may be stored as one int32 each. */
static enum spc_status check_half_bits(const struct spc__onnx_node *node,
                                       const Spc__Onnx__TensorProto *proto)
{
    for (size_t i = 0; i < proto->n_int32_data; i++)
        if (proto->int32_data[i] & ~0xffff)
            return spc__fail(node->loader->err, SPC_ERR_MODEL,
                             "node '%s': element %zu of initializer '%.100s' is %d, which is no "
                             "float16's bits",
                             node->name, i, proto->name, proto->int32_data[i]);
    return check_length(node, proto, sizeof(uint16_t), proto->n_int32_data);
}

/* Fails unless the initializer holds floats of either size, as many as its dims say. */
static enum spc_status check_floats(const struct spc__onnx_node *node,
                                    const Spc__Onnx__TensorProto *proto)
{
    switch (proto->data_type) {
    case SPC__ONNX_TYPE_FLOAT:
        return check_length(node, proto, sizeof(float), proto->n_float_data);
    case SPC__ONNX_TYPE_FLOAT16:
        return check_half_bits(node, proto);
    default:
        return spc__fail(node->loader->err, SPC_ERR_UNSUPPORTED,
                         "node '%s': initializer '%.100s' has ONNX data type %d; float32 (1) and "
                         "float16 (10) are supported",
                         node->name, proto->name, proto->data_type);
    }
}

static uint64_t little_endian(const uint8_t *bytes, size_t size)
{
    uint64_t value = 0;

    for (size_t i = size; i > 0; i--)
        value = value << 8 | bytes[i - 1];
    return value;
}

static float get_float(const Spc__Onnx__TensorProto *proto, size_t i)
{
    const uint8_t *raw = proto->raw_data.data;
    uint32_t bits;
    float value;

    if (proto->data_type == SPC__ONNX_TYPE_FLOAT16)
        return spc__half_to_float(proto->has_raw_data ? (uint16_t)little_endian(raw + 2 * i, 2)
                                                      : (uint16_t)proto->int32_data[i]);
    if (!proto->has_raw_data)
        return proto->float_data[i];
    bits = (uint32_t)little_endian(raw + 4 * i, 4);
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static enum spc_status refuse_value(const struct spc__onnx_node *node,
                                    const Spc__Onnx__TensorProto *proto, size_t i, float value)
{
    return spc__fail(node->loader->err, SPC_ERR_MODEL,
                     "node '%s': element %zu of initializer '%.100s' is %s: weights must be finite",
                     node->name, i, proto->name, isnan(value) ? "NaN" : "infinite");
}

/* A block of the graph, remembered so that initializers that nodes share are converted once. */
static float *new_block(const struct spc__onnx_node *node, struct spc__onnx_initializer *init,
                        size_t count)
{
    init->values = spc__graph_block(node->loader->graph, count);
    if (!init->values)
        spc__fail_memory(node->loader->err, count * sizeof(float), init->name);
    return init->values;
}

/* ---- weights ---------------------------------------------------------------------------- */

static enum spc_status check_weight_dims(const struct spc__onnx_node *node,
                                         const Spc__Onnx__TensorProto *proto, const int64_t dims[5])
{
    const int64_t *d = proto->dims;

    if (proto->n_dims != 5)
        return spc__fail(
            node->loader->err, SPC_ERR_MODEL,
            "node '%s': weights '%.100s' have %zu dims instead of 5: [out][k][k][k][in]",
            node->name, proto->name, proto->n_dims);
    if (!memcmp(d, dims, 5 * sizeof(*d)))
        return SPC_OK;
    return spc__fail(node->loader->err, SPC_ERR_MODEL,
                     "node '%s': weights '%.100s' are [%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
                     ",%" PRId64 "], but kernel_size and channels say [%" PRId64 ",%" PRId64
                     ",%" PRId64 ",%" PRId64 ",%" PRId64 "]",
                     node->name, proto->name, d[0], d[1], d[2], d[3], d[4], dims[0], dims[1],
                     dims[2], dims[3], dims[4]);
}

/* Reads the file's [out][k0][k1][k2][in] in its order and puts each element in its place.
 * `step` is the canonical kernel offset's step along each kernel axis of the file. */
static enum spc_status fill_weights(const struct spc__onnx_node *node,
                                    const Spc__Onnx__TensorProto *proto, const int64_t dims[5],
                                    const int64_t step[3], float *weights)
{
    size_t cout = (size_t)dims[0], cin = (size_t)dims[4];
    size_t offsets = (size_t)(dims[1] * dims[2] * dims[3]);
    size_t i = 0;

    for (size_t o = 0; o < cout; o++) {
        for (size_t k = 0; k < offsets; k++) {
            size_t k0 = k / (size_t)(dims[2] * dims[3]), k1 = k / (size_t)dims[3] % (size_t)dims[2];
            size_t k2 = k % (size_t)dims[3];
            size_t offset = k0 * (size_t)step[0] + k1 * (size_t)step[1] + k2 * (size_t)step[2];

            for (size_t c = 0; c < cin; c++, i++) {
                float value = get_float(proto, i);

                if (!isfinite(value))
                    return refuse_value(node, proto, i, value);
                weights[(offset * cin + c) * cout + o] = value;
            }
        }
    }
    return SPC_OK;
}

enum spc_status spc__onnx_get_weights(const struct spc__onnx_node *node,
                                      struct spc__onnx_initializer *initializer,
                                      const int32_t kernel[3], int32_t cin, int32_t cout,
                                      const float **weights)
{
    const Spc__Onnx__TensorProto *proto = initializer->proto;
    bool zyx = node->loader->order == SPC_INDEX_ZYX;
    int64_t dims[5] = {cout, kernel[zyx ? 0 : 2], kernel[1], kernel[zyx ? 2 : 0], cin};
    int64_t step[3] = {(int64_t)kernel[1] * kernel[2], kernel[2], 1};
    enum spc_status status = check_weight_dims(node, proto, dims);

    if (!zyx) {
        step[2] = step[0];
        step[0] = 1;
    }
    if (!status && !initializer->values) {
        status = check_floats(node, proto);
        if (!status &&
            !new_block(node, initializer,
                       (size_t)(step[zyx ? 0 : 2] * kernel[0]) * (size_t)cin * (size_t)cout))
            status = SPC_ERR_MEMORY;
        if (!status)
            status = fill_weights(node, proto, dims, step, initializer->values);
    }
    *weights = initializer->values;
    return status;
}

/* ---- vectors ---------------------------------------------------------------------------- */

enum spc_status spc__onnx_get_vector(const struct spc__onnx_node *node,
                                     struct spc__onnx_initializer *initializer, int32_t count,
                                     const float **values)
{
    const Spc__Onnx__TensorProto *proto = initializer->proto;
    enum spc_status status = SPC_OK;

    if (proto->n_dims != 1 || proto->dims[0] != count)
        return spc__fail(node->loader->err, SPC_ERR_MODEL,
                         "node '%s': initializer '%.100s' must have one dim, of %d elements",
                         node->name, proto->name, count);
    if (!initializer->values) {
        status = check_floats(node, proto);
        if (!status && !new_block(node, initializer, (size_t)count))
            status = SPC_ERR_MEMORY;
        for (size_t i = 0; i < (size_t)count && !status; i++) {
            initializer->values[i] = get_float(proto, i);
            if (!isfinite(initializer->values[i]))
                status = refuse_value(node, proto, i, initializer->values[i]);
        }
    }
    *values = initializer->values;
    return status;
}

enum spc_status spc__onnx_get_dims(const struct spc__onnx_node *node,
                                   const struct spc__onnx_initializer *initializer,
                                   int64_t dims[SPC_MAX_RANK], int *rank)
{
    const Spc__Onnx__TensorProto *proto = initializer->proto;
    enum spc_status status;

    if (proto->data_type != SPC__ONNX_TYPE_INT64 || proto->n_dims != 1 ||
        proto->dims[0] > SPC_MAX_RANK)
        return spc__fail(node->loader->err, SPC_ERR_MODEL,
                         "node '%s': initializer '%.100s' must hold at most %d int64 in one dim",
                         node->name, proto->name, SPC_MAX_RANK);
    status = check_length(node, proto, sizeof(int64_t), proto->n_int64_data);
    if (status)
        return status;
    *rank = (int)proto->dims[0];
    for (int i = 0; i < *rank; i++)
        dims[i] = proto->has_raw_data ? (int64_t)little_endian(proto->raw_data.data + 8 * i, 8)
                                      : proto->int64_data[i];
    return SPC_OK;
}
