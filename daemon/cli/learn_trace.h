/*
 * learn_trace.h - the tracer: what to do with each stop of each thread of a sandbox.
 *
 * By ptrace(2), which tells a call's result and works on every kernel that Postern runs on. The
 * sandbox's filter answers every call that it allows with SECCOMP_RET_TRACE, so that a thread stops
 * once for a call, and again at its end only where the result matters. Whoever got away from the
 * tracer could make no call at all: without one that answer is ENOSYS.
 */
#ifndef POSTERN_DAEMON_CLI_LEARN_TRACE_H
#define POSTERN_DAEMON_CLI_LEARN_TRACE_H

#include "err.h"
#include "learn_tasks.h"
#include "spec.h"

#include <linux/filter.h>

struct trace {
    struct tasks tasks;
    struct observer observer;
    const struct seccomp_spec *ordinary;
    unsigned skip;      /* programs that are executed before the command itself */
    unsigned n_execs;   /* so far */
    int tmp, workspace; /* O_PATH of these places inside, or -1 */
    bool failed;        /* out of memory: something has gone unseen */
    uint64_t sampled_us;
};

/* Makes a filter tell the tracer of each call that it lets pass. */
void trace_mark_filter(struct sock_filter *filter, size_t len);

/* Begins with our child, which must not have forked yet. Returns 0, or -1 with err. */
int trace_begin(struct trace *trace, pid_t spawner, struct err *err);

/* What waitpid(2) told. */
void trace_on_status(struct trace *trace, pid_t tid, int status);

/* Looks at what is in use right now; to be called now and then. */
void trace_sample(struct trace *trace);

/* Lets those go on whose birth was never told, since their parent was killed. */
void trace_release_held(struct trace *trace);

void trace_free(struct trace *trace);

#endif
