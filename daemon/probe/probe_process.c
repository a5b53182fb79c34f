/* The process itself: identity, privileges, inheritance, and who it can reach. */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static bool has_one_uid(const struct property *p, char *why)
{
    (void)p;
    uid_t r, e, s;
    gid_t rg, eg, sg;
    if (getresuid(&r, &e, &s) < 0 || getresgid(&rg, &eg, &sg) < 0)
        return probe_open(why, "the ids can't be read");
    if (r == 0 || r != e || e != s || rg == 0 || rg != eg || eg != sg)
        return probe_open(why, "uid %u/%u/%u gid %u/%u/%u", r, e, s, rg, eg, sg);
    return true;
}

static bool has_no_groups(const struct property *p, char *why)
{
    (void)p;
    int n = getgroups(0, NULL);
    return n == 0 || probe_open(why, "%d supplementary groups", n);
}

static bool has_empty_set(const struct property *p, char *why)
{
    char value[64];
    probe_status(p->path, value, sizeof value);
    if (value[0] == '\0' || strspn(value, "0") != strlen(value))
        return probe_open(why, "%s is '%s'", p->path, value);
    return true;
}

static bool has_locked_securebits(const struct property *p, char *why)
{
    (void)p;
    int bits = prctl(PR_GET_SECUREBITS);
    int want = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
               SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    return (bits & want) == want || probe_open(why, "securebits 0x%x", (unsigned)bits);
}

static bool has_no_new_privs(const struct property *p, char *why)
{
    (void)p;
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 || probe_open(why, "it isn't set");
}

static bool has_filter(const struct property *p, char *why)
{
    (void)p;
    char value[64];
    return strcmp(probe_status("Seccomp", value, sizeof value), "2") == 0 ||
           probe_open(why, "mode '%s'", value);
}

static bool cannot_be_root(const struct property *p, char *why)
{
    (void)p;
    const gid_t root = 0;
    if (setuid(0) == 0 || seteuid(0) == 0 || setresuid((uid_t)-1, 0, (uid_t)-1) == 0)
        return probe_open(why, "uid 0 was regained");
    if (setgid(0) == 0 || setegid(0) == 0)
        return probe_open(why, "gid 0 was regained");
    return setgroups(1, &root) < 0 || probe_open(why, "group 0 was joined");
}

static bool cannot_be_other(const struct property *p, char *why)
{
    (void)p;
    uid_t other = getuid() + 1;
    if (setresuid(other, other, other) == 0)
        return probe_open(why, "uid %u was taken", other);
    /* setfsuid(2) fails silently; asking for an impossible one tells what is set. */
    (void)setfsuid(other);
    return (uid_t)setfsuid((uid_t)-1) == getuid() || probe_open(why, "fsuid %u was taken", other);
}

static bool gains_nothing_by_setuid(const struct property *p, char *why)
{
    (void)p;
    static const char *const programs[] = {"/usr/bin/su", "/usr/bin/passwd", "/usr/bin/mount"};
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        struct stat st;
        if (stat(programs[i], &st) < 0 || (st.st_mode & S_ISUID) == 0)
            continue;
        /* The loader says in which mode it runs: AT_SECURE would drop LD_TRACE_LOADED_OBJECTS. */
        pid_t pid = fork();
        if (pid < 0)
            return probe_untried(why, "no process can be made for it: %s", strerror(errno));
        if (pid == 0) {
            char *const argv[] = {(char *)programs[i], NULL};
            char *const envp[] = {(char *)"LD_TRACE_LOADED_OBJECTS=1", NULL};
            int null = open("/dev/null", O_RDWR | O_CLOEXEC);
            (void)dup2(null, 1);
            (void)dup2(null, 2);
            execve(programs[i], argv, envp);
            _exit(99);
        }
        int status = 0;
        waitpid(pid, &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            return probe_open(why, "%s ran in secure mode (status %d)", programs[i], status);
    }
    return true;
}

static bool has_three_fds(const struct property *p, char *why)
{
    (void)p;
    for (int fd = 3; fd < 4096; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            return probe_open(why, "descriptor %d is open", fd);
    }
    for (int fd = 0; fd < 3; fd++) {
        struct stat st;
        if (fstat(fd, &st) < 0 || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode))
            return probe_open(why, "descriptor %d is closed, a directory or a block device", fd);
    }
    return true;
}

