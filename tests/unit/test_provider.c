/* Signatures in a session: none is made without the master, none is judged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "provider.h"
#include "witness.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const unsigned char hash[] = "an exchange hash of 48 bytes, as with nistp384..";

enum { HASH_LEN = sizeof hash - 1 };

static const struct kind {
    enum provider_key type;
    const char *algorithm;
    const char *digest;
    unsigned bits;
    const char *curve;
} kinds[] = {
    {PROVIDER_ED25519, "ssh-ed25519", NULL, 0, NULL},
    {PROVIDER_ECDSA, "ecdsa-sha2-nistp256", "SHA256", 0, "P-256"},
    {PROVIDER_ECDSA, "ecdsa-sha2-nistp384", "SHA384", 0, "P-384"},
    {PROVIDER_ECDSA, "ecdsa-sha2-nistp521", "SHA512", 0, "P-521"},
    {PROVIDER_RSA, "rsa-sha2-256", "SHA256", 2048, NULL},
    {PROVIDER_RSA, "rsa-sha2-512", "SHA512", 2048, NULL},
};

static EVP_PKEY *make_key(const struct kind *kind)
{
    EVP_PKEY *key = kind->curve != NULL ? EVP_EC_gen(kind->curve)
                    : kind->bits > 0    ? EVP_RSA_gen(kind->bits)
                                        : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    assert_non_null(key);
    return key;
}

/* libssh's way: no properties, no contexts of its own. */
static int sign(EVP_PKEY *key, const char *digest, unsigned char *out, size_t *len)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const EVP_MD *md = digest != NULL ? EVP_get_digestbyname(digest) : NULL;
    size_t most = 0;
    assert_int_equal(EVP_DigestSignInit(context, NULL, md, NULL, key), 1);
    assert_int_equal(EVP_DigestSign(context, NULL, &most, hash, HASH_LEN), 1);
    assert_true(most <= *len);
    int rc = EVP_DigestSign(context, out, len, hash, HASH_LEN);
    EVP_MD_CTX_free(context);
    return rc;
}

static int verify(EVP_PKEY *key, const char *digest, const unsigned char *signature, size_t len)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const EVP_MD *md = digest != NULL ? EVP_get_digestbyname(digest) : NULL;
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, md, NULL, key), 1);
    int rc = EVP_DigestVerify(context, signature, len, hash, HASH_LEN);
    EVP_MD_CTX_free(context);
    return rc;
}

/* The other provider's, for what a client would send. */
static size_t sign_truly(EVP_PKEY *key, const char *digest, unsigned char *out, size_t cap)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(
        EVP_DigestSignInit_ex(context, NULL, digest, NULL, "provider=default", key, NULL), 1);
    assert_int_equal(EVP_DigestSign(context, out, &cap, hash, HASH_LEN), 1);
    EVP_MD_CTX_free(context);
    return cap;
}

static size_t put_string(unsigned char *out, const void *data, size_t len)
{
    struct wire_writer w = {.buf = out, .cap = IPC_SIGNATURE_MAX};
    wire_put_bytes(&w, (struct wire_bytes){data, len});
    assert_false(w.overflow);
    return w.len;
}

/* Two positive numbers (RFC 5656 section 3.1.2), from DER. */
static size_t put_numbers(unsigned char *out, const unsigned char *der, size_t len)
{
    unsigned char inner[256], mpi[128];
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)len);
    size_t n = 0;
    assert_non_null(pair);
    const BIGNUM *numbers[] = {ECDSA_SIG_get0_r(pair), ECDSA_SIG_get0_s(pair)};
    for (size_t i = 0; i < 2; i++)
        n += put_string(inner + n, mpi + 4, (size_t)BN_bn2mpi(numbers[i], mpi) - 4);
    ECDSA_SIG_free(pair);
    return put_string(out, inner, n);
}

static void assert_kept(const struct kind *kind, const unsigned char *raw, size_t len)
{
    unsigned char expected[IPC_SIGNATURE_MAX];
    size_t n = put_string(expected, kind->algorithm, strlen(kind->algorithm));
    n += kind->type == PROVIDER_ECDSA ? put_numbers(expected + n, raw, len)
                                      : put_string(expected + n, raw, len);
    struct wire_bytes kept = provider_take_signature(false);
    assert_int_equal(kept.len, n);
    assert_memory_equal(kept.data, expected, n);
    assert_int_equal(provider_take_signature(false).len, 0);
}

