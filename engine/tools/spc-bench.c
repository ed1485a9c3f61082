/* SPDX-License-Identifier: MIT */
/* spc-bench: how fast is a network on this machine, and how close to a dense matrix product? */
#include "bench.h"
#include "blas.h"
#include "json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "NAME\n"
    "  spc-bench - measure a sparse-convolution network\n"
    "\n"
    "SYNOPSIS\n"
    "  spc-bench --model M [--features F --indices I] [--threads 1,2,4] [--voxels N,N,...]\n"
    "            [--all-isas] [--steps] [--blas] [--json] [...]\n"
    "\n"
    "DESCRIPTION\n"
    "  Times whole frames, index building included, for every combination of instruction set,\n"
    "  number of threads and number of voxels that is asked for. Without files the frame is of a\n"
    "  made-up scene. Columns:\n"
    "    ms, min, p99   a frame: median, minimum, 99th percentile\n"
    "    index          median of the part that builds sites and pairs, in a run of its own that\n"
    "                   measures each step\n"
    "    GFLOP          useful work: 2 x pairs x input channels x output channels\n"
    "    peak MB        peak resident memory of the process while this row was measured\n"
    "    sgemm, %       with --blas: OpenBLAS's 2048^3 product in float32 on as many threads,\n"
    "                   measured in turn with the frames, and the network's part of that rate:\n"
    "    best %         median to median, and fastest frame to fastest product.\n"
    "                   Its memory would be counted too, so peak MB is left out then\n"
    "  On CUDA a frame is timed from voxels in host memory, which are copied, to the output in\n"
    "  device memory, by the host's clock. Times of steps are the device's own, between events,\n"
    "  in a run without a graph: there no step overlaps the next or runs beside it, so that they\n"
    "  add up to more than the device takes for a frame. peak MB is host memory.\n"
    "\n"
    "OPTIONS\n" RUN_HELP
    "  --threads N,N,...   numbers of threads (default: one per processor)\n"
    "  --voxels N,N,...    numbers of voxels: the part of the frame nearest to its middle, or a\n"
    "                      made-up frame of that size (default: the whole frame, or 60000)\n"
    "  --all-isas          every instruction set that this machine has\n"
    "  --repeat N          frames a row (default 10)\n"
    "  --warmup N          frames before that (default 2)\n"
    "  --steps             the table of steps under each row: medians, GFLOP/s of each kernel\n"
    "  --blas              compare with OpenBLAS (OPENBLAS_CORETYPE chooses its kernels)\n"
    "  --tune FILE         CUDA: try each convolution's kernels on the frame, keep the fastest in\n"
    "                      FILE, beside those of other models and GPUs; --tuning-cache and\n"
    "                      spconvinfer's tuning-cache read it\n"
    "  --json              print one JSON array instead\n"
    "  --help, --version\n"
    "\n"
    "EXIT STATUS\n"
    "  0  done\n"
    "  2  wrong usage, a bad model or frame, or OpenBLAS asked for and missing\n"
    "\n"
    "EXAMPLES\n"
    "  spc-bench --model centerpoint.onnx --threads 1,2 --voxels 1000,20000,60000\n"
    "  spc-bench --model centerpoint.onnx --features f.tensor --indices i.tensor \\\n"
    "      --threads 2 --steps --blas\n"
    "  OPENBLAS_CORETYPE=Haswell spc-bench --model centerpoint.onnx --isa avx2 --blas\n";

static const char tool[] = "spc-bench";

#define SGEMM_SIZE 2048
#define SYNTHETIC_VOXELS 60000

struct options {
    struct run_options run;
    struct arg_list threads, voxels;
    int64_t repeat, warmup;
    const char *tune;
    bool all_isas, steps, blas, json;
};

struct bench_state {
    const struct options *o;
    struct run run;
    struct frame whole; /* from files; empty without */
    struct blas *blas;
    int rows;
};

static void print_head(const struct bench_state *b)
{
    printf("%-7s %-5s %7s %8s %10s %10s %10s %8s %8s %8s", "isa", "prec", "threads", "voxels", "ms",
           "min", "p99", "index", "GFLOP", "GFLOP/s");
    if (b->blas)
        printf(" %8s %6s %6s\n", "sgemm", "%", "best %");
    else
        printf(" %8s\n", "peak MB");
}

static void print_row(struct bench_state *b, const struct bench_row *r)
{
    if (!b->rows || b->o->steps)
        print_head(b);
    printf("%-7s %-5s %7d %8" PRId64 " %10.3f %10.3f %10.3f %8.3f %8.3f %8.1f", r->session.isa,
           spc_precision_name(r->session.precision), r->session.threads, r->voxels, r->time.median,
           r->time.min, r->time.p99, r->index_ms, r->gflop, bench_rate(r));
    if (b->blas)
        printf(" %8.1f %6.1f %6.1f\n", r->sgemm.median, bench_percent(r), bench_best_percent(r));
    else
        printf(" %8.1f\n", r->peak_mb);
    fflush(stdout);
}

static void json_row(const struct bench_state *b, const struct bench_row *r)
{
    printf("%s\n {\"backend\": ", b->rows ? "," : "[");
    json_string(stdout, r->session.backend);
    printf(", \"isa\": ");
    json_string(stdout, r->session.isa);
    printf(", \"precision\": \"%s\", \"threads\": %d, \"voxels\": %" PRId64
           ", \"frames\": %" PRId64,
           spc_precision_name(r->session.precision), r->session.threads, r->voxels, b->o->repeat);
    json_field(stdout, "ms", r->time.median);
    json_field(stdout, "min_ms", r->time.min);
    json_field(stdout, "p99_ms", r->time.p99);
    json_field(stdout, "index_ms", r->index_ms);
    json_field(stdout, "gflop", r->gflop);
    json_field(stdout, "gflops", bench_rate(r));
    if (b->blas) {
        printf(", \"blas_core\": ");
        json_string(stdout, blas_core(b->blas));
        json_field(stdout, "sgemm_gflops", r->sgemm.median);
        json_field(stdout, "percent_of_sgemm", bench_percent(r));
        json_field(stdout, "best_percent_of_sgemm", bench_best_percent(r));
    } else {
        json_field(stdout, "peak_mb", r->peak_mb);
    }
    printf("}");
}

