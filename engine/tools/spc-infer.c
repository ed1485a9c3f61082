/* SPDX-License-Identifier: MIT */
/* spc-infer: run a network on one frame of voxels; list it, time it, write what comes out. */
#include "frame.h"
#include "output.h"
#include "run.h"
#include "steps.h"
#include "timing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "NAME\n"
    "  spc-infer - run a sparse-convolution network on one frame of voxels\n"
    "\n"
    "SYNOPSIS\n"
    "  spc-infer --model M --features F --indices I [--output FILE] [--profile] [...]\n"
    "  spc-infer --model M --list\n"
    "\n"
    "DESCRIPTION\n"
    "  Loads the model, runs the frame and prints the run's parameters, the outputs' shapes and,\n"
    "  with --profile, a table of its steps: milliseconds, sites, pairs, GFLOP/s. Work is counted\n"
    "  as useful work: two operations for each rulebook pair, input and output channel.\n"
    "\n"
    "OPTIONS\n" RUN_HELP
    "  --threads N         CPU threads (default 0: one per processor)\n"
    "  --list              describe the model and stop; needs no frame\n"
    "  --output FILE       write one output; .tensor or .npy. The indices of a sparse one go to\n"
    "                      FILE with .indices before the suffix\n"
    "  --output-name NAME  which one (default: the first dense one, else the first)\n"
    "  --output-all DIR    write every value of the network: DIR/NAME.tensor, and for sparse ones\n"
    "                      DIR/NAME.features.tensor and DIR/NAME.indices.tensor. Nothing is fused\n"
    "                      then, so that every value exists\n"
    "  --profile           the table of steps; medians where frames are repeated\n"
    "  --repeat N          run the frame N times (default 1): median, minimum and 99th percentile\n"
    "  --warmup N          run it N times before that (default 0)\n"
    "  --help, --version\n"
    "\n"
    "EXIT STATUS\n"
    "  0  done\n"
    "  2  wrong usage, a bad model or frame, or a bound that the frame exceeds\n"
    "\n"
    "EXAMPLES\n"
    "  spc-infer --model centerpoint.onnx --list\n"
    "  spc-infer --model centerpoint.onnx --features f.tensor --indices i.tensor \\\n"
    "      --precision fp16 --output bev.tensor\n"
    "  spc-infer --model centerpoint.onnx --features f.tensor --indices i.tensor \\\n"
    "      --threads 2 --warmup 2 --repeat 20 --profile\n";

static const char tool[] = "spc-infer";

struct options {
    struct run_options run;
    const char *output, *output_name, *output_all;
    int64_t repeat, warmup;
    bool list, profile;
};

static void print_model(const struct options *o, const struct run *run)
{
    const struct spc_model_info *m = &run->info;
    bool xyz = m->index_order == SPC_INDEX_XYZ;

    printf("model    %s: %d nodes, %d outputs, %" PRId64 " parameters\n", o->run.model,
           m->num_nodes, m->num_outputs, m->num_parameters);
    printf("input    %" PRId32 " features a voxel%s%s%s, indices batch,%s, grid %" PRId32
           ",%" PRId32 ",%" PRId32 "\n",
           m->num_features, m->features[0] ? " (" : "", m->features, m->features[0] ? ")" : "",
           xyz ? "x,y,z" : "z,y,x", xyz ? m->grid_x : m->grid_z, m->grid_y,
           xyz ? m->grid_z : m->grid_x);
    if (m->has_voxel_size)
        printf("voxels   %g x %g x %g m\n", (double)m->voxel_size[0], (double)m->voxel_size[1],
               (double)m->voxel_size[2]);
    if (m->has_range)
        printf("range    x %g..%g, y %g..%g, z %g..%g m\n", (double)m->range[0],
               (double)m->range[3], (double)m->range[1], (double)m->range[4], (double)m->range[2],
               (double)m->range[5]);
}

static void list_outputs(const struct run *run)
{
    struct spc_output_info info;
    char text[256];

    for (int i = 0; i < run->info.num_outputs; i++) {
        spc_model_get_output(run->model, i, &info, NULL);
        output_text(&info, true, text, sizeof(text));
        printf("output   %d: %s\n", i, text);
    }
}

static void list_nodes(const struct run *run)
{
    struct spc_node_info node;

    printf("%4s  %-18s %-28s %9s  %-14s %s\n", "node", "op", "name", "channels", "rulebook",
           "detail");
    for (int i = 0; i < run->info.num_nodes; i++) {
        char channels[32] = "";

        spc_model_get_node(run->model, i, &node, NULL);
        if (node.out_channels)
            snprintf(channels, sizeof(channels), "%" PRId32 ">%" PRId32, node.in_channels,
                     node.out_channels);
        printf("%4d  %-18s %-28s %9s  %-14s%s%s\n", i, node.op, node.name, channels, node.rulebook,
               node.detail[0] ? " " : "", node.detail);
    }
}

static void print_session(const struct run *run)
{
    struct spc_session_info s;

    spc_session_get_info(run->session, &s);
    printf("session  backend %s (%s%s%s), %s, %d thread%s, at most %" PRId64 " voxels\n", s.backend,
           s.device, s.isa[0] ? ", " : "", s.isa, spc_precision_name(s.precision), s.threads,
           s.threads == 1 ? "" : "s", s.max_voxels);
    printf("memory   %.1f MB reserved on the host, %.1f MB on the device, %.1f MB of weights "
           "shared\n",
           (double)s.host_bytes / 1e6, (double)s.device_bytes / 1e6,
           (double)s.shared_bytes / 1e6);
}

