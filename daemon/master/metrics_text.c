#include "metrics_text.h"
#include "cleanup.h"

#include <inttypes.h>
#include <string.h>

struct family;
typedef void put_samples(FILE *out, const struct family *family, const struct metrics *metrics);

enum family_type { COUNTER, GAUGE, HISTOGRAM };

struct family {
    const char *name;
    enum family_type type;
    const char *help; /* neither backslash nor newline */
    put_samples *put;
    size_t offset;     /* of the number in struct metrics, or of the first of an array */
    const char *label; /* of an array or a histogram's bound */
    const char *const *words;
    const char *(*word)(size_t i); /* instead of words */
    size_t n;
};

char *metrics_escape(const char *text, char *buf, size_t len)
{
    size_t at = 0;
    for (; *text != '\0'; text++) {
        char letter = *text == '\n' ? 'n' : *text;
        bool special = *text == '\n' || *text == '"' || *text == '\\';
        if (at + special + 1 >= len)
            break;
        if (special)
            buf[at++] = '\\';
        buf[at++] = letter;
    }
    buf[at] = '\0';
    return buf;
}

/* Microseconds as seconds, without trailing zeros. */
static char *format_seconds(uint64_t us, char buf[32])
{
    int len = snprintf(buf, 32, "%" PRIu64 ".%06" PRIu64, us / 1000000, us % 1000000);
    while (len > 1 && buf[len - 1] == '0')
        buf[--len] = '\0';
    if (buf[len - 1] == '.')
        buf[len - 1] = '\0';
    return buf;
}

static const uint64_t *numbers_of(const struct family *family, const struct metrics *metrics)
{
    return (const uint64_t *)(const void *)((const char *)metrics + family->offset);
}

static void put_number(FILE *out, const struct family *family, const struct metrics *metrics)
{
    fprintf(out, "%s %" PRIu64 "\n", family->name, *numbers_of(family, metrics));
}

static void put_seconds(FILE *out, const struct family *family, const struct metrics *metrics)
{
    char seconds[32];
    fprintf(out, "%s %s\n", family->name, format_seconds(*numbers_of(family, metrics), seconds));
}

static void put_array(FILE *out, const struct family *family, const struct metrics *metrics)
{
    for (size_t i = 0; i < family->n; i++)
        fprintf(out, "%s{%s=\"%s\"} %" PRIu64 "\n", family->name, family->label,
                family->word != NULL ? family->word(i) : family->words[i],
                numbers_of(family, metrics)[i]);
}

static void put_histogram(FILE *out, const struct family *family, const struct metrics *metrics)
{
    const struct metrics_histogram *histogram =
        (const void *)((const char *)metrics + family->offset);
    size_t n;
    uint64_t count = 0;
    char seconds[32];
    const uint64_t *bounds =
        metrics_bounds((enum metrics_time)(histogram - metrics->counters.times), &n);
    for (size_t i = 0; i < n; i++) {
        count += histogram->counts[i];
        fprintf(out, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", family->name,
                format_seconds(bounds[i], seconds), count);
    }
    count += histogram->counts[n];
    fprintf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", family->name, count);
    fprintf(out, "%s_sum %s\n", family->name, format_seconds(histogram->sum_us, seconds));
    fprintf(out, "%s_count %" PRIu64 "\n", family->name, count);
}

static void put_version(FILE *out, const struct family *family, const struct metrics *metrics)
{
    char version[128];
    (void)metrics;
    fprintf(out, "%s{version=\"%s\"} 1\n", family->name,
            metrics_escape(POSTERN_VERSION, version, sizeof version));
}

static void put_auth(FILE *out, const struct family *family, const struct metrics *metrics)
{
    static const char *const methods[METRICS_METHODS] = {[METRICS_NONE] = "none",
                                                         [METRICS_PUBLICKEY] = "publickey",
                                                         [METRICS_OTHER_METHOD] = "other"};
    for (size_t i = 0; i < METRICS_METHODS; i++) {
        const uint64_t *results = metrics->counters.auth[i];
        fprintf(out, "%s{method=\"%s\",result=\"accepted\"} %" PRIu64 "\n", family->name,
                methods[i], results[true]);
        fprintf(out, "%s{method=\"%s\",result=\"failed\"} %" PRIu64 "\n", family->name, methods[i],
                results[false]);
    }
}

/* Of each tenant that has series, in the order in which they came, then the others. */
static void each_tenant(FILE *out, const struct family *family, const struct metrics *metrics,
                        void (*put)(FILE *out, const struct family *family, const char *label,
                                    const struct metrics_tenant *tenant))
{
    char label[2 * sizeof metrics->others.name];
    for (size_t i = 0; i < metrics->n_tenants; i++)
        put(out, family, metrics_escape(metrics->tenants[i].name, label, sizeof label),
            &metrics->tenants[i]);
    put(out, family, METRICS_OTHERS, &metrics->others);
    put(out, family, METRICS_NOBODY, &metrics->nobody);
}

