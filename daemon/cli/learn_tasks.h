/*
 * learn_tasks.h - the threads and processes that are being watched.
 */
#ifndef POSTERN_DAEMON_CLI_LEARN_TASKS_H
#define POSTERN_DAEMON_CLI_LEARN_TASKS_H

#include "learn_observe.h"

#include <stdbool.h>
#include <sys/types.h>

enum task_role {
    ROLE_UNKNOWN, /* its birth has not been told yet */
    ROLE_SPAWNER, /* our own child, which starts the sandbox */
    ROLE_WORKER,  /* pid 1 of the sandbox */
    ROLE_COMMAND, /* the command and all that it starts */
};

struct task {
    struct task *next;
    pid_t tid, tgid;
    enum task_role role;
    bool held; /* ROLE_UNKNOWN: it waits, stopped with this status */
    int held_status;
    struct observed call;
};

enum { TASK_BUCKETS = 1024 };

struct tasks {
    struct task *buckets[TASK_BUCKETS];
    size_t n_command; /* of ROLE_COMMAND */
};

struct task *tasks_find(const struct tasks *tasks, pid_t tid);
/* NULL: out of memory. */
struct task *tasks_add(struct tasks *tasks, pid_t tid);
void tasks_set_role(struct tasks *tasks, struct task *task, enum task_role role);
void tasks_drop(struct tasks *tasks, pid_t tid);
void tasks_free(struct tasks *tasks);

/* Calls fn for each; it must not add or drop any. */
void tasks_each(const struct tasks *tasks, void (*fn)(struct task *task, void *arg), void *arg);

#endif
