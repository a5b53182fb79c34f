/*
 * What this field has learnt about environment variables that a client asks for: each with what
 * became of it in one server or another, and whether it may be set here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "decide.h"
#include "env_names.h"
#include "policy_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char policy_text[] =
    "[defaults]\nkeys = keys/a\nshell = /bin/sh\n"
    /* As much as accept-env can be made to take. */
    "[tenant \"wide\"]\n"
    "accept-env = A* B* C* D* E* F* G* H* I* J* K* L* M* N* O* P* Q* R* S* T* U* V* W* X* Y* Z*\n"
    "accept-env = a* b* c* d* e* f* g* h* i* j* k* l* m* n* o* p* q* r* s* t* u* v* w* x* y* z* "
    "_*\n"
    "[tenant \"ci\"]\naccept-env = LANG LC_* CI GIT_PROTOCOL TERM\n"
    "[sandbox \"tight\"]\ntime = 1m\nmemory = 64M\n"
    "[tenant \"self\"]\nsandbox = tight\n"
    "accept-env = POSTERN_TIME POSTERN_MEMORY POSTERN_RECEIPT\n"
    "[tenant \"told\"]\nreceipt = yes\naccept-env = POSTERN_RECEIPT\n"
    "[tenant \"keyed\"]\nkeys =\nkeys = keys/tight\nsandbox = tight\n"
    "accept-env = POSTERN_TIME POSTERN_MEMORY POSTERN_RECEIPT\n";

static struct policy *policy;

static int set_up(void **state)
{
    (void)state;
    fixture_reset();
    fixture_add_text("/p/policy.d/keys/a", KEY_A " alice@client\n");
    fixture_add_text("/p/policy.d/keys/tight",
                     "environment=\"POSTERN_TIME=20s\",environment=\"POSTERN_RECEIPT=no\" " KEY_B
                     " bob\n");
    fixture_add_text("/p/policy.d/t.ini", policy_text);
    policy = fixture_load();
    if (policy == NULL)
        print_error("%s", fixture_problems);
    return policy == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    policy_free(policy);
    return 0;
}

static struct decide_request request_of(const char *tenant)
{
    const struct tenant *t = policy_find_tenant(policy, tenant);
    assert_non_null(t);
    return (struct decide_request){.who = {.policy = policy,
                                           .user = t->user,
                                           .method = AUTH_PUBLICKEY,
                                           .blob = t->keys[0].blob,
                                           .blob_len = t->keys[0].blob_len,
                                           .peer_host = "192.0.2.7",
                                           .now = 1000},
                                   .kind = EXEC_COMMAND,
                                   .command = "x",
                                   .command_len = 1,
                                   .exec_id = "42.1",
                                   .peer_port = 5555,
                                   .local_host = "192.0.2.1",
                                   .local_port = 2222};
}

static char mebibyte[1 << 20];

/*
 * One variable of a client against a tenant that accepts all that accept-env can be made to accept,
 * and against one that lists a few by name.
 */
