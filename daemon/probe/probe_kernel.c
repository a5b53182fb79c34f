/* System calls that a tenant has no business with. */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char page[4096];

bool probe_is_refused(const struct property *p, char *why)
{
    const long *a = p->args;
    errno = 0;
    long rc = syscall(p->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    int want = p->want != 0 ? p->want : EPERM;
    if (rc == -1 && errno == want)
        return true;
    return probe_open(why, "returned %ld, errno %d", rc, errno);
}

/* clone(2) without a stack is fork: a child that was made after all ends at once. */
static bool cannot_clone_namespace(const struct property *p, char *why)
{
    long pid = syscall(SYS_clone, p->args[0] | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(0);
    if (pid > 0)
        waitpid((pid_t)pid, NULL, 0);
    if (pid >= 0 || errno != EPERM)
        return probe_open(why, "returned %ld, errno %d", pid, errno);
    return true;
}

static bool cannot_clone3(const struct property *p, char *why)
{
    (void)p;
    struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0)
        _exit(0);
    return (pid < 0 && errno == ENOSYS) || probe_open(why, "returned %ld, errno %d", pid, errno);
}

#if defined(__x86_64__)
/* Ends by a signal or does nothing; anything else means that the call was made. */
static bool foreign_call_dies(char *why, void (*call)(void))
{
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        return probe_untried(why, "no process can be made for it: %s", strerror(errno));
    if (pid == 0) {
        call();
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) || probe_open(why, "status %d", WEXITSTATUS(status));
}

static void call_i386(void)
{
    long rc = 20; /* getpid */
    __asm__ volatile("int $0x80" : "+a"(rc) : : "memory");
    _exit(rc == getpid() ? 1 : 2);
}

static void call_x32(void)
{
    long rc = syscall(0x40000000 | SYS_getpid);
    _exit(rc == getpid() ? 1 : 2);
}

static bool has_no_i386(const struct property *p, char *why)
{
    (void)p;
    return foreign_call_dies(why, call_i386);
}

static bool has_no_x32(const struct property *p, char *why)
{
    (void)p;
    return foreign_call_dies(why, call_x32);
}
#endif

#define REFUSED(name, text, call, ...)                                                             \
    PROPERTY(name, text, probe_is_refused, .nr = SYS_##call, .args = {__VA_ARGS__})

static const struct property properties[] = {
    PROPERTY("clone-user", "no new user namespace by clone", cannot_clone_namespace,
             .args = {CLONE_NEWUSER}),
    PROPERTY("clone-mount", "no new mount namespace by clone", cannot_clone_namespace,
             .args = {CLONE_NEWNS}),
    PROPERTY("clone-pid", "no new pid namespace by clone", cannot_clone_namespace,
             .args = {CLONE_NEWPID}),
    PROPERTY("clone-net", "no new network namespace by clone", cannot_clone_namespace,
             .args = {CLONE_NEWNET}),
    PROPERTY("clone-ipc", "no new IPC namespace by clone", cannot_clone_namespace,
             .args = {CLONE_NEWIPC}),
    PROPERTY("clone-uts", "no new UTS namespace by clone", cannot_clone_namespace,
             .args = {CLONE_NEWUTS}),
    PROPERTY("clone-cgroup", "no new cgroup namespace by clone", cannot_clone_namespace,
             .args = {CLONE_NEWCGROUP}),
    PROPERTY("clone3", "clone3 sends libc back to clone", cannot_clone3),
    REFUSED("unshare-user", "no new user namespace by unshare", unshare, CLONE_NEWUSER),
    REFUSED("unshare-mount", "no new mount namespace by unshare", unshare, CLONE_NEWNS),
    REFUSED("unshare-pid", "no new pid namespace by unshare", unshare, CLONE_NEWPID),
    REFUSED("unshare-net", "no new network namespace by unshare", unshare, CLONE_NEWNET),
    REFUSED("unshare-ipc", "no new IPC namespace by unshare", unshare, CLONE_NEWIPC),
    REFUSED("unshare-uts", "no new UTS namespace by unshare", unshare, CLONE_NEWUTS),
    REFUSED("unshare-cgroup", "no new cgroup namespace by unshare", unshare, CLONE_NEWCGROUP),
    REFUSED("unshare-time", "no new time namespace by unshare", unshare, CLONE_NEWTIME),
    REFUSED("setns", "no other namespace can be joined", setns, 0, 0),
    REFUSED("mount", "nothing can be mounted", mount, 0, (long)"/tmp", (long)"tmpfs", 0, 0),
    REFUSED("umount", "nothing can be unmounted", umount2, (long)"/proc", MNT_DETACH),
    REFUSED("remount", "no mount can be made writable", mount, 0, (long)"/usr", 0,
            MS_REMOUNT | MS_BIND),
    REFUSED("fsopen", "no file system by the new interface", fsopen, (long)"tmpfs", 0),
    REFUSED("fsconfig", "nor a change of one", fsconfig, -1, 0, (long)"x", 0, 0),
    REFUSED("fsmount", "nor a mount of one", fsmount, -1, 0, 0),
    REFUSED("fspick", "nor of one that is mounted", fspick, AT_FDCWD, (long)"/", 0),
    REFUSED("open-tree", "no detached mounts", open_tree, AT_FDCWD, (long)"/", OPEN_TREE_CLONE),
    REFUSED("move-mount", "no moving of mounts", move_mount, -1, (long)"", -1, (long)"", 0),
    REFUSED("mount-setattr", "no changing of mounts", mount_setattr, AT_FDCWD, (long)"/", 0,
            (long)page, 32),
    REFUSED("pivot-root", "no other root", pivot_root, (long)"/tmp", (long)"/tmp"),
    REFUSED("chroot", "no deeper root", chroot, (long)"/tmp"),
    REFUSED("ptrace-supervisor", "the supervisor can't be traced", ptrace, PTRACE_ATTACH, 1),
    REFUSED("ptrace-me", "nothing can be traced", ptrace, PTRACE_TRACEME),
    REFUSED("process-vm-read", "no reading of other memory", process_vm_readv, 1),
    REFUSED("process-vm-write", "no writing of other memory", process_vm_writev, 1),
    REFUSED("pidfd-getfd", "no taking of descriptors", pidfd_getfd, -1, 0, 0),
    REFUSED("kcmp", "no comparing of processes", kcmp, 1, 1, 0),
    REFUSED("move-pages", "no moving of pages", move_pages, 1),
    REFUSED("migrate-pages", "no moving of processes between nodes", migrate_pages, 1, 0, 0, 0),
    REFUSED("process-madvise", "no advice on other memory", process_madvise, -1, (long)page, 0, 0),
    REFUSED("process-mrelease", "no reaping of other memory", process_mrelease, -1, 0),
    REFUSED("perf", "no performance counters", perf_event_open, (long)page, 0, -1, -1, 0),
    REFUSED("bpf", "no BPF", bpf, 0, (long)page, 64),
    REFUSED("userfaultfd", "no user page faults", userfaultfd, 0),
    REFUSED("memfd-secret", "no memory that the host can't see", memfd_secret, 0),
    REFUSED("io-uring", "no io_uring", io_uring_setup, 1, (long)page),
    REFUSED("io-uring-enter", "nor work for one", io_uring_enter, -1, 0, 0, 0, 0, 0),
    REFUSED("io-uring-register", "nor registering with one", io_uring_register, -1, 0, 0, 0),
    REFUSED("aio", "no kernel AIO", io_setup, 1, (long)page),
    REFUSED("add-key", "no keys can be added", add_key, (long)"user", (long)"x", (long)"y", 1, -3),
    REFUSED("request-key", "no keys can be asked for", request_key, (long)"user", (long)"x", 0, 0),
    REFUSED("keyctl", "no keyrings", keyctl, 0, -3, 1),
    REFUSED("keyctl-session", "no session keyrings", keyctl, 1, 0),
    REFUSED("file-handle", "no file handles", name_to_handle_at, AT_FDCWD, (long)"/", (long)page,
            (long)page, 0),
    REFUSED("open-by-handle", "no opening by handle", open_by_handle_at, AT_FDCWD, (long)page, 0),
    REFUSED("fanotify", "no watching of file systems", fanotify_init, 0, 0),
    REFUSED("fanotify-mark", "nor marking of them", fanotify_mark, -1, 0, 0, AT_FDCWD, (long)"/"),
    REFUSED("init-module", "no modules", init_module, (long)page, 1, (long)""),
    REFUSED("finit-module", "no modules from files", finit_module, 0, (long)"", 0),
    REFUSED("delete-module", "no unloading of modules", delete_module, (long)"x", 0),
    REFUSED("kexec", "no other kernel", kexec_load, 0, 0, 0, 0),
    REFUSED("kexec-file", "nor one from a file", kexec_file_load, -1, -1, 0, 0, 0),
    REFUSED("reboot", "no reboot", reboot, 0, 0, 0, 0),
    REFUSED("swap", "no swap", swapon, (long)"/tmp", 0),
    REFUSED("swap-off", "nor less of it", swapoff, (long)"/tmp"),
    REFUSED("acct", "no process accounting", acct, 0),
    REFUSED("quota", "no quotas", quotactl, 0, 0, 0, 0),
    REFUSED("quota-fd", "nor by descriptor", quotactl_fd, -1, 0, 0, 0),
    REFUSED("syslog", "no kernel log", syslog, 3, (long)page, 16),
    REFUSED("set-hostname", "the name can't be changed", sethostname, (long)"x", 1),
    REFUSED("set-domain", "nor the domain's", setdomainname, (long)"x", 1),
    REFUSED("hang-up", "no terminal can be hung up", vhangup),
    REFUSED("set-clock", "the clock can't be set", clock_settime, 0, (long)page),
    REFUSED("adjust-clock", "the clock can't be adjusted", adjtimex, (long)page),
    REFUSED("set-time", "nor the time of day", settimeofday, (long)page, 0),
    REFUSED("host-sync", "the host's disks can't be made to sync", sync),
    PROPERTY("unknown-call", "an unknown call answers ENOSYS", probe_is_refused, .nr = 2000,
             .want = ENOSYS),
#if defined(__x86_64__)
    REFUSED("io-ports", "no I/O ports", iopl, 3),
    REFUSED("ldt", "no segment tables", modify_ldt, 0, (long)page, 16),
    PROPERTY("abi-i386", "calls of the 32-bit ABI are killed", has_no_i386),
    PROPERTY("abi-x32", "calls of the x32 ABI are killed", has_no_x32),
#endif
};

struct property_list probe_kernel(void)
{
    return (struct property_list){properties, sizeof properties / sizeof *properties,
                                  "kernel interfaces"};
}
