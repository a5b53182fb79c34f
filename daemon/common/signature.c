#include "signature.h"
#include "key_blob.h"
#include "wire.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <string.h>

enum {
    ED25519_KEY = 32,
    ED25519_SIGNATURE = 64,
    TYPE_MAX = 64,
    SHA256_LEN = 32,
    /* What a security key signs: digest of the application, flags, counter, digest of the data. */
    SK_SIGNED = 2 * SHA256_LEN + 5,
    SK_TOUCHED = 1, /* of flags */
    SK_VERIFIED = 4,
};

/* What an algorithm of signatures takes: the type of its keys, a curve and a digest. */
struct algorithm {
    const char *name;
    const char *key_type;
    const char *curve;
    const char *digest; /* NULL: the algorithm has its own */
    bool is_sk;         /* by a security key */
};

static const struct algorithm algorithms[] = {
    {"ssh-ed25519", "ssh-ed25519", NULL, NULL, false},
    {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", "P-256", "SHA256", false},
    {"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384", "P-384", "SHA384", false},
    {"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521", "P-521", "SHA512", false},
    {"rsa-sha2-256", "ssh-rsa", NULL, "SHA256", false},
    {"rsa-sha2-512", "ssh-rsa", NULL, "SHA512", false},
    {"sk-ssh-ed25519@openssh.com", "sk-ssh-ed25519@openssh.com", NULL, NULL, true},
    {"sk-ecdsa-sha2-nistp256@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", "P-256", "SHA256",
     true},
};

static void free_pkey(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void free_context(EVP_PKEY_CTX **context)
{
    EVP_PKEY_CTX_free(*context);
}

static void free_md_context(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

static void free_number(BIGNUM **number)
{
    BN_free(*number);
}

static void free_builder(OSSL_PARAM_BLD **builder)
{
    OSSL_PARAM_BLD_free(*builder);
}

static void free_params(OSSL_PARAM **params)
{
    OSSL_PARAM_free(*params);
}

static void free_ecdsa(ECDSA_SIG **signature)
{
    ECDSA_SIG_free(*signature);
}

static void free_bytes(unsigned char **bytes)
{
    OPENSSL_free(*bytes);
}

#define cleanup_with(fn) __attribute__((cleanup(fn)))

static bool is_text(struct wire_bytes b, const char *s)
{
    return b.len == strlen(s) && memcmp(b.data, s, b.len) == 0;
}

static struct wire_bytes text_of(const char *text)
{
    return (struct wire_bytes){(const unsigned char *)text, strlen(text)};
}

static const struct algorithm *find_algorithm(struct wire_bytes name)
{
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++)
        if (is_text(name, algorithms[i].name))
            return &algorithms[i];
    return NULL;
}

/* A positive number (RFC 4251 §5), or NULL. */
static BIGNUM *take_number(struct wire_reader *r)
{
    struct wire_bytes b = wire_get_bytes(r, KEY_BLOB_MAX);
    if (r->bad || b.len == 0 || (b.data[0] & 0x80) != 0)
        return NULL;
    return BN_bin2bn(b.data, (int)b.len, NULL);
}

static EVP_PKEY *key_from_params(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *key = NULL;
    cleanup_with(free_params) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    cleanup_with(free_context) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (params == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return NULL;
    return key;
}

static EVP_PKEY *take_rsa(struct wire_reader *r)
{
    cleanup_with(free_number) BIGNUM *e = take_number(r);
    cleanup_with(free_number) BIGNUM *n = take_number(r);
    cleanup_with(free_builder) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (e == NULL || n == NULL || builder == NULL ||
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) != 1 ||
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) != 1)
        return NULL;
    return key_from_params("RSA", builder);
}

/* libcrypto refuses a point that is not on the curve. */
static EVP_PKEY *take_ec(struct wire_reader *r, const char *curve)
{
    (void)wire_get_bytes(r, TYPE_MAX);
    struct wire_bytes point = wire_get_bytes(r, KEY_BLOB_MAX);
    cleanup_with(free_builder) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (r->bad || builder == NULL ||
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curve, 0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.len) !=
            1)
        return NULL;
    return key_from_params("EC", builder);
}

