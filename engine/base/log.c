/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

void spc__log(const struct spc__log *log, enum spc_log_level level, const char *format, ...)
{
    char line[512];
    va_list args;

    if (!log || !log->fn)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    spc__text_clean(line);
    log->fn(log->user, level, line);
}
