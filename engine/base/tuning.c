/* SPDX-License-Identifier: MIT */
#include "base/tuning.h"

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define MAX_LINE 160 /* with its newline and a terminator */
#define MAX_BYTES ((size_t)64 << 20)
#define TITLE "spc-tuning "

enum spc_status spc__tuning_init(struct spc__tuning *tuning, int num_nodes, struct spc_error *err)
{
    memset(tuning, 0, sizeof(*tuning));
    tuning->ways = spc__alloc_zeroed((size_t)num_nodes, sizeof(*tuning->ways));
    if (!tuning->ways)
        return spc__fail_memory(err, (size_t)num_nodes * sizeof(*tuning->ways), "a tuning");
    tuning->num_nodes = num_nodes;
    return SPC_OK;
}

void spc__tuning_clear(struct spc__tuning *tuning)
{
    free(tuning->ways);
    memset(tuning, 0, sizeof(*tuning));
}

bool spc__tuning_same_key(const struct spc__tuning *a, const struct spc__tuning *b)
{
    return !strcmp(a->engine, b->engine) && !strcmp(a->device, b->device) &&
           !strcmp(a->isa, b->isa) && !strcmp(a->precision, b->precision) &&
           a->network == b->network && a->num_nodes == b->num_nodes;
}

/* ---- reading ---- */

struct reader {
    struct spc__tuning_text text;
    char key[16], value[MAX_LINE];
};

static enum spc_status refuse(const struct reader *reader, const char *what,
                              struct spc_error *err)
{
    return spc__fail(err, SPC_ERR_FORMAT, "tuning file: line %d: %s; tune again", reader->text.line,
                     what);
}

/* The next line, "key value". Only printable characters. */
static bool next_line(struct reader *reader)
{
    struct spc__tuning_text *text = &reader->text;
    size_t left = (size_t)(text->end - text->at), key, value;
    const char *newline = left ? memchr(text->at, '\n', left) : NULL;
    const char *space = newline ? memchr(text->at, ' ', (size_t)(newline - text->at)) : NULL;

    text->line++;
    if (!space)
        return false;
    key = (size_t)(space - text->at);
    value = (size_t)(newline - space - 1);
    if (!key || key >= sizeof(reader->key) || !value || value >= sizeof(reader->value))
        return false;
    for (const char *c = text->at; c < newline; c++)
        if (*c < ' ' || *c > '~')
            return false;
    memcpy(reader->key, text->at, key);
    reader->key[key] = 0;
    memcpy(reader->value, space + 1, value);
    reader->value[value] = 0;
    text->at = newline + 1;
    return true;
}

static bool read_text(struct reader *reader, const char *key, char *text, size_t size)
{
    if (!next_line(reader) || strcmp(reader->key, key) || strlen(reader->value) >= size)
        return false;
    memcpy(text, reader->value, strlen(reader->value) + 1);
    return true;
}

/* Exactly as `format` prints it, so that there is one way to write a number. */
static bool is_printed(const char *text, const char *format, uint64_t number)
{
    char printed[32];

    snprintf(printed, sizeof(printed), format, number);
    return !strcmp(printed, text);
}

static bool read_number(struct reader *reader, const char *key, int base, uint64_t *number)
{
    char text[32];

    if (!read_text(reader, key, text, sizeof(text)))
        return false;
    *number = strtoull(text, NULL, base);
    return is_printed(text, base == 16 ? "%016" PRIx64 : "%" PRIu64, *number);
}

/* "node 3 wgmma", its number above the one before. */
static bool read_node(struct spc__tuning *tuning, const char *value, int *last)
{
    const char *space = strchr(value, ' ');
    char number[16];
    uint64_t node;

    if (!space || (size_t)(space - value) >= sizeof(number) || !space[1] ||
        strlen(space + 1) >= sizeof(tuning->ways[0]))
        return false;
    memcpy(number, value, (size_t)(space - value));
    number[space - value] = 0;
    node = strtoull(number, NULL, 10);
    if (!is_printed(number, "%" PRIu64, node) || node >= (uint64_t)tuning->num_nodes ||
        (int)node <= *last)
        return false;
    *last = (int)node;
    strcpy(tuning->ways[node], space + 1);
    return true;
}

