/* SPDX-License-Identifier: MIT */
/* Structs that may come from a program built with another version of the header. */
#ifndef SPC_BASE_OPTIONS_H
#define SPC_BASE_OPTIONS_H

#include "base/error.h"

#include <string.h>

/* Copies the defaults into the caller's struct of `given_size` bytes, as far as it goes. Both start
 * with `size_t struct_size`. */
static inline void spc__options_give(void *given, size_t given_size, const void *defaults,
                                     size_t size)
{
    memset(given, 0, given_size);
    memcpy(given, defaults, given_size < size ? given_size : size);
    memcpy(given, &given_size, sizeof(given_size));
}

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

#define SPC__COUNT(array) (sizeof(array) / sizeof(*(array)))

/* Fails unless the caller zeroed what a later version may give a meaning. */
static inline enum spc_status spc__check_reserved(const uint64_t *reserved, size_t count,
                                                  const char *name, struct spc_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (reserved[i])
            return spc__fail(err, SPC_ERR_ARGUMENT,
                             "reserved words of %s are not 0: zero the struct before you fill it",
                             name);
    return SPC_OK;
}

#endif
