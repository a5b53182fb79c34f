#include "admit.h"
#include "account.h"
#include "audit_sink.h"
#include "broker.h"
#include "cgroups.h"
#include "cleanup.h"
#include "client_wish.h"
#include "generation.h"
#include "key_describe.h"
#include "log.h"
#include "policy_files.h"
#include "recordings.h"
#include "waiting.h"

#include <stdio.h>
#include <string.h>

/* Each writes to log and audit: a client that loops must not fill a disk. */
enum { DENIALS_AT_ONCE = 500, DENIAL_MS = 50 };

/* A refusal in full, for log and audit; the client sees as much of it as the tenant explains. */
struct refusal {
    enum verdict verdict;
    enum limit limit;
    enum denial kind; /* where it is for no limit */
    const char *reason;
    const struct origin *rule;
    enum explain_level explain;
    bool recorded;  /* that it was decided */
    unsigned signo; /* of VERDICT_SIGNALLED */
};

/* An account in the middle of what a person reads is a nuisance: on a terminal only those get one
 * who have asked for it themselves. */
static bool gets_receipt(const struct decision *decision)
{
    return decision->receipt == RECEIPT_BY_CLIENT ||
           (decision->receipt == RECEIPT_BY_POLICY && !decision->terminal);
}

static void fill_record(const struct connection *connection, const struct decision *decision,
                        struct exec_record *record)
{
    struct exec_record old = *record;
    const struct login *login = &decision->login;
    *record = (struct exec_record){.peer_port = connection->peer_port,
                                   .receipt = gets_receipt(decision),
                                   .generation = connection->server->current->number};
    memcpy(record->id, old.id, sizeof record->id);
    (void)snprintf(record->conn_id, sizeof record->conn_id, "%s", connection->id);
    (void)snprintf(record->user, sizeof record->user, "%s", connection->user);
    (void)snprintf(record->peer_host, sizeof record->peer_host, "%s", connection->peer_host);
    if (login->tenant == NULL)
        return;
    (void)snprintf(record->tenant, sizeof record->tenant, "%s", login->tenant->name);
    if (login->key == NULL)
        return;
    /* Of the client's own key, not of the authority that certified it. */
    struct key_description key;
    key_describe(&policy_files_host, connection->blob, connection->blob_len, &key);
    (void)snprintf(record->key, sizeof record->key, "%s", key.fingerprint);
    struct wire_bytes name = login_key_name(login);
    (void)snprintf(record->key_comment, sizeof record->key_comment, "%.*s", (int)name.len,
                   (const char *)name.data);
}

static void explain(const struct refusal *refusal, struct outcome *outcome)
{
    const struct origin *rule = refusal->rule;
    if (refusal->explain == EXPLAIN_NONE)
        (void)snprintf(outcome->reason, sizeof outcome->reason, "not allowed by policy");
    else if (refusal->explain == EXPLAIN_RULE && rule->file != NULL)
        (void)snprintf(outcome->reason, sizeof outcome->reason, "%.160s (%.64s:%u)",
                       refusal->reason, rule->file, rule->line);
    else
        (void)snprintf(outcome->reason, sizeof outcome->reason, "%s", refusal->reason);
}

/* Refills and takes from the connection's allowance of denials; false when it is used up. */
static bool may_be_denied(struct connection *connection)
{
    uint64_t now = loop_now_ms();
    if (connection->denial_ms == 0) {
        connection->denials = DENIALS_AT_ONCE;
        connection->denial_ms = now;
    }
    uint64_t back = (now - connection->denial_ms) / DENIAL_MS;
    connection->denial_ms += back * DENIAL_MS;
    uint64_t denials = connection->denials + back;
    connection->denials = denials < DENIALS_AT_ONCE ? (unsigned)denials : DENIALS_AT_ONCE;
    if (connection->denials == 0)
        return false;
    connection->denials--;
    return true;
}

static uint64_t waited_ms(const struct asking *asking)
{
    return asking->queued ? loop_now_ms() - asking->since_ms : 0;
}

