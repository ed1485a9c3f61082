/* SPDX-License-Identifier: MIT */
/* Errors, binary16, the thread pool and the shared store. */
#include "base/cpus.h"
#include "base/error.h"
#include "base/half.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/shared.h"
#include "base/text.h"
#include "test.h"

#include <unistd.h>

TEST(error_message)
{
    struct spc_error err;

    CHECK_INT(spc__fail(&err, SPC_ERR_MODEL, "node %s", "conv0"), SPC_ERR_MODEL);
    CHECK_TEXT(err.message, "node conv0");
    CHECK_INT(err.status, SPC_ERR_MODEL);
    CHECK_INT(spc__fail(NULL, SPC_ERR_IO, "nobody listens"), SPC_ERR_IO);
    CHECK_TEXT(spc_status_name(SPC_ERR_CAPACITY), "SPC_ERR_CAPACITY");
}

TEST(text_clean)
{
    static const char *const cases[][2] = {
        {"plain", "plain"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},                       /* 2 bytes each */
        {"\xe7\x82\xb9 \xf0\x9f\x9a\x80", "\xe7\x82\xb9 \xf0\x9f\x9a\x80"}, /* 3 and 4 */
        {"a\nb\x7f", "a?b?"},
        {"cut \xe7\x82", "cut ??"},
        {"\xff\x80\xc0\x80", "????"},
        {"\xed\xa0\x80", "???"},      /* a surrogate */
        {"\xc2\x85", "??"},           /* a control character */
        {"\xf4\x90\x80\x80", "????"}, /* beyond the last code point */
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[40];

        snprintf(text, sizeof(text), "%s", cases[i][0]);
        spc__text_clean(text);
        CHECK(!strcmp(text, cases[i][1]));
    }
}

TEST(alloc_overflow)
{
    CHECK(spc__alloc(SIZE_MAX / 2, 3) == NULL);
    CHECK(spc__alloc_zeroed(SIZE_MAX, 1) == NULL);
}

/* Every binary16 value survives the way to float and back. */
TEST(half_round_trip)
{
    int wrong = 0;

    for (uint32_t h = 0; h < 0x10000; h++) {
        uint16_t back = spc__half_from_float(spc__half_to_float((uint16_t)h));
        bool nan = (h & 0x7c00) == 0x7c00 && (h & 0x3ff);

        wrong += nan ? (back & 0x7c00) != 0x7c00 || !(back & 0x3ff) : back != h;
    }
    CHECK_INT(wrong, 0);
}

TEST(half_rounding)
{
    CHECK_INT(spc__half_from_float(65519.0f), 0x7bff);          /* largest below the tie */
    CHECK_INT(spc__half_from_float(65520.0f), 0x7c00);          /* the tie goes to infinity */
    CHECK_INT(spc__half_from_float(0x1p-25f), 0);               /* tie to even: zero */
    CHECK_INT(spc__half_from_float(0x1.000002p-25f), 1);        /* just above the tie */
    CHECK_INT(spc__half_from_float(0x3p-25f), 2);               /* tie to even: up */
    CHECK_INT(spc__half_from_float(1.0f + 0x1p-11f), 0x3c00);   /* tie to even: down */
    CHECK_INT(spc__half_from_float(1.0f + 0x3p-11f), 0x3c02);   /* tie to even: up */
    CHECK_INT(spc__half_from_float(0x1.ff8p-15f), 0x03ff);      /* largest subnormal */
    CHECK_INT(spc__half_from_float(-0.0f), 0x8000);
}

struct tally {
    int count[1000];
    int worker_errors;
};

static void count_task(void *context, int64_t task, int worker)
{
    struct tally *tally = context;

    tally->count[task]++;
    if (worker < 0 || worker >= 4)
        tally->worker_errors++;
}

TEST(pool_runs_each_task_once)
{
    struct spc__pool *pool = spc__pool_create(4, NULL);
    struct tally tally = {0};
    int wrong = 0;

    REQUIRE(pool != NULL);
    CHECK_INT(spc__pool_threads(pool), 4);
    for (int run = 0; run < 200; run++)
        spc__pool_run(pool, run % 5 ? 1000 : 1, count_task, &tally);
    for (int i = 1; i < 1000; i++)
        wrong += tally.count[i] != 160;
    CHECK_INT(wrong, 0);
    CHECK_INT(tally.count[0], 200);
    CHECK_INT(tally.worker_errors, 0);
    spc__pool_destroy(pool);
}

static enum spc_status make_entry(void *context, void **entry, struct spc_error *err)
{
    int *calls = context;

    if (++*calls == 1)
        return spc__fail(err, SPC_ERR_MEMORY, "the first attempt fails");
    *entry = spc__strdup("entry");
    return SPC_OK;
}

TEST(shared_makes_once)
{
    struct spc__shared *shared = spc__shared_create();
    void *first = NULL, *second = NULL;
    int calls = 0;

    CHECK_INT(spc__shared_get(shared, "k", make_entry, free, &calls, &first, NULL),
              SPC_ERR_MEMORY);
    CHECK_INT(spc__shared_get(shared, "k", make_entry, free, &calls, &first, NULL), SPC_OK);
    CHECK_INT(spc__shared_get(shared, "k", make_entry, free, &calls, &second, NULL), SPC_OK);
    CHECK(first && first == second);
    CHECK_INT(calls, 2);
    spc__shared_destroy(shared);
}

static int quota(const char *text)
{
    char path[] = "/tmp/spc-quota-XXXXXX";
    int fd = mkstemp(path), cpus;

    if (fd < 0 || dprintf(fd, "%s\n", text) < 0)
        return -1;
    close(fd);
    cpus = spc__quota_cpus(path);
    unlink(path);
    return cpus;
}

TEST(cpu_quota)
{
    CHECK_INT(quota("max 100000"), 0);
    CHECK_INT(quota("100000 100000"), 1);
    CHECK_INT(quota("150000 100000"), 2); /* a processor and a half keeps two threads busy */
    CHECK_INT(quota("1 100000"), 1);
    CHECK_INT(quota("100000 0"), 0);
    CHECK_INT(quota("nonsense"), 0);
    CHECK_INT(quota(""), 0);
    CHECK_INT(spc__quota_cpus("/nowhere/cpu.max"), 0);
    CHECK(spc__available_cpus() >= 1);
}

int main(void)
{
    RUN(error_message);
    RUN(text_clean);
    RUN(alloc_overflow);
    RUN(half_round_trip);
    RUN(half_rounding);
    RUN(pool_runs_each_task_once);
    RUN(shared_makes_once);
    RUN(cpu_quota);
    return test_result();
}
