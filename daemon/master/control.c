#include "control.h"
#include "cleanup.h"
#include "generation.h"
#include "log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>

enum {
    ITEMS_PER_TURN = 64, /* then others have their turn */
    SEND_BUFFER = 256 * 1024,
};

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

int control_send_end(struct ipc *link, int code, const char *text)
{
    struct err err = {0};
    struct ipc_msg msg = {.type = MSG_CTL_END, .ctl_end = {.code = (uint8_t)code, .text = text}};
    return ipc_send(link, &msg, NULL, 0, false, &err) == IPC_OK ? 0 : -1;
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

void control_admit(struct control_point *control, struct ipc *link, const struct control_peer *peer)
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

/* 1 if there is room for an item of any size, 0 if not, -1 if nobody will ever take one: what a
 * client that has hung up leaves unread makes no room, but wakes the loop again and again. */
static int has_room(const struct control_client *client)
{
    struct pollfd pfd = {.fd = client->link.fd, .events = POLLOUT};
    if (poll(&pfd, 1, 0) != 1)
        return 0;
    return (pfd.revents & POLLOUT) != 0 ? 1 : -1;
}

/* Sends on as long as the client takes it. Returns -1 if it is to be let go. */
static int answer(struct control_client *client)
{
    client->cursor.hint = NULL;
    for (int i = 0; i < ITEMS_PER_TURN; i++) {
        int room = has_room(client);
        if (room < 0)
            return -1;
        if (room == 0)
            break;
        int sent = send_kept(client);
        sent = sent == 0 ? send_listed(client) : sent;
        if (sent < 0)
            return -1;
        if (sent > 0)
            continue;
        if (control_send_end(&client->link, client->code, client->text) < 0)
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
