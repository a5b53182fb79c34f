#include "zygote.h"
#include "child.h"
#include "cleanup.h"
#include "connection.h"
#include "generation.h"
#include "listener.h"
#include "log.h"
#include "signer.h"
#include "state.h"

#include <errno.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    RETRY_FIRST_MS = 250,
    RETRY_LONGEST_MS = 30000,
    STARTING_MS = 30000,
    ANSWER_MS = 10000, /* between two answers, while connections wait for one */
};

enum zygote_state {
    ZYGOTE_STARTING,
    ZYGOTE_SERVING, /* server->zygote, and no other */
    ZYGOTE_RETIRED, /* kept to hear how its sessions end */
};

struct zygote {
    struct server *server;
    enum zygote_state state;
    struct ipc link;
    struct loop_source source;
    struct child *child;           /* held */
    struct signer *signer;         /* held: signs for its sessions */
    struct generation *generation; /* held: has the settings that it is to be sent; then NULL */
    uid_t uid;
    gid_t gid;
    struct loop_timer deadline; /* of being ready, or of the next answer */
    unsigned n_unanswered;      /* connections that it has not answered for */
    unsigned n_accepted;
    unsigned n_living;   /* sessions forked and not reported dead */
    struct zygote *next; /* in server->zygotes */
};

static void on_zygote(struct loop_source *source);
static void retry_later(struct server *server, const char *what, const char *why);
static void zygote_lost(struct zygote *zygote, const char *why);

static void zygote_free(struct zygote *zygote)
{
    struct server *server = zygote->server;
    struct zygote **at = &server->zygotes;
    while (*at != zygote)
        at = &(*at)->next;
    *at = zygote->next;
    if (server->zygote == zygote)
        server->zygote = NULL;
    loop_remove(server->loop, &zygote->source);
    loop_disarm(server->loop, &zygote->deadline);
    ipc_close(&zygote->link);
    child_release(server, zygote->child);
    signer_unref(zygote->signer);
    generation_unref(zygote->generation);
    free(zygote);
}

/* No new connection will come from it. It may be gone afterwards. */
static void retire(struct zygote *zygote)
{
    if (zygote->server->zygote == zygote)
        zygote->server->zygote = NULL;
    zygote->state = ZYGOTE_RETIRED;
    if (zygote->n_living == 0)
        zygote_free(zygote);
}

static int run_session_program(struct zygote *zygote, const char *path, struct err *err)
{
    if (access(path, X_OK) < 0) {
        err_set(err, errno, "session-path %s", path);
        err->code = EX_UNAVAILABLE;
        return -1;
    }
    return child_execute(zygote->server, path, "postern-session", LINK_ZYGOTE, &zygote->link,
                         &zygote->child, err);
}

/* It waits for this; what it is to show of the host keys, the signer has to say first. */
static int send_setup(struct zygote *zygote, struct err *err)
{
    const struct server_config *config = &zygote->generation->policy->server;
    char *const *algorithms = config->algorithms;
    struct ipc_msg setup = {.type = MSG_EVT_SETUP,
                            .evt_setup = {.uid = zygote->uid,
                                          .gid = zygote->gid,
                                          .log_level = (uint8_t)log_level(),
                                          .host_keys = signer_host_keys(zygote->signer),
                                          .kex = algorithms[ALGORITHM_KEX],
                                          .ciphers = algorithms[ALGORITHM_CIPHER],
                                          .macs = algorithms[ALGORITHM_MAC],
                                          .host_key_algorithms = algorithms[ALGORITHM_HOST_KEY],
                                          .user_key_algorithms = algorithms[ALGORITHM_USER_KEY],
                                          .rekey_bytes = config->rekey_bytes,
                                          .rekey_ms = config->rekey_ms,
                                          .compression = config->compression,
                                          .banner = config->banner != NULL ? config->banner : ""}};
    if (ipc_send(&zygote->link, &setup, NULL, 0, false, err) != IPC_OK)
        return -1;
    generation_unref(zygote->generation);
    zygote->generation = NULL;
    return 0;
}