static void record_denial(const struct asking *asking, const struct refusal *refusal)
{
    char command[256];
    const struct audit_start start = {.record = &asking->record,
                                      .req = asking->req,
                                      .rule = refusal->rule,
                                      .reason = refusal->reason,
                                      .limit = room_limit_word(refusal->limit),
                                      .queued_ms = waited_ms(asking)};
    audit_start(asking->connection->server, &start);
    metrics_denied(&asking->connection->server->metrics, refusal->limit, refusal->kind);
    log_line(
        LOG_LEVEL_INFO, "%s: denied%s%s: %s (command: %s)", asking->record.id,
        asking->record.tenant[0] != '\0' ? " " : "", asking->record.tenant, refusal->reason,
        log_escape(command, sizeof command, asking->req->command.data, asking->req->command.len));
}

static void refuse(const struct asking *asking, const struct refusal *refusal)
{
    struct connection *connection = asking->connection;
    struct outcome outcome = {.verdict = refusal->verdict,
                              .code = verdict_status(refusal->verdict)};
    char line[IPC_LINE_MAX], receipt[IPC_RECEIPT_MAX + 1] = "";
    (void)snprintf(outcome.reason, sizeof outcome.reason, "%s", refusal->reason);
    if (refusal->signo != 0) {
        outcome.signalled = true;
        outcome.code = refusal->signo;
    }
    if (refusal->verdict != VERDICT_SANDBOX && !refusal->recorded)
        record_denial(asking, refusal);
    static const struct report nothing;
    struct audit_end end = {
        .record = &asking->record, .outcome = &outcome, .usage = &nothing, .counted = true};
    audit_end(connection->server, &end);
    account_count(connection->server, &end);
    if (asking->record.receipt)
        account_receipt(&end, receipt);
    if (refusal->verdict == VERDICT_DENIED)
        explain(refusal, &outcome);
    verdict_line(&outcome, asking->record.id, line, sizeof line);
    struct ipc_msg answer = {.type = MSG_ANS_EXEC,
                             .ans_exec = {.channel = asking->req->channel,
                                          .exec_id = asking->record.id,
                                          .text = line,
                                          .signalled = outcome.signalled,
                                          .status = outcome.code,
                                          .receipt = receipt}};
    connection_send(connection, &answer, NULL, 0);
    if (!may_be_denied(connection))
        connection_end(connection, "too many of its commands were refused");
}

void admit_refuse(const struct asking *asking, const struct tenant *tenant, enum limit limit,
                  const char *reason)
{
    static const struct origin nowhere;
    const struct refusal refusal = {.verdict = VERDICT_DENIED,
                                    .limit = limit,
                                    .kind = DENIAL_LOGIN,
                                    .reason = reason,
                                    .rule = tenant != NULL ? &tenant->origin : &nowhere,
                                    .explain = tenant != NULL ? tenant->explain : EXPLAIN_REASON};
    refuse(asking, &refusal);
}

void admit_signalled(const struct asking *asking, const struct tenant *tenant, unsigned signo,
                     const char *reason)
{
    static const struct origin nowhere;
    const struct refusal refusal = {.verdict = VERDICT_SIGNALLED,
                                    .limit = LIMIT_QUEUE,
                                    .kind = DENIAL_LOGIN,
                                    .reason = reason,
                                    .rule = tenant != NULL ? &tenant->origin : &nowhere,
                                    .signo = signo};
    refuse(asking, &refusal);
}

void admit_end(const struct asking *asking, const struct tenant *tenant, const char *reason)
{
    static const struct origin nowhere;
    const struct refusal refusal = {.verdict = VERDICT_ENDED,
                                    .limit = LIMIT_OPERATOR,
                                    .reason = reason,
                                    .rule = tenant != NULL ? &tenant->origin : &nowhere};
    refuse(asking, &refusal);
}

/* Says nothing of the policy, so nothing of it is hidden. */
static void refuse_draining(const struct asking *asking)
{
    static const struct origin nowhere;
    const struct refusal refusal = {.verdict = VERDICT_DENIED,
                                    .limit = LIMIT_DRAINING,
                                    .reason = "the server is draining and takes no new commands; "
                                              "connect again later",
                                    .rule = &nowhere,
                                    .explain = EXPLAIN_REASON};
    refuse(asking, &refusal);
}

void admit_describe_login(const struct connection *connection, const struct login *login, char *buf,
                          size_t len)
{
    char user[80];
    log_escape(user, sizeof user, connection->user, strlen(connection->user));
    bool told = login->tenant == NULL || login->tenant->explain != EXPLAIN_NONE;
    (void)snprintf(buf, len, "login \"%s\" is no longer accepted%s%.120s", user, told ? ": " : "",
                   told ? login->reason : "");
}

