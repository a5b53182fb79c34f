/* How what a worker reports becomes what a client is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "spec.h"
#include "syscalls.h"
#include "verdict.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define EXITED(n)                                                                                  \
    {                                                                                              \
        .type = REPORT_EXIT, .code = (n), .call.nr = -1                                            \
    }
#define SIGNALED(n)                                                                                \
    {                                                                                              \
        .type = REPORT_EXIT, .signalled = true, .code = (n), .call.nr = -1                         \
    }
#define FAILED(s, e)                                                                               \
    {                                                                                              \
        .type = REPORT_FAILED, .stage = (s), .err_num = (e)                                        \
    }

static void test_judge(void **state)
{
    (void)state;
    static const struct {
        struct report last;
        bool none;
        enum end_cause cause;
        uint64_t limit;
        enum verdict verdict;
        bool signalled;
        unsigned code;
        const char *reason;
    } cases[] = {
        {EXITED(0), false, CAUSE_NONE, 1000, VERDICT_EXITED, false, 0, ""},
        {EXITED(255), false, CAUSE_NONE, 1000, VERDICT_EXITED, false, 255, ""},
        {EXITED(126), false, CAUSE_NONE, 1000, VERDICT_EXITED, false, 126, ""},
        {SIGNALED(SIGKILL), false, CAUSE_NONE, 1000, VERDICT_SIGNALLED, true, SIGKILL, ""},
        {SIGNALED(SIGSYS), false, CAUSE_NONE, 1000, VERDICT_SIGNALLED, true, SIGSYS, ""},
        {FAILED(STAGE_EXEC, ENOENT), false, CAUSE_NONE, 1000, VERDICT_NOT_FOUND, false, 127,
         "ma\\x1bke: no such command in the sandbox"},
        {FAILED(STAGE_EXEC, EACCES), false, CAUSE_NONE, 1000, VERDICT_CANNOT_EXECUTE, false, 126,
         "ma\\x1bke: Permission denied"},
        {FAILED(STAGE_EXEC, EAGAIN), false, CAUSE_NONE, 1000, VERDICT_CANNOT_EXECUTE, false, 126,
         "ma\\x1bke: the sandbox's limit of tasks is reached"},
        {FAILED(STAGE_FORK, EAGAIN), false, CAUSE_NONE, 1000, VERDICT_CANNOT_EXECUTE, false, 126,
         "ma\\x1bke: the sandbox's limit of tasks is reached"},
        {FAILED(STAGE_FORK, ENOMEM), false, CAUSE_NONE, 1000, VERDICT_SANDBOX, false, 125,
         "the sandbox could not be built; the server's log says why"},
        {FAILED(STAGE_LANDLOCK, ENOSYS), false, CAUSE_NONE, 1000, VERDICT_SANDBOX, false, 125,
         "the sandbox could not be built; the server's log says why"},
        {EXITED(0), true, CAUSE_NONE, 1000, VERDICT_SANDBOX, false, 125,
         "the sandbox ended abnormally; the server's log says more"},
        {SIGNALED(SIGTERM), false, CAUSE_TIME, 1500, VERDICT_TIME, false, 124,
         "the time limit of 2s is over"},
        {EXITED(0), true, CAUSE_TIME, 7200000, VERDICT_TIME, false, 124,
         "the time limit of 2h is over"},
        {EXITED(0), false, CAUSE_TIME, 120000, VERDICT_TIME, false, 124,
         "the time limit of 2m is over"},
        {SIGNALED(SIGTERM), false, CAUSE_IDLE, 900000, VERDICT_IDLE, false, 124,
         "no input or output for 15m"},
        {EXITED(0), true, CAUSE_IDLE, 61000, VERDICT_IDLE, false, 124,
         "no input or output for 61s"},
        {SIGNALED(SIGPIPE), false, CAUSE_OUTPUT, 1 << 30, VERDICT_OUTPUT, false, 153,
         "it wrote more than 1G, the limit of its output"},
        {EXITED(0), false, CAUSE_OUTPUT, 1500, VERDICT_OUTPUT, false, 153,
         "it wrote more than 1500 bytes, the limit of its output"},
        {EXITED(0), true, CAUSE_OUTPUT, 2560, VERDICT_OUTPUT, false, 153,
         "it wrote more than 2560 bytes, the limit of its output"},
        {EXITED(0), false, CAUSE_OUTPUT, 3 << 10, VERDICT_OUTPUT, false, 153,
         "it wrote more than 3K, the limit of its output"},
        {EXITED(0), false, CAUSE_OUTPUT, 1, VERDICT_OUTPUT, false, 153,
         "it wrote more than 1 byte, the limit of its output"},
        {SIGNALED(SIGHUP), false, CAUSE_LOGIN, 1000, VERDICT_ENDED, false, 143,
         "login \"x\" is no longer accepted"},
        {SIGNALED(SIGHUP), false, CAUSE_SHUTDOWN, 1000, VERDICT_ENDED, false, 143,
         "the server is shutting down"},
        {SIGNALED(SIGHUP), false, CAUSE_CLIENT_GONE, 1000, VERDICT_SIGNALLED, true, SIGHUP, ""},
        {EXITED(0), true, CAUSE_CLIENT_GONE, 1000, VERDICT_ENDED, false, 143, "the client is gone"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome out;
        /* Only the limit that the cause is about may be told. */
        struct sandbox_spec spec = {.seccomp = {.name = (char[]){"strict"}}};
        if (cases[i].cause == CAUSE_TIME)
            spec.time_ms = cases[i].limit;
        else if (cases[i].cause == CAUSE_IDLE)
            spec.idle_ms = cases[i].limit;
        else
            spec.output = cases[i].limit;
        struct verdict_facts facts = {.cause = cases[i].cause,
                                      .program = "ma\x1bke",
                                      .why = "login \"x\" is no longer accepted",
                                      .spec = &spec,
                                      .limits = {.time_ms = spec.time_ms}};
        verdict_judge(cases[i].none ? NULL : &cases[i].last, &facts, &out);
        assert_string_equal(out.reason, cases[i].reason);
        assert_int_equal(out.verdict, cases[i].verdict);
        assert_int_equal(out.signalled, cases[i].signalled);
        assert_int_equal(out.code, cases[i].code);
    }
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        uint64_t ms;
        const char *text;
    } cases[] = {{0, "0s"},       {1, "1s"},       {999, "1s"},      {1000, "1s"},
                 {1001, "2s"},    {60000, "1m"},   {59999, "1m"},    {61000, "61s"},
                 {900000, "15m"}, {3600000, "1h"}, {5400000, "90m"}, {86400000, "24h"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char buf[32];
        assert_string_equal(verdict_duration(cases[i].ms, buf, sizeof buf), cases[i].text);
    }
}

