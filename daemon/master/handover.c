#include "handover.h"
#include "audit.h"
#include "child.h"
#include "cleanup.h"
#include "connection.h"
#include "exec.h"
#include "generation.h"
#include "listener.h"
#include "log.h"
#include "metrics_file.h"
#include "proxied.h"
#include "ready.h"
#include "reload.h"
#include "signer.h"
#include "state.h"
#include "zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CHECK_MS = 60000,   /* for the new program to restore the state */
    RELOAD_MS = 120000, /* for a reload that is under way to end */
    QUIET_MS = 5000,    /* for what was asked to be answered, while nobody is served */
    AGAIN_MS = 5000,    /* until it is tried again */
    TRIES_MAX = 4,
    SAID_MAX = 1024,
};

struct handover {
    struct server *server;
    enum { CHECKING, AWAITING_RELOAD, AWAITING_QUIET, AWAITING_RETRY } phase;
    struct loop_timer timer;
    unsigned tries;
    bool reload_due;
    struct stat program; /* the file that was tried */
    struct child *child; /* held: tries it */
    struct loop_source source;
    int said_fd; /* what it says; or -1 */
    char said[SAID_MAX];
    size_t said_len;
};

static void on_said(struct loop_source *source);
static void on_time_over(struct loop_timer *timer);

static void release_child(struct handover *handover)
{
    if (handover->child != NULL)
        handover->child->stuck = true;
    child_release(handover->server, steal_ptr(handover->child));
    loop_remove(handover->server->loop, &handover->source);
    close_fd(&handover->said_fd);
}

static void resume(struct server *server)
{
    if (!server->paused)
        return;
    server->paused = false;
    connections_resume(server);
    proxied_resume(server);
    listeners_resume(server);
}

static void forget(struct handover *handover)
{
    struct server *server = handover->server;
    bool reload = handover->reload_due;
    release_child(handover);
    loop_disarm(server->loop, &handover->timer);
    server->handover = NULL;
    free(handover);
    resume(server);
    if (reload)
        reload_start(server);
}

static void refuse(struct handover *handover, const char *why)
{
    struct server *server = handover->server;
    struct audit_handover event = {.reason = why, .from = POSTERN_VERSION};
    audit_handover(server, &event);
    log_line(LOG_LEVEL_ERROR,
             "not re-executed: %s; this process goes on as before. Put that right and send "
             "SIGUSR2 again; a restart works in any case, but ends all commands",
             why);
    forget(handover);
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static int save(struct server *server, struct state *state, int *fd, struct err *err)
{
    handover_carry(state, server, err);
    return state_write(state, fd, err);
}

/* Whether the next program gets the descriptors that it needs. */
static int pass_fds(const struct state *state, int state_fd, bool pass)
{
    int flags = pass ? 0 : FD_CLOEXEC, rc = fcntl(state_fd, F_SETFD, flags);
    for (size_t i = 0; i < state->n_fds; i++)
        rc |= fcntl(state->fds[i], F_SETFD, flags);
    return rc;
}

/* --- trying the program --- */

struct trial {
    const struct state *state;
    const char *program;
    char **argv;
    int state_fd;
    int said_fd;
    pid_t server_pid;
};

static void try_or_exit(const struct trial *trial) __attribute__((noreturn));

/* In the child: the descriptors are its own to pass on. A program that hangs must not keep them
 * when the server has died: sessions and commands end because theirs were the last. */
static void try_or_exit(const struct trial *trial)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != trial->server_pid)
        _exit(1);
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(trial->said_fd, STDOUT_FILENO) < 0 ||
        dup2(trial->said_fd, STDERR_FILENO) < 0)
        _exit(1);
    if (pass_fds(trial->state, trial->state_fd, true) == 0)
        (void)execv(trial->program, trial->argv);
    dprintf(STDERR_FILENO, "it can't be executed: %s\n", strerror(errno));
    _exit(1);
}

/* PROGRAM --handover-check FD OPTION…: one that knows nothing of this refuses its first option. */
static char **make_argv(const struct server *server, char *number)
{
    size_t n = 0;
    while (server->options.argv[n] != NULL)
        n++;
    char **argv = calloc(n + 3, sizeof *argv);
    if (argv == NULL)
        return NULL;
    static char option[] = HANDOVER_CHECK;
    argv[0] = server->options.argv[0];
    argv[1] = option;
    argv[2] = number;
    for (size_t i = 1; i < n; i++)
        argv[i + 2] = server->options.argv[i];
    return argv;
}

