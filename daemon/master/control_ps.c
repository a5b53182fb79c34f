/* `ps`: what runs, who is connected, and who is not served. Lists are made while they are sent,
 * from where the last item stood, so that they take no memory and a slow reader holds nothing up.
 */
#include "control.h"
#include "cleanup.h"
#include "generation.h"
#include "key_describe.h"
#include "leaf.h"
#include "policy_files.h"
#include "waiting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

struct control_penalty {
    struct source_key source;
    uint32_t points;
    uint64_t left_ms;
};

static void put_known(struct json *json, const char *name, uint64_t value)
{
    if (value == CGROUP_UNKNOWN)
        json_str(json, name, NULL);
    else
        json_uint(json, name, value);
}

static void put_text(struct json *json, const char *name, const char *text)
{
    json_str(json, name, text[0] != '\0' ? text : NULL);
}

bool control_matches(const struct exec_record *record, const char *tenant, const char *key)
{
    return (tenant[0] == '\0' || strcmp(tenant, record->tenant) == 0) &&
           (key[0] == '\0' || strncmp(key, record->key, strlen(key)) == 0);
}

static void put_record(struct json *json, const struct exec_record *record)
{
    json_str(json, "exec", record->id);
    json_str(json, "connection", record->conn_id);
    json_str(json, "tenant", record->tenant);
    json_str(json, "user", record->user);
    put_text(json, "key", record->key);
    put_text(json, "key_comment", record->key_comment);
    json_str(json, "client", record->peer_host);
    json_uint(json, "port", record->peer_port);
}

static void put_command(struct json *json, const struct exec_command *command)
{
    json_str(json, "kind", exec_kind_word(command->kind));
    json_bytes(json, "command", command->text, command->len);
    json_bool(json, "command_cut", command->cut);
    json_bool(json, "terminal", command->terminal);
}

static const char *state_of(const struct exec *exec)
{
    if (exec->ended)
        return "ended";
    if (exec->terminating)
        return "ending";
    return exec->pidfd >= 0 ? "running" : "starting";
}

static void put_usage(struct json *json, const struct exec *exec)
{
    uint64_t memory = CGROUP_UNKNOWN, cpu_us = CGROUP_UNKNOWN;
    if (exec->ended && exec->accounted) {
        memory = 0;
        cpu_us = exec->used.user_us == CGROUP_UNKNOWN ? CGROUP_UNKNOWN
                                                      : exec->used.user_us + exec->used.system_us;
    } else if (exec->leaf != NULL) {
        cgroup_read_now(leaf_fd(exec->leaf), &memory, &cpu_us);
    }
    put_known(json, "cpu_ms", cpu_us == CGROUP_UNKNOWN ? cpu_us : cpu_us / 1000);
    put_known(json, "memory", memory);
}

static void put_exec(struct json *json, const struct exec *exec)
{
    uint64_t until = exec->ended ? exec->ended_ms : loop_now_ms();
    put_record(json, &exec->record);
    json_str(json, "state", state_of(exec));
    json_uint(json, "age_ms", until - exec->started_ms);
    put_usage(json, exec);
    put_known(json, "pid", exec_worker_pid(exec));
    json_str(json, "sandbox", exec_spec(exec)->name);
    json_uint(json, "generation", exec->generation->number);
    put_command(json, &exec->command);
}

/* New ones stand at the head of the list, so the next is the first one that is older. */
static bool next_exec(struct control_client *client, struct json *json)
{
    struct control_cursor *cursor = &client->cursor;
    const struct exec *exec = cursor->hint != NULL ? cursor->hint : client->server->execs;
    while (exec != NULL && (exec->number >= cursor->number ||
                            !control_matches(&exec->record, client->tenant, client->key)))
        exec = exec->next;
    if (exec == NULL)
        return false;
    cursor->number = exec->number;
    cursor->hint = exec;
    put_exec(json, exec);
    return true;
}

static bool next_waiter(struct control_client *client, struct json *json)
{
    struct control_cursor *cursor = &client->cursor;
    struct waiting_view view;
    const struct waiter *found;
    while ((found = waiting_next(client->server, cursor->hint, cursor->number, &view)) != NULL) {
        cursor->number = view.number;
        cursor->hint = found;
        if (!control_matches(view.record, client->tenant, client->key))
            continue;
        put_record(json, view.record);
        json_str(json, "state", "queued");
        json_uint(json, "place", view.place);
        json_uint(json, "age_ms", loop_now_ms() - view.since_ms);
        put_known(json, "cpu_ms", CGROUP_UNKNOWN);
        put_known(json, "memory", CGROUP_UNKNOWN);
        put_known(json, "pid", CGROUP_UNKNOWN);
        put_command(json, &view.command);
        return true;
    }
    return false;
}

