#include "cleanup.h"
#include "learn_record.h"
#include "profile.h"
#include "self_test.h"

#include <stdio.h>
#include <string.h>

enum { FIELDS = 6, WORD_MAX = 64 };

void self_test_rows_free(struct self_test_rows *rows)
{
    free_ptr(&rows->items);
    rows->n = 0;
}

/* Copies a field, with '?' for what isn't printable. */
static int take(char *to, size_t room, const char *from)
{
    size_t len = strlen(from);
    if (len >= room)
        return -1;
    for (size_t i = 0; i <= len; i++)
        to[i] = from[i] == '\0' || (from[i] >= ' ' && from[i] <= '~') ? from[i] : '?';
    return 0;
}

static int result_of(const char *word, enum self_test_result *out)
{
    static const struct {
        const char *word;
        enum self_test_result result;
    } known[] = {
        {"ok", SELF_TEST_REFUSED}, {"OPEN", SELF_TEST_OPEN}, {"untried", SELF_TEST_UNTRIED}};
    for (size_t i = 0; i < array_len(known); i++)
        if (strcmp(word, known[i].word) == 0) {
            *out = known[i].result;
            return 0;
        }
    return -1;
}

static int add(struct self_test_rows *rows, const struct self_test_row *row)
{
    if (rows->n == SELF_TEST_ROWS_MAX)
        return -1;
    if (rows->items == NULL)
        rows->items = calloc(SELF_TEST_ROWS_MAX, sizeof *rows->items);
    if (rows->items == NULL)
        return -1;
    rows->items[rows->n++] = *row;
    return 0;
}

int self_test_read(const char *line, struct self_test_rows *rows, char trying[WORD_MAX])
{
    static const char announced[] = "try ";
    char copy[1024], *fields[FIELDS], *at = copy, *end = NULL;
    struct self_test_row row = {.call = -1};
    if (strncmp(line, announced, sizeof announced - 1) == 0)
        return take(trying, WORD_MAX, line + sizeof announced - 1);
    if (take(copy, sizeof copy, "") < 0 || strlen(line) >= sizeof copy)
        return -1;
    memcpy(copy, line, strlen(line) + 1);
    for (size_t i = 0; i < FIELDS; i++) {
        fields[i] = strsep(&at, "\t");
        if (fields[i] == NULL)
            return -1;
    }
    long call = strtol(fields[3], &end, 10);
    if (at != NULL || end == fields[3] || *end != '\0' || call < -1 || call > 1 << 16 ||
        result_of(fields[0], &row.result) < 0 || take(row.group, sizeof row.group, fields[1]) < 0 ||
        take(row.name, sizeof row.name, fields[2]) < 0 ||
        take(row.text, sizeof row.text, fields[4]) < 0 ||
        take(row.why, sizeof row.why, fields[5]) < 0)
        return -1;
    row.call = (int)call;
    trying[0] = '\0';
    return add(rows, &row);
}

/* Which of the policy's keys a property hangs on. */
enum governor { BY_NETWORK, BY_PLACE, BY_ROOT_OR_PLACE, BY_WORKSPACE, BY_TASKS };

static const struct {
    const char *name;
    enum governor governor;
    const char *place; /* whose being there it is about */
} governed[] = {
    {"interfaces", BY_NETWORK, NULL},
    {"reach-host", BY_NETWORK, NULL},
    {"reach-internet", BY_NETWORK, NULL},
    {"abstract-sockets", BY_NETWORK, NULL},
    {"no-home", BY_ROOT_OR_PLACE, "/home"},
    {"no-root-home", BY_ROOT_OR_PLACE, "/root"},
    {"no-boot", BY_ROOT_OR_PLACE, "/boot"},
    {"no-var-lib", BY_ROOT_OR_PLACE, "/var/lib"},
    {"no-var-log", BY_ROOT_OR_PLACE, "/var/log"},
    {"no-ssh-keys", BY_ROOT_OR_PLACE, "/etc/ssh"},
    {"no-machine-id", BY_ROOT_OR_PLACE, "/etc/machine-id"},
    {"no-policy", BY_PLACE, "/etc/postern"},
    {"no-shadow", BY_PLACE, "/etc/shadow"},
    {"no-gshadow", BY_PLACE, "/etc/gshadow"},
    {"home-private", BY_WORKSPACE, NULL},
    {"home-empty", BY_WORKSPACE, NULL},
    {"limit-tasks", BY_TASKS, NULL},
};

