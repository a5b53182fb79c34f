#include "policy_files.h"
#include "server.h"
#include "agent.h"
#include "cgroups.h"
#include "child.h"
#include "cleanup.h"
#include "connection.h"
#include "control.h"
#include "exec.h"
#include "generation.h"
#include "handover.h"
#include "hostkeys.h"
#include "listener.h"
#include "log.h"
#include "metrics_file.h"
#include "ready.h"
#include "recordings.h"
#include "reload.h"
#include "terminate.h"
#include "waiting.h"
#include "zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>

enum {
    STOP_MS = 6000, /* for execs and connections to end by themselves */
    FAREWELL_MS = 1000,
    REAP_MS = 3000, /* for our own processes to follow */
    EXECS_LEAST = 8,
    FDS_OF_OUR_OWN = 64 + CONTROL_CLIENTS_MAX,
    FDS_PER_CONNECTION = 3, /* link, pidfd, the workspace that its execs share */
    FDS_PER_READY = 3,      /* report, pidfd, cgroup */
    FDS_PER_EXEC = 6, /* report, pidfd, cgroup and its events, and its share of pipes in transit */
};

static void on_signal(struct loop_source *source);

static int make_run_id(struct server *server, struct err *err)
{
    static const char digits[] = "abcdefghijkmnpqrstuvwxyz23456789";
    unsigned char raw[6];
    if (getrandom(raw, sizeof raw, 0) != (ssize_t)sizeof raw)
        return err_set(err, errno, "getrandom");
    for (size_t i = 0; i < sizeof raw; i++)
        server->run_id[i] = digits[raw[i] % (sizeof digits - 1)];
    server->run_id[sizeof raw] = '\0';
    return 0;
}

/* As many descriptors as the system lets us have, and no more execs than they carry. */
static void size_limits(struct server *server, const struct server_config *config)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        limit = (struct rlimit){1024, 1024};
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        (void)getrlimit(RLIMIT_NOFILE, &limit);
    uint64_t fds = limit.rlim_cur > FDS_OF_OUR_OWN ? limit.rlim_cur - FDS_OF_OUR_OWN : 1;
    uint64_t for_connections = (uint64_t)config->max_connections * FDS_PER_CONNECTION;
    if (for_connections > fds / 2)
        for_connections = fds / 2;
    fds -= for_connections;
    /* Commands that run matter more than speed. */
    server->max_ready = config->ready_sandboxes;
    if (server->max_ready > fds / 16 / FDS_PER_READY)
        server->max_ready = (size_t)(fds / 16 / FDS_PER_READY);
    server->max_execs = (size_t)((fds - server->max_ready * FDS_PER_READY) / FDS_PER_EXEC);
}

/* Better no start than one that refuses everything. */
static int check_limits(const struct server *server, struct err *err)
{
    if (server->max_execs >= EXECS_LEAST)
        return 0;
    err_set(err, 0,
            "the limit of open files is too low for %d commands at a time; raise it "
            "(ulimit -n, LimitNOFILE=) to 1024 at least",
            EXECS_LEAST);
    err->code = EX_OSERR;
    return -1;
}

int server_watch_signals(struct server *server, struct err *err)
{
    static const int watched[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGCHLD};
    sigset_t mask;
    sigemptyset(&mask);
    for (size_t i = 0; i < array_len(watched); i++)
        sigaddset(&mask, watched[i]);
    signal(SIGPIPE, SIG_IGN);
    /* An audit trail that may not grow any more is one that can't be written. */
    signal(SIGXFSZ, SIG_IGN);
    if (sigprocmask(SIG_SETMASK, &mask, NULL) < 0)
        return err_set(err, errno, "sigprocmask");
    int fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return err_set(err, errno, "signalfd");
    return loop_add(server->loop, &server->signals, fd, on_signal, err);
}

/* What the command line says of the log level outranks the policy. */
static void apply_log_level(const struct server *server, const struct policy *policy)
{
    int level = server->options.log_level;
    if (level < 0)
        level = log_level_parse(policy->server.log_level);
    log_set_level(level >= 0 ? (enum log_level)level : LOG_LEVEL_INFO);
}

