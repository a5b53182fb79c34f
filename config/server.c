#include "algorithms.h"
#include "banner.h"
#include "cleanup.h"
#include "places.h"
#include "schema_fields.h"
#include "server_build.h"
#include "text.h"
#include "values.h"

#include <string.h>

static int set_host_key(struct loader *l, void *target, const struct origin *at, const char *value,
                        struct err *err)
{
    struct server_config *s = target;
    if (value_path(value, err) < 0)
        return -1;
    for (size_t i = 0; i < s->host_keys.n; i++)
        if (strcmp(s->host_keys.items[i], value) == 0)
            return err_set(err, 0, "this host key is listed twice");
    if (s->host_keys.n == HOST_KEYS_MAX)
        return err_set(err, 0, "more than %d host keys", HOST_KEYS_MAX);
    if (pool_push_str(l->pool, &s->host_keys, value) < 0 ||
        pool_push(l->pool, (void *)&s->host_key_places, &s->n_host_key_places, at, sizeof *at) < 0)
        return err_no_memory(err);
    return 0;
}

static int set_revoked_keys(struct loader *l, void *target, const struct origin *at,
                            const char *value, struct err *err)
{
    struct server_config *s = target;
    if (value_path(value, err) < 0)
        return -1;
    for (size_t i = 0; i < s->revoked_keys.n; i++)
        if (strcmp(s->revoked_keys.items[i], value) == 0)
            return err_set(err, 0, "this file is listed twice");
    if (pool_push_str(l->pool, &s->revoked_keys, value) < 0 ||
        pool_push(l->pool, (void *)&s->revoked_key_places, &s->n_revoked_key_places, at,
                  sizeof *at) < 0)
        return err_no_memory(err);
    return 0;
}

static int set_text(struct loader *l, char **to, const char *value, struct err *err)
{
    *to = pool_strdup(l->pool, value);
    return *to == NULL ? err_no_memory(err) : 0;
}

static int set_user(struct loader *l, void *target, const struct origin *at, const char *value,
                    struct err *err)
{
    (void)at;
    if (value_account(value, err) < 0)
        return -1;
    return set_text(l, &((struct server_config *)target)->user, value, err);
}

static int set_session_path(struct loader *l, void *target, const struct origin *at,
                            const char *value, struct err *err)
{
    (void)at;
    if (value_path(value, err) < 0)
        return -1;
    return set_text(l, &((struct server_config *)target)->session_path, value, err);
}

static int set_seccomp_dir(struct loader *l, void *target, const struct origin *at,
                           const char *value, struct err *err)
{
    (void)at;
    if (value_path(value, err) < 0)
        return -1;
    return set_text(l, &((struct server_config *)target)->seccomp_dir, value, err);
}

static int set_audit(struct loader *l, void *target, const struct origin *at, const char *value,
                     struct err *err)
{
    (void)at;
    struct server_config *s = target;
    if (strcmp(value, "stderr") != 0 && strcmp(value, "journal") != 0 && value_path(value, err) < 0)
        return err_wrap(err, "'audit' is a path, 'journal' or 'stderr'");
    for (size_t i = 0; i < s->audit.n; i++)
        if (strcmp(s->audit.items[i], value) == 0)
            return err_set(err, 0, "this place is listed twice");
    if (s->audit.n == AUDIT_PLACES_MAX)
        return err_set(err, 0, "more than %d places", AUDIT_PLACES_MAX);
    return pool_push_str(l->pool, &s->audit, value) < 0 ? err_no_memory(err) : 0;
}

static int set_audit_mode(struct loader *l, void *target, const struct origin *at,
                          const char *value, struct err *err)
{
    (void)l;
    (void)at;
    static const char *const modes[] = {
        [AUDIT_REQUIRED] = "required", [AUDIT_BEST_EFFORT] = "best-effort"};
    size_t mode = 0;
    if (value_choice(value, modes, array_len(modes), &mode, err) < 0)
        return -1;
    ((struct server_config *)target)->audit_mode = (enum audit_mode)mode;
    return 0;
}

static int set_control(struct loader *l, void *target, const struct origin *at, const char *value,
                       struct err *err)
{
    (void)at;
    struct server_config *s = target;
    s->control = NULL;
    if (strcmp(value, "none") == 0)
        return 0;
    if (value_path(value, err) < 0)
        return err_wrap(err, "'control' is a path or 'none'");
    if (strlen(value) > CONTROL_PATH_MAX)
        return err_set(err, 0, "the path of a socket has at most %d bytes", CONTROL_PATH_MAX);
    return set_text(l, &s->control, value, err);
}

static int set_group(struct loader *l, struct group_choice *group, const char *value,
                     struct err *err)
{
    if (value_account(value, err) < 0 ||
        l->host->find_group(l->host->user, value, &group->gid, err) < 0)
        return -1;
    return set_text(l, &group->name, value, err);
}

