/* decide_login(): who may be on a connection, from where, until when, and by which certificate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "certificate_fixture.h"
#include "key_index.h"
#include "login.h"
#include "policy_fixture.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_D "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAID8m3JiqO+1wCwOjP2tFvnbAJpYe6W1pRKqX0nUZ3d0K"
#define KEY_E "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE8m3JiqO+1wCwOjP2tFvnbAJpYe6W1pRKqX0nUZ3d0K"

static const char policy_text[] =
    "[tenant \"acme\"]\nkeys = keys/a\nshell = /bin/sh\naccept-env = CI\n" /* 1 */
    "[tenant \"git-read\"]\nuser = git\nkeys = keys/a\nshell = /bin/sh\n"  /* 5 */
    "[tenant \"git-write\"]\nuser = git\nkeys = keys/b\nshell = /bin/sh\n" /* 9 */
    "[tenant \"ca\"]\nkeys = keys/ca\nshell = /bin/sh\naccept-env = CI\n"  /* 13 */
    "[tenant \"ca-ops\"]\nuser = ca\nkeys = keys/ops\nshell = /bin/sh\n";  /* 17 */

/* from= and expiry-time= on keys; line 4 is a key that only the other tenants have. */
static const char keys_a[] =
    KEY_A " alice\n"
          "from=\"10.0.0.0/8,!10.1.0.0/16,2001:db8::/32\" " KEY_C " carol\n"
          "expiry-time=\"20010909014640Z\" " KEY_D " dave\n"; /* 1000000000 */

static const char keys_ca[] =
    "cert-authority,restrict,environment=\"CI=1\" " KEY_A " plain ca\n"
    "cert-authority,principals=\"ci,deploy\",command=\"run it\" " KEY_B " ci ca\n"
    "cert-authority,principals=\"admin\" " KEY_B " admin ca\n"
    "cert-authority,principals=\"x\",from=\"10.0.0.0/8\",expiry-time=\"20010909014640Z\" " KEY_C
    " narrow ca\n" KEY_C " carol herself\n";

/* The same authority as another tenant's, told apart by principals. */
static const char keys_ops[] = "cert-authority,principals=\"ops\" " KEY_B " ops ca\n";

static struct policy *policy;

static int set_up(void **state)
{
    (void)state;
    fixture_reset();
    fixture_add_text("/p/policy.d/keys/a", keys_a);
    fixture_add_text("/p/policy.d/keys/b", KEY_B " bob\n");
    fixture_add_text("/p/policy.d/keys/ca", keys_ca);
    fixture_add_text("/p/policy.d/keys/ops", keys_ops);
    fixture_add_text("/p/policy.d/t.ini", policy_text);
    policy = fixture_load();
    if (policy == NULL)
        print_error("%s", fixture_problems);
    return policy == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    policy_free(policy);
    return 0;
}

/* The blob of KEY_A to KEY_E; they differ in one byte. */
static const unsigned char *blob_of(char which)
{
    static unsigned char blobs[5][64];
    static const char *const lines[] = {KEY_A, KEY_B, KEY_C, KEY_D, KEY_E};
    unsigned char *blob = blobs[which - 'A'];
    const char *text = lines[which - 'A'] + strlen("ssh-ed25519 ");
    assert_int_equal(EVP_DecodeBlock(blob, (const unsigned char *)text, (int)strlen(text)), 51);
    return blob;
}

enum { BLOB_LEN = 51 };

static struct login_request request_of(const char *user, char key)
{
    return (struct login_request){.policy = policy,
                                  .user = user,
                                  .method = AUTH_PUBLICKEY,
                                  .blob = blob_of(key),
                                  .blob_len = BLOB_LEN,
                                  .peer_host = "10.2.3.4",
                                  .now = 999999999};
}

