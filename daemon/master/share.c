#include "share.h"
#include "cleanup.h"
#include "connection.h"
#include "exec.h"
#include "generation.h"
#include "job.h"
#include "leaf.h"
#include "log.h"

#include <stdio.h>

static bool is_shared(const struct exec *exec)
{
    return exec->connection != NULL && exec_spec(exec)->workspace == WORKSPACE_CONNECTION;
}

static void let_go(struct share *share)
{
    close_fd(&share->fd);
    if (share->hold != NULL)
        leaf_end(steal_ptr(share->hold), -1);
}

/* What execs leave in the workspace is memory, and is to count for memory-total after they end. */
static void hold_cgroup(const struct exec *exec, const struct tenant *tenant)
{
    struct share *share = &exec->connection->share;
    char name[CGROUP_NAME_MAX];
    struct err err = {0};
    int n = snprintf(name, sizeof name, "%s-workspace", exec->record.id);
    if (n < 0 || (size_t)n >= sizeof name ||
        leaf_hold(exec->connection->server, tenant, name, &share->hold, &err) < 0)
        log_line(LOG_LEVEL_WARNING, "%s: its workspace won't count for memory-total: %s",
                 exec->record.id, err.text);
}

bool share_must_wait(struct exec *exec, const struct tenant *tenant)
{
    if (!is_shared(exec))
        return false;
    struct share *share = &exec->connection->share;
    exec->awaits_share = share->maker != 0;
    if (exec->awaits_share)
        return true;
    /* A new policy may have given the tenant another uid, which could not use what is there. */
    if (share->owner != tenant->uid)
        let_go(share);
    if (share->fd >= 0)
        return false;
    if (share->hold == NULL)
        hold_cgroup(exec, tenant);
    share->owner = tenant->uid;
    share->maker = exec->number;
    share->asked = NULL;
    return false;
}

int share_fd(const struct exec *exec)
{
    return is_shared(exec) ? exec->connection->share.fd : -1;
}

void share_on_sent(const struct exec *exec)
{
    if (exec->connection != NULL && exec->connection->share.maker == exec->number)
        exec->connection->share.asked = exec->generation;
}

static struct exec *oldest_that_waits(const struct connection *connection)
{
    struct exec *oldest = NULL;
    for (struct exec *exec = connection->execs; exec != NULL; exec = exec->next_of_connection)
        if (exec->awaits_share && (oldest == NULL || exec->number < oldest->number))
            oldest = exec;
    return oldest;
}

/* Those that wait go on: with it, or else the first of them has it made. */
static void settle(struct connection *connection, int fd)
{
    struct share *share = &connection->share;
    share->maker = 0;
    share->fd = fd;
    for (struct exec *exec; share->maker == 0 && (exec = oldest_that_waits(connection)) != NULL;) {
        struct err err = {0};
        exec->awaits_share = false;
        if (exec->job == NULL || job_submit(exec, &err) == 0)
            continue;
        log_line(LOG_LEVEL_ERROR, "%s: %s", exec->record.id, err.text);
        /* It ends by the end of file on its report socket. */
        job_drop(exec);
    }
}

/* The connection that an exec makes a workspace for, or NULL. */
static struct connection *find_maker(const struct server *server, const struct exec *exec,
                                     uint64_t number)
{
    struct connection *c = exec != NULL ? exec->connection : server->connections;
    while (c != NULL && c->share.maker != number)
        c = exec != NULL ? NULL : c->next;
    return c;
}

void share_on_answer(struct server *server, const struct exec *exec, uint64_t number, int fd)
{
    cleanup_fd int made = fd;
    struct connection *connection = find_maker(server, exec, number);
    if (connection != NULL)
        settle(connection, steal_fd(&made));
}

void share_on_spawner_gone(struct server *server, const struct generation *generation)
{
    for (struct connection *c = server->connections; c != NULL; c = c->next)
        if (c->share.maker != 0 && c->share.asked == generation)
            settle(c, -1);
}

void share_on_exec_gone(const struct exec *exec)
{
    const struct connection *connection = exec->connection;
    /* Otherwise the answer is still to come. */
    if (connection != NULL && connection->share.maker == exec->number &&
        connection->share.asked == NULL)
        settle(exec->connection, -1);
}

void share_end(struct connection *connection)
{
    let_go(&connection->share);
}
