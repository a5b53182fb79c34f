/* Scalars of the policy language: the whole text, in range, or an error that quotes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "spec.h"
#include "text.h"
#include "values.h"

#include <stdlib.h>
#include <string.h>

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms; /* 0: refused */
    } cases[] = {
        {"1s", 1000},
        {"30s", 30000},
        {"15m", 900000},
        {"1h", 3600000},
        {"2d", 172800000},
        {"infinity", SPEC_INFINITY},
        {"", 0},
        {"0s", 0},
        {"s", 0},
        {"5", 0},
        {"-5s", 0},
        {"+5s", 0},
        {" 5s", 0},
        {"5 s", 0},
        {"5s ", 0},
        {"1h30m", 0},
        {"1.5h", 0},
        {"5S", 0},
        {"0x10s", 0},
        {"Infinity", 0},
        {"18446744073709551615d", 0},
        {"18446744073709551616s", 0},
        {"999999999999999d", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t ms = 0;
        struct err err = {0};
        int rc = value_time(cases[i].text, true, &ms, &err);
        assert_int_equal(rc, cases[i].ms == 0 ? -1 : 0);
        if (rc == 0)
            assert_true(ms == cases[i].ms);
    }
    uint64_t ms = 0;
    struct err err = {0};
    assert_int_equal(value_time("infinity", false, &ms, &err), -1);
    assert_string_equal(err.text, "this can't be 'infinity'");
}

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes; /* 0: refused */
    } cases[] = {
        {"1", 1},
        {"4096", 4096},
        {"64K", 65536},
        {"64M", 67108864},
        {"2G", 2147483648U},
        {"1T", 1099511627776U},
        {"", 0},
        {"M", 0},
        {"64k", 0},
        {"64MB", 0},
        {"64 M", 0},
        {"-1", 0},
        {"1.5G", 0},
        {"infinity", 0},
        {"18446744073709551615T", 0},
        {"16777216T", 0},
        {"99999999999999999999", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t bytes = 0;
        struct err err = {0};
        int rc = value_size(cases[i].text, 1, UINT64_MAX, &bytes, &err);
        assert_int_equal(rc, cases[i].bytes == 0 ? -1 : 0);
        if (rc == 0)
            assert_true(bytes == cases[i].bytes);
    }
    uint64_t bytes = 0;
    struct err err = {0};
    bytes = 7; /* what is refused changes nothing */
    assert_int_equal(value_share("2", &bytes, NULL), -1);
    assert_int_equal(value_uint("9", 1, 8, &bytes, NULL), -1);
    assert_int_equal(value_time("9999999d", false, &bytes, NULL), -1);
    assert_int_equal(value_size("3K", 4096, 8192, &bytes, &err), -1);
    assert_int_equal(bytes, 7);
    assert_string_equal(err.text, "'3K' is out of range (4096 to 8192 bytes)");
}

static void test_limits(void **state)
{
    (void)state;
    uint64_t out = 0;
    struct err err = {0};
    assert_int_equal(value_limit("infinity", 1, 2, &out, &err), 0);
    assert_true(out == SPEC_INFINITY);
    assert_int_equal(value_limit("4K", 1, 8192, &out, &err), 0);
    assert_int_equal(out, 4096);
    assert_int_equal(value_limit("9K", 1, 8192, &out, &err), -1);
    assert_int_equal(value_limit("Infinity", 1, 8192, &out, &err), -1);
    assert_string_equal(err.text,
                        "'Infinity' is not a size such as 512K, 64M or 2G, nor 'infinity'");
    assert_int_equal(value_count("infinity", 1, 2, &out, &err), 0);
    assert_true(out == SPEC_INFINITY);
    assert_int_equal(value_count("2", 1, 2, &out, &err), 0);
    assert_int_equal(out, 2);
    assert_int_equal(value_count("3", 1, 2, &out, &err), -1);
    assert_int_equal(value_wait("no", &out, &err), 0);
    assert_int_equal(out, 0);
    assert_int_equal(value_wait("2s", &out, &err), 0);
    assert_int_equal(out, 2000);
    assert_int_equal(value_wait("0s", &out, &err), -1);
    assert_int_equal(value_wait("", &out, &err), -1);
}

static void test_shares(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t percent; /* 0: refused */
    } cases[] = {
        {"1%", 1},
        {"200%", 200},
        {"100000%", 100000},
        {"infinity", SPEC_INFINITY},
        {"0%", 0},
        {"", 0},
        {"%", 0},
        {"200", 0},
        {"100001%", 0},
        {"2.5%", 0},
        {"200 %", 0},
        {"200%%", 0},
        {"-1%", 0},
        {"99999999999999999999%", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t percent = 0;
        struct err err = {0};
        int rc = value_share(cases[i].text, &percent, &err);
        assert_int_equal(rc, cases[i].percent == 0 ? -1 : 0);
        if (rc == 0)
            assert_true(percent == cases[i].percent);
    }
}

