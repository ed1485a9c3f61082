/* SPDX-License-Identifier: MIT */
/* Writing whole files, and naming a file in a message. */
#include "base/error.h"
#include "formats/formats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool spc__has_suffix(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);

    return n > m && !strcmp(path + n - m, suffix);
}

static enum spc_status fail_errno(struct spc_error *err, const char *path)
{
    return spc__fail(err, SPC_ERR_IO, "%.200s: cannot be written: %s", path, strerror(errno));
}

static bool write_all(int fd, const void *data, size_t size)
{
    const char *at = data;

    while (size) {
        ssize_t n = write(fd, at, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}

/* A new file of a name that nobody uses; open() rather than mkstemp(), which ignores the umask. */
static int open_beside(const char *path, char *name, size_t size)
{
    int fd = -1;

    for (int i = 0; i < 100; i++) {
        snprintf(name, size, "%s.%ld-%d.part", path, (long)getpid(), i);
        fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            break;
    }
    return fd;
}

enum spc_status spc__file_write(const char *path, const void *head, size_t head_size,
                                const void *body, size_t body_size, struct spc_error *err)
{
    size_t room = strlen(path) + 64;
    char *name = malloc(room);
    enum spc_status status = SPC_OK;
    bool written;
    int fd;

    if (!name)
        return spc__fail_memory(err, room, "a file name");
    fd = open_beside(path, name, room);
    if (fd < 0) {
        status = fail_errno(err, path);
        free(name);
        return status;
    }
    written = write_all(fd, head, head_size) && write_all(fd, body, body_size);
    if (!written)
        status = fail_errno(err, path);
    if (close(fd) && !status)
        status = fail_errno(err, path);
    if (!status && rename(name, path))
        status = fail_errno(err, path);
    if (status)
        unlink(name);
    free(name);
    return status;
}
