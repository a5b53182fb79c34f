#include "audit.h"
#include "account.h"
#include "audit_sink.h"
#include "blocked_text.h"
#include "cleanup.h"
#include "diag.h"
#include "generation.h"
#include "json.h"
#include "syscall_args.h"
#include "syscalls.h"

#include <stdio.h>

static const char *or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static void put_place(struct json *json, const struct origin *rule)
{
    char place[512];
    json_str(json, "rule", rule->file != NULL ? origin_format(rule, place, sizeof place) : NULL);
}

void audit_auth(const struct connection *connection, const struct msg_req_auth *req,
                const struct login *login, bool accepted, const struct key_description *offered)
{
    static struct json json;
    audit_sink_begin(&json, AUDIT_AUTH);
    json_str(&json, "connection", connection->id);
    json_str(&json, "client", connection->peer_host);
    json_uint(&json, "port", connection->peer_port);
    json_str(&json, "user", req->user);
    json_str(&json, "method", req->method);
    json_str(&json, "result", accepted ? "accepted" : "failed");
    json_str(&json, "reason", accepted ? NULL : login->reason);
    put_place(&json, &login->rule);
    json_str(&json, "tenant", login->tenant != NULL ? login->tenant->name : NULL);
    json_str(&json, "key", or_null(offered->fingerprint));
    struct wire_bytes name = login_key_name(login);
    if (login->key != NULL)
        json_bytes(&json, "key_comment", name.data, name.len);
    else
        json_str(&json, "key_comment", NULL);
    if (offered->is_certified) {
        json_bytes(&json, "key_id", offered->key_id.data, offered->key_id.len);
        json_uint(&json, "serial", offered->serial);
        json_str(&json, "authority", or_null(offered->authority));
    }
    (void)audit_sink_write(connection->server, AUDIT_AUTH, &json, false);
}

static void put_record(struct json *json, const struct exec_record *record)
{
    json_str(json, "exec", record->id);
    json_str(json, "connection", record->conn_id);
    json_str(json, "tenant", or_null(record->tenant));
    json_str(json, "user", record->user);
    json_str(json, "key", or_null(record->key));
    json_str(json, "key_comment", record->key_comment);
    json_str(json, "client", record->peer_host);
    json_uint(json, "port", record->peer_port);
}

bool audit_start(struct server *server, const struct audit_start *start)
{
    static struct json json;
    const struct msg_req_exec *req = start->req;
    audit_sink_begin(&json, AUDIT_START);
    put_record(&json, start->record);
    json_uint(&json, "generation", start->record->generation);
    json_str(&json, "kind", exec_kind_word((enum exec_kind)req->kind));
    json_bytes(&json, "command", req->command.data, req->command.len);
    if (req->truncated)
        json_str(&json, "command_cut", "it is longer than what is shown");
    json_str(&json, "decision", start->reason == NULL ? "allow" : "deny");
    json_str(&json, "reason", start->reason);
    json_str(&json, "limit", start->limit);
    put_place(&json, start->rule);
    json_str(&json, "sandbox", start->sandbox);
    json_bool(&json, "terminal", start->terminal);
    json_str(&json, "term", req->terminal ? req->term : NULL);
    json_str(&json, "record", start->recorded);
    json_uint(&json, "queued_ms", start->queued_ms);
    return audit_sink_write(server, AUDIT_START, &json, start->reason == NULL);
}

static void put_forbidden(struct json *json, const struct forbidden *forbidden)
{
    const struct refused_call *call = forbidden->call;
    const struct seccomp_rule *rule = forbidden->rule;
    const char *items[TELLING_MAX];
    struct telling_args args;
    char name[64];
    syscall_args_text(call, &args);
    for (size_t i = 0; i < args.n; i++)
        items[i] = args.text[i];
    json_str(json, "syscall", syscall_abi_name(call->abi, call->nr, name, sizeof name));
    json_uint(json, "nr", (uint64_t)call->nr);
    json_str(json, "abi", forbidden_abi_word(call->abi));
    json_texts(json, "args", items, args.n);
    json_str(json, "profile", forbidden->profile->name);
    json_str(json, "file", rule != NULL ? or_null(rule->file) : NULL);
    if (rule != NULL && rule->file[0] != '\0')
        json_uint(json, "line", rule->line);
    else
        json_str(json, "line", NULL);
    json_str(json, "why", forbidden->why);
}

void audit_refused(struct server *server, const struct exec_record *record,
                   const struct forbidden *forbidden)
{
    static struct json json;
    audit_sink_begin(&json, AUDIT_REFUSED);
    put_record(&json, record);
    put_forbidden(&json, forbidden);
    (void)audit_sink_write(server, AUDIT_REFUSED, &json, false);
}

void audit_blocked(struct server *server, const struct exec_record *record,
                   const struct sandbox_spec *spec, const struct egress_event *event)
{
    static struct json json;
    char address[INET6_ADDRSTRLEN], protocol[16], why[BLOCKED_WHY_MAX];
    bool has_address = event->kind != EGRESS_REFUSED_SOCKET;
    audit_sink_begin(&json, AUDIT_BLOCKED);
    put_record(&json, record);
    json_str(&json, "what", blocked_word(event->kind));
    json_str(&json, "protocol", blocked_protocol(event->protocol, protocol));
    json_str(&json, "to", has_address ? blocked_address(event, address) : NULL);
    if (has_address)
        json_uint(&json, "to_port", event->port);
    else
        json_str(&json, "to_port", NULL);
    json_str(&json, "sandbox", spec->name);
    json_str(&json, "why", blocked_why(spec, event, why));
    struct origin at = sandbox_place(spec, "network", 0);
    put_place(&json, &at);
    (void)audit_sink_write(server, AUDIT_BLOCKED, &json, false);
}

