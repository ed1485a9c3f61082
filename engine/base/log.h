/* SPDX-License-Identifier: MIT */
/* Formatting for the log callback of an object. */
#ifndef SPC_BASE_LOG_H
#define SPC_BASE_LOG_H

#include <spc/spc.h>

struct spc__log {
    spc_log_fn fn; /* may be NULL */
    void *user;
};

void spc__log(const struct spc__log *log, enum spc_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
