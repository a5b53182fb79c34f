/*
 * server.h - the master's state, in one place: what runs, what is open, what is bounded.
 *
 * Data flow: listener accepts → zygote forks a session → connection holds its link → broker answers
 * its requests → exec follows one command from decision to exit → audit writes it down.
 */
#ifndef POSTERN_DAEMON_MASTER_SERVER_H
#define POSTERN_DAEMON_MASTER_SERVER_H

#include "ipc.h"
#include "drain.h"
#include "loop.h"
#include "metrics.h"
#include "notify.h"
#include "penalty.h"
#include "regular.h"
#include "policy.h"
#include "reload_result.h"
#include "source.h"
#include "tenant_load.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct agent;
struct child;
struct cgroups;
struct connection;
struct control_point;
struct exec;
struct generation;
struct handover;
struct listeners;
struct metrics_file;
struct proxied;
struct ready;
struct reload;
struct signer;
struct waiter;
struct zygote;

struct options {
    const char *config_path;
    int log_level; /* -1: as the policy says */
    bool foreground;
    bool check_only;
    char *const *argv;   /* as we were started */
    const char *program; /* the file that was, by an absolute path; or NULL */
};

/* What is added here, and has to survive a handover, goes along by handover_adopt.c. */
struct server {
    struct options options;
    struct loop *loop;
    struct loop_source signals;
    struct notify notify; /* systemd, if it has started us */
    struct cgroups *cgroups;
    struct generation *current;     /* what new execs are judged by */
    struct generation *next;        /* being loaded, its spawner not ready yet; or NULL */
    struct generation *generations; /* list of all that live */
    struct signer *signers;         /* the same */
    struct reload *reload;          /* a policy is being read; or NULL */
    struct child *lowering;         /* puts lower totals of memory into force; held, or NULL */
    uint64_t generation_count;
    struct reload_result last_reload;
    time_t started_at;
    uint64_t started_ms;
    struct control_point *control; /* NULL: no control socket */
    struct agent *agent;           /* NULL: no agent-check */
    struct drain drain;
    struct listeners *listeners;
    struct zygote *zygotes; /* list: starting, serving and retired ones */
    struct zygote *zygote;  /* serves new connections; NULL while there is none */
    unsigned zygote_failures;
    struct loop_timer zygote_retry;
    struct connection *connections; /* list */
    size_t n_connections;
    struct connection *startups; /* of them, those that have not logged in, the oldest first */
    struct connection *last_startup;
    size_t n_unauthenticated;
    struct sources sources;  /* of all connections */
    struct proxied *proxied; /* list of those whose balancer has not said whose they are: the oldest
                                first */
    struct proxied *last_proxied;
    size_t n_proxied;
    struct exec *execs;  /* list */
    struct ready *ready; /* list: sandboxes that wait for an exec; a handover drops them */
    size_t n_execs;
    size_t n_running;          /* of them; the others only wait to be read to the end */
    struct tenant_loads loads; /* what each tenant has in use */
    struct waiter *waiters;    /* list of execs that wait for their turn */
    struct waiter *last_waiter;
    size_t waiting_bytes;
    uint64_t waiter_count;
    struct child *children; /* list: zygotes and spawners */
    struct child *pruning;  /* removes old recordings; held, or NULL */
    struct loop_timer recordings_timer;
    uint64_t recorded_bytes; /* since it was last looked how many there are */
    size_t max_execs;        /* that run at once, by the descriptors we may open */
    size_t max_ready;        /* sandboxes built ahead, by [server] and by those */
    uint64_t refusal_second; /* refused connections are logged once a second */
    unsigned n_refusals;
    struct penalties penalties;
    struct regulars regulars;
    struct loop_timer audit_timer; /* until what the audit trail did not take is tried again */
    struct metrics metrics;
    struct metrics_file *metrics_file; /* NULL: none is written */
    char run_id[16];                   /* tells this run's ids from those of other runs */
    uint64_t conn_count;
    uint64_t exec_count;
    struct loop_timer stop_timer;     /* the longest that stopping may take */
    struct loop_timer farewell_timer; /* from the last exec's end to the end of its connection */
    struct handover *handover;        /* to the next program: being prepared; or NULL */
    bool handover_due;                /* asked for before we served */
    bool paused;                      /* nobody is accepted, and nothing is read from sessions */
    bool stopping;
    bool finished; /* leave the loop */
    int exit_code;
    bool announced;        /* "ready" was said, the parent of a detached start released */
    char *own_config_path; /* of options, where they were handed over */
    char *own_program;
    int ready_fd; /* where a detached start tells its parent; or -1 */
};

/* Brings everything up; the loop then runs it. Returns 0, or -1 with err (and a sysexits code). */
int server_start(struct server *server, struct err *err);
/* Runs until stopped; returns the exit code. */
int server_run(struct server *server);
void server_free(struct server *server);

/* SIGTERM, SIGHUP and so on are heard from now on. Returns 0, or -1 with err. */
int server_watch_signals(struct server *server, struct err *err);

/* Something that must come up at start (first zygote, first spawner) is up; says "ready" when all
 * of it is. */
void server_check_ready(struct server *server);
/* It can't come up: ends a starting server with `err`; a running one just logs it. */
void server_start_failed(struct server *server, const struct err *err);

/* Puts into force what the current generation's [server] says of the log and of limits. */
void server_apply_settings(struct server *server);
/* SIGTERM: end execs and connections, then leave. */
void server_stop(struct server *server);
/* To be called whenever an exec or a connection has gone. */
void server_check_stopped(struct server *server);

#endif
