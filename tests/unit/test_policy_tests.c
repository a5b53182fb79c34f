/* [test "..."] sections: what they become, and what is wrong with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy_fixture.h"

#include <stdio.h>
#include <string.h>

#define FINGERPRINT "SHA256:abcdefghijklmnopqrstuvwxyz0123456789+/ABCDE"

static void test_model(void **state)
{
    (void)state;
    struct policy *p = fixture_load_good(
        "[test \"readers can't push\"]\nuser = git\nkey = " FINGERPRINT "\n"
        "command = git-receive-pack '/srv/git/x.git' \"y\"\nexpect = denied\n"
        "reason = not in the list\ntenant = a\nfrom = 2001:db8::1\nat = 2030-06-01T12:30\n"
        "[tenant \"a\"]\n"
        "[test \"2\"]\nuser = a\nkey-file = keys/b\nsubsystem = sftp\nexpect = allowed\n"
        "sandbox = default\n"
        "[test \"3\"]\nuser = nobody-there\nshell = yes\nexpect = denied\n"
        "[test \"4\"]\nuser = a\nexpect = denied\n"
        "[test \"5\"]\nuser = a\nexpect = denied\nat = 1970-01-01\n");
    assert_int_equal(p->n_tests, 5);
    const struct policy_test *t = p->tests;
    assert_string_equal(t[0].name, "readers can't push");
    assert_string_equal(t[0].origin.file, "/p/policy.d/t.ini");
    assert_int_equal(t[0].origin.line, 1);
    assert_string_equal(t[0].user, "git");
    assert_string_equal(t[0].fingerprint, FINGERPRINT);
    assert_null(t[0].blob);
    assert_string_equal(t[0].from, "2001:db8::1");
    assert_int_equal(t[0].at, 1906547400);
    assert_int_equal(t[0].kind, EXEC_COMMAND);
    assert_string_equal(t[0].command, "git-receive-pack '/srv/git/x.git' \"y\"");
    assert_false(t[0].expect_allowed);
    assert_string_equal(t[0].tenant, "a");
    assert_null(t[0].sandbox);
    assert_string_equal(t[0].reason, "not in the list");

    const struct tenant *tenant;
    const struct policy_key *key;
    char fingerprint[KEY_FINGERPRINT_MAX];
    assert_string_equal(t[1].name, "2");
    assert_int_equal(policy_fingerprint(&fixture_host, t[1].blob, t[1].blob_len, fingerprint), 0);
    assert_string_equal(t[1].fingerprint, fingerprint);
    assert_false(policy_find_key(p, "a", t[1].blob, t[1].blob_len, &tenant, &key));
    assert_int_equal(t[1].kind, EXEC_SUBSYSTEM);
    assert_string_equal(t[1].command, "sftp");
    assert_true(t[1].expect_allowed);
    assert_string_equal(t[1].sandbox, "default");
    assert_string_equal(t[1].from, "127.0.0.1");
    assert_int_equal(t[1].at, 0);

    assert_int_equal(t[2].kind, EXEC_SHELL);
    assert_null(t[2].command);
    assert_null(t[2].fingerprint);
    assert_int_equal(t[3].kind, EXEC_SHELL);
    assert_int_equal(t[3].at, 0);
    assert_int_equal(t[4].at, 1); /* not 0, which is now */
    policy_free(p);
}

/* The first key of a file that has other lines before it. */
static void test_key_file(void **state)
{
    (void)state;
    fixture_reset();
    fixture_add_text("/p/policy.d/t.ini",
                     "[tenant \"a\"]\nkeys = k\n"
                     "[test \"x\"]\nuser = a\nkey-file = k\nexpect = denied\n"
                     "[test \"y\"]\nuser = a\nkey-file = /abs/k\nexpect = denied\n"
                     "[test \"z\"]\nuser = a\nkey-file = /abs/options\nexpect = denied\n");
    fixture_add_text("/p/policy.d/k", "# mine\n\n" KEY_A " a\n" KEY_B " b\n");
    fixture_add_text("/abs/k", KEY_C);
    fixture_add_text("/abs/options", "  restrict,command=\"x\" " KEY_A "\nnonsense\n");
    struct policy *p = fixture_load();
    assert_string_equal(fixture_problems, "");
    assert_string_equal(p->tests[0].fingerprint, p->tenants[0].keys[0].fingerprint);
    assert_string_not_equal(p->tests[1].fingerprint, p->tests[0].fingerprint);
    assert_string_equal(p->tests[2].fingerprint, p->tests[0].fingerprint);
    assert_int_equal(p->tests[2].blob_len, p->tests[0].blob_len);
    assert_memory_equal(p->tests[2].blob, p->tests[0].blob, p->tests[0].blob_len);
    policy_free(p);
}

