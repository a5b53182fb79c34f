/* Execs on their way to the next program (exec.h, state.h). */
#include "cleanup.h"
#include "exec.h"
#include "generation.h"
#include "leaf.h"
#include "state.h"
#include "terminate.h"

bool exec_all_quiet(const struct server *server)
{
    for (const struct exec *exec = server->execs; exec != NULL; exec = exec->next)
        if (exec->job != NULL || exec->report_held)
            return false;
    for (const struct connection *c = server->connections; c != NULL; c = c->next)
        if (c->share.maker != 0)
            return false;
    return true;
}

void exec_record_carry(struct state *state, struct exec_record *record)
{
    STATE_TEXT(state, record->id);
    STATE_TEXT(state, record->conn_id);
    STATE_TEXT(state, record->tenant);
    STATE_TEXT(state, record->user);
    STATE_TEXT(state, record->key);
    STATE_TEXT(state, record->key_comment);
    STATE_TEXT(state, record->peer_host);
    state_u16(state, &record->peer_port);
    state_u64(state, &record->generation);
    state_bool(state, &record->receipt);
}

static void carry_event(struct state *state, struct egress_event *event)
{
    state_u64(state, &event->cgroup);
    state_u32(state, &event->kind);
    state_u32(state, &event->protocol);
    state_u32(state, &event->port);
    state_u32(state, &event->detail);
    state_bytes(state, event->addr, sizeof event->addr);
}

/* What the client has been told of, so that nothing is told twice. */
static void carry_notes(struct state *state, struct exec *exec)
{
    size_t n = exec->n_blocked;
    state_unsigned(state, &exec->n_notes);
    state_size(state, &n, SPEC_NOTES_MAX + 1);
    exec->n_blocked = (unsigned)n;
    for (size_t i = 0; i < n && i < SPEC_NOTES_MAX; i++)
        carry_event(state, &exec->blocked[i]);
    state_bool(state, &exec->tasks_noted);
}

static void carry_flags(struct state *state, struct exec *exec)
{
    bool *const flags[] = {&exec->terminal_due, &exec->terminating, &exec->killed,
                           &exec->measured,     &exec->ended,       &exec->done,
                           &exec->over,         &exec->cut,         &exec->recorded,
                           &exec->counted,      &exec->accounted};
    for (size_t i = 0; i < array_len(flags); i++)
        state_bool(state, flags[i]);
    STATE_ENUM(state, exec->cause, CAUSE_SHUTDOWN + 1);
    STATE_TEXT(state, exec->why);
    STATE_ENUM(state, exec->recording, RECORDED_INCOMPLETE + 1);
}

static void carry_usage(struct state *state, struct exec *exec)
{
    unsigned char buf[REPORT_MAX], *data = buf;
    size_t len = 0;
    if (!exec->measured)
        return;
    if (state->saving) {
        len = report_encode(&exec->usage, buf);
        state_blob(state, &data, &len, sizeof buf);
        return;
    }
    cleanup_free unsigned char *read = NULL;
    state_blob(state, &read, &len, sizeof buf);
    if (read == NULL || report_decode(read, len, &exec->usage) < 0 ||
        exec->usage.type != REPORT_EXIT)
        state_refuse(state);
}

static void carry_used(struct state *state, struct exec *exec)
{
    struct cgroup_usage *used = &exec->used;
    uint64_t *const counts[] = {&used->memory_peak,   &used->tasks_peak,   &used->user_us,
                                &used->system_us,     &used->throttled_us, &used->read_bytes,
                                &used->written_bytes, &used->oom_kills,    &used->memory_full,
                                &used->tasks_refused, &exec->total.memory, &exec->total.tasks};
    for (size_t i = 0; i < array_len(counts); i++)
        state_u64(state, counts[i]);
    state_bool(state, &used->oom_known);
    state_bool(state, &exec->total.memory_full);
}