static enum spc_status read_head(struct reader *reader, struct spc__tuning *head, uint64_t *nodes,
                                 struct spc_error *err)
{
    char version[8];

    if (!read_text(reader, "spc-tuning", version, sizeof(version)) || strcmp(version, "1"))
        return refuse(reader, "is not \"spc-tuning 1\"", err);
    if (!read_text(reader, "engine", head->engine, sizeof(head->engine)) ||
        !read_text(reader, "device", head->device, sizeof(head->device)) ||
        !read_text(reader, "isa", head->isa, sizeof(head->isa)) ||
        !read_text(reader, "precision", head->precision, sizeof(head->precision)) ||
        !read_number(reader, "network", 16, &head->network) ||
        !read_number(reader, "nodes", 10, nodes))
        return refuse(reader, "is not what stands there in such a file", err);
    if (*nodes > SPC__MAX_TUNED_NODES)
        return refuse(reader, "says of too many nodes", err);
    return SPC_OK;
}

static enum spc_status read_nodes(struct reader *reader, const char *start,
                                  struct spc__tuning *tuning, struct spc_error *err)
{
    int last = -1;

    for (;;) {
        const char *line = reader->text.at;
        uint64_t sum;

        if (!next_line(reader))
            return refuse(reader, "is missing or no text", err);
        if (!strcmp(reader->key, "sum")) {
            sum = spc__hash(SPC__HASH_START, start, (size_t)(line - start));
            return is_printed(reader->value, "%016" PRIx64, sum)
                       ? SPC_OK
                       : refuse(reader, "the sum does not match, the file is damaged", err);
        }
        if (strcmp(reader->key, "node") || !read_node(tuning, reader->value, &last))
            return refuse(reader, "is neither a node nor the sum", err);
    }
}

enum spc_status spc__tuning_parse(struct spc__tuning_text *text, struct spc__tuning *tuning,
                                  struct spc_error *err)
{
    struct reader reader = {.text = *text};
    struct spc__tuning head = {.network = 0}, made;
    enum spc_status status;
    uint64_t nodes = 0;

    status = read_head(&reader, &head, &nodes, err);
    if (!status)
        status = spc__tuning_init(&made, (int)nodes, err);
    if (status)
        return status;
    head.ways = made.ways;
    head.num_nodes = made.num_nodes;
    status = read_nodes(&reader, text->at, &head, err);
    if (status) {
        spc__tuning_clear(&head);
        return status;
    }
    *text = reader.text;
    *tuning = head;
    return SPC_OK;
}

/* The tuning of the key of `wanted`, to its ways. */
static enum spc_status find(struct spc__tuning_text text, struct spc__tuning *wanted, bool *found,
                            struct spc_error *err)
{
    *found = false;
    while (text.at < text.end && !*found) {
        struct spc__tuning tuning;
        enum spc_status status = spc__tuning_parse(&text, &tuning, err);

        if (status)
            return status;
        *found = spc__tuning_same_key(&tuning, wanted);
        if (*found)
            memcpy(wanted->ways, tuning.ways, (size_t)wanted->num_nodes * sizeof(*tuning.ways));
        spc__tuning_clear(&tuning);
    }
    return SPC_OK;
}

enum spc_status spc__tuning_read(const char *path, struct spc__tuning *tuning, bool *found,
                                 struct spc_error *err)
{
    struct spc__tuning_text text = {.line = 0};
    enum spc_status status;
    void *data;
    size_t size;

    status = spc__file_read(path, MAX_BYTES, &data, &size, err);
    if (status)
        return status;
    text.at = data;
    text.end = text.at + size;
    status = find(text, tuning, found, err);
    free(data);
    return status ? spc__fail_in_file(err, status, path) : SPC_OK;
}

