/* SPDX-License-Identifier: MIT */
#include "graph/rewrite.h"

#include "base/error.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Joined names are for people: past this, what is merged in is not named any more. */
#define MAX_JOINED 512

static enum spc_status join_names(struct spc__node *kept, const struct spc__node *gone,
                                  struct spc_error *err)
{
    size_t length = strlen(kept->name) + strlen(gone->name) + 2;
    char *name;

    if (length > MAX_JOINED)
        return SPC_OK;
    name = spc__alloc(length, 1);
    if (!name)
        return spc__fail_memory(err, length, "a node's name");
    snprintf(name, length, "%s+%s", kept->name, gone->name);
    free(kept->name);
    kept->name = name;
    return SPC_OK;
}

enum spc_status spc__graph_merge(struct spc__graph *graph, struct spc__use *uses, int into,
                                 int node, struct spc_error *err)
{
    struct spc__node *kept = &graph->nodes[into], *gone = &graph->nodes[node];
    enum spc_status status = join_names(kept, gone, err);

    if (status)
        return status;
    uses[kept->out].maker = -1;
    uses[kept->out].readers = 0;
    uses[gone->out].maker = into;
    kept->out = gone->out;
    gone->out = -1;
    return SPC_OK;
}