static void test_keys(void **state)
{
    (void)state;
    static const struct {
        const char *user;
        char key;
        const char *tenant; /* NULL: nobody */
        const char *reason;
        bool known;
    } cases[] = {
        {"acme", 'A', "acme", "", true},
        {"acme", 'B', NULL, "this login has no such key", true},
        {"acme", 'E', NULL, "this login has no such key", true},
        /* One login, two tenants: the key decides. */
        {"git", 'A', "git-read", "", true},
        {"git", 'B', "git-write", "", true},
        {"git", 'E', NULL, "this login has no such key", true},
        {"git-read", 'A', NULL, "no tenant has this login", false},
        {"nobody", 'A', NULL, "no tenant has this login", false},
        {"", 'A', NULL, "no tenant has this login", false},
        {"ACME", 'A', NULL, "no tenant has this login", false},
        {"acme ", 'A', NULL, "no tenant has this login", false},
        {"../acme", 'A', NULL, "no tenant has this login", false},
        /* An authority can't log in by itself, but where it is a key as well. */
        {"ca", 'A', NULL, "this login has no such key", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct login_request r = request_of(cases[i].user, cases[i].key);
        struct login login;
        decide_login(&r, &login);
        assert_int_equal(login.accepted, cases[i].tenant != NULL);
        assert_int_equal(login.login_known, cases[i].known);
        assert_string_equal(login.reason, cases[i].reason);
        if (cases[i].tenant == NULL) {
            assert_null(login.tenant);
            assert_null(login.key);
            assert_null(login.rule.file);
        } else {
            assert_string_equal(login.tenant->name, cases[i].tenant);
            assert_non_null(login.key);
            assert_true(login.rule.line == login.key->origin.line);
        }
    }
    struct login_request r = request_of("ca", 'C');
    struct login login;
    decide_login(&r, &login);
    assert_true(login.accepted);
    assert_int_equal(login.key->origin.line, 5);

    r = request_of("acme", 'A');
    r.blob_len--;
    decide_login(&r, &login);
    assert_false(login.accepted);
    r.blob = NULL;
    r.blob_len = 0;
    decide_login(&r, &login);
    assert_false(login.accepted);
    r.fingerprint = policy_find_tenant(policy, "acme")->keys[0].fingerprint;
    decide_login(&r, &login);
    assert_true(login.accepted);
    r.user = "ca"; /* there it is an authority */
    decide_login(&r, &login);
    assert_false(login.accepted);
}

static void test_from(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        const char *reason; /* "": accepted */
    } cases[] = {
        {"10.2.3.4", ""},
        {"10.0.0.0", ""},
        {"10.255.255.255", ""},
        {"::ffff:10.2.3.4", ""},
        {"2001:db8::1", ""},
        {"2001:db8::1%eth0", ""},
        {"10.1.0.0", "the key's from= refuses 10.1.0.0 by !10.1.0.0/16"},
        {"::ffff:10.1.255.255", "the key's from= refuses ::ffff:10.1.255.255 by !10.1.0.0/16"},
        {"11.0.0.0", "the key's from= does not list 11.0.0.0"},
        {"2001:db9::1", "the key's from= does not list 2001:db9::1"},
        {"::1", "the key's from= does not list ::1"},
        {"", "the key's from= can't judge an unknown address"},
        {"host.example.org", "the key's from= can't judge an unknown address"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct login_request r = request_of("acme", 'C');
        struct login login;
        r.peer_host = cases[i].host;
        decide_login(&r, &login);
        assert_string_equal(login.reason, cases[i].reason);
        assert_int_equal(login.accepted, cases[i].reason[0] == '\0');
        assert_string_equal(login.tenant->name, "acme");
        assert_string_equal(login.rule.file, "/p/policy.d/keys/a");
        assert_int_equal(login.rule.line, 2);
        /* A key without from= may come from anywhere. */
        r = request_of("acme", 'A');
        r.peer_host = cases[i].host;
        decide_login(&r, &login);
        assert_true(login.accepted);
    }
}

static void test_tenant_from(void **state)
{
    (void)state;
    struct tenant *t = (struct tenant *)policy_find_tenant(policy, "acme");
    struct address_rule rules[] = {
        {.net = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 0},
         .prefix = 104,
         .text = (char *)"10.0.0.0/8",
         .origin = {"t.ini", 70}},
        {.net = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 9, 0, 0},
         .prefix = 112,
         .negated = true,
         .text = (char *)"!10.9.0.0/16",
         .origin = {"t.ini", 71}},
    };
    static const struct {
        const char *host;
        char key;
        const char *reason;
        unsigned line;
    } cases[] = {
        {"10.2.3.4", 'A', "", 1},
        {"11.2.3.4", 'A', "the tenant's from does not list 11.2.3.4", 70},
        {"10.9.3.4", 'A', "the tenant's from refuses 10.9.3.4 by !10.9.0.0/16", 71},
        {"::1", 'A', "the tenant's from does not list ::1", 70},
        /* Both must let it in. */
        {"10.1.3.4", 'C', "the key's from= refuses 10.1.3.4 by !10.1.0.0/16", 2},
        {"2001:db8::1", 'C', "the tenant's from does not list 2001:db8::1", 70},
        {"10.2.3.4", 'C', "", 2},
    };
    t->from = (struct address_list){rules, 2};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct login_request r = request_of("acme", cases[i].key);
        struct login login;
        r.peer_host = cases[i].host;
        decide_login(&r, &login);
        assert_string_equal(login.reason, cases[i].reason);
        assert_int_equal(login.accepted, cases[i].reason[0] == '\0');
        assert_int_equal(login.rule.line, cases[i].line);
    }
    t->from = (struct address_list){0};
}

