/* SPDX-License-Identifier: MIT */
/* The registry of backends and the choice of one. */
#include "backend.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

static const struct spc__backend *const backends[] = {&spc__backend_cuda, &spc__backend_cpu};
#define NUM_BACKENDS ((int)(sizeof(backends) / sizeof(*backends)))

const struct spc__backend *spc__backend_at(int i)
{
    return i >= 0 && i < NUM_BACKENDS ? backends[i] : NULL;
}

const char *spc_backend_name(int i, struct spc_error *why)
{
    const struct spc__backend *backend = spc__backend_at(i);

    if (!backend)
        return NULL;
    if (why && !backend->probe(-1, why)) {
        why->status = SPC_OK;
        why->message[0] = 0;
    }
    return backend->name;
}

/* "auto, cuda, cpu", or only those that work here. */
static void list_names(char *text, size_t size, bool usable_only)
{
    size_t n = (size_t)snprintf(text, size, usable_only ? "" : "auto");

    for (int i = 0; i < NUM_BACKENDS && n < size; i++)
        if (!usable_only || !backends[i]->probe(-1, NULL))
            n += (size_t)snprintf(text + n, size - n, n ? ", %s" : "%s", backends[i]->name);
}

static enum spc_status find_auto(int device, const struct spc__log *log,
                                 const struct spc__backend **backend, struct spc_error *err)
{
    struct spc_error why;

    for (int i = 0; i < NUM_BACKENDS; i++) {
        if (!backends[i]->probe(device, &why)) {
            spc__log(log, SPC_LOG_INFO, "backend \"auto\" takes \"%s\"", backends[i]->name);
            *backend = backends[i];
            return SPC_OK;
        }
        spc__log(log, SPC_LOG_INFO, "backend \"auto\" passes over \"%s\": %s", backends[i]->name,
                 why.message);
    }
    return spc__fail(err, SPC_ERR_BACKEND,
                     "no backend can be used on this machine; the last said: %s", why.message);
}

enum spc_status spc__backend_find(const char *name, int device, const struct spc__log *log,
                                  const struct spc__backend **backend, struct spc_error *err)
{
    char names[128];
    struct spc_error why;

    if (!name || !strcmp(name, "auto"))
        return find_auto(device, log, backend, err);
    for (int i = 0; i < NUM_BACKENDS; i++) {
        if (strcmp(name, backends[i]->name))
            continue;
        if (!backends[i]->probe(device, &why)) {
            *backend = backends[i];
            return SPC_OK;
        }
        list_names(names, sizeof(names), true);
        return spc__fail(err, SPC_ERR_BACKEND, "%s (usable here: %s)", why.message, names);
    }
    list_names(names, sizeof(names), false);
    return spc__fail(err, SPC_ERR_BACKEND, "backend \"%.64s\" is not known; known are: %s", name,
                     names);
}