static void refuse_by_rule(const struct asking *asking, const struct decision *decision)
{
    const struct tenant *tenant = decision->login.tenant;
    char reason[256];
    (void)snprintf(reason, sizeof reason, "%s", decision->reason);
    if (!decision->login.accepted)
        admit_describe_login(asking->connection, &decision->login, reason, sizeof reason);
    const struct refusal refusal = {.verdict = VERDICT_DENIED,
                                    .kind = decision->login.accepted ? DENIAL_RULE : DENIAL_LOGIN,
                                    .reason = reason,
                                    .rule = &decision->rule,
                                    .explain = tenant != NULL ? tenant->explain : EXPLAIN_REASON};
    refuse(asking, &refusal);
}

static const char no_audit[] =
    "the audit trail can't be written, and nothing runs without it; try again later";

/* What has no record does not run, if the policy says so. */
static bool is_recorded(const struct asking *asking, const struct decision *decision,
                        const struct audit_start *record)
{
    struct server *server = asking->connection->server;
    const struct tenant *tenant = decision->login.tenant;
    if (!audit_sink_lets_start(server)) {
        admit_refuse(asking, tenant, LIMIT_AUDIT, no_audit);
        return false;
    }
    const bool kept = audit_start(server, record),
               needed = server->current->policy->server.audit_mode == AUDIT_REQUIRED;
    if ((kept || !needed) && audit_sink_lets_start(server))
        return true;
    /* One that is kept is still to be written, and is of the decision. */
    const struct refusal refusal = {.verdict = VERDICT_DENIED,
                                    .limit = LIMIT_AUDIT,
                                    .reason = no_audit,
                                    .rule = &tenant->origin,
                                    .explain = tenant->explain,
                                    .recorded = kept};
    refuse(asking, &refusal);
    return false;
}

/* The word for the audit trail, or NULL. */
static const char *recorded_by(const struct decision *decision)
{
    bool all = decision->login.tenant->record == RECORD_OUTPUT;
    return !decision->recorded ? NULL : all ? "output" : "terminal";
}

/* False if it has been refused. */
static bool start_exec(const struct asking *asking, const struct decision *decision,
                       struct tenant_load *load, const struct recording_grant *grant)
{
    struct server *server = asking->connection->server;
    const struct tenant *tenant = decision->login.tenant;
    struct err err = {0};
    const struct audit_start record = {
        .record = &asking->record,
        .req = asking->req,
        .rule = &decision->rule,
        .sandbox = server->current->policy->sandboxes[decision->sandbox].name,
        .terminal = decision->terminal,
        .recorded = recorded_by(decision),
        .queued_ms = waited_ms(asking)};
    if (!is_recorded(asking, decision, &record))
        return false;
    rate_take(&load->rate, tenant->rate, tenant->rate_ms, loop_now_ms());
    if (asking->queued)
        metrics_observe(&server->metrics, METRICS_QUEUE_WAIT, record.queued_ms * 1000);
    if (exec_start(asking->connection, asking->req, &asking->record, load, decision, grant, &err) ==
        0)
        return true;
    log_line(LOG_LEVEL_ERROR, "%s: %s", asking->record.id, err.text);
    const struct refusal refusal = {.verdict = VERDICT_SANDBOX,
                                    .reason =
                                        "the sandbox could not be built; the server's log says why",
                                    .rule = &decision->rule};
    refuse(asking, &refusal);
    return false;
}

static void start(const struct asking *asking, const struct decision *decision,
                  struct tenant_load *load)
{
    struct recording_grant grant = {.fd = -1};
    const struct recording_start what = {asking->connection, &asking->record, asking->req,
                                         decision};
    struct err err = {0};
    if (decision->recorded && recordings_begin(&what, &grant, &err) < 0) {
        log_line(LOG_LEVEL_ERROR, "%s: %s", asking->record.id, err.text);
        /* Whoever wants a record of what is done does not want it done without. */
        admit_refuse(asking, decision->login.tenant, LIMIT_RECORD, err.text);
        return;
    }
    if (!start_exec(asking, decision, load, &grant) && grant.fd >= 0)
        recordings_cancel(&what);
    close_fd(&grant.fd);
}

