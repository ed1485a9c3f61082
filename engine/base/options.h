/* SPDX-License-Identifier: MIT */
/* Option structs that may come from a program built with another version of the header. */
#ifndef SPC_BASE_OPTIONS_H
#define SPC_BASE_OPTIONS_H

#include "base/error.h"

#include <string.h>

/* Copies the caller's options over `options`, which hold the defaults and start, as the caller's
 * do, with `size_t struct_size`. A shorter struct keeps our defaults at its end, a longer one loses
 * what we do not know. `given` may be NULL. Fails on a struct that its `_default` never filled. */
static inline enum spc_status spc__options_take(void *options, size_t size, const void *given,
                                                const char *name, struct spc_error *err)
{
    size_t given_size;

    if (!given)
        return SPC_OK;
    memcpy(&given_size, given, sizeof(given_size));
    if (given_size < 2 * sizeof(given_size) || given_size > 65536)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "struct_size of %s is %zu: fill the options with %s_default() first",
                         name, given_size, name);
    memcpy(options, given, given_size < size ? given_size : size);
    memcpy(options, &size, sizeof(size));
    return SPC_OK;
}

#endif
