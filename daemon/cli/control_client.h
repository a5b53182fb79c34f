/*
 * control_client.h - talking to the running server through its control socket: what `status`, `ps`
 * and the others share.
 */
#ifndef POSTERN_DAEMON_CLI_CONTROL_CLIENT_H
#define POSTERN_DAEMON_CLI_CONTROL_CLIENT_H

#include "ipc.h"
#include "options.h"

#include <jansson.h>

/* For the options of every subcommand that uses it; takes an id of its own. */
#define CONTROL_SOCKET_OPTION(id)                                                                  \
    {                                                                                              \
        "socket", "PATH",                                                                          \
            "the server's control socket; if not given, what the configuration says", (id), false  \
    }

struct control_client {
    struct ipc ipc;
    bool admin;                   /* the server lets us change things */
    char version[IPC_ID_MAX + 1]; /* the server's */
    char path[128];
    char text[IPC_LINE_MAX + 1]; /* what is wrong, as the server or the connection has it */
};

/*
 * Connects to the socket at `path`; NULL: where the configuration says, or else the default.
 * Returns an exit status; what is wrong has been said then. control_close() either way.
 */
int control_connect(const struct cli *cli, const char *path, struct control_client *client);
void control_close(struct control_client *client);

/*
 * Asks, and adds what comes to the array `items`, which may be NULL. timeout_s: how long the server
 * may be silent, 0: for ever. Returns an exit status and says nothing: what is wrong, if anything,
 * is in client->text.
 */
int control_ask(struct control_client *client, const struct ipc_msg *request, unsigned timeout_s,
                json_t *items);

/* "postern: TEXT" on stderr, if there is something wrong. Returns `status`. */
int control_tell(const struct control_client *client, int status);

/* The same, "postern: WHAT: TEXT"; `what` is fit for people. */
int control_tell_of(const struct control_client *client, const char *what, int status);

/* All of it in one: connects, asks and tells. */
int control_run(const struct cli *cli, const char *path, const struct ipc_msg *request,
                unsigned timeout_s, json_t *items);

/*
 * Members of an item. Strings stand for bytes, as in the audit trail: they are escaped for people,
 * cut at `cap`; null is "". Returns buf.
 */
const char *item_show(const json_t *item, const char *name, char *buf, size_t cap);
/* The same of what the server has made fit for people: nothing is escaped once more. */
const char *item_text(const json_t *item, const char *name, char *buf, size_t cap);
/* The number; `missing` if it is null or none. */
uint64_t item_uint(const json_t *item, const char *name, uint64_t missing);
bool item_true(const json_t *item, const char *name);
/* A word of ours; "" if it is null or none. */
const char *item_word(const json_t *item, const char *name);

#endif
