#include "broker.h"
#include "admit.h"
#include "audit.h"
#include "auth_log.h"
#include "cleanup.h"
#include "exchange.h"
#include "exec.h"
#include "generation.h"
#include "key_describe.h"
#include "log.h"
#include "policy_files.h"
#include "presence.h"
#include "proof.h"
#include "signature.h"
#include "signer.h"
#include "startup.h"
#include "terminal_rule.h"
#include "waiting.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    /* Key exchanges of one connection. A client may ask for one at any time (RFC 4253 §9); those
     * that do so after every few kilobytes stay well below. */
    EXCHANGES_EARLY_MAX = 10, /* before authentication */
    EXCHANGES_MAX = 600,      /* in EXCHANGES_MS, all of which may come at once */
    EXCHANGES_MS = 60000,
};

/* What is wrong with a request for a signature; NULL: nothing. */
static const char *sign_problem(struct connection *connection, const struct msg_req_sign *req,
                                struct wire_bytes key)
{
    const char *digest;
    uint64_t now_ms = loop_now_ms();
    if (connection->hash_len > 0)
        return "its session asked for a signature out of turn";
    if (key.len == 0)
        return "its session asked for a signature by a host key that there is not";
    if (signature_digest(req->algorithm, key.data, key.len, &digest) < 0)
        return "its session asked for a signature by an algorithm that the host key does not have";
    if (!connection->authenticated && ++connection->n_signed > EXCHANGES_EARLY_MAX)
        return "too many key exchanges before authentication";
    if (rate_wait_ms(&connection->sign_rate, EXCHANGES_MAX, EXCHANGES_MS, now_ms) > 0)
        return "too many key exchanges";
    rate_take(&connection->sign_rate, EXCHANGES_MAX, EXCHANGES_MS, now_ms);
    return NULL;
}

/* One that was lost is stood in for by its successor, if that has the keys that this connection's
 * client knows the host by. */
static void replace_lost_signer(struct connection *connection)
{
    struct signer *next = connection->server->current->signer;
    if (signer_is_ready(connection->signer) || next == NULL || !signer_is_ready(next))
        return;
    struct wire_bytes had = signer_host_keys(connection->signer), has = signer_host_keys(next);
    if (had.len == 0 || had.len != has.len || memcmp(had.data, has.data, has.len) != 0)
        return;
    signer_unref(connection->signer);
    connection->signer = signer_ref(next);
}

/* What is never signed costs no hashing either, so the limits come first. */
void broker_on_req_sign(struct connection *connection, const struct msg_req_sign *req)
{
    struct err err = {0};
    unsigned char hash[IPC_HASH_MAX];
    size_t len = 0;
    replace_lost_signer(connection);
    const struct exchange exchange = {.input = req->exchange,
                                      .digest_len = req->digest_len,
                                      .version = connection->version,
                                      .host_key = signer_host_key(connection->signer, req->key)};
    const char *problem = sign_problem(connection, req, exchange.host_key);
    if (problem == NULL && (len = exchange_hash(&exchange, hash)) == 0)
        problem = "its session asked for a signature of what is no key exchange of its own";
    const struct msg_req_sign_for ask = {.conn = connection->number,
                                         .key = req->key,
                                         .algorithm = req->algorithm,
                                         .hash = {hash, len}};
    if (problem == NULL && signer_ask(connection->signer, &ask, &err) < 0)
        problem = err.text;
    if (problem != NULL) {
        connection_end(connection, problem);
        return;
    }
    memcpy(connection->hash, hash, len);
    connection->hash_len = len;
}

void broker_on_signed(struct connection *connection, struct wire_bytes signature)
{
    struct ipc_msg answer = {.type = MSG_ANS_SIGN, .ans_sign = {.signature = signature}};
    if (connection->closing || connection->hash_len == 0)
        return;
    if (signature.len == 0) {
        connection_end(connection, "the signer could not sign for it");
        return;
    }
    if (connection->session_id_len == 0) {
        memcpy(connection->session_id, connection->hash, connection->hash_len);
        connection->session_id_len = connection->hash_len;
    }
    connection->hash_len = 0;
    connection_send(connection, &answer, NULL, 0);
}

