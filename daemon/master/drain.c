#include "drain.h"
#include "cleanup.h"
#include "control.h"
#include "log.h"
#include "server.h"
#include "state.h"

#include <inttypes.h>

enum { FAREWELL_MS = 1000 };

bool drain_refuses(const struct server *server)
{
    return server->drain.active && !server->drain.noticing;
}

bool drain_is_idle(const struct server *server)
{
    return server->n_execs == 0 && server->waiters == NULL && !server->drain.noticing;
}

static void on_farewell(struct loop_timer *timer)
{
    struct server *server = CONTAINER_OF(timer, struct server, drain.farewell);
    if (!server->drain.active || !server->drain.then_stop || !drain_is_idle(server))
        return;
    log_line(LOG_LEVEL_INFO, "drained: nothing runs any more");
    server_stop(server);
}

static void on_due(struct loop_timer *timer)
{
    struct server *server = CONTAINER_OF(timer, struct server, drain.timer);
    if (!server->drain.active || !drain_is_idle(server))
        return;
    control_news(server);
    if (!server->drain.then_stop || server->stopping)
        return;
    /* A client that reads our disconnect before it has looked at the exit status reports the
     * former: it gets the time to hang up by itself. */
    if (server->n_connections == 0)
        on_farewell(&server->drain.farewell);
    else if (server->drain.farewell.slot == 0)
        (void)loop_arm(server->loop, &server->drain.farewell, FAREWELL_MS, on_farewell);
}

void drain_check(struct server *server)
{
    if (server->drain.active && drain_is_idle(server))
        (void)loop_arm(server->loop, &server->drain.timer, 0, on_due);
}

static void refuse_from_now_on(struct server *server)
{
    server->drain.noticing = false;
    server->drain.refuses_from = time(NULL);
    log_line(LOG_LEVEL_INFO, "draining: %zu execs go on, new ones are refused", server->n_execs);
    drain_check(server);
}

static void on_notice_over(struct loop_timer *timer)
{
    struct server *server = CONTAINER_OF(timer, struct server, drain.notice);
    if (server->drain.active && server->drain.noticing)
        refuse_from_now_on(server);
}

static void give_notice(struct server *server, uint64_t notice_ms)
{
    struct drain *drain = &server->drain;
    drain->noticing = loop_arm(server->loop, &drain->notice, notice_ms, on_notice_over) == 0;
    if (!drain->noticing) {
        refuse_from_now_on(server);
        return;
    }
    drain->refuses_from = time(NULL) + (time_t)(notice_ms / 1000);
    log_line(LOG_LEVEL_INFO, "draining: balancers are told; new execs are refused in %" PRIu64 " s",
             notice_ms / 1000);
}

void drain_begin(struct server *server, uint64_t notice_ms, bool then_stop)
{
    struct drain *drain = &server->drain;
    bool refuses = drain_refuses(server);
    if (!drain->active)
        drain->since = time(NULL);
    drain->active = true;
    drain->then_stop = then_stop;
    /* Whoever has been refused is not to be told otherwise without a resume. */
    if (!refuses) {
        loop_disarm(server->loop, &drain->notice);
        if (notice_ms > 0)
            give_notice(server, notice_ms);
        else
            refuse_from_now_on(server);
    }
    drain_check(server);
}

void drain_end(struct server *server)
{
    if (server->drain.active)
        log_line(LOG_LEVEL_INFO, "no longer draining");
    server->drain.active = server->drain.then_stop = server->drain.noticing = false;
    loop_disarm(server->loop, &server->drain.notice);
    control_news(server);
}

void drain_forget(struct server *server)
{
    loop_disarm(server->loop, &server->drain.timer);
    loop_disarm(server->loop, &server->drain.notice);
    loop_disarm(server->loop, &server->drain.farewell);
}

void drain_carry(struct state *state, struct server *server)
{
    static void (*const idle[])(struct loop_timer *) = {on_due};
    static void (*const notice[])(struct loop_timer *) = {on_notice_over};
    struct drain *drain = &server->drain;
    uint64_t since = (uint64_t)drain->since, refuses_from = (uint64_t)drain->refuses_from;
    state_bool(state, &drain->active);
    state_bool(state, &drain->then_stop);
    state_bool(state, &drain->noticing);
    state_u64(state, &since);
    state_u64(state, &refuses_from);
    state_timer(state, server->loop, &drain->timer, idle, array_len(idle));
    state_timer(state, server->loop, &drain->notice, notice, array_len(notice));
    drain->since = (time_t)since;
    drain->refuses_from = (time_t)refuses_from;
}