static void carry_outcome(struct state *state, struct outcome *outcome)
{
    STATE_ENUM(state, outcome->verdict, VERDICT_COUNT);
    state_bool(state, &outcome->signalled);
    outcome->code = state_number(state, outcome->code, 256);
    state_bool(state, &outcome->core);
    STATE_TEXT(state, outcome->reason);
}

static void carry_command(struct state *state, struct exec_command *command)
{
    STATE_ENUM(state, command->kind, EXEC_SUBSYSTEM + 1);
    state_bool(state, &command->terminal);
    state_bool(state, &command->cut);
    state_size(state, &command->len, sizeof command->text);
    state_bytes(state, command->text, command->len);
}

static void carry_numbers(struct state *state, struct exec *exec)
{
    state_u64(state, &exec->started_ms);
    state_u64(state, &exec->ended_ms);
    state_u64(state, &exec->decided_us);
    state_u64(state, &exec->bytes_in);
    state_u64(state, &exec->bytes_out);
    state_u64(state, &exec->bytes_err);
    state_u64(state, &exec->signals.whole_ns);
    state_u64(state, &exec->limits.time_ms);
    state_u64(state, &exec->limits.memory);
    state_bool(state, &exec->limits.time_is_clients);
    state_bool(state, &exec->limits.memory_is_clients);
}

static void carry_holds(struct state *state, struct exec *exec)
{
    struct server *server = exec->server;
    generation_carry(state, server, &exec->generation);
    /* From here on nothing is read. */
    if (exec->generation != NULL && exec->generation->policy->n_sandboxes == 0) {
        state_refuse(state);
        generation_unref(steal_ptr(exec->generation));
    }
    connection_carry(state, server, &exec->connection);
    tenant_load_carry(state, server, &server->loads, &exec->load);
    child_carry(state, server, &exec->spawner);
    state_fd(state, &exec->report_fd);
    state_fd(state, &exec->pidfd);
    leaf_carry(state, server, exec, &exec->leaf);
}

static void carry(struct state *state, struct exec *exec)
{
    carry_holds(state, exec);
    state_u64(state, &exec->number);
    state_u32(state, &exec->channel);
    if (exec->generation != NULL)
        state_size(state, &exec->sandbox, exec->generation->policy->n_sandboxes - 1);
    exec_record_carry(state, &exec->record);
    STATE_TEXT(state, exec->program);
    carry_command(state, &exec->command);
    carry_flags(state, exec);
    carry_notes(state, exec);
    carry_usage(state, exec);
    carry_used(state, exec);
    carry_outcome(state, &exec->outcome);
    carry_numbers(state, exec);
    terminate_carry(state, exec);
}

/* What runs has a worker, and counts; what has ended has neither, and waits for its session. */
static bool is_whole(const struct exec *exec)
{
    if (exec->ended)
        return exec->report_fd < 0 && exec->load == NULL && exec->leaf == NULL && !exec->done;
    return exec->report_fd >= 0 && exec->load != NULL;
}

static void restore(struct state *state, struct server *server)
{
    struct exec *exec = calloc(1, sizeof *exec);
    if (exec == NULL) {
        state_refuse(state);
        return;
    }
    *exec = (struct exec){.server = server, .report_fd = -1, .pidfd = -1, .source = {.fd = -1}};
    carry(state, exec);
    bool good = state_is_good(state) && is_whole(exec) && exec->number > 0;
    if (good && !exec->ended)
        good = exec_watch(exec, NULL) == 0;
    if (!good)
        state_refuse(state);
    if (exec->generation != NULL)
        exec_link(exec);
    else
        free(exec);
}

/* The oldest first, so that the lists come to be in their order. */
void exec_carry_all(struct state *state, struct server *server)
{
    struct exec *exec = state->saving ? server->execs : NULL;
    while (exec != NULL && exec->next != NULL)
        exec = exec->next;
    for (; exec != NULL; exec = exec->prev) {
        (void)state_more(state, true);
        carry(state, exec);
    }
    while (state_more(state, false))
        restore(state, server);
}
