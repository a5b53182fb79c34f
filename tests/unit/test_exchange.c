/* Which key exchanges are signed: this connection's, with the host key that signs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "exchange.h"

#include <openssl/evp.h>
#include <string.h>

#define VERSION IPC_VERSION " 00112233445566778899aabbccddeeff"

static const char host_key[] = "a host key", kexinit[] = "\x14 cookie, lists";
static unsigned char buf[2 * IPC_EXCHANGE_MAX];

/* The fields of an exchange; NULL: the right one. */
struct fields {
    const char *version, *theirs, *ours, *key;
    size_t n_parts, cut, pad;
};

static void put(struct wire_writer *w, const char *text)
{
    wire_put_bytes(w, (struct wire_bytes){(const unsigned char *)text, strlen(text)});
}

static struct exchange make(const struct fields *f)
{
    struct wire_writer w = {.buf = buf, .cap = sizeof buf};
    put(&w, "SSH-2.0-client");
    put(&w, f->version != NULL ? f->version : VERSION);
    put(&w, f->theirs != NULL ? f->theirs : kexinit);
    put(&w, f->ours != NULL ? f->ours : kexinit);
    put(&w, f->key != NULL ? f->key : host_key);
    for (size_t i = 0; i < f->n_parts; i++)
        put(&w, "a number");
    for (size_t i = 0; i < f->pad; i++)
        wire_put_u8(&w, 0);
    assert_false(w.overflow);
    return (struct exchange){.input = {buf, w.len - f->cut},
                             .digest_len = 32,
                             .version = VERSION,
                             .host_key = {(const unsigned char *)host_key, strlen(host_key)}};
}

static void test_hash(void **state)
{
    static const char *const digests[] = {"SHA256", "SHA384", "SHA512"};
    unsigned char hash[IPC_HASH_MAX], expected[IPC_HASH_MAX];
    size_t len;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct exchange exchange = make(&(struct fields){.n_parts = 3});
        exchange.digest_len = 32 + 16 * i;
        assert_int_equal(exchange_hash(&exchange, hash), exchange.digest_len);
        assert_int_equal(
            EVP_Q_digest(NULL, digests[i], NULL, buf, exchange.input.len, expected, &len), 1);
        assert_memory_equal(hash, expected, len);
    }
}

static void test_what_is_not_ours(void **state)
{
    static const struct fields cases[] = {
        {.n_parts = 2},
        {.n_parts = 4},
        {.n_parts = 3, .cut = 1},
        {.n_parts = 3, .pad = 1},
        {.n_parts = 3, .key = "another key"},
        {.n_parts = 3, .key = ""},
        {.n_parts = 3, .key = "a host ke"},
        {.n_parts = 3, .version = IPC_VERSION},
        {.n_parts = 3, .version = "SSH-2.0-client"},
        {.n_parts = 3, .version = VERSION "0"},
        {.n_parts = 3, .version = IPC_VERSION " 00112233445566778899aabbccddeefe"},
        {.n_parts = 3, .theirs = ""},
        {.n_parts = 3, .ours = "\x15"},
    };
    unsigned char hash[IPC_HASH_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct exchange exchange = make(&cases[i]);
        assert_int_equal(exchange_hash(&exchange, hash), 0);
    }
    for (size_t digest_len = 0; digest_len < 256; digest_len++) {
        struct exchange exchange = make(&(struct fields){.n_parts = 3});
        exchange.digest_len = digest_len;
        bool is_one = digest_len == 32 || digest_len == 48 || digest_len == 64;
        assert_int_equal(exchange_hash(&exchange, hash), is_one ? digest_len : 0);
    }
    struct exchange exchange = make(&(struct fields){.n_parts = 3, .key = ""});
    exchange.host_key.len = 0;
    assert_int_equal(exchange_hash(&exchange, hash), 0);
    exchange.input.len = 0;
    assert_int_equal(exchange_hash(&exchange, hash), 0);
}

static void test_version(void **state)
{
    char one[IPC_ID_MAX + 1], other[IPC_ID_MAX + 1];
    (void)state;
    assert_int_equal(exchange_make_version(one, NULL), 0);
    assert_int_equal(exchange_make_version(other, NULL), 0);
    assert_int_equal(strlen(one), strlen(VERSION));
    assert_int_equal(strncmp(one, IPC_VERSION " ", strlen(IPC_VERSION " ")), 0);
    assert_int_equal(strspn(one + strlen(IPC_VERSION " "), "0123456789abcdef"), 32);
    assert_string_not_equal(one, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_what_is_not_ours),
        cmocka_unit_test(test_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
