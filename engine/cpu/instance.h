/* SPDX-License-Identifier: MIT */
/*
 * An instance of the CPU backend: a plan with its index structures, memory and kernels.
 *
 * A frame is a list of steps, fixed when the instance is made: the sites of every level, the pairs
 * of every rulebook, the input in site order, the nodes, the outputs.
 */
#ifndef SPC_CPU_INSTANCE_H
#define SPC_CPU_INSTANCE_H

#include "backend.h"
#include "base/mem.h"
#include "base/pool.h"
#include "cpu/kernels.h"
#include "cpu/pairs.h"
#include "cpu/sites.h"

/* Output rows of the smallest window of a rulebook. */
#define SPC__MIN_WINDOW 64
/* Accumulators of a window, 128 KB: with the weights of one offset and the input rows they stay in
 * a core's L2 cache. Measured from 16 KB to 256 KB: within 3 % of one another; smaller windows
 * share better among many threads. */
#define SPC__WINDOW_FLOATS 32768

enum spc__cpu_step_kind {
    SPC__STEP_SITES,  /* index: level */
    SPC__STEP_PAIRS,  /* index: rulebook */
    SPC__STEP_INPUT,
    SPC__STEP_NODE,   /* index: node */
    SPC__STEP_OUTPUT, /* index: output that is not written where it is computed */
};

struct spc__cpu_step {
    enum spc__cpu_step_kind kind;
    int index;
    struct spc_step_profile profile;
};

struct spc__cpu_level {
    bool used;
    struct spc__sites sites;
    int32_t *indices; /* [bound][4] where a sparse output is on this level; else NULL */
};

struct spc__cpu_rulebook {
    bool used;
    int panels; /* of the widest convolution */
    struct spc__geometry geometry;
    struct spc__pairs pairs;
};

/* Weights of one convolution as the kernels read them, shared between instances. */
struct spc__packed {
    size_t bytes;
    int panels;
    float *weights; /* [offsets][panels][cin][16] */
};

struct spc__cpu_output {
    bool direct;       /* computed where the caller gets it */
    bool input_order;  /* rows are put back into the input's order */
    void *own;         /* what the caller gets where it brings no memory */
    void *store;       /* the value's memory where it is not direct and the value is its own */
    void *target;      /* of this frame: own or the caller's */
    struct spc_output_info info;
};

struct spc__cpu {
    const struct spc__plan *plan;
    const struct spc__kernels *kernels;
    struct spc__pool *pool;
    bool profile;
    struct spc__cpu_level *levels;
    struct spc__cpu_rulebook *rulebooks;
    const struct spc__packed **packed; /* [num_nodes], NULL but for convolutions */
    struct spc__cpu_output *outputs;
    struct spc__cpu_step *steps;
    int num_steps;
    int32_t *row_of_input;   /* [max_voxels] */
    char *arena;
    float *acc;              /* [threads][acc_floats]: a window's accumulators */
    size_t acc_floats;
    float *wide;             /* fp16: the input rows of a convolution as float32 */
    int64_t *cells;          /* scatter: first cell of each row */
    void **values;           /* [num_values] memory of each value, of this frame */
    const struct spc_voxels *voxels; /* of this frame */
    int64_t frame_voxels; /* rows of it, for who asks later */
    size_t host_bytes, shared_bytes;
    char device[128]; /* the processor's name: asking for it is slow */
};

/* backend_cpu.c: the processor's name, where the system tells it. */
void spc__cpu_processor(char *name, size_t size);

/* weights.c: the packed weights of a convolution, from `shared` or made. */
enum spc_status spc__cpu_weights(struct spc__shared *shared, const struct spc__node *node,
                                 int offsets, enum spc_precision precision,
                                 const struct spc__packed **packed, struct spc_error *err);

/* create.c */
enum spc_status spc__cpu_create(const struct spc__plan *plan, struct spc__shared *shared,
                                const struct spc__backend_options *options, void **instance,
                                struct spc_error *err);
void spc__cpu_destroy(void *instance);

/* frame.c */
enum spc_status spc__cpu_submit(void *instance, const struct spc_voxels *voxels,
                                struct spc_output *outputs, int num_outputs,
                                struct spc_error *err);

/* run_*.c: one step of a frame each. */
void spc__cpu_run_conv(struct spc__cpu *cpu, const struct spc__node *node,
                       const struct spc__packed *packed);
void spc__cpu_run_add(struct spc__cpu *cpu, const struct spc__node *node);
void spc__cpu_run_scatter(struct spc__cpu *cpu, const struct spc__node *node);
void spc__cpu_run_transpose(struct spc__cpu *cpu, const struct spc__node *node);
void spc__cpu_run_reshape(struct spc__cpu *cpu, const struct spc__node *node);
void spc__cpu_run_input(struct spc__cpu *cpu);
void spc__cpu_run_output(struct spc__cpu *cpu, int output);

/* Elements of a value, of this frame. */
int64_t spc__cpu_count(const struct spc__cpu *cpu, int value);
/* Output rows of a window, for this number of rows. */
int spc__cpu_window(int64_t rows, int panels, int threads);

#endif
