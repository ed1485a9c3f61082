/* SPDX-License-Identifier: MIT */
/*
 * spc-check: every kernel against its plain reference, and how fast it is.
 *
 * A file of cases is one constant table, ended by an empty entry, named in suites[] of main.c and
 * listed in meson.build:
 *
 *     const struct check_case check_rows[] = {
 *         {"permute", test_permute, bench_permute}, // bench may be NULL
 *         {NULL, NULL, NULL},
 *     };
 *
 * A test makes its inputs from check_random(), its outputs with check_alloc() (poisoned, guard
 * zones around them), runs reference and kernel and compares with check_same() or check_close().
 * Random numbers depend on --seed and the case's name alone.
 */
#ifndef SPC_CHECK_H
#define SPC_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct check; /* the run */

struct check_case {
    const char *name;
    void (*test)(struct check *check);
    void (*bench)(struct check *check); /* may be NULL */
};

struct check_suite {
    const char *name;
    const struct check_case *cases;
};

/* ---- inputs ---- */

uint64_t check_random(struct check *check);
/* Uniform in low .. high, both included. */
int64_t check_int(struct check *check, int64_t low, int64_t high);
float check_float(struct check *check, float low, float high);
/* Finite, but of every kind: zeros of both signs, subnormals, tiny, huge, ordinary. */
float check_odd_float(struct check *check);

/* `size` bytes at a multiple of 64, poisoned, with guard zones right before and behind. Exits
 * where memory is short. Guards are verified, and the memory released, at the end of the case or
 * by check_release(). */
void *check_alloc(struct check *check, size_t size);
/* Poisons a block of check_alloc() again. */
void check_poison(struct check *check, void *block);
/* Verifies all guards and frees all blocks. */
void check_release(struct check *check);

/* Whether the instruction set is to be run (--isa); the caller asks for those the machine has. */
bool check_isa(const struct check *check, const char *isa);

/* ---- verdicts: each returns whether it held ---- */

bool check_true(struct check *check, bool condition, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The case cannot run here; the reason is shown. A case that was skipped has no other verdict. */
void check_skip(struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same bytes. */
bool check_same(struct check *check, const char *what, const void *actual, const void *expected,
                size_t size);
/* |actual - expected| <= absolute + relative * |expected| for each; NaN where NaN is expected. */
bool check_close(struct check *check, const char *what, const float *actual,
                 const float *expected, size_t count, double relative, double absolute);

/* ---- speed ---- */

/* Median time of fn(context), and the time per item: check_bench(check, "avx2", n, "pair", ...).
 * With items in floating-point operations and `item` "flop", the rate is in GFLOP/s. */
void check_bench(struct check *check, const char *label, double items, const char *item,
                 void (*fn)(void *context), void *context);

/* ---- for main.c ---- */

enum check_mode {
    CHECK_TEST,
    CHECK_BENCH,
    CHECK_LIST,
};

struct check_options {
    enum check_mode mode;
    const char *isa;    /* NULL: all that the machine has */
    const char *filter; /* part of "suite.case"; NULL: all */
    uint64_t seed;
    bool json;
};

struct check_totals {
    int cases, failed_cases, skipped_cases;
    long checks, failures;
};

/* Runs (or lists) the cases of the suites up to the one without a name. */
struct check_totals check_run(const struct check_suite *suites,
                              const struct check_options *options);

#endif
