/* SPDX-License-Identifier: MIT */
/* Checked, aligned allocation. Everything from here is released with free(). */
#ifndef SPC_BASE_MEM_H
#define SPC_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Cache-line size; also what the widest vector wants. */
#define SPC__ALIGN 64

/* NULL where count * size overflows or memory is short. count 0 gives a valid pointer.
 * A large block comes untouched from the system: its pages cost when they are first used, so
 * buffers can be planned for the bound of a frame and still cost only what frames need. */
void *spc__alloc(size_t count, size_t size);
/* The same, zeroed. */
void *spc__alloc_zeroed(size_t count, size_t size);
char *spc__strdup(const char *text);

/* a * b into *product; false where it overflows. */
static inline bool spc__mul(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

static inline size_t spc__round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

#endif
