#include "ready.h"
#include "cgroups.h"
#include "child.h"
#include "cleanup.h"
#include "generation.h"
#include "leaf.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

enum {
    KEEP_MS = 10000,   /* how long one waits for its command */
    HABITS = 64,       /* kinds whose commands are remembered */
    TASKS_LEAST = 100, /* of a tenant's total: each that waits is one of them */
};

/* What sandboxes have in common that can stand in for one another. */
struct kind {
    uint64_t generation;    /* its number */
    size_t tenant, sandbox; /* indices in its policy */
    uint64_t memory;        /* bytes, as in struct exec_limits */
};

struct ready {
    struct server *server;
    struct ready *next;
    struct generation *generation; /* a reference */
    struct kind kind;
    uint64_t number; /* the spawner's answer bears it, and its exec's it becomes */
    struct leaf *leaf;
    int report_fd;
    int pidfd; /* -1: not answered yet */
    struct loop_timer timer;
};

/* When a command of a kind came last, and whether what was built ahead for the next was of use. */
struct habit {
    struct kind kind;
    uint64_t began_ms;
    bool wasted;
};

/* The newest first; a kind that has fallen out is as one that was never there. */
static struct habit habits[HABITS];

static bool is_same(const struct kind *a, const struct kind *b)
{
    return a->generation == b->generation && a->tenant == b->tenant && a->sandbox == b->sandbox &&
           a->memory == b->memory;
}

static bool can_be_ahead(const struct sandbox_spec *spec, const struct tenant *tenant)
{
    return (spec->workspace == WORKSPACE_NONE || spec->workspace == WORKSPACE_EXEC) &&
           spec->n_hides == 0 && tenant->total.tasks >= TASKS_LEAST;
}

/* False if its like is never built ahead. */
static bool kind_of(const struct exec *exec, struct kind *kind)
{
    const struct policy *policy = exec->generation->policy;
    const struct tenant *tenant = policy_find_tenant(policy, exec->record.tenant);
    if (tenant == NULL || exec->generation != exec->server->current ||
        !can_be_ahead(exec_spec(exec), tenant))
        return false;
    *kind = (struct kind){exec->generation->number, (size_t)(tenant - policy->tenants),
                          exec->sandbox, exec->limits.memory};
    return true;
}

/* What holds the place of one in the list; of NULL, if there is none. */
static struct ready **find(struct server *server, const struct kind *kind)
{
    struct ready **at = &server->ready;
    while (*at != NULL && !is_same(&(*at)->kind, kind))
        at = &(*at)->next;
    return at;
}

/* Also a client chooses kinds: one tenant must leave room for others. */
static bool is_room(const struct server *server, const struct kind *kind)
{
    size_t n = 0, of_tenant = 0, most = server->max_ready;
    for (const struct ready *ready = server->ready; ready != NULL; ready = ready->next) {
        n++;
        of_tenant += ready->kind.tenant == kind->tenant;
    }
    return n < most && of_tenant < (most + 1) / 2;
}

/* Moves it to the front; there it is new if it was nowhere. */
static struct habit *find_habit(const struct kind *kind)
{
    size_t i = 0;
    while (i < HABITS - 1 && !is_same(&habits[i].kind, kind))
        i++;
    struct habit habit = {.kind = *kind};
    if (is_same(&habits[i].kind, kind))
        habit = habits[i];
    memmove(&habits[1], &habits[0], i * sizeof *habits);
    habits[0] = habit;
    return &habits[0];
}

/* Whoever comes too seldom for what waits is not built any until he comes more often. */
static bool is_worth_it(const struct kind *kind)
{
    struct habit *habit = find_habit(kind);
    uint64_t now = loop_now_ms(), before = habit->began_ms;
    habit->began_ms = now;
    return !habit->wasted || now - before < KEEP_MS;
}

static struct ready *unlink_at(struct ready **at)
{
    struct ready *ready = *at;
    *at = ready->next;
    loop_disarm(ready->server->loop, &ready->timer);
    return ready;
}

/* Its worker ends by the end of file, and by the kill even where it is stopped. */
static void end(struct ready *ready)
{
    close_fd(&ready->report_fd);
    if (ready->pidfd >= 0)
        (void)pidfd_send_signal(ready->pidfd, SIGKILL, NULL, 0);
    leaf_end(steal_ptr(ready->leaf), steal_fd(&ready->pidfd));
    generation_unref(ready->generation);
    free(ready);
}

static void drop_one(struct ready *ready)
{
    struct ready **at = &ready->server->ready;
    while (*at != ready)
        at = &(*at)->next;
    end(unlink_at(at));
}

