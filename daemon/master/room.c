#include "room.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { SERVER_BUSY_MS = 1000 };

static const char *const words[] = {
#define X(name, word) [name] = (word),
    LIMITS(X)
#undef X
};

const char *room_limit_word(enum limit limit)
{
    return limit < LIMIT_COUNT ? words[limit] : NULL;
}

static void hit(struct limit_hit *out, enum limit limit, uint64_t wait_ms, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void hit(struct limit_hit *out, enum limit limit, uint64_t wait_ms, const char *fmt, ...)
{
    va_list ap;
    out->limit = limit;
    out->wait_ms = wait_ms;
    va_start(ap, fmt);
    if (vsnprintf(out->text, sizeof out->text, fmt, ap) < 0)
        out->text[0] = '\0';
    va_end(ap);
}

static const char *interval_name(uint64_t ms)
{
    switch (ms) {
    case 1000:
        return "second";
    case 60000:
        return "minute";
    case 3600000:
        return "hour";
    default:
        return "day";
    }
}

static const char *plural(uint32_t n)
{
    return n == 1 ? "" : "s";
}

void room_for_exec(const struct tenant *tenant, struct tenant_load *load, size_t n_running,
                   size_t max_running, uint64_t now_ms, struct limit_hit *out)
{
    uint32_t most = tenant->max_execs, running = load->running;
    uint64_t wait_ms = rate_wait_ms(&load->rate, tenant->rate, tenant->rate_ms, now_ms);
    *out = (struct limit_hit){.limit = LIMIT_NONE};
    if (most != COUNT_INFINITY && running > most)
        hit(out, LIMIT_MAX_EXECS, 0, "tenant \"%s\" already runs %u command%s, its max-execs is %u",
            tenant->name, running, plural(running), most);
    else if (most != COUNT_INFINITY && running == most)
        hit(out, LIMIT_MAX_EXECS, 0, "tenant \"%s\" already runs %u command%s, its max-execs",
            tenant->name, most, plural(most));
    else if (n_running >= max_running)
        hit(out, LIMIT_SERVER, SERVER_BUSY_MS,
            "the server already runs %zu commands, all that it can", n_running);
    else if (wait_ms > 0)
        hit(out, LIMIT_RATE, wait_ms, "tenant \"%s\" may start %u command%s per %s, its rate",
            tenant->name, tenant->rate, plural(tenant->rate), interval_name(tenant->rate_ms));
}

void room_for_connection(const struct tenant *tenant, const struct tenant_load *load,
                         struct limit_hit *out)
{
    uint32_t most = tenant->max_connections;
    *out = (struct limit_hit){.limit = LIMIT_NONE};
    if (most != COUNT_INFINITY && load->connections >= most)
        hit(out, LIMIT_MAX_CONNECTIONS, 0,
            "tenant \"%s\" already has %u connection%s, its max-connections", tenant->name, most,
            plural(most));
}
