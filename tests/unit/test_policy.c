/* Loading a policy: what it becomes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_defaults(void **state)
{
    (void)state;
    struct policy *p = fixture_load_good("[tenant \"a\"]\n");
    const struct server_config *s = &p->server;
    assert_int_equal(s->n_listen, 2);
    assert_string_equal(s->listen[0].host, "0.0.0.0");
    assert_string_equal(s->listen[1].host, "::");
    assert_int_equal(s->listen[1].port, 2222);
    assert_true(s->host_keys_defaulted);
    assert_int_equal(s->host_keys.n, 3);
    assert_string_equal(s->host_keys.items[0], "/etc/postern/host_ed25519_key");
    assert_string_equal(s->user, "_postern");
    assert_int_equal(s->audit.n, 1);
    assert_string_equal(s->audit.items[0], "/var/log/postern/audit.log");
    assert_int_equal(s->audit_mode, AUDIT_BEST_EFFORT);
    assert_string_equal(s->log_level, "info");
    assert_int_equal(s->login_grace_ms, 30000);
    assert_int_equal(s->max_auth_tries, 6);
    assert_int_equal(s->max_connections, 1000);
    assert_int_equal(s->max_startups, 100);
    assert_int_equal(s->max_channels, 256);
    assert_int_equal(s->uid_first, 1879048192);
    assert_int_equal(s->uid_last, 2147483647);
    assert_int_equal(s->policy_owner, 0);
    assert_null(s->listen[0].origin.file);

    assert_int_equal(p->n_tenants, 1);
    const struct tenant *t = policy_find_tenant(p, "a");
    assert_string_equal(t->user, "a");
    assert_int_equal(t->auth, AUTH_PUBLICKEY);
    assert_int_equal(t->from.n, 0);
    assert_int_equal(t->n_subsystems, 0);
    assert_false(t->pty);
    assert_int_equal(t->max_connections, 100);
    assert_int_equal(t->max_execs, 64);
    assert_int_equal(t->queue_ms, 0);
    assert_int_equal(t->rate, 0);
    assert_int_equal(t->rate_ms, 0);
    assert_true(t->total.memory == SPEC_INFINITY);
    assert_true(t->total.memory_high == SPEC_INFINITY);
    assert_true(t->total.swap == SPEC_INFINITY);
    assert_true(t->total.tasks == SPEC_INFINITY);
    assert_true(t->total.cpu == SPEC_INFINITY);
    assert_int_equal(t->explain, EXPLAIN_REASON);
    assert_true(t->uid >= 1879048192 && t->uid <= 2147483647);
    assert_int_equal(p->n_sandboxes, 1);
    const struct sandbox_spec *x = &p->sandboxes[t->sandbox];
    assert_string_equal(x->name, "default");
    assert_string_equal(x->file, "built-in");
    assert_int_equal(x->line, 0);
    assert_int_equal(x->network, NETWORK_NONE);
    assert_int_equal(x->tmp_size, 64 << 20);
    assert_int_equal(x->tasks, 256);
    assert_int_equal(x->time_ms, 3600000);
    assert_null(x->root);
    assert_int_equal(x->n_writes + x->n_hides, 0);
    assert_int_equal(x->workspace, WORKSPACE_NONE);
    assert_null(x->workspace_path);
    assert_int_equal(x->workspace_size, 1 << 30);
    assert_true(x->idle_ms == SPEC_INFINITY);
    assert_true(x->output == SPEC_INFINITY);
    assert_true(x->cgroup.memory == SPEC_INFINITY);
    assert_true(x->cgroup.memory_high == SPEC_INFINITY);
    assert_int_equal(x->cgroup.swap, 0);
    assert_true(x->cgroup.tasks == SPEC_INFINITY);
    assert_true(x->cgroup.cpu == SPEC_INFINITY);
    assert_int_equal(x->cgroup.cpu_weight, 0);
    assert_int_equal(x->cgroup.io_weight, 0);
    assert_string_equal(x->seccomp.name, "default");
    policy_free(p);
}

static void test_server(void **state)
{
    (void)state;
    fixture_reset();
    fixture_add_text("/p/postern.ini",
                     "[server]\nlisten = 127.0.0.1:1\nlisten = [::1]:2\nhost-key = /k/a\n"
                     "host-key = /k/b\nuser = nobody\nsession-path = /x/s\nseccomp-dir = /s\n"
                     "audit = stderr\naudit = journal\naudit-mode = required\nlog-level = "
                     "trace\nlogin-grace = 1m\nmax-auth-tries = 2\n"
                     "max-connections = 3\nmax-startups = 4\nmax-channels = 5\n"
                     "uid-range = 100-200\npolicy-owner = deploy\n");
    fixture_add_text("/p/policy.d/t.ini", "[tenant \"a\"]\nkeys = a\n");
    fixture_add_text("/p/policy.d/a", KEY_A);
    struct policy *p = fixture_load();
    assert_non_null(p);
    const struct server_config *s = &p->server;
    assert_int_equal(s->n_listen, 2);
    assert_string_equal(s->listen[1].host, "::1");
    assert_int_equal(s->listen[1].origin.line, 3);
    assert_false(s->host_keys_defaulted);
    assert_int_equal(s->host_keys.n, 2);
    assert_string_equal(s->user, "nobody");
    assert_string_equal(s->session_path, "/x/s");
    assert_int_equal(s->audit.n, 2);
    assert_string_equal(s->audit.items[0], "stderr");
    assert_string_equal(s->audit.items[1], "journal");
    assert_int_equal(s->audit_mode, AUDIT_REQUIRED);
    assert_string_equal(s->log_level, "trace");
    assert_int_equal(s->login_grace_ms, 60000);
    assert_int_equal(s->max_auth_tries, 2);
    assert_int_equal(s->max_connections, 3);
    assert_int_equal(s->max_startups, 4);
    assert_int_equal(s->max_channels, 5);
    assert_int_equal(s->uid_first, 100);
    assert_int_equal(s->uid_last, 200);
    assert_int_equal(s->policy_owner, 1234);
    /* It holds for all files that are read after this one. */
    assert_int_equal(fixture_owner_of("/p/postern.ini"), 0);
    assert_int_equal(fixture_owner_of("/p/policy.d/t.ini"), 1234);
    assert_int_equal(fixture_owner_of("/p/policy.d/a"), 1234);
    assert_int_equal(fixture_owner_of("/s/default.ini"), 1234);
    policy_free(p);
}

