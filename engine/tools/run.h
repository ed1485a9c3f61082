/* SPDX-License-Identifier: MIT */
/* A model and a session from a tool's command line, and frames through it. */
#ifndef SPC_TOOLS_RUN_H
#define SPC_TOOLS_RUN_H

#include "args.h"

#include <spc/spc.h>

/* Options that every tool which runs a model has. */
struct run_options {
    const char *model, *features, *indices, *grid_size;
    const char *backend, *isa, *tuning_cache;
    int precision, row_order, output_type, index_order; /* as the choices below */
    int64_t device, threads, max_voxels, site_bound;
    bool verbose;
};

/* Lines of an option table for `o`, a struct run_options; `threads` is left to the tool. */
#define RUN_ARGS(o)                                                                                \
    {"--model", ARG_TEXT, &(o).model}, {"--features", ARG_TEXT, &(o).features},                    \
        {"--indices", ARG_TEXT, &(o).indices}, {"--grid-size", ARG_TEXT, &(o).grid_size},          \
        {"--backend", ARG_TEXT, &(o).backend}, {"--isa", ARG_TEXT, &(o).isa},                      \
        {"--device", ARG_INT, &(o).device, -1, 1023},                                              \
        {"--precision", ARG_CHOICE, &(o).precision, .choices = "auto,fp32,fp16,int8"},             \
        {"--output-type", ARG_CHOICE, &(o).output_type, .choices = "auto,float32,float16"},        \
        {"--row-order", ARG_CHOICE, &(o).row_order, .choices = "site,input"},                      \
        {"--index-order", ARG_CHOICE, &(o).index_order, .choices = "auto,zyx,xyz"},                \
        {"--max-voxels", ARG_INT, &(o).max_voxels, 1, 1 << 27},                                    \
        {"--site-bound", ARG_INT, &(o).site_bound, 0, 1 << 27},                                    \
        {"--tuning-cache", ARG_TEXT, &(o).tuning_cache},                                           \
        {"--verbose", ARG_FLAG, &(o).verbose}

/* Their lines in --help. */
#define RUN_HELP                                                                                   \
    "  --model FILE        the network, ONNX\n"                                                    \
    "  --features FILE     voxel features, float32 or float16 [N][C], .tensor or .npy\n"           \
    "  --indices FILE      voxel indices, int32 [N][4]: batch (0), then the model's index order\n" \
    "  --grid-size D0,D1,D2  the grid in the model's index order; must be the model's own\n"       \
    "  --index-order O     auto (default), zyx or xyz\n"                                           \
    "  --backend NAME      auto (default), cpu or cuda\n"                                          \
    "  --device N          CUDA device (default: the current one)\n"                               \
    "  --isa NAME          CPU: auto (default), c, avx2, avx512 or neon\n"                         \
    "  --precision P       auto (default: fp32 on the CPU, fp16 on CUDA), fp32, fp16 or int8\n"    \
    "  --output-type T     auto (default: the precision's own), float32 or float16\n"              \
    "  --row-order O       of sparse outputs: site (default) or input\n"                           \
    "  --max-voxels N      bound of the frame's voxels (default 200000)\n"                         \
    "  --site-bound N      bound of every other level (default 0: the nodes' own)\n"               \
    "  --tuning-cache FILE CUDA: take kernels as spc-bench --tune FILE found them best\n"          \
    "  --verbose           what the engine has to say\n"

struct run {
    const char *tool;
    struct spc_model *model;
    struct spc_model_info info;
    struct spc_session *session;
};

void run_options_default(struct run_options *o);

/* Load the model; check --grid-size. Like all here: prints what is wrong, returns an exit code. */
int run_load(struct run *run, const struct run_options *o);
/* Make the session anew. */
int run_start(struct run *run, const struct run_options *o, bool expose_all, bool profile);
/* Run a frame; `outputs` (may be NULL) gets the first `num_outputs` in the session's memory. */
int run_frame(struct run *run, const struct spc_voxels *voxels, struct spc_output *outputs,
              int num_outputs);
void run_close(struct run *run);

#endif
