#include "workspace.h"

#include "cleanup.h"
#include "host.h"
#include "mntns.h"
#include "quota.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static const char tenant_mark[] = "%t";

/* Splits workspace_path into the directory that it is in, and its own name; "%t" may be in that. */
static int split_path(const char *path, char dir[PATH_MAX], const char **leaf, struct err *err)
{
    const char *slash = strrchr(path, '/');
    if (path[0] != '/' || slash[1] == '\0')
        return err_set(err, 0, "not an absolute path of a directory");
    int n = snprintf(dir, PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    if (n < 0 || n >= PATH_MAX)
        return err_set(err, ENAMETOOLONG, "the path");
    if (strstr(dir, tenant_mark) != NULL)
        return err_set(err, 0, "%%t may be in the last part of the path alone");
    *leaf = slash + 1;
    return 0;
}

/* The name of a tenant's directory. The policy's names can't be paths; it is asked again here. */
static int expand(const char *leaf, const char *tenant, char *buf, size_t len, struct err *err)
{
    const char *mark = strstr(leaf, tenant_mark);
    int n = mark == NULL ? snprintf(buf, len, "%s", leaf)
                         : snprintf(buf, len, "%.*s%s%s", (int)(mark - leaf), leaf, tenant,
                                    mark + sizeof tenant_mark - 1);
    if (n < 0 || (size_t)n >= len)
        return err_set(err, ENAMETOOLONG, "the workspace's name");
    if (tenant[0] == '\0' || strchr(buf, '/') != NULL || strcmp(buf, ".") == 0 ||
        strcmp(buf, "..") == 0 || strstr(buf, tenant_mark) != NULL)
        return err_set(err, 0, "'%s' can't be the name of a workspace", buf);
    return 0;
}

static int prepare_kept(struct sandbox_template *tpl, struct err *err)
{
    const struct sandbox_spec *spec = tpl->spec;
    char dir[PATH_MAX], name[NAME_MAX + 1];
    const char *leaf = NULL;
    if (split_path(spec->workspace_path, dir, &leaf, err) < 0 ||
        expand(leaf, "x", name, sizeof name, err) < 0 || host_open_own(dir, &tpl->kept_in, err) < 0)
        return -1;
    if (spec->workspace_size == SPEC_INFINITY || quota_check(tpl->kept_in, err) == 0)
        return 0;
    return err_blame(err, "workspace-size", 0);
}

int workspace_prepare(struct sandbox_template *tpl, struct err *err)
{
    const struct sandbox_spec *spec = tpl->spec;
    if (spec->workspace == WORKSPACE_NONE)
        return 0;
    tpl->host_ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (tpl->host_ns < 0)
        return err_set(err, errno, "/proc/self/ns/mnt");
    if (spec->workspace == WORKSPACE_KEPT && prepare_kept(tpl, err) < 0) {
        if (err->setting == NULL)
            err_blame(err, "workspace", 0);
        return err_wrap(err, "workspace = %s", spec->workspace_path);
    }
    return 0;
}

static int enter_host(const struct sandbox_template *tpl, struct err *err)
{
    return setns(tpl->host_ns, CLONE_NEWNS) == 0 ? 0 : err_set(err, errno, "setns");
}

struct share {
    uint64_t size;
    uid_t owner;
    gid_t group;
};

static int build_share(void *arg, struct err *err)
{
    const struct share *share = arg;
    cleanup_fd int root = -1;
    if (tree_scratch(share->size, share->owner, share->group, &root, err) < 0 ||
        mntns_cover(root, err) < 0)
        return -1;
    return mntns_pivot(root, err);
}

int sandbox_share(const struct sandbox_template *tpl, uid_t owner, gid_t group, int *fd,
                  struct err *err)
{
    struct share share = {.size = tpl->spec->workspace_size, .owner = owner, .group = group};
    *fd = -1;
    if (enter_host(tpl, err) < 0 || mntns_make(build_share, &share, fd, err) < 0)
        return err_wrap(err, "sandbox '%s': workspace", tpl->spec->name);
    return 0;
}

/*
 * Whatever else there is was not made for this tenant, and is not given to it. One that has shut
 * itself out of its own directory gets it back, since every command begins there.
 */
static int check_owner(int dir, const char *name, uid_t owner, struct err *err)
{
    struct stat st;
    if (fstat(dir, &st) < 0)
        return err_set(err, errno, "%s", name);
    if (st.st_uid != owner)
        return err_set(err, 0, "%s belongs to uid %u, not to the tenant (chown %u)", name,
                       st.st_uid, owner);
    if ((st.st_mode & S_IRWXU) == S_IRWXU)
        return 0;
    cleanup_fd int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, (st.st_mode & 07777) | S_IRWXU) < 0)
        return err_set(err, errno, "%s", name);
    return 0;
}

