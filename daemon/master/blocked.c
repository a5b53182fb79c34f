#include "blocked.h"
#include "audit.h"
#include "blocked_text.h"
#include "cleanup.h"
#include "exec.h"
#include "leaf.h"
#include "log.h"
#include "note.h"
#include "state.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct blocked {
    struct generation *generation;
    struct egress_ring *ring;
    struct loop_source source;
    int fd;
};

static struct exec *find_exec(const struct generation *generation, uint64_t cgroup)
{
    struct exec *exec = generation->server->execs;
    while (exec != NULL && (exec->generation != generation || leaf_id(exec->leaf) != cgroup))
        exec = exec->next;
    return exec;
}

static bool was_told(const struct exec *exec, const struct egress_event *event)
{
    for (unsigned i = 0; i < exec->n_blocked && i < exec_spec(exec)->notes; i++)
        if (memcmp(&exec->blocked[i], event, sizeof *event) == 0)
            return true;
    return false;
}

/* A datagram is refused by the address that it was given or, on its way out, by that of its socket:
 * to whoever sends it that is the same. */
static struct egress_event as_seen(const struct egress_event *event)
{
    struct egress_event out = *event;
    if (event->kind == EGRESS_REFUSED_PACKET && event->protocol == IPPROTO_UDP && event->port != 0)
        out.kind = EGRESS_REFUSED_SEND;
    return out;
}

/* The first of each kind, and not more than so many: it may be one that tries all addresses. */
static void tell(struct exec *exec, const struct egress_event *event)
{
    char text[BLOCKED_TEXT_MAX];
    const struct sandbox_spec *spec = exec_spec(exec);
    enum explain_level level = exec_explain(exec);
    if (blocked_word(event->kind) == NULL || was_told(exec, event) || exec->n_blocked > spec->notes)
        return;
    if (exec->n_blocked == spec->notes) {
        exec->n_blocked++;
        if (level != EXPLAIN_NONE)
            note_text(exec, "more of the network was refused, which is not told one by one");
        return;
    }
    exec->blocked[exec->n_blocked++] = *event;
    exec->server->metrics.counters.refusals[METRICS_NETWORK]++;
    audit_blocked(exec->server, &exec->record, spec, event);
    log_line(LOG_LEVEL_INFO, "%s: %s", exec->record.id,
             blocked_describe(spec, event, EXPLAIN_RULE, text));
    if (level != EXPLAIN_NONE || exec->n_blocked == 1)
        note_text(exec, blocked_describe(spec, event, level, text));
}

void blocked_tell_all(struct generation *generation)
{
    struct egress_event event;
    if (generation->blocked == NULL)
        return;
    while (egress_ring_take(generation->blocked->ring, &event)) {
        struct exec *exec = find_exec(generation, event.cgroup);
        event = as_seen(&event);
        if (exec != NULL && !exec->ended)
            tell(exec, &event);
    }
}

static void on_ring(struct loop_source *source)
{
    blocked_tell_all(CONTAINER_OF(source, struct blocked, source)->generation);
}

int blocked_watch(struct generation *generation, int ring, struct err *err)
{
    blocked_stop(generation);
    struct blocked *blocked = malloc(sizeof *blocked);
    if (blocked == NULL) {
        close_fd(&ring);
        return err_set(err, ENOMEM, "ring of refusals");
    }
    *blocked = (struct blocked){.generation = generation, .source = {.fd = -1}, .fd = ring};
    generation->blocked = blocked;
    blocked->ring = egress_ring_open(ring, err);
    if (blocked->ring != NULL &&
        loop_add(generation->server->loop, &blocked->source, ring, on_ring, err) == 0)
        return 0;
    blocked_stop(generation);
    return -1;
}

void blocked_stop(struct generation *generation)
{
    struct blocked *blocked = steal_ptr(generation->blocked);
    if (blocked == NULL)
        return;
    loop_remove(generation->server->loop, &blocked->source);
    egress_ring_close(blocked->ring);
    close_fd(&blocked->fd);
    free(blocked);
}

void blocked_carry(struct state *state, struct generation *generation)
{
    int ring = generation->blocked != NULL ? generation->blocked->fd : -1;
    state_fd(state, &ring);
    if (!state->saving && ring >= 0 && blocked_watch(generation, ring, NULL) < 0)
        state_refuse(state);
}