static void test_named_call(void **state)
{
    (void)state;
    struct report last = {.type = REPORT_EXIT,
                          .signalled = true,
                          .code = SIGSYS,
                          .call.nr = syscall_number("ptrace")};
    struct outcome out;
    struct seccomp_rule rule = {last.call.nr, SECCOMP_ANSWER_KILL, "x.ini", 7};
    struct sandbox_spec spec = {
        .seccomp = {.name = (char[]){"strict"}, .rules = &rule, .n_rules = 1}};
    struct verdict_facts facts = {.program = "x", .spec = &spec};
    verdict_judge(&last, &facts, &out);
    assert_int_equal(out.code, 159);
    assert_string_equal(
        out.reason,
        "system call ptrace(PTRACE_TRACEME) is forbidden by seccomp profile \"strict\"");
    char line[512];
    assert_string_equal(
        verdict_line(&out, "abc-1.2", line, sizeof line),
        "postern: seccomp: system call ptrace(PTRACE_TRACEME) is forbidden by seccomp "
        "profile \"strict\" [abc-1.2]");
    /* What nothing forbids hasn't been the reason. */
    rule.answer = SECCOMP_ANSWER_ALLOW;
    verdict_judge(&last, &facts, &out);
    assert_int_equal(out.verdict, VERDICT_SIGNALLED);
    last.call.abi = CALL_X32;
    last.call.nr = 39;
    verdict_judge(&last, &facts, &out);
    assert_int_equal(out.verdict, VERDICT_SECCOMP);
}

