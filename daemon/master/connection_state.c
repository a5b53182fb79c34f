/* Connections on their way to the next program (connection.h, state.h). */
#include "cleanup.h"
#include "connection.h"
#include "leaf.h"
#include "presence.h"
#include "signer.h"
#include "startup.h"
#include "state.h"

static void carry_link(struct state *state, struct connection *c)
{
    static void (*const due[])(struct loop_timer *) = {connection_on_login_timeout,
                                                       connection_on_farewell_over,
                                                       connection_on_linger_over, presence_on_lost};
    state_fd(state, &c->link.fd);
    state_fd(state, &c->pidfd);
    state_timer(state, c->server->loop, &c->timer, due, array_len(due));
    signer_carry(state, c->server, &c->signer);
    state_bool(state, &c->closing);
    state_bool(state, &c->died);
    if (c->signer == NULL || (c->link.fd < 0 && !c->closing))
        state_refuse(state);
}

static void carry_peer(struct state *state, struct connection *c)
{
    bool counted = c->from != NULL;
    struct source_key key = {.bits = 0};
    state_address(state, &c->peer);
    STATE_TEXT(state, c->peer_host);
    state_u16(state, &c->peer_port);
    STATE_TEXT(state, c->local_host);
    state_u16(state, &c->local_port);
    state_bool(state, &counted);
    if (!counted)
        return;
    if (state->saving)
        key = c->from->key;
    source_carry_key(state, &key);
    if (!state->saving && state_is_good(state))
        c->from = source_hold(&c->server->sources, &key);
}

/* The hash that is being signed is not needed: the signer's answer is waited for. */
static void carry_keys(struct state *state, struct connection *c)
{
    state_u64(state, &c->sign_rate.whole_ns);
    state_unsigned(state, &c->n_signed);
    state_size(state, &c->hash_len, sizeof c->hash);
    state_bytes(state, c->hash, c->hash_len);
    state_size(state, &c->session_id_len, sizeof c->session_id);
    state_bytes(state, c->session_id, c->session_id_len);
}

static void carry_login(struct state *state, struct connection *c)
{
    STATE_TEXT(state, c->version);
    STATE_TEXT(state, c->user);
    state_bool(state, &c->user_known);
    state_bool(state, &c->login_known);
    state_unsigned(state, &c->requests);
    state_unsigned(state, &c->failures);
    state_bool(state, &c->authenticated);
    state_bool(state, &c->timed_out);
    state_bool(state, &c->judged);
    state_bool(state, &c->regular);
    STATE_ENUM(state, c->method, AUTH_NONE + 1);
    state_blob(state, &c->blob, &c->blob_len, IPC_BLOB_MAX);
    state_u32(state, &c->max_auth_tries);
    if (c->authenticated && c->method == AUTH_PUBLICKEY && c->blob_len == 0)
        state_refuse(state);
}

static void carry_presence(struct state *state, struct connection *c)
{
    struct server *server = c->server;
    STATE_TEXT(state, c->tenant);
    tenant_load_carry(state, server, &server->loads, &c->load);
    if (!state->saving && c->load != NULL)
        c->load->connections++;
    state_bool(state, &c->lost);
    STATE_ENUM(state, c->lost_limit, LIMIT_COUNT);
    STATE_TEXT(state, c->end_reason);
}

static void carry_share(struct state *state, struct connection *c)
{
    state_fd(state, &c->share.fd);
    state_u32(state, &c->share.owner);
    leaf_carry(state, c->server, NULL, &c->share.hold);
}

static void carry_counts(struct state *state, struct connection *c)
{
    state_u64(state, &c->started_ms);
    state_unsigned(state, &c->denials);
    state_u64(state, &c->denial_ms);
    state_u32(state, &c->max_channels);
    state_u64(state, &c->record_max);
    state_u64(state, &c->n_execs_started);
    state_unsigned(state, &c->log_tokens[0]);
    state_unsigned(state, &c->log_tokens[1]);
    state_u64(state, &c->log_second);
    state_unsigned(state, &c->log_dropped);
}

/* Its execs and what it waits for come by themselves. */
static void carry(struct state *state, struct connection *c)
{
    bool starting_up = c->starting_up;
    state_u64(state, &c->number);
    STATE_TEXT(state, c->id);
    carry_link(state, c);
    carry_peer(state, c);
    carry_keys(state, c);
    carry_login(state, c);
    carry_presence(state, c);
    carry_share(state, c);
    carry_counts(state, c);
    state_bool(state, &starting_up);
    if (!state->saving && starting_up)
        startup_begin(c);
    if (c->number == 0 || (starting_up && (c->authenticated || c->closing)))
        state_refuse(state);
}

static void restore(struct state *state, struct server *server)
{
    struct connection *c = connection_new(server);
    if (c == NULL) {
        state_refuse(state);
        return;
    }
    carry(state, c);
    c->link = (struct ipc){.fd = c->link.fd,
                           .link = LINK_SESSION,
                           .self = FROM_MASTER,
                           .state = c->authenticated ? STATE_AUTHED : STATE_PREAUTH};
}

/* The oldest first, as they came: so do the startups come to be in their order. */
void connection_carry_all(struct state *state, struct server *server)
{
    struct connection *c = state->saving ? server->connections : NULL;
    while (c != NULL && c->next != NULL)
        c = c->next;
    for (; c != NULL; c = c->prev) {
        (void)state_more(state, true);
        carry(state, c);
    }
    while (state_more(state, false))
        restore(state, server);
}

void connection_carry(struct state *state, struct server *server, struct connection **connection)
{
    uint64_t number = *connection != NULL ? (*connection)->number : 0;
    state_u64(state, &number);
    if (state->saving || number == 0)
        return;
    *connection = connection_find(server, number);
    if (*connection == NULL)
        state_refuse(state);
}
