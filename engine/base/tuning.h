/* SPDX-License-Identifier: MIT */
/*
 * Tuning: which of several kernels each node of a network runs with, and the file that keeps it for
 * one network or several, one behind the other:
 *
 *     spc-tuning 1
 *     engine 0.1.0
 *     device NVIDIA H200
 *     isa sm_90
 *     precision fp16
 *     network 91b3d0c2a4f5e687
 *     nodes 25
 *     node 3 wgmma
 *     sum 5f2e9c4410a7d3b8
 *
 * Nodes that run as the backend chooses by itself have no line. The sum is spc__hash() of the
 * tuning's bytes before its line: what was cut or edited does not match it.
 */
#ifndef SPC_BASE_TUNING_H
#define SPC_BASE_TUNING_H

#include <spc/spc.h>

#define SPC__WAY_NAME 24
#define SPC__MAX_TUNED_NODES 65536

struct spc__tuning {
    /* What it holds for. */
    char engine[16], device[128], isa[16], precision[8];
    uint64_t network;
    /* What it says. */
    int num_nodes;
    char (*ways)[SPC__WAY_NAME]; /* [num_nodes], "": the backend's own; owned, of spc__alloc() */
};

/* Room for `num_nodes` nodes, no way chosen. Release with spc__tuning_clear(). */
enum spc_status spc__tuning_init(struct spc__tuning *tuning, int num_nodes, struct spc_error *err);
void spc__tuning_clear(struct spc__tuning *tuning);

/* Whether both hold for the same engine, device, instruction set, precision and network. */
bool spc__tuning_same_key(const struct spc__tuning *a, const struct spc__tuning *b);

/* The bytes of a file from here on. */
struct spc__tuning_text {
    const char *at, *end;
    int line; /* number of the line before `at` */
};

/* Reads one tuning and moves behind it. SPC_ERR_FORMAT where what stands there is none, or damaged;
 * nothing to release then. */
enum spc_status spc__tuning_parse(struct spc__tuning_text *text, struct spc__tuning *tuning,
                                  struct spc_error *err);
/* What parses gives the same bytes again. `*text` is released with free(). */
enum spc_status spc__tuning_print(const struct spc__tuning *tuning, char **text, size_t *size,
                                  struct spc_error *err);

/* What the file says for the key of `tuning`, to its ways; `*found` tells whether it says anything.
 * SPC_ERR_FORMAT where it is damaged before that. */
enum spc_status spc__tuning_read(const char *path, struct spc__tuning *tuning, bool *found,
                                 struct spc_error *err);
/* Puts the tuning into the file, in place of one of the same key; those of other keys stay, as far
 * as the file is not damaged. It is complete at any time, and none is lost where several processes
 * or threads write at once. SPC_ERR_FORMAT, and nothing is written, where it is something else than
 * a tuning file. */
enum spc_status spc__tuning_write(const char *path, const struct spc__tuning *tuning,
                                  struct spc_error *err);

#endif
