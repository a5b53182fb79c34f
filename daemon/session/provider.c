#include "provider.h"
#include "witness.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <string.h>

/* Two properties against the one that the default provider's signatures have. For keys it is the
 * other way round: ours are found only by a signature of ours that asks for them. */
#define PREFERENCE "?postern.signs=yes,?postern.first=yes,?provider=default"
#define SIGNS      "provider=postern,postern.signs=yes,postern.first=yes"
#define HOLDS_KEYS "provider=postern,postern.signs=no"

enum {
    RAW_MAX = 2048, /* of a signature: an RSA key of 16384 bits */
    ECDSA_PART_MAX = 80,
    /* What a security key signs (PROTOCOL.u2f of OpenSSH), and where in it the flags and the
     * counter are, which libssh has taken out of the signature. No other proof is as short. */
    SK_SIGNED = 69,
    SK_AT = 32,
    SK_LEN = 5,
};

/* All that has to be known of a key: its numbers stay where they are, or are made up. */
struct key {
    enum provider_key type;
    bool is_private; /* then it is the host key of that type */
};

/* One signature being made or verified. */
struct operation {
    struct key key;
    size_t digest_size; /* 0: the algorithm has its own */
    size_t
        hash_len; /* bytes to be signed or verified; of a host's signature, its exchange hash's */
    unsigned char sk[SK_LEN];
};

static struct ask *master;
static uint32_t host_keys[PROVIDER_KEYS];

/* A signature that was to be verified, in SSH's form; and what it is if it is by a security key. */
static struct kept {
    unsigned char data[IPC_SIGNATURE_MAX];
    size_t len;
} kept, kept_sk;

/* Keys */

static void *new_key(enum provider_key type)
{
    struct key *key = OPENSSL_zalloc(sizeof *key);
    if (key != NULL)
        key->type = type;
    return key;
}

static void *new_ed25519(void *provider)
{
    (void)provider;
    return new_key(PROVIDER_ED25519);
}

static void *new_ecdsa(void *provider)
{
    (void)provider;
    return new_key(PROVIDER_ECDSA);
}

static void *new_rsa(void *provider)
{
    (void)provider;
    return new_key(PROVIDER_RSA);
}

static void free_key(void *key)
{
    OPENSSL_free(key);
}

static int has(const void *key, int selection)
{
    const struct key *k = key;
    return k != NULL && (k->is_private || !(selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY));
}

static int import(void *key, int selection, const OSSL_PARAM params[])
{
    struct key *k = key;
    (void)selection;
    k->is_private = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PRIV_KEY) != NULL ||
                    OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_D) != NULL;
    return 1;
}

static const OSSL_PARAM *import_types(int selection)
{
    static const OSSL_PARAM types[] = {OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
                                       OSSL_PARAM_END};
    (void)selection;
    return types;
}

#define FUNCTION(id, fn)                                                                           \
    {                                                                                              \
        (id), (void (*)(void))(fn)                                                                 \
    }
#define END                                                                                        \
    {                                                                                              \
        0, NULL                                                                                    \
    }
#define KEYS(make)                                                                                 \
    {                                                                                              \
        FUNCTION(OSSL_FUNC_KEYMGMT_NEW, make), FUNCTION(OSSL_FUNC_KEYMGMT_FREE, free_key),         \
            FUNCTION(OSSL_FUNC_KEYMGMT_HAS, has), FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT, import),      \
            FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, import_types), END                            \
    }

static const OSSL_DISPATCH ed25519_keys[] = KEYS(new_ed25519);
static const OSSL_DISPATCH ecdsa_keys[] = KEYS(new_ecdsa);
static const OSSL_DISPATCH rsa_keys[] = KEYS(new_rsa);

/* Signatures */

static void *new_operation(void *provider, const char *properties)
{
    (void)provider;
    (void)properties;
    return OPENSSL_zalloc(sizeof(struct operation));
}

static void free_operation(void *operation)
{
    OPENSSL_free(operation);
}

static void *copy_operation(void *operation)
{
    return OPENSSL_memdup(operation, sizeof(struct operation));
}

