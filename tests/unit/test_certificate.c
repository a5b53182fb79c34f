/* Certificates as ssh-keygen makes them, each byte of them, and signatures of every kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "certificate_fixture.h"
#include "key_describe.h"
#include "key_file.h"
#include "policy_fixture.h"
#include "pool.h"
#include "signature.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pool pool;

static int tear_down(void **state)
{
    (void)state;
    pool_free(&pool);
    return 0;
}

struct blob {
    unsigned char *data;
    size_t len;
};

/* certificates/NAME.pub, which ssh-keygen wrote. */
static struct blob load(const char *name)
{
    char path[512];
    char line[8192];
    struct err err;
    struct blob blob;
    snprintf(path, sizeof path, "%s/tests/unit/certificates/%s.pub", SOURCE_DIR, name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    fclose(file);
    if (key_offer_parse(&pool, line, strcspn(line, "\n"), &blob.data, &blob.len, &err) < 0)
        fail_msg("%s: %s", name, err.text);
    return blob;
}

static struct certificate parse(struct blob blob)
{
    struct certificate c;
    struct err err;
    if (certificate_parse(blob.data, blob.len, &c, &err) < 0)
        fail_msg("%s", err.text);
    return c;
}

static bool is(struct wire_bytes b, const char *text)
{
    return b.len == strlen(text) && memcmp(b.data, text, b.len) == 0;
}

static void test_fields(void **state)
{
    (void)state;
    struct blob blob = load("ed25519");
    struct blob authority = load("ca_ed25519");
    struct certificate c = parse(blob);
    assert_true(is_certificate_blob(blob.data, blob.len));
    assert_false(is_certificate_blob(authority.data, authority.len));
    assert_string_equal(c.key_type, "ssh-ed25519");
    assert_int_equal(c.serial, 5);
    assert_int_equal(c.kind, CERTIFICATE_USER);
    assert_true(is(c.key_id, "alice@example.org"));
    assert_int_equal(c.valid_after, 1767225600);
    assert_int_equal(c.valid_before, 1798761600);
    assert_true(c.has_force);
    assert_true(is(c.force, "run it"));
    assert_true(c.has_source);
    assert_true(is(c.source, "10.0.0.0/8,::1/128"));
    assert_true(c.permit_pty);
    assert_int_equal(c.unknown.len, 0);
    assert_int_equal(c.authority.len, authority.len);
    assert_memory_equal(c.authority.data, authority.data, authority.len);
    struct wire_bytes rest = c.principals;
    struct wire_bytes one;
    assert_true(certificate_next_principal(&rest, &one));
    assert_true(is(one, "acme"));
    assert_true(certificate_next_principal(&rest, &one));
    assert_true(is(one, "ci"));
    assert_false(certificate_next_principal(&rest, &one));

    c = parse(load("plain"));
    assert_false(c.has_force);
    assert_false(c.has_source);
    assert_false(c.permit_pty);
    assert_int_equal(c.principals.len, 0);
    assert_int_equal(c.valid_after, 0);
    assert_true(c.valid_before == UINT64_MAX);
    c = parse(load("unknown"));
    assert_true(is(c.unknown, "gate@example.org"));
    assert_false(c.permit_pty);
    assert_int_equal(parse(load("host")).kind, CERTIFICATE_HOST);
}

static bool verify(struct certificate c)
{
    return signature_verify(c.authority.data, c.authority.len, c.body.data, c.body.len,
                            c.signature.data, c.signature.len) == 0;
}

static void test_signatures(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *authority;
        const char *key_type;
        bool good;
    } cases[] = {
        {"ed25519", "ca_ed25519", "ssh-ed25519", true},
        {"p256", "ca_p256", "ecdsa-sha2-nistp256", true},
        {"p384", "ca_p384", "ecdsa-sha2-nistp384", true},
        {"p521", "ca_p521", "ecdsa-sha2-nistp521", true},
        {"rsa512", "ca_rsa", "ssh-rsa", true},
        {"rsa256", "ca_rsa", "ssh-ed25519", true},
        {"rsa1", "ca_rsa", "ssh-ed25519", false}, /* SHA-1 */
        {"plain", "ca_ed25519", "ssh-ed25519", true},
    };
    enum { N = sizeof cases / sizeof *cases };
    for (size_t i = 0; i < N; i++) {
        struct blob authority = load(cases[i].authority);
        struct certificate c = parse(load(cases[i].name));
        assert_string_equal(c.key_type, cases[i].key_type);
        assert_int_equal(c.authority.len, authority.len);
        assert_memory_equal(c.authority.data, authority.data, authority.len);
        assert_int_equal(verify(c), cases[i].good);
        /* By any other key, or with any other's signature, it is none. */
        for (size_t k = 0; k < N; k++) {
            struct certificate other = parse(load(cases[k].name));
            struct certificate mixed = c;
            mixed.signature = other.signature;
            assert_true(k == i || !verify(mixed));
            mixed = c;
            mixed.authority = other.authority;
            bool same = strcmp(cases[k].authority, cases[i].authority) == 0;
            assert_true(same || !verify(mixed));
        }
    }
}

