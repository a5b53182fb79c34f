#include "profile_file.h"

#include "syscalls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS_MAX = 2048, GROUPS_MAX = 64, GROUP_CALLS_MAX = 128, WORDS = 64 };

struct group {
    char name[WORDS];
    int calls[GROUP_CALLS_MAX];
    size_t n;
};

static struct group groups[GROUPS_MAX];
static size_t n_groups;

static void die(const char *what, const char *which)
{
    (void)fprintf(stderr, "profile: %s: %s\n", what, which);
    exit(2);
}

typedef void line_fn(void *arg, const char *section, const char *key, const char *word);

static void each_word(const char *path, line_fn *fn, void *arg)
{
    FILE *file = fopen(path, "re");
    char line[256], section[WORDS] = "";
    if (file == NULL)
        die("cannot open", path);
    while (fgets(line, sizeof line, file) != NULL) {
        char *rest = NULL;
        if (line[0] == '[' && (rest = strchr(line, '"')) != NULL) {
            (void)snprintf(section, sizeof section, "%.*s", (int)strcspn(rest + 1, "\""), rest + 1);
        } else if (line[0] != ';' && (rest = strchr(line, '=')) != NULL) {
            char *save = NULL, *key = strtok_r(line, " =", &save);
            for (char *word = strtok_r(rest + 1, " \n", &save); word != NULL;
                 word = strtok_r(NULL, " \n", &save))
                fn(arg, section, key, word);
        }
    }
    (void)fclose(file);
}

static struct group *find_group(const char *name, bool add)
{
    for (size_t i = 0; i < n_groups; i++) {
        if (strcmp(groups[i].name, name) == 0)
            return &groups[i];
    }
    if (!add || n_groups == GROUPS_MAX)
        die("no such group", name);
    struct group *group = &groups[n_groups++];
    (void)snprintf(group->name, sizeof group->name, "%s", name);
    return group;
}

static void on_group(void *arg, const char *section, const char *key, const char *word)
{
    (void)arg;
    (void)key;
    int nr = syscall_number(word);
    struct group *group = find_group(section, true);
    if (nr == SYSCALL_UNKNOWN || group->n == GROUP_CALLS_MAX)
        die("no such call", word);
    if (nr >= 0)
        group->calls[group->n++] = nr;
}

/* By number; 0 is "no rule", else one more than the answer. */
static void set_answer(unsigned char *answers, int nr, enum seccomp_answer answer)
{
    if (nr < 0 || nr >= CALLS_MAX)
        return;
    if (answers[nr] < (unsigned char)answer + 1)
        answers[nr] = (unsigned char)(answer + 1);
}

static void on_rule(void *arg, const char *section, const char *key, const char *word)
{
    (void)section;
    enum seccomp_answer answer = strcmp(key, "allow") == 0  ? SECCOMP_ANSWER_ALLOW
                                 : strcmp(key, "deny") == 0 ? SECCOMP_ANSWER_DENY
                                                            : SECCOMP_ANSWER_KILL;
    if (word[0] != '@') {
        if (syscall_number(word) == SYSCALL_UNKNOWN)
            die("no such call", word);
        set_answer(arg, syscall_number(word), answer);
        return;
    }
    const struct group *group = find_group(word + 1, false);
    for (size_t i = 0; i < group->n; i++)
        set_answer(arg, group->calls[i], answer);
}

struct seccomp_spec profile_file_load_or_exit(const char *directory, const char *name)
{
    char path[512];
    unsigned char answers[CALLS_MAX] = {0};
    n_groups = 0;
    memset(groups, 0, sizeof groups);
    (void)snprintf(path, sizeof path, "%s/groups.ini", directory);
    each_word(path, on_group, NULL);
    (void)snprintf(path, sizeof path, "%s/%s.ini", directory, name);
    each_word(path, on_rule, answers);
    for (size_t i = 0; i < n_groups; i++) {
        for (size_t j = 0; j < groups[i].n; j++) {
            if (answers[groups[i].calls[j]] == 0)
                set_answer(answers, groups[i].calls[j], SECCOMP_ANSWER_DENY);
        }
    }
    struct seccomp_spec spec = {.name = strdup(name),
                                .rules = calloc(CALLS_MAX, sizeof *spec.rules)};
    if (spec.name == NULL || spec.rules == NULL)
        die("out of memory", name);
    for (int nr = 0; nr < CALLS_MAX; nr++) {
        if (answers[nr] != 0)
            spec.rules[spec.n_rules++] =
                (struct seccomp_rule){nr, (enum seccomp_answer)(answers[nr] - 1), "", 0};
    }
    return spec;
}

void profile_file_answer(struct seccomp_spec *spec, const char *call, enum seccomp_answer answer)
{
    int nr = syscall_number(call);
    for (size_t i = 0; i < spec->n_rules; i++) {
        if (spec->rules[i].nr == nr) {
            spec->rules[i].answer = answer;
            return;
        }
    }
    die("not in the profile", call);
}
