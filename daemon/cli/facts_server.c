#include "facts.h"
#include "base64.h"
#include "cleanup.h"
#include "policy_files.h"
#include "quota.h"
#include "trusted_path.h"
#include "uid_record.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { KEY_SIZE_MAX = 65536 };

static uint32_t be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The next string of a private key file (OpenSSH's PROTOCOL.key). False: there is none. */
static bool next_string(const unsigned char **p, size_t *left, const unsigned char **s, size_t *len)
{
    if (*left < 4 || be32(*p) > *left - 4)
        return false;
    *len = be32(*p);
    *s = *p + 4;
    *p += 4 + *len;
    *left -= 4 + *len;
    return true;
}

static void read_openssh(struct key_fact *key, const unsigned char *data, size_t len)
{
    static const char magic[] = "openssh-key-v1"; /* with its NUL */
    const unsigned char *cipher, *skip, *blob, *type;
    size_t n_cipher, n_skip, n_blob, n_type;
    bool is_whole = len > sizeof magic && memcmp(data, magic, sizeof magic) == 0;
    data += is_whole ? sizeof magic : 0;
    len -= is_whole ? sizeof magic : 0;
    is_whole = is_whole && next_string(&data, &len, &cipher, &n_cipher) &&
               next_string(&data, &len, &skip, &n_skip) &&
               next_string(&data, &len, &skip, &n_skip) && len >= 4 && be32(data) == 1;
    if (is_whole) {
        data += 4;
        len -= 4;
    }
    if (!is_whole || !next_string(&data, &len, &blob, &n_blob) ||
        !next_string(&blob, &n_blob, &type, &n_type) || n_type >= sizeof key->type) {
        (void)snprintf(key->problem, sizeof key->problem, "is damaged");
        return;
    }
    memcpy(key->type, type, n_type);
    if (n_cipher != 4 || memcmp(cipher, "none", 4) != 0)
        (void)snprintf(key->problem, sizeof key->problem, "has a passphrase");
}

static void read_key(struct key_fact *key, char *text)
{
    static const char begin[] = "-----BEGIN OPENSSH PRIVATE KEY-----\n", end[] = "\n-----END";
    char *body = strstr(text, begin), *last = body == NULL ? NULL : strstr(body, end);
    if (last == NULL) {
        if (strstr(text, "PRIVATE KEY-----") == NULL)
            (void)snprintf(key->problem, sizeof key->problem, "is no private key");
        else if (strstr(text, "ENCRYPTED") != NULL)
            (void)snprintf(key->problem, sizeof key->problem, "has a passphrase");
        else
            (void)snprintf(key->type, sizeof key->type, "PEM");
        return;
    }
    char *to = text;
    for (const char *from = body + sizeof begin - 1; from < last; from++)
        if (*from != '\n' && *from != '\r')
            *to++ = *from;
    size_t len = (size_t)(to - text), got = 0;
    cleanup_free unsigned char *data = malloc(len + 1);
    if (data == NULL)
        return;
    if (base64_decode(text, len, data, len, &got) < 0)
        (void)snprintf(key->problem, sizeof key->problem, "is damaged");
    else
        read_openssh(key, data, got);
    explicit_bzero(data, len);
}

static void look_at_key(struct key_fact *key, const char *path)
{
    struct stat st;
    *key = (struct key_fact){.path = path};
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 ? stat(path, &st) < 0 : fstat(fd, &st) < 0) {
        key->error = errno;
        return;
    }
    key->owner = st.st_uid;
    key->mode = st.st_mode;
    if (fd < 0 || !S_ISREG(st.st_mode))
        return;
    cleanup_free char *text = calloc(1, KEY_SIZE_MAX + 1);
    ssize_t n = text == NULL ? -1 : read(fd, text, KEY_SIZE_MAX);
    if (n > 0)
        read_key(key, text);
    if (text != NULL)
        explicit_bzero(text, KEY_SIZE_MAX);
}

static void look_at_keys(struct server_facts *facts, const struct server_config *config)
{
    for (size_t i = 0; i < config->host_keys.n && facts->n_keys < HOST_KEYS_MAX; i++) {
        struct key_fact *key = &facts->keys[facts->n_keys];
        look_at_key(key, config->host_keys.items[i]);
        if (!config->host_keys_defaulted || key->error != ENOENT)
            facts->n_keys++;
    }
}

