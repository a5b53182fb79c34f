/* Revoked keys: the lists, and whom they keep out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "certificate_fixture.h"
#include "login.h"
#include "policy_fixture.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum { BLOB_LEN = 51 };

/* Of the key that every certificate of the fixture certifies: 1, 2, 3 and zeros. */
#define CERTIFIED     "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define FINGERPRINT_B "SHA256:dlvgLqi2YBHqpSzd0uwe6zpb10abhWkTyZSSR45YokI"

static const char server_text[] = "[server]\nseccomp-dir = /s\nrevoked-keys = /p/revoked\n"
                                  "revoked-keys = /p/more\n";

static struct policy *load(const char *revoked, const char *more)
{
    fixture_reset();
    fixture_add_text("/p/postern.ini", server_text);
    fixture_add_text("/p/policy.d/keys/a", KEY_A " alice\n" KEY_B " bob\n");
    fixture_add_text("/p/policy.d/keys/ca", "cert-authority " KEY_C " ca\n");
    fixture_add_text("/p/policy.d/t.ini",
                     "[tenant \"acme\"]\nkeys = keys/a\nkeys = keys/ca\nshell = /bin/sh\n");
    if (revoked != NULL)
        fixture_add_text("/p/revoked", revoked);
    fixture_add_text("/p/more", more);
    return fixture_load();
}

static const unsigned char *blob_of(const char *line)
{
    static unsigned char blob[64];
    const char *text = line + strlen("ssh-ed25519 ");
    assert_int_equal(EVP_DecodeBlock(blob, (const unsigned char *)text, (int)strlen(text)),
                     BLOB_LEN);
    return blob;
}

static struct login judge(const struct policy *policy, const unsigned char *blob, size_t len)
{
    struct login login;
    const struct login_request request = {.policy = policy,
                                          .user = "acme",
                                          .method = AUTH_PUBLICKEY,
                                          .blob = blob,
                                          .blob_len = len,
                                          .peer_host = "10.2.3.4",
                                          .now = 1000000000};
    decide_login(&request, &login);
    return login;
}

static struct login judge_certificate(const struct policy *policy)
{
    static unsigned char certificate[CERTIFICATE_MAX + 1024];
    const struct certificate_recipe recipe = {.authority = blob_of(KEY_C),
                                              .authority_len = BLOB_LEN,
                                              .key_id = "id",
                                              .principals = "acme",
                                              .kind = CERTIFICATE_USER,
                                              .before = UINT64_MAX};
    return judge(policy, certificate, fixture_certificate(&recipe, certificate));
}

static void assert_refused(const struct login *login, const char *why, const char *file,
                           unsigned line)
{
    assert_false(login->accepted);
    assert_string_equal(login->reason, why);
    assert_string_equal(login->rule.file, file);
    assert_int_equal(login->rule.line, line);
}

static struct policy *load_good(const char *revoked, const char *more)
{
    struct policy *policy = load(revoked, more);
    assert_string_equal(fixture_problems, "");
    assert_non_null(policy);
    return policy;
}

static void test_keys(void **state)
{
    (void)state;
    struct policy *policy =
        load_good("# gone\n\n  " KEY_A " alice, who has left\n", FINGERPRINT_B " stolen\n" KEY_A);
    struct login login = judge(policy, blob_of(KEY_A), BLOB_LEN);
    assert_refused(&login, "the key is revoked", "/p/revoked", 3);
    login = judge(policy, blob_of(KEY_B), BLOB_LEN);
    assert_refused(&login, "the key is revoked", "/p/more", 1);
    login = judge_certificate(policy);
    assert_true(login.accepted);
    policy_free(policy);

    /* The operator hears of one that no tenant lists, too. */
    policy = load_good(CERTIFIED, "");
    login = judge(policy, blob_of(CERTIFIED), BLOB_LEN);
    assert_refused(&login, "the key is revoked", "/p/revoked", 1);
    login = judge(policy, blob_of(KEY_A), BLOB_LEN);
    assert_true(login.accepted);
    policy_free(policy);
}

static void test_fingerprints_in_place_of_keys(void **state)
{
    (void)state;
    struct policy *policy = load_good(FINGERPRINT_B, "");
    struct login login;
    const struct login_request request = {.policy = policy,
                                          .user = "acme",
                                          .method = AUTH_PUBLICKEY,
                                          .fingerprint = FINGERPRINT_B,
                                          .peer_host = "10.2.3.4"};
    decide_login(&request, &login);
    assert_refused(&login, "the key is revoked", "/p/revoked", 1);
    policy_free(policy);
}

static void test_certificates(void **state)
{
    (void)state;
    struct policy *policy = load_good(CERTIFIED, "");
    struct login login = judge_certificate(policy);
    assert_refused(&login, "the key is revoked", "/p/revoked", 1);
    policy_free(policy);

    policy = load_good("", KEY_C);
    login = judge_certificate(policy);
    assert_refused(&login, "the authority of the certificate is revoked", "/p/more", 1);
    policy_free(policy);
}

