#include "address.h"
#include "cleanup.h"
#include "places.h"
#include "schema.h"
#include "sections.h"
#include "tenant_build.h"

#include <stdlib.h>
#include <string.h>

/* What a tenant takes over. Arrays are copied, so that no child grows into its parent's. */
static int inherit(struct loader *l, const struct tenant_build *parent, struct tenant_build *b)
{
    const struct tenant *from = &parent->t;
    struct tenant *t = &b->t;
    *b = *parent;
    b->places = places_new(l, &tenant_schema, parent->places);
    if (b->places == NULL)
        return -1;
    t->places = b->places;
    b->has_uid = false;
    t->uid = 0;
    t->accept_env = t->env = (struct str_list){0};
    t->from = (struct address_list){0};
    t->templates = NULL;
    t->subsystems = NULL;
    t->n_templates = t->n_subsystems = 0;
    b->key_refs = NULL;
    b->n_key_refs = 0;
    if (pool_push_array(&l->scratch, (void *)&b->key_refs, &b->n_key_refs, parent->key_refs,
                        parent->n_key_refs, sizeof *b->key_refs) < 0 ||
        pool_push_array(l->pool, (void *)&t->from.rules, &t->from.n, from->from.rules, from->from.n,
                        sizeof *t->from.rules) < 0 ||
        pool_push_array(l->pool, (void *)&t->templates, &t->n_templates, from->templates,
                        from->n_templates, sizeof *t->templates) < 0 ||
        pool_push_array(l->pool, (void *)&t->subsystems, &t->n_subsystems, from->subsystems,
                        from->n_subsystems, sizeof *t->subsystems) < 0)
        return -1;
    if (pool_push_all(l->pool, &t->accept_env, &from->accept_env) < 0)
        return -1;
    return pool_push_all(l->pool, &t->env, &from->env);
}

static int apply_section(struct loader *l, const struct schema *schema,
                         const struct ini_section *section, struct tenant_build *b)
{
    b->t.origin = section->origin;
    schema_apply(l, schema, section, b, b->places);
    return tenant_merge_env(l, b) < 0 ? -1 : tenant_merge_subsystems(l, b);
}

static void check_rules(struct loader *l, struct tenant_build *b)
{
    struct tenant *t = &b->t;
    const char *found[3];
    size_t n = 0;
    if (t->shell_line != NULL)
        found[n++] = "shell";
    if (t->force_line != NULL)
        found[n++] = "force";
    if (t->n_templates > 0)
        found[n++] = "command";
    if (n > 1)
        diag_add(l->diags, t->origin.file, t->origin.line,
                 "an empty value takes an inherited one back",
                 "tenant '%s' has both '%s' and '%s': it must be one of shell, force and command",
                 t->name, found[0], found[1]);
    t->rule_origin = t->shell_line != NULL   ? b->shell_at
                     : t->force_line != NULL ? b->force_at
                                             : t->origin;
}

static void check_auth(struct loader *l, const struct tenant_build *b)
{
    if (b->t.auth == AUTH_NONE && b->n_key_refs > 0)
        diag_add(l->diags, b->auth_at.file, b->auth_at.line,
                 "an empty 'keys =' takes inherited ones back",
                 "tenant '%s' has 'keys' (%s:%u), but auth = none lets everybody in without one",
                 b->t.name, b->key_refs[0].origin.file, b->key_refs[0].origin.line);
}

static void check_user(struct loader *l, const struct tenant_build *b)
{
    if (b->has_uid && b->t.run_as != NULL)
        diag_add(l->diags, b->uid_at.file, b->uid_at.line,
                 "'run-as = auto' takes an inherited one back",
                 "tenant '%s' has both 'uid' and 'run-as = %s' (%s:%u)", b->t.name, b->t.run_as,
                 b->run_as_at.file, b->run_as_at.line);
}

static void check_from(struct loader *l, const struct tenant *t)
{
    const char *problem = address_list_problem(&t->from);
    if (problem != NULL)
        diag_add(l->diags, t->from.rules[0].origin.file, t->from.rules[0].origin.line,
                 address_list_hint, "tenant '%s': %s", t->name, problem);
}

/* A wrong name is said once: those who inherit it inherit the default instead. */
static void find_sandbox(struct loader *l, struct tenant_build *b)
{
    if (strmap_get(&l->sandboxes.names, b->sandbox, &b->t.sandbox))
        return;
    section_set_complain(l, &l->sandboxes, &b->sandbox_at, "sandbox", b->sandbox);
    b->sandbox = "default";
}

/* Where tenants without `extends` begin: the built-in defaults, and [defaults] over them. */
static int build_defaults(struct loader *l, struct tenant_build *b)
{
    *b = (struct tenant_build){
        .t = {.total = {.memory_high = SPEC_INFINITY, .swap = SPEC_INFINITY}}};
    schema_apply_fallbacks(l, &tenant_schema, b);
    b->places = places_new(l, &tenant_schema, NULL);
    if (b->places == NULL)
        return -1;
    const struct ini_section *section = schema_only_section(l, &defaults_schema);
    if (section != NULL && apply_section(l, &defaults_schema, section, b) < 0)
        return -1;
    find_sandbox(l, b);
    return 0;
}

static int build_tenant(struct loader *l, const struct tenant_build *defaults,
                        struct tenant_build *builds, size_t i)
{
    const struct section_node *node = &l->tenants.nodes[i];
    struct tenant_build *b = &builds[i];
    if (inherit(l, node->parent == NO_PARENT ? defaults : &builds[node->parent], b) < 0)
        return -1;
    b->t.name = pool_strdup(l->pool, node->section->name);
    if (b->t.name == NULL || apply_section(l, &tenant_schema, node->section, b) < 0)
        return -1;
    check_rules(l, b);
    check_auth(l, b);
    check_user(l, b);
    check_from(l, &b->t);
    find_sandbox(l, b);
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    const struct tenant_build *x = a;
    const struct tenant_build *y = b;
    return strcmp(x->t.name, y->t.name);
}

/* What needs all tenants, in the order of their names. */
static int finish(struct loader *l, struct tenant_build *builds, size_t n)
{
    struct tenant *tenants = pool_alloc(l->pool, (n + 1) * sizeof *tenants);
    if (tenants == NULL || uids_assign(l, builds, n) < 0 || tenant_keys_load(l, builds, n) < 0 ||
        open_logins_build(l, builds, n) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        tenants[i] = builds[i].t;
    l->policy->tenants = tenants;
    l->policy->n_tenants = n;
    return 0;
}

int tenants_build(struct loader *l)
{
    struct tenant_build defaults;
    struct section_set *set = &l->tenants;
    if (section_set_build(l, "tenant", set) < 0 || build_defaults(l, &defaults) < 0)
        return -1;
    struct tenant_build *builds = pool_alloc(&l->scratch, (set->n + 1) * sizeof *builds);
    if (builds == NULL)
        return -1;
    for (size_t i = 0; i < set->n; i++)
        if (build_tenant(l, &defaults, builds, set->order[i]) < 0)
            return -1;
    /* Only now: children inherit the user's name as it was written, not a default. */
    for (size_t i = 0; i < set->n; i++) {
        if (builds[i].t.user == NULL)
            builds[i].t.user = builds[i].t.name;
        if (set->nodes[i].parent != NO_PARENT)
            builds[set->nodes[i].parent].t.extended = true;
    }
    if (set->n > 1)
        qsort(builds, set->n, sizeof *builds, compare_names);
    return finish(l, builds, set->n);
}