/* ---- writing ---- */

enum spc_status spc__tuning_print(const struct spc__tuning *tuning, char **text, size_t *size,
                                  struct spc_error *err)
{
    size_t room = (size_t)MAX_LINE * ((size_t)tuning->num_nodes + 16), used;
    char *to = spc__alloc(room, 1);

    if (!to)
        return spc__fail_memory(err, room, "a tuning file");
    used = (size_t)snprintf(to, room,
                            TITLE "1\nengine %s\ndevice %s\nisa %s\nprecision %s\n"
                            "network %016" PRIx64 "\nnodes %d\n",
                            tuning->engine, tuning->device, tuning->isa, tuning->precision,
                            tuning->network, tuning->num_nodes);
    for (int i = 0; i < tuning->num_nodes; i++)
        if (tuning->ways[i][0])
            used += (size_t)snprintf(to + used, room - used, "node %d %s\n", i, tuning->ways[i]);
    used += (size_t)snprintf(to + used, room - used, "sum %016" PRIx64 "\n",
                             spc__hash(SPC__HASH_START, to, used));
    *text = to;
    *size = used;
    return SPC_OK;
}

/* The part of a file to keep when `tuning` is added: other tunings, as far as they can be read.
 * Moves them to the front of `data`; returns their bytes. */
static size_t keep_others(char *data, size_t size, const struct spc__tuning *tuning)
{
    struct spc__tuning_text text = {data, data + size, 0};
    struct spc__tuning other;
    size_t kept = 0;

    for (const char *start = data; !spc__tuning_parse(&text, &other, NULL); start = text.at) {
        size_t length = (size_t)(text.at - start);

        if (!spc__tuning_same_key(&other, tuning)) {
            memmove(data + kept, start, length);
            kept += length;
        }
        spc__tuning_clear(&other);
    }
    return kept;
}

/* What stands in the file beside a tuning that is to be written; NULL where there is none yet. */
static enum spc_status read_others(const char *path, const struct spc__tuning *tuning,
                                   void **data, size_t *size, struct spc_error *err)
{
    enum spc_status status;

    *data = NULL;
    *size = 0;
    if (access(path, F_OK))
        return SPC_OK;
    status = spc__file_read(path, MAX_BYTES, data, size, err);
    if (status)
        return status;
    if (*size && (*size < strlen(TITLE) || memcmp(*data, TITLE, strlen(TITLE)))) {
        free(*data);
        return spc__fail(err, SPC_ERR_FORMAT,
                         "%.200s: is no tuning file, and stays as it is; give another path", path);
    }
    *size = keep_others(*data, *size, tuning);
    return SPC_OK;
}

static enum spc_status add_to_file(const char *path, const struct spc__tuning *tuning,
                                   const char *text, size_t size, struct spc_error *err)
{
    void *others;
    size_t others_size;
    enum spc_status status = read_others(path, tuning, &others, &others_size, err);

    if (status)
        return status;
    status = spc__file_write(path, others, others_size, text, size, err);
    free(others);
    return status;
}

/* Others that write wait from here until the lock is closed. It lies on the folder, as the file is
 * replaced; -1 where there is none, as on file systems without locks. */
static int lock_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = spc__strdup(path);
    int lock;

    if (!folder)
        return -1;
    if (slash)
        folder[slash - path + 1] = 0;
    lock = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    while (lock >= 0 && flock(lock, LOCK_EX) && errno == EINTR)
        ;
    return lock;
}

enum spc_status spc__tuning_write(const char *path, const struct spc__tuning *tuning,
                                  struct spc_error *err)
{
    enum spc_status status;
    char *text;
    size_t size;
    int lock;

    status = spc__tuning_print(tuning, &text, &size, err);
    if (status)
        return status;
    lock = lock_folder_of(path);
    status = add_to_file(path, tuning, text, size, err);
    if (lock >= 0)
        close(lock);
    free(text);
    return status;
}