static void test_inheritance(void **state)
{
    (void)state;
    /* Children come before their parents in the file, and two of them share one. */
    struct policy *p =
        fixture_load_good("[tenant \"c2\"]\nextends = base\nkeys =\nuser = other\n"
                          "command =\nshell = /bin/sh\nenv = A=child\nenv = C=3\n"
                          "[tenant \"c1\"]\nextends = base\nkeys =\nkeys = keys/b\n"
                          "command = z\nmax-execs = 5\naccept-env = X_*\n"
                          "[tenant \"base\"]\nuser = git\nkeys = keys/a\ncommand = x\n"
                          "command = y\naccept-env = LANG\nenv = A=1\nenv = B=2\n"
                          "explain = rule\nuid = 77\nsandbox = s\n"
                          "[sandbox \"s\"]\nextends = default\ntime = infinity\n"
                          "read = /a\nread = /b:/c\n"
                          "[sandbox \"t\"]\nextends = s\nread = /d\nnetwork = loopback\n"
                          "tmp = 1M\ntasks = 9\n"
                          "[sandbox \"u\"]\nextends = s\nread =\nread = /e\n");
    const struct tenant *base = policy_find_tenant(p, "base");
    const struct tenant *c1 = policy_find_tenant(p, "c1");
    const struct tenant *c2 = policy_find_tenant(p, "c2");
    assert_null(policy_find_tenant(p, "c3"));
    assert_string_equal(c1->user, "git");
    assert_string_equal(c2->user, "other");
    assert_int_equal(base->uid, 77);
    assert_int_not_equal(c1->uid, 77);
    assert_int_not_equal(c1->uid, c2->uid);
    assert_int_equal(base->n_keys, 1);
    assert_int_equal(c1->n_keys, 2);
    assert_int_equal(c2->n_keys, 0);
    assert_int_equal(base->n_templates, 2);
    assert_int_equal(c1->n_templates, 3);
    assert_string_equal(c1->templates[2].text, "z");
    assert_int_equal(c1->templates[2].origin.line, 13);
    assert_int_equal(c1->templates[0].origin.line, 19);
    assert_int_equal(c2->n_templates, 0);
    assert_string_equal(c2->shell.items[0], "/bin/sh");
    assert_int_equal(c2->rule_origin.line, 6);
    assert_int_equal(c1->max_execs, 5);
    assert_int_equal(c2->max_execs, 64);
    assert_int_equal(c1->explain, EXPLAIN_RULE);
    assert_int_equal(c1->accept_env.n, 2);
    assert_int_equal(c2->accept_env.n, 1);
    assert_int_equal(c2->env.n, 3);
    assert_string_equal(c2->env.items[0], "B=2");
    assert_string_equal(c2->env.items[1], "A=child");
    assert_int_equal(c1->sandbox, base->sandbox);

    const struct sandbox_spec *s = &p->sandboxes[base->sandbox];
    assert_true(s->time_ms == SPEC_INFINITY);
    assert_int_equal(s->n_reads, 2);
    for (size_t i = 0; i < p->n_sandboxes; i++) {
        const struct sandbox_spec *x = &p->sandboxes[i];
        if (strcmp(x->name, "t") == 0) {
            assert_int_equal(x->n_reads, 3);
            assert_string_equal(x->reads[1].source, "/b");
            assert_string_equal(x->reads[1].dest, "/c");
            assert_string_equal(x->reads[2].dest, "/d");
            assert_int_equal(x->network, NETWORK_LOOPBACK);
            assert_int_equal(x->tmp_size, 1 << 20);
            assert_int_equal(x->tasks, 9);
            assert_true(x->time_ms == SPEC_INFINITY);
        }
        if (strcmp(x->name, "u") == 0) {
            assert_int_equal(x->n_reads, 1);
            assert_string_equal(x->reads[0].dest, "/e");
        }
    }
    policy_free(p);
}

