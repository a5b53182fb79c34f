/*
 * ask.h - what a session asks the master; the mirror of the master's broker_on_*().
 *
 * ask_auth(), ask_sign(), ask_env() and ask_terminal() wait for their answers. What the master
 * sends meanwhile is queued, bounded, and comes out of ask_next() in order.
 */
#ifndef POSTERN_DAEMON_SESSION_ASK_H
#define POSTERN_DAEMON_SESSION_ASK_H

#include "env_list.h"
#include "ipc.h"

#include <stdbool.h>
#include <stdint.h>

/* What the master has to say about channels, or about the connection (EVT_CLOSE). */
struct event {
    struct event *next;
    enum msg_type type; /* ANS_EXEC, EVT_TERMINAL, EVT_NOTE, EVT_EXIT or EVT_CLOSE */
    uint32_t channel;
    bool allowed;   /* ANS_EXEC */
    bool signalled; /* EVT_EXIT; ANS_EXEC denied */
    bool core;      /* EVT_EXIT */
    bool cut;       /* EVT_EXIT: the end of its output may never come */
    bool over;      /* EVT_EXIT: what ask_tell_over() said has been heard */
    uint32_t code;  /* EVT_EXIT: status or signal number; ANS_EXEC denied: status */
    bool terminal;  /* ANS_EXEC allowed: EVT_TERMINAL brings what it talks to */
    bool recorded;  /* ANS_EXEC allowed: record_fd has come */
    int record_fd;  /* owned, else -1 */
    uint64_t record_room;
    uint64_t idle_ms; /* ANS_EXEC allowed: limits for the session to watch */
    uint64_t warn_ms;
    uint64_t output_max;
    char exec_id[IPC_ID_MAX + 1];
    char text[IPC_LINE_MAX + 1];
    char receipt[IPC_RECEIPT_MAX + 1]; /* EVT_EXIT; ANS_EXEC denied */
    int fds[3]; /* ANS_EXEC allowed: stdin, stdout, stderr, but with a terminal; EVT_TERMINAL: to
                   write to, to read from; owned, else -1 */
};

/* Large: keep it static. */
struct ask {
    struct ipc link;
    struct ipc_in in;
    struct event *first, *last; /* owned queue */
    size_t n_queued;
};

/* Waits for EVT_START; its strings live until the next call. Returns 0, or -1 with err. */
int ask_start(struct ask *ask, struct msg_evt_start *start, struct err *err);

/*
 * All return 0, or -1 with err if the link is of no more use. A refusal is *accepted = false. The
 * key blob must not be longer than IPC_BLOB_MAX, the strings not than messages.h allows.
 */
int ask_auth(struct ask *ask, const struct msg_req_auth *request, bool *accepted, struct err *err);
/* The signature goes to signature[cap], its length to *len. */
int ask_sign(struct ask *ask, const struct msg_req_sign *request, unsigned char *signature,
             size_t cap, size_t *len, struct err *err);
int ask_env(struct ask *ask, uint32_t channel, const char *name, const char *value, bool *accepted,
            struct err *err);

/* Whether the channel may have a terminal; if not, `text` is why. */
int ask_terminal(struct ask *ask, uint32_t channel, bool *accepted, char text[IPC_LINE_MAX + 1],
                 struct err *err);

/* Doesn't wait: the answer is an event. Fills in the command, which is cut at IPC_COMMAND_MAX, and
 * the environment. */
int ask_exec(struct ask *ask, const struct msg_req_exec *request, const char *command,
             const struct env_list *env, struct err *err);

int ask_tell_gone(struct ask *ask, uint32_t channel, struct err *err);
int ask_tell_over(struct ask *ask, const struct msg_evt_over *over, struct err *err);
int ask_tell_signal(struct ask *ask, uint32_t channel, int signo, struct err *err);
int ask_tell_done(struct ask *ask, const struct msg_evt_done *done, struct err *err);

/* Whether an event has come already; the link need not be readable for it. */
bool ask_has_queued(const struct ask *ask);

/* The next event, without waiting: 1 and *event is the caller's to event_free(), 0 if there is
 * none, -1 with err if the link has ended (err->text is "" at a plain end of file). */
int ask_next(struct ask *ask, struct event **event, struct err *err);

void event_free(struct event *event);
void ask_free(struct ask *ask);

#endif
