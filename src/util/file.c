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

bool ew_file_write(const char *path, const void *bytes, size_t len,
                   struct ew_err *err)
{
    if (strcmp(path, "-") == 0) {
        return write_all(STDOUT_FILENO, "standard output", bytes, len, err);
    }
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
    /* mkstemp makes the file private; a result is as public as any other */
    mode_t mask = umask(0);
    umask(mask);
    if (fchmod(fd, 0666 & ~mask) < 0 || fsync(fd) < 0 ||
        rename(temp, path) < 0) {
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
