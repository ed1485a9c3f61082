/* SPDX-License-Identifier: MIT */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void *spc__alloc(size_t count, size_t size)
{
    size_t bytes;
    void *block;

    if (!spc__mul(count, size, &bytes) || bytes > PTRDIFF_MAX - 2 * SPC__ALIGN)
        return NULL;
    bytes = spc__round_up(bytes ? bytes : 1, SPC__ALIGN);
    if (posix_memalign(&block, SPC__ALIGN, bytes))
        return NULL;
    return block;
}

void *spc__alloc_zeroed(size_t count, size_t size)
{
    void *block = spc__alloc(count, size);

    if (block)
        memset(block, 0, count * size);
    return block;
}

char *spc__strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = spc__alloc(n, 1);

    if (copy)
        memcpy(copy, text, n);
    return copy;
}
