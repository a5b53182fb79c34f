#include "enter.h"

#include "cgroup.h"
#include "cleanup.h"
#include "drop.h"
#include "landlock.h"
#include "procfs.h"
#include "devpts.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int fail(int num)
{
    errno = num;
    return -1;
}

int enter_descriptors(const struct sandbox_job *job, int workspace, int devpts)
{
    enum { CLEAR = 16 };
    const int given[] = {-1, -1, -1, job->report_fd, workspace, devpts};
    _Static_assert(array_len(given) == WORKER_FDS, "one for each number");
    int high[WORKER_FDS];
    for (int i = 0; i < WORKER_FDS; i++) {
        /* Out of the way first: the numbers given may themselves be among the first. */
        high[i] = given[i] < 0 ? -1 : fcntl(given[i], F_DUPFD_CLOEXEC, CLEAR);
        if (given[i] >= 0 && high[i] < 0)
            return -1;
    }
    for (int i = 0; i < WORKER_FDS; i++) {
        if (high[i] < 0)
            (void)close(i);
        else if (dup3(high[i], i, O_CLOEXEC) < 0)
            return -1;
    }
    return close_range(WORKER_FDS, ~0U, 0);
}

/* Nothing of how the daemon treats signals, files and time reaches the command. */
static int reset_process(void)
{
    for (int signo = 1; signo < NSIG; signo++) {
        struct sigaction action = {.sa_handler = SIG_DFL};
        /* glibc keeps two for itself, and KILL and STOP can't be changed. */
        if (sigaction(signo, &action, NULL) < 0 && errno != EINVAL)
            return -1;
    }
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    if (sigprocmask(SIG_SETMASK, &mask, NULL) < 0)
        return -1;
    umask(022);
    struct sched_param param = {0};
    if (sched_setscheduler(0, SCHED_OTHER, &param) < 0 || setpriority(PRIO_PROCESS, 0, 0) < 0)
        return -1;
    /* A session keyring is inherited, and whoever inherits it possesses its keys. */
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
        return -1;
    if (setsid() < 0 || prctl(PR_SET_NAME, "worker") < 0)
        return -1;
    /* It may wait for its order for long, and must not outlive the spawner meanwhile. */
    return prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static int mount_tmpfs(const char *where, unsigned long flags, const char *options)
{
    return mount("postern", where, "tmpfs", MS_NOSUID | MS_NODEV | flags, options);
}

static int format_scratch(char *buf, size_t len, uint64_t size, const struct sandbox_job *job)
{
    /* To tmpfs, size=0 is "no limit". */
    int n = snprintf(buf, len, "size=%llu,nr_inodes=%llu,mode=0700,uid=%u,gid=%u",
                     (unsigned long long)(size == SPEC_INFINITY ? 0 : size),
                     (unsigned long long)tree_inodes(size), job->uid, job->gid);
    return n > 0 && (size_t)n < len ? 0 : fail(ENAMETOOLONG);
}

/* The first that is opened inside: 0-2 are free until then. */
static int attach_terminals(const struct sandbox_job *job)
{
    if (!job->ptys)
        return 0;
    if (devpts_attach(WORKER_DEVPTS_FD) < 0 || close(WORKER_DEVPTS_FD) < 0)
        return -1;
    return job->terminal == NULL ? 0 : devpts_open();
}

/* Made by the spawner, which sees the host; it lies on the root of the template. */
static int attach_workspace(const struct sandbox_spec *spec)
{
    if (spec->workspace == WORKSPACE_NONE)
        return 0;
    if (move_mount(WORKER_WORKSPACE_FD, "", AT_FDCWD, SPEC_WORKSPACE, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return -1;
    return close(WORKER_WORKSPACE_FD);
}

static int mount_private(const struct sandbox_spec *spec, const struct sandbox_job *job)
{
    enum { SHM_SIZE = 64 << 20 };
    char tmp[128], shm[128];
    if (format_scratch(tmp, sizeof tmp, spec->tmp_size, job) < 0 ||
        format_scratch(shm, sizeof shm, SHM_SIZE, job) < 0)
        return -1;
    /* proc before /run, which covers the masks. */
    if (attach_terminals(job) < 0 || procfs_mount(spec) < 0 || mount_tmpfs("/tmp", 0, tmp) < 0 ||
        mount_tmpfs("/dev/shm", MS_NOEXEC, shm) < 0 || attach_workspace(spec) < 0)
        return -1;
    return mount_tmpfs("/run", MS_NOEXEC, "size=64k,nr_inodes=16,mode=0755");
}

/* A name that could add a field or a line to passwd would make up users. */
static bool is_user_name(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > 255 || name[0] == '-')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@+") ==
           len;
}

static int write_file(const char *path, const char *text, int len)
{
    cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    return fd >= 0 && write(fd, text, (size_t)len) == len ? 0 : -1;
}

/* The template's /etc/passwd and /etc/group lead here. */
static int write_identity(const struct sandbox_job *job, const char *home)
{
    char passwd[768], group[320];
    const char *name = job->user_name;
    if (!is_user_name(name))
        return fail(EINVAL);
    int n_passwd =
        snprintf(passwd, sizeof passwd, "%s:x:%u:%u::%s:/bin/sh\n", name, job->uid, job->gid, home);
    int n_group = snprintf(group, sizeof group, "%s:x:%u:\n", name, job->gid);
    if (n_passwd < 0 || (size_t)n_passwd >= sizeof passwd || n_group < 0 ||
        (size_t)n_group >= sizeof group)
        return fail(ENAMETOOLONG);
    if (write_file("/run/passwd", passwd, n_passwd) < 0)
        return -1;
    return write_file("/run/group", group, n_group);
}

/* What is bound out of /run is read-only if that is. */
static int fill_run(const struct sandbox_spec *spec, const struct sandbox_job *job)
{
    bool tells_memory = false;
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    if (write_identity(job, SPEC_HOME(spec)) < 0 ||
        procfs_write_memory(spec, job, &tells_memory) < 0 ||
        mount_setattr(AT_FDCWD, "/run", 0, &attr, sizeof attr) < 0)
        return -1;
    return tells_memory ? procfs_show_memory() : 0;
}

static int set_network(enum sandbox_network network)
{
    if (network != NETWORK_LOOPBACK)
        return 0;
    cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq lo = {.ifr_name = "lo"};
    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &lo) < 0)
        return -1;
    lo.ifr_flags |= IFF_UP;
    return ioctl(fd, SIOCSIFFLAGS, &lo);
}