static void on_deadline(struct loop_timer *timer)
{
    struct zygote *zygote = CONTAINER_OF(timer, struct zygote, deadline);
    struct server *server = zygote->server;
    /* It is stopped, or hangs: its closed link alone would not end it. */
    zygote->child->stuck = true;
    zygote_free(zygote);
    retry_later(server, "postern-session", "it did not get ready in time");
}

/* Its sessions live on without it. */
static void on_no_answer(struct loop_timer *timer)
{
    struct zygote *zygote = CONTAINER_OF(timer, struct zygote, deadline);
    struct server *server = zygote->server;
    zygote->child->stuck = true;
    zygote_lost(zygote, "it does not answer");
    connection_end_unserved(server);
}

static void give_up_starting(struct server *server)
{
    for (struct zygote *zygote = server->zygotes, *next; zygote != NULL; zygote = next) {
        next = zygote->next;
        if (zygote->state == ZYGOTE_STARTING)
            zygote_free(zygote);
    }
}

int zygote_start(struct server *server, struct generation *generation, struct err *err)
{
    struct zygote *zygote = calloc(1, sizeof *zygote);
    if (zygote == NULL)
        return err_set(err, errno, "zygote");
    /* The settings that were asked for last are those that serve. */
    give_up_starting(server);
    loop_disarm(server->loop, &server->zygote_retry);
    *zygote = (struct zygote){.server = server,
                              .state = ZYGOTE_STARTING,
                              .link = {.fd = -1},
                              .source = {.fd = -1},
                              .uid = generation->session_uid,
                              .gid = generation->session_gid,
                              .generation = generation_ref(generation),
                              .next = server->zygotes};
    server->zygotes = zygote;
    zygote->signer = signer_of(generation, err);
    if (zygote->signer != NULL &&
        run_session_program(zygote, generation->policy->server.session_path, err) == 0 &&
        (!signer_is_ready(zygote->signer) || send_setup(zygote, err) == 0) &&
        loop_add(server->loop, &zygote->source, zygote->link.fd, on_zygote, err) == 0 &&
        loop_arm(server->loop, &zygote->deadline, STARTING_MS, on_deadline) == 0) {
        server->metrics.counters.zygote_starts++;
        return 0;
    }
    zygote_free(zygote);
    return -1;
}

void zygote_renew(struct server *server)
{
    struct err err = {0};
    if (zygote_start(server, server->current, &err) < 0)
        retry_later(server, "postern-session", err.text);
}

static void on_retry(struct loop_timer *timer)
{
    zygote_renew(CONTAINER_OF(timer, struct server, zygote_retry));
}

/* A first zygote that fails ends the start; later ones are tried again, ever more slowly. */
static void retry_later(struct server *server, const char *what, const char *why)
{
    if (!server->announced) {
        struct err err = {0};
        err_set(&err, 0, "%s: %s", what, why);
        err.code = EX_UNAVAILABLE;
        server_start_failed(server, &err);
        return;
    }
    uint64_t delay = RETRY_FIRST_MS;
    for (unsigned i = 0; i < server->zygote_failures && delay < RETRY_LONGEST_MS; i++)
        delay *= 2;
    server->zygote_failures++;
    log_line(LOG_LEVEL_ERROR, "no new zygote: %s: %s; %strying again in %lu ms", what, why,
             server->zygote != NULL ? "the old one goes on; " : "", (unsigned long)delay);
    (void)loop_arm(server->loop, &server->zygote_retry, delay, on_retry);
}

