/* SPDX-License-Identifier: MIT */
/* Sessions: options, creation, descriptions. Frames are in session_run.c. */
#include "session.h"

#include "base/cpus.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/options.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_THREADS 1024

void spc_session_options_init(struct spc_session_options *options, size_t size)
{
    const struct spc_session_options defaults = {
        .backend = "auto",
        .device = -1,
        .isa = "auto",
        .max_voxels = SPC__DEFAULT_BOUND,
        .cuda_graph = true,
        .aux_stream = true,
    };

    spc__options_give(options, size, &defaults, sizeof(defaults));
}

static enum spc_status check_bound(const char *name, int64_t value, int64_t smallest,
                                   struct spc_error *err)
{
    if (value >= smallest && value <= SPC__MAX_SITES)
        return SPC_OK;
    return spc__fail(err, SPC_ERR_ARGUMENT, "%s is %" PRId64 "; %" PRId64 " to %" PRId64
                     " are possible", name, value, smallest, SPC__MAX_SITES);
}

static enum spc_status check_options(const struct spc_session_options *options,
                                     struct spc_error *err)
{
    if (options->device < -1)
        return spc__fail(err, SPC_ERR_ARGUMENT, "device is %d; -1 (the current) or a number from 0",
                         options->device);
    if ((unsigned)options->precision > SPC_PRECISION_INT8)
        return spc__fail(err, SPC_ERR_ARGUMENT, "precision %d is not known", options->precision);
    if (options->threads < 0 || options->threads > MAX_THREADS)
        return spc__fail(err, SPC_ERR_ARGUMENT, "threads is %d; 0 (automatic) to %d are possible",
                         options->threads, MAX_THREADS);
    if (options->output_type != SPC_DTYPE_NONE && options->output_type != SPC_DTYPE_F32 &&
        options->output_type != SPC_DTYPE_F16)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "output_type %s is not possible; float32, float16 or none are",
                         spc_dtype_name(options->output_type));
    if ((unsigned)options->row_order > SPC_ROWS_INPUT)
        return spc__fail(err, SPC_ERR_ARGUMENT, "row_order %d is not known", options->row_order);
    if (options->fixed_launch_points < 0)
        return spc__fail(err, SPC_ERR_ARGUMENT, "fixed_launch_points is %" PRId64 "; 0 (none) or "
                         "more", options->fixed_launch_points);
    if (check_bound("max_voxels", options->max_voxels, 1, err))
        return SPC_ERR_ARGUMENT;
    return check_bound("site_bound", options->site_bound, 0, err);
}

static enum spc_status choose_precision(const struct spc__backend *backend,
                                        enum spc_precision asked, enum spc_precision *precision,
                                        struct spc_error *err)
{
    char offers[64] = "";

    *precision = asked == SPC_PRECISION_AUTO ? backend->default_precision : asked;
    if (backend->supports(*precision))
        return SPC_OK;
    for (int p = SPC_PRECISION_FP32; p <= SPC_PRECISION_INT8; p++)
        if (backend->supports((enum spc_precision)p)) {
            strcat(offers, offers[0] ? ", " : "");
            strcat(offers, spc_precision_name((enum spc_precision)p));
        }
    return spc__fail(err, SPC_ERR_UNSUPPORTED,
                     "backend \"%s\" does not compute in precision %s; it offers: %s",
                     backend->name, spc_precision_name(*precision), offers);
}

static enum spc_status make_plan(struct spc_session *session,
                                 const struct spc_session_options *options, struct spc_error *err)
{
    struct spc__plan_options plan_options = {
        .output_type = options->output_type,
        .max_voxels = options->max_voxels,
        .site_bound = options->site_bound,
        .expose_all = options->expose_all,
        .alignment = session->backend->alignment,
    };
    enum spc_status status = choose_precision(session->backend, options->precision,
                                              &plan_options.precision, err);

    if (status)
        return status;
    return spc__plan_make(&session->plan, &session->model->graph, &plan_options, err);
}

static enum spc_status make_instance(struct spc_session *session,
                                     const struct spc_session_options *options,
                                     struct spc_error *err)
{
    struct spc__backend_options backend_options = {
        .device = options->device,
        .threads = options->threads ? options->threads : spc__available_cpus(),
        .isa = options->isa ? options->isa : "auto",
        .row_order = options->row_order,
        .profile = options->profile,
        .cuda_graph = options->cuda_graph,
        .aux_stream = options->aux_stream,
        .log = session->log,
    };

    return session->backend->create(&session->plan, session->model->shared, &backend_options,
                                    &session->instance, err);
}

static enum spc_status create_parts(struct spc_session *session,
                                    const struct spc_session_options *options,
                                    struct spc_error *err)
{
    enum spc_status status = spc__backend_find(options->backend, options->device, &session->log,
                                               &session->backend, err);

