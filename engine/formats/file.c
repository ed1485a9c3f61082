/* SPDX-License-Identifier: MIT */
/* Whole files in and out. */
#include "base/error.h"
#include "base/mem.h"
#include "formats/formats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool spc__has_suffix(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);

    return n > m && !strcmp(path + n - m, suffix);
}

enum spc_status spc__fail_in_file(struct spc_error *err, enum spc_status status, const char *path)
{
    struct spc_error inner;

    if (!err)
        return status;
    inner = *err;
    return spc__fail(err, status, "%s: %s", path, inner.message);
}

static enum spc_status fail_errno(struct spc_error *err, const char *path, const char *what)
{
    int code = errno;
    char text[128];

    return spc__fail(err, SPC_ERR_IO, "%s: cannot %s: %s", path, what,
                     strerror_r(code, text, sizeof(text)));
}

/* Reads to the end; `size` is how much fstat promised, more or less may come. */
static enum spc_status read_all(int fd, const char *path, size_t size, uint64_t limit, void **data,
                                size_t *length, struct spc_error *err)
{
    size_t capacity = size + 1, used = 0;
    char *buffer = malloc(capacity);

    while (buffer) {
        ssize_t n = read(fd, buffer + used, capacity - used);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            free(buffer);
            return fail_errno(err, path, "read");
        }
        used += (size_t)n;
        if (!n || used > limit)
            break;
        if (used == capacity) {
            char *larger = realloc(buffer, capacity * 2);

            if (!larger)
                free(buffer);
            buffer = larger;
            capacity *= 2;
        }
    }
    if (!buffer)
        return spc__fail_memory(err, capacity, path);
    if (used > limit) {
        free(buffer);
        return spc__fail(err, SPC_ERR_UNSUPPORTED, "%s: larger than the limit of %llu bytes", path,
                         (unsigned long long)limit);
    }
    *data = buffer;
    *length = used;
    return SPC_OK;
}

enum spc_status spc__file_read(const char *path, uint64_t limit, void **data, size_t *size,
                               struct spc_error *err)
{
    enum spc_status status;
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return fail_errno(err, path, "open");
    if (fstat(fd, &info))
        status = fail_errno(err, path, "read");
    else if (S_ISDIR(info.st_mode))
        status = spc__fail(err, SPC_ERR_IO, "%s: is a folder, expected a file", path);
    else if (S_ISREG(info.st_mode) && (uint64_t)info.st_size > limit)
        status = spc__fail(err, SPC_ERR_UNSUPPORTED,
                           "%s: %lld bytes are more than the limit of %llu", path,
                           (long long)info.st_size, (unsigned long long)limit);
    else
        status = read_all(fd, path, S_ISREG(info.st_mode) ? (size_t)info.st_size : 65536, limit,
                          data, size, err);
    close(fd);
    return status;
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
        status = fail_errno(err, path, "write");
        free(name);
        return status;
    }
    written = write_all(fd, head, head_size) && write_all(fd, body, body_size);
    if (!written)
        status = fail_errno(err, path, "write");
    if (close(fd) && !status)
        status = fail_errno(err, path, "write");
    if (!status && rename(name, path))
        status = fail_errno(err, path, "write");
    if (status)
        unlink(name);
    free(name);
    return status;
}
