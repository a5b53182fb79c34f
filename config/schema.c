#include "schema.h"
#include "cleanup.h"
#include "text.h"
#include "values.h"

#include <stdio.h>
#include <string.h>

static const struct schema *const schemas[] = {&server_schema,  &defaults_schema, &tenant_schema,
                                               &sandbox_schema, &profile_schema,  &group_schema,
                                               &test_schema};

enum { TITLE_LEN_MAX = 64 };

static const struct schema *find_schema(const char *type)
{
    for (size_t i = 0; i < array_len(schemas); i++)
        if (strcmp(schemas[i]->type, type) == 0)
            return schemas[i];
    return NULL;
}

static const char *no_include(const char *word)
{
    return strcmp(word, "include") == 0 ? INI_NO_INCLUDE : NULL;
}

static void complain_of_type(struct loader *l, const struct ini_section *s)
{
    struct suggestion guess;
    char hint[64];
    const char *better = no_include(s->type);
    suggest_begin(&guess, s->type);
    for (size_t i = 0; i < array_len(schemas); i++)
        suggest_try(&guess, schemas[i]->type);
    diag_add(l->diags, s->origin.file, s->origin.line,
             better != NULL ? better : suggest_hint(&guess, hint, sizeof hint),
             "unknown section [%s]", s->type);
}

static const char *home_of(const struct schema *schema)
{
    if (schema->roles & FILE_SERVER)
        return "it belongs in postern.ini";
    return schema->roles & FILE_POLICY ? "it belongs in policy.d" : "it belongs in seccomp-dir";
}

static bool is_title(const char *name)
{
    for (const char *c = name; *c != '\0'; c++)
        if (*c < ' ' || *c > '~' || *c == '\\')
            return false;
    return strlen(name) <= TITLE_LEN_MAX;
}

static int check_name(const struct schema *schema, const struct ini_section *s, struct err *err)
{
    if (schema->naming == SECTION_UNNAMED)
        return s->name[0] != '\0' ? err_set(err, 0, "[%s] has no name", s->type) : 0;
    if (s->name[0] == '\0')
        return err_set(err, 0, "[%s] needs a name: [%s \"name\"]", s->type, s->type);
    if (schema->naming == SECTION_NAMED)
        return value_name(s->name, err);
    return is_title(s->name) ? 0
                             : err_set(err, 0,
                                       "the name of a [%s] is 1 to %d printable ASCII characters "
                                       "without '\\'",
                                       s->type, TITLE_LEN_MAX);
}

static bool is_in_place(struct loader *l, const struct ini_section *s, enum file_role role)
{
    const struct schema *schema = find_schema(s->type);
    struct err err = {0};
    if (schema == NULL) {
        complain_of_type(l, s);
        return false;
    }
    if ((schema->roles & role) == 0) {
        diag_add(l->diags, s->origin.file, s->origin.line, home_of(schema),
                 "[%s] can't stand in this file", s->type);
        return false;
    }
    if (check_name(schema, s, &err) < 0) {
        loader_complain(l, &s->origin, NULL, &err);
        return false;
    }
    return true;
}

void schema_check_sections(struct loader *l, size_t first, enum file_role role)
{
    size_t kept = first;
    for (size_t i = first; i < l->doc.n; i++)
        if (is_in_place(l, &l->doc.sections[i], role))
            l->doc.sections[kept++] = l->doc.sections[i];
    /* The array can't shrink (its capacity follows from its length): blank what is left. */
    for (size_t i = kept; i < l->doc.n; i++)
        l->doc.sections[i] = (struct ini_section){.type = "", .name = ""};
}

const struct ini_section *schema_only_section(struct loader *l, const struct schema *schema)
{
    const struct ini_section *first = NULL;
    for (size_t i = 0; i < l->doc.n; i++) {
        const struct ini_section *s = &l->doc.sections[i];
        if (strcmp(s->type, schema->type) != 0)
            continue;
        if (first == NULL)
            first = s;
        else
            diag_add(l->diags, s->origin.file, s->origin.line, NULL,
                     "[%s] is defined twice (first at %s:%u)", s->type, first->origin.file,
                     first->origin.line);
    }
    return first;
}

static const struct schema_key *find_key(const struct schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->n_keys; i++)
        if (strcmp(schema->keys[i].name, name) == 0)
            return &schema->keys[i];
    return NULL;
}

/* Which kind of section knows such a key, if another one does. */
static const char *where_known(const struct schema *schema, const char *key)
{
    static const struct schema *const homes[] = {&tenant_schema, &sandbox_schema, &profile_schema,
                                                 &server_schema};
    const struct schema *same = schema->full != NULL ? schema->full : schema;
    for (size_t i = 0; i < array_len(homes) && strcmp(key, "extends") != 0; i++)
        if (homes[i] != same && find_key(homes[i], key) != NULL)
            return homes[i]->type;
    return NULL;
}

