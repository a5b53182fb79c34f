#include "requests.h"
#include "auth.h"
#include "overhear.h"
#include "peek.h"
#include "tell.h"
#include "terminal.h"

#include <libssh/server.h>
#include <string.h>

/* What becomes of a message: libssh's refusal if it wants a reply, or nothing more. */
enum { REFUSE = 1, HANDLED = 0 };

/* Values of an exec request's kind, as the policy knows them. */
enum { KIND_COMMAND, KIND_SHELL, KIND_SUBSYSTEM };

static void report_negotiation(ssh_session ssh)
{
    TELL(LOG_LEVEL_DEBUG, "client \"%s\": %s, %s / %s, %s / %s", ssh_get_clientbanner(ssh),
         ssh_get_kex_algo(ssh), ssh_get_cipher_in(ssh), ssh_get_cipher_out(ssh),
         ssh_get_hmac_in(ssh), ssh_get_hmac_out(ssh));
}

/* The first message after the key exchange. */
static int on_service(struct session *session, ssh_message msg)
{
    const char *name = ssh_message_service_service(msg);
    if (name != NULL && strcmp(name, "ssh-userauth") == 0) {
        report_negotiation(session->ssh);
        (void)ssh_message_service_reply_success(msg);
        return HANDLED;
    }
    /* RFC 4253 §10: a service that isn't offered ends the connection. */
    session_close(session, true, "no such service");
    return HANDLED;
}

static int on_auth(struct session *session, ssh_message msg)
{
    const char *user = ssh_message_auth_user(msg);
    const char *method = ssh_message_subtype(msg) == SSH_AUTH_METHOD_INTERACTIVE
                             ? "keyboard-interactive"
                             : "unknown";
    auth_on_other(session, user != NULL ? user : "", method);
    return REFUSE;
}

static int on_open_session(struct session *session, ssh_message msg)
{
    struct channel *channel = chan_new(session);
    if (channel == NULL) {
        TRACE("<- open session");
        TRACE("-> open refused: already %u channels", session->n_channels);
        return REFUSE;
    }
    TRACE("ch %u <- open session", channel->id);
    ssh_channel ssh = ssh_message_channel_request_open_reply_accept(msg);
    if (ssh == NULL) {
        chan_free(channel);
        return REFUSE;
    }
    TRACE("ch %u -> open confirmed", channel->id);
    chan_bind(channel, ssh);
    return HANDLED;
}

static int on_open(struct session *session, ssh_message msg)
{
    if (!session->authed)
        return REFUSE;
    switch (ssh_message_subtype(msg)) {
    case SSH_CHANNEL_SESSION:
        return on_open_session(session, msg);
    case SSH_CHANNEL_DIRECT_TCPIP:
        TRACE("<- open direct-tcpip to %s port %d",
              ssh_message_channel_request_open_destination(msg),
              ssh_message_channel_request_open_destination_port(msg));
        break;
    default:
        TRACE("<- open %s", overhear_name());
        break;
    }
    TRACE("-> open refused");
    return REFUSE;
}

static int reply(const struct channel *channel, ssh_message msg, bool success)
{
    /* After our CLOSE nothing may be sent on the channel. */
    if (channel->phase == CHANNEL_CLOSED)
        return HANDLED;
    TRACE("ch %u -> %s%s", channel->id, success ? "success" : "failure",
          overhear_wants_reply() ? "" : " (not sent: no reply is wanted)");
    if (!success)
        return REFUSE;
    (void)ssh_message_channel_request_reply_success(msg);
    return HANDLED;
}

static int on_env(struct channel *channel, ssh_message msg)
{
    struct session *session = channel->session;
    const char *name = ssh_message_channel_request_env_name(msg);
    const char *value = ssh_message_channel_request_env_value(msg);
    struct err err = {0};
    bool accepted = false;
    if (name == NULL || value == NULL)
        return reply(channel, msg, false);
    TRACE("ch %u <- request env %s=\"%s\" want-reply=%d", channel->id, name, value,
          overhear_wants_reply());
    if (channel->phase != CHANNEL_IDLE || !env_list_has_room(&channel->env, name, value))
        return reply(channel, msg, false);
    if (ask_env(&session->ask, channel->id, name, value, &accepted, &err) < 0) {
        session_link_lost(session, &err);
        return REFUSE;
    }
    return reply(channel, msg, accepted && env_list_add(&channel->env, name, value) == 0);
}

