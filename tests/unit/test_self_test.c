/* postern self-test: what the program in the sandbox says, and what of it the policy wants so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy_fixture.h"
#include "self_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_lines(void **state)
{
    (void)state;
    struct self_test_rows rows = {0};
    char trying[64] = "";
    assert_int_equal(self_test_read("try mount", &rows, trying), 0);
    assert_string_equal(trying, "mount");
    assert_int_equal(rows.n, 0);
    assert_int_equal(
        self_test_read("OPEN\tfiles\tmount\t165\tno \x1b mounts\tit \xff was", &rows, trying), 0);
    assert_string_equal(trying, "");
    assert_int_equal(rows.n, 1);
    assert_int_equal(rows.items[0].result, SELF_TEST_OPEN);
    assert_int_equal(rows.items[0].call, 165);
    assert_string_equal(rows.items[0].group, "files");
    assert_string_equal(rows.items[0].text, "no ? mounts");
    assert_string_equal(rows.items[0].why, "it ? was");
    assert_int_equal(self_test_read("ok\tlimits\tx\t-1\ttext\t", &rows, trying), 0);
    assert_int_equal(self_test_read("untried\tlimits\tx\t-1\ttext\twhy", &rows, trying), 0);
    assert_int_equal(rows.items[1].result, SELF_TEST_REFUSED);
    assert_int_equal(rows.items[2].result, SELF_TEST_UNTRIED);
    self_test_rows_free(&rows);
}

static void test_lines_that_are_none(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "ok",
        "ok\tfiles\tx\t-1\ttext",
        "ok\tfiles\tx\t-1\ttext\twhy\tmore",
        "fine\tfiles\tx\t-1\ttext\twhy",
        "ok\tfiles\tx\t\ttext\twhy",
        "ok\tfiles\tx\t1x\ttext\twhy",
        "ok\tfiles\tx\t-2\ttext\twhy",
        "ok\tfiles\tx\t99999999999\ttext\twhy",
        "ok\ta group whose name is longer than any that there is\tx\t1\ttext\twhy",
        "try a name that is longer than any that there is, and than the room for it",
    };
    struct self_test_rows rows = {0};
    char trying[64] = "before";
    char line[2000];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(self_test_read(bad[i], &rows, trying), -1);
    (void)snprintf(line, sizeof line, "ok\tfiles\tx\t1\t%01500d\twhy", 1);
    assert_int_equal(self_test_read(line, &rows, trying), -1);
    assert_int_equal(rows.n, 0);
    for (size_t i = 0; i < SELF_TEST_ROWS_MAX; i++)
        assert_int_equal(self_test_read("ok\tfiles\tx\t1\ttext\twhy", &rows, trying), 0);
    assert_int_equal(self_test_read("ok\tfiles\tx\t1\ttext\twhy", &rows, trying), -1);
    self_test_rows_free(&rows);
}

/* What a property that doesn't hold is for a sandbox of this policy: "" if it is OPEN. */
static void expect(const char *text, const char *name, int call, const char *line)
{
    char whole[1024];
    (void)snprintf(whole, sizeof whole, "[sandbox \"box\"]\n%s[tenant \"t\"]\nsandbox = box\n",
                   text);
    fixture_reset();
    fixture_add_text("/p/policy.d/t.ini", whole);
    struct policy *policy = fixture_load_shown();
    assert_string_equal(fixture_problems, "");
    assert_non_null(policy);
    struct self_test_row row = {.result = SELF_TEST_OPEN, .call = call};
    (void)snprintf(row.name, sizeof row.name, "%s", name);
    const struct tenant *tenant = policy_find_tenant(policy, "t");
    self_test_judge(policy, &policy->sandboxes[tenant->sandbox], &row);
    assert_string_equal(row.line, line);
    assert_int_equal(row.result, line[0] == '\0' ? SELF_TEST_OPEN : SELF_TEST_BY_POLICY);
    policy_free(policy);
}

static void test_what_a_policy_opens(void **state)
{
    (void)state;
    static const char network[] = "network = host (/p/policy.d/t.ini:2)";
    expect("network = host\n", "interfaces", -1, network);
    expect("network = host\n", "reach-internet", -1, network);
    expect("network = loopback\n", "reach-host", -1, "network = loopback (/p/policy.d/t.ini:2)");
    expect("read = /var/lib/x\n", "no-var-lib", -1, "read = /var/lib/x (/p/policy.d/t.ini:2)");
    expect("write = /data:/home/x\n", "no-home", -1, "write = /data:/home/x (/p/policy.d/t.ini:2)");
    expect("read = /a\nread = /etc/shadow\n", "no-shadow", -1,
           "read = /etc/shadow (/p/policy.d/t.ini:3)");
    expect("root = /srv/root\n", "no-home", -1, "root = /srv/root (/p/policy.d/t.ini:2)");
    expect("workspace = /srv/w\n", "home-empty", -1, "workspace = /srv/w (/p/policy.d/t.ini:2)");
    expect("workspace = /srv/w\n", "home-private", -1, "workspace = /srv/w (/p/policy.d/t.ini:2)");
    expect("workspace = exec\nworkspace-size = infinity\n", "home-private", -1,
           "workspace-size = infinity (/p/policy.d/t.ini:3)");
    expect("tasks = infinity\n", "limit-tasks", -1, "tasks = infinity (/p/policy.d/t.ini:2)");
}

static void test_what_no_line_opens(void **state)
{
    (void)state;
    expect("", "interfaces", -1, "");
    expect("network = loopback\n", "reach-internet", -1, "");
    expect("network = loopback\n", "abstract-sockets", -1, "");
    expect("network = host\n", "usr-read-only", -1, "");
    expect("read = /var/library\n", "no-var-lib", -1, "");
    expect("root = /srv/root\n", "no-shadow", -1, "");
    expect("workspace = exec\n", "home-empty", -1, "");
    expect("workspace = /srv/w\nworkspace-size = 1G\n", "home-private", -1, "");
    expect("tasks = 4096\n", "limit-tasks", -1, "");
}

/* The fixture's default profile allows read, and its groups know ptrace. */
static void test_calls(void **state)
{
    (void)state;
    int allowed = fixture_host.syscall_number("read");
    int denied = fixture_host.syscall_number("ptrace");
    assert_true(allowed >= 0 && denied >= 0);
    expect("", "reading", allowed, "seccomp = default (/s/default.ini:2)");
    expect("", "tracing", denied, "");
    expect("", "newer", 1999, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_lines_that_are_none),
        cmocka_unit_test(test_what_a_policy_opens),
        cmocka_unit_test(test_what_no_line_opens),
        cmocka_unit_test(test_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