/* A session that has died has counted for nobody. */
static void put_bytes(struct json *json, const char *name, bool counted, uint64_t bytes)
{
    if (counted)
        json_uint(json, name, bytes);
    else
        json_str(json, name, NULL);
}

static const char *const recorded_words[] = {[RECORDED_NOT] = NULL,
                                             [RECORDED_WHOLE] = "whole",
                                             [RECORDED_FULL] = "full",
                                             [RECORDED_INCOMPLETE] = "incomplete"};

void audit_end(struct server *server, const struct audit_end *end)
{
    static struct json json;
    const struct outcome *outcome = end->outcome;
    audit_sink_begin(&json, AUDIT_END);
    put_record(&json, end->record);
    json_str(&json, "verdict", verdict_word(outcome->verdict));
    json_str(&json, "reason", or_null(outcome->reason));
    struct forbidden killed;
    if (outcome->verdict == VERDICT_SECCOMP && end->usage != NULL && end->spec != NULL &&
        forbidden_find(&end->spec->seccomp, &end->usage->call, &killed))
        put_forbidden(&json, &killed);
    json_uint(&json, "refused", end->refused);
    account_put(&json, end);
    put_bytes(&json, "bytes_in", end->counted, end->bytes_in);
    put_bytes(&json, "bytes_out", end->counted, end->bytes_out);
    put_bytes(&json, "bytes_err", end->counted, end->bytes_err);
    json_str(&json, "recording", recorded_words[end->recording]);
    (void)audit_sink_write(server, AUDIT_END, &json, end->spec != NULL);
}

void audit_closed(const struct connection *connection)
{
    static struct json json;
    audit_sink_begin(&json, AUDIT_CLOSED);
    json_str(&json, "connection", connection->id);
    json_str(&json, "tenant", or_null(connection->tenant));
    json_str(&json, "user", connection->user);
    json_str(&json, "client", connection->peer_host);
    json_uint(&json, "port", connection->peer_port);
    json_str(&json, "reason",
             connection->end_reason[0] != '\0' ? connection->end_reason : "the client closed it");
    json_str(&json, "limit", room_limit_word(connection->lost_limit));
    json_uint(&json, "execs", connection->n_execs_started);
    json_uint(&json, "duration_ms", loop_now_ms() - connection->started_ms);
    (void)audit_sink_write(connection->server, AUDIT_CLOSED, &json, false);
}

void audit_reload(struct server *server, const struct audit_reload *reload)
{
    static struct json json;
    audit_sink_begin(&json, AUDIT_RELOAD);
    json_uint(&json, "generation", reload->number);
    json_str(&json, "result", reload->loaded ? "loaded" : "refused");
    json_str(&json, "reason", reload->reason);
    if (reload->loaded) {
        json_uint(&json, "tenants", reload->n_tenants);
        json_uint(&json, "keys", reload->n_keys);
    } else {
        json_str(&json, "tenants", NULL);
        json_str(&json, "keys", NULL);
    }
    json_uint(&json, "errors", reload->n_errors);
    (void)audit_sink_write(server, AUDIT_RELOAD, &json, false);
}

void audit_handover(struct server *server, const struct audit_handover *handover)
{
    static struct json json;
    audit_sink_begin(&json, AUDIT_HANDOVER);
    json_str(&json, "result", handover->done ? "done" : "refused");
    json_str(&json, "reason", handover->reason);
    json_str(&json, "version", POSTERN_VERSION);
    json_str(&json, "from", handover->from);
    if (handover->done) {
        json_uint(&json, "connections", handover->n_connections);
        json_uint(&json, "execs", handover->n_execs);
        json_uint(&json, "waiting", handover->n_waiting);
    } else {
        json_str(&json, "connections", NULL);
        json_str(&json, "execs", NULL);
        json_str(&json, "waiting", NULL);
    }
    (void)audit_sink_write(server, AUDIT_HANDOVER, &json, false);
}

void audit_operator(struct server *server, const struct audit_operator *act)
{
    static struct json json;
    audit_sink_begin(&json, AUDIT_OPERATOR);
    json_str(&json, "verb", act->verb);
    json_uint(&json, "uid", act->uid);
    json_uint(&json, "pid", (uint64_t)act->pid);
    json_str(&json, "exec", or_null(act->exec));
    json_str(&json, "tenant", or_null(act->tenant));
    json_str(&json, "key", or_null(act->key));
    json_str(&json, "connection", or_null(act->connection));
    json_str(&json, "reason", or_null(act->reason));
    if (act->counted) {
        json_uint(&json, "ended", act->ended);
        json_uint(&json, "queued", act->queued);
        json_uint(&json, "connections", act->connections);
    }
    (void)audit_sink_write(server, AUDIT_OPERATOR, &json, true);
}
