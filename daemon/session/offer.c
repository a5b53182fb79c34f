#include "offer.h"
#include "cleanup.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <time.h>

/* No list may end in a comma. Left out: everything with SHA-1 or CBC, compression, and
 * diffie-hellman-group-exchange, which would open a moduli file. */
#define KEX                                                                                        \
    "curve25519-sha256,curve25519-sha256@libssh.org,"                                              \
    "ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,"                                    \
    "diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group14-sha256"
#define CIPHERS                                                                                    \
    "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,"                 \
    "aes256-ctr,aes192-ctr,aes128-ctr"
#define MACS                                                                                       \
    "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512"
/* Of host keys and of users' signatures. A certificate's signature is of one of these types too:
 * that of the key that it certifies. */
#define KEY_TYPES                                                                                  \
    "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,"                     \
    "rsa-sha2-512,rsa-sha2-256"

static const struct {
    enum ssh_bind_options_e option;
    const char *value;
} bind_texts[] = {
    {SSH_BIND_OPTIONS_BANNER, "Postern"},
    {SSH_BIND_OPTIONS_KEY_EXCHANGE, KEX},
    {SSH_BIND_OPTIONS_CIPHERS_C_S, CIPHERS},
    {SSH_BIND_OPTIONS_CIPHERS_S_C, CIPHERS},
    {SSH_BIND_OPTIONS_HMAC_C_S, MACS},
    {SSH_BIND_OPTIONS_HMAC_S_C, MACS},
    {SSH_BIND_OPTIONS_HOSTKEY_ALGORITHMS, KEY_TYPES},
    {SSH_BIND_OPTIONS_PUBKEY_ACCEPTED_KEY_TYPES, KEY_TYPES},
};

ssh_bind offer_new(struct err *err)
{
    bool process_config = false;
    int rsa_min_size = 2048;
    ssh_bind bind = ssh_bind_new();
    if (bind == NULL) {
        err_set(err, 0, "no memory for the ssh server");
        return NULL;
    }
    bool ok =
        ssh_bind_options_set(bind, SSH_BIND_OPTIONS_PROCESS_CONFIG, &process_config) == SSH_OK &&
        ssh_bind_options_set(bind, SSH_BIND_OPTIONS_RSA_MIN_SIZE, &rsa_min_size) == SSH_OK;
    for (size_t i = 0; ok && i < array_len(bind_texts); i++)
        ok = ssh_bind_options_set(bind, bind_texts[i].option, bind_texts[i].value) == SSH_OK;
    if (ok)
        return bind;
    err_set(err, 0, "libssh does not take our settings: %s", ssh_get_error(bind));
    ssh_bind_free(bind);
    return NULL;
}

ssh_session offer_session(struct err *err)
{
    ssh_session session = ssh_new();
    if (session == NULL) {
        err_set(err, 0, "no memory for a session");
        return NULL;
    }
    if (ssh_options_set(session, SSH_OPTIONS_COMPRESSION_C_S, "none") != SSH_OK ||
        ssh_options_set(session, SSH_OPTIONS_COMPRESSION_S_C, "none") != SSH_OK) {
        err_set(err, 0, "libssh does not take our settings: %s", ssh_get_error(session));
        ssh_free(session);
        return NULL;
    }
    ssh_set_auth_methods(session, SSH_AUTH_METHOD_PUBLICKEY);
    ssh_set_blocking(session, 0);
    return session;
}

static bool make_keys(void)
{
    static const char *const curves[] = {"P-256", "P-384", "P-521"};
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    bool ok = key != NULL;
    EVP_PKEY_free(key);
    for (size_t i = 0; ok && i < array_len(curves); i++) {
        key = EVP_EC_gen(curves[i]);
        ok = key != NULL;
        EVP_PKEY_free(key);
    }
    return ok;
}

static bool fetch_algorithms(void)
{
    static const char *const ciphers[] = {"CHACHA20",    "AES-256-GCM", "AES-128-GCM",
                                          "AES-256-CTR", "AES-192-CTR", "AES-128-CTR",
                                          "AES-256-ECB"};
    static const char *const digests[] = {"SHA256", "SHA384", "SHA512", "SHA1"};
    static const char *const macs[] = {"HMAC", "POLY1305"};
    for (size_t i = 0; i < array_len(ciphers); i++) {
        EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, ciphers[i], NULL);
        if (cipher == NULL)
            return false;
        EVP_CIPHER_free(cipher);
    }
    for (size_t i = 0; i < array_len(digests); i++) {
        EVP_MD *digest = EVP_MD_fetch(NULL, digests[i], NULL);
        if (digest == NULL)
            return false;
        EVP_MD_free(digest);
    }
    for (size_t i = 0; i < array_len(macs); i++) {
        EVP_MAC *mac = EVP_MAC_fetch(NULL, macs[i], NULL);
        if (mac == NULL)
            return false;
        EVP_MAC_free(mac);
    }
    return true;
}

int offer_warm_up(struct err *err)
{
    unsigned char random[16];
    tzset();
    if (OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_ADD_ALL_CIPHERS |
                                OPENSSL_INIT_ADD_ALL_DIGESTS,
                            NULL) != 1 ||
        RAND_bytes(random, sizeof random) != 1 || RAND_priv_bytes(random, sizeof random) != 1 ||
        !make_keys() || !fetch_algorithms()) {
        char text[256];
        ERR_error_string_n(ERR_get_error(), text, sizeof text);
        return err_set(err, 0, "libcrypto lacks something that is needed: %s", text);
    }
    return 0;
}
