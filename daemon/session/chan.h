/*
 * chan.h - the state of one connection and of each channel on it.
 *
 * libssh's callbacks only mark what has happened; the loop (serve.c) acts on the marks by
 * chan_work(). A channel goes
 *
 *   IDLE --exec request--> ASKED --allowed--> RUNNING --exit--> ENDING --all sent--> CLOSED
 *                            \--------------denied--------------/
 *
 * and leaves for CLOSED from anywhere when the peer closes it. A CLOSED channel waits for the
 * peer's CLOSE, and for the master's answer if it still owes one; then it is freed.
 *
 * The functions are called chan_*: libssh exports old names that begin with channel_.
 */
#ifndef POSTERN_DAEMON_SESSION_CHAN_H
#define POSTERN_DAEMON_SESSION_CHAN_H

#include "ask.h"
#include "backlog.h"
#include "env_list.h"
#include "log.h"

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    CHUNK = 128 * 1024,               /* most that is moved per stream and turn */
    NOTES_MAX = 16 * 1024,            /* lines of ours that wait for the peer's window */
    NOTE_MAX = IPC_RECEIPT_MAX + 128, /* of one of them */
    USER_KEPT_MAX = 1024,             /* of a user name, to see whether it changes */
};

/* A descriptor in the loop's epoll, edge-triggered: `ready` until it says EAGAIN. */
struct stream {
    int fd; /* owned; -1 when closed or not there yet */
    bool ready;
    bool watched; /* a command's input: the loop was told of it */
};

/* One direction of output: a pipe of the command and what the peer has not taken of it. */
struct output {
    struct stream pipe;
    struct backlog pending; /* read, not yet written to libssh */
    uint64_t bytes;         /* sent */
};

/* How many signals have been passed on since when. */
struct signal_count {
    uint64_t since_ms;
    unsigned n;
};

/* What the session watches for the master (over.h); all but idle_ms, warn_ms and output_max is
 * counted. */
struct channel_limits {
    uint64_t idle_ms, output_max; /* UINT64_MAX: no limit */
    uint64_t warn_ms;             /* before idle_ms is over the client is told; 0: never */
    bool warned;                  /* since the last byte */
    uint64_t moved_ms;            /* when a byte was last moved */
    uint64_t read;                /* bytes of stdout and stderr */
};

enum channel_phase { CHANNEL_IDLE, CHANNEL_ASKED, CHANNEL_RUNNING, CHANNEL_ENDING, CHANNEL_CLOSED };

struct offer;
struct session;

struct channel {
    struct channel *next;
    struct session *session;
    uint32_t id;     /* ours, from 0, never used twice on a connection */
    ssh_channel ssh; /* owned; NULL once freed */
    struct ssh_channel_callbacks_struct callbacks;
    enum channel_phase phase;
    struct env_list env;
    struct terminal *terminal;   /* owned; NULL: none was asked for (terminal.h) */
    struct recording *recording; /* owned; NULL: it isn't recorded, or not any more (recording.h) */

    struct stream input;
    struct backlog input_pending; /* taken from libssh, not yet written to the command */
    size_t unread;                /* payload that libssh holds for us */
    uint64_t input_bytes;         /* written to the command */
    bool input_mid_line;          /* its last byte ended no line */
    bool input_sink;              /* nobody will read it: drop what comes */
    struct output out, err;
    struct backlog notes; /* lines of ours for the peer's stderr */
    struct channel_limits limits;
    struct signal_count signals;
    bool on_terminal; /* the command talks to a terminal, not to pipes */
    bool over_told;   /* one of the limits is over, and the master knows */
    bool mid_line;    /* the peer's stderr is not at the beginning of a line */

    bool peer_eof, peer_closed; /* marks of the callbacks */
    bool answer_due;            /* ANS_EXEC has not come */
    enum recorded recorded;     /* what tell_done() says where there is no recording */
    bool has_exec;              /* an allowed exec belongs to it, EVT_DONE is still to be sent */
    bool exited;                /* EVT_EXIT has come, or the exec was denied */
    bool cut;                   /* what can't be read at once will never be written */
    bool signalled, core;
    uint32_t code;
    char *idle_text; /* owned; what it is told then, or NULL */
    char *exit_text; /* owned; NULL when there is none or it is in notes */
    char *receipt;   /* the same; without its end */
};

struct session {
    struct ask ask;
    const struct offer *offer;
    ssh_session ssh;
    ssh_event event;
    struct ssh_server_callbacks_struct callbacks;
    struct ssh_counter_struct traffic;
    uint64_t sent_mark; /* bytes sent by when nothing last waited to be written */
    int epoll_fd;
    struct stream tcp; /* a duplicate of libssh's descriptor: it outlives ssh_disconnect() */
    struct stream link;
    struct channel *channels;
    uint32_t n_channels, max_channels, next_id;
    size_t held;       /* input bytes of all channels, in libssh and here */
    uint32_t watched;  /* events of tcp that epoll looks for */
    uint64_t now_ms;   /* CLOCK_MONOTONIC, of this turn of the loop */
    uint64_t armed_ms; /* when the watchdog was last armed */
    bool hangup;       /* the peer will send no more */

    char user[USER_KEPT_MAX];
    bool user_known, authed;
    char version[IPC_ID_MAX + 1]; /* what it tells the client to be */
    uint32_t auth_requests, auth_failures, max_auth_tries;

    bool negotiated;                   /* the first key exchange was reported */
    bool closing;                      /* the loop is to end the connection, with: */
    bool failed;                       /* exit status 1 */
    char close_text[IPC_LINE_MAX + 1]; /* for the peer; "" if nothing is to be said */
};

/* Marks the connection for its end; the first reason counts. */
void session_close(struct session *session, bool failed, const char *text);
/* The link is of no use any more: err->text, if any, is for the log. */
void session_link_lost(struct session *session, const struct err *err);

/* A new channel for an open request, not bound to libssh yet; NULL if there are too many. */
struct channel *chan_new(struct session *session);
/* Takes over libssh's channel and listens to it. */
void chan_bind(struct channel *channel, ssh_channel ssh);
void chan_free(struct channel *channel);

struct channel *chan_find(struct session *session, uint32_t id);
struct channel *chan_find_ssh(struct session *session, ssh_channel ssh);

/* The master's word about a channel; takes the event's descriptors and what it needs of the rest.
 */
void chan_on_event(struct channel *channel, struct event *event);

/* Does what can be done without waiting. Returns true if it stopped for fairness alone. */
bool chan_work(struct channel *channel);
/* True when nothing of it is left to do. */
bool chan_is_over(const struct channel *channel);

/* The connection is gone: tells the master about the exec, if there is one. */
void chan_abandon(struct channel *channel);

#endif
