/* SPDX-License-Identifier: MIT */
/*
 * A model's store of things that its sessions share: weights packed for a backend.
 *
 * The first session that asks for a key makes the entry; the others wait and take it. Entries live
 * as long as the store.
 */
#ifndef SPC_BASE_SHARED_H
#define SPC_BASE_SHARED_H

#include <spc/spc.h>

struct spc__shared;

typedef enum spc_status (*spc__shared_make)(void *context, void **entry, struct spc_error *err);
typedef void (*spc__shared_free)(void *entry);

struct spc__shared *spc__shared_create(void);
void spc__shared_destroy(struct spc__shared *shared);

/* The entry of `key` (copied); made with `make` where it is missing. A failed make leaves no
 * entry behind. Thread-safety: any thread. */
enum spc_status spc__shared_get(struct spc__shared *shared, const char *key, spc__shared_make make,
                                spc__shared_free release, void *context, void **entry,
                                struct spc_error *err);

#endif