#define ONE_KEY "a test has one of 'key' and 'key-file'\n"
#define ONE_ASK "a test has one of 'command', 'subsystem' and 'shell'\n"
#define BASE    "[test \"x\"]\nuser = a\nexpect = denied\n"
#define QUOTES  " (write it without the quotes)\n"

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *problems;
    } cases[] = {
        {BASE "key-file = keys/private\n",
         "4: error: key-file: '/p/policy.d/keys/private': this is a private key: name the public "
         "one (.pub)\n"},
        {"[test]\n", "1: error: [test] needs a name: [test \"name\"]\n"},
        {"[test \"a\\b\"]\n",
         "1: error: the name of a [test] is 1 to 64 printable ASCII characters without '\\'\n"},
        {"[test \"\xc3\xa9\"]\n",
         "1: error: the name of a [test] is 1 to 64 printable ASCII characters without '\\'\n"},
        {BASE "[test \"x\"]\n",
         "4: error: test 'x' is defined twice (first at /p/policy.d/t.ini:1)\n"},
        {BASE "extends = y\n", "4: error: unknown key 'extends' in [test]\n"},
        {"[test \"x\"]\n", "1: error: test \"x\" needs 'user'\n1: error: test \"x\" "
                           "needs 'expect = allowed' or 'expect = denied'\n"},
        {"[test \"x\"]\nuser = a\n",
         "1: error: test \"x\" needs 'expect = allowed' or 'expect = denied'\n"},
        {"[test \"x\"]\nuser = a\nexpect = deneid\n",
         "3: error: 'deneid' is not one of: denied, allowed (did you mean 'denied'?)\n"},
        {"[test \"x\"]\nuser = \"a\"\nexpect = denied\n",
         "2: error: '\\\"a\\\"' would be compared with its quotes" QUOTES},
        {BASE "key = SHA256:x\n",
         "4: error: 'SHA256:x' is not a fingerprint SHA256:... as ssh-keygen -l shows it\n"},
        {BASE "key = " FINGERPRINT "\nkey-file = keys/a\n", "5: error: " ONE_KEY},
        {BASE "key-file = keys/a\nkey = " FINGERPRINT "\n", "5: error: " ONE_KEY},
        {BASE "key-file = keys/none\n", "4: error: key-file: '/p/policy.d/keys/none': can't be "
                                        "opened: No such file or directory\n"},
        {BASE "key-file = keys/bad\n",
         "4: error: key-file: '/p/policy.d/keys/bad': line 1: the key is not valid base64\n"},
        {BASE "key-file = t.ini\n", "4: error: key-file: '/p/policy.d/t.ini': line 1: '[test' is "
                                    "neither a known option nor a known key type\n"},
        {BASE "key-file = keys/none-in-it\n",
         "4: error: key-file: '/p/policy.d/keys/none-in-it': there is no key in it\n"},
        {BASE "from = here\n", "4: error: 'here' is not an IP address\n"},
        {BASE "from = 10.0.0.0/8\n", "4: error: '10.0.0.0/8' is not an IP address\n"},
        {BASE "at = tomorrow\n",
         "4: error: 'tomorrow' is not a date such as 2030-12-31 or 2030-12-31T23:59 (UTC)\n"},
        {BASE "at = 2030-02-30\n", "4: error: there is no day or time '2030-02-30' from 1970 on\n"},
        {BASE "command = x\nsubsystem = y\nshell = yes\n",
         "5: error: " ONE_ASK "6: error: " ONE_ASK},
        {BASE "shell = yes\ncommand = x\n", "5: error: " ONE_ASK},
        {BASE "shell = no\n", "4: error: leave 'shell' out, and say 'command' or 'subsystem'\n"},
        {BASE "command = x\ncommand = y\n", "5: error: 'command' is set twice (first at line 4)\n"},
        {BASE "tenant = alpah\nsandbox = defalt\n[tenant \"alpha\"]\n",
         "1: error: test \"x\" has a 'sandbox', which goes with 'expect = allowed'\n"
         "4: error: tenant: there is no tenant 'alpah' (did you mean 'alpha'?)\n"
         "5: error: sandbox: there is no sandbox 'defalt' (did you mean 'default'?)\n"},
        {"[test \"x\"]\nuser = a\nexpect = allowed\nreason = r\n",
         "1: error: test \"x\" has a 'reason', which goes with 'expect = denied'\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct policy *policy = fixture_load_text(cases[i].text);
        assert_problems(cases[i].problems);
        assert_null(policy);
    }
    fixture_reset();
    fixture_add_text("/p/postern.ini", "[server]\nseccomp-dir = /s\n" BASE);
    assert_null(fixture_load());
    assert_string_equal(
        fixture_problems,
        "/p/postern.ini:3: error: [test] can't stand in this file (it belongs in policy.d)\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_key_file),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
