#include "metrics.h"
#include "cleanup.h"

#include <stdio.h>
#include <string.h>

enum {
    FORMAT = 1, /* of what is saved: another one when numbers change their meaning or places */
    TENANT_NUMBERS = VERDICT_COUNT + 1, /* that are saved of each: execs, cpu_us */
    NUMBERS = sizeof(struct metrics_counters) / sizeof(uint64_t),
    NUMBERS_MAX = 4096, /* of any version */
};

_Static_assert(sizeof(struct metrics_counters) % sizeof(uint64_t) == 0, "an array of numbers");
_Static_assert(METRICS_TENANTS_MAX < METRICS_INDEX / 2 + 1 && METRICS_TENANTS_MAX < UINT16_MAX,
               "a search in the index ends soon");

/* From a moment to a day, as commands take. */
static const uint64_t duration_bounds[] = {
    10000,    50000,    100000,   250000,    500000,    1000000,    2500000,     5000000,
    10000000, 30000000, 60000000, 300000000, 900000000, 3600000000, 14400000000, 86400000000};
/* Around the few milliseconds that it takes. */
static const uint64_t start_bounds[] = {1000,    2000,    3000,    5000,    7500,   10000,
                                        15000,   25000,   50000,   100000,  250000, 500000,
                                        1000000, 2500000, 5000000, 10000000};
static const uint64_t wait_bounds[] = {10000,    100000,    500000,    1000000,
                                       2000000,  5000000,   10000000,  30000000,
                                       60000000, 300000000, 900000000, 3600000000};

static const struct {
    const uint64_t *bounds;
    size_t n;
} times[METRICS_TIMES] = {
    [METRICS_DURATION] = {duration_bounds, array_len(duration_bounds)},
    [METRICS_SANDBOX_START] = {start_bounds, array_len(start_bounds)},
    [METRICS_QUEUE_WAIT] = {wait_bounds, array_len(wait_bounds)},
};
_Static_assert(array_len(duration_bounds) <= METRICS_BUCKETS_MAX &&
                   array_len(start_bounds) <= METRICS_BUCKETS_MAX &&
                   array_len(wait_bounds) <= METRICS_BUCKETS_MAX,
               "metrics_histogram has room for them");

const uint64_t *metrics_bounds(enum metrics_time time, size_t *n)
{
    *n = times[time].n;
    return times[time].bounds;
}

const char *metrics_refused_word(size_t reason)
{
    static const char *const words[] = {
#define X(name, word) [name] = (word),
        REFUSED_REASONS(X)
#undef X
    };
    return reason < array_len(words) ? words[reason] : "?";
}

const char *metrics_denial_word(size_t denial)
{
    static const char *const words[] = {
        [DENIAL_RULE] = "rule", [DENIAL_LOGIN] = "login", [DENIAL_CLIENT_LIMIT] = "client-limit"};
    return denial < array_len(words) ? words[denial]
                                     : room_limit_word((enum limit)(denial - DENIAL_LIMITS + 1));
}

void metrics_init(struct metrics *metrics, uint64_t now_s)
{
    memset(metrics, 0, sizeof *metrics);
    metrics->counters.start_s = metrics->counters.last_loaded_s = now_s;
    metrics->counters.last_reload = 1;
}

void metrics_set_max_tenants(struct metrics *metrics, size_t max)
{
    metrics->max_tenants = max < METRICS_TENANTS_MAX ? max : METRICS_TENANTS_MAX;
}

/* FNV-1a. The names are the administrator's: nobody else chooses what collides. */
static uint32_t hash(uint32_t h, const char *text)
{
    for (; *text != '\0'; text++)
        h = (h ^ (unsigned char)*text) * 16777619U;
    return h;
}

/* Where a name is in the index, or where it would be. */
static uint16_t *place_of(struct metrics *metrics, const char *name)
{
    size_t at = hash(2166136261U, name) & (METRICS_INDEX - 1);
    while (metrics->index[at] != 0 &&
           strcmp(metrics->tenants[metrics->index[at] - 1].name, name) != 0)
        at = (at + 1) & (METRICS_INDEX - 1);
    return &metrics->index[at];
}

static struct metrics_tenant *add_tenant(struct metrics *metrics, uint16_t *place, const char *name)
{
    struct metrics_tenant *tenant = &metrics->tenants[metrics->n_tenants++];
    *tenant = (struct metrics_tenant){.name = ""};
    (void)snprintf(tenant->name, sizeof tenant->name, "%s", name);
    *place = (uint16_t)metrics->n_tenants;
    return tenant;
}

struct metrics_tenant *metrics_tenant(struct metrics *metrics, const char *name)
{
    if (name[0] == '\0')
        return &metrics->nobody;
    uint16_t *place = place_of(metrics, name);
    if (*place != 0)
        return &metrics->tenants[*place - 1];
    if (metrics->n_tenants >= metrics->max_tenants || strlen(name) >= sizeof metrics->others.name)
        return &metrics->others;
    return add_tenant(metrics, place, name);
}

void metrics_sweep(struct metrics *metrics, bool (*exists)(const void *user, const char *),
                   const void *user)
{
    size_t n = metrics->n_tenants;
    metrics->n_tenants = 0;
    memset(metrics->index, 0, sizeof metrics->index);
    for (size_t i = 0; i < n; i++) {
        struct metrics_tenant tenant = metrics->tenants[i];
        if (exists(user, tenant.name))
            *add_tenant(metrics, place_of(metrics, tenant.name), tenant.name) = tenant;
    }
}

void metrics_observe(struct metrics *metrics, enum metrics_time time, uint64_t us)
{
    struct metrics_histogram *histogram = &metrics->counters.times[time];
    size_t i = 0;
    while (i < times[time].n && us > times[time].bounds[i])
        i++;
    histogram->counts[i]++;
    histogram->sum_us += us;
}

