#include "host.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { LINKS_MAX = 40 }; /* as in the kernel, path_resolution(7) */

struct walk {
    const char *path;    /* for messages */
    bool own;            /* host_open_own() */
    char rest[PATH_MAX]; /* what is still to be walked */
    int at;              /* how far we are; owned */
    struct stat st;      /* of `at` */
    bool trusted;        /* so far only root could have made what we passed */
    unsigned links;
};

static bool is_writable_by_others(const struct stat *st)
{
    return (st->st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

/* In a sticky directory what is root's stays where it is. */
static bool is_roots(const struct stat *st)
{
    return st->st_uid == 0 && (!is_writable_by_others(st) || (st->st_mode & S_ISVTX) != 0);
}

/* Cuts the first component off walk->rest into name[NAME_MAX + 1]; at the end it is "". */
static int next_name(struct walk *walk, char *name, struct err *err)
{
    const char *at = walk->rest + strspn(walk->rest, "/");
    size_t len = strcspn(at, "/");
    if (len > NAME_MAX)
        return err_set(err, ENAMETOOLONG, "%s", walk->path);
    memcpy(name, at, len);
    name[len] = '\0';
    memmove(walk->rest, at + len, strlen(at + len) + 1);
    return 0;
}

static int follow(struct walk *walk, int link, const struct stat *st, struct err *err)
{
    char target[PATH_MAX];
    if (walk->own)
        return err_set(err, 0, "%s: there is a symbolic link on the way; name the directory itself",
                       walk->path);
    if (!walk->trusted || st->st_uid != 0)
        return err_set(err, 0,
                       "%s: there is a symbolic link on the way where others than root may write",
                       walk->path);
    ssize_t n = readlinkat(link, "", target, sizeof target);
    size_t rest = strlen(walk->rest);
    if (n < 0 || ++walk->links > LINKS_MAX)
        return err_set(err, n < 0 ? errno : ELOOP, "%s", walk->path);
    if ((size_t)n + rest >= sizeof walk->rest)
        return err_set(err, ENAMETOOLONG, "%s", walk->path);
    memmove(walk->rest + n, walk->rest, rest + 1);
    memcpy(walk->rest, target, (size_t)n);
    if (n == 0 || target[0] != '/')
        return 0;
    close_fd(&walk->at);
    walk->at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return walk->at >= 0 && fstat(walk->at, &walk->st) == 0 ? 0 : err_set(err, errno, "/");
}

static int step(struct walk *walk, const char *name, struct err *err)
{
    walk->trusted = walk->trusted && is_roots(&walk->st);
    if (walk->own && !walk->trusted)
        return err_set(err, 0, "%s: others than root may change a directory above it", walk->path);
    cleanup_fd int next = openat(walk->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (next < 0 || fstat(next, &st) < 0)
        return err_set(err, errno, "%s", walk->path);
    if (S_ISLNK(st.st_mode))
        return follow(walk, next, &st, err);
    close_fd(&walk->at);
    walk->at = steal_fd(&next);
    walk->st = st;
    return 0;
}

static int walk_all(struct walk *walk, struct err *err)
{
    if (walk->at < 0 || fstat(walk->at, &walk->st) < 0)
        return err_set(err, errno, "/");
    for (;;) {
        char name[NAME_MAX + 1];
        if (next_name(walk, name, err) < 0)
            return -1;
        if (name[0] == '\0')
            return 0;
        if (strcmp(name, ".") != 0 && step(walk, name, err) < 0)
            return -1;
    }
}

static int open_walking(const char *path, bool own, int *fd, struct stat *st, struct err *err)
{
    struct walk walk = {.path = path, .own = own, .trusted = true};
    int n = snprintf(walk.rest, sizeof walk.rest, "%s", path);
    *fd = -1;
    if (path[0] != '/')
        return err_set(err, 0, "%s is not an absolute path", path);
    if (n < 0 || (size_t)n >= sizeof walk.rest)
        return err_set(err, ENAMETOOLONG, "%s", path);
    walk.at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int rc = walk_all(&walk, err);
    if (rc == 0)
        *fd = steal_fd(&walk.at);
    *st = walk.st;
    close_fd(&walk.at);
    return rc;
}

int host_open(const char *path, int *fd, struct err *err)
{
    struct stat st;
    return open_walking(path, false, fd, &st, err);
}

int host_open_own(const char *path, int *fd, struct err *err)
{
    struct stat st;
    if (open_walking(path, true, fd, &st, err) < 0)
        return -1;
    if (S_ISDIR(st.st_mode) && st.st_uid == 0 && !is_writable_by_others(&st))
        return 0;
    close_fd(fd);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, ENOTDIR, "%s", path);
    if (st.st_uid != 0)
        return err_set(err, 0, "%s belongs to uid %u; it must be root's (chown root)", path,
                       st.st_uid);
    return err_set(err, 0, "%s may be written by group or others (mode %03o; chmod go-w)", path,
                   st.st_mode & 07777U);
}
