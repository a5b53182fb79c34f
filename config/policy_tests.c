#include "address.h"
#include "cleanup.h"
#include "key_blob.h"
#include "key_file.h"
#include "schema.h"
#include "sections.h"
#include "text.h"
#include "values.h"

#include <string.h>

struct test_build {
    struct policy_test test;
    bool is_shell;
    bool has_user, has_expect; /* rightly or not */
    struct origin tenant_at, sandbox_at;
};

static int copy(struct loader *l, const char *value, char **to, struct err *err)
{
    *to = pool_strdup(l->pool, value);
    return *to == NULL ? err_no_memory(err) : 0;
}

/* The same, of what is compared with something else: quotes around it were a mistake. */
static int copy_text(struct loader *l, const char *value, char **to, struct err *err)
{
    char shown[96];
    if (text_value_hint(value) != NULL)
        return err_set(err, 0, "'%s' would be compared with its quotes",
                       text_escape_str(shown, sizeof shown, value));
    return copy(l, value, to, err);
}

static int set_user(struct loader *l, void *target, const struct origin *at, const char *value,
                    struct err *err)
{
    (void)at;
    struct test_build *b = target;
    b->has_user = true;
    return copy_text(l, value, &b->test.user, err);
}

/* "SHA256:" and 43 characters of base64, which are 32 bytes. */
static bool is_fingerprint(const char *value)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    return strncmp(value, "SHA256:", 7) == 0 && strlen(value) == 7 + 43 &&
           strspn(value + 7, alphabet) == 43;
}

static int set_key(struct loader *l, void *target, const struct origin *at, const char *value,
                   struct err *err)
{
    (void)at;
    struct policy_test *test = &((struct test_build *)target)->test;
    char shown[80];
    if (test->fingerprint != NULL)
        return err_set(err, 0, "a test has one of 'key' and 'key-file'");
    if (!is_fingerprint(value))
        return err_set(err, 0, "'%s' is not a fingerprint SHA256:... as ssh-keygen -l shows it",
                       text_escape_str(shown, sizeof shown, value));
    return copy(l, value, &test->fingerprint, err);
}

/* A key or certificate as ssh-keygen wrote it, or a line of a key file with options. */
static int parse_key(struct loader *l, const char *line, size_t len, struct policy_test *test,
                     struct err *err)
{
    struct policy_key key = {0};
    size_t word = 0;
    while (word < len && line[word] != ' ' && line[word] != '\t')
        word++;
    if (is_key_type(line, word))
        return key_offer_parse(l->pool, line, len, &test->blob, &test->blob_len, err);
    if (key_line_parse(l->pool, l->host, line, len, &key, err) < 0)
        return -1;
    test->blob = key.blob;
    test->blob_len = key.blob_len;
    return 0;
}

/* The first key of the file's text; what follows it isn't looked at. */
static int first_key(struct loader *l, const char *data, size_t len, struct policy_test *test,
                     struct err *err)
{
    unsigned number = 0;
    if (key_text_is_private(data, len))
        return err_set(err, 0, "this is a private key: name the public one (.pub)");
    for (size_t pos = 0; pos < len;) {
        const char *line = data + pos;
        const char *end = memchr(line, '\n', len - pos);
        size_t n = end == NULL ? len - pos : (size_t)(end - line);
        number++;
        pos += n + 1;
        for (; n > 0 && (*line == ' ' || *line == '\t'); n--)
            line++;
        if (n == 0 || *line == '#')
            continue;
        return parse_key(l, line, n, test, err) < 0 ? err_wrap(err, "line %u", number) : 0;
    }
    return err_set(err, 0, "there is no key in it");
}

