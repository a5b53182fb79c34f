/* Which algorithms may be offered, and what is said of the others; the banner's text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "algorithms.h"
#include "banner.h"
#include "cleanup.h"

#include <string.h>

static void test_lists(void **state)
{
    (void)state;
    static const struct {
        enum algorithm_kind kind;
        const char *text, *out;
    } cases[] = {
        {ALGORITHM_KEX, "curve25519-sha256", "curve25519-sha256"},
        {ALGORITHM_KEX, " ecdh-sha2-nistp256 ,\tcurve25519-sha256,",
         "ecdh-sha2-nistp256,curve25519-sha256"},
        {ALGORITHM_CIPHER, "aes256-ctr aes128-ctr", "aes256-ctr,aes128-ctr"},
        {ALGORITHM_MAC, "hmac-sha2-512", "hmac-sha2-512"},
        {ALGORITHM_HOST_KEY, "ssh-ed25519,rsa-sha2-256", "ssh-ed25519,rsa-sha2-256"},
        {ALGORITHM_USER_KEY, "ssh-ed25519", "ssh-ed25519"},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        struct err err = {0};
        char out[ALGORITHMS_TEXT_MAX];
        if (algorithms_parse(cases[i].kind, cases[i].text, out, &err) < 0)
            fail_msg("%s: %s", cases[i].text, err.text);
        assert_string_equal(out, cases[i].out);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        enum algorithm_kind kind;
        const char *text, *why;
    } cases[] = {
        {ALGORITHM_KEX, "", "the list is empty"},
        {ALGORITHM_KEX, " , ", "the list is empty"},
        {ALGORITHM_KEX, "curve25519-sha256 curve25519-sha256",
         "'curve25519-sha256' is listed twice"},
        {ALGORITHM_KEX, "aes256-ctr", "'aes256-ctr' is a cipher, not a key exchange"},
        {ALGORITHM_CIPHER, "hmac-sha2-256", "'hmac-sha2-256' is a MAC, not a cipher"},
        {ALGORITHM_MAC, "ssh-ed25519", "'ssh-ed25519' is for keys, not a MAC"},
        {ALGORITHM_KEX, "diffie-hellman-group1-sha1",
         "'diffie-hellman-group1-sha1' is not offered: its group has 1024 bits; use "
         "curve25519-sha256"},
        {ALGORITHM_KEX, "diffie-hellman-group14-sha1",
         "'diffie-hellman-group14-sha1' is not offered: SHA-1 is broken; use one with sha2 or "
         "sha256 in its name"},
        {ALGORITHM_KEX, "diffie-hellman-group-exchange-sha256",
         "'diffie-hellman-group-exchange-sha256' is not offered: its groups come from a file that "
         "sessions can't open; use diffie-hellman-group16-sha512"},
        {ALGORITHM_CIPHER, "aes128-cbc",
         "'aes128-cbc' is not offered: CBC lets an attacker learn plain text; use "
         "aes256-gcm@openssh.com"},
        {ALGORITHM_CIPHER, "none", "'none' is not offered: it protects nothing"},
        {ALGORITHM_MAC, "hmac-md5",
         "'hmac-md5' is not offered: MD5 is broken; use hmac-sha2-256-etm@openssh.com"},
        {ALGORITHM_HOST_KEY, "ssh-rsa",
         "'ssh-rsa' is not offered: it signs with SHA-1, which is broken; use rsa-sha2-256, for "
         "the same keys"},
        {ALGORITHM_USER_KEY, "ssh-dss",
         "'ssh-dss' is not offered: DSA keys have 1024 bits; use ssh-ed25519"},
        {ALGORITHM_KEX, "Curve25519\x1b",
         "'Curve25519\\x1b' is not an algorithm that this server has; see postern.ini(5) for those "
         "that it has"},
        {ALGORITHM_KEX,
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "names of algorithms have at most 64 characters"},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        struct err err = {0};
        char out[ALGORITHMS_TEXT_MAX];
        assert_int_equal(algorithms_parse(cases[i].kind, cases[i].text, out, &err), -1);
        assert_string_equal(err.text, cases[i].why);
    }
}

static void test_defaults_are_legal(void **state)
{
    (void)state;
    const char *const defaults[ALGORITHM_KINDS] = {
        algorithms_default_kex, algorithms_default_ciphers, algorithms_default_macs,
        algorithms_default_keys, algorithms_default_user_keys};
    for (unsigned kind = 0; kind < ALGORITHM_KINDS; kind++) {
        struct err err = {0};
        char out[ALGORITHMS_TEXT_MAX];
        assert_int_equal(algorithms_parse(kind, defaults[kind], out, &err), 0);
        assert_string_equal(out, defaults[kind]);
    }
    assert_true(algorithms_have("a,bc,d", "bc"));
    assert_false(algorithms_have("a,bc,d", "b"));
    assert_false(algorithms_have("a,bc,d", ""));
}

static void test_banner(void **state)
{
    (void)state;
    static char out[BANNER_MAX + 1], big[BANNER_MAX + 1];
    struct err err = {0};
    static const struct {
        const char *text, *out, *why;
    } cases[] = {
        {"one", "one\r\n", NULL},
        {"a\n\n\tb\r\nc\n", "a\r\n\r\n\tb\r\nc\r\n", NULL},
        {"Gr\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", "Gr\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\r\n",
         NULL},
        {"", NULL, "it is empty"},
        {"a\rb", NULL, "line 1 has a control character"},
        {"a\n\x7f", NULL, "line 2 has a control character"},
        {"\xc2\x85", NULL, "line 1 has a control character"},
        {"\xc0\x80", NULL, "line 1 is not UTF-8"},
        {"\xed\xa0\x80", NULL, "line 1 is not UTF-8"},
        {"\xf4\x90\x80\x80", NULL, "line 1 is not UTF-8"},
        {"a\xe2\x82", NULL, "line 1 is not UTF-8"},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        int rc = banner_convert(cases[i].text, strlen(cases[i].text), out, &err);
        assert_int_equal(rc, cases[i].why == NULL ? 0 : -1);
        assert_string_equal(cases[i].why == NULL ? out : err.text,
                            cases[i].why == NULL ? cases[i].out : cases[i].why);
    }
    /* NUL is a control character, too. */
    assert_int_equal(banner_convert("a\0b", 3, out, &err), -1);
    memset(big, 'x', sizeof big);
    assert_int_equal(banner_convert(big, BANNER_MAX - 2, out, &err), 0);
    assert_int_equal(strlen(out), BANNER_MAX);
    assert_int_equal(banner_convert(big, BANNER_MAX - 1, out, &err), -1);
    assert_string_equal(err.text, "it is longer than 4096 bytes");
    memset(big, '\n', sizeof big);
    assert_int_equal(banner_convert(big, BANNER_MAX / 2 - 1, out, &err), 0);
    assert_int_equal(banner_convert(big, BANNER_MAX / 2 + 1, out, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_defaults_are_legal),
        cmocka_unit_test(test_banner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