static void on_kept_long(struct loop_timer *timer)
{
    struct ready *ready = CONTAINER_OF(timer, struct ready, timer);
    find_habit(&ready->kind)->wasted = true;
    drop_one(ready);
}

void ready_drop(struct server *server, const struct generation *generation)
{
    for (struct ready **at = &server->ready; *at != NULL;)
        if (generation == NULL || (*at)->generation == generation)
            end(unlink_at(at));
        else
            at = &(*at)->next;
}

bool ready_take(struct exec *exec, const struct decision *decision, const struct plumbing *p)
{
    struct kind kind;
    if (decision->terminal || !kind_of(exec, &kind))
        return false;
    struct ready **at = find(exec->server, &kind);
    if (*at == NULL)
        return false;
    struct ready *ready = unlink_at(at);
    struct err err = {0};
    /* It may have died, or have failed to be built: then this one is built as any other. */
    if (plumbing_send_order(p, decision, ready->report_fd, &err) < 0) {
        log_line(LOG_LEVEL_DEBUG, "a sandbox that was ready is gone: %s", err.text);
        end(ready);
        return false;
    }
    exec->number = ready->number;
    exec->report_fd = steal_fd(&ready->report_fd);
    exec->leaf = steal_ptr(ready->leaf);
    leaf_watch(exec->leaf, exec);
    find_habit(&kind)->wasted = false;
    exec->pidfd = steal_fd(&ready->pidfd);
    end(ready);
    return true;
}

/* Asks the spawner for it. Returns 0, or -1 with err. */
static int ask(struct ready *ready, const struct tenant *tenant, struct err *err)
{
    struct server *server = ready->server;
    struct generation *generation = ready->generation;
    const struct sandbox_spec *spec = &generation->policy->sandboxes[ready->kind.sandbox];
    char name[64];
    int report[2];
    (void)snprintf(name, sizeof name, "%s-ready-%" PRIu64, server->run_id, ready->number);
    if (leaf_make(server, tenant, spec, ready->kind.memory, name, &ready->leaf, err) < 0)
        return -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, report) < 0)
        return err_set(err, errno, "socketpair");
    ready->report_fd = report[0];
    cleanup_fd int theirs = report[1];
    struct ipc_msg msg = {.type = MSG_REQ_SPAWN,
                          .req_spawn = {.exec = ready->number,
                                        .tenant = (uint32_t)ready->kind.tenant,
                                        .sandbox = (uint32_t)ready->kind.sandbox,
                                        .memory = ready->kind.memory}};
    const int fds[] = {theirs, leaf_fd(ready->leaf)};
    if (ready->leaf != NULL) {
        msg.req_spawn.cgroup = 1;
        msg.req_spawn.controllers = server->cgroups->limits.controllers;
    }
    if (ipc_send(&generation->spawner, &msg, fds, ready->leaf != NULL ? 2 : 1, false, err) !=
        IPC_OK)
        return err_set(err, EAGAIN, "the spawner is busy");
    generation_await_answer(generation);
    return 0;
}

void ready_renew(struct exec *exec)
{
    struct server *server = exec->server;
    struct generation *generation = exec->generation;
    struct kind kind;
    if (server->stopping || server->paused || drain_refuses(server) || !generation->ready ||
        generation->n_unanswered > 0 || generation->waiting != NULL || !kind_of(exec, &kind) ||
        *find(server, &kind) != NULL || !is_room(server, &kind) || !is_worth_it(&kind))
        return;
    struct err err = {0};
    struct ready *ready = calloc(1, sizeof *ready);
    if (ready == NULL)
        return;
    *ready = (struct ready){.server = server,
                            .next = server->ready,
                            .generation = generation_ref(generation),
                            .kind = kind,
                            .number = ++server->exec_count,
                            .report_fd = -1,
                            .pidfd = -1};
    server->ready = ready;
    /* Without it the next one only takes longer. */
    if (ask(ready, &generation->policy->tenants[kind.tenant], &err) < 0 ||
        loop_arm(server->loop, &ready->timer, KEEP_MS, on_kept_long) < 0) {
        log_line(LOG_LEVEL_DEBUG, "no sandbox is built ahead: %s", err.text);
        drop_one(ready);
    }
}

bool ready_on_answer(struct generation *generation, struct ipc_in *in)
{
    const struct msg_ans_spawn *ans = &in->msg.ans_spawn;
    struct ready *ready = generation->server->ready;
    while (ready != NULL && (ready->generation != generation || ready->number != ans->exec))
        ready = ready->next;
    if (ready == NULL)
        return false;
    if (ans->ok) {
        ready->pidfd = ipc_take_fd(in, 0);
        return true;
    }
    log_line(LOG_LEVEL_DEBUG, "no sandbox is built ahead: %s", ans->text);
    drop_one(ready);
    return true;
}
