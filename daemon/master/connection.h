/*
 * connection.h - one TCP connection: the link to its session process and who is on it.
 */
#ifndef POSTERN_DAEMON_MASTER_CONNECTION_H
#define POSTERN_DAEMON_MASTER_CONNECTION_H

#include "decide.h"
#include "gate.h"
#include "rate.h"
#include "room.h"
#include "server.h"
#include "share.h"

#include <sys/socket.h>

struct state;

/* What is added here goes along with a handover by connection_state.c. */
struct connection {
    struct server *server;
    struct connection *prev, *next;
    struct connection *older, *newer; /* while starting_up */
    struct source *from;              /* held; or NULL */
    uint64_t number;
    char id[IPC_ID_MAX]; /* in every log */
    struct ipc link;
    struct loop_source source;
    struct loop_timer timer; /* login grace; later, how long to wait for news of its death */
    int pidfd;               /* of the session; -1 until the zygote answered */
    struct sockaddr_storage peer;
    char peer_host[IPC_HOST_MAX];
    uint16_t peer_port;
    char local_host[IPC_HOST_MAX];
    uint16_t local_port;
    char version[IPC_ID_MAX + 1]; /* what its session tells the client; no other one's */
    char user[IPC_USER_MAX + 1];  /* of the first authentication request; it can't change */
    bool user_known;
    bool
        login_known; /* some tenant had this login when it was first asked for; for the log alone */
    struct signer *signer;                  /* held: has the host keys that its session shows */
    struct rate sign_rate;                  /* of exchange hashes to be signed */
    unsigned n_signed;                      /* of them, before authentication */
    unsigned char hash[IPC_HASH_MAX];       /* the one that is being signed */
    size_t hash_len;                        /* 0: none is */
    unsigned char session_id[IPC_HASH_MAX]; /* the first that was signed (RFC 4253 §7.2) */
    size_t session_id_len;                  /* 0: none was */
    unsigned requests;                      /* authentication requests of any kind */
    unsigned failures;                      /* those that count against max-auth-tries */
    bool authenticated;
    bool starting_up;        /* it counts against max-startups */
    bool regular;            /* somebody had logged in from there when it came (regular.h) */
    bool timed_out;          /* it did not log in within login-grace */
    bool judged;             /* for how it went: once; a balancer is not */
    bool closing;            /* its link is to be closed when the loop next sees it */
    bool died;               /* the zygote has said so */
    enum auth_method method; /* how it was authenticated */
    unsigned char *blob;     /* the key that was, of AUTH_PUBLICKEY */
    size_t blob_len;
    uint64_t started_ms;
    unsigned denials; /* that may still follow at once; one comes back every DENIAL_MS */
    uint64_t denial_ms;
    uint32_t max_auth_tries; /* as the session was told */
    uint32_t max_channels;   /* the same */
    uint64_t record_max;     /* bytes of one file that its session may write */
    struct exec *execs;      /* list */
    size_t n_execs_open;     /* those whose channels are not done */
    struct waiter *waiters;  /* list of those that wait for their turn */
    size_t n_waiting;
    struct tenant_load *load; /* held: the tenant that it counts for, or NULL */
    char tenant[64];          /* the last that it belonged to */
    bool lost;                /* nothing starts any more; it ends when its execs have */
    enum limit lost_limit;    /* the limit it is one too many for, or LIMIT_NONE */
    char end_reason[256];     /* "" while nobody but the client would know */
    struct share share;       /* what its execs share of files */
    uint64_t n_execs_started;
    unsigned log_tokens[2]; /* lines the session may still log in this second: info, the rest */
    uint64_t log_second;
    unsigned log_dropped;
};

/* Takes an accepted socket (owned in any case) and has a session forked for it. */
void connection_start(struct server *server, int socket_fd, const struct client *client);

/*
 * Ends it: the session is killed and the log says `why`. The connection, and its execs' tie to it,
 * live until the loop's next turn, so that callers may go on using both.
 */
void connection_end(struct connection *connection, const char *why);

/* Has the session tell the client (SSH_MSG_DISCONNECT) and end; a session that doesn't is ended.
 * Nothing happens to one that has ended already. */
void connection_close(struct connection *connection, const char *why);

/* Frees it at once; for the loop and the end of the server alone. */
void connection_free(struct connection *connection);

/* Sends to the session without ever waiting; a session whose queue is full is ended. */
void connection_send(struct connection *connection, const struct ipc_msg *msg, const int *fds,
                     size_t n_fds);

/* NULL if it is gone. */
struct connection *connection_find(struct server *server, uint64_t number);

/* Stop and go on reading from sessions: what they say meanwhile waits in their links. */
void connections_pause(struct server *server);
void connections_resume(struct server *server);

/* Makes an empty one, the newest; NULL if memory ran out. */
struct connection *connection_new(struct server *server);

/* All of them, as they are; restored they are paused (state.h). Then each that belongs to one, or
 * to none. */
void connection_carry_all(struct state *state, struct server *server);
void connection_carry(struct state *state, struct server *server, struct connection **connection);

/* What its timer may call. */
void connection_on_login_timeout(struct loop_timer *timer);
void connection_on_farewell_over(struct loop_timer *timer);
void connection_on_linger_over(struct loop_timer *timer);

void connection_on_ans_accept(struct server *server, struct ipc_in *in);

/* A zygote was lost with what it had been asked: ends the connections that have no session. */
void connection_end_unserved(struct server *server);

/*
 * A session process died. The connection is kept until both this and the end of its link are known
 * (or a second later), so that the one tells of the other whichever comes first. Returns true if it
 * died by a signal that hints at an attack on it: its source has been penalised, and the zygote
 * must not be used again.
 */
bool connection_on_died(struct server *server, uint64_t conn, unsigned signo, unsigned status);

#endif
