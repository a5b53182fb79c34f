#include "control_client.h"
#include "cleanup.h"
#include "control_path.h"
#include "log.h"
#include "text.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>

enum { CONNECT_S = 20 };

/* Nothing larger comes from a server, and one thing at a time. */
static struct ipc_in in;

static int no_server(const char *path, int num)
{
    char shown[200];
    text_escape_str(shown, sizeof shown, path);
    if (num == EACCES || num == EPERM) {
        fprintf(stderr,
                "postern: %s: permission denied: it is for root; control-group = or admin-group = "
                "in [server] of postern.ini lets a group in\n",
                shown);
        return EX_NOPERM;
    }
    fprintf(stderr, "postern: no server answers at %s: %s; does posternd run?\n", shown,
            strerror(num));
    return EX_UNAVAILABLE;
}

/* It is for the caller to say: a terminal may be full of something else. */
static int broken(struct control_client *client, const char *why)
{
    char shown[200];
    (void)snprintf(client->text, sizeof client->text, "%s: %s",
                   text_escape_str(shown, sizeof shown, client->path), why);
    return EX_UNAVAILABLE;
}

static void set_patience(const struct control_client *client, unsigned seconds)
{
    struct timeval tv = {.tv_sec = seconds};
    (void)setsockopt(client->ipc.fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    (void)setsockopt(client->ipc.fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
}

/* The next message, in `in`. */
static int next(struct control_client *client)
{
    struct err err = {0};
    switch (ipc_recv(&client->ipc, &in, true, &err)) {
    case IPC_OK:
        return EX_OK;
    case IPC_AGAIN:
        return broken(client, "the server does not answer");
    case IPC_EOF:
        return broken(client, "the server has ended the connection");
    default:
        return broken(client, err.text[0] != '\0' ? err.text : "the server is of another version");
    }
}

static int take_end(struct control_client *client)
{
    (void)snprintf(client->text, sizeof client->text, "%s", in.msg.ctl_end.text);
    return in.msg.ctl_end.code;
}

static int await_welcome(struct control_client *client)
{
    set_patience(client, CONNECT_S);
    int status = next(client);
    if (status != EX_OK)
        return status;
    if (in.msg.type == MSG_CTL_END)
        return take_end(client);
    if (in.msg.type != MSG_CTL_WELCOME)
        return broken(client, "the server is of another version");
    client->admin = in.msg.ctl_welcome.admin;
    (void)snprintf(client->version, sizeof client->version, "%s", in.msg.ctl_welcome.version);
    return EX_OK;
}

int control_connect(const struct cli *cli, const char *path, struct control_client *client)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    *client = (struct control_client){
        .ipc = {.fd = -1, .link = LINK_CONTROL, .self = FROM_PEER, .state = STATE_READY}};
    int status = path == NULL ? control_path_find(cli, client->path, sizeof client->path) : EX_OK;
    if (status != EX_OK)
        return status;
    if (path != NULL)
        (void)snprintf(client->path, sizeof client->path, "%s", path);
    if (strlen(path != NULL ? path : client->path) >= sizeof addr.sun_path)
        return cli_usage_error(cli, "the path of a socket has at most %zu bytes",
                               sizeof addr.sun_path - 1);
    memcpy(addr.sun_path, client->path, strlen(client->path));
    client->ipc.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (client->ipc.fd < 0)
        return no_server(client->path, errno);
    set_patience(client, CONNECT_S);
    if (connect(client->ipc.fd, (struct sockaddr *)&addr, sizeof addr) < 0)
        return no_server(client->path, errno == EAGAIN ? ETIMEDOUT : errno);
    status = control_tell(client, await_welcome(client));
    client->text[0] = '\0';
    return status;
}

void control_close(struct control_client *client)
{
    ipc_close(&client->ipc);
}

static int take_item(struct control_client *client, json_t *items)
{
    const struct wire_bytes *text = &in.msg.ctl_item.text;
    json_t *item = json_loadb((const char *)text->data, text->len, JSON_ALLOW_NUL, NULL);
    if (item == NULL || !json_is_object(item)) {
        json_decref(item);
        return broken(client, "the server is of another version");
    }
    if (items != NULL && json_array_append_new(items, item) == 0)
        return EX_OK;
    if (items == NULL) {
        json_decref(item);
        return EX_OK;
    }
    (void)snprintf(client->text, sizeof client->text, "out of memory");
    return EX_OSERR;
}

int control_ask(struct control_client *client, const struct ipc_msg *request, unsigned timeout_s,
                json_t *items)
{
    struct err err = {0};
    client->text[0] = '\0';
    set_patience(client, timeout_s);
    /* If it has ended the link, its last message may say why. */
    enum ipc_result sent = ipc_send(&client->ipc, request, NULL, 0, true, &err);
    if (sent == IPC_ERROR)
        return broken(client, err.text);
    for (;;) {
        int status = next(client);
        if (status != EX_OK)
            return status;
        if (in.msg.type == MSG_CTL_END)
            return take_end(client);
        if (in.msg.type == MSG_CTL_ITEM)
            status = take_item(client, items);
        if (status != EX_OK)
            return status;
    }
}

/* Whatever it is: what a terminal might obey is not shown. */
static const char *show_plain(const char *text, char *buf, size_t cap)
{
    (void)snprintf(buf, cap, "%s", text);
    for (char *c = buf; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    return buf;
}

int control_tell_of(const struct control_client *client, const char *what, int status)
{
    char shown[IPC_LINE_MAX + 1];
    if (client->text[0] != '\0')
        fprintf(stderr, "postern: %s%s%s\n", what, what[0] != '\0' ? ": " : "",
                show_plain(client->text, shown, sizeof shown));
    return status;
}

int control_tell(const struct control_client *client, int status)
{
    return control_tell_of(client, "", status);
}

int control_run(const struct cli *cli, const char *path, const struct ipc_msg *request,
                unsigned timeout_s, json_t *items)
{
    struct control_client client;
    int status = control_connect(cli, path, &client);
    if (status == EX_OK)
        status = control_tell(&client, control_ask(&client, request, timeout_s, items));
    control_close(&client);
    return status;
}

const char *item_text(const json_t *item, const char *name, char *buf, size_t cap)
{
    return show_plain(item_word(item, name), buf, cap);
}

const char *item_show(const json_t *item, const char *name, char *buf, size_t cap)
{
    const json_t *value = json_object_get(item, name);
    const char *text = json_string_value(value);
    size_t len = json_string_length(value), n = 0;
    cleanup_free unsigned char *bytes = malloc(len + 1);
    for (size_t i = 0; bytes != NULL && text != NULL && i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        /* A code point below 256 is the byte of its value. */
        if (c >= 0xc2 && c <= 0xc3 && i + 1 < len)
            c = (unsigned char)((c & 3) << 6 | ((unsigned char)text[++i] & 0x3f));
        bytes[n++] = c;
    }
    return log_escape(buf, cap, bytes, n);
}

uint64_t item_uint(const json_t *item, const char *name, uint64_t missing)
{
    const json_t *value = json_object_get(item, name);
    return json_is_integer(value) && json_integer_value(value) >= 0
               ? (uint64_t)json_integer_value(value)
               : missing;
}

bool item_true(const json_t *item, const char *name)
{
    return json_is_true(json_object_get(item, name));
}

const char *item_word(const json_t *item, const char *name)
{
    const char *text = json_string_value(json_object_get(item, name));
    return text != NULL ? text : "";
}
