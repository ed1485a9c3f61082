/* SPDX-License-Identifier: MIT */
/*
 * The network as the engine sees it: values, nodes, site levels and rulebooks.
 *
 * A loader (onnx/) builds a graph with the functions below, which check every shape; passes
 * (passes.h) rewrite a copy of it; a plan (plan.h) adds memory. Backends read it.
 *
 * Axes are canonical: every spatial triple is z, y, x here, whatever the file's index order was.
 * Only reading index rows and describing shapes to the user look at `index_order`.
 */
#ifndef SPC_GRAPH_GRAPH_H
#define SPC_GRAPH_GRAPH_H

#include "base/act.h"
#include "base/log.h"

#include <spc/spc.h>

/* Limits that keep every size computation far from overflow. */
#define SPC__MAX_GRID (1 << 15)       /* cells of one axis */
#define SPC__MAX_KERNEL 15            /* extent of one kernel axis */
#define SPC__MAX_CHANNELS 4096
#define SPC__MAX_SITES ((int64_t)1 << 27)
#define SPC__MAX_DENSE (((int64_t)1 << 31) - 1) /* elements of a dense value */
#define SPC__DEFAULT_BOUND 200000

/* A set of active sites: one resolution of the network. Level 0 is the input. */
struct spc__level {
    int32_t grid[3]; /* z, y, x */
    int64_t bound;   /* most sites; in a plan, what the session's options make of it */
    int node;        /* node whose output_bound it is; -1: the input */
    int rulebook;    /* the STRIDED rulebook that makes these sites; -1: the input */
};

enum spc__rulebook_kind {
    SPC__SUBM,    /* out sites = in sites; pairs (o + (k - K/2) * dilation, k, o) */
    SPC__STRIDED, /* out sites = all o with a pair; pairs (o * stride + k * dilation - pad, k, o) */
    SPC__INVERSE, /* pairs of `forward` with in and out swapped, same k */
};

/* Which input row meets which kernel offset for which output row. Equal geometry on equal levels
 * is one rulebook, whatever keys the file uses. Kernel offset k = (kz * Ky + ky) * Kx + kx.
 * A SUBM rulebook has stride 1 and padding K/2 * dilation, whatever the file says; a strided 1x1x1
 * convolution of stride 1 without padding is SUBM. A rulebook may be there only because a level or
 * an INVERSE one refers to it: no node need use its pairs. */
struct spc__rulebook {
    enum spc__rulebook_kind kind;
    int in_level, out_level;
    int32_t kernel[3], stride[3], padding[3], dilation[3]; /* z, y, x; of `forward` if INVERSE */
    int forward; /* INVERSE: the STRIDED rulebook it reverses; else -1 */
};

enum spc__value_kind {
    SPC__SPARSE, /* [sites of level][channels] */
    SPC__DENSE,  /* dims */
};

struct spc__value {
    char *name;
    enum spc__value_kind kind;
    int32_t channels; /* SPARSE: columns; DENSE: of the sparse value that was scattered */
    int level;        /* SPARSE: its sites; DENSE: the level it was scattered from */
    int rank;         /* DENSE */
    int64_t dims[SPC_MAX_RANK];
    enum spc_layout layout; /* DENSE; Reshape, Add and activations keep it */
    /* DENSE: the axes c, z, y, x (0 to 3) of more than one cell, as they run in memory, outermost
     * first; num_axes is -1 where memory is no order of whole axes. See axes.h. */
    int axes[4], num_axes;
    float amax;             /* int8: range when stored as int8; 0 where the file gives none */
};

enum spc__op {
    SPC__OP_CONV,      /* in[0] sparse; bias, then residual, then activation */
    SPC__OP_ADD,       /* in[0] + in[1], sparse on one level or dense of one shape; activation */
    SPC__OP_ACT,       /* activation alone; sparse or dense */
    SPC__OP_SCATTER,   /* sparse -> dense; cells without a site are zero */
    SPC__OP_TRANSPOSE, /* dense; out.dims[i] = in.dims[perm[i]] */
    SPC__OP_RESHAPE,   /* dense; same memory, other dims */
};

enum spc__store { /* what a PTQ file says of a node's precision; used by int8 only */
    SPC__STORE_FP16,
    SPC__STORE_INT8,
};

struct spc__node {
    enum spc__op op;
    char *name;     /* from the file; fused names are joined with '+' */
    char *op_type;  /* the ONNX operator */
    int in[2];      /* values; -1 where unused */
    int out;        /* value */
    enum spc__act act;
    float act_slope; /* LEAKY_RELU */

    /* CONV */
    int rulebook;
    char *key;            /* the file's rulebook name, "" if none */
    int32_t cin, cout;
    const float *weights; /* [Kz*Ky*Kx][cin][cout]; owned by the graph that was loaded */
    const float *bias;    /* [cout] or NULL */
    int residual;         /* value that is added before the activation; -1: none */
    float in_amax;        /* input_dynamic_range; 0: absent */
    const float *weight_amax; /* [cout] or NULL */

