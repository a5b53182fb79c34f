#include "control.h"
#include "cleanup.h"
#include "generation.h"
#include "log.h"
#include "state.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>

enum {
    ACCEPTS_PER_TURN = 8,
    ITEMS_PER_TURN = 64, /* then others have their turn */
    OUT_OF_FDS_MS = 500,
    SEND_BUFFER = 256 * 1024,
};

static void on_connection(struct loop_source *source);
static void on_client(struct loop_source *source);

static const struct verb {
    enum msg_type type;
    enum control_rights rights;
    void (*run)(struct control_client *client, const struct ipc_msg *msg);
} verbs[] = {
    {MSG_REQ_CTL_STATUS, CONTROL_READ, control_on_status},
    {MSG_REQ_CTL_PS, CONTROL_READ, control_on_ps},
    {MSG_REQ_CTL_RELOAD, CONTROL_ADMIN, control_on_reload},
    {MSG_REQ_CTL_METRICS, CONTROL_READ, control_on_metrics},
    {MSG_REQ_CTL_KILL, CONTROL_ADMIN, control_on_kill},
    {MSG_REQ_CTL_DRAIN, CONTROL_ADMIN, control_on_drain},
    {MSG_REQ_CTL_RESUME, CONTROL_ADMIN, control_on_resume},
};

static const struct server_config *config_of(const struct server *server)
{
    return &server->current->policy->server;
}

int control_open(struct server *server, const struct server_config *config, struct err *err)
{
    if (config->control == NULL)
        return 0;
    struct control_point *control = calloc(1, sizeof *control);
    if (control == NULL)
        return err_set(err, errno, "control socket");
    *control =
        (struct control_point){.server = server, .sock = CONTROL_SOCKET_NONE, .source = {.fd = -1}};
    server->control = control;
    if (control_socket_open(&control->sock, config->control, err) < 0)
        return -1;
    return control_socket_permit(&control->sock, config, err);
}

void control_serve(struct server *server)
{
    struct control_point *control = server->control;
    struct err err = {0};
    if (control != NULL && control->source.fd < 0 &&
        loop_add(server->loop, &control->source, control->sock.fd, on_connection, &err) < 0)
        log_line(LOG_LEVEL_ERROR, "control socket: %s", err.text);
}

void control_carry(struct state *state, struct server *server)
{
    bool there = server->control != NULL;
    state_bool(state, &there);
    if (!there)
        return;
    if (!state->saving && (server->control = calloc(1, sizeof *server->control)) == NULL) {
        state_refuse(state);
        return;
    }
    if (!state->saving)
        *server->control = (struct control_point){
            .server = server, .sock = CONTROL_SOCKET_NONE, .source = {.fd = -1}};
    control_socket_carry(state, &server->control->sock);
}

static void client_free(struct control_client *client)
{
    struct control_point *control = client->server->control;
    loop_remove(client->server->loop, &client->source);
    loop_disarm(client->server->loop, &client->timer);
    ipc_close(&client->link);
    *(client->prev != NULL ? &client->prev->next : &control->clients) = client->next;
    if (client->next != NULL)
        client->next->prev = client->prev;
    control->n_clients--;
    free(client->items);
    free(client->cursor.penalties);
    free(client->cursor.text);
    free(client);
}

void control_apply(struct server *server, const struct server_config *config)
{
    const struct control_point *control = server->control;
    struct err err = {0};
    const char *open = control != NULL ? control->sock.path : "";
    if (strcmp(open, config->control != NULL ? config->control : "") != 0)
        log_line(LOG_LEVEL_WARNING, "'control' has changed: that takes effect at the next start");
    if (control != NULL && control_socket_permit(&control->sock, config, &err) < 0)
        log_line(LOG_LEVEL_ERROR, "%s", err.text);
}

static void on_idle(struct loop_timer *timer)
{
    struct control_client *client = CONTAINER_OF(timer, struct control_client, timer);
    log_line(LOG_LEVEL_INFO, "control client (uid %u, process %d) is let go: it %s",
             (unsigned)client->uid, (int)client->pid,
             client->answering ? "does not take its answer" : "asks for nothing");
    client_free(client);
}

/* Begins to wait for requests, or for the client to take its answer. */
static int turn(struct control_client *client, bool answering)
{
    struct err err = {0};
    client->answering = answering;
    return loop_watch_writing(client->server->loop, &client->source, answering, &err) == 0 &&
                   loop_arm(client->server->loop, &client->timer,
                            answering ? CONTROL_STALL_MS : CONTROL_REQUEST_MS, on_idle) == 0
               ? 0
               : -1;
}

/* Its own memory and its link end with it; so does a request that could not be answered. */
static int send_end(struct ipc *link, int code, const char *text)
{
    struct err err = {0};
    struct ipc_msg msg = {.type = MSG_CTL_END, .ctl_end = {.code = (uint8_t)code, .text = text}};
    return ipc_send(link, &msg, NULL, 0, false, &err) == IPC_OK ? 0 : -1;
}