static void print_outputs(const struct run *run, const struct spc_output *outputs, int count)
{
    for (int i = 0; i < count; i++) {
        struct spc_output_info info;
        char text[256];

        spc_session_get_output(run->session, i, &info, NULL, NULL, NULL);
        memcpy(info.dims, outputs[i].dims, sizeof(info.dims)); /* sparse: this frame's rows */
        output_text(&info, false, text, sizeof(text));
        printf("output   %d: %s, %s, %" PRId64 " sites\n", i, text,
               spc_dtype_name(outputs[i].dtype), outputs[i].num_sites);
    }
}

static void print_times(double *samples, int count, double gflop)
{
    struct timing t = timing_of(samples, count);

    if (count == 1)
        printf("time     %.3f ms", t.median);
    else
        printf("time     median %.3f ms, min %.3f, p99 %.3f over %d frames", t.median, t.min, t.p99,
               count);
    printf("; %.3f GFLOP, %.1f GFLOP/s\n", gflop, t.median > 0 ? gflop / t.median * 1e3 : 0);
}

/* Runs all frames; the last one's outputs stay in the session. */
static int repeat_frame(const struct options *o, struct run *run, const struct frame *frame,
                        struct spc_output *outputs, int num_outputs, double *samples,
                        struct steps *steps)
{
    struct spc_voxels voxels = frame_voxels(frame);

    for (int64_t i = -o->warmup; i < o->repeat; i++) {
        double start = timing_now();
        int code = run_frame(run, &voxels, outputs, num_outputs);

        if (code)
            return code;
        if (i < 0)
            continue;
        samples[i] = timing_now() - start;
        steps_add(steps, run->session);
    }
    return EXIT_OK;
}

static int write_outputs(const struct options *o, const struct run *run,
                         const struct spc_output *outputs, int count)
{
    int code = EXIT_OK, chosen;

    if (o->output_all)
        code = output_write_all(o->output_all, run->session, outputs, count, tool);
    if (code || !o->output)
        return code;
    chosen = output_choose(run->session, o->output_name, tool);
    return chosen < 0 ? EXIT_TROUBLE : output_write(o->output, &outputs[chosen], tool);
}

static int infer(const struct options *o, struct run *run, const struct frame *frame)
{
    int count = spc_session_num_outputs(run->session);
    struct spc_output *outputs = calloc((size_t)count + 1, sizeof(*outputs));
    double *samples = calloc((size_t)o->repeat, sizeof(*samples));
    struct steps steps = {.count = 0};
    int code;

    if (!outputs || !samples || !steps_init(&steps, run->session, (int)o->repeat))
        code = tool_fail(tool, "out of memory");
    else
        code = repeat_frame(o, run, frame, outputs, count, samples, &steps);
    if (!code) {
        steps_finish(&steps);
        print_outputs(run, outputs, count);
        print_times(samples, (int)o->repeat, steps_gflop(&steps));
        if (o->profile)
            steps_print(&steps);
        code = write_outputs(o, run, outputs, count);
    }
    steps_clear(&steps);
    free(outputs);
    free(samples);
    return code;
}

static int run_options(const struct options *o, struct run *run, struct frame *frame)
{
    int code = run_load(run, &o->run);

    if (code)
        return code;
    if (o->list) {
        print_model(o, run);
        list_outputs(run);
        list_nodes(run);
        return EXIT_OK;
    }
    if (!o->run.features || !o->run.indices)
        return tool_fail(tool, "--features and --indices are needed (or --list); see %s --help",
                         tool);
    code = frame_read(frame, o->run.features, o->run.indices, &run->info, tool);
    if (!code)
        code = run_start(run, &o->run, o->output_all != NULL, o->profile);
    if (code)
        return code;
    print_model(o, run);
    print_session(run);
    printf("frame    %" PRId64 " voxels, %s\n", frame->features.dims[0],
           spc_dtype_name(frame->features.dtype));
    return infer(o, run, frame);
}

int main(int argc, char **argv)
{
    struct options o = {.repeat = 1};
    const struct arg table[] = {
        RUN_ARGS(o.run),
        {"--threads", ARG_INT, &o.run.threads, 0, 1024},
        {"--list", ARG_FLAG, &o.list},
        {"--output", ARG_TEXT, &o.output},
        {"--output-name", ARG_TEXT, &o.output_name},
        {"--output-all", ARG_TEXT, &o.output_all},
        {"--profile", ARG_FLAG, &o.profile},
        {"--repeat", ARG_INT, &o.repeat, 1, 1000000},
        {"--warmup", ARG_INT, &o.warmup, 0, 1000000},
        {NULL},
    };
    struct args args = {tool, help, table, 0};
    struct run run = {.tool = tool};
    struct frame frame = {.features = {.rank = 0}};
    int code;

    run_options_default(&o.run);
    code = args_parse(&args, argc, argv);
    if (code >= 0)
        return code;
    code = run_options(&o, &run, &frame);
    frame_free(&frame);
    run_close(&run);
    return code;
}
