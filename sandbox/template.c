#include "sandbox.h"

#include "binds.h"
#include "cleanup.h"
#include "layout.h"
#include "mntns.h"
#include "procfs.h"
#include "profile.h"
#include "rootfs.h"
#include "tree.h"
#include "workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static const struct {
    const char *name;
    unsigned major, minor;
} devices[] = {
    {"null", 1, 3}, {"zero", 1, 5},   {"full", 1, 7},
    {"tty", 5, 0},  {"random", 1, 8}, {"urandom", 1, 9},
};

static const struct {
    const char *path;
    const char *target;
} links[] = {
    {"dev/fd", "/proc/self/fd"},
    {"dev/stdin", "/proc/self/fd/0"},
    {"dev/stdout", "/proc/self/fd/1"},
    {"dev/stderr", "/proc/self/fd/2"},
    {"dev/ptmx", "pts/ptmx"}, /* leads nowhere where there are no terminals */
    {"var/tmp", "../tmp"},
    {"var/run", "../run"},
};

/* The host's own node where making one isn't permitted (a container without CAP_MKNOD). */
static int bind_device(int root, const char *path, struct err *err)
{
    char source[32];
    int n = snprintf(source, sizeof source, "/%s", path);
    cleanup_fd int tree = n > 0 && (size_t)n < sizeof source
                              ? open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
                              : -1;
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
                              .propagation = MS_PRIVATE};
    if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0)
        return err_set(err, errno, "/%s", path);
    if (tree_file(root, path, "", 0, 0644, err) < 0)
        return -1;
    return tree_attach(root, path, tree, false, err);
}

static int build_devices(int root, struct err *err)
{
    cleanup_fd int dev = -1;
    if (tree_tmpfs("64k", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, &dev, err) < 0 ||
        tree_attach(root, "dev", dev, true, err) < 0)
        return -1;
    for (size_t i = 0; i < array_len(devices); i++) {
        char path[32];
        int n = snprintf(path, sizeof path, "dev/%s", devices[i].name);
        if (n < 0 || (size_t)n >= sizeof path)
            return err_set(err, ENAMETOOLONG, "/dev");
        dev_t number = makedev(devices[i].major, devices[i].minor);
        if (mknodat(dev, devices[i].name, S_IFCHR | 0666, number) == 0) {
            if (fchmodat(dev, devices[i].name, 0666, 0) < 0)
                return err_set(err, errno, "/%s", path);
        } else if (errno != EPERM) {
            return err_set(err, errno, "/%s", path);
        } else if (bind_device(root, path, err) < 0) {
            return -1;
        }
    }
    if (tree_dir(root, "dev/shm", 0755, err) < 0 || tree_dir(root, "dev/pts", 0755, err) < 0)
        return -1;
    for (size_t i = 0; i < array_len(links); i++) {
        if (tree_link(root, links[i].path, links[i].target, err) < 0)
            return -1;
    }
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    if (mount_setattr(dev, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0)
        return err_set(err, errno, "/dev");
    return 0;
}

/* Mount points for what each exec gets of its own, and what masks parts of its tree. */
static int build_places(int root, const struct sandbox_spec *spec, struct err *err)
{
    static const char *const dirs[] = {"proc", "tmp", "run", "var", MASK_DIR_IN_ROOT};
    for (size_t i = 0; i < array_len(dirs); i++) {
        if (tree_dir(root, dirs[i], 0755, err) < 0)
            return -1;
    }
    if (spec->workspace != WORKSPACE_NONE && tree_dir(root, &SPEC_WORKSPACE[1], 0755, err) < 0)
        return -1;
    if (procfs_prepare(root, spec, err) < 0 || tree_dir(root, EMPTY_DIR_IN_ROOT, 0555, err) < 0 ||
        tree_file(root, EMPTY_FILE_IN_ROOT, "", 0, 0444, err) < 0)
        return -1;
    return tree_file(root, MASK_FILE_IN_ROOT, "", 0, 0, err);
}

static int check_home(int root, const struct sandbox_spec *spec, struct err *err)
{
    cleanup_fd int home = -1;
    struct stat st;
    if (spec->home == NULL || (tree_open(root, &spec->home[1], &home, err) == 0 &&
                               fstat(home, &st) == 0 && S_ISDIR(st.st_mode)))
        return 0;
    if (home >= 0)
        err_set(err, ENOTDIR, "it is a file");
    err_wrap(err, "home = %s", spec->home);
    return err_blame(err, "home", 0);
}

static int build_tree(int root, const struct sandbox_spec *spec, struct rootfs *rootfs,
                      struct binds *binds, struct err *err)
{
    if (build_places(root, spec, err) < 0 || rootfs_build(rootfs, root, spec, err) < 0 ||
        build_devices(root, err) < 0 || binds_attach(binds, root, err) < 0 ||
        binds_hide(spec, root, err) < 0 || check_home(root, spec, err) < 0)
        return -1;
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    if (mount_setattr(root, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0)
        return err_set(err, errno, "root: read-only");
    return 0;
}

/* In a mount namespace that is ours alone: replaces all of it by the sandbox's tree. */
static int build_namespace(void *arg, struct err *err)
{
    const struct sandbox_spec *spec = arg;
    __attribute__((cleanup(rootfs_close))) struct rootfs rootfs = {.dir = -1, .usr = -1};
    __attribute__((cleanup(binds_close))) struct binds binds = {0};
    cleanup_fd int root = -1;
    if (rootfs_open(spec, &rootfs, err) < 0 || binds_open(spec, &binds, err) < 0 ||
        tree_tmpfs("32m", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, &root, err) < 0 ||
        mntns_cover(root, err) < 0 || build_tree(root, spec, &rootfs, &binds, err) < 0)
        return -1;
    return mntns_pivot(root, err);
}

static int prepare_all(struct sandbox_template *tpl, struct egress_maps *maps, struct err *err)
{
    /* Of which the filter must know. */
    if (tpl->spec->network == NETWORK_EGRESS && !tpl->spec->seccomp.unix_apart)
        return err_set(err, EINVAL, "network = egress");
    if (tpl->spec->network == NETWORK_EGRESS && egress_load(tpl->spec, maps, &tpl->egress, err) < 0)
        return err_blame(err, "network", 0);
    if (profile_compile(&tpl->spec->seccomp, &tpl->filter, &tpl->filter_len, err) < 0)
        return err_blame(err, "seccomp", 0);
    if (workspace_prepare(tpl, err) < 0)
        return -1;
    return mntns_make(build_namespace, (void *)tpl->spec, &tpl->mnt_ns, err);
}

int sandbox_prepare(const struct sandbox_spec *spec, struct egress_maps *maps,
                    struct sandbox_template *out, struct err *err)
{
    *out = (struct sandbox_template){.spec = spec, .mnt_ns = -1, .host_ns = -1, .kept_in = -1};
    if (prepare_all(out, maps, err) == 0)
        return 0;
    sandbox_template_free(out);
    return -1;
}

void sandbox_template_free(struct sandbox_template *tpl)
{
    close_fd(&tpl->mnt_ns);
    close_fd(&tpl->host_ns);
    close_fd(&tpl->kept_in);
    free_ptr(&tpl->filter);
    tpl->filter_len = 0;
    egress_free(steal_ptr(tpl->egress));
}
