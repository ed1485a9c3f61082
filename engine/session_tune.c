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

static enum spc_status take(struct spc_session *session, const struct spc__tuning *read,
                            struct spc_error *err)
{
    struct spc__tuning own;
    enum spc_status status = describe(session, &own, err);
    const char *differs;

    if (status)
        return status;
    differs = spc__tuning_differs(read, &own);
    spc__tuning_clear(&own);
    if (differs)
        return spc__fail(err, SPC_ERR_FORMAT, "%.200s: is of another %s", session->tuning_cache,
                         differs);
    return session->backend->choose(session->instance, read, err);
}

void spc__session_load_tuning(struct spc_session *session)
{
    struct spc__tuning read;
    struct spc_error err;
    enum spc_status status;

    if (!session->backend->choose)
        return;
    if (access(session->tuning_cache, F_OK)) {
        spc__log(&session->log, SPC_LOG_INFO, "%.200s: no tuning cache yet", session->tuning_cache);
        return;
    }
    status = spc__tuning_read(session->tuning_cache, &read, &err);
    if (!status) {
        status = take(session, &read, &err);
        spc__tuning_clear(&read);
    }
    if (status)
        spc__log(&session->log, SPC_LOG_WARNING, "tuning cache ignored: %s", err.message);
    else
        spc__log(&session->log, SPC_LOG_INFO, "%.200s: tuning taken", session->tuning_cache);
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
