#include "address.h"
#include "cleanup.h"
#include "schema_fields.h"
#include "tenant_build.h"
#include "text.h"
#include "values.h"

#include <string.h>

enum { KEY_FILES_MAX = 256 };

static int set_user(struct loader *l, void *target, const struct origin *at, const char *value,
                    struct err *err)
{
    (void)at;
    struct tenant *t = &((struct tenant_build *)target)->t;
    if (value_name(value, err) < 0)
        return -1;
    t->user = pool_strdup(l->pool, value);
    return t->user == NULL ? err_no_memory(err) : 0;
}

static int set_uid(struct loader *l, void *target, const struct origin *at, const char *value,
                   struct err *err)
{
    (void)l;
    struct tenant_build *b = target;
    uint64_t uid = 0;
    if (value_uint(value, 1, UINT32_MAX - 2, &uid, err) < 0)
        return -1;
    if (uid == 65534 || uid == 65535)
        return err_set(err, 0, "uid %s belongs to nobody", value);
    b->t.uid = (uid_t)uid;
    b->has_uid = true;
    b->uid_at = *at;
    return 0;
}

static int set_run_as(struct loader *l, void *target, const struct origin *at, const char *value,
                      struct err *err)
{
    struct tenant_build *b = target;
    b->run_as_at = *at;
    b->t.run_as = NULL;
    if (strcmp(value, "auto") == 0)
        return 0;
    if (value_account(value, err) < 0)
        return -1;
    b->t.run_as = pool_strdup(l->pool, value);
    return b->t.run_as == NULL ? err_no_memory(err) : 0;
}

static int set_auth(struct loader *l, void *target, const struct origin *at, const char *value,
                    struct err *err)
{
    (void)l;
    static const char *const methods[] = {[AUTH_PUBLICKEY] = "publickey", [AUTH_NONE] = "none"};
    struct tenant_build *b = target;
    size_t method = 0;
    if (value_choice(value, methods, array_len(methods), &method, err) < 0)
        return -1;
    b->t.auth = (enum auth_method)method;
    b->auth_at = *at;
    return 0;
}

/* Relative paths begin where the policy file is. */
static int set_keys(struct loader *l, void *target, const struct origin *at, const char *value,
                    struct err *err)
{
    struct tenant_build *b = target;
    if (value[0] == '\0') {
        b->key_refs = NULL;
        b->n_key_refs = 0;
        return 0;
    }
    char shown[96];
    if (text_value_hint(value) != NULL)
        return err_set(err, 0, "'%s' is not the name of a file",
                       text_escape_str(shown, sizeof shown, value));
    if (b->n_key_refs == KEY_FILES_MAX)
        return err_set(err, 0, "more than %d key files", KEY_FILES_MAX);
    struct key_ref ref = {.path = loader_path(l, at, value), .origin = *at};
    if (ref.path == NULL ||
        pool_push(&l->scratch, (void *)&b->key_refs, &b->n_key_refs, &ref, sizeof ref) < 0)
        return err_no_memory(err);
    return 0;
}

static int set_from(struct loader *l, void *target, const struct origin *at, const char *value,
                    struct err *err)
{
    struct address_list *from = &((struct tenant_build *)target)->t.from;
    size_t before = from->n;
    bool failed = false;
    char shown[48];
    if (value[0] == '\0') {
        *from = (struct address_list){0};
        return 0;
    }
    /* One by one, so that each that is wrong is told. */
    for (const char *word = value; *(word += strspn(word, ", \t")) != '\0';) {
        size_t len = strcspn(word, ", \t");
        struct err why = {0};
        const char *copy = pool_strndup(&l->scratch, word, len);
        if (copy == NULL)
            return err_no_memory(err);
        word += len;
        if (address_list_add(l->pool, from, copy, at, &why) == 0)
            continue;
        if (failed)
            loader_complain(l, at, NULL, err);
        *err = why;
        failed = true;
    }
    if (failed)
        return -1;
    /* Of commas alone there would be no list, and everybody could come. */
    return from->n > before ? 0
                            : err_set(err, 0, "'%s' names no address",
                                      text_escape_str(shown, sizeof shown, value));
}

static int set_sandbox(struct loader *l, void *target, const struct origin *at, const char *value,
                       struct err *err)
{
    struct tenant_build *b = target;
    if (text_has_hash(value))
        return value_name(value, err);
    b->sandbox = pool_strdup(&l->scratch, value);
    b->sandbox_at = *at;
    return b->sandbox == NULL ? err_no_memory(err) : 0;
}

static int set_pty(struct loader *l, void *target, const struct origin *at, const char *value,
                   struct err *err)
{
    (void)l;
    struct tenant *t = &((struct tenant_build *)target)->t;
    t->pty_at = *at;
    return value_bool(value, &t->pty, err);
}