static void test_expiry(void **state)
{
    (void)state;
    static const struct {
        int64_t now;
        bool accepted;
    } cases[] = {{999999999, true},  {1000000000, false}, {1000000001, false},
                 {INT64_MAX, false}, {0, true},           {INT64_MIN, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct login_request r = request_of("acme", 'D');
        struct login login;
        r.now = cases[i].now;
        decide_login(&r, &login);
        assert_int_equal(login.accepted, cases[i].accepted);
        assert_string_equal(login.reason, cases[i].accepted
                                              ? ""
                                              : "the key's expiry-time was 2001-09-09T01:46:40Z");
        assert_int_equal(login.rule.line, 3);
    }
}

static void test_none(void **state)
{
    (void)state;
    fixture_reset();
    fixture_add_text("/p/policy.d/keys/a", KEY_A "\n");
    fixture_add_text("/p/policy.d/t.ini", "[tenant \"open\"]\nauth = none\nshell = /bin/sh\n"
                                          "from = 10.0.0.0/8\n"
                                          "[tenant \"acme\"]\nkeys = keys/a\nshell = /bin/sh\n");
    struct policy *p = fixture_load();
    if (p == NULL)
        fail_msg("%s", fixture_problems);
    static const struct {
        const char *user;
        enum auth_method method;
        const char *host;
        const char *reason;
    } cases[] = {
        {"open", AUTH_NONE, "10.0.0.1", ""},
        {"open", AUTH_NONE, "11.0.0.1", "the tenant's from does not list 11.0.0.1"},
        {"open", AUTH_PUBLICKEY, "10.0.0.1", "this login has no such key"},
        {"acme", AUTH_NONE, "10.0.0.1", "this login asks for a key"},
        {"acme", AUTH_PUBLICKEY, "10.0.0.1", ""},
        {"other", AUTH_NONE, "10.0.0.1", "no tenant has this login"},
        {"", AUTH_NONE, "10.0.0.1", "no tenant has this login"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct login_request r = request_of(cases[i].user, 'A');
        struct login login;
        r.policy = p;
        r.method = cases[i].method;
        r.peer_host = cases[i].host;
        decide_login(&r, &login);
        assert_string_equal(login.reason, cases[i].reason);
        assert_int_equal(login.accepted, cases[i].reason[0] == '\0');
        /* A key that comes along with "none" means nothing. */
        assert_true(cases[i].method == AUTH_PUBLICKEY || login.key == NULL);
        assert_int_equal(login_key_name(&login).len, 0);
    }
    policy_free(p);
}

/* A certificate of KEY_A for login ca that is accepted. */
static const struct certificate_recipe sound = {.key_id = "alice@example.org",
                                                .principals = "ca",
                                                .serial = 5,
                                                .kind = CERTIFICATE_USER,
                                                .after = 999999999,
                                                .before = 1000000001,
                                                .pty = true};

static const unsigned char *make(const struct certificate_recipe *recipe, char authority,
                                 size_t *len)
{
    static unsigned char blob[CERTIFICATE_MAX + 1024];
    struct certificate_recipe r = *recipe;
    r.authority = blob_of(authority);
    r.authority_len = BLOB_LEN;
    *len = fixture_certificate(&r, blob);
    return blob;
}

static struct login judge(const struct certificate_recipe *recipe, char authority)
{
    struct login_request r = request_of("ca", 'A');
    struct login login;
    r.now = 1000000000;
    r.blob = make(recipe, authority, &r.blob_len);
    decide_login(&r, &login);
    return login;
}

static void test_certificate(void **state)
{
    (void)state;
    struct login login = judge(&sound, 'A');
    assert_string_equal(login.reason, "");
    assert_true(login.accepted);
    assert_string_equal(login.tenant->name, "ca");
    assert_int_equal(login.key->origin.line, 1);
    assert_int_equal(login.rule.line, 1);
    assert_true(login.has_certificate);
    assert_int_equal(login.certificate.serial, 5);
    struct wire_bytes name = login_key_name(&login);
    assert_int_equal(name.len, strlen("alice@example.org"));
    assert_memory_equal(name.data, "alice@example.org", name.len);
    assert_true(login.restricted); /* by its line */
    assert_int_equal(login.force.len, 0);
}

static void test_certificates_refused(void **state)
{
    (void)state;
    struct certificate_recipe r = sound;
    static const struct {
        const char *principals;
        char authority;
        unsigned line; /* 0: refused */
        const char *reason;
    } cases[] = {
        {"x,ca,y", 'A', 1, ""},
        {"CA", 'A', 0, "none of the certificate's principals may log in"},
        {"c", 'A', 0, "none of the certificate's principals may log in"},
        {"ca ", 'A', 0, "none of the certificate's principals may log in"},
        {"ci", 'A', 0, "none of the certificate's principals may log in"},
        {NULL, 'A', 0, "the certificate names no principals"},
        {NULL, 'B', 0, "the certificate names no principals"},
        /* With principals= the login's name is nothing special. */
        {"ca", 'B', 0, "none of the certificate's principals may log in"},
        {"ci", 'B', 2, ""},
        {"x,deploy", 'B', 2, ""},
        {"deploy,ci", 'B', 2, ""},
        {"ci,deploy,c", 'B', 2, ""},
        {"admin", 'B', 3, ""},
        {"ci,admin", 'B', 0,
         "the certificate's principals fit another line too (/p/policy.d/keys/ca:3)"},
        {"ca", 'D', 0, "this login has no such certificate authority"},
        {"ca", 'E', 0, "this login has no such certificate authority"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        r.principals = cases[i].principals;
        struct login login = judge(&r, cases[i].authority);
        assert_string_equal(login.reason, cases[i].reason);
        assert_int_equal(login.accepted, cases[i].line != 0);
        if (login.accepted)
            assert_int_equal(login.key->origin.line, cases[i].line);
        else
            assert_null(login.tenant);
    }
    r = sound;
    r.forged = true;
    assert_string_equal(judge(&r, 'A').reason, "the signature of the certificate is wrong");
    r = sound;
    r.kind = CERTIFICATE_HOST;
    assert_string_equal(judge(&r, 'A').reason, "the certificate is not a user's but a host's");
    r.kind = 3;
    assert_string_equal(judge(&r, 'A').reason, "the certificate is not a user's");
    r = sound;
    r.critical = "gate\n@example.org";
    assert_string_equal(judge(&r, 'A').reason,
                        "the certificate has an unknown critical option, 'gate\\x0a@example.org'");
    r.critical = "verify-required";
    assert_false(judge(&r, 'A').accepted);
    r = sound;
    r.key_id = "\x1b";
    assert_string_equal(judge(&r, 'A').reason,
                        "malformed certificate: its key id holds control characters");
}

static void test_one_authority_of_two_tenants(void **state)
{
    (void)state;
    struct certificate_recipe r = sound;
    r.principals = "ops";
    assert_string_equal(judge(&r, 'B').tenant->name, "ca-ops");
    r.principals = "admin";
    assert_string_equal(judge(&r, 'B').tenant->name, "ca");
}

static void test_validity(void **state)
{
    (void)state;
    static const struct {
        uint64_t after, before;
        const char *reason;
    } cases[] = {
        {1000000000, 1000000001, ""},
        {0, UINT64_MAX, ""},
        {1000000001, 1000000002, "the certificate is not valid before 2001-09-09T01:46:41Z"},
        {999999999, 1000000000, "the certificate was valid until 2001-09-09T01:46:40Z"},
        {0, 0, "the certificate was valid until 1970-01-01T00:00:00Z"},
        {UINT64_MAX, UINT64_MAX, "the certificate is not valid before the year 10000"},
        {1000000001, 1000000000, "the certificate is not valid before 2001-09-09T01:46:41Z"},
        {UINT64_MAX, 0, "the certificate is not valid before the year 10000"},
    };
    struct certificate_recipe r = sound;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        r.after = cases[i].after;
        r.before = cases[i].before;
        struct login login = judge(&r, 'A');
        assert_string_equal(login.reason, cases[i].reason);
        assert_int_equal(login.accepted, cases[i].reason[0] == '\0');
    }
    struct login_request request = request_of("ca", 'A');
    struct login login;
    r = sound;
    r.after = 1;
    request.now = -5;
    request.blob = make(&r, 'A', &request.blob_len);
    decide_login(&request, &login);
    assert_false(login.accepted);
    /* What the line says of time and place holds for its certificates. */
    r = sound;
    r.principals = "x";
    assert_string_equal(judge(&r, 'C').reason, "the key's expiry-time was 2001-09-09T01:46:40Z");
    request.now = 999999999;
    request.blob = make(&r, 'C', &request.blob_len);
    decide_login(&request, &login);
    assert_true(login.accepted);
    request.peer_host = "11.0.0.1";
    decide_login(&request, &login);
    assert_string_equal(login.reason, "the key's from= does not list 11.0.0.1");
}

static void test_source_address(void **state)
{
    (void)state;
    static const struct {
        const char *source;
        const char *reason;
    } cases[] = {
        {"10.2.3.4", ""},
        {"192.0.2.0/24,10.0.0.0/8", ""},
        {"0.0.0.0/0", ""},
        {"11.0.0.0/8", "the certificate's source-address does not list 10.2.3.4"},
        {"::/0", "the certificate's source-address does not list 10.2.3.4"},
        {"10.0.0.0/8,!10.2.3.4", "the certificate's source-address refuses 10.2.3.4 by !10.2.3.4"},
        {"10.0.0.1/8", "the certificate's source-address: '10.0.0.1/8' has bits beyond its prefix "
                       "(its network is 10.0.0.0/8)"},
        {"host", "the certificate's source-address: 'host' is not an IP address or network (names "
                 "are not looked up)"},
        {",", "the certificate's source-address is empty"},
    };
    struct certificate_recipe r = sound;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        r.source = cases[i].source;
        struct login login = judge(&r, 'A');
        assert_string_equal(login.reason, cases[i].reason);
        assert_int_equal(login.accepted, cases[i].reason[0] == '\0');
    }
}

static void test_restrictions(void **state)
{
    (void)state;
    static const struct {
        const char *principals;
        char authority;
        const char *force;
        bool pty;
        bool restricted;
        const char *runs; /* "": whatever is asked for; NULL: refused */
    } cases[] = {
        {"ca", 'A', NULL, true, true, ""}, /* its line says restrict */
        {"admin", 'B', NULL, true, false, ""},
        {"admin", 'B', NULL, false, true, ""},
        {"admin", 'B', "do this", true, false, "do this"},
        {"ci", 'B', NULL, true, false, "run it"},
        {"ci", 'B', "run it", true, false, "run it"},
        {"ci", 'B', "run it ", true, false, NULL},
        {"ci", 'B', "do this", true, false, NULL},
    };
    struct certificate_recipe r = sound;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        r.principals = cases[i].principals;
        r.force = cases[i].force;
        r.pty = cases[i].pty;
        struct login login = judge(&r, cases[i].authority);
        assert_int_equal(login.accepted, cases[i].runs != NULL);
        assert_int_equal(login.restricted, cases[i].restricted);
        if (!login.accepted) {
            assert_string_equal(
                login.reason,
                "the certificate's force-command is not the command= of its authority");
            continue;
        }
        assert_int_equal(login.force.len, strlen(cases[i].runs));
        if (login.force.len > 0)
            assert_memory_equal(login.force.data, cases[i].runs, login.force.len);
    }
}

