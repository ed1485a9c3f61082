/* SPDX-License-Identifier: MIT */
/* Command lines of the tools: long options from a table, --help and --version, clear refusals. */
#ifndef SPC_TOOLS_ARGS_H
#define SPC_TOOLS_ARGS_H

#include <stdbool.h>
#include <stdint.h>

/* Exit codes of every tool. */
#define EXIT_OK 0
#define EXIT_DIFFERS 1 /* a bound did not hold */
#define EXIT_TROUBLE 2 /* wrong usage, or an error */

enum arg_kind {
    ARG_FLAG,   /* bool, set to true */
    ARG_TEXT,   /* const char * */
    ARG_INT,    /* int64_t in min .. max */
    ARG_NUMBER, /* double */
    ARG_CHOICE, /* int: position in `choices` */
    ARG_LIST,   /* struct arg_list: "1,2,4", each in min .. max */
};

#define ARG_LIST_MAX 64

struct arg_list {
    int count;
    int64_t values[ARG_LIST_MAX];
};

struct arg {
    const char *name; /* "--threads" */
    enum arg_kind kind;
    void *value;         /* keeps what it holds where the option is not given */
    int64_t min, max;    /* ARG_INT, ARG_LIST */
    const char *choices; /* "auto,cpu,cuda" */
};

struct args {
    const char *tool;       /* for messages */
    const char *help;       /* the whole text of --help */
    const struct arg *args; /* ends with a NULL name */
    int max_positional;
    const char *positional[8];
    int num_positional;
};

/* Reads the command line. Returns -1 to go on, else the exit code of a program that is done
 * (--help, --version) or was called wrongly; the message is printed. */
int args_parse(struct args *args, int argc, char **argv);

/* Prints "TOOL: message" to stderr and returns EXIT_TROUBLE. */
int tool_fail(const char *tool, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