static void test_rates(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        uint32_t n;
        uint64_t ms;
    } cases[] = {
        {"1/s", 0, 1, 1000},
        {"30/min", 0, 30, 60000},
        {"100/h", 0, 100, 3600000},
        {"1000000/day", 0, 1000000, 86400000},
        {"infinity", 0, 0, 0},
        {"0/s", -1, 0, 0},
        {"1000001/s", -1, 0, 0},
        {"", -1, 0, 0},
        {"5", -1, 0, 0},
        {"/s", -1, 0, 0},
        {"5/", -1, 0, 0},
        {"5/m", -1, 0, 0},
        {"5/sec", -1, 0, 0},
        {"5 /s", -1, 0, 0},
        {"5/s ", -1, 0, 0},
        {"99999999999999999999/s", -1, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t n = 7;
        uint64_t ms = 7;
        struct err err = {0};
        assert_int_equal(value_rate(cases[i].text, &n, &ms, &err), cases[i].rc);
        if (cases[i].rc == 0) {
            assert_int_equal(n, cases[i].n);
            assert_int_equal(ms, cases[i].ms);
        }
    }
}

static void test_dates(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds; /* -1: refused */
    } cases[] = {
        {"1970-01-01", 0},
        {"1970-01-01T00:01", 60},
        {"2000-02-29", 951782400},
        {"2038-01-19T03:14", 2147483640},
        {"9999-12-31T23:59", 253402300740},
        {"2001-02-29", -1},
        {"2030-13-01", -1},
        {"2030-00-01", -1},
        {"2030-01-00", -1},
        {"2030-01-32", -1},
        {"2030-01-01T24:00", -1},
        {"2030-01-01T23:60", -1},
        {"1969-12-31", -1},
        {"2030-1-1", -1},
        {"2030-01-01T", -1},
        {"2030-01-01T10", -1},
        {"2030-01-01 10:00", -1},
        {"2030-01-01T10:00Z", -1},
        {"+030-01-01", -1},
        {"", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t seconds = 0;
        struct err err = {0};
        int rc = value_date(cases[i].text, &seconds, &err);
        if (rc != (cases[i].seconds < 0 ? -1 : 0))
            fail_msg("%s", cases[i].text);
        if (rc == 0)
            assert_true(seconds == cases[i].seconds);
    }
}

static void test_choices(void **state)
{
    (void)state;
    static const char *const words[] = {"none", "loopback", "host"};
    size_t index = 9;
    struct err err = {0};
    assert_int_equal(value_choice("host", words, 3, &index, &err), 0);
    assert_int_equal(index, 2);
    assert_int_equal(value_choice("hots", words, 3, &index, &err), -1);
    assert_string_equal(err.text,
                        "'hots' is not one of: none, loopback, host (did you mean 'host'?)");
    assert_int_equal(value_choice("\x1b", words, 3, &index, &err), -1);
    assert_string_equal(err.text, "'\\x1b' is not one of: none, loopback, host");
}

static void test_quote_hint(void **state)
{
    (void)state;
    assert_non_null(text_quote_hint("\"a\""));
    assert_non_null(text_quote_hint("'a b'"));
    assert_non_null(text_quote_hint("''"));
    assert_null(text_quote_hint("'"));
    assert_null(text_quote_hint("a"));
    assert_null(text_quote_hint(""));
    assert_null(text_quote_hint("'a\""));
    assert_null(text_quote_hint("'a' b"));
}

static void test_booleans(void **state)
{
    (void)state;
    static const char *const yes[] = {"yes", "true", "on", "1"};
    static const char *const no[] = {"no", "false", "off", "0"};
    static const char *const neither[] = {"", "Yes", "y", "2", "yes ", "enabled"};
    bool out = false;
    struct err err;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(value_bool(yes[i], &out, &err), 0);
        assert_true(out);
        assert_int_equal(value_bool(no[i], &out, &err), 0);
        assert_false(out);
    }
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(value_bool(neither[i], &out, &err), -1);
}

