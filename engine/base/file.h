/* SPDX-License-Identifier: MIT */
/* Whole files: reading with a limit, writing complete or not at all. */
#ifndef SPC_BASE_FILE_H
#define SPC_BASE_FILE_H

#include <spc/spc.h>

/* Reads all of `path` (a regular file, or a pipe up to its end) into `*data`, which the caller
 * releases with free(). A file of more than `limit` bytes is SPC_ERR_UNSUPPORTED and is not read
 * to its end; what cannot be opened or read is SPC_ERR_IO. An empty file gives a valid pointer
 * and size 0. Thread-safety: any thread. */
enum spc_status spc__file_read(const char *path, size_t limit, void **data, size_t *size,
                               struct spc_error *err);

/* Writes both parts beside `path` and renames, so that the file is complete or absent. SPC_ERR_IO,
 * SPC_ERR_MEMORY. Thread-safety: any thread. */
enum spc_status spc__file_write(const char *path, const void *head, size_t head_size,
                                const void *body, size_t body_size, struct spc_error *err);

#endif
