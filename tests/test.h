/* SPDX-License-Identifier: MIT */
/*
 * What a C test needs: checks that say what failed, and a skip that says why.
 *
 *     TEST(name) { CHECK(1 + 1 == 2); CHECK_INT(f(), 3); }
 *     int main(void) { RUN(name); return test_result(); }
 */
#ifndef SPC_TEST_H
#define SPC_TEST_H

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int test_failures, test_checks;

#define TEST(name) static void test_##name(void)
#define RUN(name)                                                                                  \
    do {                                                                                           \
        int before_ = test_failures;                                                               \
        test_##name();                                                                             \
        printf("%s %s\n", test_failures == before_ ? "ok  " : "FAIL", #name);                      \
        fflush(stdout);                                                                            \
    } while (0)

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        test_checks++;                                                                             \
        if (!(condition)) {                                                                        \
            test_failures++;                                                                       \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                \
        }                                                                                          \
    } while (0)

/* Ends the test function: what follows would make no sense. */
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        test_checks++;                                                                             \
        if (!(condition)) {                                                                        \
            test_failures++;                                                                       \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                \
            return;                                                                                \
        }                                                                                          \
    } while (0)

#define CHECK_INT(actual, expected)                                                                \
    do {                                                                                           \
        int64_t a_ = (int64_t)(actual), e_ = (int64_t)(expected);                                  \
        test_checks++;                                                                             \
        if (a_ != e_) {                                                                            \
            test_failures++;                                                                       \
            fprintf(stderr, "%s:%d: %s is %" PRId64 ", expected %" PRId64 "\n", __FILE__,          \
                    __LINE__, #actual, a_, e_);                                                    \
        }                                                                                          \
    } while (0)

#define CHECK_NEAR(actual, expected, tolerance)                                                    \
    do {                                                                                           \
        double a_ = (actual), e_ = (expected);                                                     \
        test_checks++;                                                                             \
        if (!(fabs(a_ - e_) <= (tolerance))) {                                                     \
            test_failures++;                                                                       \
            fprintf(stderr, "%s:%d: %s is %.9g, expected %.9g\n", __FILE__, __LINE__, #actual, a_, \
                    e_);                                                                           \
        }                                                                                          \
    } while (0)

/* `text` holds `part`. */
#define CHECK_TEXT(text, part)                                                                     \
    do {                                                                                           \
        const char *t_ = (text), *p_ = (part);                                                     \
        test_checks++;                                                                             \
        if (!strstr(t_, p_)) {                                                                     \
            test_failures++;                                                                       \
            fprintf(stderr, "%s:%d: \"%s\" does not say \"%s\"\n", __FILE__, __LINE__, t_, p_);    \
        }                                                                                          \
    } while (0)

/* Ends the program as skipped, in Meson's convention. */
#define SKIP_ALL(reason)                                                                           \
    do {                                                                                           \
        printf("SKIP: %s\n", reason);                                                              \
        exit(77);                                                                                  \
    } while (0)

static inline int test_result(void)
{
    printf("%d checks, %d failures\n", test_checks, test_failures);
    return test_failures || !test_checks ? 1 : 0;
}

#endif
