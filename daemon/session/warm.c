#include "warm.h"
#include "cleanup.h"

#include <malloc.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

enum { BLOCK_MAX = 64, SECRET_MAX = 128 };

static unsigned char block[BLOCK_MAX];

/* Keys of a key exchange, and the exchange: what agrees on a secret is another thing to libcrypto
 * than what makes the keys. */
static bool agree(EVP_PKEY *own, EVP_PKEY *peer)
{
    unsigned char secret[SECRET_MAX];
    size_t len = sizeof secret;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
    bool ok = ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
              EVP_PKEY_derive_set_peer(ctx, peer) == 1 && EVP_PKEY_derive(ctx, secret, &len) == 1;
    OPENSSL_cleanse(secret, sizeof secret);
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

/* libssh handles these as strings of bytes. */
static bool exchange_x25519(void)
{
    unsigned char private[32], public[32];
    size_t private_len = sizeof private, public_len = sizeof public;
    EVP_PKEY *made = EVP_PKEY_Q_keygen(NULL, NULL, "X25519"), *own = NULL, *peer = NULL;
    bool ok = made != NULL && EVP_PKEY_get_raw_private_key(made, private, &private_len) == 1 &&
              EVP_PKEY_get_raw_public_key(made, public, &public_len) == 1;
    if (ok) {
        own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private, private_len);
        peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, public, public_len);
        ok = own != NULL && peer != NULL && agree(own, peer);
    }
    OPENSSL_cleanse(private, sizeof private);
    EVP_PKEY_free(made);
    EVP_PKEY_free(own);
    EVP_PKEY_free(peer);
    return ok;
}

static bool exchange_keys(void)
{
    static const char *const curves[] = {"P-256", "P-384", "P-521"};
    bool ok = exchange_x25519();
    for (size_t i = 0; ok && i < array_len(curves); i++) {
        EVP_PKEY *key = EVP_EC_gen(curves[i]);
        ok = key != NULL && agree(key, key);
        EVP_PKEY_free(key);
    }
    return ok;
}

/* RFC 4253 §7.2. */
static bool derive_keys(void)
{
    unsigned char key[BLOCK_MAX];
    char digest[] = "SHA256";
    char type = 'A';
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, block, 32),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SSHKDF_XCGHASH, block, 32),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SSHKDF_SESSION_ID, block, 32),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_SSHKDF_TYPE, &type, 1),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "SSHKDF", NULL);
    EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
    bool ok = ctx != NULL && EVP_KDF_derive(ctx, key, sizeof key, params) == 1;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return ok;
}

/* All blocks are of the same zeros. */
static bool encrypt(const EVP_CIPHER *cipher)
{
    unsigned char out[2 * BLOCK_MAX];
    int len;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool ok = ctx != NULL && EVP_EncryptInit_ex(ctx, cipher, NULL, block, block) == 1 &&
              EVP_EncryptUpdate(ctx, out, &len, block, sizeof block) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

static bool use_ciphers(void)
{
    const EVP_CIPHER *const ciphers[] = {EVP_chacha20(),    EVP_aes_256_gcm(), EVP_aes_128_gcm(),
                                         EVP_aes_256_ctr(), EVP_aes_192_ctr(), EVP_aes_128_ctr()};
    for (size_t i = 0; i < array_len(ciphers); i++)
        if (!encrypt(ciphers[i]))
            return false;
    return true;
}

static bool use_hmac(const EVP_MD *digest)
{
    unsigned char out[EVP_MAX_MD_SIZE];
    size_t len = sizeof out;
    EVP_PKEY *key = EVP_PKEY_new_mac_key(EVP_PKEY_HMAC, NULL, block, 32);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = key != NULL && ctx != NULL && EVP_DigestSignInit(ctx, NULL, digest, NULL, key) == 1 &&
              EVP_DigestSignUpdate(ctx, block, sizeof block) == 1 &&
              EVP_DigestSignFinal(ctx, out, &len) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return ok;
}

static bool use_poly1305(void)
{
    unsigned char out[16];
    size_t len = sizeof out;
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "POLY1305", NULL);
    EVP_MAC_CTX *ctx = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;
    bool ok = ctx != NULL && EVP_MAC_init(ctx, block, 32, NULL) == 1 &&
              EVP_MAC_update(ctx, block, sizeof block) == 1 &&
              EVP_MAC_final(ctx, out, &len, sizeof out) == 1;
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
    return ok;
}

static bool use_digests(void)
{
    const EVP_MD *const digests[] = {EVP_sha256(), EVP_sha384(), EVP_sha512(), EVP_sha1()};
    unsigned char out[EVP_MAX_MD_SIZE];
    for (size_t i = 0; i < array_len(digests); i++)
        if (EVP_Digest(block, sizeof block, out, NULL, digests[i], NULL) != 1 ||
            !use_hmac(digests[i]))
            return false;
    return use_poly1305();
}

static bool read_user_key(void)
{
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, block, 32);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = key != NULL && ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return ok;
}

int warm_up(struct err *err)
{
    unsigned char random[16];
    tzset();
    if (OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_ADD_ALL_CIPHERS |
                                OPENSSL_INIT_ADD_ALL_DIGESTS,
                            NULL) != 1 ||
        RAND_bytes(random, sizeof random) != 1 || RAND_priv_bytes(random, sizeof random) != 1 ||
        !exchange_keys() || !derive_keys() || !use_ciphers() || !use_digests() ||
        !read_user_key()) {
        char text[256];
        ERR_error_string_n(ERR_get_error(), text, sizeof text);
        return err_set(err, 0, "libcrypto lacks something that is needed: %s", text);
    }
    return 0;
}

void warm_settle(void)
{
    (void)malloc_trim(0);
}
