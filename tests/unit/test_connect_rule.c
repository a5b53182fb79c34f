/* connect = …: what each form means, what is wrong with the others, and lists of them in sandboxes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "connect_rule.h"
#include "policy_fixture.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static int parse(struct pool *pool, const char *text, struct egress_rule *rule, struct err *err)
{
    const struct origin at = {"/p/t.ini", 7};
    return connect_rule_parse(pool, text, &at, rule, err);
}

static void test_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text, *net;
        unsigned prefix, protocols;
        uint16_t first, last;
    } cases[] = {
        {"10.0.0.0/8:443", "::ffff:10.0.0.0", 104, EGRESS_ANY, 443, 443},
        {"192.0.2.7:53", "::ffff:192.0.2.7", 128, EGRESS_ANY, 53, 53},
        {"0.0.0.0/0:*", "::ffff:0.0.0.0", 96, EGRESS_ANY, 0, 65535},
        {"tcp:10.0.0.0/8:8000-8100", "::ffff:10.0.0.0", 104, EGRESS_TCP, 8000, 8100},
        {"udp:10.0.0.0/8:1-65535", "::ffff:10.0.0.0", 104, EGRESS_UDP, 1, 65535},
        {"10.0.0.0/8:5-5", "::ffff:10.0.0.0", 104, EGRESS_ANY, 5, 5},
        {"[2001:db8::]/32:443", "2001:db8::", 32, EGRESS_ANY, 443, 443},
        {"[2001:db8::7]:443", "2001:db8::7", 128, EGRESS_ANY, 443, 443},
        {"[::]/0:*", "::", 0, EGRESS_ANY, 0, 65535},
        {"udp:[::1]:53", "::1", 128, EGRESS_UDP, 53, 53},
        {"[::ffff:192.0.2.0]/120:80", "::ffff:192.0.2.0", 120, EGRESS_ANY, 80, 80},
        {"127.0.0.53:53", "::ffff:127.0.0.53", 128, EGRESS_ANY, 53, 53},
    };
    struct pool pool = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct egress_rule rule;
        struct err err;
        unsigned char net[16];
        if (parse(&pool, cases[i].text, &rule, &err) < 0)
            fail_msg("%s: %s", cases[i].text, err.text);
        assert_int_equal(inet_pton(AF_INET6, cases[i].net, net), 1);
        assert_memory_equal(rule.net, net, 16);
        assert_int_equal(rule.prefix, cases[i].prefix);
        assert_int_equal(rule.protocols, cases[i].protocols);
        assert_int_equal(rule.first, cases[i].first);
        assert_int_equal(rule.last, cases[i].last);
        assert_string_equal(rule.text, cases[i].text);
        assert_string_equal(rule.file, "/p/t.ini");
        assert_int_equal(rule.line, 7);
    }
    pool_free(&pool);
}

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"example.com:443",
         "'example.com' is a name: rules are kept by the kernel, which knows addresses, and what a "
         "name leads to may change; 'getent ahosts' shows the addresses"},
        {"tcp:example.com:443",
         "'example.com' is a name: rules are kept by the kernel, which knows addresses, and what a "
         "name leads to may change; 'getent ahosts' shows the addresses"},
        {"sctp:10.0.0.1:80",
         "'sctp' is a name: rules are kept by the kernel, which knows addresses, and what a name "
         "leads to may change; 'getent ahosts' shows the addresses"},
        {"10.0.0.0/8", "'10.0.0.0/8' names no port: add one, as in 192.0.2.0/24:443, or ':*' for "
                       "all"},
        {"[2001:db8::7]", "'[2001:db8::7]' names no port: add one, as in 192.0.2.0/24:443, or ':*' "
                          "for all"},
        {"[2001:db8::]/32", "'[2001:db8::]/32' names no port: add one, as in 192.0.2.0/24:443, or "
                            "':*' for all"},
        {"2001:db8::7:443", "'2001:db8::7:443': an IPv6 address stands in brackets, as in "
                            "[2001:db8::7]:443 or [2001:db8::]/32:443"},
        {"2001:db8::/32:443", "'2001:db8::/32:443': an IPv6 address stands in brackets, as in "
                              "[2001:db8::7]:443 or [2001:db8::]/32:443"},
        {"[2001:db8::/32]:443", "'[2001:db8::/32]:443': the prefix comes after the ']', as in "
                                "[2001:db8::]/32:443"},
        {"[2001:db8::7:443", "'[2001:db8::7:443' has no ']'"},
        {"[2001:db8::7]x:443", "'[2001:db8::7]x:443': after the ']' come '/' and a prefix, or ':' "
                               "and ports"},
        {"[10.0.0.1]:443", "'[10.0.0.1]' is IPv4: leave the brackets out"},
        {"10.0.0.1/8:443", "'10.0.0.1/8' has bits beyond its prefix (its network is 10.0.0.0/8)"},
        {"10.0.0.0/33:443", "prefix: '33' is out of range (0 to 32)"},
        {"[2001:db8::]/129:443", "prefix: '129' is out of range (0 to 128)"},
        {"10.0.0:443", "'10.0.0' is not an IP address or network (names are not looked up)"},
        {":443", "'' is not an IP address or network (names are not looked up)"},
        {"[]:443", "'' is not an IP address or network (names are not looked up)"},
        {"[fe80::1%eth0]:443",
         "'fe80::1%eth0' is a name: rules are kept by the kernel, which knows addresses, and what "
         "a name leads to may change; 'getent ahosts' shows the addresses"},
        {"0.0.0.0:443", "'0.0.0.0' is no address to connect to; this host is 127.0.0.1"},
        {"0.0.0.0/8:443", "'0.0.0.0/8' is no address to connect to; this host is 127.0.0.1"},
        {"[::]:443", "'::' is no address to connect to; this host is [::1]"},
        {"10.0.0.0/8:0", "port: '0' is out of range (1 to 65535)"},
        {"10.0.0.0/8:65536", "port: '65536' is out of range (1 to 65535)"},
        {"10.0.0.0/8:", "port: '' is not a whole number"},
        {"10.0.0.0/8:80-", "port: '' is not a whole number"},
        {"10.0.0.0/8:-80", "port: '' is not a whole number"},
        {"10.0.0.0/8:80-70", "ports '80-70' begin with the higher one"},
        {"10.0.0.0/8:80,443", "ports '80,443' are none of: PORT, FIRST-LAST, *"},
        {"10.0.0.0/8:http", "ports 'http' are none of: PORT, FIRST-LAST, *"},
        {"10.0.0.0/8:80 ", "ports '80 ' are none of: PORT, FIRST-LAST, *"},
        {"10.0.0.0/8:**", "ports '**' are none of: PORT, FIRST-LAST, *"},
        {"10.0.0.0/8:\x1b", "ports '\\x1b' are none of: PORT, FIRST-LAST, *"},
        {"tcp:", "'' names no port: add one, as in 192.0.2.0/24:443, or ':*' for all"},
    };
    struct pool pool = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct egress_rule rule;
        struct err err;
        if (parse(&pool, cases[i].text, &rule, &err) == 0)
            fail_msg("%s is no error", cases[i].text);
        assert_string_equal(err.text, cases[i].error);
    }
    pool_free(&pool);
}

/* Whatever comes is a rule or an error, and a rule that is written again is the same rule. */
static void test_noise(void **state)
{
    (void)state;
    static const char alphabet[] = "0123456789abcdef.:/[]-*tcpudx %";
    struct pool pool = {0};
    uint32_t seed = 12345;
    unsigned n_rules = 0;
    for (int round = 0; round < 200000; round++) {
        static const char *const begins[] = {"", "10.0.0.0", "tcp:10.", "[2001:db8::", "[::1]:"};
        char text[32];
        seed = seed * 1664525 + 1013904223;
        int len = snprintf(text, sizeof text, "%s", begins[(seed >> 8) % 5]);
        for (unsigned more = (seed >> 16) % 9; more > 0; more--) {
            seed = seed * 1664525 + 1013904223;
            text[len++] = alphabet[(seed >> 10) % (sizeof alphabet - 1)];
        }
        text[len] = '\0';
        struct egress_rule rule;
        struct err err;
        if (parse(&pool, text, &rule, &err) < 0)
            continue;
        n_rules++;
        assert_true(rule.prefix <= 128 && rule.first <= rule.last && rule.protocols >= 1 &&
                    rule.protocols <= 3);
        for (unsigned bit = rule.prefix; bit < 128; bit++)
            assert_int_equal(rule.net[bit / 8] & (0x80U >> bit % 8), 0);
    }
    assert_true(n_rules > 100);
    pool_free(&pool);
}

