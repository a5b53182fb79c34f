#include "totals.h"

#include "cgroups.h"
#include "child.h"
#include "cleanup.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

/* A tenant that uses more memory than it may from now on. */
struct excess {
    int node; /* owned; its cgroup */
    uint64_t memory;
};

struct totals {
    const struct policy *policy;
    unsigned controllers;
    struct excess *excesses;
    size_t n;
};

static int add_excess(struct totals *totals, int node, uint64_t memory)
{
    struct excess *grown = realloc(totals->excesses, (totals->n + 1) * sizeof *grown);
    if (grown == NULL)
        return -1;
    totals->excesses = grown;
    grown[totals->n++] = (struct excess){node, memory};
    return 0;
}

static int apply_total(void *user, int root, const char *name)
{
    struct totals *totals = user;
    const struct tenant *tenant = cgroups_find_tenant(totals->policy, name);
    unsigned controllers = totals->controllers;
    struct err err = {0};
    if (tenant == NULL)
        return 0;
    cleanup_fd int node = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (node < 0)
        return 0;
    bool is_over = (controllers & CGROUP_MEMORY) && cgroup_is_over(node, tenant->total.memory);
    if (is_over)
        controllers &= ~(unsigned)CGROUP_MEMORY;
    if (cgroup_limit_total(node, &tenant->total, controllers, &err) < 0)
        log_line(LOG_LEVEL_ERROR, "the new totals of tenant %s: %s", tenant->name, err.text);
    if (!is_over)
        return 0;
    if (add_excess(totals, node, tenant->total.memory) == 0)
        (void)steal_fd(&node);
    else
        log_line(LOG_LEVEL_ERROR, "the new totals of tenant %s: no memory", tenant->name);
    return 0;
}

static int compare_nodes(const void *a, const void *b)
{
    return ((const struct excess *)a)->node - ((const struct excess *)b)->node;
}

/* Nothing else of the master's stays open here: somebody would wait for its end. */
static void close_all_but(const struct excess *excesses, size_t n)
{
    unsigned next = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned node = (unsigned)excesses[i].node;
        if (node > next)
            (void)close_range(next, node - 1, 0);
        next = node + 1;
    }
    (void)close_range(next, ~0U, 0);
}

static void lower_and_exit(const struct excess *excesses, size_t n) __attribute__((noreturn));

static void lower_and_exit(const struct excess *excesses, size_t n)
{
    int failed = 0;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    close_all_but(excesses, n);
    for (size_t i = 0; i < n; i++)
        failed |= cgroup_limit_memory(excesses[i].node, excesses[i].memory, NULL);
    _exit(failed == 0 ? 0 : 1);
}

/* One that is still at an older policy's must not have the last word. */
static void forget_last(struct server *server)
{
    struct child *last = steal_ptr(server->lowering);
    if (last != NULL && !last->reaped)
        (void)kill(last->pid, SIGKILL);
    child_release(server, last);
}

/*
 * Until Linux 6.15 whoever lowers memory.max below what is used stays in that write until the
 * kernel has swapped, written back or killed enough of it.
 */
static void lower_in_child(struct server *server, struct totals *totals)
{
    qsort(totals->excesses, totals->n, sizeof *totals->excesses, compare_nodes);
    pid_t pid = fork();
    if (pid == 0)
        lower_and_exit(totals->excesses, totals->n);
    if (pid < 0)
        log_line(LOG_LEVEL_ERROR, "lower totals of memory: fork: %s", strerror(errno));
    else
        server->lowering = child_new(server, pid);
}

void totals_apply(struct server *server, const struct policy *policy)
{
    struct totals totals = {.policy = policy, .controllers = server->cgroups->limits.controllers};
    if (server->cgroups->root < 0)
        return;
    forget_last(server);
    (void)cgroup_each_child(server->cgroups->root, apply_total, &totals, NULL);
    if (totals.n > 0)
        lower_in_child(server, &totals);
    for (size_t i = 0; i < totals.n; i++)
        close_fd(&totals.excesses[i].node);
    free(totals.excesses);
}