static int begin(void *operation, const char *digest, void *key, const OSSL_PARAM params[])
{
    (void)params;
    if (key == NULL)
        return 0;
    struct operation *op = operation;
    *op = (struct operation){.key = *(struct key *)key};
    if (op->key.type == PROVIDER_ED25519)
        return 1;
    const EVP_MD *md = digest != NULL ? EVP_get_digestbyname(digest) : NULL;
    op->digest_size = md != NULL ? (size_t)EVP_MD_get_size(md) : 0;
    return op->digest_size > 0;
}

/* Little of it is needed: the master hashes an exchange itself, and rebuilds a proof. */
static int update(void *operation, const unsigned char *data, size_t len)
{
    struct operation *op = operation;
    if (op->hash_len == 0 && len == SK_SIGNED)
        memcpy(op->sk, data + SK_AT, SK_LEN);
    op->hash_len += len;
    return 1;
}

/* By its name in SSH (RFC 8709, RFC 5656, RFC 8332), or NULL. Each curve has a digest of its own.
 */
static const char *algorithm(const struct operation *op)
{
    static const struct {
        enum provider_key type;
        size_t digest_size;
        const char *name;
    } algorithms[] = {
        {PROVIDER_ED25519, 0, "ssh-ed25519"},        {PROVIDER_ECDSA, 32, "ecdsa-sha2-nistp256"},
        {PROVIDER_ECDSA, 48, "ecdsa-sha2-nistp384"}, {PROVIDER_ECDSA, 64, "ecdsa-sha2-nistp521"},
        {PROVIDER_RSA, 32, "rsa-sha2-256"},          {PROVIDER_RSA, 64, "rsa-sha2-512"},
    };
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++)
        if (algorithms[i].type == op->key.type && algorithms[i].digest_size == op->digest_size)
            return algorithms[i].name;
    return NULL;
}

static int sign(void *operation, unsigned char *signature, size_t *len, size_t size)
{
    const struct operation *op = operation;
    struct err err = {0};
    size_t digest_len;
    struct wire_bytes exchange = witness_exchange(&digest_len);
    struct msg_req_sign request = {.key = host_keys[op->key.type],
                                   .algorithm = algorithm(op),
                                   .exchange = exchange,
                                   .digest_len = (uint8_t)digest_len};
    if (signature == NULL) {
        *len = RAW_MAX;
        return 1;
    }
    if (master == NULL || !op->key.is_private || request.algorithm == NULL || exchange.len == 0 ||
        op->hash_len != digest_len)
        return 0;
    /* A link that has ended is noticed by the loop. */
    return ask_sign(master, &request, signature, size, len, &err) == 0;
}

static void put_text(struct wire_writer *w, const char *text)
{
    wire_put_bytes(w, (struct wire_bytes){(const unsigned char *)text, strlen(text)});
}

static void put_number(struct wire_writer *w, const BIGNUM *number)
{
    unsigned char mpi[ECDSA_PART_MAX];
    int len = BN_num_bytes(number) + 5 <= ECDSA_PART_MAX ? BN_bn2mpi(number, mpi) : 0;
    if (len < 4)
        w->overflow = true;
    else
        wire_put_bytes(w, (struct wire_bytes){mpi + 4, (size_t)len - 4});
}

/* libssh has made DER of it, for libcrypto. */
static void put_ecdsa(struct wire_writer *w, const unsigned char *der, size_t len)
{
    unsigned char parts[2 * ECDSA_PART_MAX];
    struct wire_writer inner = {.buf = parts, .cap = sizeof parts};
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)len);
    if (signature == NULL) {
        ERR_clear_error();
        w->overflow = true;
        return;
    }
    put_number(&inner, ECDSA_SIG_get0_r(signature));
    put_number(&inner, ECDSA_SIG_get0_s(signature));
    ECDSA_SIG_free(signature);
    w->overflow |= inner.overflow;
    wire_put_bytes(w, (struct wire_bytes){parts, inner.len});
}

static void keep_as(struct kept *as, const char *name, const struct operation *op,
                    const unsigned char *signature, size_t len, size_t sk_len)
{
    struct wire_writer w = {.buf = as->data, .cap = sizeof as->data};
    as->len = 0;
    if (name == NULL || len > RAW_MAX)
        return;
    put_text(&w, name);
    if (op->key.type == PROVIDER_ECDSA)
        put_ecdsa(&w, signature, len);
    else
        wire_put_bytes(&w, (struct wire_bytes){signature, len});
    for (size_t i = 0; i < sk_len; i++)
        wire_put_u8(&w, op->sk[i]);
    if (!w.overflow)
        as->len = w.len;
}

