#include "syscall_profiles.h"
#include "schema.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

/* As sandbox/syscalls.h has them; this library doesn't link what implements it. */
enum { CALL_UNKNOWN = -1, CALL_FOREIGN = -2 };
enum { CALLS_MAX = 2048, CALL_NAME_MAX = 48 };

struct answer {
    bool set;
    bool by_name; /* rather than by way of a group */
    enum seccomp_answer answer;
    struct origin origin;
};

struct call_profile {
    struct answer *own;       /* what this section says, by number */
    struct answer *effective; /* with what it inherits */
    const struct profiles *all;
    struct seccomp_spec spec;
    bool faulty;
};

/*
 * The number of the call that the word names, CALL_FOREIGN if there is nothing to do, or
 * CALL_UNKNOWN after a complaint.
 */
static int resolve_call(struct loader *l, const struct profiles *p, const struct origin *at,
                        const char *word, size_t len)
{
    char name[CALL_NAME_MAX + 1];
    char shown[64];
    struct suggestion guess;
    char hint[80];
    (void)snprintf(name, sizeof name, "%.*s", (int)(len > CALL_NAME_MAX ? CALL_NAME_MAX : len),
                   word);
    int nr = len > CALL_NAME_MAX ? CALL_UNKNOWN : l->host->syscall_number(name);
    if (nr == CALL_FOREIGN || (nr >= 0 && nr < CALLS_MAX))
        return nr;
    bool guessing = loader_may_guess(l);
    suggest_begin(&guess, name);
    for (size_t i = 0; guessing && i < p->call_names.n; i++)
        suggest_try(&guess, p->call_names.items[i]);
    diag_add(l->diags, at->file, at->line, suggest_hint(&guess, hint, sizeof hint),
             "there is no system call '%s'", text_escape_str(shown, sizeof shown, name));
    return CALL_UNKNOWN;
}

struct group_target {
    struct profiles *all;
    struct call_group *group;
};

static int set_call(struct loader *l, void *target, const struct origin *at, const char *value,
                    struct err *err)
{
    struct group_target *t = target;
    const char *word;
    size_t len;
    if (value[0] == '\0')
        return err_set(err, 0, "'call' needs a value");
    while ((word = text_next_word(&value, &len)) != NULL) {
        int nr = resolve_call(l, t->all, at, word, len);
        char *name = nr == CALL_UNKNOWN ? NULL : pool_strndup(&l->scratch, word, len);
        if (name != NULL && pool_push(&l->scratch, (void *)&t->all->call_names.items,
                                      &t->all->call_names.n, (void *)&name, sizeof name) < 0)
            return err_no_memory(err);
        if (nr < 0)
            continue;
        t->all->known[nr] = true;
        if (pool_push(&l->scratch, (void *)&t->group->numbers, &t->group->n, &nr, sizeof nr) < 0)
            return err_no_memory(err);
    }
    return 0;
}

static const struct schema_key group_keys[] = {{KEY("call", KEY_LIST, NULL), .set = set_call}};

const struct schema group_schema = {.type = "group",
                                    .naming = SECTION_NAMED,
                                    .roles = FILE_SECCOMP,
                                    .keys = group_keys,
                                    .n_keys = sizeof group_keys / sizeof *group_keys};

/* Within one section kill beats deny, deny beats allow; the order of lines doesn't matter. */
static void say(struct call_profile *p, int nr, const struct answer *what)
{
    struct answer *own = &p->own[nr];
    if (!own->set || what->answer > own->answer)
        *own = *what;
}

static int say_group(struct loader *l, struct call_profile *p, const char *word, size_t len,
                     const struct answer *what)
{
    char name[CALL_NAME_MAX + 1];
    size_t at = 0;
    (void)snprintf(name, sizeof name, "%.*s", (int)(len > CALL_NAME_MAX ? CALL_NAME_MAX : len),
                   word);
    if (!strmap_get(&p->all->groups_set.names, name, &at)) {
        section_set_complain(l, &p->all->groups_set, &what->origin, "@group", name);
        return 0;
    }
    for (size_t i = 0; i < p->all->groups[at].n; i++)
        say(p, p->all->groups[at].numbers[i], what);
    return 0;
}

