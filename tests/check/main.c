/* SPDX-License-Identifier: MIT */
/* spc-check: the command line, and the list of suites. */
#include "check.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

extern const struct check_case check_conv[], check_dense[], check_frame[], check_index[],
    check_rows[], check_voxel[];
#if SPC_WITH_CUDA
extern const struct check_case check_cuda_conv[], check_cuda_dense[], check_cuda_frame[],
    check_cuda_index[], check_cuda_tables[], check_cuda_voxel[];
#endif

static const struct check_suite suites[] = {
    {"index", check_index},
    {"frame", check_frame},
    {"voxel", check_voxel},
    {"conv", check_conv},
    {"dense", check_dense},
    {"rows", check_rows},
#if SPC_WITH_CUDA
    {"cuda-index", check_cuda_index},
    {"cuda-tables", check_cuda_tables},
    {"cuda-frame", check_cuda_frame},
    {"cuda-conv", check_cuda_conv},
    {"cuda-voxel", check_cuda_voxel},
    {"cuda-dense", check_cuda_dense},
#endif
    {NULL, NULL},
};

#define EXIT_SKIPPED 77 /* what Meson takes for a skipped test */

static const char usage[] =
    "usage: spc-check [--test | --bench | --list] [--filter TEXT] [--isa NAME] [--seed N]\n"
    "                 [--json]\n"
    "\n"
    "Compares every fast kernel with its plain reference on random and odd inputs (--test, the\n"
    "default), or measures both (--bench).\n"
    "\n"
    "  --filter TEXT  only cases whose name (suite.case, see --list) holds TEXT\n"
    "  --isa NAME     only this instruction set: c, avx2, avx512, neon, ...\n"
    "  --seed N       of the random inputs; without it, from the clock\n"
    "  --json         results as JSON\n";

static int parse(int argc, char **argv, struct check_options *options)
{
    static const struct option known[] = {
        {"test", no_argument, NULL, 't'},         {"bench", no_argument, NULL, 'b'},
        {"list", no_argument, NULL, 'l'},         {"filter", required_argument, NULL, 'f'},
        {"isa", required_argument, NULL, 'i'},    {"seed", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},         {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;
    char *end;

    while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        switch (c) {
        case 't':
            options->mode = CHECK_TEST;
            break;
        case 'b':
            options->mode = CHECK_BENCH;
            break;
        case 'l':
            options->mode = CHECK_LIST;
            break;
        case 'f':
            options->filter = optarg;
            break;
        case 'i':
            options->isa = optarg;
            break;
        case 'j':
            options->json = true;
            break;
        case 's':
            options->seed = strtoull(optarg, &end, 0);
            if (end != optarg && !*end)
                break;
            fprintf(stderr, "spc-check: --seed %s: a whole number is needed\n", optarg);
            return 2;
        case 'h':
            fputs(usage, stdout);
            return -1;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    if (optind == argc)
        return 0;
    fprintf(stderr, "spc-check: unexpected argument %s\n%s", argv[optind], usage);
    return 2;
}

static void print_end(const struct check_options *options, const struct check_totals *totals)
{
    if (options->json)
        printf("\n], \"cases_run\": %d, \"checks\": %ld, \"failures\": %ld}\n", totals->cases,
               totals->checks, totals->failures);
    else if (options->mode == CHECK_TEST)
        printf("%d cases passed, %d failed, %d skipped; %ld checks, seed %" PRIu64 "\n",
               totals->cases - totals->failed_cases - totals->skipped_cases,
               totals->failed_cases, totals->skipped_cases, totals->checks, options->seed);
}

int main(int argc, char **argv)
{
    struct check_options options = {.mode = CHECK_TEST};
    struct check_totals totals;
    struct timespec now;
    int rc;

    clock_gettime(CLOCK_REALTIME, &now);
    options.seed = (uint64_t)now.tv_sec * 1000003 + (uint64_t)now.tv_nsec / 1000;
    rc = parse(argc, argv, &options);
    if (rc)
        return rc < 0 ? 0 : rc;
    if (options.json && options.mode != CHECK_LIST)
        printf("{\"seed\": %" PRIu64 ", \"results\": [", options.seed);
    totals = check_run(suites, &options);
    if (options.mode == CHECK_LIST)
        return 0;
    print_end(&options, &totals);
    if (!totals.cases) {
        fprintf(stderr, "spc-check: no case matches --filter %s; see --list\n",
                options.filter ? options.filter : "");
        return 2;
    }
    if (totals.failed_cases)
        return 1;
    return totals.skipped_cases == totals.cases ? EXIT_SKIPPED : 0;
}
