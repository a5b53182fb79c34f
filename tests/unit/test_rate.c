/* An allowance of starts: all at once, then evenly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rate.h"

enum { T0 = 123456789 };

/* Takes what is allowed at once; returns how many that were, at most `most`. */
static unsigned take_all(struct rate *rate, uint32_t count, uint64_t interval, uint64_t now,
                         unsigned most)
{
    unsigned n = 0;
    while (n < most && rate_wait_ms(rate, count, interval, now) == 0) {
        rate_take(rate, count, interval, now);
        n++;
    }
    return n;
}

static void test_burst_then_evenly(void **state)
{
    (void)state;
    struct rate rate = {0};
    assert_true(rate_is_whole(&rate, T0));
    assert_int_equal(take_all(&rate, 30, 60000, T0, 100), 30);
    assert_false(rate_is_whole(&rate, T0));
    assert_int_equal(rate_wait_ms(&rate, 30, 60000, T0), 2000);
    assert_int_equal(rate_wait_ms(&rate, 30, 60000, T0 + 1999), 1);
    assert_int_equal(take_all(&rate, 30, 60000, T0 + 1999, 100), 0);
    assert_int_equal(take_all(&rate, 30, 60000, T0 + 2000, 100), 1);
    assert_int_equal(take_all(&rate, 30, 60000, T0 + 12000, 100), 5);
    assert_false(rate_is_whole(&rate, T0 + 71999));
    assert_true(rate_is_whole(&rate, T0 + 72000));
    assert_int_equal(take_all(&rate, 30, 60000, T0 + 100000, 100), 30);
}

static void test_never_more_than_count_per_interval(void **state)
{
    (void)state;
    struct rate rate = {0};
    unsigned taken[300] = {0};
    for (unsigned t = 0; t < 300; t++)
        taken[t] = take_all(&rate, 7, 100, T0 + t, 1000);
    /* The burst, and what came back since. */
    unsigned sum = 0;
    for (unsigned t = 0; t < 300; t++) {
        sum += taken[t];
        assert_true(sum <= 7 + (t + 1) * 7 / 100 + 1);
    }
    assert_in_range(sum, 7 + 20, 7 + 21);
}

static void test_no_rate(void **state)
{
    (void)state;
    struct rate rate = {0};
    assert_int_equal(take_all(&rate, 0, 1000, T0, 100000), 100000);
    assert_true(rate_is_whole(&rate, T0));
}

static void test_extremes(void **state)
{
    (void)state;
    struct rate rate = {0};
    assert_int_equal(take_all(&rate, 1, 86400000, T0, 10), 1);
    assert_int_equal(rate_wait_ms(&rate, 1, 86400000, T0), 86400000);
    assert_int_equal(rate_wait_ms(&rate, 1, 86400000, T0 + 86399999), 1);
    assert_int_equal(rate_wait_ms(&rate, 1, 86400000, T0 + 86400000), 0);
    /* More than one a nanosecond is as good as no rate. */
    rate = (struct rate){0};
    assert_int_equal(take_all(&rate, UINT32_MAX, 1000, T0, 1000), 1000);
}

static void test_changed_rate(void **state)
{
    (void)state;
    struct rate rate = {0};
    /* From one a day to ten a second: at worst all ten are used up. */
    assert_int_equal(take_all(&rate, 1, 86400000, T0, 10), 1);
    assert_int_equal(rate_wait_ms(&rate, 10, 1000, T0), 100);
    assert_int_equal(take_all(&rate, 10, 1000, T0 + 100, 100), 1);
    /* And back: what was used up counts in time. */
    rate = (struct rate){0};
    assert_int_equal(take_all(&rate, 10, 1000, T0, 100), 10);
    assert_int_equal(take_all(&rate, 2, 3600000, T0, 100), 1);
    /* Lifted and set again: nothing is forgotten meanwhile. */
    rate = (struct rate){0};
    assert_int_equal(take_all(&rate, 3, 60000, T0, 100), 3);
    rate_take(&rate, 0, 0, T0);
    assert_int_equal(take_all(&rate, 3, 60000, T0 + 1, 100), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_then_evenly),
        cmocka_unit_test(test_never_more_than_count_per_interval),
        cmocka_unit_test(test_no_rate),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_changed_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
