/* Putting in place what drop_in.c has judged. */
#include "cleanup.h"
#include "drop_in.h"
#include "trusted_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MODE = 0644, DIR_MODE = 0755 };

/* One file, with the directory that it is in. */
struct place {
    int dir;
    const char *name;
    char aside[NAME_MAX +
               1]; /* hidden, so that no policy reads it; nobody else's: we hold the lock */
    char disabled[NAME_MAX + 1]; /* with DROP_IN_DISABLED */
};

static int open_place(const struct drop_in_change *change, uid_t owner, struct place *out,
                      struct err *err)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(change->path, '/');
    out->dir = -1;
    out->name = slash + 1;
    int n = snprintf(out->aside, sizeof out->aside, ".%s.postern", out->name);
    int m = snprintf(out->disabled, sizeof out->disabled, "%s" DROP_IN_DISABLED, out->name);
    int len = snprintf(parent, sizeof parent, "%.*s", (int)(slash - change->path), change->path);
    if (n < 0 || n > NAME_MAX || m < 0 || m > NAME_MAX || len < 0 || len >= PATH_MAX)
        return err_set(err, ENAMETOOLONG, "%s", change->path);
    /* The directory of the keys, the first time. */
    if (change->kind == DROP_IN_CREATE && mkdir(parent, DIR_MODE) < 0 && errno != EEXIST)
        return err_set(err, errno, "%s can't be made", parent);
    return trusted_path_open_dir(parent, owner, &out->dir, err) < 0 ? err_wrap(err, "%s", parent)
                                                                    : 0;
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

/* `old` is the file that this one takes the place of, or NULL. */
static int write_aside(const struct place *at, const struct drop_in_change *change,
                       const struct stat *old)
{
    if (unlinkat(at->dir, at->aside, 0) < 0 && errno != ENOENT)
        return -1;
    cleanup_fd int fd =
        openat(at->dir, at->aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    if (old != NULL && fchown(fd, old->st_uid, old->st_gid) < 0)
        return -1;
    if (fchmod(fd, old != NULL ? old->st_mode & 07777 : FILE_MODE) < 0)
        return -1;
    return write_all(fd, change->data, change->len) < 0 || fsync(fd) < 0 ? -1 : 0;
}

static int rename_new(const struct place *at, const char *from, const char *to)
{
    return renameat2(at->dir, from, at->dir, to, RENAME_NOREPLACE);
}

static int put(const struct place *at, const struct drop_in_change *change)
{
    struct stat st;
    bool is_new = change->kind == DROP_IN_CREATE;
    if (!is_new && fstatat(at->dir, at->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    /* A link stays one, and what it leads to isn't ours to exchange. */
    if (!is_new && !S_ISREG(st.st_mode)) {
        errno = ELOOP;
        return -1;
    }
    if (write_aside(at, change, is_new ? NULL : &st) == 0 &&
        (is_new ? rename_new(at, at->aside, at->name)
                : renameat(at->dir, at->aside, at->dir, at->name)) == 0)
        return 0;
    int num = errno;
    (void)unlinkat(at->dir, at->aside, 0);
    errno = num;
    return -1;
}

static int apply(const struct place *at, const struct drop_in_change *change)
{
    switch (change->kind) {
    case DROP_IN_CREATE:
    case DROP_IN_REPLACE:
        return put(at, change);
    case DROP_IN_REMOVE:
        return unlinkat(at->dir, at->name, 0);
    case DROP_IN_DISABLE:
        return rename_new(at, at->name, at->disabled);
    case DROP_IN_ENABLE:
        return rename_new(at, at->disabled, at->name);
    }
    errno = EINVAL;
    return -1;
}

static int make(const struct drop_in_change *change, uid_t owner, struct err *err)
{
    struct place at = {.dir = -1};
    int rc = open_place(change, owner, &at, err);
    if (rc == 0 && apply(&at, change) < 0)
        rc = err_set(err, errno, "%s", change->path);
    else if (rc == 0)
        (void)fsync(at.dir); /* it is there; some file systems can't promise more */
    close_fd(&at.dir);
    return rc;
}

int drop_in_commit(struct drop_in *drop_in, uid_t policy_owner, struct err *err)
{
    for (size_t i = 0; i < drop_in->n; i++) {
        if (make(&drop_in->changes[i], policy_owner, err) == 0)
            continue;
        while (i-- > 0)
            if (drop_in->changes[i].kind == DROP_IN_CREATE)
                (void)unlink(drop_in->changes[i].path);
        return -1;
    }
    return 0;
}