static const struct setting *find_setting(const struct policy *policy,
                                          const struct sandbox_spec *spec, const char *key,
                                          const char *begins)
{
    for (size_t i = 0; i < policy->n_shown; i++) {
        const struct shown_section *section = &policy->shown[i];
        if (strcmp(section->type, "sandbox") != 0 || strcmp(section->name, spec->name) != 0)
            continue;
        for (size_t k = 0; k < section->n_settings; k++)
            if (strcmp(section->settings[k].key, key) == 0 &&
                strncmp(section->settings[k].value, begins, strlen(begins)) == 0)
                return &section->settings[k];
    }
    return NULL;
}

static void excuse(struct self_test_row *row, const char *key, const char *value, const char *file,
                   unsigned line)
{
    char place[160] = "built in";
    row->result = SELF_TEST_BY_POLICY;
    if (file != NULL && file[0] != '\0' && line != 0)
        (void)snprintf(place, sizeof place, "%.140s:%u", file, line);
    (void)snprintf(row->line, sizeof row->line, "%s = %.64s (%s)", key, value, place);
}

static void excuse_by(const struct policy *policy, const struct sandbox_spec *spec,
                      struct self_test_row *row, const char *key, const char *begins)
{
    const struct setting *setting = find_setting(policy, spec, key, begins);
    if (setting != NULL)
        excuse(row, key, setting->value, setting->origin.file, setting->origin.line);
}

/* A loopback of its own is up, and so is what answers on it: nobody. */
static bool is_opened_by_network(const struct sandbox_spec *spec, const char *name)
{
    switch (spec->network) {
    case NETWORK_NONE:
        return false;
    case NETWORK_LOOPBACK:
        return strcmp(name, "interfaces") == 0 || strcmp(name, "reach-host") == 0;
    case NETWORK_HOST:
        return true;
    case NETWORK_EGRESS: /* but unix sockets are kept apart */
        return strcmp(name, "abstract-sockets") != 0;
    }
    return false;
}

static void judge_place(const struct policy *policy, const struct sandbox_spec *spec,
                        struct self_test_row *row, const char *place)
{
    const struct {
        const char *key;
        const struct sandbox_bind *binds;
        size_t n;
    } all[] = {{"read", spec->reads, spec->n_reads}, {"write", spec->writes, spec->n_writes}};
    for (size_t i = 0; i < array_len(all); i++)
        for (size_t k = 0; k < all[i].n; k++)
            if (path_is_within(all[i].binds[k].dest, place) ||
                path_is_within(place, all[i].binds[k].dest))
                excuse_by(policy, spec, row, all[i].key, all[i].binds[k].source);
}

/* A kept directory holds what was left in it, and may be as large as its disk. */
static void judge_workspace(const struct policy *policy, const struct sandbox_spec *spec,
                            struct self_test_row *row)
{
    bool is_size = strcmp(row->name, "home-private") == 0;
    if (spec->home != NULL)
        excuse_by(policy, spec, row, "home", spec->home);
    if (spec->workspace == WORKSPACE_KEPT && (!is_size || spec->workspace_size == SPEC_INFINITY))
        excuse_by(policy, spec, row, "workspace", "/");
    else if (is_size && spec->workspace_size == SPEC_INFINITY)
        excuse_by(policy, spec, row, "workspace-size", "infinity");
}

static void judge_governed(const struct policy *policy, const struct sandbox_spec *spec,
                           struct self_test_row *row, size_t i)
{
    switch (governed[i].governor) {
    case BY_NETWORK:
        if (is_opened_by_network(spec, row->name))
            excuse_by(policy, spec, row, "network", "");
        break;
    case BY_ROOT_OR_PLACE:
        judge_place(policy, spec, row, governed[i].place);
        if (row->result == SELF_TEST_OPEN && spec->root != NULL)
            excuse_by(policy, spec, row, "root", "/");
        break;
    case BY_PLACE:
        judge_place(policy, spec, row, governed[i].place);
        break;
    case BY_WORKSPACE:
        judge_workspace(policy, spec, row);
        break;
    case BY_TASKS:
        if (spec->tasks == SPEC_INFINITY)
            excuse_by(policy, spec, row, "tasks", "infinity");
        break;
    }
}

void self_test_judge(const struct policy *policy, const struct sandbox_spec *spec,
                     struct self_test_row *row)
{
    if (row->result != SELF_TEST_OPEN)
        return;
    const struct seccomp_rule *rule =
        row->call >= 0 ? profile_find_rule(&spec->seccomp, row->call) : NULL;
    if (rule != NULL && rule->answer == SECCOMP_ANSWER_ALLOW)
        excuse(row, "seccomp", spec->seccomp.name, rule->file, rule->line);
    for (size_t i = 0; i < array_len(governed); i++)
        if (strcmp(row->name, governed[i].name) == 0)
            judge_governed(policy, spec, row, i);
}