static int fork_trial(struct handover *handover, const struct state *state, int state_fd,
                      struct err *err)
{
    struct server *server = handover->server;
    char number[16];
    int fds[2];
    (void)snprintf(number, sizeof number, "%d", state_fd);
    cleanup_free char **argv = make_argv(server, number);
    if (argv == NULL)
        return err_set(err, ENOMEM, "arguments");
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return err_set(err, errno, "pipe");
    handover->said_fd = fds[0];
    cleanup_fd int theirs = fds[1];
    const struct trial trial = {.state = state,
                                .program = server->options.program,
                                .argv = argv,
                                .state_fd = state_fd,
                                .said_fd = theirs,
                                .server_pid = getpid()};
    pid_t pid = fork();
    if (pid == 0)
        try_or_exit(&trial);
    if (pid < 0)
        return err_set(err, errno, "fork");
    handover->child = child_new(server, pid);
    if (handover->child == NULL)
        return err_set(err, ENOMEM, "child");
    return loop_add(server->loop, &handover->source, handover->said_fd, on_said, err);
}

static int try_program(struct handover *handover, struct err *err)
{
    struct server *server = handover->server;
    struct state state = STATE_TO_SAVE;
    cleanup_fd int state_fd = -1;
    handover->phase = CHECKING;
    handover->said_len = 0;
    if (server->options.program == NULL)
        return err_set(err, 0, "the path of the program is not known");
    if (stat(server->options.program, &handover->program) < 0)
        return err_set(err, errno, "%s", server->options.program);
    int rc = save(server, &state, &state_fd, err);
    if (rc == 0)
        rc = fork_trial(handover, &state, state_fd, err);
    state_free(&state);
    if (rc == 0 && loop_arm(server->loop, &handover->timer, CHECK_MS, on_time_over) < 0)
        rc = err_set(err, ENOMEM, "timer");
    return rc;
}

/* The first line is what matters: what may follow is how it is used. */
static void describe_failure(struct handover *handover, char *why, size_t len)
{
    handover->said[handover->said_len] = '\0';
    handover->said[strcspn(handover->said, "\n")] = '\0';
    (void)snprintf(why, len, "%.200s can't take over: %.600s", handover->server->options.program,
                   handover->said[0] != '\0' ? handover->said : "it ended without a word");
}

static void await_reload(struct handover *handover);

static void on_said(struct loop_source *source)
{
    struct handover *handover = CONTAINER_OF(source, struct handover, source);
    char why[SAID_MAX];
    size_t room = sizeof handover->said - 1 - handover->said_len;
    char waste[64];
    ssize_t n = read(handover->said_fd, room > 0 ? handover->said + handover->said_len : waste,
                     room > 0 ? room : sizeof waste);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        handover->said_len += room > 0 ? (size_t)n : 0;
        return;
    }
    bool ready = handover->said_len == strlen(HANDOVER_READY) &&
                 memcmp(handover->said, HANDOVER_READY, handover->said_len) == 0;
    release_child(handover);
    if (ready) {
        await_reload(handover);
        return;
    }
    describe_failure(handover, why, sizeof why);
    refuse(handover, why);
}

/* --- the moment --- */

static bool is_reloading(const struct server *server)
{
    return reload_is_running(server) || server->next != NULL;
}

/* What has been asked and not answered; NULL: nothing. */
static const char *what_is_open(const struct server *server)
{
    if (is_reloading(server))
        return "a reload has not ended";
    if (!zygote_all_quiet(server))
        return "a zygote was asked for a session and has not answered";
    if (!generation_all_quiet(server) || !exec_all_quiet(server))
        return "a spawner was asked for a sandbox and has not answered";
    if (!signer_all_quiet(server))
        return "a signer was asked for a signature and has not answered";
    return NULL;
}

static void await_reload(struct handover *handover)
{
    handover->phase = AWAITING_RELOAD;
    if (loop_arm(handover->server->loop, &handover->timer, RELOAD_MS, on_time_over) < 0)
        refuse(handover, "out of memory");
}

static void await_quiet(struct handover *handover)
{
    struct server *server = handover->server;
    handover->phase = AWAITING_QUIET;
    server->paused = true;
    listeners_pause(server);
    connections_pause(server);
    proxied_pause(server);
    ready_drop(server, NULL);
    if (loop_arm(server->loop, &handover->timer, QUIET_MS, on_time_over) < 0)
        refuse(handover, "out of memory");
}

/* Returns only if it fails, with everything as it was. */
static void execute(struct server *server, struct err *err)
{
    struct state state = STATE_TO_SAVE;
    cleanup_fd int state_fd = -1;
    char number[16];
    if (save(server, &state, &state_fd, err) == 0) {
        (void)snprintf(number, sizeof number, "%d", state_fd);
        if (setenv(HANDOVER_VARIABLE, number, 1) == 0 && pass_fds(&state, state_fd, true) == 0)
            (void)execv(server->options.program, server->options.argv);
        err_set(err, errno, "%s can't be executed", server->options.program);
        (void)unsetenv(HANDOVER_VARIABLE);
        (void)pass_fds(&state, state_fd, false);
    }
    state_free(&state);
}

