/*
 * postern-session - the zygote. The master executes it once with a link on descriptor 3; it loads
 * libssh, libcrypto and the public host keys, gives up everything it can, and then forks one
 * session per connection that the master hands it.
 */
#include "cleanup.h"
#include "confine.h"
#include "filter.h"
#include "ipc.h"
#include "keys.h"
#include "offer.h"
#include "peek.h"
#include "provider.h"
#include "serve.h"
#include "warm.h"
#include "witness.h"

#include <errno.h>
#include <libssh/libssh.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

enum { LINK_FD = 3 };

/* As ps(1) shows them: the zygote, and what it has forked beforehand; and who has a connection. */
#define ZYGOTE_NAME  "postern-zygote"
#define SESSION_NAME "postern-session"

struct child {
    struct child *next;
    pid_t pid;
    uint64_t conn; /* 0: none yet */
};

struct zygote {
    struct ipc link;
    int signal_fd;
    struct offer offer;
    struct filter filter;
    struct child *children;
    /* One that is ready beforehand: a connection need not wait for a fork. */
    struct child *spare; /* of children, or NULL */
    int spare_pidfd;
    struct ipc spare_link;
};

static struct ipc_in in;

#ifdef POSTERN_SANITIZE
const char *__asan_default_options(void);

/* The leak check wants to trace itself, which is no longer possible when it runs. */
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
#endif

/* Children report by SIGCHLD; everything else has its default meaning, whoever started us. */
static int set_signals(struct zygote *zygote, struct err *err)
{
    sigset_t set;
    for (int signo = 1; signo < SIGRTMIN; signo++)
        (void)signal(signo, SIG_DFL);
    /* A Ctrl-C or a service manager's TERM reaches the whole group. The master judges what it
     * means; we end when it closes our links, after everybody has been told. */
    static const int ignored[] = {SIGPIPE, SIGXFSZ, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR2};
    for (size_t i = 0; i < array_len(ignored); i++)
        (void)signal(ignored[i], SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
        return err_set(err, errno, "sigprocmask");
    zygote->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (zygote->signal_fd < 0)
        return err_set(err, errno, "signalfd");
    return 0;
}

/* Top to bottom: first all that needs files or privileges, then giving both up. */
static int set_up(struct zygote *zygote, struct err *err)
{
    const struct msg_evt_setup *setup = &in.msg.evt_setup;
    if (provider_load(err) < 0)
        return -1;
    if (peek_start() < 0)
        return err_set(err, 0, "libssh has no ssh_buffer_get_data()");
    if (ssh_init() != SSH_OK)
        return err_set(err, 0, "ssh_init failed");
    if (witness_start(err) < 0 || offer_make(&zygote->offer, setup, err) < 0 ||
        keys_load(zygote->offer.bind, setup->host_keys, setup->host_key_algorithms, err) < 0 ||
        warm_up(err) < 0 || filter_compile(&zygote->filter, err) < 0)
        return -1;
    if (confine_enter(setup->uid, setup->gid, RECORD_FILE_MAX, err) < 0)
        return err_wrap(err, "confine the session process");
#ifndef POSTERN_SANITIZE
    /* stderr is the operator's; from here on only the master speaks there. */
    if (dup2(STDIN_FILENO, STDERR_FILENO) < 0)
        return err_set(err, errno, "close stderr");
#endif
    return 0;
}

static void say_failed_and_exit(struct zygote *zygote, const struct err *err)
    __attribute__((noreturn));

static void say_failed_and_exit(struct zygote *zygote, const struct err *err)
{
    struct ipc_msg msg = {.type = MSG_ZYGOTE_FAILED, .zygote_failed = {.text = err->text}};
    (void)ipc_send(&zygote->link, &msg, NULL, 0, true, NULL);
    _exit(EXIT_FAILURE);
}

static void run_session(struct zygote *zygote, int connections_fd) __attribute__((noreturn));

/* The child: waits for the one connection that it will get. */
static void run_session(struct zygote *zygote, int connections_fd)
{
    struct ipc connections = zygote->link;
    struct err err = {0};
    sigset_t none;
    sigemptyset(&none);
    ipc_close(&zygote->link);
    close_fd(&zygote->signal_fd);
    connections.fd = connections_fd;
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        _exit(EXIT_FAILURE);
    struct session *session = serve_prepare(&zygote->offer);
    /* The zygote has ended. */
    if (ipc_recv(&connections, &in, true, &err) != IPC_OK)
        _exit(EXIT_SUCCESS);
    ipc_close(&connections);
    if (prctl(PR_SET_NAME, SESSION_NAME) < 0)
        _exit(EXIT_FAILURE);
    serve_or_exit(session, ipc_take_fd(&in, 0), ipc_take_fd(&in, 1), &zygote->filter);
}

static void drop_spare(struct zygote *zygote)
{
    zygote->spare = NULL;
    close_fd(&zygote->spare_pidfd);
    ipc_close(&zygote->spare_link);
}

/* Nobody else would reap it. */
static void end_spare(struct zygote *zygote)
{
    if (zygote->spare == NULL)
        return;
    (void)kill(zygote->spare->pid, SIGKILL);
    (void)waitpid(zygote->spare->pid, NULL, 0);
}

/* Returns 0, or -1: there is none. */
static int fork_spare(struct zygote *zygote)
{
    int fds[2];
    struct err err = {0};
    if (zygote->spare != NULL)
        return 0;
    if (ipc_pair(fds, &err) < 0)
        return -1;
    cleanup_fd int ours = fds[0], theirs = fds[1];
    struct child *child = malloc(sizeof *child);
    if (child == NULL)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        close_fd(&ours);
        run_session(zygote, steal_fd(&theirs));
    }
    if (pid < 0) {
        free(child);
        return -1;
    }
    /* It can't be reaped, and its number not used again, before we come back to the loop. */
    zygote->spare_pidfd = pidfd_open(pid, 0);
    if (zygote->spare_pidfd < 0) {
        (void)kill(pid, SIGKILL);
        free(child);
        return -1;
    }
    *child = (struct child){.next = zygote->children, .pid = pid};
    zygote->children = zygote->spare = child;
    zygote->spare_link = zygote->link;
    zygote->spare_link.fd = steal_fd(&ours);
    zygote->spare_link.self = FROM_MASTER;
    return 0;
}