static bool has_default_signals(const struct property *p, char *why)
{
    (void)p;
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    for (int signo = 1; signo < NSIG; signo++) {
        struct sigaction action;
        if (sigaction(signo, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
            return probe_open(why, "signal %d isn't at its default", signo);
        if (sigismember(&mask, signo) == 1)
            return probe_open(why, "signal %d is blocked", signo);
    }
    return true;
}

static bool has_umask(const struct property *p, char *why)
{
    (void)p;
    mode_t mask = umask(022);
    return mask == 022 || probe_open(why, "it is %03o", mask);
}

static bool has_clean_environment(const struct property *p, char *why)
{
    (void)p;
    static const char *const known[] = {"PATH=", "HOME=", "LANG=", "USER=", "LOGNAME=", "SHELL="};
    const size_t n_of_tests = 3;
    for (char **env = environ; *env != NULL; env++) {
        bool found = false;
        size_t n = probe_settings.of_server ? sizeof known / sizeof *known : n_of_tests;
        for (size_t i = 0; i < n; i++)
            found = found || strncmp(*env, known[i], strlen(known[i])) == 0;
        if (!found)
            return probe_open(why, "%s", *env);
    }
    return true;
}

static bool has_normal_priority(const struct property *p, char *why)
{
    (void)p;
    if (sched_getscheduler(0) < 0)
        return probe_untried(why, "its scheduling can't be asked for: %s", strerror(errno));
    if (sched_getscheduler(0) != SCHED_OTHER || getpriority(PRIO_PROCESS, 0) != 0)
        return probe_open(why, "policy %d, nice %d", sched_getscheduler(0),
                          getpriority(PRIO_PROCESS, 0));
    struct sched_param param = {.sched_priority = 1};
    if (setpriority(PRIO_PROCESS, 0, -1) == 0 || sched_setscheduler(0, SCHED_FIFO, &param) == 0)
        return probe_open(why, "the priority was raised");
    return true;
}

static bool has_no_oom_protection(const struct property *p, char *why)
{
    (void)p;
    char value[32] = "";
    FILE *file = fopen("/proc/self/oom_score_adj", "re");
    bool read = file != NULL && fgets(value, sizeof value, file) != NULL;
    if (file != NULL)
        (void)fclose(file);
    if (!read || strtol(value, NULL, 10) < 0)
        return probe_open(why, "oom_score_adj is '%s'", value);
    return !probe_opens("/proc/self/oom_score_adj", O_WRONLY) ||
           probe_open(why, "oom_score_adj can be written");
}

static bool has_limit(const struct property *p, char *why)
{
    struct rlimit limit;
    __rlimit_resource_t what = (__rlimit_resource_t)p->nr;
    if (getrlimit(what, &limit) < 0)
        return probe_open(why, "it can't be read");
    if (limit.rlim_cur > (rlim_t)p->args[0] || limit.rlim_max > (rlim_t)p->args[1])
        return probe_open(why, "it is %llu, at most %llu", (unsigned long long)limit.rlim_cur,
                          (unsigned long long)limit.rlim_max);
    struct rlimit more = {limit.rlim_cur, limit.rlim_max + 1};
    return setrlimit(what, &more) < 0 || probe_open(why, "it was raised");
}

static bool has_limit_of_tasks(const struct property *p, char *why)
{
    struct property tasks = *p;
    tasks.args[0] = tasks.args[1] = (long)probe_settings.tasks;
    return has_limit(&tasks, why);
}

/* 1 keeps handlers from starting, too; it is 0 where the daemon may not have as much. */
static bool has_no_core(const struct property *p, char *why)
{
    (void)p;
    struct rlimit limit;
    if (getrlimit(RLIMIT_CORE, &limit) < 0 || limit.rlim_cur > 1 || limit.rlim_max > 1)
        return probe_open(why, "the limit is another");
    pid_t pid = fork();
    if (pid < 0)
        return probe_untried(why, "no process can be made for it: %s", strerror(errno));
    if (pid == 0)
        abort();
    int status = 0;
    waitpid(pid, &status, 0);
    return !WCOREDUMP(status) || probe_open(why, "a core was dumped");
}

static bool has_no_terminal(const struct property *p, char *why)
{
    (void)p;
    return !probe_opens("/dev/tty", O_RDWR | O_NOCTTY) || probe_open(why, "/dev/tty can be opened");
}

static bool has_own_session(const struct property *p, char *why)
{
    (void)p;
    if (getsid(0) != getpid() || getpgrp() != getpid() || getppid() != 1)
        return probe_open(why, "session %d, group %d, pid %d, parent %d", getsid(0), getpgrp(),
                          getpid(), getppid());
    return true;
}

static bool has_own_hostname(const struct property *p, char *why)
{
    (void)p;
    struct utsname uts;
    if (uname(&uts) < 0 || strcmp(uts.nodename, "postern") != 0 ||
        strcmp(uts.domainname, "(none)") != 0)
        return probe_open(why, "%s.%s", uts.nodename, uts.domainname);
    return true;
}

static bool sees_no_other_pids(const struct property *p, char *why)
{
    (void)p;
    for (pid_t pid = 2; pid < 40000; pid++) {
        if (pid != getpid() && (kill(pid, 0) == 0 || errno != ESRCH))
            return probe_open(why, "there is a process %d", pid);
    }
    return true;
}

static bool cannot_signal_supervisor(const struct property *p, char *why)
{
    (void)p;
    static const int signals[] = {SIGKILL, SIGSTOP, SIGTERM, SIGSEGV, SIGCHLD, SIGSYS};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        (void)kill(1, signals[i]);
    /* The kernel would have ended everything, this process too, had it gone. */
    (void)usleep(20000);
    return getppid() == 1 || probe_open(why, "the parent is %d", getppid());
}

static bool starts_at_home(const struct property *p, char *why)
{
    (void)p;
    char cwd[256] = "";
    const char *home = getenv("HOME");
    if (getcwd(cwd, sizeof cwd) == NULL || home == NULL || strcmp(cwd, home) != 0)
        return probe_open(why, "'%s'", cwd);
    return true;
}

static const struct property properties[] = {
    PROPERTY("ids", "one uid and one gid, neither of them root's", has_one_uid),
    PROPERTY("groups", "no supplementary groups", has_no_groups),
    PROPERTY("caps-permitted", "the permitted capability set is empty", has_empty_set,
             .path = "CapPrm"),
    PROPERTY("caps-effective", "the effective capability set is empty", has_empty_set,
             .path = "CapEff"),
    PROPERTY("caps-inheritable", "the inheritable capability set is empty", has_empty_set,
             .path = "CapInh"),
    PROPERTY("caps-bounding", "the capability bounding set is empty", has_empty_set,
             .path = "CapBnd"),
    PROPERTY("caps-ambient", "the ambient capability set is empty", has_empty_set,
             .path = "CapAmb"),
    PROPERTY("securebits", "uid 0 would mean nothing, and that is locked", has_locked_securebits),
    PROPERTY("no-new-privs", "no execve gains privileges", has_no_new_privs),
    PROPERTY("seccomp", "a system call filter is on", has_filter),
    PROPERTY("regain-root", "uid, gid and group 0 can't be regained", cannot_be_root),
    PROPERTY("other-tenant", "another uid can't be taken", cannot_be_other),
    PROPERTY("setuid-programs", "set-user-ID programs run without it", gains_nothing_by_setuid),
    PROPERTY("descriptors", "nothing but 0, 1 and 2 is open", has_three_fds),
    PROPERTY("signal-state", "no signal is ignored or blocked", has_default_signals),
    PROPERTY("umask", "the umask is 022", has_umask),
    PROPERTY("environment", "the environment is what was given", has_clean_environment),
    PROPERTY("priority", "normal scheduling that can't be raised", has_normal_priority),
    PROPERTY("oom-score", "no protection from the OOM killer", has_no_oom_protection),
    PROPERTY("limit-core", "no core dumps, to files or to a handler on the host", has_no_core),
    PROPERTY("limit-files", "at most 4096 descriptors", has_limit, .nr = RLIMIT_NOFILE,
             .args = {1024, 4096}),
    PROPERTY("limit-memlock", "at most 64 KiB locked", has_limit, .nr = RLIMIT_MEMLOCK,
             .args = {65536, 65536}),
    PROPERTY("limit-tasks", "a bounded number of tasks", has_limit_of_tasks, .nr = RLIMIT_NPROC),
    PROPERTY("limit-realtime", "no real-time priority", has_limit, .nr = RLIMIT_RTPRIO,
             .args = {0, 0}),
    PROPERTY("limit-nice", "no negative niceness", has_limit, .nr = RLIMIT_NICE, .args = {0, 0}),
    PROPERTY("limit-queues", "bounded message queues", has_limit, .nr = RLIMIT_MSGQUEUE,
             .args = {819200, 819200}),
    PROPERTY("limit-signals", "bounded pending signals", has_limit, .nr = RLIMIT_SIGPENDING,
             .args = {4096, 4096}),
    PROPERTY("terminal", "no controlling terminal", has_no_terminal),
    PROPERTY("session", "a session of its own, below pid 1", has_own_session),
    PROPERTY("hostname", "the host's name isn't shown", has_own_hostname),
    PROPERTY("pids", "no process of the host or of another exec can be named", sees_no_other_pids),
    PROPERTY("kill-supervisor", "pid 1 can't be killed or stopped", cannot_signal_supervisor),
    PROPERTY("directory", "it starts in its private directory", starts_at_home),
};

struct property_list probe_process(void)
{
    return (struct property_list){properties, sizeof properties / sizeof *properties, "processes"};
}
