/*
 * verdict.h - how an exec ended, or why it never started: the stable contract of postern(7).
 */
#ifndef POSTERN_DAEMON_MASTER_VERDICT_H
#define POSTERN_DAEMON_MASTER_VERDICT_H

#include "cgroup.h"
#include "decide.h"
#include "report.h"
#include "spec.h"

#include <stdbool.h>
#include <stddef.h>

/* X(enumerator, word on the line and in the audit, exit status for the client or -1: its own) */
#define VERDICTS(X)                                                                                \
    X(VERDICT_EXITED, "exited", -1)                                                                \
    X(VERDICT_SIGNALLED, "signalled", -1)                                                          \
    X(VERDICT_DENIED, "denied", 126)                                                               \
    X(VERDICT_NOT_FOUND, "not-found", 127)                                                         \
    X(VERDICT_CANNOT_EXECUTE, "cannot-execute", 126)                                               \
    X(VERDICT_SANDBOX, "sandbox", 125)                                                             \
    X(VERDICT_TIME, "time", 124)                                                                   \
    X(VERDICT_IDLE, "idle", 124)                                                                   \
    X(VERDICT_OUTPUT, "output", 153)                                                               \
    X(VERDICT_MEMORY, "memory", 137)                                                               \
    X(VERDICT_SECCOMP, "seccomp", 159)                                                             \
    X(VERDICT_ENDED, "ended", 143)

enum verdict {
#define X(name, word, status) name,
    VERDICTS(X)
#undef X
        VERDICT_COUNT
};

/* Why the master itself ended an exec; CAUSE_NONE: it didn't. */
enum end_cause {
    CAUSE_NONE,
    CAUSE_TIME,
    CAUSE_IDLE,
    CAUSE_OUTPUT,
    CAUSE_CLIENT_GONE,
    CAUSE_LOGIN,    /* whoever started it may no longer log in */
    CAUSE_OPERATOR, /* somebody at the control socket wants it to end */
    CAUSE_SHUTDOWN
};

/* What the client is told. */
struct outcome {
    enum verdict verdict;
    bool signalled; /* exit-signal rather than exit-status */
    unsigned code;  /* exit status, or signal number */
    bool core;
    char reason[512]; /* for the line on stderr; "" = no line */
};

const char *verdict_word(enum verdict verdict);
/* The exit status of one that has a status of its own. */
unsigned verdict_status(enum verdict verdict);
/* The audit's word for a cause, NULL for CAUSE_NONE. */
const char *end_cause_word(enum end_cause cause);

/* What limits all of a tenant's execs together. */
struct verdict_total {
    uint64_t memory; /* bytes; SPEC_INFINITY: any, as for tasks */
    uint64_t tasks;
    bool memory_full; /* it could not be met */
};

/* What an outcome is put into words with; nothing of it has to be escaped. */
struct verdict_facts {
    enum end_cause cause;
    const char *program; /* argv[0] */
    const char *why;     /* of CAUSE_LOGIN and CAUSE_OPERATOR; else it is not looked at */
    const struct sandbox_spec *spec; /* its limits and its seccomp profile */
    struct exec_limits limits;       /* those that are in force instead of the spec's */
    const struct cgroup_usage *used; /* of its cgroup, or NULL: it had none */
    struct verdict_total total;
};

/* The outcome of an exec whose worker sent `last` (REPORT_FAILED or REPORT_EXIT), or died without a
 * word (NULL). */
void verdict_judge(const struct report *last, const struct verdict_facts *facts,
                   struct outcome *out);

/* "512 tasks (tasks = 512)": which limit of tasks it was that was reached. Returns buf. */
char *verdict_tasks(const struct cgroup_usage *used, const struct sandbox_spec *spec,
                    const struct verdict_total *total, char *buf, size_t len);

/* A time as people write it: "2h", "15m", "90s"; what is no whole number of seconds is rounded up.
 * Returns buf. */
char *verdict_duration(uint64_t ms, char *buf, size_t len);

/* "postern: <verdict>: <reason> [<exec id>]", without a newline; returns buf. */
char *verdict_line(const struct outcome *outcome, const char *exec_id, char *buf, size_t len);

#endif