/* The key, if its blob is whole, strong enough and of the algorithm's type; else NULL. */
static EVP_PKEY *take_key(const struct algorithm *algorithm, const unsigned char *blob, size_t len)
{
    struct wire_reader r = {.buf = blob, .len = len};
    if (key_blob_check(algorithm->key_type, blob, len, NULL) < 0)
        return NULL;
    (void)wire_get_bytes(&r, TYPE_MAX);
    if (algorithm->curve != NULL)
        return take_ec(&r, algorithm->curve);
    if (algorithm->digest != NULL)
        return take_rsa(&r);
    struct wire_bytes point = wire_get_bytes(&r, ED25519_KEY);
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, point.data, point.len);
}

static int verify(EVP_PKEY *key, const char *digest, const unsigned char *signature,
                  size_t signature_len, const unsigned char *data, size_t data_len)
{
    cleanup_with(free_md_context) EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL ||
        EVP_DigestVerifyInit_ex(context, NULL, digest, NULL, NULL, key, NULL) != 1)
        return -1;
    return EVP_DigestVerify(context, signature, signature_len, data, data_len) == 1 ? 0 : -1;
}

/* Two numbers in SSH's form, to the DER that libcrypto takes. */
static int verify_ecdsa(EVP_PKEY *key, const char *digest, struct wire_bytes raw,
                        const unsigned char *data, size_t data_len)
{
    struct wire_reader reader = {.buf = raw.data, .len = raw.len};
    cleanup_with(free_bytes) unsigned char *der = NULL;
    cleanup_with(free_ecdsa) ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = take_number(&reader);
    BIGNUM *s = take_number(&reader);
    if (signature == NULL || r == NULL || s == NULL || !wire_end(&reader) ||
        ECDSA_SIG_set0(signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return -1;
    }
    int len = i2d_ECDSA_SIG(signature, &der);
    return len <= 0 ? -1 : verify(key, digest, der, (size_t)len, data, data_len);
}

/* As long as the modulus for libcrypto; leading zeros may have been left out on the wire. */
static int verify_rsa(EVP_PKEY *key, const char *digest, struct wire_bytes raw,
                      const unsigned char *data, size_t data_len)
{
    unsigned char padded[RSA_BITS_MAX / 8] = {0};
    size_t len = (size_t)EVP_PKEY_get_size(key);
    if (raw.len == 0 || raw.len > len || len > sizeof padded)
        return -1;
    memcpy(padded + (len - raw.len), raw.data, raw.len);
    return verify(key, digest, padded, len, data, data_len);
}

static int verify_with(const struct algorithm *algorithm, EVP_PKEY *key, struct wire_bytes raw,
                       const unsigned char *data, size_t data_len)
{
    if (algorithm->curve != NULL)
        return verify_ecdsa(key, algorithm->digest, raw, data, data_len);
    if (algorithm->digest != NULL)
        return verify_rsa(key, algorithm->digest, raw, data, data_len);
    return raw.len == ED25519_SIGNATURE ? verify(key, NULL, raw.data, raw.len, data, data_len) : -1;
}

/* The last field of a security key's blob, which has been found good. */
static struct wire_bytes application_of(const struct algorithm *algorithm, const unsigned char *key,
                                        size_t key_len)
{
    struct wire_reader r = {.buf = key, .len = key_len};
    (void)wire_get_bytes(&r, TYPE_MAX);
    if (algorithm->curve != NULL)
        (void)wire_get_bytes(&r, TYPE_MAX);
    (void)wire_get_bytes(&r, KEY_BLOB_MAX);
    return wire_get_bytes(&r, KEY_BLOB_MAX);
}

static bool digest(const unsigned char *data, size_t len, unsigned char out[SHA256_LEN])
{
    size_t made = 0;
    return EVP_Q_digest(NULL, "SHA256", NULL, data, len, out, &made) == 1 && made == SHA256_LEN;
}

static int compose_sk(struct wire_bytes application, const struct sk_signature *sk,
                      const unsigned char *data, size_t data_len, unsigned char out[SK_SIGNED])
{
    struct wire_writer w = {.buf = out + SHA256_LEN, .cap = SK_SIGNED - SHA256_LEN};
    wire_put_u8(&w, sk->flags);
    wire_put_u32(&w, sk->counter);
    return digest(application.data, application.len, out) &&
                   digest(data, data_len, out + SK_SIGNED - SHA256_LEN)
               ? 0
               : -1;
}

/* An SSH signature's fields. */
struct parts {
    const struct algorithm *algorithm;
    struct wire_bytes raw;
    struct sk_signature sk;
};

static int take_parts(const unsigned char *signature, size_t len, struct parts *out)
{
    struct wire_reader r = {.buf = signature, .len = len};
    *out = (struct parts){.algorithm = find_algorithm(wire_get_bytes(&r, TYPE_MAX))};
    out->raw = wire_get_bytes(&r, KEY_BLOB_MAX);
    if (out->algorithm == NULL)
        return -1;
    if (out->algorithm->is_sk) {
        out->sk.flags = wire_get_u8(&r);
        out->sk.counter = wire_get_u32(&r);
        out->sk.touched = (out->sk.flags & SK_TOUCHED) != 0;
        out->sk.verified = (out->sk.flags & SK_VERIFIED) != 0;
    }
    return wire_end(&r) ? 0 : -1;
}

bool signature_is_sk(struct wire_bytes signature, struct sk_signature *out)
{
    struct parts parts;
    if (take_parts(signature.data, signature.len, &parts) < 0 || !parts.algorithm->is_sk)
        return false;
    *out = parts.sk;
    return true;
}

int signature_verify(const unsigned char *key, size_t key_len, const unsigned char *data,
                     size_t data_len, const unsigned char *signature, size_t signature_len)
{
    unsigned char composed[SK_SIGNED];
    struct parts parts;
    if (take_parts(signature, signature_len, &parts) < 0)
        return -1;
    const struct algorithm *algorithm = parts.algorithm;
    cleanup_with(free_pkey) EVP_PKEY *pkey = take_key(algorithm, key, key_len);
    int rc = pkey == NULL ? -1 : 0;
    if (rc == 0 && algorithm->is_sk) {
        rc = compose_sk(application_of(algorithm, key, key_len), &parts.sk, data, data_len,
                        composed);
        data = composed;
        data_len = sizeof composed;
    }
    if (rc == 0)
        rc = verify_with(algorithm, pkey, parts.raw, data, data_len);
    /* A failed one leaves its reasons in the thread's queue. */
    ERR_clear_error();
    return rc;
}

int signature_verify_raw(const char *algorithm, const unsigned char *key, size_t key_len,
                         const unsigned char *data, size_t data_len, const unsigned char *signature,
                         size_t signature_len)
{
    const struct algorithm *found = find_algorithm(text_of(algorithm));
    cleanup_with(free_pkey) EVP_PKEY *pkey =
        found == NULL || found->is_sk ? NULL : take_key(found, key, key_len);
    int rc =
        pkey == NULL ? -1 : verify(pkey, found->digest, signature, signature_len, data, data_len);
    ERR_clear_error();
    return rc;
}

int signature_digest(const char *algorithm, const unsigned char *key, size_t key_len,
                     const char **digest)
{
    struct wire_reader r = {.buf = key, .len = key_len};
    const struct algorithm *found = find_algorithm(text_of(algorithm));
    if (found == NULL || !is_text(wire_get_bytes(&r, TYPE_MAX), found->key_type))
        return -1;
    *digest = found->digest;
    return 0;
}

const char *signature_algorithm_of(const unsigned char *key, size_t key_len)
{
    const char *digest;
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++)
        if (signature_digest(algorithms[i].name, key, key_len, &digest) == 0)
            return algorithms[i].name;
    return NULL;
}

bool signature_is_of(struct wire_bytes signature, const char *list)
{
    struct wire_reader r = {.buf = signature.data, .len = signature.len};
    struct wire_bytes name = wire_get_bytes(&r, TYPE_MAX);
    for (const char *at = list; *at != '\0'; at += at[0] == ',') {
        size_t len = strcspn(at, ",");
        if (len == name.len && len > 0 && memcmp(at, name.data, len) == 0)
            return true;
        at += len;
    }
    return false;
}