static const struct seccomp_rule *rule_of(const struct policy *p, const char *sandbox, int nr)
{
    for (size_t i = 0; i < p->n_sandboxes; i++) {
        const struct seccomp_spec *s = &p->sandboxes[i].seccomp;
        if (strcmp(p->sandboxes[i].name, sandbox) != 0)
            continue;
        for (size_t k = 0; k < s->n_rules; k++) {
            if (k > 0)
                assert_true(s->rules[k - 1].nr < s->rules[k].nr);
            if (s->rules[k].nr == nr)
                return &s->rules[k];
        }
    }
    return NULL;
}

static void assert_rule(const struct policy *p, const char *sandbox, int nr,
                        enum seccomp_answer answer, const char *file, unsigned line)
{
    const struct seccomp_rule *rule = rule_of(p, sandbox, nr);
    assert_non_null(rule);
    assert_int_equal(rule->answer, answer);
    assert_string_equal(rule->file, file);
    assert_int_equal(rule->line, line);
}

static void test_seccomp(void **state)
{
    (void)state;
    enum { READ = 0, WRITE = 1, SOCKET = 41, CONNECT = 42, PTRACE = 101, MOUNT = 165, BPF = 321 };
    const char *mine = "/p/policy.d/t.ini";
    struct policy *p = fixture_load_good("[seccomp \"net\"]\nextends = default\nallow = @net bpf\n"
                                         "deny = connect\nkill = ptrace\n"
                                         "[seccomp \"more\"]\nextends = net\nallow = connect\n"
                                         "deny = write\n"
                                         "[seccomp \"less\"]\nextends = net\nallow =\n"
                                         "allow = execve exit_group\nkill = @admin\ndeny = mount\n"
                                         "[sandbox \"n\"]\nseccomp = net\n"
                                         "[sandbox \"m\"]\nseccomp = more\n"
                                         "[sandbox \"l\"]\nseccomp = less\n");
    assert_rule(p, "default", READ, SECCOMP_ANSWER_ALLOW, "/s/default.ini", 2);
    assert_rule(p, "default", SOCKET, SECCOMP_ANSWER_DENY, "/s/default.ini", 1);
    assert_rule(p, "default", PTRACE, SECCOMP_ANSWER_DENY, "/s/default.ini", 1);
    assert_null(rule_of(p, "default", BPF));
    assert_rule(p, "n", READ, SECCOMP_ANSWER_ALLOW, "/s/default.ini", 2);
    assert_rule(p, "n", SOCKET, SECCOMP_ANSWER_ALLOW, mine, 3);
    assert_rule(p, "n", BPF, SECCOMP_ANSWER_ALLOW, mine, 3);
    assert_rule(p, "n", CONNECT, SECCOMP_ANSWER_DENY, mine, 4);
    assert_rule(p, "n", PTRACE, SECCOMP_ANSWER_KILL, mine, 5);
    assert_rule(p, "n", MOUNT, SECCOMP_ANSWER_DENY, mine, 1);
    assert_rule(p, "m", CONNECT, SECCOMP_ANSWER_ALLOW, mine, 8);
    assert_rule(p, "m", WRITE, SECCOMP_ANSWER_DENY, mine, 9);
    assert_rule(p, "m", PTRACE, SECCOMP_ANSWER_KILL, mine, 5);
    assert_rule(p, "l", READ, SECCOMP_ANSWER_DENY, mine, 10);
    assert_rule(p, "l", MOUNT, SECCOMP_ANSWER_KILL, mine, 14);
    policy_free(p);
}