static int say_call(struct loader *l, struct call_profile *p, const char *word, size_t len,
                    const struct answer *what, struct err *err)
{
    int nr = resolve_call(l, p->all, &what->origin, word, len);
    if (nr < 0)
        return 0;
    const struct answer *own = &p->own[nr];
    if (own->set && own->by_name && own->answer != what->answer)
        return err_set(err, 0, "'%.*s' has another answer already (line %u)", (int)len, word,
                       own->origin.line);
    struct answer named = *what;
    named.by_name = true;
    say(p, nr, &named);
    return 0;
}

static int set_answer(struct loader *l, struct call_profile *p, enum seccomp_answer answer,
                      const struct origin *at, const char *value, struct err *err)
{
    if (value[0] == '\0') {
        for (int nr = 0; nr < CALLS_MAX; nr++)
            if (p->effective[nr].set && p->effective[nr].answer == answer)
                p->effective[nr].set = false;
        return 0;
    }
    struct answer what = {.set = true, .answer = answer, .origin = *at};
    const char *word;
    size_t len;
    while ((word = text_next_word(&value, &len)) != NULL)
        if ((word[0] == '@' ? say_group(l, p, word + 1, len - 1, &what)
                            : say_call(l, p, word, len, &what, err)) < 0)
            return -1;
    return 0;
}

static int set_allow(struct loader *l, void *target, const struct origin *at, const char *value,
                     struct err *err)
{
    return set_answer(l, target, SECCOMP_ANSWER_ALLOW, at, value, err);
}

static int set_deny(struct loader *l, void *target, const struct origin *at, const char *value,
                    struct err *err)
{
    return set_answer(l, target, SECCOMP_ANSWER_DENY, at, value, err);
}

static int set_kill(struct loader *l, void *target, const struct origin *at, const char *value,
                    struct err *err)
{
    return set_answer(l, target, SECCOMP_ANSWER_KILL, at, value, err);
}

static const struct schema_key profile_keys[] = {
    {KEY("extends", KEY_EXTENDS, NULL)},
    {KEY("allow", KEY_LIST, NULL), .set = set_allow},
    {KEY("deny", KEY_LIST, NULL), .set = set_deny},
    {KEY("kill", KEY_LIST, NULL), .set = set_kill},
};

const struct schema profile_schema = {.type = "seccomp",
                                      .naming = SECTION_NAMED,
                                      .roles = FILE_POLICY | FILE_SECCOMP,
                                      .keys = profile_keys,
                                      .n_keys = sizeof profile_keys / sizeof *profile_keys};

static void require_calls(struct loader *l, const struct call_profile *p,
                          const struct ini_section *s)
{
    static const char *const needed[] = {"execve", "exit_group"};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        int nr = l->host->syscall_number(needed[i]);
        bool allowed = nr >= 0 && nr < CALLS_MAX && p->effective[nr].set &&
                       p->effective[nr].answer == SECCOMP_ANSWER_ALLOW;
        if (!allowed)
            diag_add(l->diags, s->origin.file, s->origin.line, NULL,
                     "seccomp '%s' doesn't allow %s: no command could run", s->name, needed[i]);
    }
}

/* One rule per call that the profile or any group names, in numeric order. */
static int make_rules(struct loader *l, struct call_profile *p, const struct ini_section *s)
{
    p->spec.name = pool_strdup(l->pool, s->name);
    if (p->spec.name == NULL)
        return -1;
    for (int nr = 0; nr < CALLS_MAX; nr++) {
        const struct answer *a = &p->effective[nr];
        if (!a->set && !p->all->known[nr])
            continue;
        const struct origin *at = a->set ? &a->origin : &s->origin;
        struct seccomp_rule rule = {.nr = nr,
                                    .answer = a->set ? a->answer : SECCOMP_ANSWER_DENY,
                                    .file = at->file,
                                    .line = at->line};
        if (pool_push(l->pool, (void *)&p->spec.rules, &p->spec.n_rules, &rule, sizeof rule) < 0)
            return -1;
    }
    return 0;
}

