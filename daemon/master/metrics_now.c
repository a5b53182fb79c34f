#include "metrics_now.h"
#include "cleanup.h"
#include "exec.h"
#include "generation.h"
#include "metrics_text.h"
#include "waiting.h"
#include "zygote.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { GENERATIONS_SEEN = 64 };

static uint64_t microseconds(const struct timeval *time)
{
    return (uint64_t)time->tv_sec * 1000000 + (uint64_t)time->tv_usec;
}

/* Of /proc/self/statm: "SIZE RESIDENT …", in pages (proc(5)). */
static uint64_t resident_bytes(void)
{
    cleanup_file FILE *statm = fopen("/proc/self/statm", "re");
    cleanup_free char *line = NULL;
    size_t room = 0;
    if (statm == NULL || getline(&line, &room, statm) < 0)
        return 0;
    const char *resident = strchr(line, ' ');
    return resident == NULL ? 0 : strtoul(resident, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t cpu_us(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) < 0)
        return 0;
    return microseconds(&usage.ru_utime) + microseconds(&usage.ru_stime);
}

/* How many policies are in memory; those that only zygotes or old spawners keep are gone soon. */
static uint64_t count_generations(const struct server *server)
{
    const struct generation *seen[GENERATIONS_SEEN] = {server->current};
    size_t n = 1;
    for (const struct exec *exec = server->execs; exec != NULL; exec = exec->next) {
        size_t i = 0;
        while (i < n && seen[i] != exec->generation)
            i++;
        if (i == n && n < GENERATIONS_SEEN)
            seen[n++] = exec->generation;
    }
    return n + (server->next != NULL);
}

static void count_penalty(void *arg, const struct source_key *source, uint32_t points,
                          uint64_t left_ms)
{
    (void)source;
    (void)points;
    *(uint64_t *)arg += left_ms > 0;
}

static void forget_use(struct metrics_tenant *tenant)
{
    tenant->running = tenant->connections = tenant->waiting = 0;
}

static void look_at_tenants(struct server *server)
{
    struct metrics *metrics = &server->metrics;
    forget_use(&metrics->others);
    forget_use(&metrics->nobody);
    for (size_t i = 0; i < metrics->n_tenants; i++)
        forget_use(&metrics->tenants[i]);
    for (size_t i = 0; i < server->loads.n_buckets; i++) {
        const struct tenant_load *load = server->loads.buckets[i];
        for (; load != NULL; load = load->next) {
            struct metrics_tenant *tenant = metrics_tenant(metrics, load->name);
            tenant->running += load->running;
            tenant->connections += load->connections;
            tenant->waiting += load->queue.n;
            metrics->now.waiting += load->queue.n;
        }
    }
}

void metrics_look(struct server *server)
{
    const struct generation *current = server->current;
    struct metrics_now *now = &server->metrics.now;
    *now = (struct metrics_now){
        .connections = server->n_connections,
        .unauthenticated = server->n_unauthenticated,
        .proxied = server->n_proxied,
        .max_connections = current->policy->server.max_connections,
        .execs = server->n_running,
        .max_execs = server->max_execs,
        .waiting_bytes = server->waiting_bytes,
        .generation = current->number,
        .generations = count_generations(server),
        .tenants = current->policy->n_tenants,
        .stopping = server->stopping,
        .draining = server->drain.active,
        .spawner_ready = current->ready,
        .cpu_us = cpu_us(),
        .resident_bytes = resident_bytes(),
    };
    penalty_list(&server->penalties, loop_now_ms(), count_penalty, &now->penalties);
    zygote_count(server, now->zygotes);
    look_at_tenants(server);
}

char *metrics_now_text(struct server *server, size_t *len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, len);
    if (out == NULL)
        return NULL;
    metrics_look(server);
    metrics_text(&server->metrics, out);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed)
        free_ptr(&text);
    return text;
}
