/* SPDX-License-Identifier: MIT */
#include "base/file.h"

#include "base/error.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Room for a pipe, whose length nobody knows. */
#define FIRST_GUESS 65536

struct buffer {
    char *data;
    size_t size, capacity;
};

static bool grow(struct buffer *buffer, size_t capacity)
{
    char *data = realloc(buffer->data, capacity);

    if (!data)
        return false;
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

static enum spc_status too_large(const char *path, size_t limit, struct spc_error *err)
{
    return spc__fail(err, SPC_ERR_UNSUPPORTED, "%.200s: larger than the limit of %zu bytes", path,
                     limit);
}

/* One byte of room is kept beyond the expected size, so that the end of the file is seen. */
static enum spc_status read_all(int fd, const char *path, size_t limit, struct buffer *buffer,
                                struct spc_error *err)
{
    for (;;) {
        ssize_t n;

        if (buffer->size > limit)
            return too_large(path, limit, err);
        if (buffer->size == buffer->capacity && !grow(buffer, 2 * buffer->capacity))
            return spc__fail_memory(err, 2 * buffer->capacity, path);
        n = read(fd, buffer->data + buffer->size, buffer->capacity - buffer->size);
        if (n == 0)
            return SPC_OK;
        if (n > 0)
            buffer->size += (size_t)n;
        else if (errno != EINTR)
            return spc__fail(err, SPC_ERR_IO, "%.200s: cannot be read: %s", path, strerror(errno));
    }
}

static enum spc_status read_file(int fd, const char *path, size_t limit, struct buffer *buffer,
                                 struct spc_error *err)
{
    size_t capacity = FIRST_GUESS;
    struct stat st;

    if (fstat(fd, &st))
        return spc__fail(err, SPC_ERR_IO, "%.200s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return spc__fail(err, SPC_ERR_IO, "%.200s: is a folder, not a file", path);
    if (S_ISREG(st.st_mode)) {
        if ((uintmax_t)st.st_size > limit)
            return too_large(path, limit, err);
        capacity = (size_t)st.st_size + 1;
    }
    if (!grow(buffer, capacity))
        return spc__fail_memory(err, capacity, path);
    return read_all(fd, path, limit, buffer, err);
}

enum spc_status spc__file_read(const char *path, size_t limit, void **data, size_t *size,
                               struct spc_error *err)
{
    struct buffer buffer = {0};
    enum spc_status status;
    int fd;

    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return spc__fail(err, SPC_ERR_IO, "%.200s: cannot be opened: %s", path, strerror(errno));
    status = read_file(fd, path, limit, &buffer, err);
    close(fd);
    if (status) {
        free(buffer.data);
        return status;
    }
    *data = buffer.data;
    *size = buffer.size;
    return SPC_OK;
}

/* ---- writing ---- */

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
