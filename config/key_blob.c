#include "key_blob.h"
#include "text.h"
#include "wire.h"

#include <string.h>

static const struct {
    const char *type;
    const char *curve; /* of an ECDSA key */
    size_t point_len;  /* of an uncompressed point, or of an ed25519 key */
    unsigned bits;     /* 0: it depends on the key */
    bool is_sk;        /* of a security key: it names an application, too */
    const char *short_name;
    const char *refusal; /* why keys of this type aren't accepted */
} types[] = {
    {"ssh-ed25519", NULL, 32, 256, false, "ED25519", NULL},
    {"ecdsa-sha2-nistp256", "nistp256", 65, 256, false, "ECDSA", NULL},
    {"ecdsa-sha2-nistp384", "nistp384", 97, 384, false, "ECDSA", NULL},
    {"ecdsa-sha2-nistp521", "nistp521", 133, 521, false, "ECDSA", NULL},
    {"ssh-rsa", NULL, 0, 0, false, "RSA", NULL},
    {"ssh-dss", NULL, 0, 0, false, "DSA", "DSA keys are too weak"},
    {"sk-ssh-ed25519@openssh.com", NULL, 32, 256, true, "ED25519-SK", NULL},
    {"sk-ecdsa-sha2-nistp256@openssh.com", "nistp256", 65, 256, true, "ECDSA-SK", NULL},
};
enum { N_TYPES = sizeof types / sizeof *types, APPLICATION_MAX = 255 };

static const char cert_suffix[] = "-cert-v01@openssh.com";

bool is_certificate_type(const char *word, size_t len)
{
    size_t n = sizeof cert_suffix - 1;
    return len > n && memcmp(word + len - n, cert_suffix, n) == 0;
}

static size_t find_type(const char *word, size_t len)
{
    size_t i = 0;
    while (i < N_TYPES && (strlen(types[i].type) != len || memcmp(types[i].type, word, len) != 0))
        i++;
    return i;
}

bool is_key_type(const char *word, size_t len)
{
    return find_type(word, len) < N_TYPES || is_certificate_type(word, len);
}

const char *key_type_certified(const char *word, size_t len)
{
    if (!is_certificate_type(word, len))
        return NULL;
    size_t i = find_type(word, len - (sizeof cert_suffix - 1));
    return i == N_TYPES || types[i].refusal != NULL ? NULL : types[i].type;
}

bool is_security_key_type(const char *type)
{
    size_t i = find_type(type, strlen(type));
    return i < N_TYPES && types[i].is_sk;
}

const char *key_type_short(const char *type)
{
    size_t i = find_type(type, strlen(type));
    return i == N_TYPES ? "unknown" : types[i].short_name;
}

void key_types_suggest(struct suggestion *guess)
{
    for (size_t i = 0; i < N_TYPES; i++)
        if (types[i].refusal == NULL)
            suggest_try(guess, types[i].type);
}

int key_type_check(const char *type, size_t len, struct err *err)
{
    char shown[64];
    if (is_certificate_type(type, len))
        return err_set(err, 0,
                       "this is a certificate: list the key that signed it, as cert-authority");
    size_t i = find_type(type, len);
    if (i == N_TYPES)
        return err_set(err, 0, "unknown key type '%s'",
                       text_escape(shown, sizeof shown, type, len));
    if (types[i].refusal != NULL)
        return err_set(err, 0, "%s key: %s", types[i].type, types[i].refusal);
    return 0;
}

static bool is_text(struct wire_bytes b, const char *s)
{
    return b.len == strlen(s) && memcmp(b.data, s, b.len) == 0;
}

/* A positive mpint in its shortest form (RFC 4251 §5); returns its bits, or 0. */
static size_t mpint_bits(struct wire_bytes b)
{
    if (b.len == 0 || (b.data[0] & 0x80) != 0)
        return 0;
    if (b.data[0] == 0 && (b.len == 1 || (b.data[1] & 0x80) == 0))
        return 0;
    size_t skip = b.data[0] == 0 ? 1 : 0;
    size_t bits = (b.len - skip) * 8;
    for (unsigned char top = b.data[skip]; (top & 0x80) == 0; top = (unsigned char)(top << 1))
        bits--;
    return bits;
}

static int check_rsa(struct wire_reader *r, struct err *err)
{
    struct wire_bytes e = wire_get_bytes(r, KEY_BLOB_MAX);
    struct wire_bytes n = wire_get_bytes(r, KEY_BLOB_MAX);
    size_t e_bits = mpint_bits(e);
    size_t n_bits = mpint_bits(n);
    if (!wire_end(r) || e_bits < 2 || n_bits == 0 || (e.data[e.len - 1] & 1) == 0 ||
        (n.data[n.len - 1] & 1) == 0)
        return err_set(err, 0, "malformed RSA key");
    if (n_bits < RSA_BITS_MIN || n_bits > RSA_BITS_MAX)
        return err_set(err, 0, "RSA key of %zu bits (%d to %d are accepted)", n_bits, RSA_BITS_MIN,
                       RSA_BITS_MAX);
    if (e_bits > 64)
        return err_set(err, 0, "RSA key with an exponent of %zu bits", e_bits);
    return 0;
}

int key_blob_check(const char *type, const unsigned char *blob, size_t len, struct err *err)
{
    struct wire_reader r = {.buf = blob, .len = len};
    size_t i = find_type(type, strlen(type));
    struct wire_bytes inner = wire_get_bytes(&r, 64);
    if (i == N_TYPES || !is_text(inner, type))
        return err_set(err, 0, "the key's data is not of the type '%s'", type);
    if (strcmp(type, "ssh-rsa") == 0)
        return check_rsa(&r, err);
    bool curve_ok = types[i].curve == NULL || is_text(wire_get_bytes(&r, 64), types[i].curve);
    struct wire_bytes point = wire_get_bytes(&r, KEY_BLOB_MAX);
    bool point_ok =
        point.len == types[i].point_len && (types[i].curve == NULL || point.data[0] == 4);
    bool application_ok = !types[i].is_sk || wire_get_bytes(&r, APPLICATION_MAX).len > 0;
    if (!wire_end(&r) || !curve_ok || !point_ok || !application_ok)
        return err_set(err, 0, "malformed %s key", type);
    return 0;
}

unsigned key_blob_bits(const unsigned char *blob, size_t len)
{
    struct wire_reader r = {.buf = blob, .len = len};
    struct wire_bytes type = wire_get_bytes(&r, 64);
    size_t i = find_type((const char *)type.data, type.len);
    if (i == N_TYPES)
        return 0;
    if (types[i].bits != 0)
        return types[i].bits;
    (void)wire_get_bytes(&r, KEY_BLOB_MAX); /* e */
    return (unsigned)mpint_bits(wire_get_bytes(&r, KEY_BLOB_MAX));
}