static void test_key_lookup(void **state)
{
    (void)state;
    struct policy *p = fixture_load_good("[tenant \"r\"]\nuser = git\nkeys = keys/a\n"
                                         "[tenant \"w\"]\nuser = git\nkeys = keys/b\n"
                                         "[tenant \"x\"]\nkeys = keys/a\n");
    const struct tenant *r = policy_find_tenant(p, "r");
    const struct tenant *w = policy_find_tenant(p, "w");
    const struct policy_key *a = &r->keys[0];
    const struct policy_key *c = &w->keys[1];
    const struct tenant *tenant = NULL;
    const struct policy_key *key = NULL;
    assert_true(policy_find_key(p, "git", a->blob, a->blob_len, &tenant, &key));
    assert_ptr_equal(tenant, r);
    assert_ptr_equal(key, a);
    assert_true(policy_find_key(p, "git", c->blob, c->blob_len, &tenant, &key));
    assert_ptr_equal(tenant, w);
    assert_ptr_equal(key, c);
    assert_true(policy_find_key(p, "x", a->blob, a->blob_len, &tenant, &key));
    assert_string_equal(tenant->name, "x");
    assert_false(policy_find_key(p, "x", c->blob, c->blob_len, &tenant, &key));
    assert_false(policy_find_key(p, "r", a->blob, a->blob_len, &tenant, &key));
    assert_false(policy_find_key(p, "", a->blob, a->blob_len, &tenant, &key));
    assert_false(policy_find_key(p, "git", a->blob, a->blob_len - 1, &tenant, &key));
    assert_false(policy_find_key(p, "git", a->blob, 0, &tenant, &key));
    assert_true(policy_find_fingerprint(p, "git", c->fingerprint, &tenant, &key));
    assert_ptr_equal(key, c);
    assert_false(policy_find_fingerprint(p, "x", c->fingerprint, &tenant, &key));
    policy_free(p);
}

