/* `status` and `reload`: how the server is, and what became of a new policy. */
#include "control.h"
#include "exec.h"
#include "generation.h"
#include "listener.h"
#include "reload.h"
#include "waiting.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

static struct json json;

static void put_time(const char *name, time_t when)
{
    struct tm tm;
    char text[32] = "";
    if (when != 0 && gmtime_r(&when, &tm) != NULL)
        (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_str(&json, name, text[0] != '\0' ? text : NULL);
}

static const char *state_of(const struct server *server)
{
    if (server->stopping)
        return "stopping";
    return server->drain.active ? "draining" : "serving";
}

static void put_generation(const struct server *server)
{
    const struct generation *current = server->current;
    json_uint(&json, "generation", current->number);
    put_time("loaded", current->loaded_at);
    json_uint(&json, "tenants", current->policy->n_tenants);
    json_uint(&json, "keys", current->n_keys);
    json_bool(&json, "reloading", reload_is_running(server) || server->next != NULL);
}

static void put_reload(const struct reload_result *result)
{
    json_str(&json, "reload", !result->known ? NULL : result->loaded ? "loaded" : "refused");
    put_time("reload_at", result->known ? result->at : 0);
    json_str(&json, "reload_reason", result->reason[0] != '\0' ? result->reason : NULL);
    json_uint(&json, "reload_errors", result->n_errors);
}

static void put_limit(const char *name, uint64_t limit)
{
    if (limit == COUNT_INFINITY)
        json_str(&json, name, NULL);
    else
        json_uint(&json, name, limit);
}

static void count_penalty(void *arg, const struct source_key *source, uint32_t points,
                          uint64_t left_ms)
{
    (void)source;
    (void)points;
    *(uint64_t *)arg += left_ms > 0;
}

static void put_counts(const struct server *server)
{
    const struct server_config *config = &server->current->policy->server;
    uint64_t old = 0, penalties = 0;
    for (const struct exec *exec = server->execs; exec != NULL; exec = exec->next)
        old += exec->generation != server->current;
    penalty_list(&server->penalties, loop_now_ms(), count_penalty, &penalties);
    json_uint(&json, "connections", server->n_connections);
    put_limit("max_connections", config->max_connections);
    json_uint(&json, "authenticated", server->n_connections - server->n_unauthenticated);
    json_uint(&json, "startups", server->n_unauthenticated + server->n_proxied);
    put_limit("max_startups", config->max_startups);
    json_uint(&json, "execs", server->n_execs);
    json_uint(&json, "running", server->n_running);
    json_uint(&json, "max_running", server->max_execs);
    json_uint(&json, "of_older_generations", old);
    json_uint(&json, "queued", waiting_count(server));
    json_uint(&json, "penalised", penalties);
}

void control_on_status(struct control_client *client, const struct ipc_msg *msg)
{
    const struct server *server = client->server;
    (void)msg;
    control_begin(&json);
    json_uint(&json, "pid", (uint64_t)getpid());
    json_str(&json, "version", POSTERN_VERSION);
    json_str(&json, "config", server->options.config_path);
    json_str(&json, "state", state_of(server));
    put_time("started", server->started_at);
    json_uint(&json, "uptime_ms", loop_now_ms() - server->started_ms);
    put_time("draining", server->drain.active ? server->drain.since : 0);
    put_time("refuses_from", server->drain.active ? server->drain.refuses_from : 0);
    json_bool(&json, "then_stop", server->drain.then_stop);
    put_generation(server);
    put_reload(&server->last_reload);
    listeners_put(server, &json);
    put_counts(server);
    control_put(client, &json);
    control_end(client, EX_OK, "%s", "");
}

void control_on_reload(struct control_client *client, const struct ipc_msg *msg)
{
    (void)msg;
    if (client->server->stopping) {
        control_end(client, 1, "the server is shutting down");
        return;
    }
    control_record(client, "reload");
    client->await = AWAIT_RELOAD;
    reload_start(client->server);
    control_news(client->server);
}

static void put_diag(struct control_client *client, const struct diag *diag)
{
    control_begin(&json);
    json_str(&json, "grade", diag->grade == DIAG_ERROR ? "error" : "warning");
    json_str(&json, "file", diag->file);
    if (diag->line > 0)
        json_uint(&json, "line", diag->line);
    else
        json_str(&json, "line", NULL);
    json_str(&json, "text", diag->text);
    json_str(&json, "hint", diag->hint[0] != '\0' ? diag->hint : NULL);
    control_put(client, &json);
}

void control_reload_news(struct control_client *client)
{
    const struct server *server = client->server;
    const struct reload_result *result = &server->last_reload;
    if (server->stopping) {
        control_end(client, 1, "the server is shutting down");
        return;
    }
    if (reload_is_running(server) || server->next != NULL)
        return;
    for (size_t i = 0; i < result->diags.n; i++)
        put_diag(client, &result->diags.items[i]);
    control_begin(&json);
    put_reload(result);
    put_generation(server);
    json_bool(&json, "truncated",
              result->diags.truncated || result->diags.more_warnings || client->left_out);
    client->left_out = false;
    control_put(client, &json);
    if (result->loaded)
        control_end(client, EX_OK, "%s", "");
    else
        /* A single error is its own reason, and has just been shown. */
        control_end(client, 1, "%s; generation %llu stays",
                    result->n_errors == 1 && result->diags.n > 0 ? "the policy has 1 error"
                                                                 : result->reason,
                    (unsigned long long)server->current->number);
}
