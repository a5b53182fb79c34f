#include "decide_env.h"
#include "client_wish.h"
#include "env_names.h"
#include "terminal_rule.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct env {
    char **items;
    size_t n;
    size_t cap;
    bool failed;
};

static size_t find(const struct env *env, const char *text)
{
    size_t len = strcspn(text, "=");
    size_t i = 0;
    while (i < env->n && (strncmp(env->items[i], text, len) != 0 || env->items[i][len] != '='))
        i++;
    return i;
}

/* Takes `text` over. An earlier value of the same name is replaced, or stays. */
static void set(struct env *env, char *text, bool replace)
{
    size_t at = text == NULL ? 0 : find(env, text);
    if (text == NULL || at + 1 >= env->cap) {
        env->failed = true;
        free(text);
        return;
    }
    if (at < env->n && !replace) {
        free(text);
        return;
    }
    if (at == env->n)
        env->n++;
    free(env->items[at]);
    env->items[at] = text;
}

static void set_format(struct env *env, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void set_format(struct env *env, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    set(env, text, true);
}

static void set_base(struct env *env, const struct decide_request *r, const struct tenant *t,
                     bool terminal)
{
    const struct sandbox_spec *sandbox = &r->who.policy->sandboxes[t->sandbox];
    set_format(env, "PATH=/usr/local/bin:/usr/bin:/bin");
    set_format(env, "HOME=%s", SPEC_HOME(sandbox));
    set_format(env, "USER=%s", t->name);
    set_format(env, "LOGNAME=%s", t->name);
    set_format(env, "SHELL=%s", t->shell.n > 0 ? t->shell.items[0] : "/bin/sh");
    if (terminal)
        set_format(env, "TERM=%s", terminal_rule_name(r->term));
}

static void set_own(struct env *env, const struct decide_request *r, const struct decision *d,
                    const char *original)
{
    const struct login *login = &d->login;
    set_format(env, "POSTERN_TENANT=%s", login->tenant->name);
    struct wire_bytes key = login_key_name(login);
    set_format(env, "POSTERN_KEY=%.*s", (int)key.len, key.len == 0 ? "" : (const char *)key.data);
    set_format(env, "POSTERN_EXEC=%s", r->exec_id);
    set_format(env, "SSH_CLIENT=%s %u %u", r->who.peer_host, r->peer_port, r->local_port);
    set_format(env, "SSH_CONNECTION=%s %u %s %u", r->who.peer_host, r->peer_port, r->local_host,
               r->local_port);
    /* The first of its own devpts. */
    if (d->terminal)
        set_format(env, "SSH_TTY=/dev/pts/0");
    if (d->recorded)
        set_format(env, "POSTERN_RECORD=%s",
                   login->tenant->record == RECORD_OUTPUT ? "output" : "terminal");
    if (original != NULL)
        set_format(env, "SSH_ORIGINAL_COMMAND=%s", original);
}

/* The session asked whether each variable is accepted; what it passes on is checked once more. */
static void set_client(struct env *env, const struct decide_request *r, const struct tenant *tenant)
{
    for (size_t i = 0; i < r->n_env; i++) {
        char *text = NULL;
        if (!tenant_accepts_env(tenant, r->env_names[i], r->env_values[i]) ||
            client_wish_is_name(r->env_names[i], strlen(r->env_names[i])))
            continue;
        if (asprintf(&text, "%s=%s", r->env_names[i], r->env_values[i]) < 0)
            text = NULL;
        set(env, text, false);
    }
}

char **decide_env_make(const struct decide_request *request, const struct decision *decision,
                       const char *original)
{
    const struct login *login = &decision->login;
    static const struct str_list nothing;
    const struct tenant *t = login->tenant;
    const struct str_list *own = login->key != NULL ? &login->key->environment : &nothing;
    struct env env = {.cap = 16 + t->env.n + own->n + request->n_env};
    env.items = calloc(env.cap, sizeof *env.items);
    if (env.items == NULL)
        return NULL;
    set_base(&env, request, t, decision->terminal);
    for (size_t i = 0; i < t->env.n; i++)
        set(&env, strdup(t->env.items[i]), true);
    set_own(&env, request, decision, original);
    for (size_t i = 0; i < own->n; i++)
        if (!client_wish_is_name(own->items[i], strcspn(own->items[i], "=")))
            set(&env, strdup(own->items[i]), false);
    set_client(&env, request, t);
    if (!env.failed)
        return env.items;
    for (size_t i = 0; i < env.n; i++)
        free(env.items[i]);
    free(env.items);
    return NULL;
}