static void test_variables(void **state)
{
    (void)state;
    memset(mebibyte, 'v', sizeof mebibyte - 1);
    static const struct {
        const char *name;
        const char *value;
        bool wide;
        bool ci;
        const char *class;
    } cases[] = {
        {"LANG", "C.UTF-8", true, true, "what is asked for"},
        {"LC_ALL", "de_DE@euro", true, true, "what is asked for"},
        {"GIT_PROTOCOL", "version=2", true, true, "what is asked for"},
        {"CI", "", true, true, "an empty value"},
        {"TERM", "xterm", true, true, "what is asked for"},
        {"CI_X", "1", true, false, "a name that begins alike"},
        {"LANGUAGE", "de", true, false, "a name that begins alike"},
        {"lang", "C", true, false, "case"},
        {"Ci", "1", true, false, "case"},
        /* the loader and the C library: OpenSSH CVE-2014-2532, CVE-2015-8325 */
        {"LD_PRELOAD", "/tmp/x.so", false, false, "loader: CVE-2015-8325"},
        {"LD_LIBRARY_PATH", "/tmp", false, false, "loader"},
        {"LD_AUDIT", "/tmp/x.so", false, false, "loader"},
        {"LD_", "x", false, false, "loader"},
        {"ld_preload", "/tmp/x.so", false, false, "loader, in another case"},
        {"Ld_Preload", "/tmp/x.so", false, false, "loader, in another case"},
        {"GLIBC_TUNABLES", "glibc.malloc.check=1", false, false, "loader"},
        {"GCONV_PATH", "/tmp", false, false, "loader"},
        {"LOCPATH", "/tmp", false, false, "loader"},
        {"MALLOC_PERTURB_", "1", false, false, "loader"},
        {"RES_OPTIONS", "debug", false, false, "resolver"},
        {"HOSTALIASES", "/tmp/x", false, false, "resolver"},
        /* shells: rssh CVE-2012-3478 */
        {"BASH_ENV", "/tmp/x", false, false, "shell: rssh CVE-2012-3478"},
        {"bash_env", "/tmp/x", false, false, "shell, in another case"},
        {"ENV", "/tmp/x", false, false, "shell"},
        {"BASH_FUNC_ls%%", "() { id; }", false, false, "shell: a function"},
        {"BASHOPTS", "extdebug", false, false, "shell"},
        {"SHELLOPTS", "xtrace", false, false, "shell"},
        {"PS4", "$(id)", false, false, "shell"},
        {"IFS", "/", false, false, "shell"},
        {"PATH", "/tmp", false, false, "shell"},
        {"Path", "/tmp", false, false, "shell, in another case"},
        {"HOME", "/tmp/evil", false, false, "shell"},
        {"SHELL", "/tmp/x", false, false, "shell"},
        {"CDPATH", "/tmp", false, false, "shell"},
        {"TMPDIR", "/etc", false, false, "shell"},
        {"PROMPT_COMMAND", "id", false, false, "shell"},
        {"CI", "() { :; }; id", false, false, "shell: a function in any variable"},
        {"LANG", "() { :; }", false, false, "shell: a function in any variable"},
        {"CI", " () { :; }", true, true, "no function: it does not begin with one"},
        /* git */
        {"GIT_SSH_COMMAND", "id", false, false, "git"},
        {"GIT_SSH", "/tmp/x", false, false, "git"},
        {"GIT_DIR", "/tmp", false, false, "git"},
        {"GIT_EXEC_PATH", "/tmp", false, false, "git"},
        {"GIT_CONFIG_COUNT", "1", false, false, "git"},
        {"GIT_CONFIG_PARAMETERS", "'core.pager=id'", false, false, "git"},
        {"GIT_ALTERNATE_OBJECT_DIRECTORIES", "/", false, false, "git"},
        {"GIT_EXTERNAL_DIFF", "id", false, false, "git"},
        {"GIT_PAGER", "id", false, false, "git"},
        {"GIT_TRACE", "/tmp/x", false, false, "git"},
        {"git_protocol", "version=2", false, false, "git, in another case"},
        {"GIT_PROTOCOL_", "x", false, false, "a name that begins alike"},
        {"GIT_PROTOCOL", "--help", true, true, "a value is no argument: Gogs CVE-2024-39930"},
        {"--split-string", "id", false, false, "an option for env(1): Gogs CVE-2024-39930"},
        {"-S", "id", false, false, "an option for env(1): Gogs CVE-2024-39930"},
        /* interpreters, and what programs start on their own */
        {"PYTHONPATH", "/tmp", false, false, "interpreter"},
        {"PYTHONSTARTUP", "/tmp/x", false, false, "interpreter"},
        {"PYTHONINSPECT", "1", false, false, "interpreter"},
        {"PERL5OPT", "-Mx", false, false, "interpreter"},
        {"PERL5LIB", "/tmp", false, false, "interpreter"},
        {"RUBYOPT", "-rx", false, false, "interpreter"},
        {"NODE_OPTIONS", "--require /tmp/x", false, false, "interpreter"},
        {"JAVA_TOOL_OPTIONS", "-javaagent:/tmp/x", false, false, "interpreter"},
        {"PAGER", "id", false, false, "helper"},
        {"EDITOR", "id", false, false, "helper"},
        {"VISUAL", "id", false, false, "helper"},
        {"LESSOPEN", "|id", false, false, "helper"},
        {"BROWSER", "id", false, false, "helper"},
        {"RSYNC_RSH", "id", false, false, "helper: rssh CVE-2012-2252"},
        {"RSYNC_PARTIAL_DIR", "/etc", false, false, "helper"},
        {"TAR_OPTIONS", "--to-command=id", false, false, "helper"},
        {"MAKEFLAGS", "--eval=x", false, false, "helper"},
        {"XDG_CONFIG_HOME", "/tmp", false, false, "helper"},
        {"OPENSSL_CONF", "/tmp/x", false, false, "helper"},
        {"KRB5_CONFIG", "/tmp/x", false, false, "helper"},
        {"TERMINFO", "/tmp", false, false, "helper"},
        {"TERMCAP", "/tmp/x", false, false, "helper"},
        /* our own */
        {"SSH_ORIGINAL_COMMAND", "id", false, false, "ours"},
        {"SSH_CLIENT", "x", false, false, "ours"},
        {"SSH_AUTH_SOCK", "/tmp/x", false, false, "ours"},
        {"POSTERN_TENANT", "root", false, false, "ours"},
        {"POSTERN_TIME", "1s", false, false, "ours: by its whole name alone"},
        {"POSTERN_MEMORY", "1M", false, false, "ours: by its whole name alone"},
        {"POSTERN_RECEIPT", "1", false, false, "ours: by its whole name alone"},
        {"postern_key", "x", false, false, "ours, in another case"},
        {"USER", "root", false, false, "ours"},
        {"LOGNAME", "root", false, false, "ours"},
        /* names that are none */
        {"", "x", false, false, "name"},
        {"=", "x", false, false, "name"},
        {"A=B", "x", false, false, "name"},
        {"CI=", "x", false, false, "name"},
        {"LD_PRELOAD=/tmp/x.so\nCI", "1", false, false, "name"},
        {"CI\n", "1", false, false, "name"},
        {"CI ", "1", false, false, "name"},
        {" CI", "1", false, false, "name"},
        {"1CI", "1", false, false, "name"},
        {"CI-X", "1", false, false, "name"},
        {"CI*", "1", false, false, "name"},
        {"*", "1", false, false, "name"},
        {"C?", "1", false, false, "name"},
        {"\xc3\xa9", "1", false, false, "name"},
        {"LC_\x1b[2J", "1", false, false, "name: log injection CVE-2006-6302"},
        {mebibyte, "1", false, false, "name: 1 MB"},
        /* values */
        {"CI", mebibyte, false, false, "value: 1 MB"},
        {"CI", mebibyte + sizeof mebibyte - 1 - ENV_VALUE_MAX, true, true,
         "value: as long as can be"},
        {"CI", mebibyte + sizeof mebibyte - 2 - ENV_VALUE_MAX, false, false,
         "value: a byte longer"},
        {"CI", "a\nb", false, false, "value: newline"},
        {"CI", "a\rb", false, false, "value: carriage return"},
        {"CI", "\x1b[2J", false, false, "value: ESC"},
        {"CI", "\x7f", false, false, "value: DEL"},
        {"CI", "a\tb", true, true, "value: a tab is text"},
        {"CI", "\xff\xfe", true, true, "value: no UTF-8"},
        {"LANG", "../../tmp/x", true, true, "value: a path; locales come from no path"},
        {"CI", "$(id); `id` && id", true, true, "value: nothing expands it"},
        {"CI", "=", true, true, "value: another ="},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *tenants[] = {"wide", "ci"};
        for (size_t k = 0; k < 2; k++) {
            bool expected = k == 0 ? cases[i].wide : cases[i].ci;
            const struct tenant *t = policy_find_tenant(policy, tenants[k]);
            if (tenant_accepts_env(t, cases[i].name, cases[i].value) != expected)
                fail_msg("%s, %s: %.60s", tenants[k], cases[i].class, cases[i].name);

            /* A session that didn't ask: the environment is the same, or one longer. */
            struct decision plain;
            struct decision d;
            struct decide_request r = request_of(tenants[k]);
            decide(&r, &plain);
            r.env_names = &cases[i].name;
            r.env_values = &cases[i].value;
            r.n_env = 1;
            decide(&r, &d);
            assert_true(plain.allowed && d.allowed);
            size_t n = 0;
            for (; plain.envp[n] != NULL; n++)
                assert_string_equal(plain.envp[n], d.envp[n]);
            assert_int_equal(d.envp[n] != NULL, expected);
            if (expected) {
                size_t len = strlen(cases[i].name);
                assert_memory_equal(d.envp[n], cases[i].name, len);
                assert_int_equal(d.envp[n][len], '=');
                assert_string_equal(d.envp[n] + len + 1, cases[i].value);
                assert_null(d.envp[n + 1]);
            }
            decision_free(&plain);
            decision_free(&d);
        }
    }
}

