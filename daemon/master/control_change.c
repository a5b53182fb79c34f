/* `kill`, `drain` and `resume`: what changes what runs. Each is written down with who has asked. */
#include "audit.h"
#include "control.h"
#include "log.h"
#include "presence.h"
#include "terminate.h"
#include "waiting.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum { REASON_SHOWN = 230 };

static struct json json;

struct counts {
    uint64_t ended, ending, queued, connections;
};

static void record(const struct control_client *client, const char *verb,
                   const struct msg_req_ctl_kill *what, const struct counts *counts)
{
    const struct audit_operator act = {
        .verb = verb,
        .uid = client->uid,
        .pid = client->pid,
        .exec = what != NULL ? what->exec : "",
        .tenant = what != NULL ? what->tenant : "",
        .key = what != NULL ? what->key : "",
        .connection = what != NULL ? what->connection : "",
        .reason = what != NULL ? what->reason : "",
        .counted = counts != NULL,
        .ended = counts != NULL ? counts->ended : 0,
        .queued = counts != NULL ? counts->queued : 0,
        .connections = counts != NULL ? counts->connections : 0,
    };
    log_line(LOG_LEVEL_INFO, "%s by uid %u (process %d)", verb, (unsigned)client->uid,
             (int)client->pid);
    audit_operator(client->server, &act);
}

void control_record(const struct control_client *client, const char *verb)
{
    record(client, verb, NULL, NULL);
}

static bool is_meant(const void *arg, const struct exec_record *rec)
{
    const struct msg_req_ctl_kill *what = arg;
    return (what->exec[0] == '\0' || strcmp(what->exec, rec->id) == 0) &&
           (what->connection[0] == '\0' || strcmp(what->connection, rec->conn_id) == 0) &&
           control_matches(rec, what->tenant, what->key);
}

static void end_running(struct server *server, const struct msg_req_ctl_kill *what, const char *why,
                        struct counts *counts)
{
    for (struct exec *exec = server->execs; exec != NULL; exec = exec->next) {
        if (exec->ended || !is_meant(what, &exec->record))
            continue;
        if (exec->terminating)
            counts->ending++;
        else
            counts->ended++;
        terminate_for_operator(exec, why);
    }
}

static void end_connection(struct server *server, const char *id, const char *why,
                           struct counts *counts)
{
    for (struct connection *c = server->connections; c != NULL; c = c->next)
        if (strcmp(c->id, id) == 0 && presence_end_for_operator(c, why))
            counts->connections++;
}

/* "by the operator: REASON", fit for a client's terminal. */
static void word_reason(const char *reason, char *buf, size_t len)
{
    char shown[REASON_SHOWN];
    log_escape(shown, sizeof shown, reason, strlen(reason));
    (void)snprintf(buf, len, "by the operator%s%s", reason[0] != '\0' ? ": " : "", shown);
}

void control_on_kill(struct control_client *client, const struct ipc_msg *msg)
{
    const struct msg_req_ctl_kill *what = &msg->req_ctl_kill;
    struct server *server = client->server;
    struct counts counts = {0};
    char why[256];
    if (what->exec[0] == '\0' && what->tenant[0] == '\0' && what->key[0] == '\0' &&
        what->connection[0] == '\0') {
        control_end(client, EX_USAGE, "nothing says what is to be ended");
        return;
    }
    word_reason(what->reason, why, sizeof why);
    end_running(server, what, why, &counts);
    counts.queued = waiting_end(server, is_meant, what, why);
    if (what->connection[0] != '\0')
        end_connection(server, what->connection, why, &counts);
    record(client, "kill", what, &counts);
    control_begin(&json);
    json_uint(&json, "ended", counts.ended);
    json_uint(&json, "ending", counts.ending);
    json_uint(&json, "queued", counts.queued);
    json_uint(&json, "connections", counts.connections);
    control_put(client, &json);
    if (counts.ended + counts.ending + counts.queued + counts.connections > 0)
        control_end(client, EX_OK, "%s", "");
    else
        control_end(client, 1, "nothing that runs or waits is meant by that");
}

static void put_left(struct control_client *client)
{
    const struct server *server = client->server;
    control_begin(&json);
    json_uint(&json, "execs", server->n_execs);
    json_uint(&json, "queued", waiting_count(server));
    json_uint(&json, "connections", server->n_connections);
    json_bool(&json, "then_stop", server->drain.then_stop);
    json_bool(&json, "notice", server->drain.noticing);
    control_put(client, &json);
}

static void on_wait_over(struct loop_timer *timer)
{
    struct control_client *client = CONTAINER_OF(timer, struct control_client, timer);
    size_t left = client->server->n_execs + waiting_count(client->server);
    put_left(client);
    control_end(client, 1, "%zu command%s still there; the server goes on draining", left,
                left == 1 ? " is" : "s are");
}

void control_on_drain(struct control_client *client, const struct ipc_msg *msg)
{
    const struct msg_req_ctl_drain *req = &msg->req_ctl_drain;
    struct server *server = client->server;
    if (server->stopping) {
        control_end(client, 1, "the server is shutting down");
        return;
    }
    drain_begin(server, req->notice_ms, req->then_stop);
    control_record(client, req->then_stop ? "drain, then stop" : "drain");
    if (!req->wait || drain_is_idle(server)) {
        put_left(client);
        control_end(client, EX_OK, "%s", "");
        return;
    }
    client->await = AWAIT_IDLE;
    if (req->wait_ms != UINT64_MAX &&
        loop_arm(server->loop, &client->timer, req->wait_ms, on_wait_over) < 0)
        control_end(client, EX_OSERR, "the server is out of memory");
}

void control_idle_news(struct control_client *client)
{
    struct server *server = client->server;
    bool idle = server->drain.active && drain_is_idle(server);
    if (!idle && server->drain.active && !server->stopping)
        return;
    put_left(client);
    if (idle)
        control_end(client, EX_OK, "%s", "");
    else if (server->stopping)
        control_end(client, 1, "the server is shutting down");
    else
        control_end(client, 1, "it was told to take commands again");
}

void control_on_resume(struct control_client *client, const struct ipc_msg *msg)
{
    bool was = client->server->drain.active;
    (void)msg;
    if (client->server->stopping) {
        control_end(client, 1, "the server is shutting down");
        return;
    }
    drain_end(client->server);
    control_record(client, "resume");
    control_begin(&json);
    json_bool(&json, "drained", was);
    control_put(client, &json);
    control_end(client, EX_OK, "%s", "");
}