static int set_hostname(void)
{
    static const char name[] = "postern", domain[] = "(none)";
    if (sethostname(name, sizeof name - 1) < 0)
        return -1;
    return setdomainname(domain, sizeof domain - 1);
}

struct limit {
    __rlimit_resource_t what;
    rlim_t soft, hard;
};

static rlim_t rlimit_of(uint64_t value)
{
    return value == SPEC_INFINITY ? RLIM_INFINITY : (rlim_t)value;
}

/* Counts all that runs with this uid, whichever exec it belongs to. */
static rlim_t limit_of_tasks(const struct sandbox_spec *spec, const struct sandbox_job *job)
{
    if (job->controllers & CGROUP_PIDS)
        return RLIM_INFINITY;
    if (job->tasks_total != 0 && job->tasks_total < spec->tasks)
        return rlimit_of(job->tasks_total);
    return rlimit_of(spec->tasks);
}

/* Of each process by itself, and not of what it shares with others or has in a tmpfs. */
static rlim_t limit_of_data(const struct sandbox_spec *spec, const struct sandbox_job *job)
{
    if (job->controllers & CGROUP_MEMORY)
        return RLIM_INFINITY;
    return rlimit_of(job->memory != 0 ? job->memory : spec->cgroup.memory);
}

static int set_limits(const struct sandbox_spec *spec, const struct sandbox_job *job)
{
    const rlim_t processes = limit_of_tasks(spec, job), data = limit_of_data(spec, job);
    /* Every resource there is, so that none is the daemon's. A core limit of 1 is too little for a
     * file and, unlike 0, keeps a crash from starting a handler on the host (core(5)). */
    const struct limit limits[] = {
        {RLIMIT_AS, RLIM_INFINITY, RLIM_INFINITY},
        {RLIMIT_CORE, 1, 1},
        {RLIMIT_CPU, RLIM_INFINITY, RLIM_INFINITY},
        {RLIMIT_DATA, data, data},
        {RLIMIT_FSIZE, RLIM_INFINITY, RLIM_INFINITY},
        {RLIMIT_LOCKS, RLIM_INFINITY, RLIM_INFINITY},
        {RLIMIT_MEMLOCK, 65536, 65536},
        {RLIMIT_MSGQUEUE, 819200, 819200},
        {RLIMIT_NICE, 0, 0},
        {RLIMIT_NOFILE, 1024, 4096},
        {RLIMIT_NPROC, processes, processes},
        {RLIMIT_RSS, RLIM_INFINITY, RLIM_INFINITY},
        {RLIMIT_RTPRIO, 0, 0},
        {RLIMIT_RTTIME, RLIM_INFINITY, RLIM_INFINITY},
        {RLIMIT_SIGPENDING, 4096, 4096},
        {RLIMIT_STACK, 8 << 20, RLIM_INFINITY},
    };
    _Static_assert(array_len(limits) == RLIM_NLIMITS, "a row for every resource");
    for (size_t i = 0; i < array_len(limits); i++) {
        struct rlimit now;
        if (getrlimit(limits[i].what, &now) < 0)
            return -1;
        /* A daemon that is itself limited can't give more than it has. */
        struct rlimit want = {
            .rlim_cur = limits[i].soft < now.rlim_max ? limits[i].soft : now.rlim_max,
            .rlim_max = limits[i].hard < now.rlim_max ? limits[i].hard : now.rlim_max,
        };
        if (setrlimit(limits[i].what, &want) < 0)
            return -1;
    }
    return 0;
}

