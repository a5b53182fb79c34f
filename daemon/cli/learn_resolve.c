#include "learn_resolve.h"
#include "cleanup.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>

enum { PAGE = 4096 };

bool resolve_read(pid_t tid, uint64_t address, void *buf, size_t len)
{
    struct iovec to = {.iov_base = buf, .iov_len = len};
    struct iovec from = {.iov_base = (void *)(uintptr_t)address, .iov_len = len};
    return process_vm_readv(tid, &to, 1, &from, 1, 0) == (ssize_t)len;
}

char *resolve_string(pid_t tid, uint64_t address)
{
    char buf[PATH_MAX];
    size_t used = 0;
    while (used < sizeof buf) {
        /* The page after the string's end may not be there. */
        size_t step = PAGE - (size_t)((address + used) % PAGE);
        if (step > sizeof buf - used)
            step = sizeof buf - used;
        if (!resolve_read(tid, address + used, buf + used, step))
            return NULL;
        if (memchr(buf + used, '\0', step) != NULL)
            return strdup(buf);
        used += step;
    }
    return NULL;
}

static bool read_link(const char *link, char path[PATH_MAX])
{
    static const char gone[] = " (deleted)";
    ssize_t n = readlink(link, path, PATH_MAX);
    if (n <= 0 || n >= PATH_MAX || path[0] != '/')
        return false;
    path[n] = '\0';
    size_t tail = sizeof gone - 1;
    return (size_t)n <= tail || strcmp(path + n - tail, gone) != 0;
}

bool resolve_fd(pid_t tid, int fd, char path[PATH_MAX])
{
    char link[64];
    if (fd == AT_FDCWD)
        (void)snprintf(link, sizeof link, "/proc/%d/cwd", (int)tid);
    else
        (void)snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)tid, fd);
    return read_link(link, path);
}

char *resolve_absolute(pid_t tid, int dir, const char *path)
{
    char base[PATH_MAX];
    char *out = NULL;
    if (path[0] == '/')
        return strdup(path);
    if (!resolve_fd(tid, dir, base) || asprintf(&out, "%s/%s", base, path) < 0)
        return NULL;
    return out;
}

static int open_below(int root, const char *path, uint64_t flags)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC | flags, .resolve = RESOLVE_IN_ROOT};
    return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

static bool name_of(int fd, char out[PATH_MAX])
{
    char link[64];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return read_link(link, out);
}

bool resolve_place(int root, const char *path, bool nofollow, char out[PATH_MAX], struct stat *st)
{
    cleanup_fd int fd = open_below(root, path, nofollow ? O_NOFOLLOW : 0);
    return fd >= 0 && fstat(fd, st) == 0 && name_of(fd, out);
}

void resolve_links(int root, const char *path, bool nofollow,
                   void (*found)(void *arg, const char *link), void *arg)
{
    enum { PARTS_MAX = 64 };
    char upto[PATH_MAX], name[PATH_MAX];
    size_t len = 0;
    for (int i = 0; i < PARTS_MAX && path[len] != '\0'; i++) {
        len += strspn(path + len, "/");
        len += strcspn(path + len, "/");
        int n = snprintf(upto, sizeof upto, "%.*s", (int)len, path);
        if (n < 0 || (size_t)n >= sizeof upto || (nofollow && path[len] == '\0'))
            return;
        cleanup_fd int fd = open_below(root, upto, O_NOFOLLOW);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0)
            return;
        if (S_ISLNK(st.st_mode) && name_of(fd, name))
            found(arg, name);
    }
}

void resolve_normalise(char *path)
{
    char *out = path;
    const char *at = path;
    while (*at != '\0') {
        at += strspn(at, "/");
        size_t len = strcspn(at, "/");
        if (len == 2 && at[0] == '.' && at[1] == '.') {
            while (out > path && *--out != '/')
                ;
        } else if (len > 0 && !(len == 1 && at[0] == '.')) {
            *out++ = '/';
            memmove(out, at, len);
            out += len;
        }
        at += len;
    }
    if (out == path)
        *out++ = '/';
    *out = '\0';
}

void resolve_parent(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash != NULL)
        slash[slash == path] = '\0';
}