void server_apply_settings(struct server *server)
{
    apply_log_level(server, server->current->policy);
    size_limits(server, &server->current->policy->server);
}

/* Owns the policy. */
static int start_with(struct server *server, struct policy *policy, struct policy_texts *texts,
                      struct err *err)
{
    if (server->options.foreground)
        apply_log_level(server, policy);
    notify_open(server);
    size_limits(server, &policy->server);
    if (check_limits(server, err) < 0 || hostkeys_check(&policy->server, err) < 0 ||
        (server->loop = loop_new(err)) == NULL || make_run_id(server, err) < 0 ||
        server_watch_signals(server, err) < 0 || listeners_open(server, &policy->server, err) < 0 ||
        control_open(server, &policy->server, err) < 0 ||
        agent_open(server, &policy->server, err) < 0) {
        policy_free(policy);
        return -1;
    }
    if (cgroups_open(server, &policy->server, err) < 0 || cgroups_judge(server, policy, err) < 0) {
        policy_free(policy);
        return -1;
    }
    server->next = generation_start(server, policy, texts, err);
    if (server->next == NULL)
        return -1;
    return zygote_start(server, server->next, err);
}

int server_start(struct server *server, struct err *err)
{
    server->signals.fd = server->notify.fd = -1;
    metrics_init(&server->metrics, (uint64_t)time(NULL));
    server->started_at = time(NULL);
    server->started_ms = loop_now_ms();
    /* What limits come to is said when the cgroups are there. */
    struct host_judge judge = {.quiet_limits = true};
    struct policy_texts *texts = policy_texts_new(&policy_files_host);
    if (texts == NULL)
        return err_set(err, ENOMEM, "policy");
    struct policy *policy =
        generation_load_policy(server->options.config_path, &judge, false, texts, err);
    int rc = policy == NULL ? -1 : start_with(server, policy, texts, err);
    policy_texts_free(texts);
    return rc;
}

/* The terminal that started us gets its prompt back, and none of our output any more. */
static void release_parent(struct server *server)
{
    unsigned char code = 0;
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    log_open(false, LOG_LEVEL_TRACE);
    for (int fd = 0; null_fd >= 0 && fd <= 2; fd++)
        (void)dup2(null_fd, fd);
    close_fd(&null_fd);
    (void)!write(server->ready_fd, &code, 1);
    close_fd(&server->ready_fd);
}

void server_check_ready(struct server *server)
{
    if (server->announced || server->current == NULL || server->zygote == NULL)
        return;
    server->announced = true;
    if (server->ready_fd >= 0) {
        release_parent(server);
        server_apply_settings(server);
    }
    listeners_announce(server);
    listeners_resume(server);
    control_serve(server);
    agent_serve(server);
    log_line(LOG_LEVEL_INFO, "ready: generation %" PRIu64 ", %zu tenants", server->current->number,
             server->current->policy->n_tenants);
    if (server->current->policy->n_tenants == 0)
        log_line(LOG_LEVEL_WARNING, "there is no tenant: nobody can log in; 'postern tenant add' "
                                    "makes one");
    notify_ready(server);
    if (server->handover_due)
        handover_request(server);
}

void server_start_failed(struct server *server, const struct err *err)
{
    log_line(LOG_LEVEL_ERROR, "%s", err->text);
    if (server->announced)
        return;
    server->exit_code = err->code != 0 ? err->code : EX_OSERR;
    server->finished = true;
}

static const char going_down[] = "the server is shutting down";

static void on_stop_timeout(struct loop_timer *timer)
{
    struct server *server = CONTAINER_OF(timer, struct server, stop_timer);
    log_line(LOG_LEVEL_WARNING, "%zu execs and %zu connections did not end in time",
             server->n_execs, server->n_connections);
    for (struct connection *c = server->connections; c != NULL; c = c->next)
        connection_end(c, going_down);
    server->finished = true;
}

static void say_farewell(struct loop_timer *timer)
{
    struct server *server = CONTAINER_OF(timer, struct server, farewell_timer);
    for (struct connection *c = server->connections; c != NULL; c = c->next)
        connection_close(c, going_down);
}

