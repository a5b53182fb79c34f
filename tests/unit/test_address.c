/* Addresses and from= lists: each edge of CIDR, both families, negation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "address.h"
#include "pool.h"

#include <stdio.h>
#include <string.h>

static const struct origin here = {"f", 7};

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *hex; /* NULL: no address */
    } cases[] = {
        {"1.2.3.4", "00000000000000000000ffff01020304"},
        {"::ffff:1.2.3.4", "00000000000000000000ffff01020304"},
        {"::ffff:102:304", "00000000000000000000ffff01020304"},
        {"::1.2.3.4", "00000000000000000000000001020304"},
        {"::1", "00000000000000000000000000000001"},
        {"::", "00000000000000000000000000000000"},
        {"2001:DB8::a", "20010db800000000000000000000000a"},
        {"fe80::1%eth0", "fe800000000000000000000000000001"},
        {"fe80::1%", "fe800000000000000000000000000001"},
        {"fe80::1%eth0\n", NULL},
        {"fe80::1%\x1b[31m", NULL},
        {"1.2.3.4%\xc2\x9b"
         "31m",
         NULL},
        {"1.2.3.4%\x7f", NULL},
        {"1.2.3.4% ", NULL},
        {"", NULL},
        {"1.2.3", NULL},
        {"1.2.3.4.5", NULL},
        {"1.2.3.256", NULL},
        {"01.2.3.4", NULL},
        {" 1.2.3.4", NULL},
        {"1.2.3.4 ", NULL},
        {"0x1.2.3.4", NULL},
        {"1.2.3.4/32", NULL},
        {"::1::", NULL},
        {"1:2:3:4:5:6:7:8:9", NULL},
        {"[::1]", NULL},
        {"localhost", NULL},
        {"!::1", NULL},
        {"1111:2222:3333:4444:5555:6666:7777:8888:1111:2222:3333:4444:5555:6666", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char out[ADDRESS_LEN];
        char hex[2 * ADDRESS_LEN + 1];
        int rc = address_parse(cases[i].text, out);
        if (rc != (cases[i].hex == NULL ? -1 : 0))
            fail_msg("'%s'", cases[i].text);
        for (size_t k = 0; rc == 0 && k < ADDRESS_LEN; k++)
            snprintf(hex + 2 * k, 3, "%02x", out[k]);
        if (rc == 0)
            assert_string_equal(hex, cases[i].hex);
    }
}

