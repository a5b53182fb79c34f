#include "child.h"
#include "server.h"
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { CHILD_LINK_FD = 3 };

struct child *child_new(struct server *server, pid_t pid)
{
    struct child *child = calloc(1, sizeof *child);
    if (child == NULL)
        return NULL;
    *child = (struct child){.next = server->children, .pid = pid, .refs = 1};
    server->children = child;
    return child;
}

static void execute_or_exit(const char *path, const char *name, int link_fd)
    __attribute__((noreturn));

/* In the child: nothing but the link and standard descriptors survives. */
static void execute_or_exit(const char *path, const char *name, int link_fd)
{
    char argv0[32];
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGUSR2, SIG_IGN);
    int null_fd = open("/dev/null", O_RDWR);
    if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0)
        _exit(EX_OSERR);
    /* dup2() of a number to itself would leave CLOEXEC set. */
    if (link_fd == CHILD_LINK_FD ? fcntl(link_fd, F_SETFD, 0) < 0
                                 : dup2(link_fd, CHILD_LINK_FD) < 0)
        _exit(EX_OSERR);
    if (close_range(CHILD_LINK_FD + 1, ~0U, 0) < 0)
        _exit(EX_OSERR);
    (void)snprintf(argv0, sizeof argv0, "%s", name);
    char *argv[] = {argv0, NULL};
    char *envp[] = {NULL};
    execve(path, argv, envp);
    dprintf(STDERR_FILENO, "posternd: cannot run %s: %s\n", path, strerror(errno));
    _exit(EX_UNAVAILABLE);
}

int child_execute(struct server *server, const char *path, const char *name, enum ipc_link kind,
                  struct ipc *link, struct child **child, struct err *err)
{
    int fds[2];
    if (ipc_pair(fds, err) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        execute_or_exit(path, name, fds[1]);
    int fork_errno = errno;
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        return err_set(err, fork_errno, "fork");
    }
    *link = (struct ipc){.fd = fds[0], .link = kind, .self = FROM_MASTER, .state = STATE_STARTING};
    *child = child_new(server, pid);
    return *child != NULL ? 0 : err_set(err, ENOMEM, "%s", name);
}

struct child *child_ref(struct child *child)
{
    child->refs++;
    return child;
}

static void forget(struct server *server, struct child *child)
{
    struct child **at = &server->children;
    while (*at != child)
        at = &(*at)->next;
    *at = child->next;
    free(child);
}

void child_release(struct server *server, struct child *child)
{
    if (child == NULL || --child->refs > 0)
        return;
    if (child->reaped)
        forget(server, child);
    else if (child->stuck)
        (void)kill(child->pid, SIGKILL);
}

void child_reaped(struct server *server, pid_t pid)
{
    struct child *child = server->children;
    while (child != NULL && (child->reaped || child->pid != pid))
        child = child->next;
    if (child == NULL)
        return;
    child->reaped = true;
    if (child->refs == 0)
        forget(server, child);
}

void child_kill_all(struct server *server)
{
    for (struct child *child = server->children; child != NULL; child = child->next)
        if (!child->reaped)
            (void)kill(child->pid, SIGKILL);
}

void child_free_all(struct server *server)
{
    while (server->children != NULL)
        forget(server, server->children);
}

static void carry(struct state *state, struct child *child)
{
    uint32_t pid = (uint32_t)child->pid;
    state_u32(state, &pid);
    state_bool(state, &child->stuck);
    state_bool(state, &child->reaped);
    child->pid = (pid_t)pid;
    /* Others than one process could be meant, or somebody else's. */
    if (child->pid <= 1)
        state_refuse(state);
}

void child_carry_all(struct state *state, struct server *server)
{
    struct child **at = &server->children;
    while (state_more(state, *at != NULL)) {
        if (!state->saving && (*at = calloc(1, sizeof **at)) == NULL) {
            state_refuse(state);
            return;
        }
        carry(state, *at);
        at = &(*at)->next;
    }
}

void child_carry(struct state *state, struct server *server, struct child **held)
{
    unsigned number = 0;
    struct child *child = server->children;
    if (state->saving && *held != NULL)
        for (number = 1; child != *held; child = child->next)
            number++;
    state_unsigned(state, &number);
    if (state->saving || number == 0)
        return;
    for (child = server->children; child != NULL && number > 1; number--)
        child = child->next;
    if (child == NULL)
        state_refuse(state);
    else
        *held = child_ref(child);
}