/* What has never happened to a tenant is left out: it would be most of all. */
static void put_verdicts(FILE *out, const struct family *family, const char *label,
                         const struct metrics_tenant *tenant)
{
    for (size_t i = 0; i < VERDICT_COUNT; i++)
        if (tenant->execs[i] > 0)
            fprintf(out, "%s{tenant=\"%s\",verdict=\"%s\"} %" PRIu64 "\n", family->name, label,
                    verdict_word((enum verdict)i), tenant->execs[i]);
}

static void put_execs(FILE *out, const struct family *family, const struct metrics *metrics)
{
    each_tenant(out, family, metrics, put_verdicts);
}

static void put_one_of_tenant(FILE *out, const struct family *family, const char *label,
                              const struct metrics_tenant *tenant)
{
    const uint64_t *number = (const void *)((const char *)tenant + family->offset);
    fprintf(out, "%s{tenant=\"%s\"} %" PRIu64 "\n", family->name, label, *number);
}

static void put_of_tenants(FILE *out, const struct family *family, const struct metrics *metrics)
{
    each_tenant(out, family, metrics, put_one_of_tenant);
}

static void put_cpu_of_tenant(FILE *out, const struct family *family, const char *label,
                              const struct metrics_tenant *tenant)
{
    char seconds[32];
    fprintf(out, "%s{tenant=\"%s\"} %s\n", family->name, label,
            format_seconds(tenant->cpu_us, seconds));
}

static void put_cpu_of_tenants(FILE *out, const struct family *family,
                               const struct metrics *metrics)
{
    each_tenant(out, family, metrics, put_cpu_of_tenant);
}

static const char *word_of_offence(size_t i)
{
    static const char *const words[OFFENCES] = {[OFFENCE_CRASH] = "crash",
                                                [OFFENCE_TRIES] = "tries",
                                                [OFFENCE_GRACE] = "grace",
                                                [OFFENCE_PROTOCOL] = "protocol",
                                                [OFFENCE_FAILED] = "failed"};
    return words[i];
}

static const char *const refusal_words[] = {
    [METRICS_SYSCALL] = "syscall", [METRICS_NETWORK] = "network"};
static const char *const stream_words[] = {
    [METRICS_IN] = "in", [METRICS_OUT] = "out", [METRICS_ERR] = "err"};
static const char *const reload_words[] = {"refused", "loaded"};
static const char *const audit_words[] = {"lost", "written"};
static const char *const zygote_words[] = {
    [METRICS_STARTING] = "starting", [METRICS_SERVING] = "serving", [METRICS_RETIRED] = "retired"};

#define COUNTED(member)   .put = put_number, .offset = offsetof(struct metrics, counters.member)
#define NOW(member)       .put = put_number, .offset = offsetof(struct metrics, now.member)
#define TIME(which)       .put = put_histogram, .offset = offsetof(struct metrics, counters.times[which])
#define OF_TENANT(member) .put = put_of_tenants, .offset = offsetof(struct metrics_tenant, member)
#define WORDS(array)      .words = (array), .n = array_len(array)
#define ARRAY(member, name)                                                                        \
    .put = put_array, .offset = offsetof(struct metrics, member), .label = (name)

