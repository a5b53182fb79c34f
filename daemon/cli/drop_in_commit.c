/* Putting in place what drop_in.c has judged. */
#include "cleanup.h"
#include "drop_in.h"
#include "trusted_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FILE_MODE = 0644, DIR_MODE = 0755, OLD_MAX = 64 << 20 };

/* One file, with the directory that it is in. */
struct place {
    int dir;
    const char *name;
    char aside[NAME_MAX +
               1]; /* hidden, so that no policy reads it; nobody else's: we hold the lock */
    char disabled[NAME_MAX + 1]; /* with DROP_IN_DISABLED */
};

/*
 * Where a policy-owner that is not root has its policy say so, or has put a link, root writes only
 * what that user could write itself: into its own directories, and what really is below `top`.
 */
static int judge_place(const char *top, const char *parent, int dir, uid_t owner, struct err *err)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    struct stat st, below;
    size_t len = strlen(top);
    cleanup_fd int top_fd = -1, fd = -1;
    if (owner == 0 || owner == geteuid())
        return 0;
    if (fstat(dir, &st) < 0)
        return err_set(err, errno, "%s", parent);
    if (st.st_uid == owner)
        return 0;
    if (strncmp(parent, top, len) == 0 && (parent[len] == '\0' || parent[len] == '/') &&
        trusted_path_open_dir(top, owner, &top_fd, err) == 0) {
        const char *rest = parent + len + strspn(parent + len, "/");
        fd = (int)syscall(SYS_openat2, top_fd, *rest != '\0' ? rest : ".", &how, sizeof how);
    }
    if (fd >= 0 && fstat(fd, &below) == 0 && below.st_dev == st.st_dev && below.st_ino == st.st_ino)
        return 0;
    return err_set(err, 0,
                   "%.200s is neither in %.200s nor the policy-owner's (uid %u): what is there is "
                   "not changed for that user; edit it yourself if that is meant",
                   parent, top, (unsigned)owner);
}

static int open_place(const char *top, const struct drop_in_change *change, uid_t owner,
                      struct place *out, struct err *err)
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
    if (trusted_path_open_dir(parent, owner, &out->dir, err) < 0)
        return err_wrap(err, "%s", parent);
    return judge_place(top, parent, out->dir, owner, err);
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

/* What is there before the change, for drop_in_undo(). */
static int keep_old(const struct place *at, struct drop_in_change *change)
{
    struct stat st;
    cleanup_fd int fd = openat(at->dir, at->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -1;
    if (!S_ISREG(st.st_mode) || st.st_size > OLD_MAX) {
        errno = EFBIG;
        return -1;
    }
    cleanup_free char *data = malloc((size_t)st.st_size + 1);
    ssize_t n = data == NULL ? -1 : read(fd, data, (size_t)st.st_size);
    if (n != st.st_size)
        return -1;
    change->old = steal_ptr(data);
    change->old_len = (size_t)n;
    change->old_mode = st.st_mode;
    change->old_uid = st.st_uid;
    change->old_gid = st.st_gid;
    return 0;
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

static int make(const char *top, struct drop_in_change *change, uid_t owner, struct err *err)
{
    struct place at = {.dir = -1};
    bool keeps = change->kind == DROP_IN_REPLACE || change->kind == DROP_IN_REMOVE;
    int rc = open_place(top, change, owner, &at, err);
    if (rc == 0 && ((keeps && keep_old(&at, change) < 0) || apply(&at, change) < 0))
        rc = err_set(err, errno, "%s", change->path);
    else if (rc == 0)
        (void)fsync(at.dir); /* it is there; some file systems can't promise more */
    close_fd(&at.dir);
    return rc;
}

/* Back to what was there. */
static int unmake(const char *top, const struct drop_in_change *change, uid_t owner,
                  struct err *err)
{
    static const enum drop_in_kind opposites[] = {
        [DROP_IN_CREATE] = DROP_IN_REMOVE,  [DROP_IN_REPLACE] = DROP_IN_REPLACE,
        [DROP_IN_REMOVE] = DROP_IN_CREATE,  [DROP_IN_DISABLE] = DROP_IN_ENABLE,
        [DROP_IN_ENABLE] = DROP_IN_DISABLE,
    };
    const struct drop_in_change back = {.kind = opposites[change->kind],
                                        .path = change->path,
                                        .data = change->old,
                                        .len = change->old_len};
    struct place at = {.dir = -1};
    int rc = open_place(top, &back, owner, &at, err);
    if (rc == 0 && apply(&at, &back) < 0)
        rc = err_set(err, errno, "%s", change->path);
    if (rc == 0 && back.kind == DROP_IN_CREATE &&
        (fchownat(at.dir, at.name, change->old_uid, change->old_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
         fchmodat(at.dir, at.name, change->old_mode & 07777, 0) < 0))
        rc = err_set(err, errno, "%s", change->path);
    close_fd(&at.dir);
    return rc;
}

static int unmake_before(struct drop_in *drop_in, size_t n, uid_t owner, struct err *err)
{
    int rc = 0;
    while (n-- > 0)
        if (unmake(drop_in->dir, &drop_in->changes[n], owner, err) < 0)
            rc = -1;
    return rc;
}

int drop_in_commit(struct drop_in *drop_in, uid_t policy_owner, struct err *err)
{
    struct err ignored;
    for (size_t i = 0; i < drop_in->n; i++) {
        if (make(drop_in->dir, &drop_in->changes[i], policy_owner, err) == 0)
            continue;
        (void)unmake_before(drop_in, i, policy_owner, &ignored);
        return -1;
    }
    return 0;
}

int drop_in_undo(struct drop_in *drop_in, uid_t policy_owner, struct err *err)
{
    return unmake_before(drop_in, drop_in->n, policy_owner, err);
}
