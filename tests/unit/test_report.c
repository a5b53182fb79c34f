/* The worker's reports and the master's controls: what goes in comes out, and nothing else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "report.h"
#include "wire.h"

#include <signal.h>
#include <string.h>

static void assert_same(const struct report *a, const struct report *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->stage, b->stage);
    assert_int_equal(a->err_num, b->err_num);
    assert_int_equal(a->why, b->why);
    assert_memory_equal(&a->call, &b->call, sizeof a->call);
    assert_int_equal(a->untold, b->untold);
    assert_int_equal(a->signalled, b->signalled);
    assert_int_equal(a->code, b->code);
    assert_int_equal(a->core, b->core);
    assert_int_equal(a->user_us, b->user_us);
    assert_int_equal(a->system_us, b->system_us);
    assert_int_equal(a->max_rss_kib, b->max_rss_kib);
    assert_int_equal(a->read_bytes, b->read_bytes);
    assert_int_equal(a->written_bytes, b->written_bytes);
}

static const struct report good[] = {
    {.type = REPORT_STARTED, .call.nr = -1},
    {.type = REPORT_FAILED, .stage = STAGE_MOUNT, .err_num = 1, .call.nr = -1},
    {.type = REPORT_FAILED, .stage = STAGE_EXEC, .err_num = 4095, .call.nr = -1},
    {.type = REPORT_FAILED, .stage = STAGE_EXEC, .why = WHY_INTERPRETER, .call.nr = -1},
    {.type = REPORT_NOTE, .call.nr = 0},
    {.type = REPORT_NOTE,
     .call = {.nr = 462, .abi = CALL_X32, .args = {1, 2, 3, 4, 5, UINT32_MAX}}},
    {.type = REPORT_EXIT, .code = 0, .call.nr = -1},
    {.type = REPORT_EXIT,
     .code = 255,
     .call.nr = -1,
     .user_us = UINT64_MAX,
     .system_us = 1ULL << 40,
     .max_rss_kib = 7,
     .read_bytes = 512,
     .written_bytes = UINT64_MAX},
    {.type = REPORT_EXIT,
     .signalled = true,
     .code = SIGSYS,
     .call = {.nr = 272, .args = {0x10000000}},
     .untold = 65535},
    {.type = REPORT_EXIT, .signalled = true, .code = 64, .core = true, .call.nr = -1},
};

enum { GOOD = sizeof good / sizeof *good };

static void test_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOOD; i++) {
        unsigned char buf[REPORT_MAX];
        struct report got;
        size_t len = report_encode(&good[i], buf);
        assert_in_range(len, 4, REPORT_MAX);
        assert_int_equal(report_decode(buf, len, &got), 0);
        assert_same(&got, &good[i]);
    }
}

/* One byte less or more is not the message. */
static void test_lengths(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOOD; i++) {
        unsigned char buf[REPORT_MAX + 1] = {0};
        struct report got;
        size_t len = report_encode(&good[i], buf);
        for (size_t n = 0; n < len; n++)
            assert_int_equal(report_decode(buf, n, &got), -1);
        assert_int_equal(report_decode(buf, len + 1, &got), -1);
    }
}

static void expect_refused(const struct report *report)
{
    unsigned char buf[REPORT_MAX];
    struct report got;
    size_t len = report_encode(report, buf);
    assert_int_equal(report_decode(buf, len, &got), -1);
}

static void test_bounds(void **state)
{
    (void)state;
    static const struct report bad[] = {
        {.type = REPORT_FAILED, .stage = STAGE_COUNT},
        {.type = REPORT_FAILED, .stage = STAGE_EXEC, .why = WHY_COUNT},
        {.type = REPORT_FAILED, .stage = STAGE_MOUNT, .why = WHY_MODE},
        {.type = REPORT_FAILED, .err_num = 4096},
        {.type = REPORT_FAILED, .err_num = -1},
        {.type = REPORT_NOTE, .call.nr = -1},
        {.type = REPORT_NOTE, .call.nr = -2},
        {.type = REPORT_NOTE, .call.nr = 65536},
        {.type = REPORT_NOTE, .call.abi = CALL_ABIS},
        {.type = REPORT_NOTE, .call.abi = (enum call_abi) - 1},
        {.type = REPORT_EXIT, .call.nr = -1, .untold = 65536},
        {.type = REPORT_EXIT, .code = 256, .call.nr = -1},
        {.type = REPORT_EXIT, .code = -1, .call.nr = -1},
        {.type = REPORT_EXIT, .signalled = true, .code = 0, .call.nr = -1},
        {.type = REPORT_EXIT, .signalled = true, .code = 65, .call.nr = -1},
        {.type = REPORT_EXIT, .code = 0, .core = true, .call.nr = -1},
        {.type = REPORT_EXIT, .code = 0, .call.nr = 5},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_refused(&bad[i]);
    for (uint32_t type = 0; type < 300; type++) {
        unsigned char buf[REPORT_MAX];
        struct wire_writer w = {.buf = buf, .cap = sizeof buf};
        struct report got;
        wire_put_u32(&w, type);
        assert_int_equal(report_decode(buf, w.len, &got), type == REPORT_STARTED ? 0 : -1);
    }
}

/* A byte that is neither false nor true. */
static void test_booleans(void **state)
{
    (void)state;
    unsigned char buf[REPORT_MAX];
    struct report got, report = {.type = REPORT_EXIT, .signalled = true, .code = 9, .call.nr = -1};
    size_t len = report_encode(&report, buf);
    assert_int_equal(buf[4], 1);
    buf[4] = 2;
    assert_int_equal(report_decode(buf, len, &got), -1);
}

static void test_controls(void **state)
{
    (void)state;
    unsigned char buf[REPORT_MAX + 1] = {0};
    struct control got;
    for (int signo = -1; signo < 70; signo++) {
        const struct control control = {.type = CONTROL_SIGNAL, .signo = signo};
        size_t len = control_encode(&control, buf);
        bool fine = signo >= 1 && signo <= 64;
        assert_int_equal(control_decode(buf, len, &got), fine ? 0 : -1);
        if (fine)
            assert_int_equal(got.signo, signo);
        assert_int_equal(control_decode(buf, len + 1, &got), -1);
        assert_int_equal(control_decode(buf, len - 1, &got), -1);
    }
    const struct control all = {.type = CONTROL_SIGNAL_ALL, .signo = SIGKILL};
    assert_int_equal(control_decode(buf, control_encode(&all, buf), &got), 0);
    assert_int_equal(got.type, CONTROL_SIGNAL_ALL);
    const struct control none = {.type = (enum control_type)3, .signo = SIGKILL};
    assert_int_equal(control_decode(buf, control_encode(&none, buf), &got), -1);
}

static void test_stage_names(void **state)
{
    (void)state;
    assert_string_equal(report_stage_name(STAGE_MOUNT), "mount");
    assert_string_equal(report_stage_name(STAGE_EXEC), "execve");
    assert_string_equal(report_stage_name(STAGE_COUNT), "?");
    assert_string_equal(report_stage_name((enum report_stage) - 1), "?");
    assert_string_equal(report_why_text(WHY_NONE), "");
    assert_string_equal(report_why_text(WHY_DIRECTORY), "it is a directory");
    assert_string_equal(report_why_text(WHY_COUNT), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_bounds),     cmocka_unit_test(test_booleans),
        cmocka_unit_test(test_controls),   cmocka_unit_test(test_stage_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