/* No byte can change without the certificate being refused, and none can be missing. */
static void test_each_byte_counts(void **state)
{
    (void)state;
    static const char *const names[] = {"ed25519", "p256", "p521", "rsa256"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct blob blob = load(names[i]);
        struct certificate c;
        for (size_t at = 0; at < blob.len; at++) {
            blob.data[at] ^= 0x04;
            if (certificate_parse(blob.data, blob.len, &c, NULL) == 0 && verify(c))
                fail_msg("%s: byte %zu", names[i], at);
            blob.data[at] ^= 0x04;
        }
        for (size_t len = 0; len < blob.len; len++) {
            unsigned char *exact = malloc(len + 1);
            assert_non_null(exact);
            memcpy(exact, blob.data, len);
            assert_int_equal(certificate_parse(exact, len, &c, NULL), -1);
            free(exact);
        }
        assert_int_equal(certificate_parse(blob.data, blob.len, &c, NULL), 0);
        assert_true(verify(c));
    }
}

static void test_hostile_signatures(void **state)
{
    (void)state;
    struct certificate c = parse(load("p256"));
    unsigned char buf[512];
    static const unsigned char zero[] = {0};
    static const unsigned char one[] = {1};
    static const struct {
        const unsigned char *r;
        size_t r_len;
        const unsigned char *s;
        size_t s_len;
    } numbers[] = {{zero, 1, zero, 1}, {zero, 0, zero, 0}, {one, 1, one, 1}, {zero, 1, one, 1}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        unsigned char raw[64];
        struct wire_writer inner = {.buf = raw, .cap = sizeof raw};
        wire_put_bytes(&inner, (struct wire_bytes){numbers[i].r, numbers[i].r_len});
        wire_put_bytes(&inner, (struct wire_bytes){numbers[i].s, numbers[i].s_len});
        struct wire_writer w = {.buf = buf, .cap = sizeof buf};
        wire_put_bytes(&w, (struct wire_bytes){(const unsigned char *)"ecdsa-sha2-nistp256", 19});
        wire_put_bytes(&w, (struct wire_bytes){raw, inner.len});
        c.signature = (struct wire_bytes){buf, w.len};
        assert_false(verify(c));
    }
    c = parse(load("rsa256"));
    struct wire_bytes good = c.signature;
    assert_true(verify(c));
    c.signature.len--;
    assert_false(verify(c));
    c.signature = (struct wire_bytes){0};
    assert_false(verify(c));
    /* One byte more than the modulus has. */
    static const char name[] = "rsa-sha2-256";
    struct wire_writer w = {.buf = buf, .cap = sizeof buf};
    wire_put_bytes(&w, (struct wire_bytes){(const unsigned char *)name, sizeof name - 1});
    unsigned char raw[257] = {0};
    memcpy(raw + 1, good.data + good.len - 256, 256);
    wire_put_bytes(&w, (struct wire_bytes){raw, sizeof raw});
    c.signature = (struct wire_bytes){buf, w.len};
    assert_false(verify(c));
}

static const struct certificate_recipe sound = {.authority = (const unsigned char *)"ca",
                                                .authority_len = 2,
                                                .key_id = "id",
                                                .principals = "acme",
                                                .kind = CERTIFICATE_USER,
                                                .before = 10};

static const char *problem_of(const struct certificate_recipe *recipe)
{
    static unsigned char blob[CERTIFICATE_MAX + 1024];
    static struct err err;
    struct certificate c;
    size_t len = fixture_certificate(recipe, blob);
    err = (struct err){0};
    return certificate_parse(blob, len, &c, &err) < 0 ? err.text : "";
}