void server_stop(struct server *server)
{
    if (server->stopping)
        return;
    handover_abandon(server);
    server->stopping = true;
    ready_drop(server, NULL);
    log_line(LOG_LEVEL_INFO, "stopping: %zu execs, %zu connections", server->n_execs,
             server->n_connections);
    notify_stopping(server);
    listeners_close(server);
    control_news(server);
    if (loop_arm(server->loop, &server->stop_timer, STOP_MS, on_stop_timeout) < 0)
        server->finished = true;
    bool idle = server->n_execs == 0 && server->waiters == NULL;
    waiting_rejudge(server);
    if (idle)
        say_farewell(&server->farewell_timer);
    for (struct exec *exec = server->execs; exec != NULL; exec = exec->next)
        terminate_exec(exec, CAUSE_SHUTDOWN);
    server_check_stopped(server);
}

void server_check_stopped(struct server *server)
{
    drain_check(server);
    if (!server->stopping || server->n_execs > 0)
        return;
    if (server->n_connections == 0)
        server->finished = true;
    /* A client that reads our disconnect before it has looked at the exit status reports the
     * former: it gets the time to hang up by itself. */
    else if (server->farewell_timer.slot == 0)
        (void)loop_arm(server->loop, &server->farewell_timer, FAREWELL_MS, say_farewell);
}

static void reap(struct server *server)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        child_reaped(server, pid);
        log_line(LOG_LEVEL_DEBUG, "process %d ended: %s %d", pid,
                 WIFSIGNALED(status) ? "signal" : "status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
}

/* Who waits for us to serve must not read this as success. */
static void abandon_start(struct server *server)
{
    server->exit_code = EX_TEMPFAIL;
    server->finished = true;
}

static void on_signal(struct loop_source *source)
{
    struct server *server = CONTAINER_OF(source, struct server, signals);
    struct signalfd_siginfo info;
    while (read(source->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(server);
        else if (info.ssi_signo == SIGHUP && !handover_defers_reload(server))
            reload_start(server);
        else if (info.ssi_signo == SIGHUP)
            continue;
        else if (info.ssi_signo == SIGUSR2)
            handover_request(server);
        else if (server->announced)
            server_stop(server);
        else
            abandon_start(server);
    }
}

int server_run(struct server *server)
{
    struct err err = {0};
    while (!server->finished) {
        if (loop_turn(server->loop, &err) < 0) {
            log_line(LOG_LEVEL_ERROR, "%s", err.text);
            return EX_OSERR;
        }
        handover_step(server);
    }
    return server->exit_code;
}

/* True when there are none left. */
static bool await_children(struct server *server)
{
    struct timespec pause = {.tv_nsec = 5000000};
    for (int waited = 0; waited < REAP_MS; waited += 5) {
        pid_t pid;
        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
            child_reaped(server, pid);
        if (pid < 0)
            return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

/* Our own processes end by their closed links; one that is stopped has to be killed. */
static void end_children(struct server *server)
{
    if (!await_children(server)) {
        child_kill_all(server);
        (void)await_children(server);
    }
    child_free_all(server);
}

void server_free(struct server *server)
{
    if (server->loop == NULL)
        return;
    handover_abandon(server);
    listeners_close(server);
    control_close(server);
    agent_close(server);
    drain_forget(server);
    reload_abandon(server);
    zygote_stop_all(server);
    metrics_file_stop(server);
    while (server->connections != NULL)
        connection_free(server->connections);
    exec_abandon_all(server);
    ready_drop(server, NULL);
    generation_unref(server->next);
    generation_unref(server->current);
    server->next = server->current = NULL;
    loop_disarm(server->loop, &server->stop_timer);
    loop_disarm(server->loop, &server->audit_timer);
    loop_disarm(server->loop, &server->farewell_timer);
    loop_disarm(server->loop, &server->zygote_retry);
    notify_close(server);
    recordings_stop(server);
    int signal_fd = server->signals.fd;
    loop_remove(server->loop, &server->signals);
    close_fd(&signal_fd);
    end_children(server);
    tenant_loads_free(&server->loads);
    reload_result_free(&server->last_reload);
    cgroups_close(server);
    loop_free(server->loop);
    server->loop = NULL;
    free(server->own_config_path);
    free(server->own_program);
}