static int set_control_group(struct loader *l, void *target, const struct origin *at,
                             const char *value, struct err *err)
{
    (void)at;
    return set_group(l, &((struct server_config *)target)->control_group, value, err);
}

static int set_admin_group(struct loader *l, void *target, const struct origin *at,
                           const char *value, struct err *err)
{
    (void)at;
    return set_group(l, &((struct server_config *)target)->admin_group, value, err);
}

static int set_agent_check(struct loader *l, void *target, const struct origin *at,
                           const char *value, struct err *err)
{
    struct listen_addr *addr = &((struct server_config *)target)->agent_check;
    char host[64];
    if (value_listen(value, host, sizeof host, &addr->port, err) < 0)
        return -1;
    addr->origin = *at;
    return set_text(l, &addr->host, host, err);
}

static int set_recordings(struct loader *l, void *target, const struct origin *at,
                          const char *value, struct err *err)
{
    (void)at;
    if (value_path(value, err) < 0)
        return -1;
    return set_text(l, &((struct server_config *)target)->recordings, value, err);
}

static int set_log_level(struct loader *l, void *target, const struct origin *at, const char *value,
                         struct err *err)
{
    (void)at;
    static const char *const levels[] = {"error", "warning", "info", "debug", "trace"};
    size_t level = 0;
    if (value_choice(value, levels, array_len(levels), &level, err) < 0)
        return -1;
    return set_text(l, &((struct server_config *)target)->log_level, value, err);
}

static int set_uid_range(struct loader *l, void *target, const struct origin *at, const char *value,
                         struct err *err)
{
    (void)l;
    struct server_config *s = target;
    s->uid_range_at = *at;
    return value_uid_range(value, &s->uid_first, &s->uid_last, err);
}

static int set_state_dir(struct loader *l, void *target, const struct origin *at, const char *value,
                         struct err *err)
{
    (void)at;
    if (value_path(value, err) < 0)
        return -1;
    return set_text(l, &((struct server_config *)target)->state_dir, value, err);
}

static int set_cgroup(struct loader *l, void *target, const struct origin *at, const char *value,
                      struct err *err)
{
    (void)at;
    struct server_config *s = target;
    if (value_path(value, err) == 0)
        return set_text(l, &s->cgroup, value, err);
    s->limits_unclear = true;
    return -1;
}

static int set_limits(struct loader *l, void *target, const struct origin *at, const char *value,
                      struct err *err)
{
    (void)l;
    (void)at;
    static const char *const modes[] = {
        [LIMITS_REQUIRED] = "required", [LIMITS_BEST_EFFORT] = "best-effort"};
    struct server_config *s = target;
    size_t mode = 0;
    if (value_choice(value, modes, array_len(modes), &mode, err) < 0) {
        s->limits_unclear = true;
        return -1;
    }
    s->limits = (enum limits_mode)mode;
    return 0;
}

static int set_policy_owner(struct loader *l, void *target, const struct origin *at,
                            const char *value, struct err *err)
{
    (void)at;
    uid_t *owner = &((struct server_config *)target)->policy_owner;
    *owner = 0;
    if (strcmp(value, "root") == 0)
        return 0;
    if (value_account(value, err) < 0)
        return -1;
    return l->host->find_user(l->host->user, value, owner, NULL, err);
}

static int set_algorithms(struct loader *l, struct server_config *s, enum algorithm_kind kind,
                          const char *value, struct err *err)
{
    char list[ALGORITHMS_TEXT_MAX];
    if (algorithms_parse(kind, value, list, err) < 0)
        return -1;
    return set_text(l, &s->algorithms[kind], list, err);
}

static int set_kex(struct loader *l, void *target, const struct origin *at, const char *value,
                   struct err *err)
{
    (void)at;
    return set_algorithms(l, target, ALGORITHM_KEX, value, err);
}

static int set_ciphers(struct loader *l, void *target, const struct origin *at, const char *value,
                       struct err *err)
{
    (void)at;
    return set_algorithms(l, target, ALGORITHM_CIPHER, value, err);
}

static int set_macs(struct loader *l, void *target, const struct origin *at, const char *value,
                    struct err *err)
{
    (void)at;
    return set_algorithms(l, target, ALGORITHM_MAC, value, err);
}

static int set_host_key_algorithms(struct loader *l, void *target, const struct origin *at,
                                   const char *value, struct err *err)
{
    (void)at;
    return set_algorithms(l, target, ALGORITHM_HOST_KEY, value, err);
}

static int set_user_key_algorithms(struct loader *l, void *target, const struct origin *at,
                                   const char *value, struct err *err)
{
    (void)at;
    return set_algorithms(l, target, ALGORITHM_USER_KEY, value, err);
}