static void try_again(struct handover *handover)
{
    struct err err = {0};
    const char *what = what_is_open(handover->server);
    if (++handover->tries >= TRIES_MAX)
        refuse(handover, what != NULL ? what : "the program changes all the time");
    else if (try_program(handover, &err) < 0)
        refuse(handover, err.text);
}

static void go_on(struct handover *handover)
{
    struct server *server = handover->server;
    struct err err = {0};
    struct stat now;
    /* What is executed must be what was tried. */
    if (stat(server->options.program, &now) < 0 || !is_same_file(&now, &handover->program)) {
        log_line(LOG_LEVEL_INFO, "%s has changed since it was tried: it is tried again",
                 server->options.program);
        resume(server);
        try_again(handover);
        return;
    }
    log_line(LOG_LEVEL_INFO, "re-executing %s: %zu connections, %zu execs", server->options.program,
             server->n_connections, server->n_execs);
    metrics_file_leave(server);
    execute(server, &err);
    metrics_file_apply(server);
    refuse(handover, err.text);
}

void handover_step(struct server *server)
{
    struct handover *handover = server->handover;
    if (handover == NULL || server->stopping || server->finished)
        return;
    if (handover->phase == AWAITING_RELOAD && !is_reloading(server))
        await_quiet(handover);
    if (server->handover == handover && handover->phase == AWAITING_QUIET &&
        what_is_open(server) == NULL)
        go_on(handover);
}

/* Nobody is kept waiting any longer. */
static void retry_later(struct handover *handover)
{
    struct server *server = handover->server;
    const char *what = what_is_open(server);
    if (what == NULL) {
        go_on(handover);
        return;
    }
    log_line(LOG_LEVEL_WARNING, "not re-executed yet: %s; trying again in %d s", what,
             AGAIN_MS / 1000);
    resume(server);
    handover->phase = AWAITING_RETRY;
    if (loop_arm(server->loop, &handover->timer, AGAIN_MS, on_time_over) < 0)
        refuse(handover, "out of memory");
}

static void on_time_over(struct loop_timer *timer)
{
    struct handover *handover = CONTAINER_OF(timer, struct handover, timer);
    switch (handover->phase) {
    case CHECKING: {
        char why[SAID_MAX];
        (void)snprintf(why, sizeof why, "%.200s can't take over: it does not say whether it can",
                       handover->server->options.program);
        refuse(handover, why);
        return;
    }
    case AWAITING_RELOAD:
        refuse(handover, "the reload that is under way does not end");
        return;
    case AWAITING_QUIET:
        retry_later(handover);
        return;
    case AWAITING_RETRY:
        try_again(handover);
        return;
    }
}

void handover_request(struct server *server)
{
    struct err err = {0};
    if (server->stopping) {
        log_line(LOG_LEVEL_INFO, "SIGUSR2 is ignored: the server is stopping");
        return;
    }
    if (!server->announced) {
        server->handover_due = true;
        return;
    }
    server->handover_due = false;
    if (server->handover != NULL) {
        log_line(LOG_LEVEL_DEBUG, "SIGUSR2: that is under way");
        return;
    }
    struct handover *handover = calloc(1, sizeof *handover);
    if (handover == NULL) {
        log_line(LOG_LEVEL_ERROR, "not re-executed: out of memory");
        return;
    }
    *handover = (struct handover){.server = server, .source = {.fd = -1}, .said_fd = -1};
    server->handover = handover;
    if (try_program(handover, &err) < 0)
        refuse(handover, err.text);
}

bool handover_defers_reload(struct server *server)
{
    if (server->handover == NULL || !server->paused)
        return false;
    server->handover->reload_due = true;
    return true;
}

void handover_abandon(struct server *server)
{
    struct handover *handover = server->handover;
    if (handover == NULL)
        return;
    log_line(LOG_LEVEL_INFO, "not re-executed: the server stops");
    handover->reload_due = false;
    forget(handover);
}

/* `path` as it was meant where we were started. */
static char *make_absolute(const char *path)
{
    char here[PATH_MAX], *absolute = NULL;
    if (path[0] == '/')
        return strdup(path);
    if (getcwd(here, sizeof here) == NULL || asprintf(&absolute, "%s/%s", here, path) < 0)
        return NULL;
    return absolute;
}

char *handover_find_program(void)
{
    /* Not what /proc/self/exe leads to: a link may lead elsewhere after the next installation. */
    const char *given = (const char *)(uintptr_t)getauxval(AT_EXECFN);
    cleanup_free char *path = given != NULL ? make_absolute(given) : NULL;
    struct stat own, named;
    if (path != NULL && stat("/proc/self/exe", &own) == 0 && stat(path, &named) == 0 &&
        own.st_dev == named.st_dev && own.st_ino == named.st_ino)
        return steal_ptr(path);
    return realpath("/proc/self/exe", NULL);
}