    /* ADD: of in[0] and in[1]. CONV with a residual: of its own sum and the residual. */
    float add_amax[2];

    /* SCATTER: element (c, z, y, x) of the input goes to out[c*s[0] + z*s[1] + y*s[2] + x*s[3]],
     * in elements. With layout NCHW32, channel q = c*Z+z goes to
     * ((q/32 * Y + y) * X + x) * 32 + q % 32 instead. */
    int64_t scatter_stride[4];
    float scatter_amax; /* > 0: int8 output is asked for */

    /* TRANSPOSE */
    int perm[SPC_MAX_RANK];

    enum spc__store compute, store;
};

struct spc__graph {
    enum spc_index_order index_order;
    struct spc__level *levels;
    int num_levels;
    struct spc__rulebook *rulebooks;
    int num_rulebooks;
    struct spc__value *values; /* values[0] is the input */
    int num_values;
    struct spc__node *nodes; /* topological order */
    int num_nodes;
    int *outputs; /* values */
    int num_outputs;
    /* Owned blocks: weights, biases, ranges. Only the loaded graph has them; copies borrow. */
    void **blocks;
    int num_blocks;
    struct spc_model_info info; /* metadata; grid and counts are filled by graph_finish */
};

/* ---- building, with checks: all return SPC_OK or fail with a message that names the node ----
 * After a failure the graph is fit for spc__graph_clear() only. */

/* An empty graph whose input is `name`: sparse, `channels` columns, on `grid` (z, y, x). */
enum spc_status spc__graph_init(struct spc__graph *graph, enum spc_index_order order,
                                const char *name, int32_t channels, const int32_t grid[3],
                                struct spc_error *err);

/* Index of the value with this name, or -1. */
int spc__graph_find(const struct spc__graph *graph, const char *name);

/* Keeps a block of `count` floats for the graph's life (weights). NULL where memory is short. */
float *spc__graph_block(struct spc__graph *graph, size_t count);

struct spc__conv_params {
    enum spc__rulebook_kind kind;
    const char *key;                                       /* "" if none */
    int32_t kernel[3], stride[3], padding[3], dilation[3]; /* z, y, x */
    int32_t in_grid[3], out_grid[3]; /* as the file declares; all 0 where it does not */
    int64_t bound;                   /* output_bound; 0: default */
    int32_t cin, cout;
    const float *weights, *bias, *weight_amax; /* graph blocks, see spc__node */
    enum spc__act act;
    float act_slope, in_amax;
    enum spc__store compute, store;
};

/* Each adds a node named `name` of ONNX type `op_type` that makes a value named `out`. */
enum spc_status spc__graph_add_conv(struct spc__graph *graph, const char *name,
                                    const char *op_type, int in, const char *out,
                                    const struct spc__conv_params *params, struct spc_error *err);
enum spc_status spc__graph_add_add(struct spc__graph *graph, const char *name, const char *op_type,
                                   int in0, int in1, const char *out, const float amax[2],
                                   enum spc__store compute, enum spc__store store,
                                   struct spc_error *err);
enum spc_status spc__graph_add_act(struct spc__graph *graph, const char *name,
                                   const char *op_type, int in, const char *out, enum spc__act act,
                                   float slope, struct spc_error *err);
/* Makes [1][C][Z][Y][X] or, for index order xyz, [1][C][X][Y][Z]; layouts as enum spc_layout. */
enum spc_status spc__graph_add_scatter(struct spc__graph *graph, const char *name, int in,
                                       const char *out, enum spc_index_order format,
                                       enum spc_layout layout, float amax, struct spc_error *err);
enum spc_status spc__graph_add_transpose(struct spc__graph *graph, const char *name, int in,
                                         const char *out, const int64_t *perm, int rank,
                                         struct spc_error *err);
/* One dim may be -1 (what is left), 0 keeps the input's dim, as ONNX defines. */
enum spc_status spc__graph_add_reshape(struct spc__graph *graph, const char *name, int in,
                                       const char *out, const int64_t *dims, int rank,
                                       struct spc_error *err);
enum spc_status spc__graph_add_output(struct spc__graph *graph, int value, struct spc_error *err);

/* After the last node: drops nodes that no output needs, fills counts in `info`. */
enum spc_status spc__graph_finish(struct spc__graph *graph, struct spc_error *err);

/* ---- use -------------------------------------------------------------------------------- */

/* A copy that passes may rewrite; it borrows the original's blocks, which must outlive it. */
enum spc_status spc__graph_copy(struct spc__graph *copy, const struct spc__graph *graph,
                                struct spc_error *err);
void spc__graph_clear(struct spc__graph *graph);

/* Kernel offsets of a rulebook. */
int spc__rulebook_offsets(const struct spc__rulebook *rulebook);

/* Describes a value as an output to the user. `bound`: rows of a sparse one. */
void spc__graph_describe(const struct spc__graph *graph, int value, int64_t bound,
                         struct spc_output_info *info);

#endif
