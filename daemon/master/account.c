#include "account.h"
#include "exec.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void put_known(struct json *json, const char *name, uint64_t value, uint64_t divisor)
{
    if (value == CGROUP_UNKNOWN)
        json_str(json, name, NULL);
    else
        json_uint(json, name, value / divisor);
}

/* Where the kernel doesn't count it, all processes have read and written nothing. */
static bool host_counts_io(void)
{
    static int counts = -1;
    if (counts < 0)
        counts = access("/proc/self/io", F_OK) == 0;
    return counts == 1;
}

/* What the worker knows stands in for what no cgroup counts. */
static uint64_t either(uint64_t of_cgroup, const struct report *usage, uint64_t of_worker)
{
    if (of_cgroup != CGROUP_UNKNOWN || usage == NULL)
        return of_cgroup;
    return of_worker;
}

static void put_usage(struct json *json, const struct cgroup_usage *used,
                      const struct report *usage)
{
    static const struct report none;
    const struct report *worker = usage != NULL ? usage : &none;
    const struct report *io = host_counts_io() ? usage : NULL;
    /* A cgroup has counted what was killed, too; halves of different origin would not fit. */
    bool timed = used->user_us != CGROUP_UNKNOWN && used->system_us != CGROUP_UNKNOWN;
    put_known(json, "user_ms",
              either(timed ? used->user_us : CGROUP_UNKNOWN, usage, worker->user_us), 1000);
    put_known(json, "system_ms",
              either(timed ? used->system_us : CGROUP_UNKNOWN, usage, worker->system_us), 1000);
    put_known(json, "max_rss_kib", usage != NULL ? usage->max_rss_kib : CGROUP_UNKNOWN, 1);
    put_known(json, "memory_peak", used->memory_peak, 1);
    put_known(json, "tasks_peak", used->tasks_peak, 1);
    put_known(json, "throttled_ms", used->throttled_us, 1000);
    put_known(json, "read_bytes", either(used->read_bytes, io, worker->read_bytes), 1);
    put_known(json, "written_bytes", either(used->written_bytes, io, worker->written_bytes), 1);
    put_known(json, "oom_kills", used->oom_known ? used->oom_kills : CGROUP_UNKNOWN, 1);
}

/* Who asked for less than the policy allows. */
static const char *limits_by_client(const struct exec_limits *limits)
{
    if (limits->time_is_clients && limits->memory_is_clients)
        return "time memory";
    return limits->time_is_clients ? "time" : limits->memory_is_clients ? "memory" : NULL;
}

/* No limit is as little a number as an unknown one. */
static void put_limits(struct json *json, const struct audit_end *end)
{
    _Static_assert(SPEC_INFINITY == CGROUP_UNKNOWN, "put_known() writes both as null");
    const struct sandbox_spec *spec = end->spec;
    if (spec == NULL)
        return;
    bool keeps_cpu = (end->controllers & CGROUP_CPU) != 0;
    put_known(json, "limit_time_ms", end->limits.time_ms, 1);
    put_known(json, "limit_idle_ms", spec->idle_ms, 1);
    put_known(json, "limit_memory", end->limits.memory, 1);
    put_known(json, "limit_tasks", spec->tasks, 1);
    put_known(json, "limit_cpu_percent", keeps_cpu ? spec->cgroup.cpu : SPEC_INFINITY, 1);
    put_known(json, "limit_output", spec->output, 1);
    json_str(json, "limits_by_client", limits_by_client(&end->limits));
}

void account_put(struct json *json, const struct audit_end *end)
{
    static const struct cgroup_usage unknown = {
        .memory_peak = CGROUP_UNKNOWN,
        .tasks_peak = CGROUP_UNKNOWN,
        .user_us = CGROUP_UNKNOWN,
        .system_us = CGROUP_UNKNOWN,
        .throttled_us = CGROUP_UNKNOWN,
        .read_bytes = CGROUP_UNKNOWN,
        .written_bytes = CGROUP_UNKNOWN,
    };
    const struct outcome *outcome = end->outcome;
    json_uint(json, outcome->signalled ? "signal" : "exit", outcome->code);
    json_str(json, "cause", end_cause_word(end->cause));
    json_uint(json, "wall_ms", end->wall_ms);
    put_usage(json, end->used != NULL ? end->used : &unknown, end->usage);
    put_limits(json, end);
}

/* As the audit's user_ms and system_ms. */
static uint64_t cpu_us(const struct audit_end *end)
{
    const struct cgroup_usage *used = end->used;
    if (used != NULL && used->user_us != CGROUP_UNKNOWN && used->system_us != CGROUP_UNKNOWN)
        return used->user_us + used->system_us;
    return end->usage != NULL ? end->usage->user_us + end->usage->system_us : 0;
}

void account_count(struct server *server, const struct audit_end *end)
{
    const struct metrics_exec exec = {.tenant = end->record->tenant,
                                      .verdict = end->outcome->verdict,
                                      .cpu_us = cpu_us(end),
                                      .refused_calls = end->refused,
                                      .counted = end->counted,
                                      .bytes = {[METRICS_IN] = end->bytes_in,
                                                [METRICS_OUT] = end->bytes_out,
                                                [METRICS_ERR] = end->bytes_err}};
    metrics_exec(&server->metrics, &exec);
}

char *account_receipt(const struct audit_end *end, char *buf)
{
    static struct json json;
    json.len = 0;
    json.full = 0;
    json_uint(&json, "v", RECEIPT_VERSION);
    json_str(&json, "exec", end->record->id);
    json_str(&json, "tenant", end->record->tenant);
    json_str(&json, "verdict", verdict_word(end->outcome->verdict));
    account_put(&json, end);
    int n = snprintf(buf, IPC_RECEIPT_MAX + 1, "postern: receipt: %.*s", (int)json.len, json.buf);
    if (n < 0 || n > IPC_RECEIPT_MAX)
        buf[0] = '\0';
    return buf;
}
