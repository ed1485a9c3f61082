/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target without a fuzzer: every file of a corpus folder as it is, and a few thousand
 * mutations of each that are the same in every run.
 *
 *     fuzz-replay-NAME FOLDER [MUTATIONS]
 */
#include "fuzz.h"

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_FILES 4096
#define DEFAULT_MUTATIONS 2000

struct input {
    char *name;
    uint8_t *data;
    size_t size;
};

static struct input corpus[MAX_FILES];
static int num_inputs;
static char running[400]; /* what to repeat when the target crashes */
static uint64_t state;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static size_t below(size_t bound)
{
    return bound ? (size_t)(next_random() % bound) : 0;
}

static void say_case(void)
{
    if (write(STDERR_FILENO, running, strlen(running)) < 0)
        _exit(1);
}

static void on_signal(int number)
{
    say_case();
    signal(number, SIG_DFL);
    raise(number);
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t capacity);
extern size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t capacity, unsigned seed)
    __attribute__((weak));

/* Present in sanitizer builds only. */
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void catch_crashes(void)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGTRAP};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        signal(numbers[i], on_signal);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(say_case);
}

static bool load(const char *folder, const char *name)
{
    struct input *input = &corpus[num_inputs];
    char path[4096];
    long size;
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "rb");
    if (!file)
        return false;
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    rewind(file);
    input->name = strdup(name);
    input->size = size > 0 ? (size_t)size : 0;
    input->data = malloc(input->size + 1);
    if (size < 0 || fread(input->data, 1, input->size, file) != input->size) {
        fclose(file);
        return false;
    }
    fclose(file);
    num_inputs++;
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct input *)a)->name, ((const struct input *)b)->name);
}

static bool load_folder(const char *folder)
{
    struct dirent *entry;
    DIR *dir = opendir(folder);

    if (!dir)
        return false;
    while ((entry = readdir(dir)) && num_inputs < MAX_FILES)
        if (entry->d_name[0] != '.' && !load(folder, entry->d_name)) {
            fprintf(stderr, "%s/%s cannot be read\n", folder, entry->d_name);
            closedir(dir);
            return false;
        }
    closedir(dir);
    qsort(corpus, (size_t)num_inputs, sizeof(corpus[0]), by_name);
    return num_inputs > 0;
}

/* The target gets a block of just this size, so that a sanitizer sees every overrun. */
static void run_target(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

/* Values at the borders of what parsers compute with. */
static void put_special(uint8_t *data, size_t size)
{
    static const uint64_t special[] = {0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff,
                                       0x80000000, 0xffffffff, INT64_MAX, UINT64_MAX};
    uint64_t value = special[below(sizeof(special) / sizeof(special[0]))];
    size_t width = (size_t)1 << below(4);

    if (width <= size)
        memcpy(data + below(size - width + 1), &value, width);
}

/* Puts a piece of another file, or of this one, over or into the data. */
static size_t splice(uint8_t *data, size_t size, size_t capacity)
{
    const struct input *other = &corpus[below((size_t)num_inputs)];
    size_t from = below(other->size), at = below(size + 1);
    size_t length = below(other->size - from + 1);

    if (length > 256)
        length = 256;
    if (next_random() & 1) { /* insert */
        if (size + length > capacity)
            return size;
        memmove(data + at + length, data + at, size - at);
        memcpy(data + at, other->data + from, length);
        return size + length;
    }
    if (length > size - at)
        length = size - at;
    memcpy(data + at, other->data + from, length);
    return size;
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t capacity)
{
    size_t at = below(size), length;

    switch (below(6)) {
    case 0:
        if (size)
            data[at] ^= (uint8_t)(1u << below(8));
        return size;
    case 1:
        if (size)
            data[at] = (uint8_t)next_random();
        return size;
    case 2:
        put_special(data, size);
        return size;
    case 3:
        return at; /* truncate */
    case 4:
        length = below((size - at < 64 ? size - at : 64) + 1);
        memmove(data + at, data + at + length, size - at - length);
        return size - length;
    default:
        return splice(data, size, capacity);
    }
}

/* By the target's own mutator, where it has one. */
static size_t mutate(uint8_t *data, size_t size, size_t capacity)
{
    if (LLVMFuzzerCustomMutator)
        return LLVMFuzzerCustomMutator(data, size, capacity, (unsigned)next_random());
    for (size_t n = 1 + below(4); n; n--)
        size = LLVMFuzzerMutate(data, size, capacity);
    return size;
}

static void run_mutations(const struct input *input, int mutations)
{
    size_t capacity = input->size + 1024;
    uint8_t *data = malloc(capacity);

    for (int i = 0; i < mutations; i++) {
        size_t size = input->size;

        state = 0x9e3779b97f4a7c15u ^ ((uint64_t)i + 1) * 0xbf58476d1ce4e5b9u;
        snprintf(running, sizeof(running), "\nin mutation %d of %.300s\n", i, input->name);
        memcpy(data, input->data, size);
        size = mutate(data, size, capacity);
        run_target(data, size);
    }
    free(data);
}

int main(int argc, char **argv)
{
    int mutations = argc > 2 ? atoi(argv[2]) : DEFAULT_MUTATIONS;

    if (argc < 2 || !load_folder(argv[1])) {
        fprintf(stderr, "usage: %s FOLDER [MUTATIONS]: FOLDER must hold the corpus\n", argv[0]);
        return 1;
    }
    catch_crashes();
    for (int i = 0; i < num_inputs; i++) {
        snprintf(running, sizeof(running), "\nin %.300s as it is\n", corpus[i].name);
        run_target(corpus[i].data, corpus[i].size);
        run_mutations(&corpus[i], mutations);
    }
    printf("%d files, %d mutations of each\n", num_inputs, mutations);
    for (int i = 0; i < num_inputs; i++) {
        free(corpus[i].name);
        free(corpus[i].data);
    }
    return 0;
}