static void test_what_is_verified_is_kept(void **state)
{
    (void)state;
    unsigned char raw[2048];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        EVP_PKEY *key = make_key(&kinds[i]);
        size_t len = sign_truly(key, kinds[i].digest, raw, sizeof raw);
        assert_int_equal(verify(key, kinds[i].digest, raw, len), 1);
        assert_kept(&kinds[i], raw, len);
        /* A wrong one too: it is another's to judge. */
        raw[len - 1] ^= 1;
        assert_int_equal(verify(key, kinds[i].digest, raw, len), 1);
        assert_kept(&kinds[i], raw, len);
        EVP_PKEY_free(key);
    }
}

/* A security key signs two digests with flags and a counter in between: they are SSH's form's. */
static void test_what_a_security_key_has_signed(void **state)
{
    static const char *const names[] = {"sk-ssh-ed25519@openssh.com",
                                        "sk-ecdsa-sha2-nistp256@openssh.com"};
    unsigned char data[70] = {0}, raw[256], expected[512];
    (void)state;
    memcpy(data + 32, "\x05\x01\x02\x03\x04", 5);
    for (size_t i = 0; i < 2; i++) {
        EVP_PKEY *key = make_key(&kinds[i]);
        size_t len = sign_truly(key, kinds[i].digest, raw, sizeof raw);
        for (size_t size = 68; size <= 70; size++) {
            EVP_MD_CTX *context = EVP_MD_CTX_new();
            const EVP_MD *md = kinds[i].digest != NULL ? EVP_sha256() : NULL;
            assert_int_equal(EVP_DigestVerifyInit(context, NULL, md, NULL, key), 1);
            assert_int_equal(EVP_DigestVerify(context, raw, len, data, size), 1);
            EVP_MD_CTX_free(context);
            size_t n = put_string(expected, names[i], strlen(names[i]));
            n += i == 1 ? put_numbers(expected + n, raw, len) : put_string(expected + n, raw, len);
            memcpy(expected + n, data + 32, 5);
            struct wire_bytes kept = provider_take_signature(true);
            assert_int_equal(kept.len, size == 69 ? n + 5 : 0);
            assert_memory_equal(kept.data, expected, kept.len);
            assert_int_equal(provider_take_signature(true).len, 0);
        }
        EVP_PKEY_free(key);
    }
}

static void test_what_can_not_be_right_is_not_kept(void **state)
{
    (void)state;
    static const unsigned char raw[4096] = {1};
    EVP_PKEY *rsa = make_key(&kinds[4]), *curve = make_key(&kinds[1]);
    assert_int_equal(verify(rsa, "SHA1", raw, 256), 1);
    assert_int_equal(provider_take_signature(false).len, 0);
    assert_int_equal(verify(rsa, "SHA256", raw, sizeof raw), 1);
    assert_int_equal(provider_take_signature(false).len, 0);
    assert_int_equal(verify(curve, "SHA256", raw, 70), 1);
    assert_int_equal(provider_take_signature(false).len, 0);
    /* Nor does what came before it come out in its place. */
    assert_int_equal(verify(rsa, "SHA256", raw, 256), 1);
    assert_int_equal(verify(curve, "SHA256", raw, 70), 1);
    assert_int_equal(provider_take_signature(false).len, 0);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(curve);
}

static void test_nothing_is_signed_without_the_master(void **state)
{
    (void)state;
    unsigned char out[2048];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        EVP_PKEY *key = make_key(&kinds[i]);
        size_t len = sizeof out;
        assert_int_not_equal(sign(key, kinds[i].digest, out, &len), 1);
        EVP_PKEY_free(key);
    }
}

static void test_nothing_is_signed_without_an_exchange(void **state)
{
    (void)state;
    unsigned char out[2048];
    size_t len = sizeof out;
    static struct ask nobody = {.link = {.fd = -1}};
    EVP_PKEY *key = make_key(&kinds[0]);
    provider_set_master(&nobody);
    assert_int_not_equal(sign(key, NULL, out, &len), 1);
    provider_set_master(NULL);
    EVP_PKEY_free(key);
}

/* What a key exchange hashes begins with the client's version. */
static void hash_exchange(const char *digest, size_t len)
{
    static unsigned char exchange[IPC_EXCHANGE_MAX + 1] = "\0\0\0\7SSH-2.0 and so on";
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestInit_ex(context, EVP_get_digestbyname(digest), NULL), 1);
    assert_int_equal(EVP_DigestUpdate(context, exchange, len), 1);
    EVP_MD_CTX_free(context);
}

