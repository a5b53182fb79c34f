/*
 * control.h - the control socket, served: its clients, one request at a time each, and the verbs.
 *
 * Every byte of a client is hostile until uid 0 is proved; who may do what is the kernel's word and
 * the configuration's (control_judge.h). Nothing here waits: an answer is sent as the client takes
 * it, and one that takes nothing for a while is let go.
 *
 * A new verb is a message (messages.h), a line in the table of control.c, and a function that ends
 * with control_end(): at once, or later if it keeps the client waiting (enum control_await).
 *
 * Of a re-execution clients hear that their connection has ended; the socket stays.
 */
#ifndef POSTERN_DAEMON_MASTER_CONTROL_H
#define POSTERN_DAEMON_MASTER_CONTROL_H

#include "control_judge.h"
#include "control_socket.h"
#include "json.h"
#include "server.h"

enum {
    CONTROL_CLIENTS_MAX = 24,
    CONTROL_ROOT_RESERVE = 8,         /* of them, that only root gets */
    CONTROL_ANSWER_MAX = 1024 * 1024, /* bytes of items that are kept for one client */
    CONTROL_REQUEST_MS = 60000,       /* without a request */
    CONTROL_STALL_MS = 30000,         /* without taking anything */
};

/* What a request can wait for. */
enum control_await { AWAIT_NOTHING, AWAIT_RELOAD, AWAIT_IDLE };

/* Where a list is that is made while it is sent: what is behind it is not sent yet. */
struct control_cursor {
    unsigned stage;
    uint64_t number;
    const void *hint; /* where that is, within one turn of the loop */
    size_t at, n;
    struct control_penalty *penalties; /* owned */
    char *text;                        /* owned */
};

struct control_client {
    struct server *server;
    struct control_client *prev, *next;
    struct ipc link;
    struct loop_source source;
    struct loop_timer timer;
    uid_t uid;
    pid_t pid;
    gid_t gid;
    enum control_rights rights;
    bool answering; /* a request is being answered, or waits to be */
    enum control_await await;
    bool ended; /* control_end() was called */
    uint8_t code;
    char text[IPC_LINE_MAX];
    unsigned char *items; /* u32 length and bytes of each, to be sent before the list */
    size_t items_len, items_at;
    bool left_out; /* an item had no room */
    /* Makes the next item of a list; false: there is none left. Or NULL. */
    bool (*next_item)(struct control_client *client, struct json *json);
    struct control_cursor cursor;
    char tenant[IPC_TENANT_MAX + 1], key[IPC_ID_MAX + 1]; /* of the list; "": any */
};

struct control_point {
    struct server *server;
    struct control_socket sock;
    struct loop_source source;
    struct loop_timer retry; /* when descriptors ran out */
    struct loop_timer news;  /* those that wait for something are looked at */
    struct control_client *clients;
    size_t n_clients;
};

/* Opens the socket that the configuration names, if any; clients are served from control_serve()
 * on. Returns 0, or -1 with err. */
int control_open(struct server *server, const struct server_config *config, struct err *err);
void control_serve(struct server *server);
/* The socket, if there is one; of its clients none (state.h). */
struct state;
void control_carry(struct state *state, struct server *server);
void control_close(struct server *server);

/* A new configuration is in force. */
void control_apply(struct server *server, const struct server_config *config);

/* One that may come in: it is welcomed and served. Takes over the link. */
void control_admit(struct control_point *control, struct ipc *link,
                   const struct control_peer *peer);
/* The end of an answer, or of a client that may not come in. Returns 0, or -1 if it could not be
 * sent. */
int control_send_end(struct ipc *link, int code, const char *text);

/* Something that clients wait for may have happened. Safe everywhere. */
void control_news(struct server *server);

/* A new object, to be filled. */
void control_begin(struct json *json);
/* Answers: one more item, which is copied; the object is closed here. */
void control_put(struct control_client *client, struct json *json);
/* The list whose items `next` makes follows what was put. */
void control_list(struct control_client *client,
                  bool (*next)(struct control_client *, struct json *));
/* The end of the answer: an exit status, and if that isn't 0 a line for people. */
void control_end(struct control_client *client, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The verbs. */
void control_on_status(struct control_client *client, const struct ipc_msg *msg);
void control_on_ps(struct control_client *client, const struct ipc_msg *msg);
void control_on_reload(struct control_client *client, const struct ipc_msg *msg);
void control_on_metrics(struct control_client *client, const struct ipc_msg *msg);
void control_on_kill(struct control_client *client, const struct ipc_msg *msg);
void control_on_drain(struct control_client *client, const struct ipc_msg *msg);
void control_on_resume(struct control_client *client, const struct ipc_msg *msg);

/* Whether an exec is the tenant's and of the key whose fingerprint begins so; "": any. */
struct exec_record;
bool control_matches(const struct exec_record *record, const char *tenant, const char *key);

/* control_news(): those of these that can be answered now call control_end(). */
void control_reload_news(struct control_client *client);
void control_idle_news(struct control_client *client);

/* Writes down, in log and audit, that the client has had something changed. */
void control_record(const struct control_client *client, const char *verb);

#endif