static const struct sandbox_spec *find(const struct policy *p, const char *name)
{
    for (size_t i = 0; i < p->n_sandboxes; i++)
        if (strcmp(p->sandboxes[i].name, name) == 0)
            return &p->sandboxes[i];
    fail_msg("no sandbox %s", name);
    return NULL;
}

static void test_lists(void **state)
{
    (void)state;
    struct policy *p = fixture_load_good(
        "[sandbox \"a\"]\nnetwork = egress\nconnect = 192.0.2.1:1\nconnect = 192.0.2.2:2\n"
        "[sandbox \"more\"]\nextends = a\nconnect = 192.0.2.3:3\n"
        "[sandbox \"other\"]\nextends = a\nconnect =\nconnect = 192.0.2.4:4\n"
        "[sandbox \"off\"]\nextends = a\nnetwork = none\n");
    const struct sandbox_spec *a = find(p, "a"), *more = find(p, "more");
    assert_int_equal(a->network, NETWORK_EGRESS);
    assert_true(a->seccomp.unix_apart);
    assert_int_equal(a->n_connects, 2);
    assert_int_equal(a->connects[1].line, 4);
    assert_int_equal(more->network, NETWORK_EGRESS);
    assert_true(more->seccomp.unix_apart);
    assert_int_equal(more->n_connects, 3);
    assert_int_equal(more->connects[2].first, 3);
    assert_int_equal(find(p, "other")->n_connects, 1);
    assert_int_equal(find(p, "other")->connects[0].first, 4);
    assert_int_equal(find(p, "off")->network, NETWORK_NONE);
    assert_false(find(p, "off")->seccomp.unix_apart);
    policy_free(p);
}

