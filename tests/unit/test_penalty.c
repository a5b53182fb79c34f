/* Penalties: what they cost, how they grow and end, and that the table stays bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "penalty.h"

#include <string.h>

static struct penalties p;

static struct source_key source(uint32_t n)
{
    struct source_key key = {.bits = 128};
    memcpy(key.net, &n, sizeof n);
    return key;
}

static int reset(void **state)
{
    (void)state;
    memset(&p, 0, sizeof p);
    return 0;
}

static void test_a_crash_is_enough(void **state)
{
    (void)state;
    struct source_key a = source(1), b = source(2);
    assert_false(penalty_applies(&p, &a, 1));
    assert_int_equal(penalty_add(&p, &a, OFFENCE_CRASH, 1000), PENALTY_FIRST_MS);
    assert_true(penalty_applies(&p, &a, 10999));
    assert_false(penalty_applies(&p, &a, 11000));
    assert_false(penalty_applies(&p, &b, 2000));
}

static void test_points_add_up_and_go_away(void **state)
{
    (void)state;
    struct source_key a = source(1);
    for (int i = 0; i < 9; i++)
        assert_int_equal(penalty_add(&p, &a, OFFENCE_FAILED, 1000), 0);
    assert_false(penalty_applies(&p, &a, 1001));
    assert_int_equal(penalty_add(&p, &a, OFFENCE_FAILED, 1001), PENALTY_FIRST_MS);
    /* One each 10 s never comes to it. */
    for (uint64_t i = 0; i < 1000; i++)
        assert_int_equal(penalty_add(&p, &a, OFFENCE_FAILED, 2000000 + i * PENALTY_POINT_MS), 0);
    /* Nor does anything else that is far enough between. */
    a = source(2);
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(penalty_add(&p, &a, OFFENCE_TRIES, i * 4 * PENALTY_POINT_MS), 0);
    a = source(3);
    assert_int_equal(penalty_add(&p, &a, OFFENCE_TRIES, 0), 0);
    assert_int_equal(penalty_add(&p, &a, OFFENCE_GRACE, 0), 0);
    assert_int_equal(penalty_add(&p, &a, OFFENCE_PROTOCOL, 1), PENALTY_FIRST_MS);
}

static void test_grows_up_to_a_limit_and_is_forgiven(void **state)
{
    (void)state;
    struct source_key a = source(1);
    uint64_t now = 1000, length = PENALTY_FIRST_MS;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(penalty_add(&p, &a, OFFENCE_CRASH, now), length);
        now += length;
        assert_false(penalty_applies(&p, &a, now));
        length = length * 2 < PENALTY_LONGEST_MS ? length * 2 : PENALTY_LONGEST_MS;
    }
    now += 3 * PENALTY_FORGIVE_MS;
    length = penalty_add(&p, &a, OFFENCE_CRASH, now);
    assert_true(length < PENALTY_LONGEST_MS && length > PENALTY_FIRST_MS);
    now += 100 * PENALTY_FORGIVE_MS;
    assert_int_equal(penalty_add(&p, &a, OFFENCE_CRASH, now), PENALTY_FIRST_MS);
}

static void test_full_table_forgets_the_least_recent(void **state)
{
    (void)state;
    struct source_key first = source(0), second = source(1);
    for (uint32_t i = 0; i < PENALTIES_MAX; i++) {
        struct source_key key = source(i);
        assert_int_equal(penalty_add(&p, &key, OFFENCE_CRASH, 1000 + i), PENALTY_FIRST_MS);
    }
    /* The first one knocks again, so that the second is the one to be forgotten. */
    assert_true(penalty_applies(&p, &first, 3000));
    struct source_key other = source(PENALTIES_MAX);
    penalty_add(&p, &other, OFFENCE_FAILED, 3001);
    assert_true(penalty_applies(&p, &first, 3002));
    assert_false(penalty_applies(&p, &second, 3002));
    /* Who is served gives way before who is not. */
    other = source(PENALTIES_MAX + 1);
    penalty_add(&p, &other, OFFENCE_CRASH, 3003);
    struct source_key third = source(2);
    assert_true(penalty_applies(&p, &third, 3004));
    assert_true(penalty_applies(&p, &other, 3004));
}

struct seen {
    size_t n;
    uint32_t points[4];
    uint64_t left_ms[4];
};

static void see(void *arg, const struct source_key *key, uint32_t points, uint64_t left_ms)
{
    struct seen *seen = arg;
    (void)key;
    assert_true(seen->n < 4);
    seen->points[seen->n] = points;
    seen->left_ms[seen->n++] = left_ms;
}

static void test_list(void **state)
{
    (void)state;
    struct source_key a = source(1), b = source(2), c = source(3);
    struct seen seen = {0};
    penalty_add(&p, &a, OFFENCE_CRASH, 1000);
    penalty_add(&p, &b, OFFENCE_TRIES, 1000);
    penalty_add(&p, &c, OFFENCE_FAILED, 1000);
    penalty_list(&p, 1000 + PENALTY_POINT_MS - 1, see, &seen);
    assert_int_equal(seen.n, 3);
    assert_int_equal(seen.points[0], 0);
    assert_int_equal(seen.left_ms[0], 1);
    assert_int_equal(seen.points[1], 4);
    assert_int_equal(seen.left_ms[1], 0);
    assert_int_equal(seen.points[2], 1);
    seen = (struct seen){0};
    penalty_list(&p, 1000 + PENALTY_POINT_MS, see, &seen);
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.points[0], 3);
    for (unsigned offence = 0; offence < OFFENCES; offence++)
        assert_non_null(offence_name(offence));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_crash_is_enough, reset),
        cmocka_unit_test_setup(test_points_add_up_and_go_away, reset),
        cmocka_unit_test_setup(test_grows_up_to_a_limit_and_is_forgiven, reset),
        cmocka_unit_test_setup(test_full_table_forgets_the_least_recent, reset),
        cmocka_unit_test_setup(test_list, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