/* No tracer from inside, and no life after the spawner's. */
static int set_untouchable(void)
{
    /* The command has the same uid: only this keeps it from tracing or reading the worker. */
    if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_GET_DUMPABLE) != 0)
        return -1;
    return prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* What needs root comes first, what builds before what confines. */
int enter_build(const struct sandbox_template *tpl, const struct sandbox_job *job,
                enum report_stage *stage)
{
    /* The mount namespace is a copy of the template's, so all that is mounted here ends with this
     * exec. */
    *stage = STAGE_MOUNT;
    if (mount_private(tpl->spec, job) < 0)
        return -1;

    /* On the new /run, which is made read-only when they are written. */
    *stage = STAGE_IDENTITY;
    if (fill_run(tpl->spec, job) < 0)
        return -1;

    *stage = STAGE_NETWORK;
    if (set_network(tpl->spec->network) < 0)
        return -1;

    *stage = STAGE_HOSTNAME;
    if (set_hostname() < 0)
        return -1;

    /* Priorities while root may still change them in either direction. */
    *stage = STAGE_RLIMIT;
    return reset_process();
}

/* The uid comes only now: to wait with it would use up one of the tasks that its owner may have. */
int enter_confine(const struct sandbox_template *tpl, const struct sandbox_job *job,
                  enum report_stage *stage)
{
    /* Limits as root, too; NPROC before the uid, whose processes it counts, so that the kernel
     * checks it from the first one on. */
    *stage = STAGE_RLIMIT;
    if (set_limits(tpl->spec, job) < 0)
        return -1;

    /* The bounding set and the securebits can be given up only with a capability that goes with
     * the uid. */
    *stage = STAGE_CAPS;
    if (drop_capabilities() < 0)
        return -1;

    *stage = STAGE_IDS;
    if (drop_ids(job->uid, job->gid) < 0 || chdir(SPEC_HOME(tpl->spec)) < 0)
        return -1;

    /* A change of uid resets both the dumpable flag and the parent-death signal: they come after.
     */
    *stage = STAGE_NO_NEW_PRIVS;
    if (set_untouchable() < 0 || drop_new_privileges() < 0)
        return -1;

    /* Without privileges Landlock demands no_new_privs; it forbids mounts, so they had to be first.
     * Its rules name the private /tmp, so the ruleset can't be made any earlier. */
    *stage = STAGE_LANDLOCK;
    cleanup_fd int ruleset = landlock_ruleset(tpl->spec);
    if (ruleset < 0 || landlock_restrict(ruleset) < 0)
        return -1;

    /* Whatever is open beyond 0-2 ends at execve. seccomp is the last step and the command's own:
     * the worker must still make calls that no profile allows. */
    *stage = STAGE_STDIO;
    if (close_range(WORKER_REPORT_FD, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        return -1;
    return steal_fd(&ruleset);
}