static void test_uids(void **state)
{
    (void)state;
    fixture_reset();
    fixture_add_text("/p/postern.ini", "[server]\nseccomp-dir = /s\nuid-range = 1000-1003\n");
    fixture_add_text(
        "/p/policy.d/t.ini",
        "[tenant \"a\"]\n[tenant \"b\"]\n[tenant \"c\"]\n[tenant \"d\"]\nuid = 1002\n");
    struct policy *p = fixture_load();
    assert_non_null(p);
    unsigned seen = 0;
    for (size_t i = 0; i < 4; i++) {
        assert_in_range(p->tenants[i].uid, 1000, 1003);
        seen |= 1U << (p->tenants[i].uid - 1000);
    }
    assert_int_equal(seen, 15);
    assert_int_equal(policy_find_tenant(p, "d")->uid, 1002);
    policy_free(p);
    fixture_add_text("/p/policy.d/u.ini", "[tenant \"e\"]\n");
    assert_null(fixture_load());
    assert_string_equal(fixture_problems,
                        "/p/policy.d/u.ini:1: error: no uid is left in the range for tenant 'e' "
                        "(widen 'uid-range' in [server])\n");
}

/* The server's own accounts are no tenant's. */
static void test_uids_of_the_server(void **state)
{
    (void)state;
    static const char *const keys[] = {"user", "policy-owner"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char config[128];
        char problem[160];
        snprintf(config, sizeof config,
                 "[server]\nseccomp-dir = /s\nuid-range = 1233-1235\n%s = deploy\n", keys[i]);
        fixture_reset();
        fixture_add_text("/p/postern.ini", config);
        fixture_add_text("/p/policy.d/t.ini", "[tenant \"a\"]\n[tenant \"b\"]\n");
        struct policy *p = fixture_load();
        assert_non_null(p);
        assert_int_equal(p->tenants[0].uid + p->tenants[1].uid, 1233 + 1235);
        policy_free(p);
        fixture_add_text("/p/policy.d/u.ini", "[tenant \"c\"]\nuid = 1234\n");
        assert_null(fixture_load());
        snprintf(problem, sizeof problem,
                 "/p/policy.d/u.ini:2: error: this uid is that of '%s' in [server] (a tenant needs "
                 "a uid of its own)\n",
                 keys[i]);
        assert_string_equal(fixture_problems, problem);
    }
}

/* The uid follows from the name, whatever else there is. */
static void test_uids_are_stable(void **state)
{
    (void)state;
    struct policy *p = fixture_load_good("[tenant \"m\"]\n");
    uid_t alone = policy_find_tenant(p, "m")->uid;
    policy_free(p);
    p = fixture_load_good("[tenant \"z\"]\n[tenant \"m\"]\n[tenant \"a\"]\n");
    assert_int_equal(policy_find_tenant(p, "m")->uid, alone);
    policy_free(p);
}

