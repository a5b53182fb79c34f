/*
 * audit.h - what the audit trail says: one JSON object a line, append-only, version 1 (postern(7)).
 * Where it goes, and what if it can't: audit_sink.h.
 */
#ifndef POSTERN_DAEMON_MASTER_AUDIT_H
#define POSTERN_DAEMON_MASTER_AUDIT_H

#include "exec.h"
#include "key_describe.h"
#include "forbidden.h"

/* The result of one authentication attempt with what was offered; `login` says as whom, or why
 * not. */
void audit_auth(const struct connection *connection, const struct msg_req_auth *req,
                const struct login *login, bool accepted, const struct key_description *offered);

/* A decision. */
struct audit_start {
    const struct exec_record *record;
    const struct msg_req_exec *req;
    const struct origin *rule; /* the place of the rule */
    const char *reason;        /* NULL where it was allowed */
    const char *limit;         /* that refused what the rules allow, or NULL */
    const char *sandbox;       /* NULL where it was denied */
    bool terminal;             /* it gets one */
    const char *recorded;      /* the setting by which it is recorded, or NULL */
    uint64_t queued_ms;        /* it has waited for its turn */
};
/* False if it is lost (audit_sink.h). */
bool audit_start(struct server *server, const struct audit_start *start);

/* A system call was refused, and the exec goes on. */
void audit_refused(struct server *server, const struct exec_record *record,
                   const struct forbidden *forbidden);

/* The network was refused to an exec of this sandbox. */
void audit_blocked(struct server *server, const struct exec_record *record,
                   const struct sandbox_spec *spec, const struct egress_event *event);

/* The end of an exec; usage is NULL where nothing could be measured, bytes count only if `counted`.
 */
struct audit_end {
    const struct exec_record *record;
    const struct outcome *outcome;
    unsigned refused; /* kinds of system calls that were refused */
    enum end_cause cause;
    const struct report *usage;
    const struct cgroup_usage *used; /* NULL: it had no cgroup */
    const struct sandbox_spec *spec; /* NULL: it never had a sandbox */
    struct exec_limits limits;       /* those that are in force instead of the spec's */
    unsigned controllers;            /* that keep limits (cgroup.h) */
    uint64_t wall_ms;
    bool counted;
    uint64_t bytes_in, bytes_out, bytes_err;
    enum recorded recording; /* what has become of it */
};
void audit_end(struct server *server, const struct audit_end *end);

/* A connection that had logged in has ended. */
void audit_closed(const struct connection *connection);

/* What became of a reload: generation `number` is in force with that many tenants and keys, or it
 * was refused with that many errors in the policy (0: for another reason) and an older one stays.
 */
struct audit_reload {
    uint64_t number;
    bool loaded;
    size_t n_tenants, n_keys; /* if loaded */
    size_t n_errors;
    const char *reason; /* why it was refused, or NULL */
};
void audit_reload(struct server *server, const struct audit_reload *reload);

/* The program was executed anew and has taken over from version `from`; or that was refused, and
 * version `from` goes on. */
struct audit_handover {
    bool done;
    const char *from;
    size_t n_connections, n_execs, n_waiting; /* if done */
    const char *reason;                       /* why it was refused, or NULL */
};
void audit_handover(struct server *server, const struct audit_handover *handover);

/* Somebody has changed something through the control socket: what, and which of these it was about
 * ("": it does not matter). */
struct audit_operator {
    const char *verb;
    uid_t uid;
    pid_t pid;
    const char *exec, *tenant, *key, *connection, *reason;
    bool counted; /* the next three are */
    uint64_t ended, queued, connections;
};
void audit_operator(struct server *server, const struct audit_operator *act);

#endif
