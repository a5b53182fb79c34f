#include "openssh_key.h"
#include "base64.h"
#include "wire.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <string.h>

#define BEGIN  "-----BEGIN OPENSSH PRIVATE KEY-----"
#define FINISH "-----END OPENSSH PRIVATE KEY-----"

enum { FILE_MAX = 64 * 1024, NUMBER_MAX = 4096, TEXT_MAX = 64, ED25519_LEN = 32 };

/* A buffer that is gone, contents and all, when its scope ends. */
struct secret {
    char base64[FILE_MAX];
    unsigned char binary[FILE_MAX];
};

static void wipe_secret(struct secret **secret)
{
    explicit_bzero(*secret, sizeof **secret);
}

static void free_number(BIGNUM **number)
{
    BN_clear_free(*number);
}

static void free_builder(OSSL_PARAM_BLD **builder)
{
    OSSL_PARAM_BLD_free(*builder);
}

static void free_bn_context(BN_CTX **context)
{
    BN_CTX_free(*context);
}

#define cleanup_with(fn) __attribute__((cleanup(fn)))

bool is_openssh_key(const char *text)
{
    return strstr(text, BEGIN) != NULL;
}

static bool is_text(struct wire_bytes b, const char *s)
{
    return b.len == strlen(s) && memcmp(b.data, s, b.len) == 0;
}

/* A positive number (RFC 4251 §5), or NULL. */
static BIGNUM *take_number(struct wire_reader *r)
{
    struct wire_bytes b = wire_get_bytes(r, NUMBER_MAX);
    if (r->bad || b.len == 0 || (b.data[0] & 0x80) != 0)
        return NULL;
    BIGNUM *number = BN_secure_new();
    if (number == NULL || BN_bin2bn(b.data, (int)b.len, number) == NULL) {
        BN_clear_free(number);
        return NULL;
    }
    BN_set_flags(number, BN_FLG_CONSTTIME);
    return number;
}

static EVP_PKEY *build(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (params != NULL && context != NULL && EVP_PKEY_fromdata_init(context) == 1)
        (void)EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, params);
    OSSL_PARAM_free(params);
    EVP_PKEY_CTX_free(context);
    return key;
}

static EVP_PKEY *take_ed25519(struct wire_reader *r)
{
    struct wire_bytes point = wire_get_bytes(r, ED25519_LEN);
    struct wire_bytes both = wire_get_bytes(r, 2 * (size_t)ED25519_LEN);
    if (r->bad || point.len != ED25519_LEN || both.len != 2 * (size_t)ED25519_LEN ||
        memcmp(both.data + ED25519_LEN, point.data, ED25519_LEN) != 0)
        return NULL;
    return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, both.data, ED25519_LEN);
}

static EVP_PKEY *take_ecdsa(struct wire_reader *r, const char *name, const char *group)
{
    struct wire_bytes curve = wire_get_bytes(r, TEXT_MAX);
    struct wire_bytes point = wire_get_bytes(r, NUMBER_MAX);
    cleanup_with(free_number) BIGNUM *scalar = take_number(r);
    cleanup_with(free_builder) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (scalar == NULL || builder == NULL || !is_text(curve, name) ||
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, group, 0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.len) !=
            1 ||
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, scalar) != 1)
        return NULL;
    return build("EC", builder);
}

/* d mod (prime - 1), which the file leaves out. */
static BIGNUM *exponent_of(const BIGNUM *d, const BIGNUM *prime)
{
    cleanup_with(free_bn_context) BN_CTX *context = BN_CTX_secure_new();
    cleanup_with(free_number) BIGNUM *less = BN_dup(prime);
    BIGNUM *exponent = BN_secure_new();
    if (context != NULL && less != NULL && exponent != NULL && BN_sub_word(less, 1) == 1 &&
        !BN_is_zero(less) && BN_mod(exponent, d, less, context) == 1)
        return exponent;
    BN_clear_free(exponent);
    return NULL;
}

