#include "connection.h"
#include "audit.h"
#include "auth_log.h"
#include "broker.h"
#include "cleanup.h"
#include "exchange.h"
#include "exec.h"
#include "gate.h"
#include "generation.h"
#include "log.h"
#include "presence.h"
#include "session_log.h"
#include "signals.h"
#include "signer.h"
#include "startup.h"
#include "terminate.h"
#include "waiting.h"
#include "zygote.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>

enum {
    LINGER_MS = 1000,
    FAREWELL_MS = 5000, /* for a session to tell its client why, and go */
};

static void on_link(struct loop_source *source);

/* Numeric host and port of an address; "?" if it has none. */
static void name_address(const struct sockaddr *addr, socklen_t len, char *host, size_t host_len,
                         uint16_t *port)
{
    char service[16];
    if (getnameinfo(addr, len, host, (socklen_t)host_len, service, sizeof service,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        (void)snprintf(host, host_len, "?");
        *port = 0;
        return;
    }
    *port = (uint16_t)strtoul(service, NULL, 10);
}

void connection_on_login_timeout(struct loop_timer *timer)
{
    struct connection *connection = CONTAINER_OF(timer, struct connection, timer);
    connection->timed_out = true;
    connection_end(connection, "not authenticated within login-grace");
}

static void kill_session(const struct connection *connection)
{
    if (connection->pidfd >= 0)
        (void)pidfd_send_signal(connection->pidfd, SIGKILL, NULL, 0);
}

/* All that counts for a tenant ends with the connection. */
static void leave_tenant(struct connection *connection)
{
    waiting_connection_gone(connection);
    exec_connection_gone(connection);
    presence_end(connection);
    share_end(connection);
}

void connection_free(struct connection *connection)
{
    struct server *server = connection->server;
    /* A healthy session ends by its closed link at once; one that does not is up to something. */
    if (!connection->died)
        kill_session(connection);
    loop_remove(server->loop, &connection->source);
    leave_tenant(connection);
    loop_disarm(server->loop, &connection->timer);
    if (connection->authenticated)
        audit_closed(connection);
    ipc_close(&connection->link);
    close_fd(&connection->pidfd);
    if (connection->prev != NULL)
        connection->prev->next = connection->next;
    else
        server->connections = connection->next;
    if (connection->next != NULL)
        connection->next->prev = connection->prev;
    server->n_connections--;
    startup_end(connection);
    source_release(&server->sources, connection->from);
    signer_unref(connection->signer);
    free(connection->blob);
    free(connection);
    server_check_stopped(server);
}

void connection_end(struct connection *connection, const char *why)
{
    if (connection->closing)
        return;
    connection->closing = true;
    startup_end(connection);
    if (connection->end_reason[0] == '\0')
        (void)snprintf(connection->end_reason, sizeof connection->end_reason, "%s", why);
    log_line(LOG_LEVEL_INFO, "connection %s from %s port %u ended: %s", connection->id,
             connection->peer_host, connection->peer_port, why);
    /* Closing the link ends a healthy session; the kill is for one that no longer listens. */
    kill_session(connection);
    /* Makes the link readable (end of file): on_link() frees. */
    (void)shutdown(connection->link.fd, SHUT_RDWR);
}

void connection_on_farewell_over(struct loop_timer *timer)
{
    connection_end(CONTAINER_OF(timer, struct connection, timer), "its session does not close it");
}

void connection_close(struct connection *connection, const char *why)
{
    struct ipc_msg msg = {.type = MSG_EVT_CLOSE, .evt_close = {.text = why}};
    /* The timer is taken if its link has ended. */
    if (connection->closing)
        return;
    if (connection->end_reason[0] == '\0')
        (void)snprintf(connection->end_reason, sizeof connection->end_reason, "%s", why);
    (void)loop_arm(connection->server->loop, &connection->timer, FAREWELL_MS,
                   connection_on_farewell_over);
    connection_send(connection, &msg, NULL, 0);
}

void connection_send(struct connection *connection, const struct ipc_msg *msg, const int *fds,
                     size_t n_fds)
{
    struct err err = {0};
    if (connection->closing)
        return;
    switch (ipc_send(&connection->link, msg, fds, n_fds, false, &err)) {
    case IPC_OK:
        break;
    case IPC_AGAIN:
        connection_end(connection, "its session does not take messages any more");
        break;
    case IPC_EOF:
        /* What it has said before is still to be read, and on_link() finds the end behind it. */
        kill_session(connection);
        break;
    case IPC_ERROR:
        connection_end(connection, err.text);
        break;
    }
}

void connection_on_linger_over(struct loop_timer *timer)
{
    connection_free(CONTAINER_OF(timer, struct connection, timer));
}

/* The link has ended: nothing is left of the connection but its name, for on_died(). */
static void close_link(struct connection *connection)
{
    struct server *server = connection->server;
    loop_remove(server->loop, &connection->source);
    ipc_close(&connection->link);
    connection->closing = true;
    if (!connection->authenticated)
        auth_log_left(connection);
    startup_end(connection);
    startup_judge(connection);
    leave_tenant(connection);
    if (connection->died ||
        loop_arm(server->loop, &connection->timer, LINGER_MS, connection_on_linger_over) < 0)
        connection_free(connection);
}

static int open_link(struct connection *connection, int socket_fd, struct err *err)
{
    struct server *server = connection->server;
    const struct server_config *config = &server->current->policy->server;
    int fds[2];
    if (exchange_make_version(connection->version, err) < 0 || ipc_pair(fds, err) < 0)
        return -1;
    cleanup_fd int theirs = fds[1];
    connection->max_channels = config->max_channels;
    connection->max_auth_tries = config->max_auth_tries;
    connection->link = (struct ipc){
        .fd = fds[0], .link = LINK_SESSION, .self = FROM_MASTER, .state = STATE_PREAUTH};
    struct ipc_msg start = {.type = MSG_EVT_START,
                            .evt_start = {.conn_id = connection->id,
                                          .version = connection->version,
                                          .peer_host = connection->peer_host,
                                          .peer_port = connection->peer_port,
                                          .log_level = (uint8_t)log_level(),
                                          .max_channels = config->max_channels,
                                          .max_auth_tries = config->max_auth_tries,
                                          .record_max = config->record_max}};
    connection->record_max = config->record_max;
    if (ipc_send(&connection->link, &start, NULL, 0, false, err) != IPC_OK ||
        loop_add(server->loop, &connection->source, connection->link.fd, on_link, err) < 0 ||
        zygote_ask_accept(server->zygote, connection->number, socket_fd, theirs, err) < 0)
        return -1;
    return loop_arm(server->loop, &connection->timer, config->login_grace_ms,
                    connection_on_login_timeout);
}

static void name_local(struct connection *connection, int socket_fd, const struct sockaddr *told)
{
    struct sockaddr_storage local = {0};
    socklen_t len = sizeof local;
    if (told == NULL && getsockname(socket_fd, (struct sockaddr *)&local, &len) == 0)
        told = (struct sockaddr *)&local;
    if (told != NULL)
        name_address(told, sizeof local, connection->local_host, sizeof connection->local_host,
                     &connection->local_port);
}

struct connection *connection_new(struct server *server)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return NULL;
    *connection = (struct connection){.server = server,
                                      .next = server->connections,
                                      .link = {.fd = -1},
                                      .source = {.fd = -1},
                                      .pidfd = -1,
                                      .share = {.fd = -1}};
    if (connection->next != NULL)
        connection->next->prev = connection;
    server->connections = connection;
    server->n_connections++;
    return connection;
}