/* As the server binds it. Nobody could connect: that begins with listen(2). */
static int try_port(const struct listen_addr *addr)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(addr->port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(addr->port)};
    bool is_six = inet_pton(AF_INET6, addr->host, &six.sin6_addr) == 1;
    int on = 1;
    if (!is_six && inet_pton(AF_INET, addr->host, &four.sin_addr) != 1)
        return EINVAL;
    cleanup_fd int fd = socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (is_six)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    int rc = is_six ? bind(fd, (struct sockaddr *)&six, sizeof six)
                    : bind(fd, (struct sockaddr *)&four, sizeof four);
    return rc == 0 ? 0 : errno;
}

static void look_at_ports(struct server_facts *facts, const struct server_config *config)
{
    for (size_t i = 0; i < config->n_listen && facts->n_ports < PORTS_MAX; i++) {
        const struct listen_addr *addr = &config->listen[i];
        if (addr->port == 0)
            continue;
        facts->ports[facts->n_ports++] =
            (struct port_fact){.host = addr->host, .port = addr->port, .error = try_port(addr)};
    }
}

static void look_at_place(struct place_fact *place, const struct sandbox_spec *spec)
{
    const char *slash = strrchr(spec->workspace_path, '/');
    struct stat st;
    struct statvfs fs;
    struct err err;
    *place = (struct place_fact){.sandbox = spec};
    (void)snprintf(place->dir, sizeof place->dir, "%.*s",
                   slash == spec->workspace_path ? 1 : (int)(slash - spec->workspace_path),
                   spec->workspace_path);
    cleanup_fd int fd = open(place->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || fstatvfs(fd, &fs) < 0) {
        place->error = errno;
        return;
    }
    place->owner = st.st_uid;
    place->mode = st.st_mode;
    place->is_nosuid = (fs.f_flag & ST_NOSUID) != 0;
    place->quotas = geteuid() != 0 ? UNSEEN : quota_check(fd, &err) == 0 ? YES : NO;
}

static void look_at_places(struct server_facts *facts, const struct policy *policy)
{
    for (size_t i = 0; i < policy->n_sandboxes && facts->n_places < PLACES_MAX; i++)
        if (policy->sandboxes[i].workspace == WORKSPACE_KEPT)
            look_at_place(&facts->places[facts->n_places++], &policy->sandboxes[i]);
}

static void look_at_record(struct server_facts *facts, const struct policy *policy)
{
    char path[PATH_MAX];
    cleanup_free char *data = NULL;
    struct uid_record record = {0};
    struct err err;
    size_t len = 0;
    unsigned line;
    (void)snprintf(path, sizeof path, "%s/" UID_RECORD_NAME, policy->server.state_dir);
    if (policy_files_host.read_file(NULL, path, UID_RECORD_SIZE_MAX, 0, &data, &len, &err) < 0)
        facts->record_error = err.num != 0 ? err.num : EINVAL;
    else if (uid_record_read(&record, data, len, &line, &err) < 0)
        facts->record_error = EINVAL;
    facts->n_recorded = record.n;
    for (size_t i = 0; i < record.n; i++) {
        if (policy_find_tenant(policy, record.claims[i].name) != NULL)
            continue;
        facts->n_gone++;
        (void)snprintf(facts->gone, sizeof facts->gone, "%s", record.claims[i].name);
    }
    pool_free(&record.pool);
}

static int look_at_audit(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (slash == NULL) /* journal, stderr */
        return 0;
    (void)snprintf(dir, sizeof dir, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    return access(dir, F_OK) == 0 ? 0 : errno;
}

void facts_look_at_server(struct server_facts *facts, const struct policy *policy,
                          const struct diags *limits)
{
    const struct server_config *config = &policy->server;
    const struct passwd *user = getpwnam(config->user);
    facts->policy = policy;
    facts->limits = limits;
    facts->has_user = user != NULL;
    facts->user = user != NULL ? user->pw_uid : 0;
    facts->session_error = access(config->session_path, X_OK) == 0 ? 0 : errno;
    for (size_t i = 0; i < config->audit.n && facts->audit_error == 0; i++) {
        facts->audit = config->audit.items[i];
        facts->audit_error = look_at_audit(facts->audit);
    }
    look_at_keys(facts, config);
    look_at_ports(facts, config);
    look_at_places(facts, policy);
    look_at_record(facts, policy);
}