static int set_banner(struct loader *l, void *target, const struct origin *at, const char *value,
                      struct err *err)
{
    (void)at;
    return banner_load(l, value, &((struct server_config *)target)->banner, err);
}

static int set_metrics_file(struct loader *l, void *target, const struct origin *at,
                            const char *value, struct err *err)
{
    (void)at;
    static const char suffix[] = ".prom";
    size_t len = strlen(value);
    if (value_path(value, err) < 0)
        return -1;
    /* "/.prom" is the least; collectors pass over names that begin with a dot. */
    const char *name = strrchr(value, '/') + 1;
    if (len < sizeof suffix || strcmp(value + len - (sizeof suffix - 1), suffix) != 0 ||
        name[0] == '.')
        return err_set(err, 0,
                       "the collector of textfiles reads names that end in '.prom' alone, "
                       "such as postern.prom");
    return set_text(l, &((struct server_config *)target)->metrics_file, value, err);
}

static int set_metrics_interval(struct loader *l, void *target, const struct origin *at,
                                const char *value, struct err *err)
{
    (void)l;
    (void)at;
    uint64_t ms = 0;
    if (value_time(value, false, &ms, err) < 0)
        return -1;
    if (ms < 1000 || ms > 3600000)
        return err_set(err, 0, "'metrics-interval' is from 1s to 1h");
    ((struct server_config *)target)->metrics_ms = ms;
    return 0;
}

#define AT(member)      .offset = offsetof(struct server_config, member)
#define FALLBACK_LISTEN "0.0.0.0:2222\n[::]:2222"
#define FALLBACK_HOST_KEYS                                                                         \
    "/etc/postern/host_ed25519_key\n/etc/postern/host_ecdsa_key\n/etc/postern/host_rsa_key"

