#include "certificate.h"
#include "text.h"

#include <string.h>

bool is_certificate_blob(const unsigned char *blob, size_t len)
{
    struct wire_reader r = {.buf = blob, .len = len};
    struct wire_bytes type = wire_get_bytes(&r, 64);
    return type.len > 0 && is_certificate_type((const char *)type.data, type.len);
}

static bool is_equal(struct wire_bytes b, const char *s)
{
    return b.len == strlen(s) && memcmp(b.data, s, b.len) == 0;
}

static bool has_nul(struct wire_bytes b)
{
    return b.len > 0 && memchr(b.data, '\0', b.len) != NULL;
}

/* It goes to logs and to the command's environment. */
static bool is_text(struct wire_bytes b)
{
    for (size_t i = 0; i < b.len; i++)
        if (b.data[i] < 0x20 || b.data[i] == 0x7f)
            return false;
    return true;
}

bool certificate_next_principal(struct wire_bytes *rest, struct wire_bytes *principal)
{
    struct wire_reader r = {.buf = rest->data, .len = rest->len};
    if (rest->len == 0)
        return false;
    *principal = wire_get_bytes(&r, CERTIFICATE_MAX);
    *rest = (struct wire_bytes){rest->data + r.pos, rest->len - r.pos};
    return !r.bad;
}

static int check_principals(struct wire_bytes principals, struct err *err)
{
    struct wire_reader r = {.buf = principals.data, .len = principals.len};
    size_t n = 0;
    while (!r.bad && r.pos < r.len) {
        struct wire_bytes one = wire_get_bytes(&r, CERTIFICATE_MAX);
        if (++n > CERTIFICATE_PRINCIPALS_MAX)
            return err_set(err, 0, "more than %d principals", CERTIFICATE_PRINCIPALS_MAX);
        if (one.len == 0 || has_nul(one))
            r.bad = true;
    }
    return r.bad ? err_set(err, 0, "malformed principals") : 0;
}

/* The one string that an option's data holds. */
static bool take_text(struct wire_bytes data, struct wire_bytes *out)
{
    struct wire_reader r = {.buf = data.data, .len = data.len};
    *out = wire_get_bytes(&r, CERTIFICATE_MAX);
    return wire_end(&r) && out->len > 0 && !has_nul(*out);
}

static bool take_critical(struct certificate *c, struct wire_bytes name, struct wire_bytes data)
{
    if (is_equal(name, "force-command")) {
        c->has_force = true;
        return take_text(data, &c->force);
    }
    if (is_equal(name, "source-address")) {
        c->has_source = true;
        return take_text(data, &c->source);
    }
    if (c->unknown.len == 0)
        c->unknown = name;
    return true;
}

/* Extensions grant; the only one that there is something to grant for is a terminal. */
static bool take_extension(struct certificate *c, struct wire_bytes name, struct wire_bytes data)
{
    if (!is_equal(name, "permit-pty"))
        return true;
    c->permit_pty = true;
    return data.len == 0;
}

static bool is_before(struct wire_bytes a, struct wire_bytes b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n == 0 ? 0 : memcmp(a.data, b.data, n);
    return order != 0 ? order < 0 : a.len < b.len;
}

/* Pairs of name and data, in the order of their names and each name once. */
static int take_options(struct certificate *c, struct wire_bytes options, const char *what,
                        bool (*take)(struct certificate *c, struct wire_bytes name,
                                     struct wire_bytes data),
                        struct err *err)
{
    struct wire_reader r = {.buf = options.data, .len = options.len};
    struct wire_bytes last = {0};
    size_t n = 0;
    while (!r.bad && r.pos < r.len) {
        struct wire_bytes name = wire_get_bytes(&r, CERTIFICATE_MAX);
        struct wire_bytes data = wire_get_bytes(&r, CERTIFICATE_MAX);
        char shown[64];
        if (r.bad || name.len == 0 || has_nul(name))
            break;
        if (++n > CERTIFICATE_OPTIONS_MAX)
            return err_set(err, 0, "more than %d %s", CERTIFICATE_OPTIONS_MAX, what);
        text_escape(shown, sizeof shown, (const char *)name.data, name.len);
        if (n > 1 && !is_before(last, name))
            return err_set(err, 0, "%s are out of order at '%s'", what, shown);
        if (!take(c, name, data))
            return err_set(err, 0, "malformed data of '%s'", shown);
        last = name;
    }
    return r.bad || r.pos < r.len ? err_set(err, 0, "malformed %s", what) : 0;
}

