/* SPDX-License-Identifier: MIT */
/* See run.h. */
#include "run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void run_options_default(struct run_options *o)
{
    struct spc_session_options session;

    spc_session_options_default(&session);
    *o = (struct run_options){
        .backend = "auto",
        .isa = "auto",
        .device = session.device,
        .max_voxels = session.max_voxels,
        .site_bound = session.site_bound,
    };
}

static void print_log(void *user, enum spc_log_level level, const char *message)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    const struct run_options *o = user;

    if (o->verbose || level <= SPC_LOG_WARNING)
        fprintf(stderr, "%s: %s\n", names[level], message);
}

static int check_grid(const struct run *run, const char *text)
{
    const struct spc_model_info *m = &run->info;
    bool xyz = m->index_order == SPC_INDEX_XYZ;
    int32_t grid[3] = {xyz ? m->grid_x : m->grid_z, m->grid_y, xyz ? m->grid_z : m->grid_x};
    int32_t given[3];
    int end = 0;

    if (sscanf(text, "%" SCNd32 ",%" SCNd32 ",%" SCNd32 "%n", &given[0], &given[1], &given[2],
               &end) != 3 || text[end])
        return tool_fail(run->tool, "--grid-size %s: expected three whole numbers D0,D1,D2", text);
    if (memcmp(grid, given, sizeof(grid)))
        return tool_fail(run->tool, "--grid-size %s: the model's grid is %d,%d,%d (%s)", text,
                         grid[0], grid[1], grid[2], xyz ? "x,y,z" : "z,y,x");
    return EXIT_OK;
}

int run_load(struct run *run, const struct run_options *o)
{
    struct spc_model_options options;
    struct spc_error err;

    if (!o->model)
        return tool_fail(run->tool, "--model is missing; see %s --help", run->tool);
    spc_model_options_default(&options);
    options.index_order = (enum spc_index_order)o->index_order;
    options.log = print_log;
    options.log_user = (void *)o;
    if (spc_model_load_file(o->model, &options, &run->model, &err))
        return tool_fail(run->tool, "%s", err.message);
    spc_model_get_info(run->model, &run->info);
    return o->grid_size ? check_grid(run, o->grid_size) : EXIT_OK;
}

int run_start(struct run *run, const struct run_options *o, bool expose_all, bool profile)
{
    static const enum spc_dtype output_types[] = {SPC_DTYPE_NONE, SPC_DTYPE_F32, SPC_DTYPE_F16};
    struct spc_session_options options;
    struct spc_error err;

    spc_session_free(&run->session);
    spc_session_options_default(&options);
    options.backend = o->backend;
    options.device = (int)o->device;
    options.precision = (enum spc_precision)o->precision;
    options.threads = (int)o->threads;
    options.isa = o->isa;
    options.max_voxels = o->max_voxels;
    options.site_bound = o->site_bound;
    options.output_type = output_types[o->output_type];
    options.row_order = (enum spc_row_order)o->row_order;
    options.tuning_cache = o->tuning_cache;
    options.expose_all = expose_all;
    options.profile = profile;
    options.log = print_log;
    options.log_user = (void *)o;
    if (spc_session_create(run->model, &options, &run->session, &err))
        return tool_fail(run->tool, "%s", err.message);
    return EXIT_OK;
}

int run_frame(struct run *run, const struct spc_voxels *voxels, struct spc_output *outputs,
              int num_outputs)
{
    struct spc_error err;

    /* No capacity asks for the session's memory. */
    for (int i = 0; i < num_outputs; i++)
        outputs[i] = (struct spc_output){.data = NULL};
    if (spc_session_run(run->session, voxels, outputs, num_outputs, &err))
        return tool_fail(run->tool, "%s", err.message);
    return EXIT_OK;
}

void run_close(struct run *run)
{
    spc_session_free(&run->session);
    spc_model_free(&run->model);
}