int zygote_ask_accept(struct zygote *zygote, uint64_t conn, int socket_fd, int link_fd,
                      struct err *err)
{
    struct ipc_msg ask = {.type = MSG_REQ_ACCEPT, .req_accept = {.conn = conn}};
    int fds[] = {socket_fd, link_fd};
    switch (ipc_send(&zygote->link, &ask, fds, array_len(fds), false, err)) {
    case IPC_OK:
        break;
    case IPC_AGAIN:
        return err_set(err, 0, "the zygote is too busy");
    case IPC_EOF:
        return err_set(err, 0, "the zygote is gone");
    case IPC_ERROR:
        return -1;
    }
    if (zygote->n_unanswered++ == 0)
        (void)loop_arm(zygote->server->loop, &zygote->deadline, ANSWER_MS, on_no_answer);
    zygote->n_living++;
    if (++zygote->n_accepted == ZYGOTE_CONNECTIONS_MAX)
        zygote_renew(zygote->server);
    return 0;
}

static void on_zygote_ready(struct zygote *zygote)
{
    struct server *server = zygote->server;
    struct zygote *old = server->zygote;
    zygote->link.state = STATE_READY;
    zygote->state = ZYGOTE_SERVING;
    loop_disarm(server->loop, &zygote->deadline);
    server->zygote = zygote;
    server->zygote_failures = 0;
    if (old != NULL)
        retire(old);
    log_line(LOG_LEVEL_DEBUG, "zygote ready");
    listeners_resume(server);
    server_check_ready(server);
}

/* One session less. The zygote may be gone afterwards. */
static void session_gone(struct zygote *zygote)
{
    if (zygote->n_living > 0)
        zygote->n_living--;
    if (zygote->n_living == 0 && zygote->state == ZYGOTE_RETIRED)
        zygote_free(zygote);
}

static void on_died(struct zygote *zygote, const struct msg_evt_died *died)
{
    struct server *server = zygote->server;
    if (connection_on_died(server, died->conn, died->signo, died->status) &&
        zygote->state == ZYGOTE_SERVING) {
        /* Whoever did this has seen this layout: nobody is served from it again. */
        zygote->state = ZYGOTE_RETIRED;
        server->zygote = NULL;
        listeners_pause(server);
        zygote_renew(server);
    }
    session_gone(zygote);
}

static void on_ans_accept(struct zygote *zygote, struct ipc_in *in)
{
    struct loop *loop = zygote->server->loop;
    if (zygote->n_unanswered > 0)
        zygote->n_unanswered--;
    if (zygote->n_unanswered == 0)
        loop_disarm(loop, &zygote->deadline);
    else
        (void)loop_arm(loop, &zygote->deadline, ANSWER_MS, on_no_answer);
    connection_on_ans_accept(zygote->server, in);
    if (!in->msg.ans_accept.ok)
        session_gone(zygote);
}

static void zygote_lost(struct zygote *zygote, const char *why)
{
    struct server *server = zygote->server;
    bool needed = zygote->state != ZYGOTE_RETIRED;
    zygote_free(zygote);
    if (server->zygote == NULL)
        listeners_pause(server);
    if (needed && !server->stopping)
        retry_later(server, "postern-session", why);
}

void zygote_on_signer_ready(struct server *server, const struct signer *signer)
{
    struct err err = {0};
    for (struct zygote *zygote = server->zygotes, *next; zygote != NULL; zygote = next) {
        next = zygote->next;
        if (zygote->signer == signer && zygote->state == ZYGOTE_STARTING &&
            send_setup(zygote, &err) < 0)
            zygote_lost(zygote, err.text);
    }
}

void zygote_on_signer_lost(struct server *server, const struct signer *signer, const char *why)
{
    bool needed = false;
    for (struct zygote *zygote = server->zygotes, *next; zygote != NULL; zygote = next) {
        next = zygote->next;
        if (zygote->signer != signer || zygote->state == ZYGOTE_RETIRED)
            continue;
        needed = true;
        if (zygote->state == ZYGOTE_SERVING)
            retire(zygote);
        else
            zygote_free(zygote);
    }
    if (server->zygote == NULL)
        listeners_pause(server);
    if (needed && !server->stopping)
        retry_later(server, "postern-signer", why);
}

struct signer *zygote_signer(const struct zygote *zygote)
{
    return zygote->signer;
}

