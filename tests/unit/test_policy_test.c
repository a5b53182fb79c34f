/* policy_test_run(): what passes, and what is told of what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy_fixture.h"
#include "policy_test_run.h"

#include <stdio.h>
#include <string.h>

#define TENANTS                                                                                    \
    "[sandbox \"box\"]\nnetwork = none\n"                                                          \
    "[tenant \"git\"]\nuser = git\nkeys = keys/a\nsandbox = box\n"                                 \
    "command = git-upload-pack {path:/srv/git}\n"                                                  \
    "[tenant \"open\"]\nauth = none\nforce = /bin/date\nfrom = 10.0.0.0/8\n"                       \
    "pty = yes\n"

static struct policy_test_result run(const char *test_text)
{
    static char text[4096];
    struct policy_test_result result;
    (void)snprintf(text, sizeof text, TENANTS "[test \"t\"]\n%s", test_text);
    struct policy *policy = fixture_load_good(text);
    assert_int_equal(policy->n_tests, 1);
    policy_test_run(policy, &policy->tests[0], 1000, &result);
    /* Borrowed from the policy, which goes now. */
    static char tenant[64], sandbox[64], file[64];
    (void)snprintf(tenant, sizeof tenant, "%s", result.tenant == NULL ? "-" : result.tenant);
    (void)snprintf(sandbox, sizeof sandbox, "%s", result.sandbox == NULL ? "-" : result.sandbox);
    (void)snprintf(file, sizeof file, "%s", result.rule.file == NULL ? "-" : result.rule.file);
    result.tenant = tenant;
    result.sandbox = sandbox;
    result.rule.file = file;
    policy_free(policy);
    return result;
}

static void test_terminals(void **state)
{
    (void)state;
    struct policy_test_result got =
        run("user = git\nkey-file = keys/a\nexpect = denied\npty = no\n");
    assert_true(got.passed);
    got = run("user = git\nkey-file = keys/a\nexpect = denied\npty = yes\n");
    assert_false(got.passed);
    assert_string_equal(got.complaint, "expected pty yes, got no: this tenant has pty = no");
    got = run("user = nobody\nkey-file = keys/a\nexpect = denied\npty = yes\n");
    assert_string_equal(got.complaint, "expected pty yes, got no");
    got = run("user = open\nfrom = 10.0.0.1\nexpect = allowed\npty = yes\ncommand = x\n");
    assert_true(got.passed);
    got = run("user = open\nfrom = 10.0.0.1\nexpect = allowed\npty = no\ncommand = x\n");
    assert_string_equal(got.complaint, "expected pty no, got yes");
}

static void test_as_expected(void **state)
{
    (void)state;
    struct policy_test_result got =
        run("user = git\nkey-file = keys/a\ncommand = git-upload-pack '/srv/git/x'\n"
            "expect = allowed\ntenant = git\nsandbox = box\n");
    assert_true(got.passed);
    assert_true(got.allowed);
    assert_string_equal(got.tenant, "git");
    assert_string_equal(got.sandbox, "box");
    assert_string_equal(got.rule.file, "/p/policy.d/t.ini");
    assert_int_equal(got.rule.line, 7);
    assert_string_equal(got.complaint, "");

    got = run("user = git\nkey-file = keys/a\ncommand = id\nexpect = denied\n"
              "tenant = git\nreason = not a command\n");
    assert_true(got.passed);
    assert_false(got.allowed);
    assert_string_equal(got.reason, "\"id\" is not a command that is allowed here");
}

static void test_otherwise(void **state)
{
    (void)state;
    struct policy_test_result got =
        run("user = git\nkey-file = keys/a\ncommand = id\nexpect = allowed\n");
    assert_false(got.passed);
    assert_string_equal(got.complaint,
                        "expected allowed, got denied: \"id\" is not a command that is allowed "
                        "here (/p/policy.d/t.ini:3)");

    got = run("user = git\nkey-file = keys/a\ncommand = git-upload-pack x\nexpect = denied\n");
    assert_false(got.passed);
    assert_string_equal(got.complaint, "expected denied, got allowed (/p/policy.d/t.ini:7)");

    got = run("user = git\nkey-file = keys/a\ncommand = id\nexpect = denied\n"
              "reason = expired\n");
    assert_false(got.passed);
    assert_string_equal(got.complaint, "expected a reason that holds \"expired\", got: \"id\" is "
                                       "not a command that is allowed here");
}

static void test_all_that_differs_is_told(void **state)
{
    (void)state;
    struct policy_test_result got =
        run("user = git\nkey-file = keys/a\ncommand = git-upload-pack x\nexpect = allowed\n"
            "tenant = open\nsandbox = default\n");
    assert_false(got.passed);
    assert_string_equal(got.complaint,
                        "expected tenant open, got git; expected sandbox default, got box");
}

static void test_clients_without_keys(void **state)
{
    (void)state;
    struct policy_test_result got =
        run("user = open\nfrom = 10.1.2.3\nshell = yes\nexpect = allowed\nsandbox = default\n");
    assert_true(got.passed);
    assert_string_equal(got.tenant, "open");
    /* Without `from` it is the host itself. */
    got = run("user = open\nshell = yes\nexpect = allowed\n");
    assert_false(got.passed);
    assert_non_null(strstr(got.complaint, "127.0.0.1"));
    /* Who offers no key is not who has one. */
    got = run("user = git\ncommand = git-upload-pack x\nexpect = allowed\ntenant = git\n");
    assert_false(got.passed);
    assert_non_null(strstr(got.complaint, "expected tenant git, got none"));
}

static void test_time(void **state)
{
    (void)state;
    fixture_reset();
    fixture_add_text("/p/policy.d/keys/old", "expiry-time=\"20200101Z\" " KEY_A "\n");
    fixture_add_text("/p/policy.d/t.ini",
                     "[tenant \"a\"]\nkeys = keys/old\nshell = /bin/sh\n"
                     "[test \"then\"]\nuser = a\nkey-file = keys/old\ncommand = id\n"
                     "at = 2019-12-31\nexpect = allowed\n"
                     "[test \"now\"]\nuser = a\nkey-file = keys/old\ncommand = id\n"
                     "expect = denied\n");
    struct policy *policy = fixture_load();
    struct policy_test_result result;
    assert_non_null(policy);
    policy_test_run(policy, &policy->tests[0], 2000000000, &result);
    assert_string_equal(result.complaint, "");
    assert_true(result.passed);
    policy_test_run(policy, &policy->tests[1], 2000000000, &result);
    assert_string_equal(result.complaint, "");
    policy_test_run(policy, &policy->tests[1], 1000, &result);
    assert_false(result.passed);
    policy_free(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_terminals),
        cmocka_unit_test(test_as_expected),
        cmocka_unit_test(test_otherwise),
        cmocka_unit_test(test_all_that_differs_is_told),
        cmocka_unit_test(test_clients_without_keys),
        cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
