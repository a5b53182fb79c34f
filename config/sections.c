#include "sections.h"
#include "schema.h"
#include "text.h"
#include "values.h"

#include <stdio.h>
#include <string.h>

int section_set_collect(struct loader *l, const char *type, struct section_set *set)
{
    *set = (struct section_set){.type = type};
    for (size_t i = 0; i < l->doc.n; i++) {
        const struct ini_section *s = &l->doc.sections[i];
        if (strcmp(s->type, set->type) != 0)
            continue;
        size_t first = 0;
        if (strmap_get(&set->names, s->name, &first)) {
            const struct origin *at = &set->nodes[first].section->origin;
            diag_add(l->diags, s->origin.file, s->origin.line, NULL,
                     "%s '%s' is defined twice (first at %s:%u)", s->type, s->name, at->file,
                     at->line);
            continue;
        }
        struct section_node node = {.section = s, .parent = NO_PARENT};
        if (strmap_put(&l->scratch, &set->names, s->name, set->n) < 0 ||
            pool_push(&l->scratch, (void *)&set->nodes, &set->n, &node, sizeof node) < 0)
            return -1;
    }
    return 0;
}

static const struct ini_entry *find_extends(const struct ini_section *s)
{
    for (size_t i = 0; i < s->n_entries; i++)
        if (strcmp(s->entries[i].key, "extends") == 0)
            return &s->entries[i];
    return NULL;
}

void section_set_complain(struct loader *l, const struct section_set *set, const struct origin *at,
                          const char *key, const char *name)
{
    struct suggestion guess;
    suggest_begin(&guess, name);
    bool guessing = loader_may_guess(l);
    for (size_t i = 0; guessing && i < set->n; i++)
        suggest_try(&guess, set->nodes[i].section->name);
    char hint[80];
    char shown[64];
    const char *quotes = text_value_hint(name);
    (void)suggest_hint(&guess, hint, sizeof hint);
    if (hint[0] == '\0' && value_name(name, NULL) == 0)
        (void)snprintf(hint, sizeof hint, "define it: [%s \"%s\"]", set->type, name);
    diag_add(l->diags, at->file, at->line, quotes != NULL ? quotes : hint,
             "%s: there is no %s%s '%s'", key, set->type,
             strcmp(set->type, profile_schema.type) == 0 ? " profile" : "",
             text_escape_str(shown, sizeof shown, name));
}

static void find_parents(struct loader *l, struct section_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        struct section_node *node = &set->nodes[i];
        const struct ini_entry *e = find_extends(node->section);
        if (e == NULL || e->value[0] == '\0')
            continue; /* empty values are reported with all others */
        struct origin at = {node->section->origin.file, e->line};
        size_t parent = 0;
        if (strmap_get(&set->names, e->value, &parent))
            node->parent = parent;
        else
            section_set_complain(l, set, &at, "extends", e->value);
    }
}

/* Reports and cuts a chain that never ends, or not soon. */
static void cut_chain(struct loader *l, struct section_set *set, size_t i, bool is_cycle)
{
    const struct ini_section *s = set->nodes[i].section;
    const struct ini_entry *e = find_extends(s);
    if (is_cycle)
        diag_add(l->diags, s->origin.file, e->line, NULL, "%s '%s' extends itself, by way of '%s'",
                 set->type, s->name, e->value);
    else
        diag_add(l->diags, s->origin.file, e->line, NULL,
                 "%s '%s' extends a chain of more than %d sections", set->type, s->name, CHAIN_MAX);
    set->nodes[i].parent = NO_PARENT;
}

/* How many ancestors node i has, or SIZE_MAX: too many, or it is one of them (then *is_cycle). */
static size_t depth_of(const struct section_set *set, size_t i, bool *is_cycle)
{
    size_t depth = 0;
    *is_cycle = false;
    for (size_t at = set->nodes[i].parent; at != NO_PARENT; at = set->nodes[at].parent) {
        *is_cycle = at == i;
        if (*is_cycle || ++depth > CHAIN_MAX)
            return SIZE_MAX;
    }
    return depth;
}

static void cut_chains(struct loader *l, struct section_set *set)
{
    bool is_cycle;
    /* Cycles first, lest what only leads into one is blamed for its length. */
    for (size_t i = 0; i < set->n; i++)
        if (depth_of(set, i, &is_cycle) == SIZE_MAX && is_cycle)
            cut_chain(l, set, i, true);
    for (size_t i = 0; i < set->n; i++)
        if (depth_of(set, i, &is_cycle) == SIZE_MAX)
            cut_chain(l, set, i, is_cycle);
}

static int sort_by_depth(struct loader *l, struct section_set *set)
{
    size_t *depth = pool_alloc(&l->scratch, (set->n + 1) * sizeof *depth);
    set->order = pool_alloc(&l->scratch, (set->n + 1) * sizeof *set->order);
    if (depth == NULL || set->order == NULL)
        return -1;
    bool is_cycle;
    for (size_t i = 0; i < set->n; i++)
        depth[i] = depth_of(set, i, &is_cycle);
    size_t n = 0;
    for (size_t d = 0; d <= CHAIN_MAX; d++)
        for (size_t i = 0; i < set->n; i++)
            if (depth[i] == d)
                set->order[n++] = i;
    return 0;
}

int section_set_build(struct loader *l, const char *type, struct section_set *out)
{
    if (section_set_collect(l, type, out) < 0)
        return -1;
    find_parents(l, out);
    cut_chains(l, out);
    return sort_by_depth(l, out);
}