    if (!status)
        status = make_plan(session, options, err);
    if (status)
        return status;
    if (options->tuning_cache && !(session->tuning_cache = spc__strdup(options->tuning_cache)))
        status = spc__fail_memory(err, strlen(options->tuning_cache), "a path");
    if (!status)
        status = make_instance(session, options, err);
    if (!status && session->tuning_cache)
        spc__session_load_tuning(session);
    if (status)
        spc__plan_clear(&session->plan);
    return status;
}

static void drop(struct spc_session *session)
{
    free(session->tuning_cache);
    free(session);
}

enum spc_status spc_session_create(const struct spc_model *model,
                                   const struct spc_session_options *given,
                                   struct spc_session **session, struct spc_error *err)
{
    struct spc_session_options options;
    struct spc_session *made;
    enum spc_status status;

    if (!model || !session)
        return spc__fail(err, SPC_ERR_ARGUMENT, "spc_session_create: model or session is NULL");
    spc_session_options_default(&options);
    status = spc__options_take(&options, sizeof(options), given, "spc_session_options", err);
    if (!status)
        status = check_options(&options, err);
    if (status)
        return status;
    made = spc__alloc_zeroed(1, sizeof(*made));
    if (!made)
        return spc__fail_memory(err, sizeof(*made), "a session");
    made->model = model;
    made->log = (struct spc__log){options.log, options.log_user};
    status = create_parts(made, &options, err);
    if (status)
        drop(made);
    else
        *session = made;
    return status;
}

void spc_session_free(struct spc_session **session)
{
    struct spc_session *s = session ? *session : NULL;

    if (!s)
        return;
    if (s->in_flight)
        spc_session_wait(s, NULL);
    s->backend->destroy(s->instance);
    spc__plan_clear(&s->plan);
    drop(s);
    *session = NULL;
}

int spc_session_num_outputs(const struct spc_session *session)
{
    return session ? session->plan.graph.num_outputs : 0;
}

void spc__session_describe(const struct spc_session *session, int i, struct spc_output_info *info,
                           enum spc_dtype *dtype, size_t *size)
{
    const struct spc__graph *graph = &session->plan.graph;
    int value = graph->outputs[i];

    spc__graph_describe(graph, value, graph->levels[graph->values[value].level].bound, info);
    *dtype = session->plan.output_types[i];
    *size = spc_dtype_size(*dtype);
    for (int d = 0; d < info->rank; d++)
        *size *= (size_t)info->dims[d];
}

enum spc_status spc_session_get_output(const struct spc_session *session, int i,
                                       struct spc_output_info *info, enum spc_dtype *dtype,
                                       size_t *size, struct spc_error *err)
{
    struct spc_output_info own_info;
    enum spc_dtype own_dtype;
    size_t own_size;

    if (!session)
        return spc__fail(err, SPC_ERR_ARGUMENT, "spc_session_get_output: session is NULL");
    if (i < 0 || i >= spc_session_num_outputs(session))
        return spc__fail(err, SPC_ERR_ARGUMENT, "output %d of a session that has %d", i,
                         spc_session_num_outputs(session));
    spc__session_describe(session, i, info ? info : &own_info, dtype ? dtype : &own_dtype,
                          size ? size : &own_size);
    return SPC_OK;
}

void spc_session_get_info(const struct spc_session *session, struct spc_session_info *info)
{
    struct spc__backend_info backend = {.num_steps = 0};

    memset(info, 0, sizeof(*info));
    if (!session)
        return;
    session->backend->get_info(session->instance, &backend);
    strncpy(info->backend, session->backend->name, sizeof(info->backend) - 1);
    memcpy(info->device, backend.device, sizeof(info->device));
    memcpy(info->isa, backend.isa, sizeof(info->isa));
    info->precision = session->plan.precision;
    info->threads = backend.threads;
    info->max_voxels = session->plan.max_voxels;
    info->host_bytes = backend.host_bytes;
    info->device_bytes = backend.device_bytes;
    info->shared_bytes = backend.shared_bytes;
    info->num_steps = backend.num_steps;
    info->frame_voxels = backend.frame_voxels;
}

enum spc_status spc_session_get_step(const struct spc_session *session, int i,
                                     struct spc_step_profile *profile, struct spc_error *err)
{
    struct spc__backend_info backend = {.num_steps = 0};

    if (!session || !profile)
        return spc__fail(err, SPC_ERR_ARGUMENT, "spc_session_get_step: session or profile is NULL");
    session->backend->get_info(session->instance, &backend);
    if (i < 0 || i >= backend.num_steps)
        return spc__fail(err, SPC_ERR_ARGUMENT, "step %d of a session that has %d", i,
                         backend.num_steps);
    memset(profile, 0, sizeof(*profile));
    session->backend->get_step(session->instance, i, profile);
    return SPC_OK;
}
