#include "leaf.h"

#include "cleanup.h"
#include "egress.h"
#include "exec.h"
#include "log.h"
#include "note.h"
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum {
    RETRY_MS = 20, /* at first; then twice as long each time, until it is the longest */
    RETRY_MOST_MS = 1000,
    TRIES_QUIET = 12, /* about five seconds; then it is said once */
};

struct leaf {
    struct server *server;
    struct leaf *next; /* of those that are dying */
    char tenant[CGROUP_NAME_MAX];
    char name[CGROUP_NAME_MAX];
    uint64_t id; /* of an exec */
    int fd;      /* -1: dying, or held by leaf_hold() */
    int pidfd;   /* dying: of the worker, or -1 */
    struct loop_source source;
    struct loop_timer timer;
    unsigned tries;
    struct exec *exec; /* while it runs, and its limit of tasks is watched: */
    int events;        /* or -1 */
    struct loop_source refusals;
};

/* Opens the tenant's node, making it if it isn't there. */
static int open_node(const struct cgroups *cgroups, const struct tenant *tenant, const char *name,
                     int *fd, struct err *err)
{
    bool made;
    cleanup_fd int node = -1;
    if (cgroup_make(cgroups->root, name, &made, &node, err) < 0)
        return -1;
    if (made && (cgroup_limit_total(node, &tenant->total, cgroups->limits.controllers, err) < 0 ||
                 cgroup_enable(node, cgroups->limits.controllers, err) < 0)) {
        (void)cgroup_remove(cgroups->root, name, NULL);
        return -1;
    }
    *fd = steal_fd(&node);
    return 0;
}

/* With limits == NULL for what nothing runs in. */
static int make(const struct cgroups *cgroups, const struct tenant *tenant,
                const struct cgroup_limits *limits, struct leaf *leaf, struct err *err)
{
    cleanup_fd int node = -1;
    if (cgroups_tenant_name(tenant->name, leaf->tenant, err) < 0 ||
        open_node(cgroups, tenant, leaf->tenant, &node, err) < 0)
        return -1;
    if (cgroup_make(node, leaf->name, NULL, &leaf->fd, err) < 0 ||
        (limits != NULL &&
         cgroup_limit_exec(leaf->fd, limits, cgroups->limits.controllers, err) < 0)) {
        (void)cgroup_remove(node, leaf->name, NULL);
        (void)cgroup_remove(cgroups->root, leaf->tenant, NULL);
        return -1;
    }
    return 0;
}

static void init(struct leaf *leaf, struct server *server)
{
    *leaf = (struct leaf){.server = server,
                          .fd = -1,
                          .pidfd = -1,
                          .source = {.fd = -1},
                          .events = -1,
                          .refusals = {.fd = -1}};
}

static int make_named(struct server *server, const struct tenant *tenant,
                      const struct cgroup_limits *limits, const char *name, struct leaf **out,
                      struct err *err)
{
    const struct cgroups *cgroups = server->cgroups;
    *out = NULL;
    if (cgroups->root < 0)
        return 0;
    struct leaf *leaf = calloc(1, sizeof *leaf);
    if (leaf == NULL)
        return err_set(err, ENOMEM, "cgroup");
    init(leaf, server);
    int n = snprintf(leaf->name, sizeof leaf->name, "%s", name);
    if (n < 0 || (size_t)n >= sizeof leaf->name || make(cgroups, tenant, limits, leaf, err) < 0) {
        close_fd(&leaf->fd);
        free(leaf);
        return -1;
    }
    leaf->id = egress_cgroup_id(leaf->fd);
    *out = leaf;
    return 0;
}

static void stop_watching(struct leaf *leaf)
{
    loop_remove(leaf->server->loop, &leaf->refusals);
    close_fd(&leaf->events);
}

/* Reading it is what makes it wait for the next change. */
static void on_refusals(struct loop_source *source)
{
    struct leaf *leaf = CONTAINER_OF(source, struct leaf, refusals);
    char waste[128];
    (void)!pread(leaf->events, waste, sizeof waste, 0);
    exec_measure(leaf->exec);
    note_tasks(leaf->exec);
    /* Once is enough. */
    if (leaf->exec->tasks_noted)
        stop_watching(leaf);
}

