#include "confine.h"
#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum {
    CHANNEL_FDS = 4, /* three, and a recording */
    OWN_FDS = 32,
    DATA_MAX = 256 * 1024 * 1024, /* heap of one session, above every bound of its own */
};

static int set_limits(__rlimit_resource_t what, rlim_t soft, rlim_t hard, const char *name,
                      struct err *err)
{
    struct rlimit limit;
    if (getrlimit(what, &limit) < 0)
        return err_set(err, errno, "read limit %s", name);
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < hard)
        hard = limit.rlim_max;
    limit = (struct rlimit){soft < hard ? soft : hard, hard};
    if (setrlimit(what, &limit) < 0)
        return err_set(err, errno, "set limit %s", name);
    return 0;
}

static int set_limit(__rlimit_resource_t what, rlim_t value, const char *name, struct err *err)
{
    return set_limits(what, value, value, name, err);
}

/* Some directory that every host has, to mount the empty root on. */
static int mount_empty(struct err *err)
{
    static const char *const places[] = {"/proc", "/mnt", "/tmp", "/run", "/dev", "/etc"};
    for (size_t i = 0; i < array_len(places); i++) {
        if (mount("none", places[i], "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                  "size=4k,nr_inodes=2,mode=0555") == 0) {
            if (mount(NULL, places[i], NULL,
                      MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                      NULL) < 0)
                return err_set(err, errno, "make the empty root read-only");
            if (chdir(places[i]) < 0)
                return err_set(err, errno, "chdir to the empty root");
            return 0;
        }
    }
    return err_set(err, errno, "mount an empty root");
}

static int empty_root(struct err *err)
{
    /* Private first: nothing that follows may travel to the host's mounts. */
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return err_set(err, errno, "make mounts private");
    if (mount_empty(err) < 0)
        return -1;
    if (syscall(SYS_pivot_root, ".", ".") == 0) {
        /* The old root now lies on top of the new one. */
        if (umount2(".", MNT_DETACH) < 0)
            return err_set(err, errno, "detach the old root");
    } else {
        /* An initramfs can't be pivoted away from; it can be covered. */
        if (mount(".", "/", NULL, MS_MOVE, NULL) < 0)
            return err_set(err, errno, "move the empty root");
        if (chroot(".") < 0)
            return err_set(err, errno, "chroot");
    }
    if (chdir("/") < 0)
        return err_set(err, errno, "chdir /");
    return 0;
}

static int prove_empty_root(struct err *err)
{
    if (access("/proc", F_OK) == 0 || access("/etc", F_OK) == 0 || access("/usr", F_OK) == 0)
        return err_set(err, 0, "the root is not empty");
    cleanup_fd int fd = open("/x", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        return err_set(err, 0, "the root is writable");
    return 0;
}

static int drop_bounding(struct err *err)
{
    for (unsigned long cap = 0; cap < 64; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
            return err_set(err, errno, "drop capability %lu from the bounding set", cap);
    return 0;
}

static int clear_capabilities(struct err *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
    if (syscall(SYS_capset, &header, data) < 0)
        return err_set(err, errno, "clear capabilities");
    return 0;
}

static int drop_ids(uid_t uid, gid_t gid, struct err *err)
{
    if (setgroups(0, NULL) < 0)
        return err_set(err, errno, "setgroups");
    if (setresgid(gid, gid, gid) < 0)
        return err_set(err, errno, "setresgid %u", (unsigned)gid);
    if (setresuid(uid, uid, uid) < 0)
        return err_set(err, errno, "setresuid %u", (unsigned)uid);
    return 0;
}

/* Believe nothing: compare what the kernel says, then try to get back. */
static int prove_dropped(uid_t uid, gid_t gid, struct err *err)
{
    uid_t ids[3];
    gid_t groups[3];
    if (getresuid(&ids[0], &ids[1], &ids[2]) < 0 ||
        getresgid(&groups[0], &groups[1], &groups[2]) < 0)
        return err_set(err, errno, "read ids");
    for (int i = 0; i < 3; i++)
        if (ids[i] != uid || groups[i] != gid)
            return err_set(err, 0, "ids were not dropped");
    if (getgroups(0, NULL) != 0)
        return err_set(err, 0, "groups were not dropped");
    if (setresuid(0, 0, 0) == 0 || setresgid(0, 0, 0) == 0 || setgroups(0, NULL) == 0)
        return err_set(err, 0, "root could be regained");
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, data) < 0)
        return err_set(err, errno, "read capabilities");
    for (size_t i = 0; i < array_len(data); i++)
        if (data[i].effective != 0 || data[i].permitted != 0 || data[i].inheritable != 0)
            return err_set(err, 0, "capabilities were not dropped");
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return err_set(err, 0, "no_new_privs is not set");
    return 0;
}

int confine_enter(uid_t uid, gid_t gid, uint64_t file_max, struct err *err)
{
    if (uid == 0 || gid == 0)
        return err_set(err, 0, "sessions must not run as root");
    /* Limits that hold for the zygote too; those of one session come with its connection. */
    if (set_limit(RLIMIT_CORE, 0, "core", err) < 0 ||
        set_limits(RLIMIT_FSIZE, 0, file_max, "fsize", err) < 0 ||
        set_limit(RLIMIT_MEMLOCK, 0, "memlock", err) < 0 ||
        set_limit(RLIMIT_MSGQUEUE, 0, "msgqueue", err) < 0)
        return -1;
    if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
        return err_set(err, errno, "unshare");
    if (empty_root(err) < 0)
        return -1;
    /* The bounding set and the securebits need capabilities, so they go before the ids do. */
    if (drop_bounding(err) < 0)
        return -1;
    if (prctl(PR_SET_SECUREBITS,
              SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED |
                  SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                  SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
              0, 0, 0) < 0)
        return err_set(err, errno, "set securebits");
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return err_set(err, errno, "clear ambient capabilities");
    if (drop_ids(uid, gid, err) < 0 || clear_capabilities(err) < 0)
        return -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set(err, errno, "set no_new_privs");
    /* A change of ids resets it, so it comes after. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return err_set(err, errno, "clear dumpable");
    if (prove_dropped(uid, gid, err) < 0)
        return -1;
    return prove_empty_root(err);
}

uint32_t confine_limits(uint32_t max_channels, uint64_t file_max, struct err *err)
{
    struct rlimit files;
    rlim_t want = (rlim_t)max_channels * CHANNEL_FDS + OWN_FDS;
    if (set_limit(RLIMIT_NOFILE, want, "nofile", err) < 0 ||
        set_limit(RLIMIT_NPROC, 0, "nproc", err) < 0 ||
        set_limit(RLIMIT_FSIZE, file_max, "fsize", err) < 0)
        return 0;
#ifndef POSTERN_SANITIZE
    /* Shadow memory of a sanitizer would not fit. */
    if (set_limit(RLIMIT_DATA, DATA_MAX, "data", err) < 0)
        return 0;
#endif
    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur < OWN_FDS + CHANNEL_FDS) {
        err_set(err, 0, "too few descriptors for a session");
        return 0;
    }
    uint32_t room = (uint32_t)((files.rlim_cur - OWN_FDS) / CHANNEL_FDS);
    return room < max_channels ? room : max_channels;
}
