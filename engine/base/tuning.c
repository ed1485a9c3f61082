/* SPDX-License-Identifier: MIT */
#include "base/tuning.h"

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINE 160 /* with its newline and a terminator */
#define MAX_BYTES ((size_t)MAX_LINE * (SPC__MAX_TUNED_NODES + 16))

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

const char *spc__tuning_differs(const struct spc__tuning *a, const struct spc__tuning *b)
{
    return strcmp(a->engine, b->engine)       ? "engine"
           : strcmp(a->device, b->device)     ? "device"
           : strcmp(a->isa, b->isa)           ? "isa"
           : strcmp(a->precision, b->precision) ? "precision"
           : a->network != b->network || a->num_nodes != b->num_nodes ? "network"
                                                                      : NULL;
}

/* ---- reading ---- */

struct reader {
    const char *start, *at, *end;
    int line;
    char key[16], value[MAX_LINE];
};

static enum spc_status refuse(const struct reader *reader, const char *what,
                              struct spc_error *err)
{
    return spc__fail(err, SPC_ERR_FORMAT, "tuning file: line %d: %s; tune again", reader->line,
                     what);
}

/* The next line, "key value". Only printable characters. */
static bool next_line(struct reader *reader)
{
    size_t left = (size_t)(reader->end - reader->at), key, value;
    const char *newline = left ? memchr(reader->at, '\n', left) : NULL;
    const char *space = newline ? memchr(reader->at, ' ', (size_t)(newline - reader->at)) : NULL;

    reader->line++;
    if (!space)
        return false;
    key = (size_t)(space - reader->at);
    value = (size_t)(newline - space - 1);
    if (!key || key >= sizeof(reader->key) || !value || value >= sizeof(reader->value))
        return false;
    for (const char *c = reader->at; c < newline; c++)
        if (*c < ' ' || *c > '~')
            return false;
    memcpy(reader->key, reader->at, key);
    reader->key[key] = 0;
    memcpy(reader->value, space + 1, value);
    reader->value[value] = 0;
    reader->at = newline + 1;
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

static enum spc_status read_nodes(struct reader *reader, struct spc__tuning *tuning,
                                  struct spc_error *err)
{
    int last = -1;

    for (;;) {
        const char *line = reader->at;
        uint64_t sum;

        if (!next_line(reader))
            return refuse(reader, "is missing or no text", err);
        if (!strcmp(reader->key, "sum")) {
            sum = spc__hash(SPC__HASH_START, reader->start, (size_t)(line - reader->start));
            return is_printed(reader->value, "%016" PRIx64, sum) && reader->at == reader->end
                       ? SPC_OK
                       : refuse(reader, "the sum does not match, the file is damaged", err);
        }
        if (strcmp(reader->key, "node") || !read_node(tuning, reader->value, &last))
            return refuse(reader, "is neither a node nor the sum", err);
    }
}

enum spc_status spc__tuning_parse(const void *data, size_t size, struct spc__tuning *tuning,
                                  struct spc_error *err)
{
    struct reader reader = {.start = data, .at = data, .end = (const char *)data + size};
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
    status = read_nodes(&reader, &head, err);
    if (status)
        spc__tuning_clear(&head);
    else
        *tuning = head;
    return status;
}

enum spc_status spc__tuning_read(const char *path, struct spc__tuning *tuning,
                                 struct spc_error *err)
{
    enum spc_status status;
    void *data;
    size_t size;

    status = spc__file_read(path, MAX_BYTES, &data, &size, err);
    if (status)
        return status;
    status = spc__tuning_parse(data, size, tuning, err);
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
                            "spc-tuning 1\nengine %s\ndevice %s\nisa %s\nprecision %s\n"
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

enum spc_status spc__tuning_write(const char *path, const struct spc__tuning *tuning,
                                  struct spc_error *err)
{
    enum spc_status status;
    char *text;
    size_t size;

    status = spc__tuning_print(tuning, &text, &size, err);
    if (status)
        return status;
    status = spc__file_write(path, text, size, NULL, 0, err);
    free(text);
    return status;
}
