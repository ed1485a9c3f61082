/* SPDX-License-Identifier: MIT */
/* The file that keeps a tuning: what is written is read, what is damaged is refused. */
#include "base/hash.h"
#include "base/tuning.h"
#include "test.h"

#include <sys/wait.h>
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

static enum spc_status parse(const char *data, size_t size, struct spc__tuning *tuning,
                             struct spc_error *err)
{
    struct spc__tuning_text text = {data, data + size, 0};

    return spc__tuning_parse(&text, tuning, err);
}

/* Parses `lines` with a sum that is right behind them. */
static enum spc_status parse_lines(const char *lines, struct spc__tuning *tuning,
                                   struct spc_error *err)
{
    char text[1024];
    int size = snprintf(text, sizeof(text), "%ssum %016" PRIx64 "\n", lines,
                        spc__hash(SPC__HASH_START, lines, strlen(lines)));

    return parse(text, (size_t)size, tuning, err);
}

/* A path in a folder that nobody else uses. */
static void make_path(char *path, size_t size)
{
    snprintf(path, size, "/tmp/spc-tuning-XXXXXX");
    REQUIRE(mkdtemp(path));
    strcat(path, "/cache");
}

static void remove_path(char *path)
{
    CHECK(!unlink(path));
    *strrchr(path, '/') = 0;
    CHECK(!rmdir(path)); /* nothing else was left there */
}

static void append(const char *path, const char *text)
{
    FILE *file = fopen(path, "a");

    REQUIRE(file);
    CHECK(fputs(text, file) >= 0);
    CHECK(!fclose(file));
}

/* Whether the file says of the key of `key` what `key` says. */
static bool says(const char *path, const struct spc__tuning *key)
{
    struct spc__tuning blank = example(), in = *key;
    bool same;

    in.ways = blank.ways;
    CHECK_INT(spc__tuning_read(path, &in, &same, NULL), SPC_OK);
    for (int i = 0; i < key->num_nodes; i++)
        same = same && !strcmp(in.ways[i], key->ways[i]);
    spc__tuning_clear(&blank);
    return same;
}

TEST(written_and_read)
{
    struct spc__tuning tuning = example();
    struct spc_error err;
    char path[64];
    bool found;

    make_path(path, sizeof(path));
    CHECK_INT(spc__tuning_write(path, &tuning, &err), SPC_OK);
    CHECK(says(path, &tuning));
    remove_path(path);
    CHECK_INT(spc__tuning_read(path, &tuning, &found, &err), SPC_ERR_IO);
    CHECK_TEXT(err.message, path);
    CHECK_INT(spc__tuning_write("/nowhere/at/all", &tuning, &err), SPC_ERR_IO);
    spc__tuning_clear(&tuning);
}

/* One takes the place of its like, and leaves others. */
TEST(several)
{
    struct spc__tuning a = example(), b = example(), c = example();
    char path[64];

    b.network++;
    strcpy(c.device, "NVIDIA Jetson");
    strcpy(b.ways[5], "teams");
    make_path(path, sizeof(path));
    CHECK_INT(spc__tuning_write(path, &a, NULL), SPC_OK);
    CHECK(!says(path, &b));
    CHECK_INT(spc__tuning_write(path, &b, NULL), SPC_OK);
    CHECK_INT(spc__tuning_write(path, &c, NULL), SPC_OK);
    CHECK(says(path, &a) && says(path, &b) && says(path, &c));
    strcpy(a.ways[3], "mma");
    CHECK(!says(path, &a));
    CHECK_INT(spc__tuning_write(path, &a, NULL), SPC_OK);
    CHECK(says(path, &a) && says(path, &b) && says(path, &c));
    remove_path(path);
    spc__tuning_clear(&a);
    spc__tuning_clear(&b);
    spc__tuning_clear(&c);
}

/* What is whole before the damage is read and stays; behind it nothing is. */
TEST(damaged_behind)
{
    struct spc__tuning a = example(), b = example();
    struct spc_error err;
    char path[64];
    bool found;

    b.network++;
    make_path(path, sizeof(path));
    CHECK_INT(spc__tuning_write(path, &a, NULL), SPC_OK);
    append(path, "spc-tuning 1\nengine\n");
    CHECK(says(path, &a));
    CHECK_INT(spc__tuning_read(path, &b, &found, &err), SPC_ERR_FORMAT);
    CHECK_TEXT(err.message, "line 12");
    CHECK_INT(spc__tuning_write(path, &b, NULL), SPC_OK);
    CHECK(says(path, &a) && says(path, &b));
    remove_path(path);
    spc__tuning_clear(&a);
    spc__tuning_clear(&b);
}

/* A path that was mistaken costs nobody a file. */
TEST(another_file)
{
    struct spc__tuning tuning = example();
    struct spc_error err;
    char path[64], left[16] = "";
    FILE *file;

    make_path(path, sizeof(path));
    append(path, "a model");
    CHECK_INT(spc__tuning_write(path, &tuning, &err), SPC_ERR_FORMAT);
    CHECK_TEXT(err.message, "is no tuning file");
    REQUIRE((file = fopen(path, "r")));
    CHECK(fgets(left, sizeof(left), file));
    fclose(file);
    CHECK_TEXT(left, "a model");
    remove_path(path);
    spc__tuning_clear(&tuning);
}

#define WRITERS 4
#define WRITES 25

static void write_often(const char *path, int writer)
{
    struct spc__tuning tuning = example();

    for (int i = 0; i < WRITES; i++) {
        tuning.network = (uint64_t)(writer * WRITES + i);
        if (spc__tuning_write(path, &tuning, NULL))
            _exit(1);
    }
    _exit(0);
}

/* Processes that write at once: what each wrote is there. */
TEST(written_at_once)
{
    struct spc__tuning tuning = example();
    pid_t writers[WRITERS];
    char path[64];
    int status;

    make_path(path, sizeof(path));
    for (int i = 0; i < WRITERS; i++)
        if (!(writers[i] = fork()))
            write_often(path, i);
    for (int i = 0; i < WRITERS; i++)
        CHECK(writers[i] > 0 && waitpid(writers[i], &status, 0) == writers[i] && !status);
    for (int i = 0; i < WRITERS * WRITES; i++) {
        tuning.network = (uint64_t)i;
        CHECK(says(path, &tuning));
    }
    remove_path(path);
    spc__tuning_clear(&tuning);
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
        CHECK_INT(parse(text, cut, &in, NULL), SPC_ERR_FORMAT);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
        CHECK_INT(parse(text, size, &in, NULL), SPC_ERR_FORMAT);
        text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
    }
    CHECK_INT(parse(text, size, &in, NULL), SPC_OK);
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

static void check_key(const struct spc__tuning *b, bool same)
{
    struct spc__tuning a = example();

    CHECK(spc__tuning_same_key(&a, b) == same);
    spc__tuning_clear(&a);
}

TEST(same_key)
{
    struct spc__tuning a = example(), b = a;

    check_key(&b, true);
#define DIFFERS(change) b = a, change, check_key(&b, false)
    DIFFERS(b.engine[0] = '9');
    DIFFERS(b.device[0] = 'X');
    DIFFERS(b.isa[0] = 'X');
    DIFFERS(b.precision[0] = 'X');
    DIFFERS(b.network++);
    DIFFERS(b.num_nodes--);
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
    RUN(several);
    RUN(damaged_behind);
    RUN(another_file);
    RUN(written_at_once);
    RUN(damaged);
    RUN(refused);
    RUN(same_key);
    RUN(hash);
    return test_result();
}