static void test_accept_env(void **state)
{
    (void)state;
    struct policy *p = fixture_load_good(
        "[tenant \"a\"]\naccept-env = LANG LC_* GIT_PROTOCOL\naccept-env = L* P* Z*\n");
    const struct tenant *t = policy_find_tenant(p, "a");
    static const struct {
        const char *name;
        const char *value;
        bool accepted;
    } cases[] = {
        {"LANG", "C.UTF-8", true},
        {"LC_ALL", "de_DE", true},
        {"LC_", "", true},
        {"GIT_PROTOCOL", "version=2", true},
        {"Lx", "y", true},
        {"ZX", "a\tb \xc3\xa9", true},
        {"lang", "C", false},
        {"TERM", "x", false},
        {"GIT_PROTOCOL_X", "x", false},
        {"GIT_EXEC_PATH", "/x", false},
        {"git_protocol", "x", false},
        {"LD_PRELOAD", "/x", false},
        {"LD_", "/x", false},
        {"LESSOPEN", "|x", false},
        {"LOGNAME", "root", false},
        {"PATH", "/x", false},
        {"Path", "/x", false},
        {"PYTHONPATH", "/x", false},
        {"PERL5OPT", "-x", false},
        {"PS4", "$(x)", false},
        {"POSTERN_TENANT", "x", false},
        {"ZDOTDIR", "/x", false},
        {"", "x", false},
        {"L=X", "x", false},
        {"L*", "x", false},
        {"L X", "x", false},
        {"L\n", "x", false},
        {"L%n", "x", false},
        {"ZX", "a\nb", false},
        {"ZX", "\x1b[0m", false},
        {"ZX", "() { :; }; x", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (tenant_accepts_env(t, cases[i].name, cases[i].value) != cases[i].accepted)
            fail_msg("%s=%s", cases[i].name, cases[i].value);
    static char value[4098];
    memset(value, 'v', 4096);
    assert_true(tenant_accepts_env(t, "ZX", value));
    value[4096] = 'v';
    assert_false(tenant_accepts_env(t, "ZX", value));
    char name[80];
    memset(name, 'Z', sizeof name);
    name[65] = '\0';
    assert_false(tenant_accepts_env(t, name, "x"));
    name[64] = '\0';
    assert_true(tenant_accepts_env(t, name, "x"));
    policy_free(p);
}

/* A large policy: every step must be linear, or nearly. */
static void test_many_tenants(void **state)
{
    (void)state;
    enum { N = 1500 };
    static char text[N * 120];
    static char paths[N][40];
    static char keys[N][120];
    size_t used = (size_t)sprintf(text, "[tenant \"base\"]\ncommand = a {re:[a-z]+}\n");
    fixture_reset();
    for (size_t i = 0; i < N; i++) {
        used += (size_t)sprintf(
            text + used, "[tenant \"t%zu\"]\nextends = base\nuser = git\nkeys = keys/%zu\n", i, i);
        sprintf(paths[i], "/p/policy.d/keys/%zu", i);
        strcpy(keys[i], KEY_A);
        keys[i][55] = (char)('a' + i % 26);
        keys[i][56] = (char)('a' + i / 26 % 26);
        keys[i][57] = (char)('a' + i / 26 / 26);
        fixture_add_text(paths[i], keys[i]);
    }
    fixture_add_text("/p/policy.d/t.ini", text);
    struct policy *p = fixture_load();
    assert_string_equal(fixture_problems, "");
    assert_int_equal(p->n_tenants, N + 1);
    for (size_t i = 0; i < p->n_tenants; i++) {
        const struct tenant *t = &p->tenants[i];
        const struct tenant *tenant;
        const struct policy_key *key;
        assert_ptr_equal(policy_find_tenant(p, t->name), t);
        if (t->n_keys == 0)
            continue;
        assert_true(policy_find_key(p, "git", t->keys[0].blob, t->keys[0].blob_len, &tenant, &key));
        assert_ptr_equal(tenant, t);
    }
    policy_free(p);
}

static void test_files_given_by_name(void **state)
{
    (void)state;
    static const char *const paths[] = {"/elsewhere/one.ini", NULL};
    struct diags diags;
    fixture_reset();
    fixture_add_text("/p/policy.d/t.ini", "nonsense");
    fixture_add_text("/elsewhere/one.ini", "[tenant \"a\"]\nkeys = k\n");
    fixture_add_text("/elsewhere/k", KEY_A);
    struct policy *p = policy_load(&(struct policy_source){.host = &fixture_host,
                                                           .config_path = "/p/postern.ini",
                                                           .policy_paths = paths},
                                   &diags);
    assert_non_null(p);
    assert_int_equal(p->n_tenants, 1);
    assert_string_equal(p->tenants[0].keys[0].origin.file, "/elsewhere/k");
    policy_free(p);
    diags_free(&diags);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_server),
        cmocka_unit_test(test_inheritance),
        cmocka_unit_test(test_seccomp),
        cmocka_unit_test(test_key_lookup),
        cmocka_unit_test(test_uids),
        cmocka_unit_test(test_uids_of_the_server),
        cmocka_unit_test(test_uids_are_stable),
        cmocka_unit_test(test_accept_env),
        cmocka_unit_test(test_many_tenants),
        cmocka_unit_test(test_files_given_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