static void refuse_by_limit(const struct asking *asking, const struct tenant *tenant,
                            const struct limit_hit *hit)
{
    char reason[256], wait[32];
    if (hit->limit == LIMIT_RATE)
        (void)snprintf(reason, sizeof reason, "%s; the next in %s", hit->text,
                       verdict_duration(hit->wait_ms, wait, sizeof wait));
    else
        (void)snprintf(reason, sizeof reason, "%s", hit->text);
    admit_refuse(asking, tenant, hit->limit, reason);
}

/* The rules allow it: whether there is room for it. */
static void start_or_wait(struct asking *asking, const struct decision *decision)
{
    struct server *server = asking->connection->server;
    const struct tenant *tenant = decision->login.tenant;
    struct tenant_load *load = tenant_load_hold(&server->loads, tenant->name);
    struct limit_hit hit;
    if (load == NULL) {
        admit_refuse(asking, tenant, LIMIT_SERVER, "the server is out of memory");
        return;
    }
    load->server = server;
    room_for_exec(tenant, load, server->n_running, server->max_execs, loop_now_ms(), &hit);
    /* Nobody overtakes those who wait, even where there is room for a moment. */
    bool room = hit.limit == LIMIT_NONE &&
                (asking->its_turn || load->queue.n == 0 || tenant->queue_ms == 0);
    if (room)
        start(asking, decision, load);
    else if (tenant->queue_ms == 0 || waiting_add(asking, tenant, load, &hit) < 0)
        refuse_by_limit(asking, tenant, &hit);
    tenant_load_release(&server->loads, load, loop_now_ms());
}

/* Whether the host can keep what the client wants; the policy's own limits were looked at when it
 * was loaded. */
static bool can_keep(const struct server *server, const struct decision *decision)
{
    return !decision->limits.memory_is_clients ||
           server->current->policy->server.limits == LIMITS_BEST_EFFORT ||
           (server->cgroups->limits.controllers & CGROUP_MEMORY) != 0;
}

static void refuse_wish(const struct asking *asking, const struct decision *decision)
{
    const struct tenant *tenant = decision->login.tenant;
    const struct refusal refusal = {
        .verdict = VERDICT_DENIED,
        .kind = DENIAL_CLIENT_LIMIT,
        .reason = WISH_MEMORY
        " can't be kept: this server gives commands no cgroup with a limit of memory",
        .rule = &tenant->origin,
        .explain = tenant->explain};
    refuse(asking, &refusal);
}

/* Points names[] and values[] into the request; the two lists must match. */
static bool split_env(const struct msg_req_exec *req, const char **names, const char **values)
{
    return req->env_names.count == req->env_values.count &&
           wire_strv_split(req->env_names, names, ENV_COUNT_MAX + 1) == 0 &&
           wire_strv_split(req->env_values, values, ENV_COUNT_MAX + 1) == 0;
}

void admit_judge(struct asking *asking)
{
    struct connection *connection = asking->connection;
    const struct msg_req_exec *req = asking->req;
    const char *names[ENV_COUNT_MAX + 1], *values[ENV_COUNT_MAX + 1];
    if (!split_env(req, names, values)) {
        connection_end(connection, "its session asked for an exec out of turn");
        return;
    }
    struct decide_request request = {
        .who = broker_who_is(connection),
        .kind = (enum exec_kind)req->kind,
        .command = (const char *)req->command.data,
        .command_len = req->command.len,
        .command_truncated = req->truncated,
        .terminal = req->terminal,
        .term = req->term,
        .env_names = names,
        .env_values = values,
        .n_env = req->env_names.count,
        .exec_id = asking->record.id,
        .peer_port = connection->peer_port,
        .local_host = connection->local_host,
        .local_port = connection->local_port,
    };
    struct decision decision;
    decide(&request, &decision);
    fill_record(connection, &decision, &asking->record);
    if (connection->server->stopping)
        admit_refuse(asking, decision.login.tenant, LIMIT_STOPPING, "the server is shutting down");
    else if (drain_refuses(connection->server) && !asking->queued)
        refuse_draining(asking);
    else if (connection->lost)
        admit_refuse(asking, decision.login.tenant, connection->lost_limit, connection->end_reason);
    else if (!decision.allowed)
        refuse_by_rule(asking, &decision);
    else if (!can_keep(connection->server, &decision))
        refuse_wish(asking, &decision);
    else
        start_or_wait(asking, &decision);
    decision_free(&decision);
}