static void on_zygote(struct loop_source *source)
{
    static struct ipc_in in;
    struct zygote *zygote = CONTAINER_OF(source, struct zygote, source);
    struct err err = {0};
    switch (ipc_recv(&zygote->link, &in, false, &err)) {
    case IPC_AGAIN:
        return;
    case IPC_EOF:
        zygote_lost(zygote, "it ended unexpectedly");
        return;
    case IPC_ERROR:
        zygote_lost(zygote, err.text);
        return;
    case IPC_OK:
        break;
    }
    if (in.msg.type == MSG_ZYGOTE_READY)
        on_zygote_ready(zygote);
    else if (in.msg.type == MSG_ZYGOTE_FAILED)
        zygote_lost(zygote, in.msg.zygote_failed.text);
    else if (in.msg.type == MSG_ANS_ACCEPT)
        on_ans_accept(zygote, &in);
    else if (in.msg.type == MSG_EVT_DIED)
        on_died(zygote, &in.msg.evt_died);
    ipc_drop_fds(&in);
}

void zygote_count(const struct server *server, uint64_t counts[METRICS_ZYGOTES])
{
    static const enum metrics_zygote states[] = {[ZYGOTE_STARTING] = METRICS_STARTING,
                                                 [ZYGOTE_SERVING] = METRICS_SERVING,
                                                 [ZYGOTE_RETIRED] = METRICS_RETIRED};
    for (const struct zygote *zygote = server->zygotes; zygote != NULL; zygote = zygote->next)
        counts[states[zygote->state]]++;
}

void zygote_stop_all(struct server *server)
{
    while (server->zygotes != NULL)
        zygote_free(server->zygotes);
}

bool zygote_all_quiet(const struct server *server)
{
    for (const struct zygote *zygote = server->zygotes; zygote != NULL; zygote = zygote->next)
        if (zygote->n_unanswered > 0)
            return false;
    return true;
}

static void carry(struct state *state, struct zygote *zygote)
{
    static void (*const due[])(struct loop_timer *) = {on_no_answer};
    struct server *server = zygote->server;
    bool serving = zygote->state == ZYGOTE_SERVING;
    state_bool(state, &serving);
    state_fd(state, &zygote->link.fd);
    child_carry(state, server, &zygote->child);
    signer_carry(state, server, &zygote->signer);
    state_u32(state, &zygote->uid);
    state_u32(state, &zygote->gid);
    state_timer(state, server->loop, &zygote->deadline, due, array_len(due));
    state_unsigned(state, &zygote->n_unanswered);
    state_unsigned(state, &zygote->n_accepted);
    state_unsigned(state, &zygote->n_living);
    if (zygote->link.fd < 0 || zygote->child == NULL || zygote->signer == NULL)
        state_refuse(state);
    zygote->state = serving ? ZYGOTE_SERVING : ZYGOTE_RETIRED;
}

static void restore(struct state *state, struct server *server)
{
    struct zygote *zygote = calloc(1, sizeof *zygote);
    if (zygote == NULL) {
        state_refuse(state);
        return;
    }
    *zygote = (struct zygote){
        .server = server,
        .link = {.fd = -1, .link = LINK_ZYGOTE, .self = FROM_MASTER, .state = STATE_READY},
        .source = {.fd = -1},
        .next = server->zygotes};
    server->zygotes = zygote;
    carry(state, zygote);
    bool second = zygote->state == ZYGOTE_SERVING && server->zygote != NULL;
    if (!state_is_good(state) || second ||
        loop_add(server->loop, &zygote->source, zygote->link.fd, on_zygote, NULL) < 0)
        state_refuse(state);
    else if (zygote->state == ZYGOTE_SERVING)
        server->zygote = zygote;
}

void zygote_carry_all(struct state *state, struct server *server)
{
    for (struct zygote *zygote = server->zygotes; state->saving && zygote != NULL;
         zygote = zygote->next) {
        if (zygote->state == ZYGOTE_STARTING)
            continue;
        (void)state_more(state, true);
        carry(state, zygote);
    }
    while (state_more(state, false))
        restore(state, server);
}
