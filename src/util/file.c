/* SPDX-License-Identifier: Apache-2.0 */
/* Files in and out; a write is a temporary file, fsync and a rename. */
#include "edgewise/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edgewise/mem.h"

bool ew_map_open(struct ew_map *out, const char *path, struct ew_err *err)
{
    bool ok = false;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        ew_fail(err, EW_ERR_IO, "%s: %s", path, strerror(errno));
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        ew_fail(err, EW_ERR_IO, "%s: not a regular file", path);
        goto out;
    }
    if (st.st_size == 0) {
        ew_fail(err, EW_ERR_INPUT, "%s: file is empty", path);
        goto out;
    }
    void *base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (base == MAP_FAILED) {
        ew_fail(err, EW_ERR_IO, "%s: mmap: %s", path, strerror(errno));
        goto out;
    }
    *out = (struct ew_map){.base = base, .size = (size_t)st.st_size};
    ok = true;
out:
    if (fd >= 0) {
        close(fd); /* the mapping outlives the descriptor */
    }
    return ok;
}

void ew_map_close(struct ew_map *map)
{
    if (map->base) {
        munmap((void *)map->base, map->size);
    }
    *map = (struct ew_map){0};
}

/* Bytes of a file of text: the largest circuits have a fifth of that. */
static const size_t MOST_READ = 1000000000;

static bool read_all(struct ew_buf *out, int fd, const char *path,
                     struct ew_err *err)
{
    char chunk[65536];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return ew_fail(err, EW_ERR_IO, "%s: %s", path, strerror(errno));
        }
        if (n == 0) {
            return true;
        }
        if (out->len > MOST_READ) {
            return ew_fail(err, EW_ERR_INPUT, "%s: more than a gigabyte", path);
        }
        ew_buf_add_n(out, chunk, (size_t)n);
    }
}

bool ew_file_read(struct ew_buf *out, const char *path, struct ew_err *err)
{
    if (strcmp(path, "-") == 0) {
        return read_all(out, STDIN_FILENO, "standard input", err);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return ew_fail(err, EW_ERR_IO, "%s: %s", path, strerror(errno));
    }
    bool ok = read_all(out, fd, path, err);
    close(fd);
    return ok;
}

static bool write_all(int fd, const char *path, const char *bytes, size_t len,
                      struct ew_err *err)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return ew_fail(err, EW_ERR_IO, "%s: %s", path, strerror(errno));
        }
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

/* A device, a pipe or a terminal is written to as it is. */
static bool write_into(const char *path, const char *bytes, size_t len,
                       struct ew_err *err)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return ew_fail(err, EW_ERR_IO, "%s: cannot write: %s", path,
                       strerror(errno));
    }
    bool ok = write_all(fd, path, bytes, len, err);
    if (close(fd) < 0 && ok) {
        ok = ew_fail(err, EW_ERR_IO, "%s: %s", path, strerror(errno));
    }
    return ok;
}

/* mkstemp makes a file private; a new result is as public as any other. */
static mode_t new_mode(void)
{
    mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

static bool replace(const char *path, mode_t mode, const char *bytes,
                    size_t len, struct ew_err *err)
{
    bool ok = false;
    char *temp = ew_xasprintf("%s.XXXXXX", path);
    int fd = mkstemp(temp);
    if (fd < 0) {
        ew_fail(err, EW_ERR_IO, "%s: cannot write: %s", path,
                strerror(errno));
        goto out;
    }
    if (!write_all(fd, path, bytes, len, err)) {
        goto out;
    }
    if (fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(temp, path) < 0) {
        ew_fail(err, EW_ERR_IO, "%s: cannot write: %s", path,
                strerror(errno));
        goto out;
    }
    ok = true;
out:
    if (fd >= 0) {
        close(fd);
        if (!ok) {
            unlink(temp);
        }
    }
    free(temp);
    return ok;
}

static bool is_stdout(const struct stat *st)
{
    struct stat out;
    return fstat(STDOUT_FILENO, &out) == 0 && out.st_dev == st->st_dev &&
           out.st_ino == st->st_ino;
}

bool ew_file_write(const char *path, const void *bytes, size_t len,
                   struct ew_err *err)
{
    struct stat st;
    bool there = stat(path, &st) == 0;
    if (strcmp(path, "-") == 0 || (there && is_stdout(&st))) {
        return write_all(STDOUT_FILENO, "standard output", bytes, len, err);
    }
    if (there && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
        return write_into(path, bytes, len, err);
    }
    char *real = there ? realpath(path, NULL) : NULL; /* behind a link */
    bool ok = replace(real ? real : path,
                      there ? st.st_mode & 0777 : new_mode(), bytes, len, err);
    free(real);
    return ok;
}

bool ew_file_may_write(const char *path, struct ew_err *err)
{
    struct stat st;
    bool there = strcmp(path, "-") != 0 && stat(path, &st) == 0;
    if (strcmp(path, "-") == 0 || (there && is_stdout(&st))) {
        return true;
    }
    if (there && !S_ISREG(st.st_mode)) {
        errno = S_ISDIR(st.st_mode) ? EISDIR : 0;
        return (errno == 0 && access(path, W_OK) == 0) ||
               ew_fail(err, EW_ERR_IO, "%s: cannot write: %s", path,
                       strerror(errno));
    }
    char *real = there ? realpath(path, NULL) : NULL;
    char *temp = ew_xasprintf("%s.XXXXXX", real ? real : path);
    int fd = mkstemp(temp);
    if (fd < 0) {
        ew_fail(err, EW_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
    } else {
        close(fd);
        unlink(temp);
    }
    free(real);
    free(temp);
    return fd >= 0;
}