void connection_start(struct server *server, int socket_fd, const struct client *client)
{
    cleanup_fd int owned_fd = socket_fd;
    const struct sockaddr *peer = client->peer;
    struct connection *connection = server->zygote != NULL ? connection_new(server) : NULL;
    if (connection == NULL)
        return;
    connection->number = ++server->conn_count;
    connection->signer = signer_ref(zygote_signer(server->zygote));
    connection->started_ms = loop_now_ms();
    connection->judged = client->is_balancer;
    memcpy(&connection->peer, peer,
           peer->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
    (void)snprintf(connection->id, sizeof connection->id, "%s-%" PRIu64, server->run_id,
                   connection->number);
    name_address(peer, sizeof(struct sockaddr_storage), connection->peer_host,
                 sizeof connection->peer_host, &connection->peer_port);
    name_local(connection, owned_fd, client->local);
    connection->from = gate_hold_source(server, peer);
    startup_begin(connection);
    struct err err = {0};
    if (open_link(connection, owned_fd, &err) < 0) {
        log_line(LOG_LEVEL_ERROR, "connection %s from %s port %u can't be served: %s",
                 connection->id, connection->peer_host, connection->peer_port, err.text);
        connection_free(connection);
        return;
    }
    server->metrics.counters.connections++;
    log_line(LOG_LEVEL_DEBUG, "connection %s from %s port %u on %s port %u", connection->id,
             connection->peer_host, connection->peer_port, connection->local_host,
             connection->local_port);
}

struct connection *connection_find(struct server *server, uint64_t number)
{
    struct connection *connection = server->connections;
    while (connection != NULL && connection->number != number)
        connection = connection->next;
    return connection;
}

void connection_on_ans_accept(struct server *server, struct ipc_in *in)
{
    struct connection *connection = connection_find(server, in->msg.ans_accept.conn);
    cleanup_fd int pidfd = ipc_take_fd(in, 0);
    if (connection == NULL || connection->closing) {
        /* It was ended while the zygote forked. */
        if (pidfd >= 0)
            (void)pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
        return;
    }
    if (!in->msg.ans_accept.ok)
        connection_end(connection, "no session process could be forked");
    else if (connection->pidfd < 0)
        connection->pidfd = steal_fd(&pidfd);
}

void connection_end_unserved(struct server *server)
{
    for (struct connection *c = server->connections; c != NULL; c = c->next)
        if (c->pidfd < 0)
            connection_end(c, "no session process could be forked");
}

/* The CPU watchdog ends a session that loops; its memory was not tampered with. */
static bool is_watchdog(unsigned signo)
{
    return signo == SIGVTALRM || signo == SIGPROF || signo == SIGXCPU;
}

static void tell_death(struct connection *connection, unsigned signo)
{
    log_line(LOG_LEVEL_ERROR, "session of connection %s from %s port %u died: %s (signal %u%s)",
             connection->id, connection->peer_host, connection->peer_port,
             is_watchdog(signo) ? "its CPU watchdog ended it" : "killed", signo,
             signo == SIGSYS ? ", a forbidden system call" : "");
    if (connection->end_reason[0] == '\0')
        (void)snprintf(connection->end_reason, sizeof connection->end_reason,
                       "its session died by signal %u", signo);
    startup_offend(connection, OFFENCE_CRASH);
}

bool connection_on_died(struct server *server, uint64_t conn, unsigned signo, unsigned status)
{
    struct connection *connection = connection_find(server, conn);
    /* SIGKILL is ours or the operator's, never the peer's doing. */
    bool crashed = signo != 0 && signo != SIGKILL;
    server->metrics.counters.session_crashes += crashed;
    if (connection != NULL && crashed)
        tell_death(connection, signo);
    else if (crashed)
        log_line(LOG_LEVEL_ERROR, "the session of a closed connection died by signal %u", signo);
    else if (connection != NULL)
        log_line(LOG_LEVEL_DEBUG, "session of connection %s exited with %u", connection->id,
                 status);
    /* 1 is for what breaks the protocol; it may be heard of after the end of the link. */
    if (connection != NULL && signo == 0 && status == 1 && !connection->authenticated)
        startup_offend(connection, OFFENCE_PROTOCOL);
    if (connection != NULL) {
        connection->died = true;
        if (connection->link.fd < 0)
            connection_free(connection);
    }
    return crashed && !is_watchdog(signo);
}

static void dispatch(struct connection *connection, const struct ipc_msg *msg)
{
    switch (msg->type) {
    case MSG_REQ_AUTH:
        broker_on_req_auth(connection, &msg->req_auth);
        break;
    case MSG_REQ_SIGN:
        broker_on_req_sign(connection, &msg->req_sign);
        break;
    case MSG_REQ_ENV:
        broker_on_req_env(connection, &msg->req_env);
        break;
    case MSG_REQ_TERMINAL:
        broker_on_req_terminal(connection, &msg->req_terminal);
        break;
    case MSG_REQ_EXEC:
        broker_on_req_exec(connection, &msg->req_exec);
        break;
    case MSG_EVT_GONE:
        exec_on_evt_gone(connection, msg->evt_gone.channel);
        break;
    case MSG_EVT_OVER:
        terminate_on_evt_over(connection, &msg->evt_over);
        break;
    case MSG_EVT_SIGNAL:
        signals_on_evt_signal(connection, &msg->evt_signal);
        break;
    case MSG_EVT_DONE:
        exec_on_evt_done(connection, &msg->evt_done);
        break;
    case MSG_EVT_LOG:
        session_log_on_evt_log(connection, &msg->evt_log);
        break;
    default:
        /* The table lets nothing else through. */
        break;
    }
}

static void on_link(struct loop_source *source)
{
    static struct ipc_in in;
    struct connection *connection = CONTAINER_OF(source, struct connection, source);
    struct err err = {0};
    if (connection->closing) {
        close_link(connection);
        return;
    }
    switch (ipc_recv(&connection->link, &in, false, &err)) {
    case IPC_AGAIN:
        break;
    case IPC_EOF:
        log_line(LOG_LEVEL_DEBUG, "connection %s closed", connection->id);
        close_link(connection);
        break;
    case IPC_ERROR:
        log_line(LOG_LEVEL_ERROR, "connection %s: its session broke the protocol: %s",
                 connection->id, err.text);
        connection_end(connection, "protocol violation by its session");
        break;
    case IPC_OK:
        dispatch(connection, &in.msg);
        ipc_drop_fds(&in);
        break;
    }
}

void connections_pause(struct server *server)
{
    for (struct connection *c = server->connections; c != NULL; c = c->next)
        loop_remove(server->loop, &c->source);
}

void connections_resume(struct server *server)
{
    struct err err = {0};
    for (struct connection *c = server->connections, *next; c != NULL; c = next) {
        next = c->next;
        if (c->link.fd < 0 || c->source.fd >= 0 ||
            loop_add(server->loop, &c->source, c->link.fd, on_link, &err) == 0)
            continue;
        log_line(LOG_LEVEL_ERROR, "connection %s: %s", c->id, err.text);
        connection_free(c);
    }
}
