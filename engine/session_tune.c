/* SPDX-License-Identifier: MIT */
/* Tuning of a session: the backend tries and chooses, what it chose is kept in a file. */
#include "session.h"

#include "base/error.h"
#include "base/hash.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The model and what the plan made of it: nodes are told by their place. */
static uint64_t hash_network(const struct spc_session *session)
{
    const struct spc__graph *graph = &session->plan.graph;
    uint64_t hash = session->model->hash;

    for (int i = 0; i < graph->num_nodes; i++) {
        const struct spc__node *node = &graph->nodes[i];
        int32_t what[] = {(int32_t)node->op, node->cin, node->cout, node->rulebook};

        hash = spc__hash(hash, what, sizeof(what));
    }
    return hash;
}

/* A tuning of this session, no way chosen yet. */
static enum spc_status describe(const struct spc_session *session, struct spc__tuning *tuning,
                                struct spc_error *err)
{
    struct spc__backend_info info = {.num_steps = 0};
    enum spc_status status = spc__tuning_init(tuning, session->plan.graph.num_nodes, err);

    if (status)
        return status;
    session->backend->get_info(session->instance, &info);
    snprintf(tuning->engine, sizeof(tuning->engine), "%s", spc_version());
    memcpy(tuning->device, info.device, sizeof(tuning->device));
    memcpy(tuning->isa, info.isa, sizeof(tuning->isa));
    snprintf(tuning->precision, sizeof(tuning->precision), "%s",
             spc_precision_name(session->plan.precision));
    tuning->network = hash_network(session);
    return SPC_OK;
}

static enum spc_status read_and_take(struct spc_session *session, bool *found,
                                     struct spc_error *err)
{
    struct spc__tuning tuning;
    enum spc_status status = describe(session, &tuning, err);

    *found = false;
    if (status)
        return status;
    status = spc__tuning_read(session->tuning_cache, &tuning, found, err);
    if (!status && *found)
        status = session->backend->choose(session->instance, &tuning, err);
    spc__tuning_clear(&tuning);
    return status;
}

void spc__session_load_tuning(struct spc_session *session)
{
    struct spc_error err;
    bool found;

    if (!session->backend->choose)
        return;
    if (access(session->tuning_cache, F_OK))
        spc__log(&session->log, SPC_LOG_INFO, "%.200s: no tuning cache yet", session->tuning_cache);
    else if (read_and_take(session, &found, &err))
        spc__log(&session->log, SPC_LOG_WARNING, "tuning cache ignored: %s", err.message);
    else
        spc__log(&session->log, SPC_LOG_INFO, "%.200s: %s", session->tuning_cache,
                 found ? "tuning taken"
                       : "no tuning yet for this network, GPU, precision and version");
}

enum spc_status spc_session_tune(struct spc_session *session, const struct spc_voxels *voxels,
                                 struct spc_error *err)
{
    enum spc_status status = spc__session_check(session, voxels, NULL, 0, err);
    struct spc__tuning tuning;
    struct spc_error why;

    if (status)
        return status;
    if (!session->backend->tune) {
        spc__log(&session->log, SPC_LOG_INFO, "backend \"%s\" has nothing to tune",
                 session->backend->name);
        return SPC_OK;
    }
    status = describe(session, &tuning, err);
    if (status)
        return status;
    status = session->backend->tune(session->instance, voxels, &tuning, err);
    if (!status && session->tuning_cache &&
        spc__tuning_write(session->tuning_cache, &tuning, &why))
        spc__log(&session->log, SPC_LOG_WARNING, "the tuning is not kept: %s", why.message);
    spc__tuning_clear(&tuning);
    return status;
}
