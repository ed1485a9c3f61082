/* SPDX-License-Identifier: MIT */
#include "base/shared.h"

#include "base/error.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct item {
    struct item *next;
    char *key;
    void *entry;
    spc__shared_free release;
};

struct spc__shared {
    pthread_mutex_t lock; /* held while an entry is made, so that others wait for it */
    struct item *items;
};

struct spc__shared *spc__shared_create(void)
{
    struct spc__shared *shared = spc__alloc_zeroed(1, sizeof(*shared));

    if (shared)
        pthread_mutex_init(&shared->lock, NULL);
    return shared;
}

static void item_destroy(struct item *item)
{
    item->release(item->entry);
    free(item->key);
    free(item);
}

void spc__shared_destroy(struct spc__shared *shared)
{
    if (!shared)
        return;
    while (shared->items) {
        struct item *item = shared->items;

        shared->items = item->next;
        item_destroy(item);
    }
    pthread_mutex_destroy(&shared->lock);
    free(shared);
}

static enum spc_status add_item(struct spc__shared *shared, const char *key, spc__shared_make make,
                                spc__shared_free release, void *context, struct item **added,
                                struct spc_error *err)
{
    struct item *item = spc__alloc_zeroed(1, sizeof(*item));
    enum spc_status status;

    if (!item)
        return spc__fail_memory(err, sizeof(*item), "shared data");
    item->key = spc__strdup(key);
    status = item->key ? make(context, &item->entry, err)
                       : spc__fail_memory(err, strlen(key), "shared data");
    if (status) {
        free(item->key);
        free(item);
        return status;
    }
    item->release = release;
    item->next = shared->items;
    shared->items = item;
    *added = item;
    return SPC_OK;
}

enum spc_status spc__shared_get(struct spc__shared *shared, const char *key, spc__shared_make make,
                                spc__shared_free release, void *context, void **entry,
                                struct spc_error *err)
{
    enum spc_status status = SPC_OK;
    struct item *item;

    pthread_mutex_lock(&shared->lock);
    for (item = shared->items; item && strcmp(item->key, key); item = item->next)
        ;
    if (!item)
        status = add_item(shared, key, make, release, context, &item, err);
    if (!status)
        *entry = item->entry;
    pthread_mutex_unlock(&shared->lock);
    return status;
}
