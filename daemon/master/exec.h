/*
 * exec.h - one command, from decision to exit: its worker's reports, its limits, its audit record.
 *
 * The record is closed when both halves are known: how it ended (from the worker) and what was
 * carried (from the session, or nobody if the session is gone).
 */
#ifndef POSTERN_DAEMON_MASTER_EXEC_H
#define POSTERN_DAEMON_MASTER_EXEC_H

#include "cgroup.h"
#include "child.h"
#include "egress.h"
#include "connection.h"
#include "exec_command.h"
#include "rate.h"
#include "tenant_load.h"
#include "verdict.h"

#include <time.h>

struct state;

/* What the audit says of every exec, allowed or not. It goes along, too. */
struct exec_record {
    char id[IPC_ID_MAX];
    char conn_id[IPC_ID_MAX];
    char tenant[64];
    char user[IPC_USER_MAX + 1];
    char key[64];
    char key_comment[256];
    char peer_host[IPC_HOST_MAX];
    uint16_t peer_port;
    uint64_t generation;
    bool receipt; /* its client gets one */
};

/* What is added here goes along with a handover by exec_state.c. */
struct exec {
    struct server *server;
    struct exec *prev, *next;
    struct connection *connection;   /* NULL once it is gone */
    struct exec *next_of_connection; /* in connection->execs */
    struct tenant_load *load;        /* held while it runs: the tenant it counts for */
    struct generation *generation;   /* a reference */
    uint64_t number;
    uint32_t channel;
    size_t sandbox; /* index in the generation's policy */
    struct exec_limits limits;
    struct exec_record record;
    struct spawn_job *job; /* what the spawner has not taken yet, or NULL */
    struct exec *next_waiting;
    struct child *spawner; /* held while it runs: who has been asked to start it */
    struct exec *next_asked;
    unsigned n_notes;
    struct egress_event blocked[SPEC_NOTES_MAX]; /* refusals of the network that were told */
    unsigned n_blocked;                          /* one more: that there were more was, too */
    int report_fd;
    int pidfd;
    char program[128];
    struct exec_command command;
    struct loop_source source;
    struct loop_timer timer; /* once it has started the wall-time limit; then the grace period */
    enum end_cause cause;
    char why[256];       /* of CAUSE_LOGIN and CAUSE_OPERATOR, for the client */
    struct rate signals; /* that its client has sent */
    bool awaits_share;   /* it is submitted when share.h has settled what it shares */
    bool tasks_noted;    /* the client knows that it can't start more tasks */
    bool terminal_due;   /* the spawner's answer is to bring its terminal */
    bool report_held;    /* the report is not looked at before it has */
    bool terminating;
    bool killed;   /* the worker itself, at the end of its patience */
    bool measured; /* `usage` is valid */
    bool ended;    /* the worker is gone; `outcome` is valid */
    bool done;     /* the session has reported, or won't */
    bool over;     /* the session has seen a limit */
    bool cut;      /* somebody may keep its pipes open */
    bool counted;  /* the byte counts are valid, and `recording` */
    bool recorded; /* its session has a file for what it prints (recordings.h) */
    enum recorded recording;
    struct outcome outcome;
    struct report usage;
    struct leaf *leaf; /* until it ends; NULL: the server has no cgroups */
    bool accounted;    /* `used` is valid */
    struct cgroup_usage used;
    struct verdict_total total;    /* of the tenant, when it ended */
    uint64_t started_ms, ended_ms; /* CLOCK_MONOTONIC */
    uint64_t decided_us;           /* the same moment as started_ms */
    uint64_t bytes_in, bytes_out, bytes_err;
};

/* The live exec of a channel, or NULL. */
struct exec *exec_find(const struct connection *connection, uint32_t channel);

const struct sandbox_spec *exec_spec(const struct exec *exec);

/* The process number of its worker, or CGROUP_UNKNOWN. */
uint64_t exec_worker_pid(const struct exec *exec);

/* How much of a refusal its client is told. */
enum explain_level exec_explain(const struct exec *exec);

struct recording_grant;

/*
 * Starts an allowed exec: pipes to the session, or a terminal when the spawner has made it, and a
 * job to the spawner; and the file to record it in, unless grant->fd is -1. On failure nothing is
 * left, but that file, and err says why. On success the exec is in the server's list, it counts for
 * `load`, and the session has been answered.
 */
int exec_start(struct connection *connection, const struct msg_req_exec *req,
               const struct exec_record *record, struct tenant_load *load,
               const struct decision *decision, const struct recording_grant *grant,
               struct err *err);

/* The worker said its last word, or died without one (last is NULL). May free the exec. */
void exec_finish(struct exec *exec, const struct report *last);

/* Takes down what its cgroup has counted so far; at the end, before the worker is gone with it. */
void exec_measure(struct exec *exec);

/* It has ended, but the session has seen it over a limit (that of its output, or the other) before
 * it knew: tells it again how the exec ended, by that limit if it had ended by itself. */
void exec_finish_over(struct exec *exec, bool output);

/* It can't be started, for a reason that the log has: it ends with verdict "sandbox". Set exec->cut
 * where somebody may still hold its pipes. */
void exec_fail(struct exec *exec);

/* The channel's client is gone. */
void exec_on_evt_gone(struct connection *connection, uint32_t channel);
void exec_on_evt_done(struct connection *connection, const struct msg_evt_done *msg);
/* All execs of a connection that is being freed. */
void exec_connection_gone(struct connection *connection);

/* At the very end: closes the record of every exec that is left. */
void exec_abandon_all(struct server *server);

/* All of them, as they are (state.h). That no job is on its way to a spawner, exec_all_quiet()
 * says. */
void exec_carry_all(struct state *state, struct server *server);
bool exec_all_quiet(const struct server *server);
void exec_record_carry(struct state *state, struct exec_record *record);

/* Puts it into the lists that it belongs to, by what it holds. */
void exec_link(struct exec *exec);
/* Hears its worker. Returns 0, or -1 with err. */
int exec_watch(struct exec *exec, struct err *err);

/* What the spawner of the generation says of a job. */
void exec_on_ans_spawn(struct generation *generation, struct ipc_in *in);

#endif
