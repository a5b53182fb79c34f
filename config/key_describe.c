#include "key_describe.h"
#include "certificate.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The name of a sound key's type, "" for anything else. */
static const char *type_of(const unsigned char *blob, size_t len)
{
    struct wire_reader r = {.buf = blob, .len = len};
    struct wire_bytes type = wire_get_bytes(&r, 64);
    char name[65] = "";
    if (type.len > 0)
        memcpy(name, type.data, type.len);
    return key_blob_check(name, blob, len, NULL) < 0 ? "" : key_type_short(name);
}

static void describe_certificate(const struct policy_host *host, const struct certificate *c,
                                 struct key_description *out)
{
    unsigned char key[KEY_BLOB_MAX];
    size_t len = certificate_key_blob(c, key);
    out->is_certified = true;
    out->type = key_type_short(c->key_type);
    out->key_id = c->key_id;
    out->serial = c->serial;
    out->authority_type = type_of(c->authority.data, c->authority.len);
    (void)policy_fingerprint(host, key, len, out->fingerprint);
    (void)policy_fingerprint(host, c->authority.data, c->authority.len, out->authority);
}

void key_describe(const struct policy_host *host, const unsigned char *blob, size_t len,
                  struct key_description *out)
{
    struct certificate certificate;
    *out = (struct key_description){.type = "", .authority_type = ""};
    if (len == 0)
        return;
    if (is_certificate_blob(blob, len) && certificate_parse(blob, len, &certificate, NULL) == 0) {
        describe_certificate(host, &certificate, out);
        return;
    }
    out->type = type_of(blob, len);
    (void)policy_fingerprint(host, blob, len, out->fingerprint);
}

const char *key_description_format(const struct key_description *d, char *buf, size_t cap)
{
    char id[256];
    const char *blank = d->type[0] != '\0' ? " " : "";
    if (!d->is_certified)
        (void)snprintf(buf, cap, "%s%s%s", d->type, blank, d->fingerprint);
    else
        (void)snprintf(
            buf, cap, "%s-CERT %s ID %s (serial %" PRIu64 ") CA %s%s%s", d->type, d->fingerprint,
            text_escape(id, sizeof id, d->key_id.len == 0 ? "" : (const char *)d->key_id.data,
                        d->key_id.len),
            d->serial, d->authority_type, d->authority_type[0] != '\0' ? " " : "", d->authority);
    return buf;
}