static int set_rate(struct loader *l, void *target, const struct origin *at, const char *value,
                    struct err *err)
{
    (void)l;
    (void)at;
    struct tenant *t = &((struct tenant_build *)target)->t;
    return value_rate(value, &t->rate, &t->rate_ms, err);
}

static const char *const explain_levels[] = {
    [EXPLAIN_NONE] = "none", [EXPLAIN_REASON] = "reason", [EXPLAIN_RULE] = "rule", NULL};

static const char *const record_modes[] = {
    [RECORD_NONE] = "none", [RECORD_OUTPUT] = "output", [RECORD_TERMINAL] = "terminal", NULL};

#define IN_TENANT(member) .offset = offsetof(struct tenant_build, t.member)
#define DAY_MS            86400000
#define MIB               (1ULL << 20)
#define PIB               (1ULL << 50)

static const struct schema_key tenant_keys[] = {
    /* Every tenant's own; the rest may stand in [defaults] as well. */
    {KEY("extends", KEY_EXTENDS, NULL)},
    {KEY("user", KEY_SINGLE, NULL), .set = set_user},
    {KEY("uid", KEY_SINGLE, NULL), .set = set_uid, .personal = true},
    {KEY("run-as", KEY_SINGLE, "auto"), .set = set_run_as},

    {KEY("auth", KEY_SINGLE, "publickey"), .set = set_auth},
    {KEY("keys", KEY_LIST, NULL), .set = set_keys},
    {KEY("from", KEY_LIST, NULL), .set = set_from},
    {KEY("sandbox", KEY_SINGLE, "default"), .set = set_sandbox},
    {KEY("shell", KEY_OPTIONAL, NULL), .set = tenant_set_shell, .quotable = true},
    {KEY("force", KEY_OPTIONAL, NULL), .set = tenant_set_force, .quotable = true},
    {KEY("command", KEY_LIST, NULL), .set = tenant_set_command, .quotable = true},
    {KEY("subsystem", KEY_LIST, NULL), .set = tenant_set_subsystem, .quotable = true,
     .replaces = ':'},
    {KEY("pty", KEY_SINGLE, "no"), .set = set_pty},
    {KEY("max-connections", KEY_SINGLE, "100"), .parse = schema_count, IN_TENANT(max_connections),
     .min = 1, .max = 100000, .infinite = true},
    {KEY("max-execs", KEY_SINGLE, "64"), .parse = schema_count, IN_TENANT(max_execs), .min = 1,
     .max = 100000, .infinite = true},
    {KEY("queue", KEY_SINGLE, "no"), .parse = schema_wait, IN_TENANT(queue_ms), .max = DAY_MS},
    {KEY("rate", KEY_SINGLE, "infinity"), .set = set_rate},
    {KEY("memory-total", KEY_SINGLE, "infinity"), .parse = schema_size, IN_TENANT(total.memory),
     .min = MIB, .max = PIB, .infinite = true},
    {KEY("tasks-total", KEY_SINGLE, "infinity"), .parse = schema_number, IN_TENANT(total.tasks),
     .min = 1, .max = 4194304, .infinite = true},
    {KEY("cpu-total", KEY_SINGLE, "infinity"), .parse = schema_share, IN_TENANT(total.cpu)},
    {KEY("accept-env", KEY_LIST, NULL), .set = tenant_set_accept_env},
    {KEY("env", KEY_LIST, NULL), .set = tenant_set_env, .replaces = '='},
    {KEY("explain", KEY_SINGLE, "reason"), .parse = schema_choice, IN_TENANT(explain),
     .choices = explain_levels},
    {KEY("receipt", KEY_SINGLE, "no"), .parse = schema_bool, IN_TENANT(receipt)},
    {KEY("record", KEY_SINGLE, "none"), .parse = schema_choice, IN_TENANT(record),
     .choices = record_modes},
    {KEY("record-notice", KEY_SINGLE, "yes"), .parse = schema_bool, IN_TENANT(record_notice)},
};
_Static_assert(array_len(tenant_keys) <= SCHEMA_KEYS_MAX, "schema_apply() counts on it");

enum { OWN_KEYS = 4 }; /* extends, user, uid and run-as */

const struct schema tenant_schema = {.type = "tenant",
                                     .naming = SECTION_NAMED,
                                     .roles = FILE_POLICY,
                                     .keys = tenant_keys,
                                     .n_keys = array_len(tenant_keys)};

const struct schema defaults_schema = {.type = "defaults",
                                       .naming = SECTION_UNNAMED,
                                       .roles = FILE_POLICY,
                                       .keys = tenant_keys + OWN_KEYS,
                                       .n_keys = array_len(tenant_keys) - OWN_KEYS,
                                       .full = &tenant_schema};
