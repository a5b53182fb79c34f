#include "trail_sum.h"
#include "cleanup.h"
#include "record.h"

#include <stdlib.h>
#include <string.h>

enum {
    STARTS = 1 << 16,
    PROBES = 8,
    EXEC_ID_MAX = 80,
};

struct sum_start {
    char exec[EXEC_ID_MAX]; /* "": nobody's */
    char command[SUM_NAME_MAX];
};

static const char *const words[] = {
#define X(id, word, heading) [SUM_##id] = (word),
    SUM_BY(X)
#undef X
};
static const char *const headings[] = {
#define X(id, word, heading) [SUM_##id] = (heading),
    SUM_BY(X)
#undef X
};

int trail_sum_parse(const char *word)
{
    for (int i = 0; i < SUM_BY_COUNT; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    return -1;
}

const char *trail_sum_word(enum sum_by by)
{
    return words[by];
}

const char *trail_sum_heading(enum sum_by by)
{
    return headings[by];
}

int trail_sum_begin(struct trail_sum *sum, enum sum_by by)
{
    *sum = (struct trail_sum){.by = by, .groups = calloc(SUM_GROUPS_MAX + 1, sizeof *sum->groups)};
    if (by == SUM_COMMAND)
        sum->starts = calloc(STARTS, sizeof *sum->starts);
    return sum->groups == NULL || (by == SUM_COMMAND && sum->starts == NULL) ? -1 : 0;
}

void trail_sum_free(struct trail_sum *sum)
{
    free(sum->groups);
    free(sum->starts);
    pool_free(&sum->pool);
}

/* A member as a string without NULs, cut to fit; "" if it has none. */
static void copy(const json_t *record, const char *name, char *buf, size_t cap)
{
    cleanup_free char *bytes = NULL;
    size_t len = 0;
    buf[0] = '\0';
    if (record_bytes(json_object_get(record, name), &bytes, &len) == 0)
        (void)snprintf(buf, cap, "%s", bytes);
}

/* The place of an exec id, or where it may be put: what was there is the one that is forgotten. */
static struct sum_start *find_start(const struct trail_sum *sum, const char *exec)
{
    uint32_t hash = 2166136261U;
    struct sum_start *free_one = NULL;
    for (const char *c = exec; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619U;
    for (uint32_t i = 0; i < PROBES; i++) {
        struct sum_start *start = &sum->starts[(hash + i) % STARTS];
        if (strcmp(start->exec, exec) == 0)
            return start;
        if (free_one == NULL && start->exec[0] == '\0')
            free_one = start;
    }
    return free_one != NULL ? free_one : &sum->starts[hash % STARTS];
}

static void remember_start(const struct trail_sum *sum, const json_t *record)
{
    char exec[EXEC_ID_MAX];
    const char *kind = json_string_value(json_object_get(record, "kind"));
    copy(record, "exec", exec, sizeof exec);
    if (exec[0] == '\0')
        return;
    struct sum_start *start = find_start(sum, exec);
    memcpy(start->exec, exec, sizeof exec);
    copy(record, "command", start->command, sizeof start->command);
    if (kind != NULL && strcmp(kind, "shell") == 0)
        (void)snprintf(start->command, sizeof start->command, "(shell)");
}

/* Of an end; forgets its start. */
static void take_command(const struct trail_sum *sum, const json_t *record, char name[SUM_NAME_MAX])
{
    char exec[EXEC_ID_MAX];
    copy(record, "exec", exec, sizeof exec);
    struct sum_start *start = exec[0] == '\0' ? NULL : find_start(sum, exec);
    bool found = start != NULL && strcmp(start->exec, exec) == 0;
    (void)snprintf(name, SUM_NAME_MAX, "%s", found ? start->command : "(its start isn't here)");
    if (found)
        start->exec[0] = '\0';
}

static void name_group(const struct trail_sum *sum, const json_t *record, char name[SUM_NAME_MAX])
{
    char comment[SUM_NAME_MAX / 2], key[SUM_NAME_MAX / 2];
    switch (sum->by) {
    case SUM_COMMAND:
        take_command(sum, record, name);
        break;
    case SUM_DAY:
        copy(record, "time", name, sizeof "2026-01-02");
        break;
    case SUM_KEY:
        copy(record, "key", key, sizeof key);
        copy(record, "key_comment", comment, sizeof comment);
        (void)snprintf(name, SUM_NAME_MAX, "%s%s%s", key, comment[0] != '\0' ? " " : "", comment);
        break;
    default:
        copy(record, words[sum->by], name, SUM_NAME_MAX);
        break;
    }
    if (name[0] == '\0')
        (void)snprintf(name, SUM_NAME_MAX, "(none)");
}

/* NULL: out of memory. */
static struct sum_group *find_group(struct trail_sum *sum, const char *name)
{
    size_t at = sum->n;
    if (strmap_get(&sum->names, name, &at))
        return &sum->groups[at];
    if (sum->n >= SUM_GROUPS_MAX) {
        sum->groups[SUM_GROUPS_MAX].name = "(others)";
        sum->n = SUM_GROUPS_MAX + 1;
        return &sum->groups[SUM_GROUPS_MAX];
    }
    const char *kept = pool_strdup(&sum->pool, name);
    if (kept == NULL || strmap_put(&sum->pool, &sum->names, kept, at) < 0)
        return NULL;
    sum->groups[sum->n].name = kept;
    return &sum->groups[sum->n++];
}

static uint64_t number(const json_t *record, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(record, name));
    return value > 0 ? (uint64_t)value : 0;
}

static void add(struct sum_group *group, const json_t *record)
{
    const char *verdict = json_string_value(json_object_get(record, "verdict"));
    uint64_t peak = number(record, "memory_peak");
    if (peak == 0)
        peak = number(record, "max_rss_kib") * 1024;
    if (verdict != NULL && strcmp(verdict, "denied") == 0)
        group->refused++;
    else
        group->execs++;
    group->cpu_ms += number(record, "user_ms") + number(record, "system_ms");
    group->wall_ms += number(record, "wall_ms");
    group->memory_peak = peak > group->memory_peak ? peak : group->memory_peak;
    group->bytes_in += number(record, "bytes_in");
    group->bytes_out += number(record, "bytes_out");
    group->bytes_err += number(record, "bytes_err");
}

int trail_sum_add(struct trail_sum *sum, const json_t *record, bool counts)
{
    const char *event = json_string_value(json_object_get(record, "event"));
    char name[SUM_NAME_MAX];
    if (event == NULL)
        return 0;
    if (sum->by == SUM_COMMAND && strcmp(event, "start") == 0)
        remember_start(sum, record);
    if (strcmp(event, "end") != 0)
        return 0;
    name_group(sum, record, name);
    if (!counts)
        return 0;
    struct sum_group *group = find_group(sum, name);
    if (group == NULL)
        return -1;
    add(group, record);
    add(&sum->total, record);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct sum_group *)a)->name, ((const struct sum_group *)b)->name);
}

static int by_use(const void *a, const void *b)
{
    const struct sum_group *one = a, *other = b;
    if (one->cpu_ms != other->cpu_ms)
        return one->cpu_ms > other->cpu_ms ? -1 : 1;
    if (one->execs + one->refused != other->execs + other->refused)
        return one->execs + one->refused > other->execs + other->refused ? -1 : 1;
    return by_name(a, b);
}

void trail_sum_sort(struct trail_sum *sum)
{
    qsort(sum->groups, sum->n, sizeof *sum->groups, sum->by == SUM_DAY ? by_name : by_use);
}