void metrics_auth(struct metrics *metrics, const char *method, bool accepted)
{
    enum metrics_method kind = METRICS_OTHER_METHOD;
    if (strcmp(method, "publickey") == 0)
        kind = METRICS_PUBLICKEY;
    else if (strcmp(method, "none") == 0)
        kind = METRICS_NONE;
    metrics->counters.auth[kind][accepted]++;
}

void metrics_denied(struct metrics *metrics, enum limit limit, enum denial why)
{
    size_t at = limit != LIMIT_NONE ? (size_t)DENIAL_LIMITS + limit - 1 : (size_t)why;
    metrics->counters.denials[at]++;
}

void metrics_exec(struct metrics *metrics, const struct metrics_exec *exec)
{
    struct metrics_tenant *tenant = metrics_tenant(metrics, exec->tenant);
    tenant->execs[exec->verdict]++;
    tenant->cpu_us += exec->cpu_us;
    metrics->counters.refusals[METRICS_SYSCALL] += exec->refused_calls;
    for (size_t i = 0; exec->counted && i < METRICS_STREAMS; i++)
        metrics->counters.bytes[i] += exec->bytes[i];
}

/* Numbers mean the same only where there are the same words for them. */
static uint32_t shape(void)
{
    uint32_t h = 2166136261U;
    for (size_t i = 0; i < VERDICT_COUNT; i++)
        h = hash(h, verdict_word((enum verdict)i));
    for (size_t i = 0; i < REFUSED_REASON_COUNT; i++)
        h = hash(h, metrics_refused_word(i));
    for (size_t i = 0; i < DENIAL_COUNT; i++)
        h = hash(h, metrics_denial_word(i));
    for (size_t i = 0; i < OFFENCES; i++)
        h = hash(h, offence_name((enum offence)i));
    for (size_t i = 0; i < METRICS_TIMES; i++)
        for (size_t k = 0; k < times[i].n; k++)
            h = (h ^ (uint32_t)times[i].bounds[k]) * 16777619U;
    return h + FORMAT;
}

static void put_tenant(struct wire_writer *w, const struct metrics_tenant *tenant)
{
    wire_put_str(w, tenant->name);
    for (size_t i = 0; i < VERDICT_COUNT; i++)
        wire_put_u64(w, tenant->execs[i]);
    wire_put_u64(w, tenant->cpu_us);
}

void metrics_save(const struct metrics *metrics, struct wire_writer *w)
{
    uint64_t numbers[NUMBERS];
    memcpy(numbers, &metrics->counters, sizeof numbers);
    wire_put_u32(w, shape());
    wire_put_u32(w, NUMBERS);
    wire_put_u32(w, TENANT_NUMBERS);
    wire_put_u32(w, (uint32_t)metrics->n_tenants);
    for (size_t i = 0; i < NUMBERS; i++)
        wire_put_u64(w, numbers[i]);
    put_tenant(w, &metrics->others);
    put_tenant(w, &metrics->nobody);
    for (size_t i = 0; i < metrics->n_tenants; i++)
        put_tenant(w, &metrics->tenants[i]);
}

/* `n` numbers, of which the first `room` are kept. */
static void get_numbers(struct wire_reader *r, uint32_t n, uint64_t *numbers, size_t room)
{
    for (uint32_t i = 0; i < n && !r->bad; i++) {
        uint64_t number = wire_get_u64(r);
        if (i < room)
            numbers[i] = number;
    }
}

static void get_tenant(struct wire_reader *r, uint32_t n, struct metrics_tenant *tenant)
{
    uint64_t numbers[TENANT_NUMBERS] = {0};
    const char *name = wire_get_str(r, sizeof tenant->name - 1);
    *tenant = (struct metrics_tenant){.name = ""};
    (void)snprintf(tenant->name, sizeof tenant->name, "%s", name);
    get_numbers(r, n, numbers, TENANT_NUMBERS);
    memcpy(tenant->execs, numbers, sizeof tenant->execs);
    tenant->cpu_us = numbers[VERDICT_COUNT];
}

/* Takes what can be taken, whatever it means; true if all of it was there and was ours. */
static bool get_all(struct metrics *metrics, struct wire_reader *r)
{
    uint64_t numbers[NUMBERS] = {0};
    bool ours = wire_get_u32(r) == shape();
    uint32_t n = wire_get_u32(r), n_of_tenant = wire_get_u32(r), n_tenants = wire_get_u32(r);
    if (n > NUMBERS_MAX || n_of_tenant > NUMBERS_MAX || n_tenants > METRICS_TENANTS_MAX)
        r->bad = true;
    get_numbers(r, n, numbers, NUMBERS);
    memcpy(&metrics->counters, numbers, sizeof numbers);
    get_tenant(r, n_of_tenant, &metrics->others);
    get_tenant(r, n_of_tenant, &metrics->nobody);
    for (uint32_t i = 0; i < n_tenants && !r->bad; i++) {
        struct metrics_tenant tenant;
        get_tenant(r, n_of_tenant, &tenant);
        uint16_t *place = place_of(metrics, tenant.name);
        if (*place == 0)
            *add_tenant(metrics, place, tenant.name) = tenant;
    }
    return ours && !r->bad && n == NUMBERS && n_of_tenant == TENANT_NUMBERS;
}

int metrics_restore(struct metrics *metrics, struct wire_reader *r)
{
    size_t max = metrics->max_tenants;
    uint64_t start_s = metrics->counters.start_s;
    metrics_init(metrics, start_s);
    bool whole = get_all(metrics, r);
    if (!whole)
        metrics_init(metrics, start_s);
    metrics->max_tenants = max;
    return r->bad ? -1 : 0;
}
