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
};

/* Description, element type and most bytes of output `i`, which must exist. */
void spc__session_describe(const struct spc_session *session, int i, struct spc_output_info *info,
                           enum spc_dtype *dtype, size_t *size);

#endif