int leaf_make(struct server *server, const struct tenant *tenant, const struct sandbox_spec *spec,
              uint64_t memory, const char *name, struct leaf **out, struct err *err)
{
    struct cgroup_limits limits = spec->cgroup;
    limits.tasks = spec->tasks;
    limits.memory = memory;
    if (make_named(server, tenant, &limits, name, out, err) < 0)
        return err_wrap(err, "cgroup of the exec");
    return 0;
}

/* A command that can't fork is told so at once. Without that it is told at its end. */
void leaf_watch(struct leaf *leaf, struct exec *exec)
{
    char waste[128];
    if (leaf == NULL)
        return;
    leaf->exec = exec;
    leaf->events = openat(leaf->fd, "pids.events", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (leaf->events < 0)
        return;
    if (read(leaf->events, waste, sizeof waste) < 0 ||
        loop_add_changing(leaf->server->loop, &leaf->refusals, leaf->events, on_refusals, NULL) < 0)
        close_fd(&leaf->events);
}

int leaf_hold(struct server *server, const struct tenant *tenant, const char *name,
              struct leaf **out, struct err *err)
{
    if (make_named(server, tenant, NULL, name, out, err) < 0)
        return err_wrap(err, "cgroup of the workspace");
    if (*out != NULL)
        close_fd(&(*out)->fd);
    return 0;
}

int leaf_fd(const struct leaf *leaf)
{
    return leaf == NULL ? -1 : leaf->fd;
}

uint64_t leaf_id(const struct leaf *leaf)
{
    return leaf == NULL ? 0 : leaf->id;
}

bool leaf_usage(const struct leaf *leaf, struct cgroup_usage *usage, bool *total_full)
{
    if (leaf == NULL)
        return false;
    cgroup_read_usage(leaf->fd, usage);
    cleanup_fd int node = openat(leaf->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *total_full = node >= 0 && cgroup_memory_full(node) > 0;
    return true;
}

/* Whether it is gone. The tenant's node goes with its last leaf. */
static bool try_remove(const struct leaf *leaf, struct err *err)
{
    int root = leaf->server->cgroups->root;
    cleanup_fd int node =
        openat(root, leaf->tenant, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (node < 0)
        return errno == ENOENT || (err_set(err, errno, "cgroup %s", leaf->tenant), false);
    if (cgroup_remove(node, leaf->name, err) < 0)
        return false;
    (void)cgroup_remove(root, leaf->tenant, NULL);
    return true;
}

static void forget(struct leaf *leaf)
{
    struct leaf **at = &leaf->server->cgroups->dying;
    while (*at != NULL && *at != leaf)
        at = &(*at)->next;
    if (*at != NULL)
        *at = leaf->next;
    loop_remove(leaf->server->loop, &leaf->source);
    loop_disarm(leaf->server->loop, &leaf->timer);
    stop_watching(leaf);
    close_fd(&leaf->pidfd);
    close_fd(&leaf->fd);
    free(leaf);
}

static void on_retry(struct loop_timer *timer);

static void remove_or_retry(struct leaf *leaf)
{
    struct err err = {0};
    if (try_remove(leaf, &err)) {
        forget(leaf);
        return;
    }
    if (++leaf->tries == TRIES_QUIET)
        log_line(LOG_LEVEL_WARNING, "%s: its cgroup is still in use: %s", leaf->name, err.text);
    uint64_t delay = RETRY_MOST_MS;
    if (leaf->tries < 6)
        delay = (uint64_t)RETRY_MS << leaf->tries;
    (void)loop_arm(leaf->server->loop, &leaf->timer, delay, on_retry);
}

static void on_retry(struct loop_timer *timer)
{
    remove_or_retry(CONTAINER_OF(timer, struct leaf, timer));
}

/* The worker has ended, and its pid namespace with it: nothing is left in there. */
static void on_dead(struct loop_source *source)
{
    struct leaf *leaf = CONTAINER_OF(source, struct leaf, source);
    loop_remove(leaf->server->loop, &leaf->source);
    remove_or_retry(leaf);
}

void leaf_end(struct leaf *leaf, int pidfd)
{
    if (leaf == NULL) {
        close_fd(&pidfd);
        return;
    }
    struct cgroups *cgroups = leaf->server->cgroups;
    stop_watching(leaf);
    if (leaf->fd >= 0)
        (void)cgroup_kill(leaf->fd, NULL);
    close_fd(&leaf->fd);
    leaf->pidfd = pidfd;
    leaf->next = cgroups->dying;
    cgroups->dying = leaf;
    if (pidfd >= 0)
        (void)loop_add(leaf->server->loop, &leaf->source, pidfd, on_dead, NULL);
    remove_or_retry(leaf);
}

bool leaf_remove_dying(struct cgroups *cgroups)
{
    for (struct leaf *leaf = cgroups->dying, *next; leaf != NULL; leaf = next) {
        next = leaf->next;
        if (try_remove(leaf, NULL))
            forget(leaf);
    }
    return cgroups->dying == NULL;
}

void leaf_forget_dying(struct cgroups *cgroups)
{
    while (cgroups->dying != NULL)
        forget(cgroups->dying);
}

/* NULL, and the state is refused, if memory ran out. */
static struct leaf *restore_one(struct state *state, struct server *server)
{
    struct leaf *leaf = calloc(1, sizeof *leaf);
    if (leaf == NULL) {
        state_refuse(state);
        return NULL;
    }
    init(leaf, server);
    return leaf;
}

static void carry_names(struct state *state, struct leaf *leaf)
{
    STATE_TEXT(state, leaf->tenant);
    STATE_TEXT(state, leaf->name);
    if (!state->saving && state_is_good(state) &&
        (leaf->server->cgroups->root < 0 || !cgroup_is_name(leaf->tenant) ||
         !cgroup_is_name(leaf->name)))
        state_refuse(state);
}

static void carry_living(struct state *state, struct leaf *leaf, struct exec *exec)
{
    carry_names(state, leaf);
    state_u64(state, &leaf->id);
    state_fd(state, &leaf->fd);
    state_fd(state, &leaf->events);
    if (state->saving)
        return;
    leaf->exec = exec;
    if (exec == NULL ? leaf->fd >= 0 || leaf->events >= 0 : leaf->fd < 0)
        state_refuse(state);
    if (state_is_good(state) && leaf->events >= 0 &&
        loop_add_changing(leaf->server->loop, &leaf->refusals, leaf->events, on_refusals, NULL) < 0)
        state_refuse(state);
}

void leaf_carry(struct state *state, struct server *server, struct exec *exec, struct leaf **leaf)
{
    bool there = *leaf != NULL;
    state_bool(state, &there);
    if (!there)
        return;
    struct leaf *l = state->saving ? *leaf : restore_one(state, server);
    if (l == NULL)
        return;
    carry_living(state, l, exec);
    if (state_is_good(state))
        *leaf = l;
    else if (!state->saving)
        forget(l);
}

static void carry_dying(struct state *state, struct leaf *leaf)
{
    carry_names(state, leaf);
    state_fd(state, &leaf->pidfd);
    state_unsigned(state, &leaf->tries);
}

static void restore_dying(struct state *state, struct server *server)
{
    struct leaf *leaf = restore_one(state, server);
    if (leaf == NULL)
        return;
    carry_dying(state, leaf);
    leaf->next = server->cgroups->dying;
    server->cgroups->dying = leaf;
    if (!state_is_good(state))
        forget(leaf);
    /* It looks again soon, whether or not its worker has ended by then. */
    else if (loop_arm(server->loop, &leaf->timer, RETRY_MS, on_retry) < 0)
        state_refuse(state);
}

void leaf_carry_dying(struct state *state, struct server *server)
{
    for (struct leaf *leaf = server->cgroups->dying; state->saving && leaf != NULL;
         leaf = leaf->next) {
        (void)state_more(state, true);
        carry_dying(state, leaf);
    }
    while (state_more(state, false))
        restore_dying(state, server);
}
