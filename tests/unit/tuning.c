/* SPDX-License-Identifier: MIT */
/* The file that keeps a tuning: what is written is read, what is damaged is refused. */
#include "base/hash.h"
#include "base/tuning.h"
#include "test.h"

#include <unistd.h>

static struct spc__tuning example(void)
{
    struct spc__tuning tuning;

    CHECK(!spc__tuning_init(&tuning, 30, NULL));
    strcpy(tuning.engine, "0.1.0");
    strcpy(tuning.device, "NVIDIA H200");
    strcpy(tuning.isa, "sm_90");
    strcpy(tuning.precision, "fp16");
    tuning.network = 0x0123456789abcdefu;
    strcpy(tuning.ways[3], "wgmma");
    strcpy(tuning.ways[29], "mma");
    return tuning;
}

/* Parses `lines` with a sum that is right behind them. */
static enum spc_status parse_lines(const char *lines, struct spc__tuning *tuning,
                                   struct spc_error *err)
{
    char text[1024];
    int size = snprintf(text, sizeof(text), "%ssum %016" PRIx64 "\n", lines,
                        spc__hash(SPC__HASH_START, lines, strlen(lines)));

    return spc__tuning_parse(text, (size_t)size, tuning, err);
}

TEST(written_and_read)
{
    struct spc__tuning out = example(), in;
    struct spc_error err;
    char path[64];

    snprintf(path, sizeof(path), "/tmp/spc-tuning-%ld.txt", (long)getpid());
    CHECK_INT(spc__tuning_write(path, &out, &err), SPC_OK);
    REQUIRE(!spc__tuning_read(path, &in, &err));
    CHECK(!spc__tuning_differs(&in, &out));
    CHECK_INT(in.num_nodes, 30);
    for (int i = 0; i < 30; i++)
        CHECK(!strcmp(in.ways[i], out.ways[i]));
    spc__tuning_clear(&in);
    unlink(path);
    CHECK_INT(spc__tuning_read(path, &in, &err), SPC_ERR_IO);
    CHECK_TEXT(err.message, path);
    CHECK_INT(spc__tuning_write("/nowhere/at/all", &out, &err), SPC_ERR_IO);
    spc__tuning_clear(&out);
}

/* Cut anywhere, or with any one bit another. */
TEST(damaged)
{
    struct spc__tuning tuning = example(), in;
    char *text;
    size_t size;

    REQUIRE(!spc__tuning_print(&tuning, &text, &size, NULL));
    spc__tuning_clear(&tuning);
    for (size_t cut = 0; cut < size; cut++)
        CHECK_INT(spc__tuning_parse(text, cut, &in, NULL), SPC_ERR_FORMAT);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
        CHECK_INT(spc__tuning_parse(text, size, &in, NULL), SPC_ERR_FORMAT);
        text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
    }
    CHECK_INT(spc__tuning_parse(text, size, &in, NULL), SPC_OK);
    spc__tuning_clear(&in);
    free(text);
}

#define HEAD                                                                                       \
    "spc-tuning 1\nengine 0.1.0\ndevice A B\nisa sm_90\nprecision fp16\n"                          \
    "network 0123456789abcdef\n"

TEST(refused)
{
    static const struct {
        const char *lines, *says;
    } cases[] = {
        {"", "line 1"},
        {"spc-tuning 2\n", "is not \"spc-tuning 1\""},
        {"spc-tuning 1\ndevice A\nengine B\n", "line 2"},
        {HEAD "nodes 65537\n", "too many"},
        {HEAD "nodes -1\n", "line 7"},
        {HEAD "nodes 05\n", "line 7"},
        {HEAD "nodes 5\nnode 5 mma\n", "line 8: is neither a node nor the sum"},
        {HEAD "nodes 5\nnode 4 mma\nnode 3 mma\n", "line 9"},
        {HEAD "nodes 5\nnode 4 mma\nnode 4 mma\n", "line 9"},
        {HEAD "nodes 5\nnode 4 \n", "line 8"},
        {HEAD "nodes 5\nnode  mma\n", "line 8"},
        {HEAD "nodes 5\nnode 4 a-name-that-is-longer-than-any\n", "line 8"},
        {HEAD "nodes 5\nnode 4\n", "line 8"},
        {HEAD "nodes 5\n\n", "line 8"},
        {HEAD "nodes 5\nnote 4 mma\n", "line 8"},
    };
    struct spc__tuning tuning;
    struct spc_error err;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CHECK_INT(parse_lines(cases[i].lines, &tuning, &err), SPC_ERR_FORMAT);
        CHECK_TEXT(err.message, cases[i].says);
    }
    CHECK_INT(parse_lines(HEAD "nodes 5\nnode 4 mma\n", &tuning, &err), SPC_OK);
    CHECK_TEXT(tuning.ways[4], "mma");
    spc__tuning_clear(&tuning);
    CHECK_INT(parse_lines(HEAD "nodes 0\n", &tuning, &err), SPC_OK);
    spc__tuning_clear(&tuning);
}

static void check_differs(const struct spc__tuning *b, const char *what)
{
    struct spc__tuning a = example();
    const char *differs = spc__tuning_differs(&a, b);

    CHECK_TEXT(differs ? differs : "nothing", what);
    spc__tuning_clear(&a);
}

TEST(differs)
{
    struct spc__tuning a = example(), b = a;

    check_differs(&a, "nothing");
#define DIFFERS(what, change)                                                                      \
    b = a, change, check_differs(&b, what)
    DIFFERS("engine", b.engine[0] = '9');
    DIFFERS("device", b.device[0] = 'X');
    DIFFERS("isa", b.isa[0] = 'X');
    DIFFERS("precision", b.precision[0] = 'X');
    DIFFERS("network", b.network++);
    DIFFERS("network", b.num_nodes--);
#undef DIFFERS
    spc__tuning_clear(&a);
}

/* One bit more or less gives another hash, wherever it is, and length counts. */
TEST(hash)
{
    unsigned char data[40] = {0};
    uint64_t whole = spc__hash(SPC__HASH_START, data, sizeof(data));

    for (size_t bit = 0; bit < 8 * sizeof(data); bit++) {
        data[bit / 8] = (unsigned char)(1 << bit % 8);
        CHECK(spc__hash(SPC__HASH_START, data, sizeof(data)) != whole);
        data[bit / 8] = 0;
    }
    CHECK(spc__hash(SPC__HASH_START, data, sizeof(data) - 1) != whole);
}

int main(void)
{
    RUN(written_and_read);
    RUN(damaged);
    RUN(refused);
    RUN(differs);
    RUN(hash);
    return test_result();
}
