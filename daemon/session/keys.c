#include "keys.h"
#include "cleanup.h"
#include "provider.h"

#include <openssl/evp.h>
#include <string.h>

enum {
    BLOB_MAX = 4096,
    BINARY_MAX = 3 * BLOB_MAX,
    TEXT_MAX = BINARY_MAX / 3 * 4 + 256,
    ED25519_LEN = 32,
};

/* Strings of RFC 4251 §5. */
static void put_string(struct wire_writer *w, const void *data, size_t len)
{
    wire_put_bytes(w, (struct wire_bytes){data, len});
}

static void put_text(struct wire_writer *w, const char *text)
{
    put_string(w, text, strlen(text));
}

static void put_raw(struct wire_writer *w, struct wire_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        wire_put_u8(w, bytes.data[i]);
}

/* A number of RFC 4251 §5 below 128. */
static void put_number(struct wire_writer *w, unsigned char number)
{
    put_string(w, &number, 1);
}

static bool is_text(struct wire_bytes b, const char *s)
{
    return b.len == strlen(s) && memcmp(b.data, s, b.len) == 0;
}

/* The key's fields with a private part that is none. */
static int put_fields(struct wire_writer *w, struct wire_bytes blob, enum provider_key *type)
{
    struct wire_reader r = {.buf = blob.data, .len = blob.len};
    struct wire_bytes name = wire_get_bytes(&r, BLOB_MAX);
    if (is_text(name, "ssh-ed25519")) {
        unsigned char seed_and_point[2 * ED25519_LEN] = {1};
        struct wire_bytes point = wire_get_bytes(&r, ED25519_LEN);
        if (point.len == ED25519_LEN)
            memcpy(seed_and_point + ED25519_LEN, point.data, point.len);
        put_raw(w, blob);
        put_string(w, seed_and_point, sizeof seed_and_point);
        *type = PROVIDER_ED25519;
    } else if (is_text(name, "ssh-rsa")) {
        struct wire_bytes e = wire_get_bytes(&r, BLOB_MAX);
        struct wire_bytes n = wire_get_bytes(&r, BLOB_MAX);
        put_string(w, name.data, name.len);
        put_string(w, n.data, n.len);
        put_string(w, e.data, e.len);
        /* d, iqmp, p, q */
        put_number(w, 1);
        put_number(w, 1);
        put_number(w, 3);
        put_number(w, 3);
        *type = PROVIDER_RSA;
    } else {
        (void)wire_get_bytes(&r, BLOB_MAX);
        (void)wire_get_bytes(&r, BLOB_MAX);
        put_raw(w, blob);
        put_number(w, 1);
        *type = PROVIDER_ECDSA;
    }
    return wire_end(&r) ? 0 : -1;
}

/* OpenSSH's file format for private keys (PROTOCOL.key), not encrypted; the shortest way to a key
 * of libssh's that says it is private. Returns its length, or 0. */
static size_t make_file(struct wire_bytes blob, unsigned char *buf, size_t cap,
                        enum provider_key *type)
{
    static const char magic[] = "openssh-key-v1"; /* with its NUL */
    unsigned char secret[2 * BLOB_MAX];
    struct wire_writer inner = {.buf = secret, .cap = sizeof secret};
    struct wire_writer w = {.buf = buf, .cap = cap};
    wire_put_u32(&inner, 0); /* twice the same number: decrypted rightly */
    wire_put_u32(&inner, 0);
    if (put_fields(&inner, blob, type) < 0)
        return 0;
    put_text(&inner, ""); /* comment */
    for (unsigned char pad = 1; inner.len % 8 != 0 && !inner.overflow; pad++)
        wire_put_u8(&inner, pad);
    put_raw(&w, (struct wire_bytes){(const unsigned char *)magic, sizeof magic});
    put_text(&w, "none"); /* cipher */
    put_text(&w, "none"); /* key derivation and its options */
    put_text(&w, "");
    wire_put_u32(&w, 1);
    put_string(&w, blob.data, blob.len);
    put_string(&w, secret, inner.len);
    return inner.overflow || w.overflow ? 0 : w.len;
}

static ssh_key import(struct wire_bytes blob, enum provider_key *type)
{
    unsigned char binary[BINARY_MAX];
    unsigned char base64[TEXT_MAX];
    char text[TEXT_MAX + 128];
    ssh_key key = NULL;
    size_t len = make_file(blob, binary, sizeof binary, type);
    if (len == 0 || EVP_EncodeBlock(base64, binary, (int)len) <= 0)
        return NULL;
    (void)snprintf(text, sizeof text,
                   "-----BEGIN OPENSSH PRIVATE KEY-----\n%s\n-----END OPENSSH PRIVATE KEY-----\n",
                   (const char *)base64);
    return ssh_pki_import_privkey_base64(text, NULL, NULL, NULL, &key) == SSH_OK ? key : NULL;
}

/* Whether one of the algorithms, names with commas between them, is for keys of this type. */
static bool is_offered(struct wire_bytes blob, const char *algorithms)
{
    struct wire_reader r = {.buf = blob.data, .len = blob.len};
    struct wire_bytes type = wire_get_bytes(&r, BLOB_MAX);
    bool rsa = type.len == strlen("ssh-rsa") && memcmp(type.data, "ssh-rsa", type.len) == 0;
    for (const char *at = algorithms; *at != '\0'; at += at[0] == ',') {
        size_t len = strcspn(at, ",");
        if (rsa ? strncmp(at, "rsa-", 4) == 0 : len == type.len && memcmp(at, type.data, len) == 0)
            return true;
        at += len;
    }
    return false;
}

int keys_load(ssh_bind bind, struct wire_bytes host_keys, const char *algorithms, struct err *err)
{
    struct wire_reader r = {.buf = host_keys.data, .len = host_keys.len};
    bool offered = false;
    for (uint32_t number = 0; r.pos < r.len; number++) {
        enum provider_key type;
        struct wire_bytes blob = wire_get_bytes(&r, BLOB_MAX);
        ssh_key key = r.bad ? NULL : import(blob, &type);
        if (key == NULL)
            return err_set(err, 0, "libssh does not take host key %u", number);
        /* The bind owns the key from here on. */
        if (ssh_bind_options_set(bind, SSH_BIND_OPTIONS_IMPORT_KEY, key) != SSH_OK) {
            ssh_key_free(key);
            return err_set(err, 0, "host key %u: %s", number, ssh_get_error(bind));
        }
        provider_set_host_key(type, number);
        offered = offered || is_offered(blob, algorithms);
    }
    if (!offered)
        return err_set(err, 0, "host-key-algorithms has none for the host keys that there are");
    return 0;
}
