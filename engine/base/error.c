/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

enum spc_status spc__fail(struct spc_error *err, enum spc_status status, const char *format, ...)
{
    va_list args;

    if (!err)
        return status;
    err->status = status;
    va_start(args, format);
    vsnprintf(err->message, sizeof(err->message), format, args);
    va_end(args);
    spc__text_clean(err->message);
    return status;
}

enum spc_status spc__fail_memory(struct spc_error *err, size_t bytes, const char *what)
{
    return spc__fail(err, SPC_ERR_MEMORY, "cannot allocate %zu bytes for %s", bytes, what);
}

enum spc_status spc__fail_in_file(struct spc_error *err, enum spc_status status, const char *path)
{
    struct spc_error inner;

    if (!err)
        return status;
    inner = *err;
    return spc__fail(err, status, "%.140s: %s", path, inner.message);
}

const char *spc_status_name(enum spc_status status)
{
    switch (status) {
#define CASE(code, value, text)                                                                    \
    case SPC_##code:                                                                               \
        return "SPC_" #code;
        SPC_STATUS_LIST(CASE)
#undef CASE
    }
    return "SPC_ERR_UNKNOWN";
}

const char *spc_status_text(enum spc_status status)
{
    switch (status) {
#define CASE(code, value, text)                                                                    \
    case SPC_##code:                                                                               \
        return text;
        SPC_STATUS_LIST(CASE)
#undef CASE
    }
    return "unknown status";
}
