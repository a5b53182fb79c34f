/* Escaping: whatever a peer sends is one printable line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "log.h"

#include <string.h>

static void test_escape(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t len, cap;
        const char *out;
    } cases[] = {
        {"plain", 5, 64, "plain"},
        {"", 0, 64, ""},
        {"a\nb\r\t\\", 6, 64, "a\\nb\\r\\t\\\\"},
        {"\x1b[31m\x07", 6, 64, "\\x1b[31m\\x07"},
        {"nul\0end", 7, 64, "nul\\x00end"},
        {"\xc2\x9b"
         "\x7f",
         3, 64, "\\xc2\\x9b\\x7f"},
        {"%n%s", 4, 64, "%n%s"},
        {"0123456789", 10, 11, "0123456789"},
        {"0123456789", 10, 10, "012345..."},
        {"\n\n\n\n\n", 5, 10, "\\n\\n\\n..."},
        {"abc", 3, 1, ""},
        {"a", 1, 2, "a"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[64];
        memset(out, 'X', sizeof out);
        log_escape(out, cases[i].cap, cases[i].in, cases[i].len);
        assert_string_equal(out, cases[i].out);
    }
}

static void test_levels(void **state)
{
    (void)state;
    assert_int_equal(log_level_parse("error"), LOG_LEVEL_ERROR);
    assert_int_equal(log_level_parse("trace"), LOG_LEVEL_TRACE);
    assert_int_equal(log_level_parse("Trace"), -1);
    assert_int_equal(log_level_parse(""), -1);
    assert_string_equal(log_level_name(LOG_LEVEL_WARNING), "warning");
    log_set_level(LOG_LEVEL_WARNING);
    assert_true(log_enabled(LOG_LEVEL_ERROR));
    assert_false(log_enabled(LOG_LEVEL_INFO));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_escape),
                                       cmocka_unit_test(test_levels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
