#include "schema.h"

#include <stdio.h>
#include <string.h>

/* The sections that a section is made of: [defaults] or the farthest parent first. */
struct chain {
    const struct ini_section *sections[CHAIN_MAX + 2];
    size_t n;
};

static int push(struct loader *l, struct shown_section *out, const struct setting *setting)
{
    return pool_push(l->pool, (void *)&out->settings, &out->n_settings, setting, sizeof *setting);
}

/* An entry of chain->sections[at]. */
static int push_entry(struct loader *l, struct shown_section *out, const struct schema_key *key,
                      const struct chain *chain, size_t at, const struct ini_entry *entry)
{
    struct setting setting = {.key = key->name,
                              .value = pool_strdup(l->pool, entry->value),
                              .origin = {chain->sections[at]->origin.file, entry->line},
                              .inherited = at + 1 < chain->n};
    return setting.value == NULL ? -1 : push(l, out, &setting);
}

static int push_fallback(struct loader *l, struct shown_section *out, const struct schema_key *key,
                         const char *fallback)
{
    for (const char *at = fallback; at != NULL && *at != '\0'; at += *at == '\n') {
        size_t len = strcspn(at, "\n");
        struct setting setting = {.key = key->name, .value = pool_strndup(l->pool, at, len)};
        if (setting.value == NULL || push(l, out, &setting) < 0)
            return -1;
        at += len;
    }
    return 0;
}

/* Takes out the item whose place the value takes, if there is one from `begin` on. */
static void drop_replaced(struct shown_section *out, size_t begin, char end, const char *value)
{
    size_t len = strcspn(value, (char[]){end, '\0'}) + 1;
    for (size_t i = begin; i < out->n_settings; i++) {
        if (strncmp(out->settings[i].value, value, len) != 0)
            continue;
        memmove(&out->settings[i], &out->settings[i + 1],
                (out->n_settings - i - 1) * sizeof *out->settings);
        out->n_settings--;
        return;
    }
}

static int show_list(struct loader *l, struct shown_section *out, const struct schema_key *key,
                     const struct chain *chain, const char *fallback)
{
    size_t begin = out->n_settings;
    for (size_t i = 0; i < chain->n; i++) {
        const struct ini_section *s = chain->sections[i];
        for (size_t k = 0; k < s->n_entries; k++) {
            const struct ini_entry *e = &s->entries[k];
            if (strcmp(e->key, key->name) != 0)
                continue;
            if (e->value[0] == '\0') {
                out->n_settings = begin;
                continue;
            }
            if (key->replaces != '\0')
                drop_replaced(out, begin, key->replaces, e->value);
            if (push_entry(l, out, key, chain, i, e) < 0)
                return -1;
        }
    }
    return out->n_settings > begin ? 0 : push_fallback(l, out, key, fallback);
}

static int show_single(struct loader *l, struct shown_section *out, const struct schema_key *key,
                       const struct chain *chain, const char *fallback)
{
    const struct ini_entry *last = NULL;
    size_t at = 0;
    for (size_t i = key->personal && chain->n > 0 ? chain->n - 1 : 0; i < chain->n; i++)
        for (size_t k = 0; k < chain->sections[i]->n_entries; k++)
            if (strcmp(chain->sections[i]->entries[k].key, key->name) == 0) {
                last = &chain->sections[i]->entries[k];
                at = i;
            }
    if (last == NULL || last->value[0] == '\0')
        return push_fallback(l, out, key, fallback);
    return push_entry(l, out, key, chain, at, last);
}

/* What a section became: one of them, or neither. */
struct subject {
    const struct tenant *tenant;
    const struct sandbox_spec *sandbox;
};

/* What follows from something else has no text in the schema. */
static const char *fallback_of(const struct schema_key *key, const struct subject *of, char *buf,
                               size_t len)
{
    if (key->fallback != NULL)
        return key->fallback;
    if (of->tenant != NULL && strcmp(key->name, "user") == 0)
        return of->tenant->user;
    if (of->tenant != NULL && strcmp(key->name, "uid") == 0)
        (void)snprintf(buf, len, "%u", (unsigned)of->tenant->uid);
    else if (of->sandbox != NULL && strcmp(key->name, "workspace-size") == 0)
        (void)snprintf(buf, len, of->sandbox->workspace == WORKSPACE_KEPT ? "infinity" : "1G");
    else
        return NULL;
    return buf;
}

static int show_section(struct loader *l, const struct schema *schema, const char *name,
                        const struct chain *chain, const struct subject *subject)
{
    struct shown_section out = {.type = schema->type, .name = name};
    char buf[16];
    /* The sandbox that exists without being defined stands in no line. */
    if (chain->n > 0 && chain->sections[chain->n - 1]->origin.line > 0)
        out.origin = chain->sections[chain->n - 1]->origin;
    for (size_t i = 0; i < schema->n_keys; i++) {
        const struct schema_key *key = &schema->keys[i];
        const char *fallback = fallback_of(key, subject, buf, sizeof buf);
        if (key->kind == KEY_EXTENDS || key->kind == KEY_LATER)
            continue;
        if ((key->kind == KEY_LIST ? show_list(l, &out, key, chain, fallback)
                                   : show_single(l, &out, key, chain, fallback)) < 0)
            return -1;
    }
    return pool_push(l->pool, (void *)&l->policy->shown, &l->policy->n_shown, &out, sizeof out);
}

static void follow(const struct section_set *set, size_t at, const struct ini_section *first,
                   struct chain *out)
{
    *out = (struct chain){0};
    for (; at != NO_PARENT; at = set->nodes[at].parent)
        out->sections[out->n++] = set->nodes[at].section;
    if (first != NULL)
        out->sections[out->n++] = first;
    for (size_t i = 0; i < out->n / 2; i++) {
        const struct ini_section *swap = out->sections[i];
        out->sections[i] = out->sections[out->n - 1 - i];
        out->sections[out->n - 1 - i] = swap;
    }
}

static int show_tenants(struct loader *l)
{
    const struct ini_section *defaults = schema_only_section(l, &defaults_schema);
    for (size_t i = 0; i < l->policy->n_tenants; i++) {
        const struct tenant *tenant = &l->policy->tenants[i];
        struct chain chain;
        size_t at = 0;
        (void)strmap_get(&l->tenants.names, tenant->name, &at);
        follow(&l->tenants, at, defaults, &chain);
        if (show_section(l, &tenant_schema, tenant->name, &chain,
                         &(struct subject){.tenant = tenant}) < 0)
            return -1;
    }
    return 0;
}

int effective_build(struct loader *l)
{
    const struct ini_section *server = schema_only_section(l, &server_schema);
    struct chain chain = {.sections = {server}, .n = server != NULL};
    if (show_section(l, &server_schema, "", &chain, &(struct subject){0}) < 0 ||
        show_tenants(l) < 0)
        return -1;
    for (size_t i = 0; i < l->sandboxes.n; i++) {
        follow(&l->sandboxes, i, NULL, &chain);
        const struct sandbox_spec *spec = &l->policy->sandboxes[i];
        if (show_section(l, &sandbox_schema, spec->name, &chain,
                         &(struct subject){.sandbox = spec}) < 0)
            return -1;
    }
    return 0;
}