/* The same steps for a login that exists and one that doesn't, whatever is offered. */
static unsigned verified_for(const char *user, char authority, bool forged)
{
    struct certificate_recipe recipe = sound;
    struct login_request r = request_of(user, 'A');
    struct login login;
    recipe.forged = forged;
    r.now = 1000000000;
    r.blob = make(&recipe, authority, &r.blob_len);
    fixture_verified = 0;
    decide_login(&r, &login);
    return fixture_verified;
}

static void test_work_is_the_same(void **state)
{
    (void)state;
    static const char *const users[] = {"ca", "acme", "nobody", ""};
    for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
        assert_int_equal(verified_for(users[i], 'A', false), 1);
        assert_int_equal(verified_for(users[i], 'A', true), 1);
        /* Nobody's authority: there is nothing to find out. */
        assert_int_equal(verified_for(users[i], 'E', false), 0);
    }
    /* What has been verified is not verified again, and nothing else is believed. */
    struct login_request r = request_of("ca", 'A');
    struct login login;
    r.now = 1000000000;
    r.is_genuine = true;
    r.blob = make(&sound, 'A', &r.blob_len);
    fixture_verified = 0;
    decide_login(&r, &login);
    assert_true(login.accepted);
    assert_int_equal(fixture_verified, 0);
    r.blob = make(&sound, 'E', &r.blob_len);
    decide_login(&r, &login);
    assert_false(login.accepted);
}