static const struct schema_key server_keys[] = {
    {KEY("listen", KEY_LIST, FALLBACK_LISTEN), .set = server_set_listen},
    {KEY("proxy-from", KEY_SINGLE, NULL), .set = server_set_proxy_from},
    {KEY("host-key", KEY_LIST, FALLBACK_HOST_KEYS), .set = set_host_key},
    {KEY("revoked-keys", KEY_LIST, NULL), .set = set_revoked_keys},
    {KEY("user", KEY_SINGLE, "_postern"), .set = set_user},
    {KEY("policy-owner", KEY_SINGLE, "root"), .set = set_policy_owner},
    {KEY("session-path", KEY_SINGLE, POSTERN_SESSION_PATH), .set = set_session_path},
    {KEY("seccomp-dir", KEY_SINGLE, POSTERN_SECCOMP_DIR), .set = set_seccomp_dir},
    {KEY("audit", KEY_LIST, "/var/log/postern/audit.log"), .set = set_audit},
    {KEY("audit-mode", KEY_SINGLE, "best-effort"), .set = set_audit_mode},
    {KEY("control", KEY_SINGLE, CONTROL_PATH_DEFAULT), .set = set_control},
    {KEY("control-group", KEY_SINGLE, NULL), .set = set_control_group},
    {KEY("admin-group", KEY_SINGLE, NULL), .set = set_admin_group},
    {KEY("agent-check", KEY_SINGLE, NULL), .set = set_agent_check},
    {KEY("recordings", KEY_SINGLE, "/var/log/postern/recordings"), .set = set_recordings},
    {KEY("record-max", KEY_SINGLE, "64M"), .parse = schema_size, AT(record_max),
     .min = RECORD_BYTES_MIN, .max = RECORD_BYTES_MAX},
    {KEY("recordings-max", KEY_SINGLE, "10G"), .parse = schema_size, AT(recordings_max),
     .min = RECORD_BYTES_MIN, .max = 1ULL << 50, .infinite = true},
    {KEY("recordings-keep", KEY_SINGLE, "infinity"), .parse = schema_time, AT(recordings_keep_ms),
     .infinite = true},
    {KEY("log-level", KEY_SINGLE, "info"), .set = set_log_level},
    {KEY("login-grace", KEY_SINGLE, "30s"), .parse = schema_time, AT(login_grace_ms),
     .max = 3600000},
    {KEY("max-auth-tries", KEY_SINGLE, "6"), .parse = schema_count, AT(max_auth_tries), .min = 1,
     .max = 100},
    {KEY("max-connections", KEY_SINGLE, "1000"), .parse = schema_count, AT(max_connections),
     .min = 1, .max = 100000},
    {KEY("ready-sandboxes", KEY_SINGLE, "8"), .parse = schema_count, AT(ready_sandboxes),
     .max = 1000},
    {KEY("max-startups", KEY_SINGLE, "50:30:100"), .set = server_set_max_startups},
    {KEY("max-startups-per-source", KEY_SINGLE, "20"), .parse = schema_count,
     AT(max_startups_source), .min = 1, .max = 10000, .infinite = true},
    {KEY("max-connections-per-source", KEY_SINGLE, "infinity"), .parse = schema_count,
     AT(max_connections_source), .min = 1, .max = 100000, .infinite = true},
    {KEY("source-prefix-ipv4", KEY_SINGLE, "32"), .parse = schema_count, AT(source_ipv4), .min = 8,
     .max = 32},
    {KEY("source-prefix-ipv6", KEY_SINGLE, "64"), .parse = schema_count, AT(source_ipv6), .min = 16,
     .max = 128},
    {KEY("source-exempt", KEY_SINGLE, "127.0.0.0/8 ::1"), .set = server_set_source_exempt},
    {KEY("max-channels", KEY_SINGLE, "256"), .parse = schema_count, AT(max_channels), .min = 1,
     .max = 10000},
    {KEY("kex", KEY_SINGLE, algorithms_default_kex), .set = set_kex},
    {KEY("ciphers", KEY_SINGLE, algorithms_default_ciphers), .set = set_ciphers},
    {KEY("macs", KEY_SINGLE, algorithms_default_macs), .set = set_macs},
    {KEY("host-key-algorithms", KEY_SINGLE, algorithms_default_keys),
     .set = set_host_key_algorithms},
    {KEY("user-key-algorithms", KEY_SINGLE, algorithms_default_user_keys),
     .set = set_user_key_algorithms},
    {KEY("rekey-data", KEY_SINGLE, "1G"), .parse = schema_size, AT(rekey_bytes), .min = 64 << 20,
     .max = 1ULL << 40, .infinite = true},
    {KEY("rekey-time", KEY_SINGLE, "1h"), .parse = schema_time, AT(rekey_ms), .max = 24 * 3600000,
     .infinite = true},
    {KEY("compression", KEY_SINGLE, "no"), .parse = schema_bool, AT(compression)},
    {KEY("banner", KEY_SINGLE, NULL), .set = set_banner},
    {KEY("metrics-file", KEY_SINGLE, NULL), .set = set_metrics_file},
    {KEY("metrics-interval", KEY_SINGLE, "15s"), .set = set_metrics_interval},
    {KEY("metrics-tenants", KEY_SINGLE, "200"), .parse = schema_count, AT(metrics_tenants),
     .min = 0, .max = 1000},
    {KEY("cgroup", KEY_SINGLE, NULL), .set = set_cgroup},
    {KEY("limits", KEY_SINGLE, "required"), .set = set_limits},
    {KEY("uid-range", KEY_SINGLE, "1879048192-2147483647"), .set = set_uid_range},
    {KEY("state-dir", KEY_SINGLE, "/var/lib/postern"), .set = set_state_dir},
};
_Static_assert(array_len(server_keys) <= SCHEMA_KEYS_MAX, "schema_apply() counts on it");

const struct schema server_schema = {.type = "server",
                                     .naming = SECTION_UNNAMED,
                                     .roles = FILE_SERVER,
                                     .keys = server_keys,
                                     .n_keys = array_len(server_keys)};

/* One that fills up may be all that there is room for, but not more. */
static void check_recordings(struct loader *l, const struct server_config *s)
{
    struct err err = {0};
    if (s->record_max <= s->recordings_max)
        return;
    err_set(&err, 0, "'record-max', of one recording, is more than 'recordings-max', of all");
    struct origin at = server_place(l->policy, "recordings-max");
    if (at.line == s->origin.line)
        at = server_place(l->policy, "record-max");
    loader_complain(l, &at, NULL, &err);
}

int server_build(struct loader *l)
{
    struct server_config *s = &l->policy->server;
    schema_apply_fallbacks(l, &server_schema, s);
    const struct ini_section *section = schema_only_section(l, &server_schema);
    struct origin *places = places_new(l, &server_schema, NULL);
    if (places == NULL)
        return -1;
    s->places = places;
    s->origin = section != NULL ? section->origin : (struct origin){l->config_path, 0};
    if (section != NULL)
        schema_apply(l, &server_schema, section, s, places);
    server_check_proxies(l, s);
    check_recordings(l, s);
    s->host_keys_defaulted = s->host_keys.n == 0;
    if (s->host_keys_defaulted && schema_apply_list_fallback(l, &server_schema, "host-key", s) < 0)
        return -1;
    if (s->audit.n == 0 && schema_apply_list_fallback(l, &server_schema, "audit", s) < 0)
        return -1;
    return s->n_listen > 0 ? 0 : schema_apply_list_fallback(l, &server_schema, "listen", s);
}
