/* Sources: which addresses are one, how they are shown, and that they come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "source.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static struct sources sources;

static struct source_key key_of(const char *text, uint32_t ipv4, uint32_t ipv6)
{
    struct sockaddr_storage ss = {0};
    struct source_key key;
    const struct source_prefixes prefixes = {ipv4, ipv6};
    if (inet_pton(AF_INET, text, &((struct sockaddr_in *)(void *)&ss)->sin_addr) == 1)
        ss.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)(void *)&ss)->sin6_addr) == 1)
        ss.ss_family = AF_INET6;
    assert_true(source_key_of((struct sockaddr *)&ss, &prefixes, &key));
    return key;
}

static void test_keys(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        uint32_t ipv4, ipv6;
        const char *shown;
    } cases[] = {
        {"192.0.2.7", 32, 64, "192.0.2.7"},
        {"192.0.2.7", 24, 64, "192.0.2.0/24"},
        {"192.0.2.7", 8, 64, "192.0.0.0/8"},
        {"::ffff:192.0.2.7", 32, 64, "192.0.2.7"},
        {"::ffff:192.0.2.7", 20, 64, "192.0.0.0/20"},
        {"2001:db8:1:2:3:4:5:6", 32, 64, "2001:db8:1:2::/64"},
        {"2001:db8:1:2:3:4:5:6", 32, 56, "2001:db8:1::/56"},
        {"2001:db8:1:2:3:4:5:6", 32, 128, "2001:db8:1:2:3:4:5:6"},
        {"::1", 32, 64, "::/64"},
        {"::1", 32, 128, "::1"},
    };
    char buf[SOURCE_TEXT_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct source_key key = key_of(cases[i].address, cases[i].ipv4, cases[i].ipv6);
        assert_string_equal(source_format(&key, buf), cases[i].shown);
    }
    struct source_key a = key_of("2001:db8::1", 32, 64), b = key_of("2001:db8::ffff:9", 32, 64);
    assert_true(source_key_equals(&a, &b));
    b = key_of("2001:db8:0:1::1", 32, 64);
    assert_false(source_key_equals(&a, &b));
    struct source_key none;
    const struct sockaddr local = {.sa_family = AF_UNIX};
    assert_false(source_key_of(&local, &(struct source_prefixes){32, 64}, &none));
}

static void test_hold_and_release(void **state)
{
    (void)state;
    struct source *held[5000];
    for (uint32_t i = 0; i < 5000; i++) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000000 + i)};
        struct source_key key;
        assert_true(source_key_of((struct sockaddr *)&in, &(struct source_prefixes){32, 64}, &key));
        assert_null(source_find(&sources, &key));
        held[i] = source_hold(&sources, &key);
        assert_non_null(held[i]);
        assert_ptr_equal(source_find(&sources, &key), held[i]);
    }
    /* Twice held, twice to be released. */
    struct source_key key = held[7]->key;
    assert_ptr_equal(source_hold(&sources, &key), held[7]);
    assert_int_equal(held[7]->n_connections, 2);
    source_release(&sources, held[7]);
    assert_ptr_equal(source_find(&sources, &key), held[7]);
    for (size_t i = 0; i < 5000; i++)
        source_release(&sources, held[i]);
    source_release(&sources, NULL);
    for (size_t i = 0; i < SOURCE_BUCKETS; i++)
        assert_null(sources.buckets[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_hold_and_release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
