/*
 * terminal.h - a channel's terminal: what the client has said of it, and its outer side once the
 * command has it (RFC 4254 §6.2, §6.7; RFC 4335).
 */
#ifndef POSTERN_DAEMON_SESSION_TERMINAL_H
#define POSTERN_DAEMON_SESSION_TERMINAL_H

#include "chan.h"

/* What the client sees; 0: it doesn't say. */
struct terminal_size {
    uint32_t columns, rows, x_pixels, y_pixels;
};

struct terminal {
    bool refused; /* the master has said no; `text` says why */
    char text[IPC_LINE_MAX + 1];
    char term[IPC_TERM_MAX + 1]; /* "": none that could be one */
    struct terminal_size size;
    struct terminal_size told; /* what the master knows, or the recording */
    unsigned char modes[IPC_MODES_MAX];
    size_t modes_len;
};

/* Handle a request; each says whether it succeeded. The modes are those that were overheard. */
bool terminal_on_request(struct channel *channel, const char *term,
                         const struct terminal_size *size);
bool terminal_on_window_change(struct channel *channel, const struct terminal_size *size);
bool terminal_on_break(struct channel *channel);

/* What ask_exec() is to say of the channel's terminal. */
void terminal_describe(struct channel *channel, struct msg_req_exec *req);

/* True if the client has been told that it has one: then it shows what comes as it is. */
bool terminal_is_on(const struct channel *channel);

/* The outer side has come: takes the descriptors, to write to and to read from. */
void terminal_attach(struct channel *channel, struct event *event);

/* All the client's input has been written and no more comes: types what ends a file. False: not
 * now, the terminal takes no more. */
bool terminal_send_eof(struct channel *channel);

/* Takes over what is said, within the bounds of what there can be. */
void terminal_size_merge(struct terminal_size *size, const struct terminal_size *said);

#endif