/* NULL: security keys have none like it. */
static const char *sk_algorithm(const struct operation *op)
{
    if (op->hash_len != SK_SIGNED)
        return NULL;
    if (op->key.type == PROVIDER_ED25519)
        return "sk-ssh-ed25519@openssh.com";
    return op->key.type == PROVIDER_ECDSA && op->digest_size == 32
               ? "sk-ecdsa-sha2-nistp256@openssh.com"
               : NULL;
}

static int keep(void *operation, const unsigned char *signature, size_t len)
{
    const struct operation *op = operation;
    keep_as(&kept, algorithm(op), op, signature, len, 0);
    keep_as(&kept_sk, sk_algorithm(op), op, signature, len, SK_LEN);
    return 1;
}

static const OSSL_DISPATCH signatures[] = {
    FUNCTION(OSSL_FUNC_SIGNATURE_NEWCTX, new_operation),
    FUNCTION(OSSL_FUNC_SIGNATURE_FREECTX, free_operation),
    FUNCTION(OSSL_FUNC_SIGNATURE_DUPCTX, copy_operation),
    FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, begin),
    FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, update),
    FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, sign),
    FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_INIT, begin),
    FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_UPDATE, update),
    FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_FINAL, keep),
    END,
};

/* The provider */

/* The names are those that the default provider's keys have, so that each finds the other. */
static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache)
{
    static const OSSL_ALGORITHM keys[] = {
        {"ED25519", HOLDS_KEYS, ed25519_keys, NULL},
        {"EC", HOLDS_KEYS, ecdsa_keys, NULL},
        {"RSA", HOLDS_KEYS, rsa_keys, NULL},
        {NULL, NULL, NULL, NULL},
    };
    static const OSSL_ALGORITHM algorithms[] = {
        {"ED25519", SIGNS, signatures, NULL},
        {"ECDSA", SIGNS, signatures, NULL},
        {"RSA", SIGNS, signatures, NULL},
        {NULL, NULL, NULL, NULL},
    };
    (void)provider;
    *no_cache = 0;
    if (operation == OSSL_OP_KEYMGMT)
        return keys;
    return operation == OSSL_OP_SIGNATURE ? algorithms : NULL;
}

static int provide(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *from_core,
                   const OSSL_DISPATCH **out, void **provider)
{
    static const OSSL_DISPATCH functions[] = {FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
                                              END};
    (void)from_core;
    *out = functions;
    *provider = (void *)core;
    return 1;
}

/* Whoever makes or believes signatures here has to be us. */
static bool is_in_force(void)
{
    static const char *const names[] = {"ED25519", "ECDSA", "RSA"};
    bool ours = true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        EVP_SIGNATURE *found = EVP_SIGNATURE_fetch(NULL, names[i], NULL);
        ours &= found != NULL &&
                strcmp(OSSL_PROVIDER_get0_name(EVP_SIGNATURE_get0_provider(found)), "postern") == 0;
        EVP_SIGNATURE_free(found);
    }
    return ours;
}

int provider_load(struct err *err)
{
    /* The default one isn't there by itself any more once another one is. */
    if (OSSL_PROVIDER_load(NULL, "default") == NULL ||
        OSSL_PROVIDER_add_builtin(NULL, "postern", provide) != 1 ||
        OSSL_PROVIDER_load(NULL, "postern") == NULL ||
        EVP_set_default_properties(NULL, PREFERENCE) != 1 || !is_in_force())
        return err_set(err, 0, "libcrypto does not take our provider of signatures");
    return 0;
}

void provider_set_host_key(enum provider_key type, uint32_t number)
{
    host_keys[type] = number;
}

void provider_set_master(struct ask *ask)
{
    master = ask;
}

struct wire_bytes provider_take_signature(bool is_sk)
{
    const struct kept *as = is_sk ? &kept_sk : &kept;
    struct wire_bytes signature = {.data = as->data, .len = as->len};
    kept.len = kept_sk.len = 0;
    return signature;
}
