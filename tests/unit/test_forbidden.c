/* What a refused call is explained with, at each level, and what a hostile worker can't make of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "forbidden.h"
#include "syscalls.h"

#include <string.h>
#include <sys/syscall.h>

static struct seccomp_rule rules[] = {
    {SYS_ioctl, SECCOMP_ANSWER_ALLOW, "a.ini", 1},
    {SYS_ptrace, SECCOMP_ANSWER_DENY, "b.ini", 2},
    {SYS_reboot, SECCOMP_ANSWER_KILL, "", 0},
};
static struct seccomp_spec profile = {.name = (char[]){"p"}, .rules = rules, .n_rules = 3};

static void expect(const struct refused_call *call, enum explain_level level, const char *text)
{
    struct forbidden forbidden;
    char buf[512];
    assert_true(forbidden_find(&profile, call, &forbidden));
    assert_string_equal(forbidden_describe(&forbidden, "was refused", level, buf, sizeof buf),
                        text);
}

static void test_levels(void **state)
{
    (void)state;
    const struct refused_call ptrace = {.nr = SYS_ptrace, .args = {16}};
    expect(&ptrace, EXPLAIN_NONE, "a system call was refused");
    expect(&ptrace, EXPLAIN_REASON,
           "system call ptrace(PTRACE_ATTACH) was refused by seccomp profile \"p\"");
    expect(&ptrace, EXPLAIN_RULE,
           "system call ptrace(PTRACE_ATTACH) was refused by seccomp profile \"p\" (b.ini:2)");
    /* A rule without a place. */
    const struct refused_call reboot = {.nr = SYS_reboot, .args = {0, 0, 0x1234567}};
    expect(&reboot, EXPLAIN_RULE,
           "system call reboot(0x1234567) was refused by seccomp profile \"p\"");
    /* What no rule names has a reason, which isn't the policy's. */
    const struct refused_call tiocsti = {.nr = SYS_ioctl, .args = {0, 0x5412}};
    expect(&tiocsti, EXPLAIN_NONE, "a system call was refused");
    expect(&tiocsti, EXPLAIN_REASON,
           "system call ioctl(TIOCSTI) was refused by seccomp profile \"p\" (always: it types for "
           "others)");
    const struct refused_call foreign = {.nr = 20, .abi = CALL_32_BIT};
    expect(&foreign, EXPLAIN_NONE, "a system call was refused");
}

/* Calls that the profile allows or doesn't know were never refused. */
static void test_impossible(void **state)
{
    (void)state;
    static const struct refused_call calls[] = {
        {.nr = SYS_ioctl, .args = {0, 0x5401}},
        {.nr = SYS_read},
        {.nr = 65535},
        {.nr = SYS_clone3},
    };
    struct forbidden forbidden;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        assert_false(forbidden_find(&profile, &calls[i], &forbidden));
}

static void test_short_buffers(void **state)
{
    (void)state;
    const struct refused_call call = {.nr = SYS_ptrace, .args = {16}};
    struct forbidden forbidden;
    assert_true(forbidden_find(&profile, &call, &forbidden));
    for (size_t len = 1; len < 100; len++) {
        char buf[128];
        memset(buf, '\x7f', sizeof buf);
        forbidden_describe(&forbidden, "was refused", EXPLAIN_RULE, buf, len);
        assert_true(strlen(buf) < len && buf[len] == '\x7f');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_impossible),
        cmocka_unit_test(test_short_buffers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