static void test_memory(void **state)
{
    (void)state;
    static const struct report killed = {
        .type = REPORT_EXIT, .signalled = true, .code = SIGKILL, .call.nr = -1};
    static const struct {
        struct cgroup_usage used;
        bool total_full;
        enum end_cause cause;
        unsigned code;
        const char *reason;
    } cases[] = {
        {{.oom_kills = 1, .memory_full = 1},
         false,
         CAUSE_NONE,
         137,
         "the command used more than memory = 2G"},
        {{.oom_kills = 3, .memory_full = 1},
         true,
         CAUSE_CLIENT_GONE,
         137,
         "the command used more than memory = 2G"},
        {{.oom_kills = 1},
         true,
         CAUSE_NONE,
         137,
         "the tenant's commands together used more than memory-total = 3584M"},
        {{.oom_kills = 1}, false, CAUSE_NONE, 137, "the host ran out of memory"},
        {{.oom_kills = 1, .memory_full = 1},
         false,
         CAUSE_TIME,
         124,
         "the time limit of 1s is over"},
        /* It was near, and nobody died of it. */
        {{.memory_full = 9, .tasks_refused = 1}, true, CAUSE_NONE, SIGKILL, ""},
    };
    const struct sandbox_spec spec = {.time_ms = 1000, .cgroup = {.memory = 2ULL << 30}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct verdict_facts facts = {
            .cause = cases[i].cause,
            .program = "x",
            .spec = &spec,
            .limits = {.time_ms = spec.time_ms, .memory = spec.cgroup.memory},
            .used = &cases[i].used,
            .total = {.memory = 3584ULL << 20, .memory_full = cases[i].total_full}};
        for (int dead = 0; dead < (cases[i].reason[0] != '\0' ? 2 : 1); dead++) {
            struct outcome out;
            verdict_judge(dead ? NULL : &killed, &facts, &out);
            assert_int_equal(out.code, cases[i].code);
            assert_string_equal(out.reason, cases[i].reason);
        }
    }
}

/* A limit that the client has set for itself is not blamed on the policy. */
static void test_whose_limit(void **state)
{
    (void)state;
    static const struct cgroup_usage used = {.oom_kills = 1, .memory_full = 1};
    const struct sandbox_spec spec = {.time_ms = 3600000, .cgroup = {.memory = 2ULL << 30}};
    struct verdict_facts facts = {.program = "x",
                                  .spec = &spec,
                                  .cause = CAUSE_TIME,
                                  .limits = {.time_ms = 30000,
                                             .memory = 512 << 20,
                                             .time_is_clients = true,
                                             .memory_is_clients = true}};
    struct outcome out;
    verdict_judge(NULL, &facts, &out);
    assert_int_equal(out.code, 124);
    assert_string_equal(out.reason, "the client's own time limit of 30s (POSTERN_TIME) is over");
    facts.cause = CAUSE_NONE;
    facts.used = &used;
    verdict_judge(NULL, &facts, &out);
    assert_int_equal(out.code, 137);
    assert_string_equal(
        out.reason, "the command used more than the client's own limit of 512M (POSTERN_MEMORY)");
}

static void test_tasks(void **state)
{
    (void)state;
    static const struct {
        uint64_t tasks, total, peak;
        const char *text;
    } cases[] = {
        {20, SPEC_INFINITY, CGROUP_UNKNOWN, "20 tasks (tasks = 20)"},
        {20, 30, 20, "20 tasks (tasks = 20)"},
        {20, 30, 14, "the tenant's 30 tasks (tasks-total = 30)"},
        {SPEC_INFINITY, 30, CGROUP_UNKNOWN, "the tenant's 30 tasks (tasks-total = 30)"},
        {20, 30, CGROUP_UNKNOWN, "tasks = 20 or tasks-total = 30 allows"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char buf[128];
        const struct sandbox_spec spec = {.tasks = cases[i].tasks};
        const struct cgroup_usage used = {.tasks_peak = cases[i].peak, .tasks_refused = 1};
        const struct verdict_total total = {.tasks = cases[i].total};
        assert_string_equal(verdict_tasks(&used, &spec, &total, buf, sizeof buf), cases[i].text);
    }
}

static void test_words(void **state)
{
    (void)state;
    assert_string_equal(verdict_word(VERDICT_NOT_FOUND), "not-found");
    assert_string_equal(verdict_word(VERDICT_COUNT), "?");
    assert_null(end_cause_word(CAUSE_NONE));
    assert_string_equal(end_cause_word(CAUSE_CLIENT_GONE), "client gone");
    assert_string_equal(end_cause_word(CAUSE_IDLE), "idle limit");
    assert_string_equal(end_cause_word(CAUSE_OUTPUT), "output limit");
    assert_string_equal(end_cause_word(CAUSE_LOGIN), "login gone");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judge),       cmocka_unit_test(test_durations),
        cmocka_unit_test(test_named_call),  cmocka_unit_test(test_memory),
        cmocka_unit_test(test_whose_limit), cmocka_unit_test(test_tasks),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
