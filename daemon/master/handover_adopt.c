/* The next program's side of a handover (handover.h). */
#include "agent.h"
#include "audit.h"
#include "cgroups.h"
#include "child.h"
#include "cleanup.h"
#include "connection.h"
#include "control.h"
#include "drain.h"
#include "exec.h"
#include "generation.h"
#include "handover.h"
#include "listener.h"
#include "log.h"
#include "metrics_file.h"
#include "notify.h"
#include "proxied.h"
#include "recordings.h"
#include "reload.h"
#include "signer.h"
#include "state.h"
#include "waiting.h"
#include "zygote.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>

static void carry_server(struct state *state, struct server *server)
{
    char *config = (char *)(uintptr_t)server->options.config_path;
    char *program = (char *)(uintptr_t)server->options.program;
    if (!state->saving)
        config = program = NULL;
    state_string(state, &config, PATH_MAX);
    state_string(state, &program, PATH_MAX);
    if (!state->saving) {
        server->options.config_path = server->own_config_path = config;
        server->options.program = server->own_program = program;
    }
    if (config == NULL)
        state_refuse(state);
    STATE_TEXT(state, server->run_id);
    state_u64(state, &server->conn_count);
    state_u64(state, &server->exec_count);
    state_u64(state, &server->generation_count);
    state_u64(state, &server->waiter_count);
    state_u64(state, &server->started_ms);
    uint64_t started_at = (uint64_t)server->started_at;
    state_u64(state, &started_at);
    server->started_at = (time_t)started_at;
    state_unsigned(state, &server->zygote_failures);
    state_u64(state, &server->refusal_second);
    state_unsigned(state, &server->n_refusals);
}

/* It saves by itself. */
static void carry_metrics(struct state *state, struct server *server)
{
    if (state->saving)
        metrics_save(&server->metrics, &state->out);
    else if (metrics_restore(&server->metrics, &state->in) < 0)
        state_refuse(state);
}

/* Whatever holds something comes after what it holds. */
void handover_carry(struct state *state, struct server *server, struct err *err)
{
    carry_server(state, server);
    child_carry_all(state, server);
    child_carry(state, server, &server->lowering);
    child_carry(state, server, &server->pruning);
    state_u64(state, &server->recorded_bytes);
    signer_carry_all(state, server);
    if (!state_is_good(state))
        return;
    cgroups_carry(state, server);
    generation_carry_all(state, server, err);
    /* What follows is judged by the policy in force. */
    if (!state_is_good(state))
        return;
    listeners_carry(state, server);
    control_carry(state, server);
    agent_carry(state, server);
    drain_carry(state, server);
    zygote_carry_all(state, server);
    connection_carry_all(state, server);
    exec_carry_all(state, server);
    waiting_carry_all(state, server);
    proxied_carry_all(state, server);
    tenant_loads_carry(state, &server->loads, loop_now_ms());
    penalty_carry(state, &server->penalties);
    regular_carry(state, &server->regulars);
    carry_metrics(state, server);
}

static int parse_fd(const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);
    return *text != '\0' && *end == '\0' && number > 2 && number <= INT_MAX ? (int)number : -1;
}

int handover_inherited(int *argc, char ***argv, bool *checking)
{
    const char *number = getenv(HANDOVER_VARIABLE);
    *checking = *argc >= 3 && strcmp((*argv)[1], HANDOVER_CHECK) == 0;
    if (*checking) {
        number = (*argv)[2];
        (*argv)[2] = (*argv)[0];
        *argv += 2;
        *argc -= 2;
    }
    int fd = number != NULL ? parse_fd(number) : -1;
    (void)unsetenv(HANDOVER_VARIABLE);
    if (fd >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
        return fd;
    return *checking ? INT_MAX : -1;
}

static int restore(struct server *server, struct state *state, struct err *err)
{
    handover_carry(state, server, err);
    if (state_is_done(state))
        return 0;
    return err->text[0] != '\0' ? -1 : err_set(err, 0, "the state is malformed");
}

static void serve(struct server *server, const char *writer)
{
    struct audit_handover event = {.done = true,
                                   .from = writer,
                                   .n_connections = server->n_connections,
                                   .n_execs = server->n_execs};
    for (const struct connection *c = server->connections; c != NULL; c = c->next)
        event.n_waiting += c->n_waiting;
    generation_release_restored(server);
    signer_release_restored(server);
    server->announced = true;
    server_apply_settings(server);
    log_line(LOG_LEVEL_INFO,
             "re-executed: posternd %s after %s: %zu connections, %zu execs and %zu that wait are "
             "kept, generation %" PRIu64 " in force",
             POSTERN_VERSION, writer, event.n_connections, event.n_execs, event.n_waiting,
             server->current->number);
    audit_handover(server, &event);
    connections_resume(server);
    proxied_resume(server);
    listeners_resume(server);
    control_serve(server);
    agent_serve(server);
    drain_check(server);
    metrics_file_apply(server);
    recordings_watch(server);
    notify_open(server);
    notify_ready(server);
    if (server->zygote == NULL)
        zygote_renew(server);
    /* For new work the new program's own processes, by the policy as it is now. */
    reload_start(server);
}

int handover_adopt(struct server *server, int state_fd, bool checking, struct err *err)
{
    cleanup_fd int fd = state_fd;
    struct state state = {.checking = checking};
    struct wire_bytes map;
    server->signals.fd = server->notify.fd = server->ready_fd = -1;
    metrics_init(&server->metrics, (uint64_t)time(NULL));
    server->loop = loop_new(err);
    if (server->loop == NULL)
        return -1;
    int rc = state_open(&state, fd, &map, err);
    if (rc == 0)
        rc = restore(server, &state, err);
    if (map.data != NULL)
        munmap((void *)(uintptr_t)map.data, map.len);
    char writer[sizeof state.writer];
    memcpy(writer, state.writer, sizeof writer);
    state_free(&state);
    if (rc < 0 || checking)
        return rc;
    if (server_watch_signals(server, err) < 0)
        return -1;
    serve(server, writer);
    return 0;
}
