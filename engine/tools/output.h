/* SPDX-License-Identifier: MIT */
/* A session's outputs as text and as files. */
#ifndef SPC_TOOLS_OUTPUT_H
#define SPC_TOOLS_OUTPUT_H

#include <spc/spc.h>

/* "bev, dense [1,256,180,180], rows y, columns x". `is_bound`: the rows of a sparse one are the
 * most there can be. */
void output_text(const struct spc_output_info *info, bool is_bound, char *text, size_t size);

/* The output of this name; with NULL the first dense one, else the first. -1 where there is none,
 * and says which there are. */
int output_choose(const struct spc_session *session, const char *name, const char *tool);

/* Writes an output to `path`; a sparse one's indices go beside it, with ".indices" before the
 * suffix. Returns an exit code. */
int output_write(const char *path, const struct spc_output *output, const char *tool);

/* Writes the session's first `count` outputs into a folder, which is made where it is missing:
 * NAME.tensor, or NAME.features.tensor and NAME.indices.tensor. Characters that do not belong in
 * file names become '_'. */
int output_write_all(const char *folder, const struct spc_session *session,
                     const struct spc_output *outputs, int count, const char *tool);

#endif