static void answer_auth(struct connection *connection, bool accepted)
{
    struct ipc_msg answer = {.type = MSG_ANS_AUTH, .ans_auth = {.accepted = accepted}};
    connection_send(connection, &answer, NULL, 0);
}

static void record_auth(const struct connection *connection, const struct msg_req_auth *req,
                        const struct login *login, bool accepted)
{
    struct key_description description;
    key_describe(&policy_files_host, req->blob.data, req->blob.len, &description);
    auth_log_result(connection, req, login, accepted, &description);
    metrics_auth(&connection->server->metrics, req->method, accepted);
    audit_auth(connection, req, login, accepted, &description);
}

/* The login name is fixed by the first request: a later one can't ride on what came before. */
static bool same_user(struct connection *connection, const char *user)
{
    if (!connection->user_known) {
        (void)snprintf(connection->user, sizeof connection->user, "%s", user);
        connection->user_known = true;
    }
    return strcmp(connection->user, user) == 0;
}

static bool remember_key(struct connection *connection, const struct msg_req_auth *req,
                         enum auth_method method)
{
    connection->method = method;
    if (method == AUTH_NONE)
        return true;
    connection->blob = malloc(req->blob.len);
    if (connection->blob == NULL)
        return false;
    memcpy(connection->blob, req->blob.data, req->blob.len);
    connection->blob_len = req->blob.len;
    return true;
}

static void accept_login(struct connection *connection, const struct msg_req_auth *req,
                         const struct login_request *who, const struct login *login)
{
    struct server *server = connection->server;
    if (!remember_key(connection, req, who->method)) {
        answer_auth(connection, false);
        return;
    }
    connection->authenticated = true;
    startup_succeed(connection);
    loop_disarm(server->loop, &connection->timer);
    connection->link.state = STATE_AUTHED;
    record_auth(connection, req, login, true);
    answer_auth(connection, true);
    presence_begin(connection, login->tenant);
}

static void refuse_login(struct connection *connection, const struct msg_req_auth *req,
                         const struct login *login)
{
    /* Every client begins with "none" to learn the methods (RFC 4252 §5.2). */
    bool first_none = connection->requests == 1 && strcmp(req->method, "none") == 0;
    if (!first_none)
        connection->failures++;
    /* First of all: how much is written down depends on whether there is such a login. */
    answer_auth(connection, false);
    if (!first_none || login->tenant != NULL)
        record_auth(connection, req, login, false);
    else
        auth_log_question(connection, req, login);
    if (!first_none && connection->failures == connection->max_auth_tries)
        auth_log_exceeded(connection);
}

static bool is_proven(const struct connection *connection, const struct msg_req_auth *req)
{
    struct proof proof = {.session_id = {connection->session_id, connection->session_id_len},
                          .user = req->user,
                          .blob = req->blob,
                          .signature = req->signature};
    return proof_holds(&proof);
}

/* What the key's line asks of a security key; NULL: it has been done. */
static const char *presence_problem(const struct policy_key *key, struct wire_bytes signature)
{
    struct sk_signature sk;
    if (key == NULL || !signature_is_sk(signature, &sk))
        return NULL;
    if (!sk.touched && !key->untouched)
        return "its security key was not touched, and the key has no no-touch-required";
    if (!sk.verified && key->verified)
        return "its security key did not verify its user, as verify-required wants";
    return NULL;
}

/* What is wrong with the proof that it comes with; NULL: nothing. */
static const char *proof_problem(const struct connection *connection,
                                 const struct msg_req_auth *req, const struct policy_key *key)
{
    const struct server_config *config = &connection->server->current->policy->server;
    if (!is_proven(connection, req))
        return "the signature is wrong";
    if (!signature_is_of(req->signature, config->algorithms[ALGORITHM_USER_KEY]))
        return "its signature's algorithm is not one of user-key-algorithms";
    return presence_problem(key, req->signature);
}

/* What is wrong with a request, whoever it would log in; NULL: nothing. */
static const char *request_problem(struct connection *connection, const struct msg_req_auth *req)
{
    if (!same_user(connection, req->user))
        return "the login name changed";
    if (strcmp(req->method, "none") != 0 && strcmp(req->method, "publickey") != 0)
        return "the method is not offered";
    if (connection->failures >= connection->server->current->policy->server.max_auth_tries)
        return "too many failures before";
    return NULL;
}

