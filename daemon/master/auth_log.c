#include "auth_log.h"
#include "cleanup.h"
#include "log.h"

#include <stdio.h>
#include <string.h>

/* A name of nothing but escapes has four characters for a byte. */
enum { NAME_MAX_SHOWN = 256 };

/* A name that is no method must not forge the words around it. */
static const char *method_name(const char *method)
{
    static const char *const known[] = {
        "none", "publickey", "password", "keyboard-interactive", "hostbased", "gssapi-with-mic"};
    for (size_t i = 0; i < array_len(known); i++)
        if (strcmp(known[i], method) == 0)
            return known[i];
    return "unknown";
}

/* Printable and without blanks. */
static const char *one_word(const char *text, char buf[NAME_MAX_SHOWN])
{
    static const char blank[] = "\\x20";
    char escaped[NAME_MAX_SHOWN];
    size_t n = 0;
    log_escape(escaped, sizeof escaped, text, strlen(text));
    for (const char *c = escaped; *c != '\0' && n + sizeof blank < NAME_MAX_SHOWN; c++) {
        if (*c != ' ') {
            buf[n++] = *c;
            continue;
        }
        memcpy(buf + n, blank, sizeof blank - 1);
        n += sizeof blank - 1;
    }
    buf[n] = '\0';
    return buf;
}

/* Whether the operator learns more from the reason than that there is no such login or key. */
static bool is_telling(const struct msg_req_auth *req, const struct login *login)
{
    return login->rule.file != NULL || is_certificate_blob(req->blob.data, req->blob.len);
}

static void put_reason(const struct login *login, char *buf, size_t cap)
{
    char place[160] = "", reason[sizeof login->reason * 2];
    if (login->rule.file != NULL && login->rule.line > 0)
        (void)snprintf(place, sizeof place, " (%.100s:%u)", login->rule.file, login->rule.line);
    else if (login->rule.file != NULL)
        (void)snprintf(place, sizeof place, " (%.110s)", login->rule.file);
    (void)snprintf(buf, cap, ": %s%s",
                   log_escape(reason, sizeof reason, login->reason, strlen(login->reason)), place);
}

void auth_log_result(const struct connection *connection, const struct msg_req_auth *req,
                     const struct login *login, bool accepted,
                     const struct key_description *offered)
{
    char user[NAME_MAX_SHOWN], key[KEY_DESCRIPTION_MAX], reason[768] = "";
    key_description_format(offered, key, sizeof key);
    if (!accepted && is_telling(req, login))
        put_reason(login, reason, sizeof reason);
    log_escaped(LOG_LEVEL_INFO, "%s %s for %s%s from %s port %u ssh2%s%s%s",
                accepted ? "Accepted" : "Failed", method_name(req->method),
                accepted || login->login_known ? "" : "invalid user ", one_word(req->user, user),
                connection->peer_host, connection->peer_port, key[0] != '\0' ? ": " : "", key,
                reason);
}

void auth_log_question(const struct connection *connection, const struct msg_req_auth *req,
                       const struct login *login)
{
    static const struct key_description nothing = {.type = "", .authority_type = ""};
    if (!login->login_known)
        auth_log_result(connection, req, login, false, &nothing);
}

static const char *whose(const struct connection *connection)
{
    return connection->login_known ? "" : "invalid user ";
}

void auth_log_exceeded(const struct connection *connection)
{
    char user[NAME_MAX_SHOWN];
    log_escaped(LOG_LEVEL_WARNING,
                "maximum authentication attempts exceeded for %s%s from %s port %u ssh2 [preauth]",
                whose(connection), one_word(connection->user, user), connection->peer_host,
                connection->peer_port);
    log_escaped(LOG_LEVEL_INFO,
                "Disconnecting %s user %s %s port %u: Too many authentication failures [preauth]",
                connection->login_known ? "authenticating" : "invalid", user, connection->peer_host,
                connection->peer_port);
}

void auth_log_left(const struct connection *connection)
{
    char user[NAME_MAX_SHOWN];
    if (connection->timed_out)
        log_escaped(LOG_LEVEL_INFO, "Timeout before authentication for %s port %u",
                    connection->peer_host, connection->peer_port);
    else if (connection->user_known && connection->end_reason[0] == '\0' &&
             connection->failures < connection->max_auth_tries)
        log_escaped(LOG_LEVEL_INFO, "Connection closed by %s user %s %s port %u [preauth]",
                    connection->login_known ? "authenticating" : "invalid",
                    one_word(connection->user, user), connection->peer_host, connection->peer_port);
}