/* krl/NAME.krl, which ssh-keygen wrote, cut short by so many bytes, in place of the first list. */
static struct policy *load_krl(const char *name, size_t cut)
{
    static char data[4096];
    char path[512];
    snprintf(path, sizeof path, "%s/tests/unit/krl/%s.krl", SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(data, 1, sizeof data, file);
    fclose(file);
    assert_null(load(NULL, ""));
    fixture_add("/p/revoked", data, len - cut);
    return fixture_load();
}

static struct login judge_with_serial(const struct policy *policy, uint64_t serial, const char *id)
{
    static unsigned char certificate[CERTIFICATE_MAX + 1024];
    const struct certificate_recipe recipe = {.authority = blob_of(KEY_C),
                                              .authority_len = BLOB_LEN,
                                              .key_id = id,
                                              .serial = serial,
                                              .principals = "acme",
                                              .kind = CERTIFICATE_USER,
                                              .before = UINT64_MAX};
    return judge(policy, certificate, fixture_certificate(&recipe, certificate));
}

static void test_lists_of_ssh_keygen(void **state)
{
    static const char *const names[] = {"certificates", "anyone"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct policy *policy = load_krl(names[i], 0);
        assert_non_null(policy);
        assert_string_equal(fixture_problems, "");
        struct login login = judge_with_serial(policy, 1003, "id");
        assert_refused(&login, "the certificate is revoked", "/p/revoked", 0);
        login = judge_with_serial(policy, 0, "left");
        assert_refused(&login, "the certificate is revoked", "/p/revoked", 0);
        login = judge_with_serial(policy, 1004, "id");
        assert_true(login.accepted);
        login = judge(policy, blob_of(KEY_A), BLOB_LEN);
        assert_true(login.accepted);
        policy_free(policy);
    }
}

/* By the key itself, by its SHA256 and by its SHA1 fingerprint. */
static void test_keys_in_lists_of_ssh_keygen(void **state)
{
    static const struct {
        const char *name;
        const char *key;
        bool revoked;
    } cases[] = {{"keys", KEY_A, true},  {"keys", KEY_B, true}, {"sha1", KEY_A, true},
                 {"sha1", KEY_B, true},  {"hash", KEY_B, true}, {"hash", KEY_A, false},
                 {"empty", KEY_A, false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct policy *policy = load_krl(cases[i].name, 0);
        assert_non_null(policy);
        struct login login = judge(policy, blob_of(cases[i].key), BLOB_LEN);
        if (cases[i].revoked)
            assert_refused(&login, "the key is revoked", "/p/revoked", 0);
        else
            assert_true(login.accepted);
        login = judge_certificate(policy);
        if (strcmp(cases[i].name, "keys") == 0 || strcmp(cases[i].name, "sha1") == 0)
            assert_refused(&login, "the key is revoked", "/p/revoked", 0);
        else
            assert_true(login.accepted);
        policy_free(policy);
    }
}

static void test_broken_lists_of_ssh_keygen(void **state)
{
    (void)state;
    assert_null(load_krl("certificates", 1));
    assert_string_equal(fixture_problems,
                        "/p/revoked: error: the list is damaged: it ends too early (make it with "
                        "ssh-keygen -k; ssh-keygen -Q -l shows it)\n");
}

static void assert_complaint(const char *revoked, const char *expected)
{
    assert_null(load(revoked, ""));
    assert_string_equal(fixture_problems, expected);
}

static void test_errors(void **state)
{
    (void)state;
    assert_complaint(NULL, "/p/postern.ini:3: error: revoked-keys: '/p/revoked': can't be opened: "
                           "No such file or directory "
                           "(make it, empty if no key is revoked)\n");
    assert_complaint("\nSHA256:abc\n" KEY_A "\nhello\nMD5:00:11\n",
                     "/p/revoked:2: error: this is no SHA256 fingerprint, as `ssh-keygen -l` "
                     "prints it\n"
                     "/p/revoked:4: error: unknown key type 'hello'\n"
                     "/p/revoked:5: error: unknown key type 'MD5:00:11'\n");
    /* The last character has bits that no digest has. */
    assert_complaint("SHA256:dlvgLqi2YBHqpSzd0uwe6zpb10abhWkTyZSSR45YokJ",
                     "/p/revoked:1: error: this is no SHA256 fingerprint, as `ssh-keygen -l` "
                     "prints it\n");
    assert_complaint("no-pty " KEY_A, "/p/revoked:1: error: unknown key type 'no-pty'\n");
    assert_complaint("-----BEGIN OPENSSH PRIVATE KEY-----\n",
                     "/p/revoked:1: error: this is a private key: the public one (.pub) belongs "
                     "here\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_fingerprints_in_place_of_keys),
        cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_lists_of_ssh_keygen),
        cmocka_unit_test(test_keys_in_lists_of_ssh_keygen),
        cmocka_unit_test(test_broken_lists_of_ssh_keygen),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