void broker_on_req_auth(struct connection *connection, const struct msg_req_auth *req)
{
    struct login login;
    if (++connection->requests > AUTH_REQUESTS_MAX) {
        connection_end(connection, "too many authentication requests");
        return;
    }
    bool none = strcmp(req->method, "none") == 0, proves = req->signature.len > 0;
    if (proves && connection->session_id_len == 0) {
        connection_end(connection, "its session claimed a key before any key exchange");
        return;
    }
    struct login_request who = {.policy = connection->server->current->policy,
                                .user = req->user,
                                .method = none ? AUTH_NONE : AUTH_PUBLICKEY,
                                .blob = req->blob.data,
                                .blob_len = req->blob.len,
                                .peer_host = connection->peer_host,
                                .now = time(NULL)};
    /* Judged before anything else is known, so that every refusal has done the same work. */
    decide_login(&who, &login);
    if (!connection->user_known)
        connection->login_known = login.login_known;
    const char *problem = request_problem(connection, req);
    /* Whether a key is listed is no secret to who knows it: a query tells. */
    if (problem == NULL && login.accepted && !none && proves)
        problem = proof_problem(connection, req, login.key);
    if (problem != NULL)
        (void)snprintf(login.reason, sizeof login.reason, "%s", problem);
    if (problem != NULL || !login.accepted)
        refuse_login(connection, req, &login);
    else if (none || proves)
        accept_login(connection, req, &who, &login);
    else
        answer_auth(connection, true);
}

struct login_request broker_who_is(const struct connection *connection)
{
    return (struct login_request){.policy = connection->server->current->policy,
                                  .user = connection->user,
                                  .method = connection->method,
                                  .blob = connection->blob,
                                  .blob_len = connection->blob_len,
                                  .peer_host = connection->peer_host,
                                  .now = time(NULL),
                                  .is_genuine = true};
}

void broker_on_req_env(struct connection *connection, const struct msg_req_env *req)
{
    struct login_request who = broker_who_is(connection);
    struct login login;
    decide_login(&who, &login);
    bool accepted = login.accepted && tenant_accepts_env(login.tenant, req->name, req->value);
    struct ipc_msg answer = {.type = MSG_ANS_ENV,
                             .ans_env = {.channel = req->channel, .accepted = accepted}};
    connection_send(connection, &answer, NULL, 0);
}

void broker_on_req_terminal(struct connection *connection, const struct msg_req_terminal *req)
{
    struct login_request who = broker_who_is(connection);
    struct login login;
    struct origin at;
    char why[128] = "", text[IPC_LINE_MAX] = "no terminal is offered here";
    decide_login(&who, &login);
    bool accepted = login.accepted && terminal_rule_allows(&login, why, sizeof why, &at);
    if (why[0] != '\0' && login.tenant->explain == EXPLAIN_RULE && at.file != NULL)
        (void)snprintf(text, sizeof text, "no terminal: %s (%.64s:%u)", why, at.file, at.line);
    else if (why[0] != '\0' && login.tenant->explain != EXPLAIN_NONE)
        (void)snprintf(text, sizeof text, "no terminal: %s", why);
    struct ipc_msg answer = {
        .type = MSG_ANS_TERMINAL,
        .ans_terminal = {.channel = req->channel, .accepted = accepted, .text = text}};
    connection_send(connection, &answer, NULL, 0);
}

void broker_on_req_exec(struct connection *connection, const struct msg_req_exec *req)
{
    /* An exec lasts until its channel is done: more of them than channels are no client's doing. */
    if (exec_find(connection, req->channel) != NULL || waiting_has(connection, req->channel) ||
        connection->n_execs_open + connection->n_waiting >= connection->max_channels) {
        connection_end(connection, "its session asked for an exec out of turn");
        return;
    }
    struct asking asking = {.connection = connection, .req = req, .since_ms = loop_now_ms()};
    (void)snprintf(asking.record.id, sizeof asking.record.id, "%.40s.%" PRIu64, connection->id,
                   ++connection->n_execs_started);
    admit_judge(&asking);
}