static void test_with_other_networks(void **state)
{
    (void)state;
    static const struct {
        const char *text, *problems;
    } cases[] = {
        {"[sandbox \"a\"]\nnetwork = host\nconnect = 192.0.2.1:1\n",
         "2: error: network = host does not keep to the list of 'connect' (/p/policy.d/t.ini:3) "
         "(network = egress does; 'connect =' empties the list)\n"},
        {"[sandbox \"a\"]\nnetwork = egress\nconnect = 192.0.2.1:1\n"
         "[sandbox \"b\"]\nextends = a\nnetwork = host\n",
         "6: error: network = host does not keep to the list of 'connect' (/p/policy.d/t.ini:3) "
         "(network = egress does; 'connect =' empties the list)\n"},
        {"[sandbox \"a\"]\nnetwork = host\n[sandbox \"b\"]\nextends = a\nconnect = 192.0.2.1:1\n",
         "2: error: network = host does not keep to the list of 'connect' (/p/policy.d/t.ini:5) "
         "(network = egress does; 'connect =' empties the list)\n"},
        {"[sandbox \"a\"]\nnetwork = egress\nconnect = example.org:80\n",
         "3: error: 'example.org' is a name: rules are kept by the kernel, which knows addresses, "
         "and what a name leads to may change; 'getent ahosts' shows the addresses\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_null(fixture_load_text(cases[i].text));
        assert_problems(cases[i].problems);
    }
    struct policy *p = fixture_load_text("[sandbox \"a\"]\nconnect = 192.0.2.1:1\n");
    assert_non_null(p);
    policy_free(p);
    assert_problems("2: warning: connect has no effect with network = none (network = egress puts "
                    "it in force)\n");
}

static void test_too_many(void **state)
{
    (void)state;
    struct pool pool = {0};
    struct egress_rule *rules = NULL;
    const struct origin at = {"/p/t.ini", 7};
    struct err err;
    size_t n = 0;
    for (int i = 0; i < 256; i++)
        assert_int_equal(connect_rules_add(&pool, &rules, &n, "192.0.2.1:1", &at, &err), 0);
    assert_int_equal(connect_rules_add(&pool, &rules, &n, "192.0.2.1:1", &at, &err), -1);
    assert_string_equal(err.text, "more than 256 connect rules; wider networks take fewer");
    assert_int_equal(connect_rules_add(&pool, &rules, &n, "", &at, &err), 0);
    assert_int_equal(n, 0);
    pool_free(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_with_other_networks),
        cmocka_unit_test(test_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
