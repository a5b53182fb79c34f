#include "decide.h"
#include "diag.h"
#include "env_names.h"
#include "tenant_build.h"
#include "text.h"
#include "values.h"

#include <string.h>

enum { ENV_BYTES_MAX = 16384, ENV_PATTERNS_MAX = 256 };

int tenant_set_accept_env(struct loader *l, void *target, const struct origin *at,
                          const char *value, struct err *err)
{
    struct str_list *list = &((struct tenant_build *)target)->t.accept_env;
    bool failed = false;
    if (value[0] == '\0')
        *list = (struct str_list){0};
    const char *word;
    size_t len;
    while ((word = text_next_word(&value, &len)) != NULL) {
        char shown[80];
        const char *problem = env_pattern_problem(word, len);
        if (problem != NULL) {
            if (failed)
                loader_complain(l, at, NULL, err);
            failed = true;
            err_set(err, 0, "'%s' %s", text_escape(shown, sizeof shown, word, len), problem);
            continue;
        }
        if (list->n == ENV_PATTERNS_MAX)
            return err_set(err, 0, "more than %d names", ENV_PATTERNS_MAX);
        char *copy = pool_strndup(l->pool, word, len);
        if (copy == NULL ||
            pool_push(l->pool, (void *)&list->items, &list->n, (void *)&copy, sizeof copy) < 0)
            return err_no_memory(err);
    }
    return failed ? -1 : 0;
}

static size_t find_env(const struct str_list *list, const char *text, size_t name_len)
{
    size_t i = 0;
    while (i < list->n && strncmp(list->items[i], text, name_len + 1) != 0)
        i++;
    return i;
}

/* As a shell would take it: $NAME or ${NAME. */
static bool mentions_variable(const char *value)
{
    for (const char *at = value; (at = strchr(at, '$')) != NULL; at++)
        if (is_env_name(at + 1 + (at[1] == '{'), 1))
            return true;
    return false;
}

int tenant_set_env(struct loader *l, void *target, const struct origin *at, const char *value,
                   struct err *err)
{
    struct tenant_build *b = target;
    if (value[0] == '\0') {
        b->t.env = (struct str_list){0};
        return 0;
    }
    const char *equals = strchr(value, '=');
    size_t len = equals == NULL ? 0 : (size_t)(equals - value);
    if (!is_env_name(value, len))
        return err_set(err, 0, "'env' needs NAME=VALUE");
    if (strncasecmp(value, "POSTERN_", 8) == 0 || strncasecmp(value, "SSH_", 4) == 0)
        return err_set(err, 0, "'%.*s' is set by Postern itself", (int)len, value);
    if (strlen(equals + 1) > ENV_VALUE_MAX)
        return err_set(err, 0, "value is longer than %d bytes", ENV_VALUE_MAX);
    if (mentions_variable(equals + 1))
        diag_warn(l->diags, at->file, at->line, "write the value out",
                  "env: nothing is expanded: '$' stands for itself in %.*s", (int)len, value);
    if (text_quote_hint(equals + 1) != NULL)
        diag_warn(l->diags, at->file, at->line, text_quote_hint(equals + 1),
                  "env: the quotes become part of the value of %.*s", (int)len, value);
    if (find_env(&b->own_env, value, len) < b->own_env.n)
        return err_set(err, 0, "'%.*s' is set twice", (int)len, value);
    if (b->own_env.n == ENV_COUNT_MAX)
        return err_set(err, 0, "more than %d variables", ENV_COUNT_MAX);
    return pool_push_str(l->pool, &b->own_env, value) < 0 ? err_no_memory(err) : 0;
}

int tenant_merge_env(struct loader *l, struct tenant_build *b)
{
    struct str_list inherited = b->t.env;
    struct str_list merged = {0};
    for (size_t i = 0; i < inherited.n; i++) {
        const char *text = inherited.items[i];
        if (find_env(&b->own_env, text, strcspn(text, "=")) == b->own_env.n &&
            pool_push(l->pool, (void *)&merged.items, &merged.n, (void *)&inherited.items[i],
                      sizeof *inherited.items) < 0)
            return -1;
    }
    if (pool_push_all(l->pool, &merged, &b->own_env) < 0)
        return -1;
    b->t.env = merged;
    b->own_env = (struct str_list){0};
    size_t bytes = 0;
    for (size_t i = 0; i < merged.n; i++)
        bytes += strlen(merged.items[i]) + 1;
    /* The rest is the client's; too much of both and the command is denied. */
    if (bytes > ENV_BYTES_MAX)
        diag_add(l->diags, b->t.origin.file, b->t.origin.line, NULL,
                 "the variables of 'env' have more than %d bytes together", ENV_BYTES_MAX);
    return 0;
}
