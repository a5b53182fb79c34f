/* Penalties: who is hit, for how long, and that the table stays bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "penalty.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static struct sockaddr_storage ss;

static const struct sockaddr *address(const char *text)
{
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&ss;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&ss;
    ss = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, text, &in->sin_addr) == 1)
        ss.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1)
        ss.ss_family = AF_INET6;
    return (const struct sockaddr *)(const void *)&ss;
}

static void test_grows_and_ends(void **state)
{
    (void)state;
    static struct penalties p;
    assert_false(penalty_applies(&p, address("192.0.2.1"), 1));
    assert_int_equal(penalty_add(&p, address("192.0.2.1"), 1000), 10000);
    assert_true(penalty_applies(&p, address("192.0.2.1"), 10999));
    assert_false(penalty_applies(&p, address("192.0.2.1"), 11000));
    assert_false(penalty_applies(&p, address("192.0.2.2"), 2000));
    assert_int_equal(penalty_add(&p, address("192.0.2.1"), 2000), 20000);
    assert_int_equal(penalty_add(&p, address("192.0.2.1"), 3000), 40000);
    for (int i = 0; i < 20; i++)
        penalty_add(&p, address("192.0.2.1"), 4000);
    assert_int_equal(penalty_add(&p, address("192.0.2.1"), 5000), PENALTY_LONGEST_MS);
    assert_int_equal(penalty_add(&p, address("192.0.2.1"), 5000 + PENALTY_LONGEST_MS),
                     PENALTY_FIRST_MS);
}

static void test_sources(void **state)
{
    (void)state;
    static struct penalties p;
    penalty_add(&p, address("2001:db8:1:2::1"), 0);
    assert_true(penalty_applies(&p, address("2001:db8:1:2:ffff::9"), 1));
    assert_false(penalty_applies(&p, address("2001:db8:1:3::1"), 1));
    assert_int_equal(penalty_add(&p, address("127.0.0.1"), 0), 0);
    assert_int_equal(penalty_add(&p, address("127.9.9.9"), 0), PENALTY_FIRST_MS);
    assert_int_equal(penalty_add(&p, address("::1"), 0), 0);
    assert_false(penalty_applies(&p, address("127.0.0.1"), 1));
}

static void test_full_table_forgets_the_first_to_end(void **state)
{
    (void)state;
    static struct penalties p;
    struct sockaddr_in in = {.sin_family = AF_INET};
    for (uint32_t i = 0; i < PENALTIES_MAX + 1; i++) {
        in.sin_addr.s_addr = htonl(0x0a000000 + i);
        penalty_add(&p, (struct sockaddr *)&in, i);
    }
    in.sin_addr.s_addr = htonl(0x0a000000);
    assert_false(penalty_applies(&p, (struct sockaddr *)&in, PENALTIES_MAX));
    in.sin_addr.s_addr = htonl(0x0a000001);
    assert_true(penalty_applies(&p, (struct sockaddr *)&in, PENALTIES_MAX));
    in.sin_addr.s_addr = htonl(0x0a000000 + PENALTIES_MAX);
    assert_true(penalty_applies(&p, (struct sockaddr *)&in, PENALTIES_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows_and_ends),
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_full_table_forgets_the_first_to_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