static const struct family families[] = {
    {"postern_build_info", GAUGE, "The version that runs.", .put = put_version},
    {"postern_start_time_seconds", GAUGE, "When the server was started, since 1970.",
     COUNTED(start_s)},
    {"postern_draining", GAUGE, "1 while the server takes no new commands.", NOW(draining)},
    {"postern_stopping", GAUGE, "1 while the server ends.", NOW(stopping)},

    {"postern_connections", GAUGE, "Connections that are open.", NOW(connections)},
    {"postern_unauthenticated_connections", GAUGE, "Of them, those that have not logged in.",
     NOW(unauthenticated)},
    {"postern_proxied_connections", GAUGE,
     "Connections of balancers that have not said yet whose they are.", NOW(proxied)},
    {"postern_max_connections", GAUGE, "How many connections may be open.", NOW(max_connections)},
    {"postern_connections_total", COUNTER, "Connections that were served.", COUNTED(connections)},
    {"postern_refused_connections_total", COUNTER,
     "Connections that were refused before they were served.", ARRAY(counters.refused, "reason"),
     .word = metrics_refused_word, .n = REFUSED_REASON_COUNT},
    {"postern_auth_total", COUNTER, "Attempts to log in.", .put = put_auth},
    {"postern_offences_total", COUNTER, "What sources get points for.",
     ARRAY(counters.offences, "offence"), .word = word_of_offence, .n = OFFENCES},
    {"postern_penalties", GAUGE, "Sources that are not served now.", NOW(penalties)},
    {"postern_penalties_total", COUNTER,
     "How often a source was not served from then on, or longer.", COUNTED(penalties)},
    {"postern_session_crashes_total", COUNTER, "Session processes that died by a signal.",
     COUNTED(session_crashes)},

    {"postern_execs", GAUGE, "Commands that run.", NOW(execs)},
    {"postern_max_execs", GAUGE, "How many commands may run, by the descriptors there are.",
     NOW(max_execs)},
    {"postern_execs_total", COUNTER, "Commands that have ended, or were denied.", .put = put_execs},
    {"postern_exec_duration_seconds", HISTOGRAM, "How long commands took.", TIME(METRICS_DURATION)},
    {"postern_exec_cpu_seconds_total", COUNTER, "CPU time of commands that have ended.",
     .put = put_cpu_of_tenants},
    {"postern_sandbox_start_seconds", HISTOGRAM,
     "From the decision to the first instruction of the command in its sandbox.",
     TIME(METRICS_SANDBOX_START)},
    {"postern_bytes_total", COUNTER, "What commands that have ended read and wrote.",
     ARRAY(counters.bytes, "direction"), WORDS(stream_words)},
    {"postern_denials_total", COUNTER, "Commands that were denied, by the kind of the reason.",
     ARRAY(counters.denials, "reason"), .word = metrics_denial_word, .n = DENIAL_COUNT},
    {"postern_sandbox_refusals_total", COUNTER,
     "Kinds of system calls, and destinations, that were refused to commands.",
     ARRAY(counters.refusals, "kind"), WORDS(refusal_words)},

    {"postern_queue_length", GAUGE, "Commands that wait for their turn.", NOW(waiting)},
    {"postern_queue_bytes", GAUGE, "Memory that they take.", NOW(waiting_bytes)},
    {"postern_queue_wait_seconds", HISTOGRAM, "How long commands that started had waited.",
     TIME(METRICS_QUEUE_WAIT)},

    {"postern_tenant_execs", GAUGE, "Commands of the tenant that run.", OF_TENANT(running)},
    {"postern_tenant_connections", GAUGE, "Connections that are logged in as the tenant.",
     OF_TENANT(connections)},
    {"postern_tenant_queue_length", GAUGE, "Commands of the tenant that wait for their turn.",
     OF_TENANT(waiting)},

    {"postern_generation", GAUGE, "The number of the policy in force.", NOW(generation)},
    {"postern_generations", GAUGE, "Policies in memory: those of running commands, too.",
     NOW(generations)},
    {"postern_tenants", GAUGE, "Tenants of the policy in force.", NOW(tenants)},
    {"postern_reloads_total", COUNTER, "Reloads of the policy.", ARRAY(counters.reloads, "result"),
     WORDS(reload_words)},
    {"postern_last_reload_successful", GAUGE, "0 if the last reload was refused.",
     COUNTED(last_reload)},
    {"postern_policy_loaded_time_seconds", GAUGE,
     "When the policy in force was loaded, since 1970.", COUNTED(last_loaded_s)},

    {"postern_zygotes", GAUGE, "Processes that sessions are forked from.",
     ARRAY(now.zygotes, "state"), WORDS(zygote_words)},
    {"postern_zygote_starts_total", COUNTER, "How often one was started.", COUNTED(zygote_starts)},
    {"postern_spawner_ready", GAUGE, "1 if the spawner of the policy in force takes commands.",
     NOW(spawner_ready)},
    {"postern_spawner_starts_total", COUNTER, "Spawners that were started.",
     COUNTED(spawner_starts)},
    {"postern_audit_lines_total", COUNTER, "Lines of the audit trail.",
     ARRAY(counters.audit_lines, "result"), WORDS(audit_words)},

    {"postern_cpu_seconds_total", COUNTER, "CPU time of the master process.", .put = put_seconds,
     .offset = offsetof(struct metrics, now.cpu_us)},
    {"postern_resident_memory_bytes", GAUGE, "Memory of the master process.", NOW(resident_bytes)},
};

void metrics_text(const struct metrics *metrics, FILE *out)
{
    static const char *const types[] = {
        [COUNTER] = "counter", [GAUGE] = "gauge", [HISTOGRAM] = "histogram"};
    for (size_t i = 0; i < array_len(families); i++) {
        const struct family *family = &families[i];
        fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name,
                types[family->type]);
        family->put(out, family, metrics);
    }
}
