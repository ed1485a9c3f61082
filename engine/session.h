/* SPDX-License-Identifier: MIT */
/* A session: a plan, the backend that runs it, and what the caller asked for. */
#ifndef SPC_SESSION_H
#define SPC_SESSION_H

#include "backend.h"
#include "model.h"

struct spc_session {
    const struct spc_model *model;
    const struct spc__backend *backend;
    struct spc__plan plan;
    void *instance;
    bool in_flight; /* a frame was submitted and not waited for */
    char *tuning_cache; /* path or NULL */
    struct spc__log log;
};

/* Description, element type and most bytes of output `i`, which must exist. */
void spc__session_describe(const struct spc_session *session, int i, struct spc_output_info *info,
                           enum spc_dtype *dtype, size_t *size);

/* session_run.c: what a caller can get wrong of a frame. */
enum spc_status spc__session_check(const struct spc_session *session,
                                   const struct spc_voxels *voxels,
                                   const struct spc_output *outputs, int num_outputs,
                                   struct spc_error *err);

/* session_tune.c: takes what the tuning cache says of this session, where it says anything. */
void spc__session_load_tuning(struct spc_session *session);

#endif
