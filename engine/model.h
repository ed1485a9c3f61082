/* SPDX-License-Identifier: MIT */
/* A loaded model: immutable, but for what its sessions share. */
#ifndef SPC_MODEL_H
#define SPC_MODEL_H

#include "base/shared.h"
#include "graph/graph.h"

struct spc_model {
    uint64_t hash;               /* of the file's bytes */
    struct spc__graph graph;     /* checked and finished; sessions copy it */
    struct spc__shared *shared;  /* weights packed by backends; has its own lock */
    struct spc_node_info *nodes; /* [num_nodes] as in the file, those that no output needs too */
    int num_nodes;
};

#endif