static void test_lines_of_one_authority(void **state)
{
    (void)state;
    static const struct {
        const char *keys; /* after a line with principals="a,b" */
        const char *problem;
    } cases[] = {
        {"cert-authority,principals=\"c\" " KEY_B "\n", NULL},
        {"cert-authority " KEY_B "\n", NULL},
        {KEY_B "\n", NULL},
        {"cert-authority,principals=\"c,c\" " KEY_B "\n", NULL},
        {"cert-authority,principals=\"b,c\" " KEY_B "\n", "tenant 'x' has this key twice"},
        {"cert-authority,principals=\"c,b\" " KEY_B "\n", "tenant 'x' has this key twice"},
        {"cert-authority " KEY_B "\ncert-authority " KEY_B "\n", "tenant 'x' has this key twice"},
        {"cert-authority " KEY_B "\ncert-authority,principals=\"x\" " KEY_B "\n",
         "tenant 'x' has this key twice"},
        {"cert-authority,principals=\"x\" " KEY_B "\ncert-authority " KEY_B "\n",
         "tenant 'x' has this key twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char keys[1024];
        snprintf(keys, sizeof keys, "cert-authority,principals=\"a,b\" %s\n%s", KEY_B,
                 cases[i].keys);
        fixture_reset();
        fixture_add_text("/p/policy.d/keys/x", keys);
        fixture_add_text("/p/policy.d/t.ini", "[tenant \"x\"]\nkeys = keys/x\nshell = /bin/sh\n");
        struct policy *p = fixture_load();
        if ((p == NULL) != (cases[i].problem != NULL))
            fail_msg("%s: %s", keys, fixture_problems);
        if (p == NULL)
            assert_non_null(strstr(fixture_problems, cases[i].problem));
        policy_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_from),
        cmocka_unit_test(test_tenant_from),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_certificate),
        cmocka_unit_test(test_certificates_refused),
        cmocka_unit_test(test_one_authority_of_two_tenants),
        cmocka_unit_test(test_validity),
        cmocka_unit_test(test_source_address),
        cmocka_unit_test(test_restrictions),
        cmocka_unit_test(test_work_is_the_same),
        /* These load policies of their own. */
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_lines_of_one_authority),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
