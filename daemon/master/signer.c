#include "signer.h"
#include "broker.h"
#include "child.h"
#include "cleanup.h"
#include "hostkeys.h"
#include "log.h"
#include "signer_main.h"
#include "state.h"
#include "zygote.h"

#include <errno.h>
#include <string.h>

enum { STARTING_MS = 20000, ANSWER_MS = 10000 };

struct signer {
    struct server *server;
    struct signer *next; /* in server->signers */
    struct ipc link;     /* its fd is -1 when the process is lost */
    struct loop_source source;
    struct child *child;        /* held */
    struct loop_timer deadline; /* of being ready, or of the next answer */
    unsigned n_unanswered;
    unsigned char host_keys[IPC_KEYS_SIZE];
    size_t host_keys_len;
    size_t refs;
};

static void on_signer(struct loop_source *source);
static void on_deadline(struct loop_timer *timer);

/* Its closed link ends it. */
static void let_go(struct signer *signer)
{
    loop_remove(signer->server->loop, &signer->source);
    loop_disarm(signer->server->loop, &signer->deadline);
    ipc_close(&signer->link);
    child_release(signer->server, steal_ptr(signer->child));
}

struct signer *signer_ref(struct signer *signer)
{
    signer->refs++;
    return signer;
}

void signer_unref(struct signer *signer)
{
    if (signer == NULL || --signer->refs > 0)
        return;
    struct signer **at = &signer->server->signers;
    while (*at != signer)
        at = &(*at)->next;
    *at = signer->next;
    let_go(signer);
    free(signer);
}

/* The next that needs one has another started. */
static void forget(struct generation *generation, const struct signer *signer)
{
    if (generation != NULL && generation->signer == signer)
        signer_unref(steal_ptr(generation->signer));
}

static void signer_lost(struct signer *signer, const char *why)
{
    struct server *server = signer->server;
    /* What is done here may drop the last reference but ours. */
    signer_ref(signer);
    let_go(signer);
    forget(server->next, signer);
    forget(server->current, signer);
    for (struct connection *c = server->connections; c != NULL; c = c->next)
        if (c->signer == signer && c->hash_len > 0)
            connection_end(c, "the signer is gone");
    zygote_on_signer_lost(server, signer, why);
    signer_unref(signer);
}

static void on_deadline(struct loop_timer *timer)
{
    struct signer *signer = CONTAINER_OF(timer, struct signer, deadline);
    /* It is stopped, or hangs: its closed link alone would not end it. */
    signer->child->stuck = true;
    signer_lost(signer,
                signer_is_ready(signer) ? "it does not answer" : "it did not get ready in time");
}

static int send_keys(struct signer *signer, const struct generation *generation, struct err *err)
{
    struct hostkeys keys;
    if (hostkeys_open(&generation->policy->server, &keys, err) < 0)
        return -1;
    const char *names[IPC_KEYS_MAX + 1] = {0};
    for (size_t i = 0; i < keys.n; i++)
        names[i] = keys.names[i];
    char packed[IPC_LINE_MAX * IPC_KEYS_MAX];
    struct ipc_msg setup = {
        .type = MSG_EVT_KEYS,
        .evt_keys = {.uid = generation->session_uid, .gid = generation->session_gid}};
    int rc = -1;
    if (wire_strv_pack(&setup.evt_keys.key_names, names, packed, sizeof packed) < 0)
        err_set(err, ENAMETOOLONG, "host keys");
    else if (ipc_send(&signer->link, &setup, keys.fds, keys.n, false, err) == IPC_OK)
        rc = 0;
    hostkeys_close(&keys);
    return rc;
}

static struct signer *start(struct generation *generation, struct err *err)
{
    struct server *server = generation->server;
    struct signer *signer = calloc(1, sizeof *signer);
    if (signer == NULL) {
        err_set(err, errno, "signer");
        return NULL;
    }
    *signer = (struct signer){.server = server,
                              .next = server->signers,
                              .link = {.fd = -1},
                              .source = {.fd = -1},
                              .refs = 1};
    server->signers = signer;
    /* Our own program, whatever has become of its file since we were started. */
    if (child_execute(server, "/proc/self/exe", SIGNER_NAME, LINK_SIGNER, &signer->link,
                      &signer->child, err) == 0 &&
        send_keys(signer, generation, err) == 0 &&
        loop_add(server->loop, &signer->source, signer->link.fd, on_signer, err) == 0 &&
        loop_arm(server->loop, &signer->deadline, STARTING_MS, on_deadline) == 0)
        return signer;
    signer_unref(signer);
    return NULL;
}

struct signer *signer_of(struct generation *generation, struct err *err)
{
    if (generation->signer == NULL)
        generation->signer = start(generation, err);
    return generation->signer != NULL ? signer_ref(generation->signer) : NULL;
}

bool signer_is_ready(const struct signer *signer)
{
    return signer->link.fd >= 0 && signer->link.state == STATE_READY;
}

struct wire_bytes signer_host_keys(const struct signer *signer)
{
    return (struct wire_bytes){signer->host_keys, signer->host_keys_len};
}

struct wire_bytes signer_host_key(const struct signer *signer, uint32_t number)
{
    struct wire_reader r = {.buf = signer->host_keys, .len = signer->host_keys_len};
    struct wire_bytes key = {0};
    for (uint32_t i = 0; i <= number; i++)
        key = wire_get_bytes(&r, IPC_KEYS_SIZE);
    if (r.bad)
        key.len = 0;
    return key;
}