static void test_malformed(void **state)
{
    (void)state;
    static char many[1200];
    static char long_id[CERTIFICATE_KEY_ID_MAX + 2];
    struct certificate_recipe r = sound;
    assert_string_equal(problem_of(&r), "");

    r.type = "ssh-ed25519-cert-v00@openssh.com";
    assert_string_equal(problem_of(&r), "certificates of type 'ssh-ed25519-cert-v00@openssh.com' "
                                        "are not accepted");
    r.type = "sk-ssh-ed25519-cert-v01@openssh.com";
    assert_string_equal(problem_of(&r), "certificates of type 'sk-ssh-ed25519-cert-v01@openssh.com'"
                                        " are not accepted");
    r.type = "ssh-dss-cert-v01@openssh.com";
    assert_string_equal(problem_of(&r), "certificates of type 'ssh-dss-cert-v01@openssh.com' are "
                                        "not accepted");
    /* The fields of another type's key. */
    r.type = "ssh-rsa-cert-v01@openssh.com";
    assert_string_equal(problem_of(&r), "malformed RSA key");
    r.type = "ecdsa-sha2-nistp256-cert-v01@openssh.com";
    assert_string_equal(problem_of(&r), "malformed ecdsa-sha2-nistp256 key");

    r = sound;
    r.key_id = "a\nb";
    assert_string_equal(problem_of(&r), "its key id holds control characters");
    memset(long_id, 'i', CERTIFICATE_KEY_ID_MAX);
    r.key_id = long_id;
    assert_string_equal(problem_of(&r), "");
    long_id[CERTIFICATE_KEY_ID_MAX] = 'i';
    assert_string_equal(problem_of(&r), "it is cut short, too long, or something follows it");

    r = sound;
    r.principals = "";
    assert_string_equal(problem_of(&r), "malformed principals");
    r.principals = "a,,b";
    assert_string_equal(problem_of(&r), "malformed principals");
    for (size_t i = 0; i < 2 * CERTIFICATE_PRINCIPALS_MAX; i++)
        many[i] = i % 2 == 0 ? 'p' : ',';
    many[2 * CERTIFICATE_PRINCIPALS_MAX - 1] = '\0';
    r.principals = many;
    assert_string_equal(problem_of(&r), "");
    memcpy(many + 2 * CERTIFICATE_PRINCIPALS_MAX - 1, ",p", 3);
    assert_string_equal(problem_of(&r), "more than 256 principals");

    r = sound;
    r.force = "";
    assert_string_equal(problem_of(&r), "malformed data of 'force-command'");
    r = sound;
    r.source = "";
    assert_string_equal(problem_of(&r), "malformed data of 'source-address'");
    r = sound;
    r.critical = "force-command"; /* without data */
    assert_string_equal(problem_of(&r), "malformed data of 'force-command'");
    r.critical = "x\"\x1b";
    assert_string_equal(problem_of(&r), "");
    r.critical2 = "x";
    assert_string_equal(problem_of(&r), "critical options are out of order at 'x'");
    r.critical = "x";
    assert_string_equal(problem_of(&r), "critical options are out of order at 'x'");
    r = sound;
    r.force = "a";
    r.critical = "force-command";
    assert_string_equal(problem_of(&r), "critical options are out of order at 'force-command'");
}

static void test_descriptions(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *text;
    } cases[] = {
        {"ed25519", "ED25519-CERT SHA256:KZ0FdBYg/e8bO4muBGkee7Z6A2/5lCMVP/KP0eQ2XP4 ID "
                    "alice@example.org (serial 5) CA ED25519 "
                    "SHA256:OK5MLfb2MCgOYeAqJWZ75rqRjjCVgac4z1L2UE7GEck"},
        {"p256", "ECDSA-CERT SHA256:hg1v/QUT4yvq4fhjVjDc3DZwlpai99FkPRZBw86U/1E ID p256 (serial 0) "
                 "CA ECDSA SHA256:x3ovCUP9JQQgtk0Ws8cOHPXUysVzf6yIJYwBErV3SRY"},
        {"ca_ed25519", "ED25519 SHA256:OK5MLfb2MCgOYeAqJWZ75rqRjjCVgac4z1L2UE7GEck"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct blob blob = load(cases[i].name);
        struct key_description d;
        char text[KEY_DESCRIPTION_MAX];
        key_describe(&fixture_host, blob.data, blob.len, &d);
        assert_string_equal(key_description_format(&d, text, sizeof text), cases[i].text);
    }
    struct key_description d;
    char text[KEY_DESCRIPTION_MAX];
    key_describe(&fixture_host, NULL, 0, &d);
    assert_string_equal(key_description_format(&d, text, sizeof text), "");
    key_describe(&fixture_host, (const unsigned char *)"abc", 3, &d);
    assert_string_equal(key_description_format(&d, text, sizeof text),
                        "SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),           cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_each_byte_counts), cmocka_unit_test(test_hostile_signatures),
        cmocka_unit_test(test_malformed),        cmocka_unit_test(test_descriptions),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
