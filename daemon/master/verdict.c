#include "verdict.h"
#include "client_wish.h"
#include "log.h"
#include "forbidden.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *word;
    int status;
} verdicts[] = {
#define X(name, word, status) [name] = {word, status},
    VERDICTS(X)
#undef X
};

const char *verdict_word(enum verdict verdict)
{
    return verdict < VERDICT_COUNT ? verdicts[verdict].word : "?";
}

unsigned verdict_status(enum verdict verdict)
{
    return (unsigned)verdicts[verdict].status;
}

const char *end_cause_word(enum end_cause cause)
{
    switch (cause) {
    case CAUSE_NONE:
        break;
    case CAUSE_TIME:
        return "time limit";
    case CAUSE_IDLE:
        return "idle limit";
    case CAUSE_OUTPUT:
        return "output limit";
    case CAUSE_CLIENT_GONE:
        return "client gone";
    case CAUSE_LOGIN:
        return "login gone";
    case CAUSE_OPERATOR:
        return "operator";
    case CAUSE_SHUTDOWN:
        return "server shutdown";
    }
    return NULL;
}

static void settle(struct outcome *out, enum verdict verdict, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A verdict with a status of its own and a reason. */
static void settle(struct outcome *out, enum verdict verdict, const char *fmt, ...)
{
    *out = (struct outcome){.verdict = verdict, .code = (unsigned)verdicts[verdict].status};
    va_list ap;
    va_start(ap, fmt);
    if (vsnprintf(out->reason, sizeof out->reason, fmt, ap) < 0)
        out->reason[0] = '\0';
    va_end(ap);
}

char *verdict_duration(uint64_t ms, char *buf, size_t len)
{
    uint64_t seconds = ms / 1000 + (ms % 1000 != 0);
    if (seconds > 0 && seconds % 3600 == 0)
        (void)snprintf(buf, len, "%" PRIu64 "h", seconds / 3600);
    else if (seconds > 0 && seconds % 60 == 0)
        (void)snprintf(buf, len, "%" PRIu64 "m", seconds / 60);
    else
        (void)snprintf(buf, len, "%" PRIu64 "s", seconds);
    return buf;
}

/* A size as the policy has it. */
static char *format_size(uint64_t bytes, char *buf, size_t len)
{
    static const char units[] = "KMGT";
    size_t unit = 0;
    while (bytes > 0 && bytes % 1024 == 0 && unit < sizeof units - 1) {
        bytes /= 1024;
        unit++;
    }
    if (unit > 0)
        (void)snprintf(buf, len, "%" PRIu64 "%c", bytes, units[unit - 1]);
    else
        (void)snprintf(buf, len, "%" PRIu64 " byte%s", bytes, bytes == 1 ? "" : "s");
    return buf;
}

static void judge_failed(const struct report *last, const char *program, struct outcome *out)
{
    /* The tenant's own processes count against it from the first fork on. */
    if (last->err_num == EAGAIN && (last->stage == STAGE_EXEC || last->stage == STAGE_FORK)) {
        settle(out, VERDICT_CANNOT_EXECUTE, "%s: the sandbox's limit of tasks is reached", program);
        return;
    }
    if (last->stage != STAGE_EXEC) {
        settle(out, VERDICT_SANDBOX, "the sandbox could not be built; the server's log says why");
        return;
    }
    const char *why = report_why_text(last->why);
    if (last->err_num == ENOENT || last->err_num == ENOTDIR)
        settle(out, VERDICT_NOT_FOUND, "%s: %s", program,
               why[0] != '\0' ? why : "no such command in the sandbox");
    else
        settle(out, VERDICT_CANNOT_EXECUTE, "%s: %s%s%s", program, strerror(last->err_num),
               why[0] != '\0' ? ": " : "", why);
}

/* Where it is forbidden by a rule, the audit has its place in fields of its own. */
static void judge_exit(const struct report *last, const struct seccomp_spec *profile,
                       struct outcome *out)
{
    struct forbidden forbidden;
    char text[sizeof out->reason];
    if (last->call.nr >= 0 && forbidden_find(profile, &last->call, &forbidden)) {
        settle(out, VERDICT_SECCOMP, "%s",
               forbidden_describe(&forbidden, "is forbidden", EXPLAIN_REASON, text, sizeof text));
        return;
    }
    *out = (struct outcome){.verdict = last->signalled ? VERDICT_SIGNALLED : VERDICT_EXITED,
                            .signalled = last->signalled,
                            .code = (unsigned)last->code,
                            .core = last->core};
}

/* True if the master has ended it for a reason of its own, whatever the worker says then. */
static bool judge_ended(const struct verdict_facts *facts, struct outcome *out)
{
    const struct sandbox_spec *spec = facts->spec;
    char limit[32];
    switch (facts->cause) {
    case CAUSE_NONE:
    case CAUSE_CLIENT_GONE:
        return false;
    case CAUSE_TIME:
        settle(out, VERDICT_TIME,
               facts->limits.time_is_clients ? "the client's own time limit of %s (" WISH_TIME
                                               ") is over"
                                             : "the time limit of %s is over",
               verdict_duration(facts->limits.time_ms, limit, sizeof limit));
        break;
    case CAUSE_IDLE:
        settle(out, VERDICT_IDLE, "no input or output for %s",
               verdict_duration(spec->idle_ms, limit, sizeof limit));
        break;
    case CAUSE_OUTPUT:
        settle(out, VERDICT_OUTPUT, "it wrote more than %s, the limit of its output",
               format_size(spec->output, limit, sizeof limit));
        break;
    case CAUSE_LOGIN:
    case CAUSE_OPERATOR:
        settle(out, VERDICT_ENDED, "%s", facts->why);
        break;
    case CAUSE_SHUTDOWN:
        settle(out, VERDICT_ENDED, "the server is shutting down");
        break;
    }
    return true;
}

/* Whoever killed its processes for want of memory: its own limit, the tenant's or the host. */
static bool judge_memory(const struct verdict_facts *facts, struct outcome *out)
{
    char limit[32];
    if (facts->used == NULL || facts->used->oom_kills == 0)
        return false;
    if (facts->used->memory_full > 0)
        settle(out, VERDICT_MEMORY,
               facts->limits.memory_is_clients
                   ? "the command used more than the client's own limit of %s (" WISH_MEMORY ")"
                   : "the command used more than memory = %s",
               format_size(facts->limits.memory, limit, sizeof limit));
    else if (facts->total.memory_full)
        settle(out, VERDICT_MEMORY,
               "the tenant's commands together used more than memory-total = %s",
               format_size(facts->total.memory, limit, sizeof limit));
    else
        settle(out, VERDICT_MEMORY, "the host ran out of memory");
    return true;
}

char *verdict_tasks(const struct cgroup_usage *used, const struct sandbox_spec *spec,
                    const struct verdict_total *total, char *buf, size_t len)
{
    bool own = total->tasks == SPEC_INFINITY ||
               (used->tasks_peak != CGROUP_UNKNOWN && used->tasks_peak >= spec->tasks);
    bool other = !own && (used->tasks_peak != CGROUP_UNKNOWN || spec->tasks == SPEC_INFINITY);
    if (own)
        (void)snprintf(buf, len, "%" PRIu64 " tasks (tasks = %" PRIu64 ")", spec->tasks,
                       spec->tasks);
    else if (other)
        (void)snprintf(buf, len, "the tenant's %" PRIu64 " tasks (tasks-total = %" PRIu64 ")",
                       total->tasks, total->tasks);
    else
        (void)snprintf(buf, len, "tasks = %" PRIu64 " or tasks-total = %" PRIu64 " allows",
                       spec->tasks, total->tasks);
    return buf;
}

void verdict_judge(const struct report *last, const struct verdict_facts *facts,
                   struct outcome *out)
{
    char program[128];
    log_escape(program, sizeof program, facts->program, strlen(facts->program));
    if (judge_ended(facts, out) || judge_memory(facts, out))
        return;
    if (last == NULL && facts->cause == CAUSE_CLIENT_GONE)
        settle(out, VERDICT_ENDED, "the client is gone");
    else if (last == NULL)
        settle(out, VERDICT_SANDBOX, "the sandbox ended abnormally; the server's log says more");
    else if (last->type == REPORT_FAILED)
        judge_failed(last, program, out);
    else
        judge_exit(last, &facts->spec->seccomp, out);
}

char *verdict_line(const struct outcome *outcome, const char *exec_id, char *buf, size_t len)
{
    if (snprintf(buf, len, "postern: %s: %s [%s]", verdict_word(outcome->verdict), outcome->reason,
                 exec_id) < 0 &&
        len > 0)
        buf[0] = '\0';
    return buf;
}
