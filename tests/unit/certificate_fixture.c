#include "certificate_fixture.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

unsigned fixture_verified;

static void put_text(struct wire_writer *w, const char *text, size_t len)
{
    wire_put_bytes(w, (struct wire_bytes){(const unsigned char *)text, len});
}

static void put(struct wire_writer *w, const char *text)
{
    put_text(w, text, strlen(text));
}

static void put_writer(struct wire_writer *w, const struct wire_writer *inner)
{
    wire_put_bytes(w, (struct wire_bytes){inner->buf, inner->len});
}

static void put_option(struct wire_writer *w, const char *name, const char *value)
{
    unsigned char data[4096];
    struct wire_writer inner = {.buf = data, .cap = sizeof data};
    if (name == NULL)
        return;
    if (value != NULL)
        put(&inner, value);
    put(w, name);
    put_writer(w, &inner);
}

static void sign(const unsigned char *key, size_t key_len, const unsigned char *data,
                 size_t data_len, unsigned char digest[32])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1 ||
        EVP_DigestUpdate(context, key, key_len) != 1 ||
        EVP_DigestUpdate(context, data, data_len) != 1 ||
        EVP_DigestFinal_ex(context, digest, NULL) != 1)
        abort();
    EVP_MD_CTX_free(context);
}

static void put_principals(struct wire_writer *w, const char *names)
{
    unsigned char buf[8192];
    struct wire_writer list = {.buf = buf, .cap = sizeof buf};
    for (; names != NULL; names = strchr(names, ',')) {
        names += *names == ',';
        put_text(&list, names, strcspn(names, ","));
    }
    put_writer(w, &list);
}

static void put_options(struct wire_writer *w, const struct certificate_recipe *r)
{
    unsigned char buf[8192];
    struct wire_writer list = {.buf = buf, .cap = sizeof buf};
    if (r->force != NULL)
        put_option(&list, "force-command", r->force);
    if (r->source != NULL)
        put_option(&list, "source-address", r->source);
    put_option(&list, r->critical, NULL);
    put_option(&list, r->critical2, NULL);
    put_writer(w, &list);
    list.len = 0;
    put_option(&list, "aaa@example.org", "x");
    if (r->pty)
        put_option(&list, "permit-pty", NULL);
    put_option(&list, "zzz@example.org", NULL);
    put_writer(w, &list);
}

size_t fixture_certificate(const struct certificate_recipe *r, unsigned char *out)
{
    static const unsigned char key[32] = {1, 2, 3};
    unsigned char digest[32];
    unsigned char buf[128];
    struct wire_writer w = {.buf = out, .cap = CERTIFICATE_MAX + 1024};
    put(&w, r->type != NULL ? r->type : "ssh-ed25519-cert-v01@openssh.com");
    put(&w, "nonce");
    wire_put_bytes(&w, (struct wire_bytes){key, sizeof key});
    wire_put_u64(&w, r->serial);
    wire_put_u32(&w, r->kind);
    put(&w, r->key_id);
    put_principals(&w, r->principals);
    wire_put_u64(&w, r->after);
    wire_put_u64(&w, r->before);
    put_options(&w, r);
    put(&w, "");
    wire_put_bytes(&w, (struct wire_bytes){r->authority, r->authority_len});
    sign(r->authority, r->authority_len, out, w.len, digest);
    digest[0] ^= r->forged;
    struct wire_writer signature = {.buf = buf, .cap = sizeof buf};
    put(&signature, "fixture");
    wire_put_bytes(&signature, (struct wire_bytes){digest, sizeof digest});
    put_writer(&w, &signature);
    if (w.overflow)
        abort();
    return w.len;
}

int fixture_verify(const unsigned char *key, size_t key_len, const unsigned char *data,
                   size_t data_len, const unsigned char *signature, size_t signature_len)
{
    unsigned char digest[32];
    struct wire_reader r = {.buf = signature, .len = signature_len};
    fixture_verified++;
    sign(key, key_len, data, data_len, digest);
    (void)wire_get_bytes(&r, 64);
    struct wire_bytes given = wire_get_bytes(&r, 64);
    return wire_end(&r) && given.len == sizeof digest && memcmp(given.data, digest, given.len) == 0
               ? 0
               : -1;
}