static int bench_frame(struct bench_state *b, const struct run_options *run_options,
                       const struct frame *frame)
{
    struct bench_plan plan = {(int)b->o->repeat, (int)b->o->warmup, b->o->tune != NULL, b->blas};
    struct bench_row row;
    int code = bench_measure(&b->run, run_options, frame, &plan, &row);

    if (code)
        return code;
    b->o->json ? json_row(b, &row) : print_row(b, &row);
    if (b->o->steps && !b->o->json) {
        steps_print(&row.steps);
        printf("\n");
    }
    b->rows++;
    steps_clear(&row.steps);
    return EXIT_OK;
}

/* One number of voxels; 0: the frame as it is. */
static int bench_voxels(struct bench_state *b, const struct run_options *run_options,
                        int64_t voxels)
{
    const struct spc_model_info *info = &b->run.info;
    struct frame frame = {.features = {.rank = 0}};
    bool have_file = b->o->run.features != NULL;
    int code;

    if (have_file && !voxels)
        return bench_frame(b, run_options, &b->whole);
    if (have_file)
        code = frame_crop(&frame, &b->whole, voxels, info, tool);
    else
        code = frame_synthesize(&frame, voxels ? voxels : SYNTHETIC_VOXELS, info, tool);
    if (!code)
        code = bench_frame(b, run_options, &frame);
    frame_free(&frame);
    return code;
}

/* All combinations for one instruction set. */
static int bench_isa(struct bench_state *b, const char *isa)
{
    const struct options *o = b->o;
    struct run_options run_options = o->run;
    int code = EXIT_OK;

    run_options.isa = isa;
    for (int t = 0; t < o->threads.count && !code; t++)
        for (int v = 0; v < o->voxels.count && !code; v++) {
            run_options.threads = o->threads.values[t];
            code = bench_voxels(b, &run_options, o->voxels.values[v]);
        }
    return code;
}

/* Whether a session with this instruction set can be made here. */
static bool has_isa(struct bench_state *b, const char *isa)
{
    struct spc_session_options options;
    struct spc_session *session = NULL;
    bool has;

    spc_session_options_default(&options);
    options.backend = "cpu";
    options.isa = isa;
    options.threads = 1;
    options.max_voxels = 1;
    has = !spc_session_create(b->run.model, &options, &session, NULL);
    spc_session_free(&session);
    return has;
}

static int bench_all(struct bench_state *b)
{
    static const char *const isas[] = {"c", "avx2", "avx512", "neon"};
    int code = EXIT_OK;

    if (!b->o->all_isas)
        return bench_isa(b, b->o->run.isa);
    for (size_t i = 0; i < sizeof(isas) / sizeof(*isas) && !code; i++)
        if (has_isa(b, isas[i]))
            code = bench_isa(b, isas[i]);
    return code;
}

static int open_blas(struct bench_state *b)
{
    char why[256];

    b->blas = blas_open(SGEMM_SIZE, why);
    if (!b->blas)
        return tool_fail(tool, "--blas: %s", why);
    if (!b->o->json)
        printf("OpenBLAS uses its %s kernels\n", blas_core(b->blas));
    return EXIT_OK;
}

static int bench(struct bench_state *b)
{
    const struct options *o = b->o;
    int code = EXIT_OK;

    if (!o->run.features != !o->run.indices)
        return tool_fail(tool, "--features and --indices belong together; one is missing");
    code = run_load(&b->run, &o->run);
    if (!code && o->run.features)
        code = frame_read(&b->whole, o->run.features, o->run.indices, &b->run.info, tool);
    if (!code && o->blas)
        code = open_blas(b);
    if (!code)
        code = bench_all(b);
    if (!code && o->json)
        printf("\n]\n");
    return code;
}

int main(int argc, char **argv)
{
    struct options o = {.repeat = 10, .warmup = 2, .threads = {1, {0}}, .voxels = {1, {0}}};
    const struct arg table[] = {
        RUN_ARGS(o.run),
        {"--threads", ARG_LIST, &o.threads, 1, 1024},
        {"--voxels", ARG_LIST, &o.voxels, 1, 1 << 27},
        {"--all-isas", ARG_FLAG, &o.all_isas},
        {"--repeat", ARG_INT, &o.repeat, 1, 1000000},
        {"--warmup", ARG_INT, &o.warmup, 0, 1000000},
        {"--steps", ARG_FLAG, &o.steps},
        {"--blas", ARG_FLAG, &o.blas},
        {"--tune", ARG_TEXT, &o.tune},
        {"--json", ARG_FLAG, &o.json},
        {NULL},
    };
    struct args args = {tool, help, table, 0};
    struct bench_state b = {.o = &o, .run = {.tool = tool}};
    int code;

    run_options_default(&o.run);
    code = args_parse(&args, argc, argv);
    if (code >= 0)
        return code;
    if (o.tune)
        o.run.tuning_cache = o.tune;
    code = bench(&b);
    blas_close(b.blas);
    frame_free(&b.whole);
    run_close(&b.run);
    return code;
}