/* Success at once; whether the command may run is said by how the channel goes on. */
static int start(struct channel *channel, ssh_message msg, uint8_t kind, const char *command)
{
    struct session *session = channel->session;
    struct err err = {0};
    struct msg_req_exec request = {.channel = channel->id, .kind = kind};
    if (channel->phase != CHANNEL_IDLE)
        return reply(channel, msg, false);
    terminal_describe(channel, &request);
    if (ask_exec(&session->ask, &request, command, &channel->env, &err) < 0) {
        session_link_lost(session, &err);
        return REFUSE;
    }
    env_list_free(&channel->env);
    channel->phase = CHANNEL_ASKED;
    channel->answer_due = true;
    return reply(channel, msg, true);
}

static int on_exec(struct channel *channel, ssh_message msg)
{
    const char *command = ssh_message_channel_request_command(msg);
    TRACE("ch %u <- request exec \"%s\" want-reply=%d", channel->id, command,
          overhear_wants_reply());
    return start(channel, msg, KIND_COMMAND, command != NULL ? command : "");
}

static int on_subsystem(struct channel *channel, ssh_message msg)
{
    const char *name = ssh_message_channel_request_subsystem(msg);
    TRACE("ch %u <- request subsystem \"%s\" want-reply=%d", channel->id, name,
          overhear_wants_reply());
    return start(channel, msg, KIND_SUBSYSTEM, name != NULL ? name : "");
}

/* One that libssh knows only by name, if at all, or a terminal's after our CLOSE. */
static int on_other_request(struct channel *channel, ssh_message msg)
{
    char name[PEEK_NAME_MAX];
    peek_request_name(name);
    TRACE("ch %u <- request %s want-reply=%d", channel->id, overhear_name(),
          overhear_wants_reply());
    return reply(channel, msg,
                 ssh_message_subtype(msg) == SSH_CHANNEL_REQUEST_UNKNOWN &&
                     strcmp(name, "break") == 0 && terminal_on_break(channel));
}

static int on_channel_request(struct session *session, ssh_message msg)
{
    struct channel *channel = chan_find_ssh(session, ssh_message_channel_request_channel(msg));
    if (channel == NULL)
        return REFUSE;
    switch (ssh_message_subtype(msg)) {
    case SSH_CHANNEL_REQUEST_ENV:
        return on_env(channel, msg);
    case SSH_CHANNEL_REQUEST_EXEC:
        return on_exec(channel, msg);
    case SSH_CHANNEL_REQUEST_SUBSYSTEM:
        return on_subsystem(channel, msg);
    case SSH_CHANNEL_REQUEST_SHELL:
        TRACE("ch %u <- request shell want-reply=%d", channel->id, overhear_wants_reply());
        return start(channel, msg, KIND_SHELL, "");
    default:
        return on_other_request(channel, msg);
    }
}

static int on_message(ssh_session ssh, ssh_message msg, void *userdata)
{
    struct session *session = userdata;
    (void)ssh;
    /* The answer to all that comes now is the reason with which the connection ends: a client that
     * was refused something before would not wait for it. */
    if (session->closing)
        return HANDLED;
    switch (ssh_message_type(msg)) {
    case SSH_REQUEST_SERVICE:
        return on_service(session, msg);
    case SSH_REQUEST_AUTH:
        return on_auth(session, msg);
    case SSH_REQUEST_CHANNEL_OPEN:
        return on_open(session, msg);
    case SSH_REQUEST_CHANNEL:
        return on_channel_request(session, msg);
    default:
        /* Global requests: tcpip-forward and its like. */
        return REFUSE;
    }
}

void requests_listen(struct session *session)
{
    ssh_set_message_callback(session->ssh, on_message, session);
}
