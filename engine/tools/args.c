/* SPDX-License-Identifier: MIT */
/* See args.h. */
#include "args.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spc/spc.h>

int tool_fail(const char *tool, const char *format, ...)
{
    va_list list;

    fflush(stdout);
    fprintf(stderr, "%s: ", tool);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    return EXIT_TROUBLE;
}

/* Reads a whole number that ends at `end` characters of `stop`. */
static bool read_int(const char *text, const char *stops, int64_t *value, const char **rest)
{
    char *end;

    errno = 0;
    *value = strtoll(text, &end, 10);
    if (end == text || errno || (*end && !strchr(stops, *end)))
        return false;
    *rest = end;
    return true;
}

static int set_list(const struct args *args, const struct arg *arg, const char *text)
{
    struct arg_list *list = arg->value;
    const char *at = text;

    list->count = 0;
    for (;;) {
        int64_t value;

        if (list->count == ARG_LIST_MAX || !read_int(at, ",", &value, &at) || value < arg->min ||
            value > arg->max)
            return tool_fail(args->tool,
                             "%s %s: expected at most %d whole numbers from %" PRId64
                             " to %" PRId64 ", separated by commas",
                             arg->name, text, ARG_LIST_MAX, arg->min, arg->max);
        list->values[list->count++] = value;
        if (!*at++)
            return -1;
    }
}

static int set_choice(const struct args *args, const struct arg *arg, const char *text)
{
    const char *at = arg->choices;
    size_t length = strlen(text);

    for (int i = 0; *at; i++) {
        size_t n = strcspn(at, ",");

        if (n == length && !memcmp(at, text, n)) {
            *(int *)arg->value = i;
            return -1;
        }
        at += n + (at[n] == ',');
    }
    return tool_fail(args->tool, "%s %s: expected one of %s", arg->name, text, arg->choices);
}

static int set_number(const struct args *args, const struct arg *arg, const char *text)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end || isnan(value))
        return tool_fail(args->tool, "%s %s: expected a number", arg->name, text);
    *(double *)arg->value = value;
    return -1;
}

static int set_int(const struct args *args, const struct arg *arg, const char *text)
{
    const char *rest;
    int64_t value;

    if (!read_int(text, "", &value, &rest) || value < arg->min || value > arg->max)
        return tool_fail(args->tool, "%s %s: expected a whole number from %" PRId64 " to %" PRId64,
                         arg->name, text, arg->min, arg->max);
    *(int64_t *)arg->value = value;
    return -1;
}

static int set_value(const struct args *args, const struct arg *arg, const char *text)
{
    switch (arg->kind) {
    case ARG_TEXT:
        *(const char **)arg->value = text;
        return -1;
    case ARG_INT:
        return set_int(args, arg, text);
    case ARG_NUMBER:
        return set_number(args, arg, text);
    case ARG_CHOICE:
        return set_choice(args, arg, text);
    case ARG_LIST:
        return set_list(args, arg, text);
    case ARG_FLAG:
        break;
    }
    return tool_fail(args->tool, "%s takes no value", arg->name);
}

/* Handles argv[*i] and, where it has a separate value, moves on to that. */
static int take_option(const struct args *args, int argc, char **argv, int *i)
{
    const char *word = argv[*i];
    size_t length = strcspn(word, "=");

    for (const struct arg *arg = args->args; arg->name; arg++) {
        if (strlen(arg->name) != length || memcmp(arg->name, word, length))
            continue;
        if (word[length] == '=')
            return set_value(args, arg, word + length + 1);
        if (arg->kind == ARG_FLAG) {
            *(bool *)arg->value = true;
            return -1;
        }
        if (*i + 1 == argc)
            return tool_fail(args->tool, "%s needs a value; see %s --help", arg->name, args->tool);
        return set_value(args, arg, argv[++*i]);
    }
    return tool_fail(args->tool, "%s is no option; see %s --help", word, args->tool);
}

int args_parse(struct args *args, int argc, char **argv)
{
    bool options = true;

    for (int i = 1; i < argc; i++) {
        int code = -1;

        if (options && !strcmp(argv[i], "--help")) {
            fputs(args->help, stdout);
            return EXIT_OK;
        }
        if (options && !strcmp(argv[i], "--version")) {
            printf("%s %s\n", args->tool, spc_version());
            return EXIT_OK;
        }
        if (options && !strcmp(argv[i], "--"))
            options = false;
        else if (options && argv[i][0] == '-' && argv[i][1])
            code = take_option(args, argc, argv, &i);
        else if (args->num_positional < args->max_positional)
            args->positional[args->num_positional++] = argv[i];
        else
            code = tool_fail(args->tool, "%s is one argument too many; see %s --help", argv[i],
                             args->tool);
        if (code >= 0)
            return code;
    }
    return -1;
}
