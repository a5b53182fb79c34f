#include "audit.h"
#include "account.h"
#include "blocked_text.h"
#include "cleanup.h"
#include "diag.h"
#include "generation.h"
#include "json.h"
#include "log.h"
#include "nowait.h"
#include "syscall_args.h"
#include "syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>

enum { AUDIT_VERSION = 1 };

int audit_open(const char *where, int *out, struct err *err)
{
    if (strcmp(where, "stderr") == 0) {
        *out = nowait_open(STDERR_FILENO);
        return *out < 0 ? err_set(err, errno, "audit to stderr") : 0;
    }
    cleanup_fd int fd =
        open(where, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK,
             0600);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        bool no_directory = errno == ENOENT;
        err_set(err, errno, "audit file %s", where);
        if (no_directory)
            err_set(err, 0, "audit file %s: its directory does not exist; make it, mode 750",
                    where);
        err->code = EX_CANTCREAT;
        return -1;
    }
    if (!S_ISREG(st.st_mode)) {
        err_set(err, 0, "audit file %s is not a regular file", where);
        err->code = EX_CANTCREAT;
        return -1;
    }
    *out = steal_fd(&fd);
    return 0;
}

static void begin(struct json *json, const char *event)
{
    struct timespec now;
    struct tm tm;
    char date[32] = "", stamp[48];
    clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &tm) != NULL)
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(stamp, sizeof stamp, "%s.%03ldZ", date, now.tv_nsec / 1000000);
    json->len = 0;
    json->full = 0;
    json_uint(json, "v", AUDIT_VERSION);
    json_str(json, "time", stamp);
    json_str(json, "event", event);
}

/* Writes to the trail of the policy that is in force; a line that is cut short by a full disk is
 * ended when there is room again, so that the next one stands by itself. */
static void finish(struct server *server, struct json *json)
{
    struct generation *generation = server->current;
    size_t len = json_end(json);
    if (generation->audit_torn && nowait_write(generation->audit_fd, "\n", 1) == 1)
        generation->audit_torn = false;
    ssize_t written = nowait_write(generation->audit_fd, json->buf, len);
    bool failed = written != (ssize_t)len;
    if (written > 0 && failed)
        generation->audit_torn = true;
    if (failed && !generation->audit_failing)
        log_line(LOG_LEVEL_ERROR, "the audit trail can't be written: %s; execs go on",
                 written < 0 ? strerror(errno) : "line cut short");
    if (!failed && generation->audit_failing)
        log_line(LOG_LEVEL_WARNING, "the audit trail is written again");
    generation->audit_failing = failed;
    server->metrics.counters.audit_lines[!failed]++;
}

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
    begin(&json, "auth");
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
    finish(connection->server, &json);
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

void audit_start(struct server *server, const struct audit_start *start)
{
    static struct json json;
    const struct msg_req_exec *req = start->req;
    begin(&json, "start");
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
    json_uint(&json, "queued_ms", start->queued_ms);
    finish(server, &json);
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
    begin(&json, "refused");
    put_record(&json, record);
    put_forbidden(&json, forbidden);
    finish(server, &json);
}

void audit_blocked(struct server *server, const struct exec_record *record,
                   const struct sandbox_spec *spec, const struct egress_event *event)
{
    static struct json json;
    char address[INET6_ADDRSTRLEN], protocol[16], why[BLOCKED_WHY_MAX];
    bool has_address = event->kind != EGRESS_REFUSED_SOCKET;
    begin(&json, "blocked");
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
    finish(server, &json);
}

/* A session that has died has counted for nobody. */
static void put_bytes(struct json *json, const char *name, bool counted, uint64_t bytes)
{
    if (counted)
        json_uint(json, name, bytes);
    else
        json_str(json, name, NULL);
}

void audit_end(struct server *server, const struct audit_end *end)
{
    static struct json json;
    const struct outcome *outcome = end->outcome;
    begin(&json, "end");
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
    finish(server, &json);
}

void audit_closed(const struct connection *connection)
{
    static struct json json;
    begin(&json, "closed");
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
    finish(connection->server, &json);
}

void audit_reload(struct server *server, const struct audit_reload *reload)
{
    static struct json json;
    begin(&json, "reload");
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
    finish(server, &json);
}
