/* Certificates from hostile bytes: what is taken apart lies within them, and can be described and
 * judged. */
#include "certificate.h"
#include "key_describe.h"
#include "login.h"
#include "policy_fixture.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct policy *load(void)
{
    fixture_reset();
    fixture_add_text("/p/policy.d/keys/ca", "cert-authority " KEY_A " ca\n");
    fixture_add_text("/p/policy.d/t.ini", "[tenant \"acme\"]\nkeys = keys/ca\nshell = /bin/sh\n");
    struct policy *policy = fixture_load();
    if (policy == NULL)
        abort();
    return policy;
}

static void check_within(struct wire_bytes part, const uint8_t *data, size_t size)
{
    if (part.len > size ||
        (part.len > 0 && (part.data < data || part.len > size - (size_t)(part.data - data))))
        abort();
}

static void check_parts(const struct certificate *c, const uint8_t *data, size_t size)
{
    const struct wire_bytes parts[] = {c->key,       c->key_id, c->principals,
                                       c->force,     c->source, c->unknown,
                                       c->authority, c->body,   c->signature};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        check_within(parts[i], data, size);
    struct wire_bytes rest = c->principals;
    struct wire_bytes one;
    size_t n = 0;
    while (certificate_next_principal(&rest, &one)) {
        check_within(one, data, size);
        if (one.len == 0 || memchr(one.data, '\0', one.len) != NULL ||
            ++n > CERTIFICATE_PRINCIPALS_MAX)
            abort();
    }
    unsigned char key[KEY_BLOB_MAX];
    size_t len = certificate_key_blob(c, key);
    if (key_blob_check(c->key_type, key, len, NULL) < 0)
        abort();
}

static void check_login(const struct policy *policy, const uint8_t *data, size_t size,
                        bool is_genuine)
{
    const struct login_request request = {.policy = policy,
                                          .user = "acme",
                                          .method = AUTH_PUBLICKEY,
                                          .blob = data,
                                          .blob_len = size,
                                          .peer_host = "192.0.2.1",
                                          .now = 1000000000,
                                          .is_genuine = is_genuine};
    struct login login;
    decide_login(&request, &login);
    /* Nobody here has the private half of the authority's key. */
    if ((login.accepted && !is_genuine) || login.accepted != (login.reason[0] == '\0'))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct policy *policy;
    struct certificate certificate;
    struct key_description description;
    char text[KEY_DESCRIPTION_MAX];
    if (policy == NULL)
        policy = load();
    if (certificate_parse(data, size, &certificate, NULL) == 0)
        check_parts(&certificate, data, size);
    key_describe(&fixture_host, data, size, &description);
    (void)key_description_format(&description, text, sizeof text);
    check_login(policy, data, size, false);
    check_login(policy, data, size, true);
    return 0;
}