static int build_profile(struct loader *l, struct profiles *all, size_t i)
{
    const struct section_node *node = &all->set.nodes[i];
    struct call_profile *p = &all->items[i];
    size_t before = l->diags->n;
    p->all = all;
    p->own = pool_alloc(&l->scratch, CALLS_MAX * sizeof *p->own);
    p->effective = pool_alloc(&l->scratch, CALLS_MAX * sizeof *p->effective);
    if (p->own == NULL || p->effective == NULL)
        return -1;
    if (node->parent != NO_PARENT)
        memcpy(p->effective, all->items[node->parent].effective, CALLS_MAX * sizeof *p->effective);
    schema_apply(l, &profile_schema, node->section, p, NULL);
    for (int nr = 0; nr < CALLS_MAX; nr++)
        if (p->own[nr].set)
            p->effective[nr] = p->own[nr];
    require_calls(l, p, node->section);
    p->faulty = l->diags->n > before || all->groups_faulty ||
                (node->parent != NO_PARENT && all->items[node->parent].faulty);
    return make_rules(l, p, node->section);
}

static int build_groups(struct loader *l, struct profiles *all)
{
    all->groups = pool_alloc(&l->scratch, (all->groups_set.n + 1) * sizeof *all->groups);
    if (all->groups == NULL)
        return -1;
    for (size_t i = 0; i < all->groups_set.n; i++) {
        const struct ini_section *s = all->groups_set.nodes[i].section;
        all->groups[i].name = s->name;
        struct group_target target = {.all = all, .group = &all->groups[i]};
        schema_apply(l, &group_schema, s, &target, NULL);
    }
    return 0;
}

int profiles_build(struct loader *l, struct profiles *out)
{
    *out = (struct profiles){0};
    size_t before = l->diags->n;
    out->known = pool_alloc(&l->scratch, CALLS_MAX * sizeof *out->known);
    if (out->known == NULL || section_set_build(l, "group", &out->groups_set) < 0 ||
        section_set_build(l, "seccomp", &out->set) < 0 || build_groups(l, out) < 0)
        return -1;
    out->groups_faulty = l->diags->n > before;
    out->items = pool_alloc(&l->scratch, (out->set.n + 1) * sizeof *out->items);
    if (out->items == NULL)
        return -1;
    for (size_t i = 0; i < out->set.n; i++)
        if (build_profile(l, out, out->set.order[i]) < 0)
            return -1;
    return 0;
}

bool profiles_faulty(const struct profiles *profiles, size_t i)
{
    return profiles->items[i].faulty;
}

struct seccomp_spec profiles_spec(const struct profiles *profiles, size_t i)
{
    return profiles->items[i].spec;
}

static int keep_group(struct loader *l, const struct call_group *group)
{
    struct policy *policy = l->policy;
    struct policy_group kept = {.name = pool_strdup(l->pool, group->name)};
    if (kept.name == NULL || pool_push_array(l->pool, (void *)&kept.calls, &kept.n_calls,
                                             group->numbers, group->n, sizeof *kept.calls) < 0)
        return -1;
    return pool_push(l->pool, (void *)&policy->groups, &policy->n_groups, &kept, sizeof kept);
}

int profiles_keep(struct loader *l, const struct profiles *profiles)
{
    struct policy *policy = l->policy;
    for (size_t i = 0; i < profiles->groups_set.n; i++)
        if (keep_group(l, &profiles->groups[i]) < 0)
            return -1;
    for (size_t i = 0; i < profiles->set.n; i++) {
        const struct policy_profile kept = {.spec = profiles->items[i].spec,
                                            .origin = profiles->set.nodes[i].section->origin};
        if (pool_push(l->pool, (void *)&policy->profiles, &policy->n_profiles, &kept, sizeof kept) <
            0)
            return -1;
    }
    return 0;
}
