/*
 * learn_observe.h - one system call of a stopped process: what it names, and what became of it.
 */
#ifndef POSTERN_DAEMON_CLI_LEARN_OBSERVE_H
#define POSTERN_DAEMON_CLI_LEARN_OBSERVE_H

#include "learn_calls.h"
#include "learn_record.h"

#include <sys/types.h>

struct observer {
    struct seen *seen;
    struct seen *cache; /* paths as they were given, and what is known of them by now */
    int root;           /* O_PATH, "/" of the sandbox; -1 until the command runs */
    /* Whether the sandbox shows a path anyway; such paths are not kept. */
    bool (*given)(void *arg, const char *path);
    void *given_arg;
};

/* A call that has begun, of one thread. Zeroes: none. */
struct observed {
    const struct call_shape *shape; /* NULL: only whether it is refused is of interest */
    bool waiting;                   /* for the call's end */
    int nr;
    uint64_t args[6];
    char *path[2]; /* absolute, but as it was written; or NULL */
    bool existed;  /* CALL_OPEN with O_CREAT: it was there */
    uint64_t open_flags;
};

void observed_clear(struct observed *call);

/*
 * A thread is stopped at the begin of a call. Counts it, if the command runs by now, and keeps in
 * `call` what will be needed at its end; call->waiting says whether that is of interest. An
 * `ordinary` call is one whose result doesn't matter if it names no path or address.
 */
void observe_begin(struct observer *observer, pid_t tid, int nr, const uint64_t args[6],
                   bool ordinary, struct observed *call);

/* It is stopped at the end of that call, which returned `result`, an errno if below 0. */
void observe_end(struct observer *observer, pid_t tid, pid_t tgid, struct observed *call,
                 int64_t result);

/* It has executed another program; `call` is what it had begun. */
void observe_exec(struct observer *observer, pid_t tid, struct observed *call);

/* The name of a thread, printable. Returns buf. */
const char *observe_name(pid_t tid, char buf[SEEN_WHO_MAX]);

#endif