static void test_exchanges_are_seen(void **state)
{
    size_t digest_len;
    struct err err = {0};
    (void)state;
    assert_int_equal(witness_start(&err), 0);
    assert_int_equal(witness_exchange(&digest_len).len, 0);
    hash_exchange("SHA256", IPC_EXCHANGE_MAX);
    assert_int_equal(witness_exchange(&digest_len).len, IPC_EXCHANGE_MAX);
    assert_int_equal(digest_len, 32);
    /* Other things that are hashed take nothing away. */
    assert_int_equal(witness_start(&err), 0);
    hash_exchange("SHA256", 100);
    assert_int_equal(witness_exchange(&digest_len).len, IPC_EXCHANGE_MAX);
    hash_exchange("SHA512", 300);
    assert_int_equal(witness_exchange(&digest_len).len, 300);
    assert_int_equal(digest_len, 64);
    /* One that is too long doesn't leave the one before it in its place. */
    hash_exchange("SHA256", IPC_EXCHANGE_MAX + 1);
    assert_int_equal(witness_exchange(&digest_len).len, 0);
}

/* Answers one request with its own fields, or with nothing. */
static void answer_and_exit(int fd) __attribute__((noreturn));

static void answer_and_exit(int fd)
{
    static struct ipc_in in;
    struct ipc link = {.fd = fd, .link = LINK_SESSION, .self = FROM_MASTER, .state = STATE_PREAUTH};
    unsigned char said[256];
    while (ipc_recv(&link, &in, true, NULL) == IPC_OK) {
        const struct msg_req_sign *req = &in.msg.req_sign;
        int n = snprintf((char *)said, sizeof said, "%u %s %.*s %u", req->key, req->algorithm, 11,
                         (const char *)req->exchange.data + 4, req->digest_len);
        bool refused = req->key == 7;
        struct ipc_msg msg = {.type = MSG_ANS_SIGN,
                              .ans_sign = {.signature = {said, refused ? 0 : (size_t)n}}};
        if (ipc_send(&link, &msg, NULL, 0, true, NULL) != IPC_OK)
            _exit(1);
    }
    _exit(0);
}

static void test_the_master_signs(void **state)
{
    (void)state;
    static struct ask ask;
    unsigned char out[2048];
    char expected[256];
    int fds[2], status;
    assert_int_equal(ipc_pair(fds, NULL), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[1]);
        answer_and_exit(fds[0]);
    }
    close(fds[0]);
    ask.link =
        (struct ipc){.fd = fds[1], .link = LINK_SESSION, .self = FROM_PEER, .state = STATE_PREAUTH};
    provider_set_master(&ask);
    for (uint32_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        EVP_PKEY *key = make_key(&kinds[i]);
        size_t len = sizeof out;
        provider_set_host_key(kinds[i].type, i);
        hash_exchange("SHA384", 300);
        assert_int_equal(sign(key, kinds[i].digest, out, &len), 1);
        assert_int_equal(len, snprintf(expected, sizeof expected, "%u %s SSH-2.0 and 48", i,
                                       kinds[i].algorithm));
        assert_memory_equal(out, expected, len);
        len = sizeof out;
        provider_set_host_key(kinds[i].type, 7);
        assert_int_not_equal(sign(key, kinds[i].digest, out, &len), 1);
        /* Something else than the hash of what was hashed. */
        provider_set_host_key(kinds[i].type, i);
        hash_exchange("SHA256", 300);
        assert_int_not_equal(sign(key, kinds[i].digest, out, &len), 1);
        EVP_PKEY_free(key);
    }
    ask_free(&ask);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    provider_set_master(NULL);
}

static void test_public_keys_sign_nothing(void **state)
{
    (void)state;
    unsigned char point[32] = {5}, out[2048];
    size_t len = sizeof out;
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, point, sizeof point);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    static struct ask nobody = {.link = {.fd = -1}};
    provider_set_master(&nobody);
    assert_non_null(key);
    assert_false(EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
                 EVP_DigestSign(context, out, &len, hash, HASH_LEN) == 1);
    provider_set_master(NULL);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
}

static int load(void **state)
{
    struct err err = {0};
    (void)state;
    return provider_load(&err);
}

/* A session keeps its providers for as long as it lives: here a second load finds them again. */
static int unload(void **state)
{
    static const char *const names[] = {"postern", "default"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        OSSL_PROVIDER *provider = OSSL_PROVIDER_load(NULL, names[i]);
        if (provider == NULL || OSSL_PROVIDER_unload(provider) != 1 ||
            OSSL_PROVIDER_unload(provider) != 1)
            return -1;
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_verified_is_kept),
        cmocka_unit_test(test_what_a_security_key_has_signed),
        cmocka_unit_test(test_what_can_not_be_right_is_not_kept),
        cmocka_unit_test(test_nothing_is_signed_without_the_master),
        cmocka_unit_test(test_nothing_is_signed_without_an_exchange),
        cmocka_unit_test(test_exchanges_are_seen),
        cmocka_unit_test(test_the_master_signs),
        cmocka_unit_test(test_public_keys_sign_nothing),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