/* The connection of the message in `in`. Returns a pidfd of the session that has it, or -1. */
static int use_spare(struct zygote *zygote)
{
    struct err err = {0};
    if (zygote->spare == NULL ||
        ipc_send(&zygote->spare_link, &in.msg, in.fds, in.n_fds, false, &err) != IPC_OK) {
        drop_spare(zygote);
        return -1;
    }
    int pidfd = steal_fd(&zygote->spare_pidfd);
    zygote->spare->conn = in.msg.req_accept.conn;
    drop_spare(zygote);
    return pidfd;
}

static int accept_connection(struct zygote *zygote, struct err *err)
{
    uint64_t conn = in.msg.req_accept.conn;
    cleanup_fd int pidfd = use_spare(zygote);
    /* It died, or there was no room for one then. */
    if (pidfd < 0 && fork_spare(zygote) == 0)
        pidfd = use_spare(zygote);
    struct ipc_msg msg = {.type = MSG_ANS_ACCEPT, .ans_accept = {.conn = conn, .ok = pidfd >= 0}};
    return ipc_send(&zygote->link, &msg, &pidfd, pidfd >= 0 ? 1 : 0, true, err) == IPC_OK ? 0 : -1;
}

static int say_died(struct zygote *zygote, uint64_t conn, int status, struct err *err)
{
    struct ipc_msg msg = {
        .type = MSG_EVT_DIED,
        .evt_died = {.conn = conn,
                     .signo = WIFSIGNALED(status) ? (uint32_t)WTERMSIG(status) : 0,
                     .status = WIFEXITED(status) ? (uint32_t)WEXITSTATUS(status) : 0}};
    return ipc_send(&zygote->link, &msg, NULL, 0, true, err) == IPC_OK ? 0 : -1;
}

static int reap_children(struct zygote *zygote, struct err *err)
{
    struct signalfd_siginfo info;
    int status;
    pid_t pid;
    while (read(zygote->signal_fd, &info, sizeof info) > 0)
        ;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (struct child **at = &zygote->children; *at != NULL; at = &(*at)->next) {
            if ((*at)->pid != pid)
                continue;
            struct child *child = *at;
            uint64_t conn = child->conn;
            bool is_spare = child == zygote->spare;
            *at = child->next;
            free(child);
            if (is_spare)
                drop_spare(zygote);
            /* One that was dropped had no connection, either. */
            else if (conn != 0 && say_died(zygote, conn, status, err) < 0)
                return -1;
            break;
        }
    }
    return 0;
}

/* Returns when the master is gone or talks nonsense; the sessions have links of their own. */
static int run(struct zygote *zygote, struct err *err)
{
    struct pollfd fds[] = {{.fd = zygote->link.fd, .events = POLLIN},
                           {.fd = zygote->signal_fd, .events = POLLIN}};
    while (true) {
        if (poll(fds, array_len(fds), -1) < 0 && errno != EINTR)
            return err_set(err, errno, "poll");
        if (fds[1].revents != 0 && reap_children(zygote, err) < 0)
            return -1;
        if (fds[0].revents == 0)
            continue;
        switch (ipc_recv(&zygote->link, &in, false, err)) {
        case IPC_AGAIN:
            break;
        case IPC_EOF:
            return 0;
        case IPC_ERROR:
            return -1;
        case IPC_OK:
            if (accept_connection(zygote, err) < 0)
                return -1;
            ipc_drop_fds(&in);
            (void)fork_spare(zygote);
            break;
        }
    }
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct zygote zygote = {
        .link = {.fd = LINK_FD, .link = LINK_ZYGOTE, .self = FROM_PEER, .state = STATE_STARTING},
        .signal_fd = -1,
        .spare_pidfd = -1,
        .spare_link = {.fd = -1}};
    (void)argv;
    if (argc != 1 || close_range(LINK_FD + 1, ~0U, 0) < 0 || clearenv() != 0 ||
        ipc_recv(&zygote.link, &in, true, &err) != IPC_OK) {
        (void)dprintf(STDERR_FILENO, "postern-session is started by posternd, not by hand.\n");
        return EXIT_FAILURE;
    }
    if (set_signals(&zygote, &err) < 0 || set_up(&zygote, &err) < 0)
        say_failed_and_exit(&zygote, &err);
    (void)prctl(PR_SET_NAME, ZYGOTE_NAME);
    struct ipc_msg ready = {.type = MSG_ZYGOTE_READY};
    if (ipc_send(&zygote.link, &ready, NULL, 0, true, &err) != IPC_OK)
        return EXIT_FAILURE;
    zygote.link.state = STATE_READY;
    warm_settle();
    (void)fork_spare(&zygote);
    int rc = run(&zygote, &err);
    end_spare(&zygote);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
