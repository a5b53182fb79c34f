#include "drain.h"
#include "control.h"
#include "log.h"
#include "server.h"
#include "state.h"

bool drain_is_idle(const struct server *server)
{
    return server->n_execs == 0 && server->waiters == NULL;
}

static void on_due(struct loop_timer *timer)
{
    struct server *server = CONTAINER_OF(timer, struct server, drain.timer);
    if (!server->drain.active || !drain_is_idle(server))
        return;
    control_news(server);
    if (!server->drain.then_stop || server->stopping)
        return;
    log_line(LOG_LEVEL_INFO, "drained: nothing runs any more");
    server_stop(server);
}

void drain_check(struct server *server)
{
    if (server->drain.active && drain_is_idle(server))
        (void)loop_arm(server->loop, &server->drain.timer, 0, on_due);
}

void drain_begin(struct server *server, bool then_stop)
{
    struct drain *drain = &server->drain;
    if (!drain->active) {
        drain->since = time(NULL);
        log_line(LOG_LEVEL_INFO, "draining: %zu execs go on, new ones are refused",
                 server->n_execs);
    }
    drain->active = true;
    drain->then_stop = then_stop;
    drain_check(server);
}

void drain_end(struct server *server)
{
    if (server->drain.active)
        log_line(LOG_LEVEL_INFO, "no longer draining");
    server->drain.active = server->drain.then_stop = false;
    control_news(server);
}

void drain_carry(struct state *state, struct drain *drain)
{
    uint64_t since = (uint64_t)drain->since;
    state_bool(state, &drain->active);
    state_bool(state, &drain->then_stop);
    state_u64(state, &since);
    drain->since = (time_t)since;
}