static void test_lists(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        const char *addr;
        bool allowed;
        const char *rule; /* that settles it */
    } cases[] = {
        {"", "1.2.3.4", true, NULL},
        {"1.2.3.4", "1.2.3.4", true, "1.2.3.4"},
        {"1.2.3.4", "1.2.3.5", false, NULL},
        {"1.2.3.4/32", "1.2.3.4", true, "1.2.3.4/32"},
        {"1.2.3.4/32", "1.2.3.5", false, NULL},
        {"1.2.3.4/31", "1.2.3.5", true, "1.2.3.4/31"},
        {"1.2.3.4/31", "1.2.3.3", false, NULL},
        {"1.2.3.4/31", "1.2.3.6", false, NULL},
        {"128.0.0.0/1", "127.255.255.255", false, NULL},
        {"128.0.0.0/1", "128.0.0.0", true, "128.0.0.0/1"},
        {"0.0.0.0/0", "255.255.255.255", true, "0.0.0.0/0"},
        {"0.0.0.0/0", "::1", false, NULL},
        {"0.0.0.0/0", "::1.2.3.4", false, NULL},
        {"10.0.0.0/8", "10.255.0.1", true, "10.0.0.0/8"},
        {"10.0.0.0/8", "11.0.0.0", false, NULL},
        {"10.0.0.0/8", "a00::", false, NULL},
        /* A client over a dual-stack socket is the same client. */
        {"1.2.3.4", "::ffff:1.2.3.4", true, "1.2.3.4"},
        {"::ffff:1.2.3.4", "1.2.3.4", true, "::ffff:1.2.3.4"},
        {"::ffff:1.2.0.0/112", "1.2.3.4", true, "::ffff:1.2.0.0/112"},
        {"::ffff:0.0.0.0/96", "1.2.3.4", true, "::ffff:0.0.0.0/96"},
        {"::ffff:0.0.0.0/96", "::1", false, NULL},
        /* Rules for IPv6 are about IPv6. */
        {"::/0", "::1", true, "::/0"},
        {"::/0", "1.2.3.4", false, NULL},
        {"::/0", "::ffff:1.2.3.4", false, NULL},
        {"::/80", "::ffff:1.2.3.4", false, NULL},
        {"::/80", "::fffe:1.2.3.4", true, "::/80"},
        {"0.0.0.0/0,!::/0", "1.2.3.4", true, "0.0.0.0/0"},
        {"::1/128", "::1", true, "::1/128"},
        {"::1/128", "::2", false, NULL},
        {"2001:db8::2/127", "2001:db8::3", true, "2001:db8::2/127"},
        {"2001:db8::2/127", "2001:db8::1", false, NULL},
        {"2001:db8::2/127", "2001:db8::4", false, NULL},
        {"2001:db8::/33", "2001:db8:7fff::", true, "2001:db8::/33"},
        {"2001:db8::/33", "2001:db8:8000::", false, NULL},
        {"2001:db8::/32", "2001:db8::1%eth0", true, "2001:db8::/32"},
        /* '!' wins wherever it stands. */
        {"10.0.0.0/8,!10.1.0.0/16", "10.1.2.3", false, "!10.1.0.0/16"},
        {"!10.1.0.0/16,10.0.0.0/8", "10.1.2.3", false, "!10.1.0.0/16"},
        {"!10.1.0.0/16,10.0.0.0/8,10.1.2.3", "10.1.2.3", false, "!10.1.0.0/16"},
        {"!10.1.0.0/16,10.0.0.0/8", "10.2.2.3", true, "10.0.0.0/8"},
        {"!10.1.0.0/16,10.0.0.0/8", "11.2.2.3", false, NULL},
        {"!10.1.0.0/16", "11.2.2.3", false, NULL},
        {"!0.0.0.0/0,::/0", "1.2.3.4", false, "!0.0.0.0/0"},
        {"192.0.2.1 \t,, 198.51.100.0/24", "198.51.100.9", true, "198.51.100.0/24"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pool pool = {0};
        struct address_list list = {0};
        struct err err;
        unsigned char addr[ADDRESS_LEN];
        assert_int_equal(address_parse(cases[i].addr, addr), 0);
        if (address_list_add(&pool, &list, cases[i].list, &here, &err) < 0)
            fail_msg("%s: %s", cases[i].list, err.text);
        const struct address_rule *rule = address_list_match(&list, addr);
        if (address_list_allows(&list, addr) != cases[i].allowed)
            fail_msg("%s in %s", cases[i].addr, cases[i].list);
        assert_true((rule == NULL) == (cases[i].rule == NULL));
        if (rule != NULL) {
            assert_string_equal(rule->text, cases[i].rule);
            assert_int_equal(rule->origin.line, 7);
        }
        pool_free(&pool);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"example.org", "'example.org' is not an IP address or network (names are not looked up)"},
        {"10.0.0.*", "'10.0.0.*' is not an IP address or network (names are not looked up)"},
        {"10.0.0/8", "'10.0.0/8' is not an IP address or network (names are not looked up)"},
        {"10.0.0.0/", "prefix: '' is not a whole number"},
        {"10.0.0.0/33", "prefix: '33' is out of range (0 to 32)"},
        {"10.0.0.0/-1", "prefix: '-1' is not a whole number"},
        {"10.0.0.0/8/8", "prefix: '8/8' is not a whole number"},
        {"::/129", "prefix: '129' is out of range (0 to 128)"},
        {"::/99999999999999999999", "prefix: '99999999999999999999' is out of range (0 to 128)"},
        {"10.0.0.1/8", "'10.0.0.1/8' has bits beyond its prefix (its network is 10.0.0.0/8)"},
        {"0.0.0.1/0", "'0.0.0.1/0' has bits beyond its prefix (its network is 0.0.0.0/0)"},
        {"1.2.3.5/31", "'1.2.3.5/31' has bits beyond its prefix (its network is 1.2.3.4/31)"},
        {"::3/127", "'::3/127' has bits beyond its prefix (its network is ::2/127)"},
        {"::1/0", "'::1/0' has bits beyond its prefix (its network is ::/0)"},
        {"!", "'' is not an IP address or network (names are not looked up)"},
        {"!!::1", "'!::1' is not an IP address or network (names are not looked up)"},
        {"! ::1", "'' is not an IP address or network (names are not looked up)"},
        {"fe80::1%eth0",
         "'fe80::1%eth0' is not an IP address or network (names are not looked up)"},
        {"::1,\x1b[2J", "'\\x1b[2J' is not an IP address or network (names are not looked up)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pool pool = {0};
        struct address_list list = {0};
        struct err err = {0};
        if (address_list_add(&pool, &list, cases[i].text, &here, &err) != -1)
            fail_msg("'%s' was taken", cases[i].text);
        assert_string_equal(err.text, cases[i].why);
        pool_free(&pool);
    }
}

static void test_whole_lists(void **state)
{
    (void)state;
    static char many[ADDRESS_RULES_MAX * 8 + 16];
    struct pool pool = {0};
    struct address_list list = {0};
    struct err err = {0};
    assert_null(address_list_problem(&list));
    assert_int_equal(address_list_add(&pool, &list, "!10.0.0.0/8", &here, &err), 0);
    assert_string_equal(address_list_problem(&list),
                        "from lists only who is refused: nobody could log in");
    assert_int_equal(address_list_add(&pool, &list, "!::1 192.0.2.1", &here, &err), 0);
    assert_null(address_list_problem(&list));
    assert_int_equal(list.n, 3);

    list = (struct address_list){0};
    for (size_t i = 0; i < ADDRESS_RULES_MAX; i++)
        strcat(many, "::1,");
    assert_int_equal(address_list_add(&pool, &list, many, &here, &err), 0);
    assert_int_equal(list.n, ADDRESS_RULES_MAX);
    assert_int_equal(address_list_add(&pool, &list, "::1", &here, &err), -1);
    assert_string_equal(err.text, "more than 256 addresses");
    pool_free(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_whole_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
