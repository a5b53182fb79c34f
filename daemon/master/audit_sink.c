#include "audit_sink.h"
#include "generation.h"
#include "log.h"
#include "state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    AUDIT_VERSION = 1,
    RETRY_MS = 500,
    RETRY_BUSY_MS = 20, /* where somebody only has to read */
    STAMP_MAX = 48,
};

static void put_time(struct json *json, const char *name, const struct timespec *at)
{
    struct tm tm;
    char date[32] = "", stamp[STAMP_MAX];
    if (gmtime_r(&at->tv_sec, &tm) != NULL)
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(stamp, sizeof stamp, "%s.%03ldZ", date, at->tv_nsec / 1000000);
    json_str(json, name, stamp);
}

void audit_sink_begin(struct json *json, enum audit_event event)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    json->len = 0;
    json->full = 0;
    json_uint(json, "v", AUDIT_VERSION);
    put_time(json, "time", &now);
    json_str(json, "event", audit_event_kind(event)->name);
}

int audit_sink_open(struct audit_sink *sink, const struct server_config *config, struct err *err)
{
    for (sink->n = 0; sink->n < config->audit.n; sink->n++) {
        struct trail *trail = &sink->trails[sink->n];
        if (trail_open(trail, config->audit.items[sink->n], err) < 0) {
            trail_close(trail);
            return -1;
        }
    }
    return 0;
}

void audit_sink_close(struct audit_sink *sink)
{
    for (size_t i = 0; i < sink->n; i++) {
        struct trail *trail = &sink->trails[i];
        if (!trail_is_clear(trail))
            trail_flush(trail);
        uint64_t lost = trail_count_held(trail) + trail->n_lost;
        if (lost > 0)
            log_line(LOG_LEVEL_ERROR, "%" PRIu64 " records of the audit trail %s are lost", lost,
                     trail->name);
        trail_close(trail);
    }
    sink->n = 0;
}

void audit_sink_hand_on(struct audit_sink *from, struct audit_sink *to)
{
    for (size_t i = 0; i < from->n; i++)
        for (size_t j = 0; j < to->n; j++)
            if (strcmp(from->trails[i].name, to->trails[j].name) == 0) {
                trail_hand_on(&from->trails[i], &to->trails[j]);
                from->trails[i].n_lost = 0;
                to->failing[j] = from->failing[i];
            }
}

/* The first record after a gap tells of it; whatever follows is behind it. */
static void tell_lost(struct trail *trail)
{
    static struct json json;
    uint64_t lines = trail->n_lost;
    if (lines == 0 || !trail_is_clear(trail))
        return;
    audit_sink_begin(&json, AUDIT_LOST);
    json_uint(&json, "lines", lines);
    put_time(&json, "since", &trail->lost_since);
    json_str(&json, "reason", "the trail could not be written, and no more was held");
    size_t len = json_end(&json);
    trail->n_lost = 0;
    (void)trail_put(trail, AUDIT_LOST, json.buf, len, true);
}

/* Once per spell. */
static void tell_log(struct audit_sink *sink, size_t i, bool required)
{
    struct trail *trail = &sink->trails[i];
    bool fails = !trail_is_clear(trail), stale = trail->stale.text[0] != '\0';
    if (stale && !fails && !sink->stale[i])
        log_line(LOG_LEVEL_ERROR, "%s; the old one is written on", trail->stale.text);
    sink->stale[i] = stale;
    if (fails && !sink->failing[i])
        log_line(LOG_LEVEL_ERROR, "the audit trail %s can't be written: %s; %s", trail->name,
                 strerror(trail->error),
                 required ? "commands are denied until it can"
                          : "commands go on, what they do is held in memory for a while");
    if (!fails && sink->failing[i])
        log_line(LOG_LEVEL_WARNING, "the audit trail %s is written again%s", trail->name,
                 trail->n_lost > 0 ? ", with a gap" : "");
    sink->failing[i] = fails;
}

static void on_retry(struct loop_timer *timer);

/* After whatever was done to the trails. True if all is written. */
static bool settle(struct server *server)
{
    const struct server_config *config = &server->current->policy->server;
    struct audit_sink *sink = &server->current->audit;
    bool clear = true;
    uint64_t delay = RETRY_MS;
    for (size_t i = 0; i < sink->n; i++) {
        if (sink->trails[i].error == EAGAIN)
            delay = RETRY_BUSY_MS;
        tell_log(sink, i, config->audit_mode == AUDIT_REQUIRED);
        tell_lost(&sink->trails[i]);
        clear &= trail_is_clear(&sink->trails[i]);
    }
    if (!clear && server->audit_timer.slot == 0)
        (void)loop_arm(server->loop, &server->audit_timer, delay, on_retry);
    return clear;
}

static bool try_again(struct server *server)
{
    struct audit_sink *sink = &server->current->audit;
    for (size_t i = 0; i < sink->n; i++)
        if (!trail_is_clear(&sink->trails[i]))
            trail_flush(&sink->trails[i]);
    return settle(server);
}

static void on_retry(struct loop_timer *timer)
{
    (void)try_again(CONTAINER_OF(timer, struct server, audit_timer));
}

bool audit_sink_write(struct server *server, enum audit_event event, struct json *json,
                      bool matters)
{
    struct audit_sink *sink = &server->current->audit;
    size_t len = json_end(json);
    bool taken = true;
    for (size_t i = 0; i < sink->n; i++)
        taken &= trail_put(&sink->trails[i], event, json->buf, len, matters);
    server->metrics.counters.audit_lines[taken]++;
    (void)settle(server);
    return taken;
}

bool audit_sink_lets_start(struct server *server)
{
    return server->current->policy->server.audit_mode == AUDIT_BEST_EFFORT || try_again(server);
}

void audit_sink_carry(struct state *state, struct audit_sink *sink,
                      const struct server_config *config)
{
    size_t n = sink->n;
    state_size(state, &n, AUDIT_PLACES_MAX);
    if (n > config->audit.n)
        state_refuse(state);
    for (size_t i = 0; i < n && state_is_good(state); i++) {
        trail_carry(state, &sink->trails[i], config->audit.items[i]);
        sink->n = i + 1;
        state_bool(state, &sink->failing[i]);
        state_bool(state, &sink->stale[i]);
    }
}