static int set_key_file(struct loader *l, void *target, const struct origin *at, const char *value,
                        struct err *err)
{
    struct policy_test *test = &((struct test_build *)target)->test;
    cleanup_free char *data = NULL;
    size_t len = 0;
    char shown[160];
    if (text_value_hint(value) != NULL)
        return err_set(err, 0, "'%s' is not the name of a file",
                       text_escape_str(shown, sizeof shown, value));
    const char *path = loader_path(l, at, value);
    if (path == NULL)
        return err_no_memory(err);
    if (test->fingerprint != NULL)
        return err_set(err, 0, "a test has one of 'key' and 'key-file'");
    if (l->host->read_file(l->host->user, path, KEY_FILE_SIZE_MAX, l->policy->server.policy_owner,
                           &data, &len, err) < 0 ||
        first_key(l, data, len, test, err) < 0)
        return err_wrap(err, "key-file: '%s'", text_escape_str(shown, sizeof shown, path));
    test->fingerprint = pool_alloc(l->pool, KEY_FINGERPRINT_MAX);
    if (test->fingerprint == NULL)
        return err_no_memory(err);
    return policy_fingerprint(l->host, test->blob, test->blob_len, test->fingerprint) < 0
               ? err_set(err, 0, "SHA-256 failed")
               : 0;
}

static int set_from(struct loader *l, void *target, const struct origin *at, const char *value,
                    struct err *err)
{
    (void)at;
    unsigned char bytes[ADDRESS_LEN];
    char shown[80];
    if (address_parse(value, bytes) < 0)
        return err_set(err, 0, "'%s' is not an IP address",
                       text_escape_str(shown, sizeof shown, value));
    return copy(l, value, &((struct test_build *)target)->test.from, err);
}

static int set_at(struct loader *l, void *target, const struct origin *at, const char *value,
                  struct err *err)
{
    (void)l;
    (void)at;
    int64_t *when = &((struct test_build *)target)->test.at;
    if (value_date(value, when, err) < 0)
        return -1;
    *when += *when == 0; /* which would mean now */
    return 0;
}

/* Only one thing can be asked for. */
static int ask(struct test_build *b, enum exec_kind kind, struct err *err)
{
    if (b->test.command != NULL || b->is_shell)
        return err_set(err, 0, "a test has one of 'command', 'subsystem' and 'shell'");
    b->test.kind = kind;
    return 0;
}

static int set_command(struct loader *l, void *target, const struct origin *at, const char *value,
                       struct err *err)
{
    (void)at;
    struct test_build *b = target;
    if (ask(b, EXEC_COMMAND, err) < 0)
        return -1;
    return copy(l, value, &b->test.command, err);
}

static int set_subsystem(struct loader *l, void *target, const struct origin *at, const char *value,
                         struct err *err)
{
    (void)at;
    struct test_build *b = target;
    if (ask(b, EXEC_SUBSYSTEM, err) < 0)
        return -1;
    return copy_text(l, value, &b->test.command, err);
}

static int set_shell(struct loader *l, void *target, const struct origin *at, const char *value,
                     struct err *err)
{
    (void)l;
    (void)at;
    struct test_build *b = target;
    bool shell = false;
    if (value_bool(value, &shell, err) < 0)
        return -1;
    if (!shell)
        return err_set(err, 0, "leave 'shell' out, and say 'command' or 'subsystem'");
    b->is_shell = ask(b, EXEC_SHELL, err) == 0;
    return b->is_shell ? 0 : -1;
}

static int set_expect(struct loader *l, void *target, const struct origin *at, const char *value,
                      struct err *err)
{
    (void)l;
    (void)at;
    static const char *const outcomes[] = {"denied", "allowed"};
    struct test_build *b = target;
    size_t outcome = 0;
    b->has_expect = true;
    if (value_choice(value, outcomes, array_len(outcomes), &outcome, err) < 0)
        return -1;
    b->test.expect_allowed = outcome == 1;
    return 0;
}

static int set_tenant(struct loader *l, void *target, const struct origin *at, const char *value,
                      struct err *err)
{
    struct test_build *b = target;
    b->tenant_at = *at;
    return copy(l, value, &b->test.tenant, err);
}

static int set_sandbox(struct loader *l, void *target, const struct origin *at, const char *value,
                       struct err *err)
{
    struct test_build *b = target;
    b->sandbox_at = *at;
    return copy(l, value, &b->test.sandbox, err);
}