size_t certificate_key_blob(const struct certificate *certificate, unsigned char out[KEY_BLOB_MAX])
{
    struct wire_writer w = {.buf = out, .cap = KEY_BLOB_MAX};
    wire_put_bytes(&w, (struct wire_bytes){(const unsigned char *)certificate->key_type,
                                           strlen(certificate->key_type)});
    /* certificate_parse() has seen that both fit. */
    if (w.overflow || certificate->key.len > KEY_BLOB_MAX - w.len)
        return 0;
    memcpy(out + w.len, certificate->key.data, certificate->key.len);
    return w.len + certificate->key.len;
}

/* RSA keys (e, n) and ECDSA keys (curve, point) have two fields, Ed25519 keys have one. */
static int take_key(struct wire_reader *r, struct certificate *c, struct err *err)
{
    unsigned char blob[KEY_BLOB_MAX];
    size_t begin = r->pos;
    (void)wire_get_bytes(r, KEY_BLOB_MAX);
    if (strcmp(c->key_type, "ssh-ed25519") != 0)
        (void)wire_get_bytes(r, KEY_BLOB_MAX);
    if (r->bad)
        return err_set(err, 0, "it is cut short");
    c->key = (struct wire_bytes){r->buf + begin, r->pos - begin};
    size_t len = certificate_key_blob(c, blob);
    if (len == 0)
        return err_set(err, 0, "its key is longer than %d bytes", KEY_BLOB_MAX);
    return key_blob_check(c->key_type, blob, len, err);
}

static int take_type(struct wire_reader *r, struct certificate *c, struct err *err)
{
    char shown[80];
    struct wire_bytes type = wire_get_bytes(r, 64);
    c->key_type = type.len == 0 ? NULL : key_type_certified((const char *)type.data, type.len);
    if (c->key_type != NULL)
        return 0;
    text_escape(shown, sizeof shown, type.len == 0 ? "" : (const char *)type.data, type.len);
    return err_set(err, 0, "certificates of type '%s' are not accepted", shown);
}

static int parse(const unsigned char *blob, size_t len, struct certificate *c, struct err *err)
{
    struct wire_reader r = {.buf = blob, .len = len};
    if (take_type(&r, c, err) < 0)
        return -1;
    (void)wire_get_bytes(&r, CERTIFICATE_MAX); /* nonce */
    if (take_key(&r, c, err) < 0)
        return -1;
    c->serial = wire_get_u64(&r);
    c->kind = wire_get_u32(&r);
    c->key_id = wire_get_bytes(&r, CERTIFICATE_KEY_ID_MAX);
    c->principals = wire_get_bytes(&r, CERTIFICATE_MAX);
    c->valid_after = wire_get_u64(&r);
    c->valid_before = wire_get_u64(&r);
    struct wire_bytes critical = wire_get_bytes(&r, CERTIFICATE_MAX);
    struct wire_bytes extensions = wire_get_bytes(&r, CERTIFICATE_MAX);
    (void)wire_get_bytes(&r, CERTIFICATE_MAX); /* reserved: ignored, as the format says */
    c->authority = wire_get_bytes(&r, KEY_BLOB_MAX);
    c->body = (struct wire_bytes){blob, r.pos};
    c->signature = wire_get_bytes(&r, KEY_BLOB_MAX);
    if (!wire_end(&r))
        return err_set(err, 0, "it is cut short, too long, or something follows it");
    if (!is_text(c->key_id))
        return err_set(err, 0, "its key id holds control characters");
    if (check_principals(c->principals, err) < 0 ||
        take_options(c, critical, "critical options", take_critical, err) < 0)
        return -1;
    return take_options(c, extensions, "extensions", take_extension, err);
}

int certificate_parse(const unsigned char *blob, size_t len, struct certificate *out,
                      struct err *err)
{
    *out = (struct certificate){0};
    if (len > CERTIFICATE_MAX)
        return err_set(err, 0, "it is longer than %d bytes", CERTIFICATE_MAX);
    return parse(blob, len, out, err);
}