static void complain_of_key(struct loader *l, const struct schema *schema, const struct origin *at,
                            const char *key)
{
    struct suggestion guess;
    char hint[80];
    if (schema->full != NULL && find_key(schema->full, key) != NULL) {
        diag_add(l->diags, at->file, at->line, NULL,
                 "'%s' can't stand in [%s]: every [%s] has its own", key, schema->type,
                 schema->full->type);
        return;
    }
    const char *better = no_include(key);
    const char *home = where_known(schema, key);
    bool guessing = loader_may_guess(l);
    suggest_begin(&guess, key);
    for (size_t i = 0; guessing && i < schema->n_keys; i++)
        suggest_try(&guess, schema->keys[i].name);
    (void)suggest_hint(&guess, hint, sizeof hint);
    if (home != NULL)
        (void)snprintf(hint, sizeof hint, "it is a key of [%s]", home);
    diag_add(l->diags, at->file, at->line, better != NULL ? better : hint,
             "unknown key '%s' in [%s]", key, schema->type);
}

/* Whether the entry is out of order: `earlier` is the line of the same key before it, or 0. */
static bool is_repeated_or_empty(struct loader *l, const struct schema_key *key,
                                 const struct origin *at, const char *value, unsigned earlier)
{
    bool empty = value[0] == '\0';
    if (key->kind == KEY_LIST) {
        if (!empty || earlier == 0)
            return false;
        diag_add(l->diags, at->file, at->line, NULL,
                 "an empty '%s' resets what is inherited, so it comes before line %u", key->name,
                 earlier);
    } else if (earlier != 0) {
        diag_add(l->diags, at->file, at->line, NULL, "'%s' is set twice (first at line %u)",
                 key->name, earlier);
    } else if (empty && key->kind != KEY_OPTIONAL) {
        diag_add(l->diags, at->file, at->line, NULL, "'%s' needs a value", key->name);
    } else {
        return false;
    }
    return true;
}

static int set_key(struct loader *l, const struct schema_key *key, void *target,
                   const struct origin *at, const char *value, struct err *err)
{
    return key->set != NULL ? key->set(l, target, at, value, err)
                            : key->parse(key, value, (char *)target + key->offset, err);
}

/* Whether the value was taken. */
static bool apply_entry(struct loader *l, const struct schema_key *key, void *target,
                        const struct origin *at, const char *value)
{
    struct err err = {0};
    if (key->kind == KEY_LATER)
        err_set(&err, 0, "'%s' is part of the language but not carried out by this version",
                key->name);
    else if (set_key(l, key, target, at, value, &err) == 0) {
        if (text_has_hash(value))
            diag_warn(l->diags, at->file, at->line, "write ';' for one",
                      "%s: '#' begins no comment here: it is part of the value", key->name);
        return true;
    }
    loader_complain(l, at, key->quotable ? NULL : text_value_hint(value), &err);
    return false;
}

void schema_apply(struct loader *l, const struct schema *schema, const struct ini_section *section,
                  void *target, struct origin *places)
{
    const struct schema_key *first = schema->full != NULL ? schema->full->keys : schema->keys;
    unsigned lines[SCHEMA_KEYS_MAX] = {0}; /* where each key stood first */
    for (size_t i = 0; i < section->n_entries; i++) {
        const struct ini_entry *e = &section->entries[i];
        const struct origin at = {section->origin.file, e->line};
        const struct schema_key *key = find_key(schema, e->key);
        if (key == NULL) {
            complain_of_key(l, schema, &at, e->key);
            continue;
        }
        unsigned *earlier = &lines[key - schema->keys];
        bool wrong = is_repeated_or_empty(l, key, &at, e->value, *earlier);
        if (*earlier == 0)
            *earlier = e->line;
        if (!wrong && key->kind != KEY_EXTENDS && apply_entry(l, key, target, &at, e->value) &&
            places != NULL)
            places[key - first] = at;
    }
}

/* Nobody but a test can see such a complaint: the text is ours. */
static void apply_fallback(struct loader *l, const struct schema_key *key, void *target,
                           const char *value)
{
    static const struct origin nowhere = {NULL, 0};
    struct err err = {0};
    if (set_key(l, key, target, &nowhere, value, &err) < 0)
        diag_add(l->diags, l->config_path, 0, NULL, "built-in '%s = %s': %s", key->name, value,
                 err.text);
}

void schema_apply_fallbacks(struct loader *l, const struct schema *schema, void *target)
{
    for (size_t i = 0; i < schema->n_keys; i++)
        if (schema->keys[i].fallback != NULL && schema->keys[i].kind != KEY_LIST)
            apply_fallback(l, &schema->keys[i], target, schema->keys[i].fallback);
}

int schema_apply_list_fallback(struct loader *l, const struct schema *schema, const char *name,
                               void *target)
{
    const struct schema_key *key = find_key(schema, name);
    for (const char *at = key->fallback; *at != '\0'; at += at[0] == '\n') {
        size_t len = strcspn(at, "\n");
        const char *item = pool_strndup(&l->scratch, at, len);
        if (item == NULL)
            return -1;
        apply_fallback(l, key, target, item);
        at += len;
    }
    return 0;
}
