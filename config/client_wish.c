#include "client_wish.h"
#include "cleanup.h"
#include "values.h"

#include <string.h>

struct wish {
    struct exec_limits *limits;
    enum receipt_wish *receipt;
};

static int want_receipt(const struct wish *wish, const char *value, struct err *err)
{
    bool wanted = false;
    if (value_bool(value, &wanted, err) < 0)
        return -1;
    *wish->receipt = wanted ? RECEIPT_BY_CLIENT : RECEIPT_NONE;
    return 0;
}

/* A larger one than is in force already changes nothing. */
static void tighten(uint64_t *limit, bool *is_clients, uint64_t wanted)
{
    if (wanted >= *limit)
        return;
    *limit = wanted;
    *is_clients = true;
}

static int want_time(const struct wish *wish, const char *value, struct err *err)
{
    uint64_t ms = 0;
    if (value_time(value, true, &ms, err) < 0)
        return -1;
    tighten(&wish->limits->time_ms, &wish->limits->time_is_clients, ms);
    return 0;
}

static int want_memory(const struct wish *wish, const char *value, struct err *err)
{
    uint64_t bytes = 0;
    if (value_limit(value, MEMORY_LIMIT_MIN, MEMORY_LIMIT_MAX, &bytes, err) < 0)
        return -1;
    tighten(&wish->limits->memory, &wish->limits->memory_is_clients, bytes);
    return 0;
}

static const struct {
    const char *name;
    int (*want)(const struct wish *wish, const char *value, struct err *err);
} wishes[] = {
    {WISH_RECEIPT, want_receipt},
    {WISH_TIME, want_time},
    {WISH_MEMORY, want_memory},
};

bool client_wish_is_name(const char *name, size_t len)
{
    for (size_t i = 0; i < array_len(wishes); i++)
        if (strlen(wishes[i].name) == len && memcmp(wishes[i].name, name, len) == 0)
            return true;
    return false;
}

static int take(const struct wish *wish, const char *name, size_t len, const char *value,
                struct err *err)
{
    for (size_t i = 0; i < array_len(wishes); i++)
        if (strlen(wishes[i].name) == len && memcmp(wishes[i].name, name, len) == 0)
            return wishes[i].want(wish, value, err) < 0 ? err_wrap(err, "%s", wishes[i].name) : 0;
    return 0;
}

int client_wish_read(const struct decide_request *request, const struct login *login,
                     struct exec_limits *limits, enum receipt_wish *receipt, struct err *err)
{
    static const struct str_list nothing;
    const struct tenant *t = login->tenant;
    const struct sandbox_spec *spec = &request->who.policy->sandboxes[t->sandbox];
    const struct str_list *own = login->key != NULL ? &login->key->environment : &nothing;
    const struct wish wish = {limits, receipt};
    *limits = (struct exec_limits){.time_ms = spec->time_ms, .memory = spec->cgroup.memory};
    *receipt = t->receipt ? RECEIPT_BY_POLICY : RECEIPT_NONE;
    for (size_t i = 0; i < request->n_env; i++)
        if (tenant_accepts_env(t, request->env_names[i], request->env_values[i]) &&
            take(&wish, request->env_names[i], strlen(request->env_names[i]),
                 request->env_values[i], err) < 0)
            return -1;
    /* The key's come last: whoever wrote its line has more to say than whoever holds it. */
    for (size_t i = 0; i < own->n; i++) {
        size_t len = strcspn(own->items[i], "=");
        if (take(&wish, own->items[i], len, own->items[i] + len + 1, err) < 0)
            return -1;
    }
    return 0;
}
