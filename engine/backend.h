/* SPDX-License-Identifier: MIT */
/*
 * The backend contract: what a device must offer to run a plan.
 *
 * A backend is one constant table. Slots marked optional may be NULL. Backends see plans, graphs
 * and base, never a file format. `engine/` names the CUDA table only by its symbol: the real one
 * is in cuda/, and cuda/stub.c defines the same symbol where CUDA is off.
 */
#ifndef SPC_BACKEND_H
#define SPC_BACKEND_H

#include "base/shared.h"
#include "base/tuning.h"
#include "graph/plan.h"

struct spc__backend_options {
    int device;
    int threads; /* at least 1 */
    const char *isa;
    enum spc_row_order row_order;
    bool profile;
    bool cuda_graph, aux_stream;
    struct spc__log log;
};

struct spc__backend_info {
    char device[128];
    char isa[16];
    int threads;
    size_t host_bytes, device_bytes, shared_bytes;
    int num_steps;
    int64_t frame_voxels;
};

struct spc__backend {
    const char *name;

    /* Whether it can be used on this machine; fails with the reason. */
    enum spc_status (*probe)(int device, struct spc_error *err);
    /* Whether it computes in this precision. */
    bool (*supports)(enum spc_precision precision);
    enum spc_precision default_precision;
    size_t alignment;   /* of values in the arena */
    bool device_memory; /* takes and gives SPC_MEMORY_CUDA */

    /* A runnable instance. `plan` outlives it. `shared` caches packed weights between instances
     * of one model; it too outlives it. */
    enum spc_status (*create)(const struct spc__plan *plan, struct spc__shared *shared,
                              const struct spc__backend_options *options, void **instance,
                              struct spc_error *err);
    void (*destroy)(void *instance);

    /* See spc_session_submit(). Arguments were checked: types, counts against num_outputs,
     * num_voxels against max_voxels, capacities against the plan's sizes, memory kinds known. */
    enum spc_status (*submit)(void *instance, const struct spc_voxels *voxels,
                              struct spc_output *outputs, int num_outputs, struct spc_error *err);
    enum spc_status (*wait)(void *instance, struct spc_error *err);

    /* Optional, both: kernels of nodes, where there are several that give the right result.
     * choose() takes them by name, or fails and runs on as before; tune() tries them on a frame
     * and says which it took. `tuning` has the plan's number of nodes. */
    enum spc_status (*choose)(void *instance, const struct spc__tuning *tuning,
                              struct spc_error *err);
    enum spc_status (*tune)(void *instance, const struct spc_voxels *voxels,
                            struct spc__tuning *tuning, struct spc_error *err);

    void (*get_info)(const void *instance, struct spc__backend_info *info);
    void (*get_step)(const void *instance, int i, struct spc_step_profile *profile);
};

extern const struct spc__backend spc__backend_cpu;
extern const struct spc__backend spc__backend_cuda;

/* All backends, in the order in which "auto" tries them; NULL past the last. */
const struct spc__backend *spc__backend_at(int i);

/* The backend of this name, or what "auto" chooses; fails with what is there instead. */
enum spc_status spc__backend_find(const char *name, int device, const struct spc__log *log,
                                  const struct spc__backend **backend, struct spc_error *err);

#endif