int signer_ask(struct signer *signer, const struct msg_req_sign_for *req, struct err *err)
{
    struct ipc_msg ask = {.type = MSG_REQ_SIGN_FOR, .req_sign_for = *req};
    if (!signer_is_ready(signer))
        return err_set(err, 0, "the signer is gone");
    switch (ipc_send(&signer->link, &ask, NULL, 0, false, err)) {
    case IPC_OK:
        break;
    case IPC_AGAIN:
        return err_set(err, 0, "the signer is too busy");
    case IPC_EOF:
        return err_set(err, 0, "the signer is gone");
    case IPC_ERROR:
        return -1;
    }
    if (signer->n_unanswered++ == 0)
        (void)loop_arm(signer->server->loop, &signer->deadline, ANSWER_MS, on_deadline);
    return 0;
}

static void on_signer_ready(struct signer *signer, const struct msg_signer_ready *ready)
{
    memcpy(signer->host_keys, ready->host_keys.data, ready->host_keys.len);
    signer->host_keys_len = ready->host_keys.len;
    signer->link.state = STATE_READY;
    loop_disarm(signer->server->loop, &signer->deadline);
    log_line(LOG_LEVEL_DEBUG, "signer ready");
    zygote_on_signer_ready(signer->server, signer);
}

static void on_signed(struct signer *signer, const struct msg_ans_sign_for *answer)
{
    struct loop *loop = signer->server->loop;
    if (signer->n_unanswered > 0)
        signer->n_unanswered--;
    if (signer->n_unanswered == 0)
        loop_disarm(loop, &signer->deadline);
    else
        (void)loop_arm(loop, &signer->deadline, ANSWER_MS, on_deadline);
    struct connection *connection = connection_find(signer->server, answer->conn);
    if (connection != NULL && connection->signer == signer)
        broker_on_signed(connection, answer->signature);
}

static void on_signer(struct loop_source *source)
{
    static struct ipc_in in;
    struct signer *signer = CONTAINER_OF(source, struct signer, source);
    struct err err = {0};
    switch (ipc_recv(&signer->link, &in, false, &err)) {
    case IPC_AGAIN:
        return;
    case IPC_EOF:
        signer_lost(signer, "it ended unexpectedly");
        return;
    case IPC_ERROR:
        signer_lost(signer, err.text);
        return;
    case IPC_OK:
        break;
    }
    if (in.msg.type == MSG_SIGNER_READY)
        on_signer_ready(signer, &in.msg.signer_ready);
    else if (in.msg.type == MSG_SIGNER_FAILED)
        signer_lost(signer, in.msg.signer_failed.text);
    else if (in.msg.type == MSG_ANS_SIGN_FOR)
        on_signed(signer, &in.msg.ans_sign_for);
    ipc_drop_fds(&in);
}

static void carry_link(struct state *state, struct signer *signer)
{
    bool ready = signer->link.state == STATE_READY;
    state_fd(state, &signer->link.fd);
    state_bool(state, &ready);
    if (state->saving)
        return;
    signer->link = (struct ipc){.fd = signer->link.fd,
                                .link = LINK_SIGNER,
                                .self = FROM_MASTER,
                                .state = ready ? STATE_READY : STATE_STARTING};
    if (signer->link.fd >= 0 && state_is_good(state) &&
        loop_add(signer->server->loop, &signer->source, signer->link.fd, on_signer, NULL) < 0)
        state_refuse(state);
}

static void carry(struct state *state, struct signer *signer)
{
    static void (*const due[])(struct loop_timer *) = {on_deadline};
    carry_link(state, signer);
    child_carry(state, signer->server, &signer->child);
    state_timer(state, signer->server->loop, &signer->deadline, due, array_len(due));
    state_unsigned(state, &signer->n_unanswered);
    state_size(state, &signer->host_keys_len, sizeof signer->host_keys);
    state_bytes(state, signer->host_keys, signer->host_keys_len);
    if ((signer->link.fd < 0) != (signer->child == NULL))
        state_refuse(state);
}

void signer_carry_all(struct state *state, struct server *server)
{
    struct signer **at = &server->signers;
    while (state_more(state, *at != NULL)) {
        if (!state->saving && (*at = calloc(1, sizeof **at)) == NULL) {
            state_refuse(state);
            return;
        }
        if (!state->saving)
            **at = (struct signer){
                .server = server, .link = {.fd = -1}, .source = {.fd = -1}, .refs = 1};
        carry(state, *at);
        at = &(*at)->next;
    }
}

void signer_release_restored(struct server *server)
{
    for (struct signer *signer = server->signers, *next; signer != NULL; signer = next) {
        next = signer->next;
        signer_unref(signer);
    }
}

void signer_carry(struct state *state, struct server *server, struct signer **held)
{
    unsigned number = 0;
    struct signer *signer = server->signers;
    if (state->saving && *held != NULL)
        for (number = 1; signer != *held; signer = signer->next)
            number++;
    state_unsigned(state, &number);
    if (state->saving || number == 0)
        return;
    for (signer = server->signers; signer != NULL && number > 1; number--)
        signer = signer->next;
    if (signer == NULL)
        state_refuse(state);
    else
        *held = signer_ref(signer);
}

bool signer_all_quiet(const struct server *server)
{
    for (const struct signer *signer = server->signers; signer != NULL; signer = signer->next)
        if (signer_is_ready(signer) && signer->n_unanswered > 0)
            return false;
    return true;
}
