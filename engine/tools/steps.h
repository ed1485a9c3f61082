/* SPDX-License-Identifier: MIT */
/* The table of a network's steps: medians of their times over several frames. */
#ifndef SPC_TOOLS_STEPS_H
#define SPC_TOOLS_STEPS_H

#include <spc/spc.h>

struct steps {
    int count, frames, max_frames;
    struct spc_step_profile *last; /* [count] of the last frame */
    double *samples;               /* [count][max_frames] milliseconds */
};

/* Room for `max_frames` frames of the session's steps; false where memory is short. */
bool steps_init(struct steps *steps, const struct spc_session *session, int max_frames);
void steps_clear(struct steps *steps);
/* After a frame. */
void steps_add(struct steps *steps, const struct spc_session *session);
/* Milliseconds become medians; after this no frame can be added. */
void steps_finish(struct steps *steps);

bool steps_is_index(const struct spc_step_profile *step);
double steps_gflop(const struct steps *steps);
double steps_index_ms(const struct steps *steps);
void steps_print(const struct steps *steps);

#endif