static void test_numbers(void **state)
{
    (void)state;
    uint64_t out = 0;
    struct err err;
    assert_int_equal(value_uint("10", 1, 10, &out, &err), 0);
    assert_int_equal(out, 10);
    static const char *const bad[] = {"",   "0",  "11",  "-1",  "+1",
                                      "1x", " 1", "0x1", "1e1", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(value_uint(bad[i], 1, 10, &out, &err), -1);

    uint32_t first = 0;
    uint32_t last = 0;
    assert_int_equal(value_uid_range("1000-1999", &first, &last, &err), 0);
    assert_int_equal(first, 1000);
    assert_int_equal(last, 1999);
    assert_int_equal(value_uid_range("5-4294967293", &first, &last, &err), 0);
    static const char *const bad_ranges[] = {"",     "5",    "0-5",  "9-5",          "5-",
                                             "-5-6", "5--6", "5-6 ", "5-4294967294", "a-b"};
    for (size_t i = 0; i < sizeof bad_ranges / sizeof *bad_ranges; i++)
        assert_int_equal(value_uid_range(bad_ranges[i], &first, &last, &err), -1);
}

static void test_names(void **state)
{
    (void)state;
    static const char *const good[] = {"a",        "A9",      "acme",
                                       "git-read", "a.b_c-d", "abcdefghijklmnopqrstuvwxyz012345"};
    static const char *const bad[] = {
        "",   "..",  ".",   "-x", "_x",   "a/b", "a b",
        "%n", "a%n", "a\n", "é",  "a\"b", "a]",  "abcdefghijklmnopqrstuvwxyz0123456"};
    struct err err;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(value_name(good[i], &err), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(value_name(bad[i], &err), -1);
}

static void test_paths(void **state)
{
    (void)state;
    static const char *const good[] = {"/", "/a", "/a/b.c", "/a/..b", "/a/...", "/srv/caf\xc3\xa9"};
    static const char *const bad[] = {"",      "a",    "./a",   "/a/",   "//a",
                                      "/a//b", "/a/.", "/a/..", "/../a", "/./a"};
    struct err err;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(value_path(good[i], &err), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(value_path(bad[i], &err), -1);
}

static void test_listen(void **state)
{
    (void)state;
    char host[46];
    uint16_t port = 0;
    struct err err;
    assert_int_equal(value_listen("127.0.0.1:2222", host, sizeof host, &port, &err), 0);
    assert_string_equal(host, "127.0.0.1");
    assert_int_equal(port, 2222);
    assert_int_equal(value_listen("[::1]:65535", host, sizeof host, &port, &err), 0);
    assert_string_equal(host, "::1");
    assert_int_equal(port, 65535);
    static const char *const bad[] = {
        "",       "127.0.0.1", "127.0.0.1:",   "127.0.0.1:x", "127.0.0.1:65536", "localhost:22",
        "::1:22", "[::1]",     "[::1]22",      "[::1:22",     "[127.0.0.1]:22",  "[fe80::1%lo]:22",
        ":22",    "127.1:22",  "127.0.0.1:22 "};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(value_listen(bad[i], host, sizeof host, &port, &err), -1);
}

static void test_escape(void **state)
{
    (void)state;
    char buf[16];
    assert_string_equal(text_escape_str(buf, sizeof buf, "a b~"), "a b~");
    assert_string_equal(text_escape_str(buf, sizeof buf, "\n\x1b"), "\\x0a\\x1b");
    assert_string_equal(text_escape_str(buf, sizeof buf, "\"\\\xff"), "\\\"\\\\\\xff");
    assert_string_equal(text_escape(buf, sizeof buf, "a\0b", 3), "a\\x00b");
    assert_string_equal(text_escape_str(buf, sizeof buf, "123456789012345"), "123456789012345");
    assert_string_equal(text_escape_str(buf, sizeof buf, "1234567890123456"), "123456789012...");
    assert_string_equal(text_escape_str(buf, sizeof buf, "12345678901\n34567"), "12345678901...");
}

static void test_suggestions(void **state)
{
    (void)state;
    static const char *const known[] = {"memory", "tasks", "time", "tmp", "network"};
    static const struct {
        const char *wanted;
        const char *hint;
    } cases[] = {
        {"memroy", "did you mean 'memory'?"},
        {"task", "did you mean 'tasks'?"},
        {"tme", "did you mean 'time'?"},
        {"netwrk", "did you mean 'network'?"},
        {"xyzzy", ""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct suggestion s;
        char hint[64];
        suggest_begin(&s, cases[i].wanted);
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            suggest_try(&s, known[k]);
        assert_string_equal(suggest_hint(&s, hint, sizeof hint), cases[i].hint);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),       cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_booleans),    cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_names),       cmocka_unit_test(test_paths),
        cmocka_unit_test(test_listen),      cmocka_unit_test(test_escape),
        cmocka_unit_test(test_suggestions), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_shares),      cmocka_unit_test(test_rates),
        cmocka_unit_test(test_dates),       cmocka_unit_test(test_choices),
        cmocka_unit_test(test_quote_hint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
