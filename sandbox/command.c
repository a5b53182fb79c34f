#include "command.h"

#include "cleanup.h"
#include "exec_why.h"
#include "landlock.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* The child runs on a stack and in a moment that a sanitizer's runtime knows nothing of. */
#define NO_SANITIZE __attribute__((no_sanitize("address", "undefined")))

enum {
    CHILD_STACK = 64 << 10,
    PATH_TRIES_MAX = 32,
    PATH_LEN_MAX = 4096,
};

/* Shared with the child, which runs in our memory until it has executed the command. */
struct start {
    const struct sandbox_template *tpl;
    const char *const *argv;
    const char *const *envp;
    const char *tries[PATH_TRIES_MAX]; /* what to execute, in turn */
    size_t n_tries;
    bool terminal; /* fd 0 becomes the controlling terminal of its session */
    int ruleset;
    int listener;
    enum report_stage stage;
    int err_num; /* 0: the execve succeeded */
};

static int NO_SANITIZE child_fail(struct start *start, enum report_stage stage)
{
    start->stage = stage;
    start->err_num = errno;
    syscall(SYS_exit_group, 127);
    return 127;
}

/* The first that can be executed; one that exists but may not be outweighs all that don't. */
static void NO_SANITIZE child_exec(const struct start *start)
{
    int worst = ENOENT;
    if (start->n_tries == 1) {
        syscall(SYS_execve, start->tries[0], start->argv, start->envp);
        return;
    }
    for (size_t i = 0; i < start->n_tries; i++) {
        syscall(SYS_execve, start->tries[i], start->argv, start->envp);
        if (errno == EACCES)
            worst = EACCES;
        else if (errno != ENOENT && errno != ENOTDIR)
            return;
    }
    errno = worst;
}

static int NO_SANITIZE child_main(void *arg)
{
    struct start *start = arg;
    uint64_t no_signals = 0;
    /* Its own session, so that a signal to its group reaches neither the worker nor others. */
    if (syscall(SYS_setsid) < 0 ||
        (start->terminal && syscall(SYS_ioctl, STDIN_FILENO, TIOCSCTTY, 0) < 0) ||
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, NULL, sizeof no_signals) < 0)
        return child_fail(start, STAGE_FORK);
    /* A domain below the worker's: nothing in it may trace, or with ABI 6 signal, the worker. */
    if (landlock_restrict(start->ruleset) < 0)
        return child_fail(start, STAGE_LANDLOCK);
    struct sock_fprog program = {.len = start->tpl->filter_len, .filter = start->tpl->filter};
    /* The listener appears in the worker's table, which this process shares until execve. */
    start->listener = (int)syscall(
        SYS_seccomp, SECCOMP_SET_MODE_FILTER,
        SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &program);
    if (start->listener < 0)
        return child_fail(start, STAGE_SECCOMP);
    child_exec(start);
    return child_fail(start, STAGE_EXEC);
}

static const char *find_path(const char *const *envp)
{
    for (; *envp != NULL; envp++) {
        if (strncmp(*envp, "PATH=", 5) == 0)
            return *envp + 5;
    }
    return "/usr/local/bin:/usr/bin:/bin";
}

/* Fills start->tries, with room for the strings in buf. An empty element of PATH names nothing. */
static int list_tries(struct start *start, const char *name, char *buf, size_t len)
{
    if (strchr(name, '/') != NULL) {
        start->tries[start->n_tries++] = name;
        return 0;
    }
    const char *at = find_path(start->envp);
    while (*name != '\0' && *at != '\0') {
        size_t dir = strcspn(at, ":");
        if (*at == '/') {
            int n = snprintf(buf, len, "%.*s/%s", (int)dir, at, name);
            if (n < 0 || (size_t)n >= len || start->n_tries == PATH_TRIES_MAX) {
                errno = ENAMETOOLONG;
                return -1;
            }
            start->tries[start->n_tries++] = buf;
            buf += n + 1;
            len -= (size_t)n + 1;
        }
        at += dir + (at[dir] == ':');
    }
    return 0;
}

/* "-bash" for "/bin/bash": so login(1) tells a shell that it is a login's. Returns 0, or -1 with
 * errno. */
static int name_login(const char **name, char *buf, size_t len)
{
    const char *slash = strrchr(*name, '/');
    int n = snprintf(buf, len, "-%s", slash != NULL ? slash + 1 : *name);
    if (n < 0 || (size_t)n >= len) {
        errno = ENAMETOOLONG;
        return -1;
    }
    *name = buf;
    return 0;
}

int command_start(const struct sandbox_template *tpl, const struct order *order, int ruleset,
                  struct command *out, enum report_stage *stage)
{
    static char stack[CHILD_STACK] __attribute__((aligned(64)));
    static char paths[PATH_TRIES_MAX * PATH_LEN_MAX];
    static const char *login[2];
    static char name[PATH_LEN_MAX];
    struct start start = {.tpl = tpl,
                          .argv = order->argv,
                          .envp = order->envp,
                          .terminal = order->stdio[0] < 0,
                          .ruleset = ruleset,
                          .listener = -1};
    *stage = STAGE_EXEC;
    if (list_tries(&start, order->argv[0] != NULL ? order->argv[0] : "", paths, sizeof paths) < 0)
        return -1;
    if (order->login) {
        login[0] = order->argv[0];
        if (name_login(&login[0], name, sizeof name) < 0)
            return -1;
        start.argv = login;
    }
    *stage = STAGE_FORK;
    pid_t pid = clone(child_main, stack + sizeof stack,
                      CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &start);
    if (pid < 0)
        return -1;
    if (start.err_num != 0) {
        (void)waitpid(pid, NULL, 0);
        close_fd(&start.listener);
        *stage = start.stage;
        *out = (struct command){.listener = -1};
        if (start.stage == STAGE_EXEC)
            out->why = exec_why(start.tries, start.n_tries, start.err_num);
        errno = start.err_num;
        return -1;
    }
    *out = (struct command){.pid = pid, .listener = start.listener};
    return 0;
}
