/* The error value: what it says, and that it says no more than fits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "err.h"

#include <errno.h>
#include <string.h>

static void test_set(void **state)
{
    (void)state;
    struct err err = {.code = 9};
    assert_int_equal(err_set(&err, ENOENT, "open %s", "x"), -1);
    assert_string_equal(err.text, "open x: No such file or directory");
    assert_int_equal(err.num, ENOENT);
    assert_int_equal(err.code, 0);
    assert_int_equal(err_set(&err, 0, "bad"), -1);
    assert_string_equal(err.text, "bad");
    assert_int_equal(err_set(NULL, 0, "nobody asks"), -1);
}

static void test_wrap(void **state)
{
    (void)state;
    struct err err;
    err_set(&err, EPERM, "mount");
    err.code = 70;
    assert_int_equal(err_wrap(&err, "sandbox '%s'", "ci"), -1);
    assert_string_equal(err.text, "sandbox 'ci': mount: Operation not permitted");
    assert_int_equal(err.num, EPERM);
    assert_int_equal(err.code, 70);
    assert_int_equal(err_wrap(NULL, "nobody asks"), -1);
}

static void test_bounds(void **state)
{
    (void)state;
    char longest[2 * ERR_TEXT_MAX];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    for (size_t len = ERR_TEXT_MAX - 8; len < ERR_TEXT_MAX + 8; len++) {
        struct err err;
        const char *text = longest + sizeof longest - 1 - len;
        err_set(&err, EPERM, "%s", text);
        assert_in_range(strlen(err.text), ERR_TEXT_MAX - 9, ERR_TEXT_MAX - 1);
        err_wrap(&err, "%s", text);
        err_wrap(&err, "x");
        assert_memory_equal(err.text, "x: a", 4);
        assert_in_range(strlen(err.text), ERR_TEXT_MAX - 9, ERR_TEXT_MAX - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