static bool next_of_execs(struct control_client *client, struct json *json)
{
    struct control_cursor *cursor = &client->cursor;
    if (cursor->stage == 0) {
        cursor->number = UINT64_MAX;
        cursor->stage = 1;
    }
    if (cursor->stage == 1) {
        if (next_exec(client, json))
            return true;
        cursor->number = 0;
        cursor->hint = NULL;
        cursor->stage = 2;
    }
    return next_waiter(client, json);
}

static void describe_key(const struct connection *connection, struct key_description *key)
{
    *key = (struct key_description){.fingerprint = ""};
    if (connection->blob != NULL)
        key_describe(&policy_files_host, connection->blob, connection->blob_len, key);
}

static void put_connection(struct json *json, const struct connection *c, const char *fingerprint)
{
    const char *state = c->closing || c->lost ? "ending" : c->authenticated ? "open" : "startup";
    json_str(json, "connection", c->id);
    put_text(json, "tenant", c->tenant);
    json_str(json, "user", c->user_known ? c->user : NULL);
    put_text(json, "key", fingerprint);
    json_str(json, "client", c->peer_host);
    json_uint(json, "port", c->peer_port);
    json_str(json, "local", c->local_host);
    json_uint(json, "local_port", c->local_port);
    json_str(json, "state", state);
    json_uint(json, "age_ms", loop_now_ms() - c->started_ms);
    json_uint(json, "open", c->n_execs_open);
    json_uint(json, "queued", c->n_waiting);
    json_uint(json, "execs", c->n_execs_started);
}

/* The same order as of execs. */
static bool next_connection(struct control_client *client, struct json *json)
{
    struct control_cursor *cursor = &client->cursor;
    const char *tenant = client->tenant, *wanted = client->key;
    if (cursor->stage == 0) {
        cursor->number = UINT64_MAX;
        cursor->stage = 1;
    }
    const struct connection *c = cursor->hint != NULL ? cursor->hint : client->server->connections;
    for (; c != NULL; c = c->next) {
        struct key_description key;
        if (c->number >= cursor->number || (tenant[0] != '\0' && strcmp(c->tenant, tenant) != 0))
            continue;
        describe_key(c, &key);
        if (strncmp(key.fingerprint, wanted, strlen(wanted)) != 0)
            continue;
        cursor->number = c->number;
        cursor->hint = c;
        put_connection(json, c, key.fingerprint);
        return true;
    }
    return false;
}

static void keep_penalty(void *arg, const struct source_key *source, uint32_t points,
                         uint64_t left_ms)
{
    struct control_cursor *cursor = arg;
    if (cursor->n < PENALTIES_MAX)
        cursor->penalties[cursor->n++] = (struct control_penalty){*source, points, left_ms};
}

static bool next_penalty(struct control_client *client, struct json *json)
{
    struct control_cursor *cursor = &client->cursor;
    char source[SOURCE_TEXT_MAX];
    if (cursor->at == cursor->n)
        return false;
    const struct control_penalty *penalty = &cursor->penalties[cursor->at++];
    json_str(json, "source", source_format(&penalty->source, source));
    json_uint(json, "points", penalty->points);
    json_bool(json, "refused", penalty->left_ms > 0);
    json_uint(json, "left_ms", penalty->left_ms);
    return true;
}

static void list_penalties(struct control_client *client)
{
    struct control_cursor *cursor = &client->cursor;
    cursor->penalties = calloc(PENALTIES_MAX, sizeof *cursor->penalties);
    if (cursor->penalties == NULL) {
        control_end(client, EX_OSERR, "the server is out of memory");
        return;
    }
    penalty_list(&client->server->penalties, loop_now_ms(), keep_penalty, cursor);
    control_list(client, next_penalty);
    control_end(client, EX_OK, "%s", "");
}

void control_on_ps(struct control_client *client, const struct ipc_msg *msg)
{
    const struct msg_req_ctl_ps *req = &msg->req_ctl_ps;
    (void)snprintf(client->tenant, sizeof client->tenant, "%s", req->tenant);
    (void)snprintf(client->key, sizeof client->key, "%s", req->key);
    if (req->list == CTL_PENALTIES) {
        list_penalties(client);
        return;
    }
    control_list(client, req->list == CTL_EXECS ? next_of_execs : next_connection);
    control_end(client, EX_OK, "%s", "");
}
