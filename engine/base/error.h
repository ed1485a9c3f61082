/* SPDX-License-Identifier: MIT */
/* Filling struct spc_error. */
#ifndef SPC_BASE_ERROR_H
#define SPC_BASE_ERROR_H

#include <spc/spc.h>

/* Writes status and message to `err` (may be NULL) and returns the status, so that a failing
 * function ends with `return spc__fail(err, SPC_ERR_MODEL, "node %s: ...", name);`. */
enum spc_status spc__fail(struct spc_error *err, enum spc_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The usual failure of an allocation. */
enum spc_status spc__fail_memory(struct spc_error *err, size_t bytes, const char *what);

/* Puts "PATH: " before the message of a failure that a parser reported. */
enum spc_status spc__fail_in_file(struct spc_error *err, enum spc_status status, const char *path);

#endif
