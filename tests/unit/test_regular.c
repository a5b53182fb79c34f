/* Sources that somebody has logged in from: for how long, and how many of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "regular.h"

#include <string.h>

static struct regulars regulars;

static struct source_key source(uint32_t n)
{
    struct source_key key = {.bits = 128};
    memcpy(key.net, &n, sizeof n);
    return key;
}

static bool is_one(uint32_t n, uint64_t now_ms)
{
    const struct source_key key = source(n);
    return regular_is(&regulars, &key, now_ms);
}

static void add(uint32_t n, uint64_t now_ms)
{
    const struct source_key key = source(n);
    regular_add(&regulars, &key, now_ms);
}

static int reset(void **state)
{
    (void)state;
    memset(&regulars, 0, sizeof regulars);
    return 0;
}

static void test_a_day(void **state)
{
    (void)state;
    assert_false(is_one(0, 5));
    add(1, 5);
    assert_true(is_one(1, 5));
    assert_false(is_one(2, 5));
    assert_true(is_one(1, REGULAR_MS + 4));
    assert_false(is_one(1, REGULAR_MS + 5));
    add(1, REGULAR_MS);
    assert_true(is_one(1, 2 * REGULAR_MS - 1));
}

static void test_the_oldest_is_forgotten(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < REGULARS_MAX; n++)
        add(n, 100 + n);
    add(0, 5000);
    add(REGULARS_MAX, 5001);
    assert_true(is_one(0, 6000));
    assert_false(is_one(1, 6000));
    for (uint32_t n = 2; n <= REGULARS_MAX; n++)
        assert_true(is_one(n, 6000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_day, reset),
        cmocka_unit_test_setup(test_the_oldest_is_forgotten, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
