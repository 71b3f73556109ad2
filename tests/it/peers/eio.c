/*
 * A failing disk, for LD_PRELOAD: while a line `write PREFIX` or `sync PREFIX` stands in the file that
 * STAIRGATE_EIO_FILE names, writes to (or syncs of) files whose path begins with PREFIX fail with EIO.
 * A program that opens, reads and renames goes on as before.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int fails(int fd, const char *operation)
{
    const char *rules_path = getenv("STAIRGATE_EIO_FILE");
    if (rules_path == NULL || access(rules_path, F_OK) != 0)
        return 0;
    int saved = errno;
    int rules_fd = open(rules_path, O_RDONLY | O_CLOEXEC);
    char rules[4096];
    ssize_t n = rules_fd < 0 ? 0 : read(rules_fd, rules, sizeof rules - 1);
    if (rules_fd >= 0)
        close(rules_fd);
    rules[n > 0 ? n : 0] = '\0';

    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    errno = saved;
    if (n <= 0)
        return 0;
    path[n] = '\0';

    char *rest = rules, *line;
    while ((line = strsep(&rest, "\n")) != NULL) {
        size_t word = strlen(operation);
        const char *prefix = line + word + 1;
        if (strncmp(line, operation, word) == 0 && line[word] == ' ' && *prefix != '\0'
            && strncmp(path, prefix, strlen(prefix)) == 0) {
            errno = EIO;
            return 1;
        }
    }
    return 0;
}

#define REAL(result, name, parameters)                                  \
    static result (*real) parameters;                                   \
    if (real == NULL)                                                   \
        real = (result (*) parameters) dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *bytes, size_t n)
{
    REAL(ssize_t, write, (int, const void *, size_t));
    return fails(fd, "write") ? -1 : real(fd, bytes, n);
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
    REAL(ssize_t, writev, (int, const struct iovec *, int));
    return fails(fd, "write") ? -1 : real(fd, parts, n);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    REAL(ssize_t, pwrite, (int, const void *, size_t, off_t));
    return fails(fd, "write") ? -1 : real(fd, bytes, n, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
    REAL(ssize_t, pwrite64, (int, const void *, size_t, off64_t));
    return fails(fd, "write") ? -1 : real(fd, bytes, n, at);
}

int ftruncate(int fd, off_t n)
{
    REAL(int, ftruncate, (int, off_t));
    return fails(fd, "write") ? -1 : real(fd, n);
}

int ftruncate64(int fd, off64_t n)
{
    REAL(int, ftruncate64, (int, off64_t));
    return fails(fd, "write") ? -1 : real(fd, n);
}

int fsync(int fd)
{
    REAL(int, fsync, (int));
    return fails(fd, "sync") ? -1 : real(fd);
}

int fdatasync(int fd)
{
    REAL(int, fdatasync, (int));
    return fails(fd, "sync") ? -1 : real(fd);
}

int sync_file_range(int fd, off64_t from, off64_t n, unsigned int flags)
{
    REAL(int, sync_file_range, (int, off64_t, off64_t, unsigned int));
    return fails(fd, "sync") ? -1 : real(fd, from, n, flags);
}
