/* SPDX-License-Identifier: MIT */
/* A hash that tells files apart; no protection against one that is made to collide. */
#ifndef SPC_BASE_HASH_H
#define SPC_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SPC__HASH_START 0xcbf29ce484222325u

/* Goes on from `hash` over `size` bytes: FNV-1a, eight bytes at a time. */
static inline uint64_t spc__hash(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *at = data;

    for (; size >= 8; size -= 8, at += 8) {
        uint64_t word;

        memcpy(&word, at, sizeof(word));
        hash = (hash ^ word) * 0x100000001b3u;
        hash ^= hash >> 32; /* the product moves bits up only */
    }
    for (; size; size--, at++)
        hash = (hash ^ *at) * 0x100000001b3u;
    return hash;
}

#endif
