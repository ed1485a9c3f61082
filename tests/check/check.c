/* SPDX-License-Identifier: MIT */
/* spc-check's services for cases: random numbers, guarded memory, verdicts, timing. */
#include "check.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GUARD 256 /* bytes on either side; a multiple of the alignment */
#define MAX_SHOWN 5

struct block {
    struct block *next;
    unsigned char *memory; /* GUARD + size + GUARD */
    size_t size;
};

struct check {
    const struct check_options *options;
    const char *suite, *name; /* of the case */
    uint64_t random;
    struct block *blocks;
    long checks, failures; /* of the case */
    char skipped[200];     /* why the case was skipped; "" where it ran */
    bool first_json;
};

/* ---- inputs ---- */

/* splitmix64 */
uint64_t check_random(struct check *check)
{
    uint64_t z = check->random += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

int64_t check_int(struct check *check, int64_t low, int64_t high)
{
    return low + (int64_t)(check_random(check) % (uint64_t)(high - low + 1));
}

float check_float(struct check *check, float low, float high)
{
    return low + (high - low) * (float)(check_random(check) >> 40) * 0x1p-24f;
}

float check_odd_float(struct check *check)
{
    float sign = check_random(check) & 1 ? -1.0f : 1.0f, value = check_float(check, 1, 2);

    switch (check_random(check) % 8) {
    case 0:
        return sign * 0.0f;
    case 1:
        return sign * value * 0x1p-140f;
    case 2:
        return sign * value * 0x1p-100f;
    case 3:
        return sign * value * 0x1p100f;
    case 4:
        return sign * value * 0x1p-15f;
    default:
        return sign * value;
    }
}

static unsigned char poison_byte(size_t i)
{
    return (unsigned char)(0xa5 ^ i * 29);
}

static void poison(unsigned char *bytes, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        bytes[i] = poison_byte(i);
}

void *check_alloc(struct check *check, size_t size)
{
    struct block *block = malloc(sizeof(*block));
    void *memory = NULL;

    if (!block || posix_memalign(&memory, 64, size + 2 * GUARD)) {
        fprintf(stderr, "spc-check: no memory for %zu bytes\n", size);
        exit(2);
    }
    *block = (struct block){check->blocks, memory, size};
    check->blocks = block;
    poison(memory, 0, size + 2 * GUARD);
    return block->memory + GUARD;
}

void check_poison(struct check *check, void *block)
{
    for (struct block *b = check->blocks; b; b = b->next)
        if (b->memory + GUARD == block)
            poison(b->memory, GUARD, GUARD + b->size);
}

static bool guards_intact(const struct block *block)
{
    size_t end = block->size + 2 * GUARD;

    for (size_t i = 0; i < GUARD; i++)
        if (block->memory[i] != poison_byte(i) ||
            block->memory[end - 1 - i] != poison_byte(end - 1 - i))
            return false;
    return true;
}

void check_release(struct check *check)
{
    struct block *block = check->blocks;

    while (block) {
        struct block *next = block->next;

        check_true(check, guards_intact(block),
                   "bytes outside a buffer of %zu bytes were written", block->size);
        free(block->memory);
        free(block);
        block = next;
    }
    check->blocks = NULL;
}

bool check_isa(const struct check *check, const char *isa)
{
    return !check->options->isa || !strcmp(check->options->isa, isa);
}

/* ---- verdicts ---- */

bool check_true(struct check *check, bool condition, const char *format, ...)
{
    va_list args;

    check->checks++;
    if (condition)
        return true;
    if (++check->failures > MAX_SHOWN)
        return false;
    fprintf(stderr, "%s.%s: ", check->suite, check->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, " (seed %" PRIu64 ")\n", check->options->seed);
    return false;
}

bool check_same(struct check *check, const char *what, const void *actual, const void *expected,
                size_t size)
{
    const unsigned char *a = actual, *e = expected;
    size_t i = 0;

    while (i < size && a[i] == e[i])
        i++;
    return check_true(check, i == size, "%s differs from byte %zu of %zu on: %02x, expected %02x",
                      what, i, size, i < size ? a[i] : 0, i < size ? e[i] : 0);
}

static bool is_close(float actual, float expected, double relative, double absolute)
{
    if (isnan(expected))
        return isnan(actual);
    if (isinf(expected))
        return actual == expected;
    return fabs((double)actual - expected) <= absolute + relative * fabs(expected);
}

bool check_close(struct check *check, const char *what, const float *actual,
                 const float *expected, size_t count, double relative, double absolute)
{
    size_t i = 0;

    while (i < count && is_close(actual[i], expected[i], relative, absolute))
        i++;
    return check_true(check, i == count, "%s: element %zu of %zu is %.9g, expected %.9g", what, i,
                      count, i < count ? actual[i] : 0, i < count ? expected[i] : 0);
}

void check_skip(struct check *check, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(check->skipped, sizeof(check->skipped), format, args);
    va_end(args);
}

/* ---- speed ---- */

#define MAX_SAMPLES 2000
#define BENCH_NS 2e8 /* about so long per measurement */

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

struct timing {
    double median, best; /* ns; on a busy machine the best says more */
    int samples;
};

static struct timing time_of(void (*fn)(void *context), void *context)
{
    static double times[MAX_SAMPLES];
    double begin, spent = 0;
    int n = 0;

    fn(context); /* touches memory, fills caches */
    while (n < MAX_SAMPLES && (n < 5 || spent < BENCH_NS)) {
        begin = now_ns();
        fn(context);
        times[n] = now_ns() - begin;
        spent += times[n++];
    }
    qsort(times, (size_t)n, sizeof(times[0]), compare_doubles);
    return (struct timing){times[n / 2], times[0], n};
}

void check_bench(struct check *check, const char *label, double items, const char *item,
                 void (*fn)(void *context), void *context)
{
    struct timing t = time_of(fn, context);

    if (check->options->json) {
        printf("%s\n  {\"suite\": \"%s\", \"case\": \"%s\", \"label\": \"%s\", "
               "\"median_ns\": %.1f, \"best_ns\": %.1f, \"items\": %.0f, "
               "\"item\": \"%s\", \"samples\": %d}",
               check->first_json ? "" : ",", check->suite, check->name, label, t.median,
               t.best, items, item, t.samples);
        check->first_json = false;
        return;
    }
    printf("%-8s %-14s %-28s %11.0f ns (best %11.0f)", check->suite, check->name, label,
           t.median, t.best);
    if (!strcmp(item, "flop"))
        printf("  %8.1f GFLOP/s\n", items / t.median);
    else
        printf("  %8.2f ns/%s\n", items > 0 ? t.median / items : 0.0, item);
    fflush(stdout);
}

/* ---- the run ---- */

static uint64_t seed_of(const struct check *check)
{
    uint64_t h = check->options->seed ^ 0xcbf29ce484222325;

    for (const char *c = check->suite; *c; c++)
        h = (h ^ (unsigned char)*c) * 0x100000001b3;
    for (const char *c = check->name; *c; c++)
        h = (h ^ (unsigned char)*c) * 0x100000001b3;
    return h;
}

static bool case_failed(const struct check *check)
{
    return check->failures || (!check->checks && !check->skipped[0]);
}

static void report_skip(struct check *check)
{
    if (!check->options->json) {
        printf("skip %s.%s: %s\n", check->suite, check->name, check->skipped);
        return;
    }
    printf("%s\n  {\"suite\": \"%s\", \"case\": \"%s\", \"skipped\": \"%s\"}",
           check->first_json ? "" : ",", check->suite, check->name, check->skipped);
    check->first_json = false;
}

static void report_test(struct check *check)
{
    if (check->options->json) {
        printf("%s\n  {\"suite\": \"%s\", \"case\": \"%s\", \"checks\": %ld, \"failures\": %ld}",
               check->first_json ? "" : ",", check->suite, check->name, check->checks,
               check->failures);
        check->first_json = false;
        return;
    }
    printf("%s %s.%s: %ld checks", case_failed(check) ? "FAIL" : "ok  ",
           check->suite, check->name, check->checks);
    if (check->failures)
        printf(", %ld failures", check->failures);
    printf("\n");
    fflush(stdout);
}

static void run_case(struct check *check, const struct check_case *c, struct check_totals *totals)
{
    check->checks = check->failures = 0;
    check->skipped[0] = '\0';
    check->random = seed_of(check);
    if (check->options->mode == CHECK_BENCH) {
        if (c->bench)
            c->bench(check);
        check_release(check);
    } else {
        c->test(check);
        check_release(check);
        if (!check->skipped[0])
            report_test(check);
    }
    if (check->skipped[0])
        report_skip(check);
    totals->cases++;
    totals->skipped_cases += check->skipped[0] != '\0';
    totals->checks += check->checks;
    totals->failures += check->failures;
    totals->failed_cases +=
        check->options->mode == CHECK_TEST ? case_failed(check) : check->failures > 0;
}

struct check_totals check_run(const struct check_suite *suites,
                              const struct check_options *options)
{
    struct check check = {.options = options, .first_json = true};
    struct check_totals totals = {0};

    for (const struct check_suite *s = suites; s->name; s++) {
        for (const struct check_case *c = s->cases; c->name; c++) {
            char full[128];

            snprintf(full, sizeof(full), "%s.%s", s->name, c->name);
            if (options->filter && !strstr(full, options->filter))
                continue;
            check.suite = s->name;
            check.name = c->name;
            if (options->mode == CHECK_LIST)
                printf("%s%s\n", full, c->bench ? " (bench)" : "");
            else
                run_case(&check, c, &totals);
        }
    }
    return totals;
}
