#include "host_key.h"
#include "openssh_key.h"
#include "signature.h"
#include "wire.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 64 * 1024, NUMBER_MAX = RSA_BITS_MAX / 8 + 1, POINT_MAX = 256 };

/* A buffer that is gone, contents and all, when its scope ends. */
struct secret {
    char text[FILE_MAX + 1];
    size_t len;
};

static void wipe_secret(struct secret **secret)
{
    explicit_bzero(*secret, sizeof **secret);
}

static int read_file(int fd, struct secret *secret, const char *name, struct err *err)
{
    while (secret->len < sizeof secret->text) {
        ssize_t n = read(fd, secret->text + secret->len, sizeof secret->text - secret->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, errno, "host key %s", name);
        if (n == 0)
            break;
        secret->len += (size_t)n;
    }
    if (secret->len > FILE_MAX)
        return err_set(err, 0, "host key %s: longer than %d bytes, not a key file", name, FILE_MAX);
    if (memchr(secret->text, '\0', secret->len) != NULL)
        return err_set(err, 0, "host key %s: holds binary data, not an OpenSSH or PEM key", name);
    secret->text[secret->len] = '\0';
    return 0;
}

/* Asked for a passphrase only if the key is encrypted. Never asks anybody. */
static int refuse_passphrase(char *buf, int size, int writing, void *encrypted)
{
    (void)buf;
    (void)size;
    (void)writing;
    *(bool *)encrypted = true;
    return -1;
}

static EVP_PKEY *read_pem(const struct secret *secret, bool *encrypted)
{
    BIO *bio = BIO_new_mem_buf(secret->text, (int)secret->len);
    EVP_PKEY *key =
        bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, encrypted) : NULL;
    BIO_free(bio);
    return key;
}

static EVP_PKEY *read_key(const struct secret *secret, const char *name, struct err *err)
{
    EVP_PKEY *key = NULL;
    bool encrypted = false;
    if (is_openssh_key(secret->text))
        encrypted = openssh_key_read(secret->text, &key) == OPENSSH_KEY_ENCRYPTED;
    else
        key = read_pem(secret, &encrypted);
    ERR_clear_error();
    if (key != NULL)
        return key;
    if (encrypted)
        err_set(err, 0,
                "host key %s: it is encrypted; take the passphrase off with "
                "`ssh-keygen -p -N '' -f %s`",
                name, name);
    else
        err_set(err, 0,
                "host key %s: not a usable private key in OpenSSH or PEM format; make one with "
                "`ssh-keygen -t ed25519 -N '' -f %s`",
                name, name);
    return NULL;
}

/* Strings of RFC 4251 §5. */
static void put_text(struct wire_writer *w, const char *text)
{
    wire_put_bytes(w, (struct wire_bytes){(const unsigned char *)text, strlen(text)});
}

static bool put_number(struct wire_writer *w, EVP_PKEY *key, const char *param)
{
    unsigned char mpi[NUMBER_MAX + 4];
    BIGNUM *number = NULL;
    bool ok = EVP_PKEY_get_bn_param(key, param, &number) == 1 && BN_num_bytes(number) < NUMBER_MAX;
    int len = ok ? BN_bn2mpi(number, mpi) : 0;
    BN_free(number);
    if (len > 4)
        wire_put_bytes(w, (struct wire_bytes){mpi + 4, (size_t)len - 4});
    return len > 4;
}

static const char *put_ed25519(struct wire_writer *w, EVP_PKEY *key)
{
    unsigned char point[32];
    size_t len = sizeof point;
    if (EVP_PKEY_get_raw_public_key(key, point, &len) != 1)
        return NULL;
    put_text(w, "ssh-ed25519");
    wire_put_bytes(w, (struct wire_bytes){point, len});
    return "ssh-ed25519";
}

static const char *put_rsa(struct wire_writer *w, EVP_PKEY *key)
{
    put_text(w, "ssh-rsa");
    return put_number(w, key, OSSL_PKEY_PARAM_RSA_E) && put_number(w, key, OSSL_PKEY_PARAM_RSA_N)
               ? "ssh-rsa"
               : NULL;
}

