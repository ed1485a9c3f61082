/* SPDX-License-Identifier: MIT */
/* Reading a whole file, with a limit. */
#ifndef SPC_BASE_FILE_H
#define SPC_BASE_FILE_H

#include <spc/spc.h>

/* Reads all of `path` (a regular file, or a pipe up to its end) into `*data`, which the caller
 * releases with free(). A file of more than `limit` bytes is SPC_ERR_UNSUPPORTED and is not read
 * to its end; what cannot be opened or read is SPC_ERR_IO. An empty file gives a valid pointer
 * and size 0. Thread-safety: any thread. */
enum spc_status spc__file_read(const char *path, size_t limit, void **data, size_t *size,
                               struct spc_error *err);

#endif