static EVP_PKEY *take_rsa(struct wire_reader *r)
{
    cleanup_with(free_number) BIGNUM *n = take_number(r);
    cleanup_with(free_number) BIGNUM *e = take_number(r);
    cleanup_with(free_number) BIGNUM *d = take_number(r);
    cleanup_with(free_number) BIGNUM *iqmp = take_number(r);
    cleanup_with(free_number) BIGNUM *p = take_number(r);
    cleanup_with(free_number) BIGNUM *q = take_number(r);
    if (n == NULL || e == NULL || d == NULL || iqmp == NULL || p == NULL || q == NULL)
        return NULL;
    cleanup_with(free_number) BIGNUM *dp = exponent_of(d, p);
    cleanup_with(free_number) BIGNUM *dq = exponent_of(d, q);
    cleanup_with(free_builder) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (dp == NULL || dq == NULL || builder == NULL)
        return NULL;
    const struct {
        const char *name;
        const BIGNUM *value;
    } parts[] = {
        {OSSL_PKEY_PARAM_RSA_N, n},          {OSSL_PKEY_PARAM_RSA_E, e},
        {OSSL_PKEY_PARAM_RSA_D, d},          {OSSL_PKEY_PARAM_RSA_FACTOR1, p},
        {OSSL_PKEY_PARAM_RSA_FACTOR2, q},    {OSSL_PKEY_PARAM_RSA_EXPONENT1, dp},
        {OSSL_PKEY_PARAM_RSA_EXPONENT2, dq}, {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, iqmp},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (OSSL_PARAM_BLD_push_BN(builder, parts[i].name, parts[i].value) != 1)
            return NULL;
    return build("RSA", builder);
}

static EVP_PKEY *take_key(struct wire_reader *r)
{
    static const struct {
        const char *type, *curve, *group;
    } curves[] = {
        {"ecdsa-sha2-nistp256", "nistp256", "P-256"},
        {"ecdsa-sha2-nistp384", "nistp384", "P-384"},
        {"ecdsa-sha2-nistp521", "nistp521", "P-521"},
    };
    struct wire_bytes type = wire_get_bytes(r, TEXT_MAX);
    if (is_text(type, "ssh-ed25519"))
        return take_ed25519(r);
    if (is_text(type, "ssh-rsa"))
        return take_rsa(r);
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        if (is_text(type, curves[i].type))
            return take_ecdsa(r, curves[i].curve, curves[i].group);
    return NULL;
}

/* Behind the key come its comment and 1, 2, 3 … up to a whole block. */
static bool is_rest_sound(struct wire_reader *r)
{
    (void)wire_get_bytes(r, FILE_MAX);
    for (unsigned char pad = 1; !r->bad && r->pos < r->len; pad++)
        if (wire_get_u8(r) != pad)
            return false;
    return wire_end(r);
}

static enum openssh_key read_binary(const unsigned char *data, size_t len, EVP_PKEY **key)
{
    static const char magic[] = "openssh-key-v1"; /* with its NUL */
    struct wire_reader r = {.buf = data, .len = len, .pos = sizeof magic};
    if (len < sizeof magic || memcmp(data, magic, sizeof magic) != 0)
        return OPENSSH_KEY_UNUSABLE;
    struct wire_bytes cipher = wire_get_bytes(&r, TEXT_MAX);
    struct wire_bytes derivation = wire_get_bytes(&r, TEXT_MAX);
    struct wire_bytes options = wire_get_bytes(&r, FILE_MAX);
    if (!r.bad && !is_text(cipher, "none"))
        return OPENSSH_KEY_ENCRYPTED;
    uint32_t n_keys = wire_get_u32(&r);
    (void)wire_get_bytes(&r, FILE_MAX); /* the public key, which is in what follows too */
    struct wire_bytes secret = wire_get_bytes(&r, FILE_MAX);
    if (!wire_end(&r) || !is_text(derivation, "none") || options.len != 0 || n_keys != 1)
        return OPENSSH_KEY_UNUSABLE;
    struct wire_reader inner = {.buf = secret.data, .len = secret.len};
    uint32_t first = wire_get_u32(&inner), second = wire_get_u32(&inner);
    if (inner.bad || first != second)
        return OPENSSH_KEY_UNUSABLE;
    *key = take_key(&inner);
    if (*key != NULL && is_rest_sound(&inner))
        return OPENSSH_KEY_READ;
    EVP_PKEY_free(*key);
    *key = NULL;
    return OPENSSH_KEY_UNUSABLE;
}

enum openssh_key openssh_key_read(const char *text, EVP_PKEY **key)
{
    static struct secret storage;
    __attribute__((cleanup(wipe_secret))) struct secret *secret = &storage;
    size_t n = 0, len = 0;
    const char *begin = strstr(text, BEGIN);
    const char *end = begin != NULL ? strstr(begin, FINISH) : NULL;
    *key = NULL;
    if (end == NULL)
        return OPENSSH_KEY_UNUSABLE;
    for (const char *at = begin + strlen(BEGIN); at < end; at++) {
        if (*at == '\n' || *at == '\r')
            continue;
        if (n == sizeof secret->base64)
            return OPENSSH_KEY_UNUSABLE;
        secret->base64[n++] = *at;
    }
    if (base64_decode(secret->base64, n, secret->binary, sizeof secret->binary, &len) < 0)
        return OPENSSH_KEY_UNUSABLE;
    return read_binary(secret->binary, len, key);
}