static int set_reason(struct loader *l, void *target, const struct origin *at, const char *value,
                      struct err *err)
{
    (void)at;
    return copy_text(l, value, &((struct test_build *)target)->test.reason, err);
}

static int set_pty(struct loader *l, void *target, const struct origin *at, const char *value,
                   struct err *err)
{
    (void)l;
    (void)at;
    struct policy_test *test = &((struct test_build *)target)->test;
    test->has_pty = true;
    return value_bool(value, &test->pty, err);
}

static const struct schema_key test_keys[] = {
    {KEY("user", KEY_SINGLE, NULL), .set = set_user},
    {KEY("key", KEY_SINGLE, NULL), .set = set_key},
    {KEY("key-file", KEY_SINGLE, NULL), .set = set_key_file},
    {KEY("from", KEY_SINGLE, "127.0.0.1"), .set = set_from},
    {KEY("at", KEY_SINGLE, NULL), .set = set_at},
    {KEY("command", KEY_SINGLE, NULL), .set = set_command, .quotable = true},
    {KEY("subsystem", KEY_SINGLE, NULL), .set = set_subsystem},
    {KEY("shell", KEY_SINGLE, NULL), .set = set_shell},
    {KEY("expect", KEY_SINGLE, NULL), .set = set_expect},
    {KEY("tenant", KEY_SINGLE, NULL), .set = set_tenant},
    {KEY("sandbox", KEY_SINGLE, NULL), .set = set_sandbox},
    {KEY("pty", KEY_SINGLE, NULL), .set = set_pty},
    {KEY("reason", KEY_SINGLE, NULL), .set = set_reason},
};

const struct schema test_schema = {.type = "test",
                                   .naming = SECTION_TITLED,
                                   .roles = FILE_POLICY,
                                   .keys = test_keys,
                                   .n_keys = array_len(test_keys)};

static void check_test(struct loader *l, const struct test_build *b)
{
    const struct policy_test *test = &b->test;
    const char *problem = NULL;
    size_t at;
    if (!b->has_user)
        diag_add(l->diags, test->origin.file, test->origin.line, NULL, "test \"%s\" needs 'user'",
                 test->name);
    if (!b->has_expect)
        problem = "needs 'expect = allowed' or 'expect = denied'";
    else if (test->expect_allowed && test->reason != NULL)
        problem = "has a 'reason', which goes with 'expect = denied'";
    else if (!test->expect_allowed && test->sandbox != NULL)
        problem = "has a 'sandbox', which goes with 'expect = allowed'";
    if (problem != NULL)
        diag_add(l->diags, test->origin.file, test->origin.line, NULL, "test \"%s\" %s", test->name,
                 problem);
    if (test->tenant != NULL && !strmap_get(&l->tenants.names, test->tenant, &at))
        section_set_complain(l, &l->tenants, &b->tenant_at, "tenant", test->tenant);
    if (test->sandbox != NULL && !strmap_get(&l->sandboxes.names, test->sandbox, &at))
        section_set_complain(l, &l->sandboxes, &b->sandbox_at, "sandbox", test->sandbox);
}

static int build_test(struct loader *l, const struct ini_section *s)
{
    struct policy *policy = l->policy;
    struct test_build b = {.test = {.kind = EXEC_SHELL, .origin = s->origin}};
    schema_apply_fallbacks(l, &test_schema, &b);
    b.test.name = pool_strdup(l->pool, s->name);
    if (b.test.name == NULL)
        return -1;
    schema_apply(l, &test_schema, s, &b, NULL);
    check_test(l, &b);
    return pool_push(l->pool, (void *)&policy->tests, &policy->n_tests, &b.test, sizeof b.test);
}

int policy_tests_build(struct loader *l)
{
    struct section_set set;
    if (section_set_collect(l, test_schema.type, &set) < 0)
        return -1;
    for (size_t i = 0; i < set.n; i++)
        if (build_test(l, set.nodes[i].section) < 0)
            return -1;
    return 0;
}