static int read_peer(int fd, struct control_peer *peer, gid_t **groups)
{
    struct ucred cred;
    socklen_t len = sizeof cred;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 || len != sizeof cred)
        return -1;
    *peer = (struct control_peer){.uid = cred.uid, .gid = cred.gid, .pid = cred.pid};
    len = 0;
    (void)getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len);
    if (len == 0 || len > NGROUPS_MAX * sizeof **groups)
        return 0;
    *groups = malloc(len);
    /* Without its groups it is judged by the rest. */
    if (*groups == NULL || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, *groups, &len) < 0)
        return 0;
    peer->groups = *groups;
    peer->n_groups = len / sizeof **groups;
    return 0;
}

static bool has_room(const struct control_point *control, const struct control_peer *peer)
{
    size_t most = CONTROL_CLIENTS_MAX - (peer->uid == 0 ? 0 : CONTROL_ROOT_RESERVE);
    return control->n_clients < most;
}

static int welcome(struct control_client *client)
{
    struct err err = {0};
    int size = SEND_BUFFER;
    struct ipc_msg msg = {
        .type = MSG_CTL_WELCOME,
        .ctl_welcome = {.version = POSTERN_VERSION, .admin = client->rights == CONTROL_ADMIN}};
    if (setsockopt(client->link.fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
        (void)setsockopt(client->link.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    if (loop_add(client->server->loop, &client->source, client->link.fd, on_client, &err) < 0)
        return -1;
    return ipc_send(&client->link, &msg, NULL, 0, false, &err) == IPC_OK ? turn(client, false) : -1;
}

static void admit(struct control_point *control, struct ipc *link, const struct control_peer *peer)
{
    struct control_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return;
    *client = (struct control_client){
        .server = control->server,
        .next = control->clients,
        .link = *link,
        .source = {.fd = -1},
        .uid = peer->uid,
        .gid = peer->gid,
        .pid = peer->pid,
        .rights = control_judge(peer, config_of(control->server)),
    };
    link->fd = -1;
    if (client->next != NULL)
        client->next->prev = client;
    control->clients = client;
    control->n_clients++;
    if (welcome(client) < 0)
        client_free(client);
}

static void take_connection(struct control_point *control, int fd)
{
    struct ipc link = {.fd = fd, .link = LINK_CONTROL, .self = FROM_MASTER, .state = STATE_READY};
    const struct server_config *config = config_of(control->server);
    cleanup_free gid_t *groups = NULL;
    struct control_peer peer;
    char why[IPC_LINE_MAX];
    if (read_peer(fd, &peer, &groups) < 0) {
        ipc_close(&link);
        return;
    }
    if (control_judge(&peer, config) == CONTROL_NONE) {
        control_refusal(&peer, CONTROL_READ, config, why, sizeof why);
        log_line(LOG_LEVEL_DEBUG, "control client (uid %u, process %d) refused", (unsigned)peer.uid,
                 (int)peer.pid);
        (void)send_end(&link, EX_NOPERM, why);
    } else if (!has_room(control, &peer)) {
        (void)send_end(&link, EX_TEMPFAIL,
                       "too many clients at the control socket; try again later");
    } else {
        admit(control, &link, &peer);
    }
    ipc_close(&link);
}

static void on_retry(struct loop_timer *timer)
{
    control_serve(CONTAINER_OF(timer, struct control_point, retry)->server);
}

static void on_connection(struct loop_source *source)
{
    struct control_point *control = CONTAINER_OF(source, struct control_point, source);
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(control->sock.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            take_connection(control, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            loop_remove(control->server->loop, &control->source);
            (void)loop_arm(control->server->loop, &control->retry, OUT_OF_FDS_MS, on_retry);
        }
        return;
    }
}

/* An item of those that were put; 1 if there was one, 0 if not, -1 if it could not be sent. */
static int send_kept(struct control_client *client)
{
    uint32_t len;
    struct err err = {0};
    if (client->items_at == client->items_len)
        return 0;
    memcpy(&len, client->items + client->items_at, sizeof len);
    client->items_at += sizeof len;
    struct ipc_msg msg = {.type = MSG_CTL_ITEM,
                          .ctl_item = {.text = {client->items + client->items_at, len}}};
    client->items_at += len;
    return ipc_send(&client->link, &msg, NULL, 0, false, &err) == IPC_OK ? 1 : -1;
}

/* The same for the list. */
static int send_listed(struct control_client *client)
{
    static struct json json;
    struct err err = {0};
    control_begin(&json);
    if (client->next_item == NULL || !client->next_item(client, &json))
        return 0;
    size_t len = json_end(&json) - 1;
    struct ipc_msg msg = {.type = MSG_CTL_ITEM,
                          .ctl_item = {.text = {(const unsigned char *)json.buf, len}}};
    return ipc_send(&client->link, &msg, NULL, 0, false, &err) == IPC_OK ? 1 : -1;
}

static void forget_answer(struct control_client *client)
{
    free(steal_ptr(client->items));
    free(steal_ptr(client->cursor.penalties));
    free(steal_ptr(client->cursor.text));
    client->items_len = client->items_at = 0;
    client->cursor = (struct control_cursor){0};
    client->next_item = NULL;
    client->ended = client->left_out = false;
    client->await = AWAIT_NOTHING;
}

/* There is room for an item of any size. */
static bool is_writable(const struct control_client *client)
{
    struct pollfd pfd = {.fd = client->link.fd, .events = POLLOUT};
    return poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLOUT) != 0;
}

/* Sends on as long as the client takes it. Returns -1 if it is to be let go. */
static int answer(struct control_client *client)
{
    client->cursor.hint = NULL;
    for (int i = 0; i < ITEMS_PER_TURN && is_writable(client); i++) {
        int sent = send_kept(client);
        sent = sent == 0 ? send_listed(client) : sent;
        if (sent < 0)
            return -1;
        if (sent > 0)
            continue;
        if (send_end(&client->link, client->code, client->text) < 0)
            return -1;
        forget_answer(client);
        return turn(client, false);
    }
    return turn(client, true);
}

void control_close(struct server *server)
{
    struct control_point *control = server->control;
    if (control == NULL)
        return;
    while (control->clients != NULL) {
        /* Who waited for this end is told. */
        if (control->clients->ended)
            (void)answer(control->clients);
        client_free(control->clients);
    }
    loop_remove(server->loop, &control->source);
    loop_disarm(server->loop, &control->retry);
    loop_disarm(server->loop, &control->news);
    control_socket_close(&control->sock);
    free(control);
    server->control = NULL;
}

void control_begin(struct json *json)
{
    json->len = 0;
    json->full = 0;
}

void control_put(struct control_client *client, struct json *json)
{
    uint32_t len = (uint32_t)json_end(json) - 1;
    size_t size = client->items_len + sizeof len + len;
    unsigned char *items =
        len > IPC_ITEM_MAX || size > CONTROL_ANSWER_MAX ? NULL : realloc(client->items, size);
    if (items == NULL) {
        client->left_out = true;
        return;
    }
    client->items = items;
    memcpy(items + client->items_len, &len, sizeof len);
    memcpy(items + client->items_len + sizeof len, json->buf, len);
    client->items_len = size;
}

void control_list(struct control_client *client,
                  bool (*next)(struct control_client *, struct json *))
{
    client->next_item = next;
}

void control_end(struct control_client *client, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(client->text, sizeof client->text, fmt, ap);
    va_end(ap);
    if (n < 0)
        client->text[0] = '\0';
    if (client->left_out && client->text[0] == '\0')
        (void)snprintf(client->text, sizeof client->text, "there is more than can be shown");
    client->code = (uint8_t)code;
    client->ended = true;
    client->await = AWAIT_NOTHING;
    /* It is sent by the loop: nobody is freed in the middle of what he has asked for. */
    if (turn(client, true) < 0)
        (void)shutdown(client->link.fd, SHUT_RDWR);
}

static void dispatch(struct control_client *client, const struct ipc_msg *msg)
{
    char why[IPC_LINE_MAX];
    const struct control_peer peer = {.uid = client->uid};
    client->answering = true;
    /* It may wait for something, for as long as that takes. */
    loop_disarm(client->server->loop, &client->timer);
    for (size_t i = 0; i < array_len(verbs); i++) {
        if (verbs[i].type != msg->type)
            continue;
        if (client->rights < verbs[i].rights)
            control_end(client, EX_NOPERM, "%s",
                        control_refusal(&peer, verbs[i].rights, config_of(client->server), why,
                                        sizeof why));
        else
            verbs[i].run(client, msg);
    }
}

static void on_client(struct loop_source *source)
{
    static struct ipc_in in;
    struct control_client *client = CONTAINER_OF(source, struct control_client, source);
    struct err err = {0};
    if (client->ended) {
        if (answer(client) < 0)
            client_free(client);
        return;
    }
    switch (ipc_recv(&client->link, &in, false, &err)) {
    case IPC_AGAIN:
        break;
    case IPC_EOF:
        client_free(client);
        break;
    case IPC_ERROR:
        log_line(LOG_LEVEL_WARNING, "control client (uid %u, process %d) broke the protocol: %s",
                 (unsigned)client->uid, (int)client->pid, err.text);
        client_free(client);
        break;
    case IPC_OK:
        if (client->answering)
            client_free(client); /* One request at a time. */
        else
            dispatch(client, &in.msg);
        ipc_drop_fds(&in);
        break;
    }
}

static void on_news(struct loop_timer *timer)
{
    struct control_point *control = CONTAINER_OF(timer, struct control_point, news);
    for (struct control_client *client = control->clients; client != NULL; client = client->next)
        if (client->await == AWAIT_RELOAD)
            control_reload_news(client);
        else if (client->await == AWAIT_IDLE)
            control_idle_news(client);
}

void control_news(struct server *server)
{
    if (server->control != NULL && server->control->clients != NULL)
        (void)loop_arm(server->loop, &server->control->news, 0, on_news);
}
