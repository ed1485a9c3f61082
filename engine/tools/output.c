/* SPDX-License-Identifier: MIT */
/* See output.h. */
#include "output.h"

#include "args.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void output_text(const struct spc_output_info *info, bool is_bound, char *text, size_t size)
{
    static const char *const axes[] = {"", ", rows y, columns x", ", rows x, columns y"};
    static const char *const layouts[] = {"", ", layout NCHW32", ", layout NHWZC"};
    size_t n = (size_t)snprintf(text, size, "%s, %s [%s", info->name,
                                info->kind == SPC_OUTPUT_SPARSE ? "sparse" : "dense",
                                info->kind == SPC_OUTPUT_SPARSE && is_bound ? "up to " : "");

    for (int i = 0; i < info->rank && n < size; i++)
        n += (size_t)snprintf(text + n, size - n, i ? ",%" PRId64 : "%" PRId64, info->dims[i]);
    if (n < size)
        snprintf(text + n, size - n, "]%s%s", axes[info->bev_axes], layouts[info->layout]);
}

static int fail_no_output(const struct spc_session *session, const char *name, const char *tool)
{
    struct spc_output_info info;
    char names[1024];
    size_t n = 0;

    names[0] = 0;
    for (int i = 0; i < spc_session_num_outputs(session) && n < sizeof(names); i++) {
        spc_session_get_output(session, i, &info, NULL, NULL, NULL);
        n += (size_t)snprintf(names + n, sizeof(names) - n, i ? ", %s" : "%s", info.name);
    }
    tool_fail(tool, "--output-name %s: there is no such output; there are %s", name, names);
    return -1;
}

int output_choose(const struct spc_session *session, const char *name, const char *tool)
{
    struct spc_output_info info;

    for (int i = 0; i < spc_session_num_outputs(session); i++) {
        spc_session_get_output(session, i, &info, NULL, NULL, NULL);
        if (name ? !strcmp(name, info.name) : info.kind == SPC_OUTPUT_DENSE)
            return i;
    }
    return name ? fail_no_output(session, name, tool) : 0;
}

static int write_values(const char *path, const struct spc_output *output, const char *tool)
{
    struct spc_array array = {.dtype = output->dtype, .rank = output->rank, .data = output->data,
                              .size = output->size};
    struct spc_error err;

    memcpy(array.dims, output->dims, sizeof(array.dims));
    if (spc_array_write(path, &array, &err))
        return tool_fail(tool, "%s", err.message);
    return EXIT_OK;
}

static int write_indices(const char *path, const struct spc_output *output, const char *tool)
{
    struct spc_array array = {SPC_DTYPE_I32, 2, {output->num_sites, 4}, (void *)output->indices,
                              (size_t)output->num_sites * 4 * sizeof(int32_t)};
    struct spc_error err;

    if (spc_array_write(path, &array, &err))
        return tool_fail(tool, "%s", err.message);
    return EXIT_OK;
}

int output_write(const char *path, const struct spc_output *output, const char *tool)
{
    const char *suffix = strrchr(path, '.');
    size_t room = strlen(path) + 16;
    char *beside;
    int code = write_values(path, output, tool);

    if (code || !output->indices)
        return code;
    beside = malloc(room);
    if (!beside)
        return tool_fail(tool, "out of memory");
    snprintf(beside, room, "%.*s.indices%s", (int)(suffix - path), path, suffix);
    code = write_indices(beside, output, tool);
    free(beside);
    return code;
}

/* An output's name as a file's: what a shell or file system could trip over becomes '_'. */
static void file_name(const struct spc_session *session, int i, char name[SPC_MAX_NAME],
                      struct spc_output_info *info)
{
    spc_session_get_output(session, i, info, NULL, NULL, NULL);
    snprintf(name, SPC_MAX_NAME, "%s", info->name);
    for (char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("+-_.", *c))
            *c = '_';
}

/* Two outputs whose names become one file's would overwrite each other. */
static int check_names(const struct spc_session *session, int count, const char *tool)
{
    char name[SPC_MAX_NAME], other[SPC_MAX_NAME];
    struct spc_output_info info, other_info;

    for (int i = 0; i < count; i++) {
        file_name(session, i, name, &info);
        for (int k = 0; k < i; k++) {
            file_name(session, k, other, &other_info);
            if (!strcmp(name, other) && strcmp(info.name, other_info.name))
                return tool_fail(tool,
                                 "outputs %s and %s would be one file, %s.tensor: rename one in "
                                 "the model",
                                 other_info.name, info.name, name);
        }
    }
    return EXIT_OK;
}

static int write_in_folder(const char *folder, const char *name, const struct spc_output *output,
                           const char *tool)
{
    size_t room = strlen(folder) + strlen(name) + 32;
    char *path = malloc(room);
    int code;

    if (!path)
        return tool_fail(tool, "out of memory");
    snprintf(path, room, "%s/%s%s", folder, name, output->indices ? ".features.tensor" : ".tensor");
    code = write_values(path, output, tool);
    if (!code && output->indices) {
        snprintf(path, room, "%s/%s.indices.tensor", folder, name);
        code = write_indices(path, output, tool);
    }
    free(path);
    return code;
}

int output_write_all(const char *folder, const struct spc_session *session,
                     const struct spc_output *outputs, int count, const char *tool)
{
    struct spc_output_info info;
    char name[SPC_MAX_NAME];
    int code = check_names(session, count, tool);

    if (!code && mkdir(folder, 0777) && errno != EEXIST)
        return tool_fail(tool, "%s: cannot be made: %s", folder, strerror(errno));
    for (int i = 0; i < count && !code; i++) {
        file_name(session, i, name, &info);
        code = write_in_folder(folder, name, &outputs[i], tool);
    }
    return code;
}