static const char *put_ecdsa(struct wire_writer *w, EVP_PKEY *key)
{
    static const struct {
        const char *group, *type, *curve;
    } curves[] = {
        {"prime256v1", "ecdsa-sha2-nistp256", "nistp256"},
        {"secp384r1", "ecdsa-sha2-nistp384", "nistp384"},
        {"secp521r1", "ecdsa-sha2-nistp521", "nistp521"},
    };
    char group[64];
    unsigned char point[POINT_MAX];
    size_t len = 0;
    /* However the file has it, SSH's form is the uncompressed one. */
    if (EVP_PKEY_get_group_name(key, group, sizeof group, NULL) != 1 ||
        EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                       "uncompressed") != 1 ||
        EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point,
                                        sizeof point, &len) != 1)
        return NULL;
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++) {
        if (strcmp(group, curves[i].group) != 0)
            continue;
        put_text(w, curves[i].type);
        put_text(w, curves[i].curve);
        wire_put_bytes(w, (struct wire_bytes){point, len});
        return curves[i].type;
    }
    return NULL;
}

static int make_blob(struct host_key *key, struct err *err)
{
    struct wire_writer w = {.buf = key->blob, .cap = sizeof key->blob};
    const char *type = NULL;
    if (EVP_PKEY_is_a(key->key, "ED25519"))
        type = put_ed25519(&w, key->key);
    else if (EVP_PKEY_is_a(key->key, "EC"))
        type = put_ecdsa(&w, key->key);
    else if (EVP_PKEY_is_a(key->key, "RSA"))
        type = put_rsa(&w, key->key);
    ERR_clear_error();
    if (type == NULL || w.overflow)
        return err_set(err, 0,
                       "keys of its type can't be used; use ed25519, ecdsa (nistp256, nistp384 or "
                       "nistp521) or rsa");
    key->blob_len = w.len;
    return key_blob_check(type, key->blob, key->blob_len, err);
}

/* A public part that is another key's would be noticed by every client, but not here. Signing once
 * also makes libcrypto get the memory that it needs for it. */
static int try_out(const struct host_key *key, struct err *err)
{
    static const unsigned char data[64];
    const char *algorithm = signature_algorithm_of(key->blob, key->blob_len);
    unsigned char signature[NUMBER_MAX];
    size_t len = sizeof signature;
    if (algorithm != NULL &&
        host_key_sign(key, algorithm, data, sizeof data, signature, &len) == 0 &&
        signature_verify_raw(algorithm, key->blob, key->blob_len, data, sizeof data, signature,
                             len) == 0)
        return 0;
    return err_set(err, 0, "its private part and its public part do not belong together");
}

int host_key_load(int fd, const char *name, struct host_key *key, struct err *err)
{
    static struct secret storage;
    __attribute__((cleanup(wipe_secret))) struct secret *secret = &storage;
    *key = (struct host_key){0};
    if (read_file(fd, secret, name, err) < 0)
        return -1;
    key->key = read_key(secret, name, err);
    if (key->key == NULL)
        return -1;
    if (make_blob(key, err) == 0 && try_out(key, err) == 0)
        return 0;
    host_key_free(key);
    return err_wrap(err, "host key %s", name);
}

int host_key_sign(const struct host_key *key, const char *algorithm, const unsigned char *data,
                  size_t data_len, unsigned char *signature, size_t *len)
{
    const char *digest;
    if (signature_digest(algorithm, key->blob, key->blob_len, &digest) < 0)
        return -1;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ok = context != NULL &&
              EVP_DigestSignInit_ex(context, NULL, digest, NULL, NULL, key->key, NULL) == 1 &&
              EVP_DigestSign(context, signature, len, data, data_len) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return ok ? 0 : -1;
}

void host_key_free(struct host_key *key)
{
    EVP_PKEY_free(key->key);
    explicit_bzero(key, sizeof *key);
}