/* The root of the shared namespace. */
static int open_shared(const struct sandbox_job *job, int *tree, struct err *err)
{
    bool is_dir = false;
    if (setns(job->shared, CLONE_NEWNS) < 0)
        return err_set(err, errno, "setns");
    cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return err_set(err, errno, "its directory");
    if (check_owner(root, "it", job->uid, err) < 0)
        return -1;
    return tree_clone_fd(root, "it", TREE_WRITE, tree, &is_dir, err);
}

/* Under its name appears only what is complete; the other name can only be left from a crash. */
static int make_kept(int in, const char *name, const struct sandbox_job *job, struct err *err)
{
    char fresh[NAME_MAX + 8];
    int n = snprintf(fresh, sizeof fresh, ".new-%s", name);
    if (n < 0 || (size_t)n >= sizeof fresh)
        return err_set(err, ENAMETOOLONG, "%s", name);
    if ((mkdirat(in, fresh, 0700) < 0 && errno != EEXIST) ||
        fchownat(in, fresh, job->uid, job->gid, AT_SYMLINK_NOFOLLOW) < 0 ||
        renameat2(in, fresh, in, name, RENAME_NOREPLACE) < 0) {
        int num = errno;
        /* The spawner of another generation may have been faster. */
        (void)unlinkat(in, fresh, AT_REMOVEDIR);
        return num == ENOENT || num == EEXIST ? 0 : err_set(err, num, "%s", name);
    }
    return 0;
}

static int open_kept_dir(int in, const char *name, const struct sandbox_job *job, int *fd,
                         struct err *err)
{
    enum { TRIES = 3 };
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    for (int i = 0; i < TRIES; i++) {
        *fd = (int)syscall(SYS_openat2, in, name, &how, sizeof how);
        if (*fd >= 0)
            return 0;
        if (errno != ENOENT)
            return err_set(err, errno, "%s", name);
        if (make_kept(in, name, job, err) < 0)
            return -1;
    }
    return err_set(err, ENOENT, "%s", name);
}

static int open_kept(const struct sandbox_template *tpl, const struct sandbox_job *job, int *tree,
                     struct err *err)
{
    const struct sandbox_spec *spec = tpl->spec;
    char dir[PATH_MAX], name[NAME_MAX + 1];
    const char *leaf = NULL;
    cleanup_fd int fd = -1;
    bool is_dir = false;
    if (enter_host(tpl, err) < 0 || split_path(spec->workspace_path, dir, &leaf, err) < 0 ||
        expand(leaf, job->user_name, name, sizeof name, err) < 0 ||
        open_kept_dir(tpl->kept_in, name, job, &fd, err) < 0 ||
        check_owner(fd, name, job->uid, err) < 0 ||
        quota_set(fd, job->project, spec->workspace_size, tree_inodes(spec->workspace_size), err) <
            0)
        return -1;
    return tree_clone_fd(fd, name, TREE_WRITE, tree, &is_dir, err);
}

static int open_by_kind(const struct sandbox_template *tpl, const struct sandbox_job *job,
                        int *tree, struct err *err)
{
    switch (tpl->spec->workspace) {
    case WORKSPACE_NONE:
        return 0;
    case WORKSPACE_EXEC:
        return tree_scratch(tpl->spec->workspace_size, job->uid, job->gid, tree, err);
    case WORKSPACE_CONNECTION:
        return open_shared(job, tree, err);
    case WORKSPACE_KEPT:
        return open_kept(tpl, job, tree, err);
    }
    return err_set(err, EINVAL, "kind %d", tpl->spec->workspace);
}

int workspace_open(const struct sandbox_template *tpl, const struct sandbox_job *job, int *tree,
                   struct err *err)
{
    *tree = -1;
    if (open_by_kind(tpl, job, tree, err) < 0)
        return err_wrap(err, "sandbox '%s': workspace", tpl->spec->name);
    return 0;
}
