#include "mntns.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Where the caller was, so that it can go back. */
struct place {
    int mnt_ns, root, cwd;
};

static void place_close(struct place *place)
{
    close_fd(&place->mnt_ns);
    close_fd(&place->root);
    close_fd(&place->cwd);
}

static int place_save(struct place *place, struct err *err)
{
    place->mnt_ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    place->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    place->cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (place->mnt_ns < 0 || place->root < 0 || place->cwd < 0)
        return err_set(err, errno, "the current mount namespace");
    return 0;
}

static void place_restore_or_abort(const struct place *place)
{
    /* setns(2) puts root and cwd at the namespace's own. To go on elsewhere would be to lie. */
    if (setns(place->mnt_ns, CLONE_NEWNS) < 0 || fchdir(place->root) < 0 || chroot(".") < 0 ||
        fchdir(place->cwd) < 0)
        abort();
}

static int build_privately(mntns_build_fn *build, void *arg, struct err *err)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        return build(arg, err);
    /* What isn't a mount point has no propagation to change, mount(2). */
    if (errno == EINVAL)
        return err_set(err, 0,
                       "the root directory is no mount point, as after a plain chroot: "
                       "pivot_root to one that is bind-mounted onto itself");
    return err_set(err, errno, "private mounts");
}

int mntns_make(mntns_build_fn *build, void *arg, int *ns, struct err *err)
{
    __attribute__((cleanup(place_close))) struct place home = {-1, -1, -1};
    *ns = -1;
    if (place_save(&home, err) < 0)
        return -1;
    if (unshare(CLONE_NEWNS) < 0)
        return err_set(err, errno, "a new mount namespace");
    mode_t mask = umask(022);
    cleanup_fd int made = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    int rc =
        made >= 0 ? build_privately(build, arg, err) : err_set(err, errno, "/proc/self/ns/mnt");
    umask(mask);
    place_restore_or_abort(&home);
    if (rc == 0)
        *ns = steal_fd(&made);
    return rc;
}

int mntns_cover(int root, struct err *err)
{
    /* "/" always exists. */
    if (move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_set(err, errno, "mount the root");
    return 0;
}

int mntns_pivot(int root, struct err *err)
{
    /* Both names are ".": the old root lands on top of the new one, and is taken off from there. */
    if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
        chdir("/") < 0)
        return err_set(err, errno, "pivot_root");
    return 0;
}