/* One name sent twice is there once: two values are two answers to who reads them. */
static void test_twice(void **state)
{
    (void)state;
    static const char *const names[] = {"CI", "CI", "LD_PRELOAD", "CI"};
    static const char *const values[] = {"first", "second", "x", "third"};
    struct decision d;
    struct decide_request r = request_of("ci");
    r.env_names = names;
    r.env_values = values;
    r.n_env = 4;
    decide(&r, &d);
    assert_true(d.allowed);
    size_t found = 0;
    for (char **e = d.envp; *e != NULL; e++)
        if (strncmp(*e, "CI=", 3) == 0) {
            assert_string_equal(*e, "CI=first");
            found++;
        }
    assert_int_equal(found, 1);
    decision_free(&d);
}

/* A wish is asked for, once or twice; what comes of it. */
static void test_wishes(void **state)
{
    (void)state;
    static const struct {
        const char *tenant, *names[3], *values[3];
        const char *reason; /* NULL: it is allowed */
        uint64_t time_ms, memory;
        bool time_is_clients, memory_is_clients;
        enum receipt_wish receipt;
    } cases[] = {
        {"self", {0}, {0}, NULL, 60000, 64 << 20, false, false, RECEIPT_NONE},
        {"self", {"POSTERN_TIME"}, {"30s"}, NULL, 30000, 64 << 20, true, false, RECEIPT_NONE},
        {"self", {"POSTERN_TIME"}, {"60s"}, NULL, 60000, 64 << 20, false, false, RECEIPT_NONE},
        {"self", {"POSTERN_TIME"}, {"2h"}, NULL, 60000, 64 << 20, false, false, RECEIPT_NONE},
        {"self", {"POSTERN_TIME"}, {"infinity"}, NULL, 60000, 64 << 20, false, false, RECEIPT_NONE},
        {"self", {"POSTERN_MEMORY"}, {"1M"}, NULL, 60000, 1 << 20, false, true, RECEIPT_NONE},
        {"self", {"POSTERN_MEMORY"}, {"1G"}, NULL, 60000, 64 << 20, false, false, RECEIPT_NONE},
        {"self",
         {"POSTERN_RECEIPT"},
         {"1"},
         NULL,
         60000,
         64 << 20,
         false,
         false,
         RECEIPT_BY_CLIENT},
        {"self", {"POSTERN_RECEIPT"}, {"no"}, NULL, 60000, 64 << 20, false, false, RECEIPT_NONE},
        {"self",
         {"POSTERN_TIME", "POSTERN_MEMORY", "POSTERN_TIME"},
         {"30s", "2M", "10s"},
         NULL,
         10000,
         2 << 20,
         true,
         true,
         RECEIPT_NONE},
        /* The second of two can't take the first one back. */
        {"self",
         {"POSTERN_TIME", "POSTERN_TIME"},
         {"10s", "50s"},
         NULL,
         10000,
         64 << 20,
         true,
         false,
         RECEIPT_NONE},
        {"self",
         {"POSTERN_TIME"},
         {"30"},
         "POSTERN_TIME: '30' is not a time such as 30s, 15m, 1h or 2d, nor 'infinity'",
         0,
         0,
         false,
         false,
         0},
        {"self",
         {"POSTERN_TIME"},
         {"0s"},
         "POSTERN_TIME: '0s' is out of range",
         0,
         0,
         false,
         false,
         0},
        {"self",
         {"POSTERN_TIME"},
         {""},
         "POSTERN_TIME: '' is not a time such as 30s, 15m, 1h or 2d, nor 'infinity'",
         0,
         0,
         false,
         false,
         0},
        {"self",
         {"POSTERN_MEMORY"},
         {"1K"},
         "POSTERN_MEMORY: '1K' is out of range (1048576 to 1125899906842624 bytes)",
         0,
         0,
         false,
         false,
         0},
        {"self",
         {"POSTERN_MEMORY"},
         {"-1M"},
         "POSTERN_MEMORY: '-1M' is not a size such as 512K, 64M or 2G, nor 'infinity'",
         0,
         0,
         false,
         false,
         0},
        {"self",
         {"POSTERN_RECEIPT"},
         {"2"},
         "POSTERN_RECEIPT: '2' is neither 'yes' nor 'no'",
         0,
         0,
         false,
         false,
         0},
        /* Not listed, not looked at. */
        {"ci", {"POSTERN_TIME"}, {"x"}, NULL, 3600000, SPEC_INFINITY, false, false, RECEIPT_NONE},
        {"wide",
         {"POSTERN_MEMORY"},
         {"1M"},
         NULL,
         3600000,
         SPEC_INFINITY,
         false,
         false,
         RECEIPT_NONE},
        {"told", {0}, {0}, NULL, 3600000, SPEC_INFINITY, false, false, RECEIPT_BY_POLICY},
        {"told",
         {"POSTERN_RECEIPT"},
         {"off"},
         NULL,
         3600000,
         SPEC_INFINITY,
         false,
         false,
         RECEIPT_NONE},
        /* The key's line binds whoever holds the key. */
        {"keyed", {0}, {0}, NULL, 20000, 64 << 20, true, false, RECEIPT_NONE},
        {"keyed",
         {"POSTERN_TIME", "POSTERN_RECEIPT"},
         {"30s", "yes"},
         NULL,
         20000,
         64 << 20,
         true,
         false,
         RECEIPT_NONE},
        {"keyed", {"POSTERN_TIME"}, {"5s"}, NULL, 5000, 64 << 20, true, false, RECEIPT_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct decide_request r = request_of(cases[i].tenant);
        struct decision d;
        r.env_names = cases[i].names;
        r.env_values = cases[i].values;
        while (r.n_env < 3 && cases[i].names[r.n_env] != NULL)
            r.n_env++;
        decide(&r, &d);
        assert_int_equal(d.allowed, cases[i].reason == NULL);
        assert_string_equal(d.reason, cases[i].reason != NULL ? cases[i].reason : "");
        if (d.allowed) {
            assert_int_equal(d.limits.time_ms, cases[i].time_ms);
            assert_int_equal(d.limits.memory, cases[i].memory);
            assert_int_equal(d.limits.time_is_clients, cases[i].time_is_clients);
            assert_int_equal(d.limits.memory_is_clients, cases[i].memory_is_clients);
            assert_int_equal(d.receipt, cases[i].receipt);
            for (char **e = d.envp; *e != NULL; e++)
                for (size_t k = 0; k < 3; k++)
                    assert_int_not_equal(
                        strncmp(*e,
                                (const char *[]){
                                    "POSTERN_TIME=", "POSTERN_MEMORY=", "POSTERN_RECEIPT="}[k],
                                13),
                        0);
        }
        decision_free(&d);
    }
}

/* They are listed by name, or not at all. */
static void test_patterns_for_wishes(void **state)
{
    (void)state;
    static const char *const good[] = {"POSTERN_TIME", "POSTERN_MEMORY", "POSTERN_RECEIPT", "P*"};
    static const char *const bad[] = {"POSTERN_*",     "POSTERN_T*",   "POSTERN_TIME*",
                                      "POSTERN_TIMES", "postern_time", "POSTERN_EXEC"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_null(env_pattern_problem(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_string_equal(env_pattern_problem(bad[i], strlen(bad[i])),
                            "names what no client may set");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variables),
        cmocka_unit_test(test_twice),
        cmocka_unit_test(test_wishes),
        cmocka_unit_test(test_patterns_for_wishes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
