/* SPDX-License-Identifier: MIT */
/*
 * What the loader's files share: the file being loaded, one node of it, and how attributes and
 * initializers are read. Functions that return a status fail with a message that names the node.
 */
#ifndef SPC_ONNX_LOADER_H
#define SPC_ONNX_LOADER_H

#include "onnx/onnx.h"
#include "onnx/onnx.pb-c.h"

/* Bounds that no real network comes near. */
#define SPC__ONNX_MAX_NODES 10000
#define SPC__ONNX_MAX_INITIALIZERS (3 * SPC__ONNX_MAX_NODES)
#define SPC__ONNX_MAX_OUTPUTS 1000
#define SPC__ONNX_MAX_ATTRIBUTES 100 /* of one node */
#define SPC__ONNX_MAX_NAME 1000      /* bytes of a value's name */

/* AttributeProto.type and TensorProto.data_type, those that are read. */
enum {
    SPC__ONNX_ATTRIBUTE_FLOAT = 1,
    SPC__ONNX_ATTRIBUTE_INT = 2,
    SPC__ONNX_ATTRIBUTE_STRING = 3,
    SPC__ONNX_ATTRIBUTE_FLOATS = 6,
    SPC__ONNX_ATTRIBUTE_INTS = 7,

    SPC__ONNX_TYPE_FLOAT = 1,
    SPC__ONNX_TYPE_INT64 = 7,
    SPC__ONNX_TYPE_FLOAT16 = 10,
};

struct spc__onnx_initializer {
    const char *name;
    const Spc__Onnx__TensorProto *proto;
    float *values; /* graph block, once a node has used it as weights or bias */
};

struct spc__onnx_loader {
    const Spc__Onnx__GraphProto *proto;
    struct spc__graph *graph;
    enum spc_index_order order;                 /* never AUTO */
    struct spc__onnx_initializer *initializers; /* by name */
    size_t num_initializers;
    struct spc__log log;
    struct spc_error *err;
};

struct spc__onnx_node {
    struct spc__onnx_loader *loader;
    const Spc__Onnx__NodeProto *proto;
    size_t index;
    char name[SPC_MAX_NAME]; /* the file's, or "Relu_7" where it gives none */
    const char *op;
    const char *out; /* name of its one output */
};

/* ---- attributes ------------------------------------------------------------------------- */

enum spc__onnx_kind {
    SPC__ONNX_INT,     /* int64_t, within min .. max */
    SPC__ONNX_FLOAT,   /* float, finite */
    SPC__ONNX_RANGE,   /* float, finite and not negative */
    SPC__ONNX_TEXT,    /* char[SPC_MAX_NAME] */
    SPC__ONNX_INTS,    /* struct spc__onnx_ints, each within min .. max */
    SPC__ONNX_RANGES,  /* struct spc__onnx_floats, each finite and not negative */
    SPC__ONNX_IGNORED, /* known, and without meaning for inference */
};

/* Lists point into the file; count 0 where the attribute is absent. */
struct spc__onnx_ints {
    const int64_t *values;
    size_t count;
};

struct spc__onnx_floats {
    const float *values;
    size_t count;
};

/* One attribute that an operator knows. */
struct spc__onnx_attribute {
    const char *name;
    enum spc__onnx_kind kind;
    size_t offset; /* of the field that receives the value */
    int64_t min, max;
    size_t count; /* INTS: how many, where present; 0: any number up to SPC_MAX_RANK */
    bool required;
    const char *unsupported; /* what to say, as SPC_ERR_UNSUPPORTED, of a value out of bounds */
};

/* Fills `fields`, which hold the defaults, from the node's attributes, in the table's order. An
 * attribute that the table does not know is logged. */
enum spc_status spc__onnx_read_attributes(const struct spc__onnx_node *node,
                                          const struct spc__onnx_attribute *table, size_t count,
                                          void *fields);

/* ---- initializers ----------------------------------------------------------------------- */

/* Sorts the file's initializers by name and refuses what cannot be read. */
enum spc_status spc__onnx_index_initializers(struct spc__onnx_loader *loader);
/* NULL where there is none of this name. */
struct spc__onnx_initializer *spc__onnx_find_initializer(const struct spc__onnx_loader *loader,
                                                         const char *name);
/* Input `i` of the node, which must be an initializer. */
enum spc_status spc__onnx_get_initializer(const struct spc__onnx_node *node, size_t i,
                                          const char *what,
                                          struct spc__onnx_initializer **initializer);

/* The file's [out][k0][k1][k2][in] as [Kz*Ky*Kx][in][out]; `kernel` is z, y, x. The block is made
 * once, and belongs to the graph. */
enum spc_status spc__onnx_get_weights(const struct spc__onnx_node *node,
                                      struct spc__onnx_initializer *initializer,
                                      const int32_t kernel[3], int32_t cin, int32_t cout,
                                      const float **weights);
/* A vector of `count` floats. */
enum spc_status spc__onnx_get_vector(const struct spc__onnx_node *node,
                                     struct spc__onnx_initializer *initializer, int32_t count,
                                     const float **values);
/* A vector of at most SPC_MAX_RANK integers. */
enum spc_status spc__onnx_get_dims(const struct spc__onnx_node *node,
                                   const struct spc__onnx_initializer *initializer,
                                   int64_t dims[SPC_MAX_RANK], int *rank);

/* ---- nodes ------------------------------------------------------------------------------ */

/* Value that input `i` of the node names. */
enum spc_status spc__onnx_get_input(const struct spc__onnx_node *node, size_t i, int *value);
/* Fails unless the node has `min` to `max` inputs. */
enum spc_status spc__onnx_check_inputs(const struct spc__onnx_node *node, size_t min, size_t max);
/* "fp16" or "int8", and what stands for them; `what` is the attribute. */
enum spc_status spc__onnx_parse_precision(const struct spc__onnx_node *node, const char *what,
                                          const char *text, enum spc__store *store);

/* Adds the node to the graph, by its operator; fails by name where there is no such operator. */
enum spc_status spc__onnx_add_node(const struct spc__onnx_node *node);
enum spc_status spc__onnx_add_conv(const struct spc__onnx_node *node);

/* The triple `from` in the file's order as z, y, x. */
void spc__onnx_to_zyx(enum spc_index_order order, const int64_t *from, int32_t to[3]);

/* ---- the file as a whole ---------------------------------------------------------------- */

/* Sets the loader's index order from `wanted`, else from the file, and finds the grid (z, y, x)
 * and the channels of the input at the first convolution. */
enum spc_status spc__onnx_find_input(struct spc__onnx_loader *loader, enum spc_index_order wanted,
                                     int32_t grid[3], int32_t *channels);

/* Reads `spc.*` of the model's metadata_props into the graph's info. */
enum spc_status spc__onnx_read_metadata(struct spc__onnx_loader *loader,
                                        const Spc__Onnx__ModelProto *model);

#endif
