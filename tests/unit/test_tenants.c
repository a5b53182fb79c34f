/* Tenants: what each key becomes, and what it is in a child: added to, reset, replaced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy_fixture.h"

#include <string.h>

static void test_keys(void **state)
{
    (void)state;
    struct policy *p = fixture_load_good(
        "[tenant \"a\"]\nauth = publickey\nfrom = 10.0.0.0/8, !10.1.0.0/16\nfrom = 2001:db8::/32\n"
        "subsystem = sftp:   /usr/lib/sftp-server -e 'a b'\nsubsystem = x@y.z:/bin/true\n"
        "max-connections = 7\nmax-execs = infinity\nqueue = 30s\nrate = 30/min\npty = no\n"
        "[tenant \"b\"]\nauth = none\nmax-connections = infinity\n");
    const struct tenant *a = policy_find_tenant(p, "a");
    const struct tenant *b = policy_find_tenant(p, "b");
    assert_int_equal(a->auth, AUTH_PUBLICKEY);
    assert_int_equal(a->from.n, 3);
    assert_string_equal(a->from.rules[1].text, "!10.1.0.0/16");
    assert_true(a->from.rules[1].negated);
    assert_int_equal(a->from.rules[2].origin.line, 4);
    assert_int_equal(a->n_subsystems, 2);
    assert_string_equal(a->subsystems[0].name, "sftp");
    assert_string_equal(a->subsystems[0].line, "/usr/lib/sftp-server -e 'a b'");
    assert_int_equal(a->subsystems[0].argv.n, 3);
    assert_string_equal(a->subsystems[0].argv.items[2], "a b");
    assert_int_equal(a->subsystems[0].origin.line, 5);
    assert_string_equal(a->subsystems[1].name, "x@y.z");
    assert_string_equal(a->subsystems[1].line, "/bin/true");
    assert_int_equal(a->max_connections, 7);
    assert_int_equal(a->max_execs, COUNT_INFINITY);
    assert_int_equal(a->queue_ms, 30000);
    assert_int_equal(a->rate, 30);
    assert_int_equal(a->rate_ms, 60000);
    assert_int_equal(b->auth, AUTH_NONE);
    assert_int_equal(b->max_connections, COUNT_INFINITY);
    policy_free(p);
}

static void test_inheritance(void **state)
{
    (void)state;
    struct policy *p = fixture_load_good(
        "[tenant \"same\"]\nextends = base\n"
        "[tenant \"more\"]\nextends = base\nfrom = ::1\nsubsystem = z: /z\nsubsystem = x: /other\n"
        "queue = no\nrate = infinity\nmax-connections = 9\nmax-execs = 8\n"
        "[tenant \"less\"]\nextends = more\nfrom =\nsubsystem =\nsubsystem = y: /fresh\n"
        "[tenant \"base\"]\nfrom = 127.0.0.1\nsubsystem = x: /x\nsubsystem = y: /y\n"
        "queue = 1m\nrate = 5/s\nmax-connections = 3\nmax-execs = 4\n");
    const struct tenant *same = policy_find_tenant(p, "same");
    const struct tenant *more = policy_find_tenant(p, "more");
    const struct tenant *less = policy_find_tenant(p, "less");
    assert_int_equal(same->from.n, 1);
    assert_int_equal(same->n_subsystems, 2);
    assert_string_equal(same->subsystems[0].line, "/x");
    assert_int_equal(same->subsystems[0].origin.line, 19);
    assert_int_equal(same->queue_ms, 60000);
    assert_int_equal(same->rate, 5);
    assert_int_equal(same->max_connections, 3);
    assert_int_equal(same->max_execs, 4);
    assert_int_equal(more->from.n, 2);
    assert_string_equal(more->from.rules[1].text, "::1");
    assert_int_equal(more->n_subsystems, 3);
    assert_string_equal(more->subsystems[0].line, "/y");
    assert_string_equal(more->subsystems[1].line, "/z");
    assert_string_equal(more->subsystems[2].line, "/other");
    assert_int_equal(more->queue_ms, 0);
    assert_int_equal(more->rate, 0);
    assert_int_equal(more->rate_ms, 0);
    assert_int_equal(more->max_connections, 9);
    assert_int_equal(more->max_execs, 8);
    assert_int_equal(less->from.n, 0);
    assert_int_equal(less->n_subsystems, 1);
    assert_string_equal(less->subsystems[0].line, "/fresh");
    assert_int_equal(less->max_execs, 8);
    policy_free(p);
}

static void test_defaults_section(void **state)
{
    (void)state;
    struct policy *p = fixture_load_good(
        "[tenant \"a\"]\n"
        "[tenant \"b\"]\nforce =\nshell = /bin/sh\nexplain = none\nenv = A=b\naccept-env = TZ\n"
        "[tenant \"c\"]\nextends = b\nexplain = reason\nkeys =\n"
        "[tenant \"d\"]\nauth = none\nkeys =\n"
        "[defaults]\nforce = /bin/true\nexplain = rule\nenv = A=a\nenv = B=b\naccept-env = LANG\n"
        "from = ::1\nkeys = keys/a\nsubsystem = s: /s\nmax-execs = 2\nsandbox = s\nrate = 1/h\n"
        "[sandbox \"s\"]\n");
    const struct tenant *a = policy_find_tenant(p, "a");
    const struct tenant *b = policy_find_tenant(p, "b");
    const struct tenant *c = policy_find_tenant(p, "c");
    const struct tenant *d = policy_find_tenant(p, "d");
    assert_string_equal(a->force_line, "/bin/true");
    assert_int_equal(a->rule_origin.line, 16);
    assert_string_equal(a->rule_origin.file, "/p/policy.d/t.ini");
    assert_int_equal(a->explain, EXPLAIN_RULE);
    assert_int_equal(a->env.n, 2);
    assert_int_equal(a->n_keys, 1);
    assert_int_equal(a->from.rules[0].origin.line, 21);
    assert_int_equal(a->subsystems[0].origin.line, 23);
    assert_int_equal(a->max_execs, 2);
    assert_int_equal(a->rate_ms, 3600000);
    assert_string_equal(p->sandboxes[a->sandbox].name, "s");
    assert_string_equal(a->user, "a");
    assert_null(b->force_line);
    assert_string_equal(b->shell_line, "/bin/sh");
    assert_int_equal(b->explain, EXPLAIN_NONE);
    assert_int_equal(b->env.n, 2);
    assert_string_equal(b->env.items[0], "B=b");
    assert_string_equal(b->env.items[1], "A=b");
    assert_int_equal(b->accept_env.n, 2);
    assert_int_equal(b->n_keys, 1);
    assert_int_equal(c->explain, EXPLAIN_REASON);
    assert_int_equal(c->n_keys, 0);
    assert_string_equal(c->shell_line, "/bin/sh");
    assert_int_equal(d->auth, AUTH_NONE);
    assert_int_equal(d->max_execs, 2);
    policy_free(p);
}

/* What is wrong with [defaults] alone is said once, where it stands. */
static void test_defaults_errors(void **state)
{
    (void)state;
    assert_null(fixture_load_text("[tenant \"a\"]\n[tenant \"b\"]\n[defaults]\nkeys = keys/none\n"
                                  "sandbox = none\nmax-execs = 0\n"));
    assert_string_equal(
        fixture_problems,
        "/p/policy.d/t.ini:4: error: keys: '/p/policy.d/keys/none': can't be opened: No such file "
        "or directory (put the tenant's public keys there, one on each line)\n"
        "/p/policy.d/t.ini:5: error: sandbox: there is no sandbox 'none' (define it: [sandbox "
        "\"none\"])\n"
        "/p/policy.d/t.ini:6: error: '0' is out of range (1 to 100000)\n");
}

static void test_open_logins(void **state)
{
    (void)state;
    struct policy *p = fixture_load_good("[tenant \"a\"]\n[tenant \"b\"]\nauth = none\n"
                                         "[tenant \"c\"]\nauth = none\nuser = guest\n");
    assert_null(policy_find_open(p, "a"));
    assert_null(policy_find_open(p, "c"));
    assert_null(policy_find_open(p, ""));
    assert_ptr_equal(policy_find_open(p, "b"), policy_find_tenant(p, "b"));
    assert_ptr_equal(policy_find_open(p, "guest"), policy_find_tenant(p, "c"));
    policy_free(p);
    p = fixture_load_good("");
    assert_null(policy_find_open(p, "a"));
    policy_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_inheritance),
        cmocka_unit_test(test_defaults_section),
        cmocka_unit_test(test_defaults_errors),
        cmocka_unit_test(test_open_logins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
