/* Key files: what is a key, which options are understood, and everything else is an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base64.h"
#include "key_blob.h"
#include "key_file.h"
#include "policy_fixture.h"
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char ed25519[] =
    "ssh-ed25519 "
    "AAAAC3NzaC1lZDI1NTE5AAAAIMvvpHa0CW28uWe5XeuwPy0VJTsImDXi9c/uzsNS/DlF";
static const char p256[] =
    "ecdsa-sha2-nistp256 "
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBLF1h+6Euf+E7AipS2LOsMAt"
    "JkklmPuppxCFz/lHFQEdteln/xgAkRGjL9vNimnRg7MigrFJrfcwHH7+dheXE3Y=";
static const char p384[] =
    "ecdsa-sha2-nistp384 "
    "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBEQDg8e7PchuLKqiluV6qdAw"
    "HUwXrFuZ+lohhFoKHWs48McPEyg286yWpqxr4NVXnnaU8tFisNBHdzhfESSdsXMef9NYrFUI1xcB"
    "TBrIg0Nks5+QtyaerOP7b5iWlr6AQg==";
static const char p521[] =
    "ecdsa-sha2-nistp521 "
    "AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAEFsQh9IHUk24NVmx/EdA94"
    "4aL4su7h2q2UB7RKY2hS/iVw5y1isHql0T9ud1mK/OTYd2L1ZIBryVcvlWbrCJQIDgBKxfM34rhv"
    "Fp850vArqRLJ8W4mbAAyFrDDEoSWRN5FXoBm3c/3qEAlYuCqBr7Mwx3+7eNU17PYP+OldVie1X1c"
    "rA==";
static const char rsa1024[] =
    "ssh-rsa "
    "AAAAB3NzaC1yc2EAAAADAQABAAAAgQCTMfeoYb8wRblxlllwhFXLxa3PMxPGRY0oMY9v+VjsXMNc"
    "q/vGoZYF+3sFieEPq6dhilaJzA9RIO0VzG9vhOAVKzhhu0mZbEEDAJm0VQYH/+h5ZjUikIYE1vgf"
    "qpYahW8zGtOfCXKf2MOw9LXeH8+Kw+cjCm017lgKKcOr2NHbCw==";
static const char rsa2048[] =
    "ssh-rsa "
    "AAAAB3NzaC1yc2EAAAADAQABAAABAQDH6BN4XMDTpo5yScLrkPOvf2DkFj2gi545uBd/vH5DhYHk"
    "Rq+zko3mr9hFs5OrDYeEmNzHaDSm62d3QT3+5s8xWN+FCFpHGGYOQwr0EHk1X9e4/GdeI097q1Rs"
    "pUpjisWMQBbAq8WO8t7KH86hzs7ObV6Nqhdcc9Hz+gdtOqwoTZ7sO0R+oACbhBdLGMuVQ1ey0LTj"
    "EWCrUnCfAN1WpE2nDS2SI6iaBJ9p02IXZwmeATzG++cVo/PICIf/1sN8jemUWZCBpIod9xtOTD8Y"
    "E3ZNEexjASKptjRsv8W/e2LJeCpis7B4WiBh/bQOY9cSr5lTmiiKPHHlkQmKhIWn/+jX";

/* Parses one line; what it became is in *key, or the error's text in *err. */
static int parse(struct pool *pool, const char *line, struct policy_key *key, struct err *err)
{
    *key = (struct policy_key){0};
    *err = (struct err){0};
    return key_line_parse(pool, &fixture_host, line, strlen(line), key, err);
}

static void test_types(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *type;
        const char *fingerprint; /* as ssh-keygen -l prints it */
    } cases[] = {
        {ed25519, "ssh-ed25519", "SHA256:O6yQtBDG4+7InAYhNSjcJtcw0DyPhRshmmyq+KS9VLw"},
        {p256, "ecdsa-sha2-nistp256", "SHA256:++vSJJoXIL0FYA1q0k9T8/heRZnFTjWwcKZvLKpa61Q"},
        {p384, "ecdsa-sha2-nistp384", "SHA256:d7wrnvQaC3RwgYxikHbht1uRV0CdtL1EhGiANyI8WMc"},
        {p521, "ecdsa-sha2-nistp521", "SHA256:eaUcLm7nXujYRq8tS4tZLfcaj1naDFqn4suTSatF0lA"},
        {rsa2048, "ssh-rsa", "SHA256:BntC+aH0DxRdw4f4uL8oucGwB+R5aJHQsdH+VSyeCL0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pool pool = {0};
        struct policy_key key;
        struct err err;
        assert_int_equal(parse(&pool, cases[i].line, &key, &err), 1);
        assert_string_equal(key.type, cases[i].type);
        assert_string_equal(key.fingerprint, cases[i].fingerprint);
        assert_string_equal(key.comment, "");
        assert_false(key.restricted);
        assert_null(key.force);
        pool_free(&pool);
    }
}

static void test_lines_without_keys(void **state)
{
    (void)state;
    static const char *const lines[] = {"", "  \t", "# ssh-ed25519 AAAA", "   # x"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct pool pool = {0};
        struct policy_key key;
        struct err err;
        assert_int_equal(parse(&pool, lines[i], &key, &err), 0);
        pool_free(&pool);
    }
}

static void test_options(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        bool restricted;
        const char *force;
        const char *environment;
        const char *rest;
        const char *comment;
    } cases[] = {
        {"", false, NULL, "", " alice@example.org", "alice@example.org"},
        {"  ", false, NULL, "", "   a  b\t ", "a  b"},
        {"restrict ", true, NULL, "", "", ""},
        {"RESTRICT ", true, NULL, "", "", ""},
        {"no-pty ", true, NULL, "", "", ""},
        {"pty ", false, NULL, "", "", ""},
        {"restrict,pty ", false, NULL, "", "", ""},
        {"pty,restrict\t", true, NULL, "", "", ""},
        {"command=\"a b\" ", false, "a b", "", "", ""},
        {"command=\"a \\\"b\\\" c\\d, ssh-rsa\" ", false, "a \"b\" c\\d, ssh-rsa", "", "", ""},
        {"restrict,command=\"x\",environment=\"A=1\",environment=\"B=2 3\" ", true, "x",
         "A=1;B=2 3;", " c", "c"},
        {"environment=\"A=\" ", false, NULL, "A=;", "", ""},
        {"", false, NULL, "", " \"quoted\\ %n caf\xc3\xa9", "\"quoted\\ %n caf\xc3\xa9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pool pool = {0};
        struct policy_key key;
        struct err err;
        char line[512];
        char environment[128] = "";
        snprintf(line, sizeof line, "%s%s%s", cases[i].options, ed25519, cases[i].rest);
        if (parse(&pool, line, &key, &err) != 1)
            fail_msg("%s: %s", line, err.text);
        for (size_t k = 0; k < key.environment.n; k++) {
            strcat(environment, key.environment.items[k]);
            strcat(environment, ";");
        }
        assert_int_equal(key.restricted, cases[i].restricted);
        assert_string_equal(environment, cases[i].environment);
        assert_string_equal(key.comment, cases[i].comment);
        if (cases[i].force == NULL)
            assert_null(key.force);
        else
            assert_string_equal(key.force, cases[i].force);
        pool_free(&pool);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *before;
        const char *key;
        const char *after;
        const char *why;
    } cases[] = {
        {"from=\"10.0.0.0/8,10.0.0.1/8\" ", ed25519, "",
         "from: '10.0.0.1/8' has bits beyond its prefix (its network is 10.0.0.0/8)"},
        {"from=\"*.example.org\" ", ed25519, "",
         "from: '*.example.org' is not an IP address or network (names are not looked up)"},
        {"from=\"10.0.0.0/8,,\" ", ed25519, "\xff\r", "line ends in a carriage return"},
        {"from=\"\" ", ed25519, "", "from= is empty: nobody could log in"},
        {"from=\", ,\" ", ed25519, "", "from= is empty: nobody could log in"},
        {"from=\"!10.0.0.0/8 !::1\" ", ed25519, "",
         "from lists only who is refused: nobody could log in"},
        {"from ", ed25519, "", "option 'from' needs a value"},
        {"from=\"::1\",from=\"::1\" ", ed25519, "", "option 'from' is given twice"},
        {"expiry-time=\"\" ", ed25519, "", "expiry-time= '' is not a time"},
        {"expiry-time=\"2030\" ", ed25519, "", "expiry-time= '2030' is not a time"},
        {"expiry-time=\"2030010\" ", ed25519, "", "expiry-time= '2030010' is not a time"},
        {"expiry-time=\"20300101z\" ", ed25519, "", "expiry-time= '20300101z' is not a time"},
        {"expiry-time=\"20300101ZZ\" ", ed25519, "", "expiry-time= '20300101ZZ' is not a time"},
        {"expiry-time=\"2030010112\" ", ed25519, "", "expiry-time= '2030010112' is not a time"},
        {"expiry-time=\"2030-01-01\" ", ed25519, "", "expiry-time= '2030-01-01' is not a time"},
        {"expiry-time=\"203001011200000\" ", ed25519, "",
         "expiry-time= '203001011200000' is not a time"},
        {"expiry-time=\"20300229\" ", ed25519, "",
         "expiry-time= '20300229' is no date and time of the calendar"},
        {"expiry-time=\"20301301\" ", ed25519, "",
         "expiry-time= '20301301' is no date and time of the calendar"},
        {"expiry-time=\"20300100Z\" ", ed25519, "",
         "expiry-time= '20300100Z' is no date and time of the calendar"},
        {"expiry-time=\"203001012400\" ", ed25519, "",
         "expiry-time= '203001012400' is no date and time of the calendar"},
        {"expiry-time=\"20300101235960\" ", ed25519, "",
         "expiry-time= '20300101235960' is no date and time of the calendar"},
        {"expiry-time=\"19691231\" ", ed25519, "",
         "expiry-time= '19691231' is no date and time of the calendar"},
        {"cert-authority=\"x\" ", ed25519, "", "option 'cert-authority' takes no value"},
        {"cert-authority,restrict,cert-authority ", ed25519, "",
         "option 'cert-authority' is given twice"},
        {"restrict,restrict ", ed25519, "", "option 'restrict' is given twice"},
        {"principals=\"a\" ", ed25519, "", "principals= is only for a cert-authority"},
        {"cert-authority,principals=\"\" ", ed25519, "", "principals= has an empty name"},
        {"cert-authority,principals=\"a,\" ", ed25519, "", "principals= has an empty name"},
        {"tunnel=\"1\" ", ed25519, "", "Postern does not carry out the option 'tunnel'"},
        {"no-port-forwarding ", ed25519, "",
         "Postern does not carry out the option 'no-port-forwarding'"},
        {"No-X11-Forwarding ", ed25519, "",
         "Postern does not carry out the option 'No-X11-Forwarding'"},
        {"restrict,evil ", ed25519, "", "'evil' is neither a known option nor a known key type"},
        {"restrict,,pty ", ed25519, "",
         "an option is empty (options are separated by ',' without blanks)"},
        {"restrict, ", ed25519, "",
         "an option is empty (options are separated by ',' without blanks)"},
        {"restrict,pty", "", "", "no key after the options"},
        {"restrict ", "", "", "no key after the options"},
        {"restrict=\"x\" ", ed25519, "", "option 'restrict' takes no value"},
        {"command ", ed25519, "", "option 'command' needs a value"},
        {"command=x ", ed25519, "", "an option's value stands in double quotes"},
        {"command=\"x ", ed25519, "", "an option's value has no closing quote"},
        {"command=\"x\\\" ", ed25519, "", "an option's value has no closing quote"},
        {"command=\"\" ", ed25519, "", "command= is empty"},
        {"command=\"a\",command=\"b\" ", ed25519, "", "option 'command' is given twice"},
        {"command=\"a\"restrict ", ed25519, "", "options are separated by ','"},
        {"environment=\"A\" ", ed25519, "", "environment= needs NAME=VALUE"},
        {"environment=\"=x\" ", ed25519, "", "environment= needs NAME=VALUE"},
        {"environment=\"A B=x\" ", ed25519, "", "environment= needs NAME=VALUE"},
        {"environment=\"A=1\",environment=\"A=2\" ", ed25519, "", "environment= sets A twice"},
        {"", rsa1024, "", "RSA key of 1024 bits (2048 to 16384 are accepted)"},
        {"", "ssh-dss AAAAB3NzaC1kc3M=", "", "ssh-dss key: DSA keys are too weak"},
        {"", "sk-ssh-ed25519@openssh.com AAAA", "",
         "the key's data is not of the type 'sk-ssh-ed25519@openssh.com'"},
        {"verify-required ", ed25519, "", "verify-required is only for a security key"},
        {"no-touch-required ", ed25519, "", "no-touch-required is only for a security key"},
        {"", "ssh-ed25519-cert-v01@openssh.com AAAA", "",
         "this is a certificate: list the key that signed it, as cert-authority"},
        {"restrict ", "ssh-foo AAAA", "", "unknown key type 'ssh-foo'"},
        {"", "ssh-foo AAAA", "", "'ssh-foo' is neither a known option nor a known key type"},
        {"", "ssh-ed25519", "", "no key after 'ssh-ed25519'"},
        {"", "ssh-ed25519 ", "# x", "the key is not valid base64"},
        {"", "ssh-ed25519 AAAA", "", "the key's data is not of the type 'ssh-ed25519'"},
        {"", ed25519, "=", "the key is not valid base64"},
        {"", ed25519, "AAAA", "malformed ssh-ed25519 key"},
        {"", ed25519, " a\x01z", "control character 0x01 at column 83"},
        {"", ed25519, "\r", "line ends in a carriage return"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pool pool = {0};
        struct policy_key key;
        struct err err;
        char line[1024];
        snprintf(line, sizeof line, "%s%s%s", cases[i].before, cases[i].key, cases[i].after);
        assert_int_equal(parse(&pool, line, &key, &err), -1);
        assert_string_equal(err.text, cases[i].why);
        pool_free(&pool);
    }
}

/* A line whose blob is made of `n` strings, with `extra` bytes at its end. */
static int parse_blob(const char *type, const struct wire_bytes *fields, size_t n, size_t extra,
                      struct err *err)
{
    static unsigned char blob[8192];
    static char line[16384];
    struct wire_writer w = {.buf = blob, .cap = sizeof blob};
    for (size_t i = 0; i < n; i++)
        wire_put_bytes(&w, fields[i]);
    for (size_t i = 0; i < extra; i++)
        wire_put_u8(&w, 0);
    int used = snprintf(line, sizeof line, "%s ", type);
    base64_encode_unpadded(blob, w.len, line + used, sizeof line - (size_t)used);
    strcat(line, w.len % 3 == 0 ? "" : w.len % 3 == 1 ? "==" : "=");
    struct pool pool = {0};
    struct policy_key key;
    int rc = parse(&pool, line, &key, err);
    pool_free(&pool);
    return rc;
}

#define TEXT(s)                                                                                    \
    {                                                                                              \
        (const unsigned char *)(s), sizeof(s) - 1                                                  \
    }

static void test_blobs(void **state)
{
    (void)state;
    static unsigned char n[3000];
    static unsigned char point[140];
    memset(n, 0xff, sizeof n);
    n[0] = 0;
    memset(point, 1, sizeof point);
    point[0] = 4;
    struct err err;
    struct wire_bytes ed[] = {TEXT("ssh-ed25519"), {n, 32}};
    assert_int_equal(parse_blob("ssh-ed25519", ed, 2, 0, &err), 1);
    assert_int_equal(parse_blob("ssh-ed25519", ed, 2, 1, &err), -1);
    assert_string_equal(err.text, "malformed ssh-ed25519 key");
    assert_int_equal(parse_blob("ssh-ed25519", ed, 1, 0, &err), -1);
    assert_int_equal(parse_blob("ssh-rsa", ed, 2, 0, &err), -1);
    assert_string_equal(err.text, "the key's data is not of the type 'ssh-rsa'");
    ed[1].len = 31;
    assert_int_equal(parse_blob("ssh-ed25519", ed, 2, 0, &err), -1);

    struct wire_bytes ec[] = {TEXT("ecdsa-sha2-nistp256"), TEXT("nistp256"), {point, 65}};
    assert_int_equal(parse_blob("ecdsa-sha2-nistp256", ec, 3, 0, &err), 1);
    struct wire_bytes other[] = {TEXT("ecdsa-sha2-nistp256"), TEXT("nistp384"), {point, 65}};
    assert_int_equal(parse_blob("ecdsa-sha2-nistp256", other, 3, 0, &err), -1);
    ec[2].len = 33; /* a compressed point */
    assert_int_equal(parse_blob("ecdsa-sha2-nistp256", ec, 3, 0, &err), -1);
    ec[2].len = 65;
    point[0] = 2;
    assert_int_equal(parse_blob("ecdsa-sha2-nistp256", ec, 3, 0, &err), -1);
    assert_string_equal(err.text, "malformed ecdsa-sha2-nistp256 key");

    struct wire_bytes rsa[] = {TEXT("ssh-rsa"), TEXT("\x03"), {n, 257}};
    assert_int_equal(parse_blob("ssh-rsa", rsa, 3, 0, &err), 1);
    rsa[2].len = 256; /* 2040 bits */
    assert_int_equal(parse_blob("ssh-rsa", rsa, 3, 0, &err), -1);
    assert_string_equal(err.text, "RSA key of 2040 bits (2048 to 16384 are accepted)");
    rsa[2].len = 2050;
    assert_int_equal(parse_blob("ssh-rsa", rsa, 3, 0, &err), -1);
    assert_string_equal(err.text, "RSA key of 16392 bits (2048 to 16384 are accepted)");
    static const struct wire_bytes bad_numbers[] = {
        TEXT(""),     TEXT("\x01"),   TEXT("\x04"),
        TEXT("\x83"), TEXT("\0\x03"), TEXT("\x01\x01\x01\x01\x01\x01\x01\x01\x01")};
    for (size_t i = 0; i < sizeof bad_numbers / sizeof *bad_numbers; i++) {
        struct wire_bytes bad[] = {TEXT("ssh-rsa"), bad_numbers[i], {n, 257}};
        assert_int_equal(parse_blob("ssh-rsa", bad, 3, 0, &err), -1);
    }
    rsa[2] = (struct wire_bytes){n + 1, 257}; /* negative */
    assert_int_equal(parse_blob("ssh-rsa", rsa, 3, 0, &err), -1);
    assert_string_equal(err.text, "malformed RSA key");
}

static void test_base64(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *bytes; /* NULL: refused */
    } cases[] = {
        {"YQ==", "a"},      {"YWI=", "ab"}, {"YWJj", "abc"}, {"YWJjZA==", "abcd"}, {"", NULL},
        {"YQ", NULL},       {"YQ=", NULL},  {"YQ===", NULL}, {"Y===", NULL},       {"====", NULL},
        {"YR==", NULL},     {"YWJ=", NULL}, {"YQ= ", NULL},  {" YQ=", NULL},       {"Y=Q=", NULL},
        {"YQ==YQ==", NULL}, {"YW-j", NULL}, {"YW_j", NULL},  {"YW\nj", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char out[16];
        size_t len = 0;
        int rc = base64_decode(cases[i].text, strlen(cases[i].text), out, sizeof out, &len);
        assert_int_equal(rc, cases[i].bytes == NULL ? -1 : 0);
        if (rc == 0) {
            char again[16];
            assert_int_equal(len, strlen(cases[i].bytes));
            assert_memory_equal(out, cases[i].bytes, len);
            base64_encode_unpadded(out, len, again, sizeof again);
            assert_memory_equal(again, cases[i].text, strlen(again));
        }
    }
}

static void test_files(void **state)
{
    (void)state;
    struct pool pool = {0};
    struct key_file file;
    struct diags diags = {0};
    char data[2048];
    int len = snprintf(data, sizeof data, "# keys\n\n%s a\nbad line\n%s\nssh-rsa x\n%s c", ed25519,
                       p256, p384);
    key_file_parse(&pool, &fixture_host, "keys", data, (size_t)len, &file, &diags);
    assert_int_equal(file.n, 3);
    assert_int_equal(file.keys[0].origin.line, 3);
    assert_int_equal(file.keys[1].origin.line, 5);
    assert_int_equal(file.keys[2].origin.line, 7);
    assert_string_equal(file.keys[2].comment, "c");
    assert_int_equal(diags.n, 2);
    assert_int_equal(diags.items[0].line, 4);
    assert_int_equal(diags.items[1].line, 6);
    diags_free(&diags);

    /* A NUL ends nothing. */
    memcpy(data, "restrict\0 ", 10);
    diags = (struct diags){0};
    key_file_parse(&pool, &fixture_host, "keys", data, 10, &file, &diags);
    assert_int_equal(file.n, 0);
    assert_string_equal(diags.items[0].text, "control character 0x00 at column 9");
    diags_free(&diags);
    pool_free(&pool);
}

/* Each problem of a file with its hint. */
static void test_hints(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        const char *hint;
    } cases[] = {
        {"permitopen=\"x:1\"", "Postern forwards nothing: take it out, or say 'restrict'"},
        {"agent-forwarding", "Postern forwards nothing: take it out, or say 'restrict'"},
        {"no-user-rc", "Postern runs no rc file: take it out, or say 'restrict'"},
        {"verify-requird", "did you mean 'verify-required'?"},
        {"form=\"::1\"", "did you mean 'from'?"},
        {"restrct", "did you mean 'restrict'?"},
        {"expiry=\"20300101\"", "a line is: [options] type key [comment]"},
        {"ssh-ed25519x", "did you mean 'ssh-ed25519'?"},
        {"zzz", "a line is: [options] type key [comment]"},
        {"expiry-time=\"tomorrow\"", "write YYYYMMDD or YYYYMMDDHHMM[SS], and Z behind it for UTC"},
        {"from=\"!::1\"", "name who may come, e.g. 0.0.0.0/0 and ::/0 for everybody else"},
        {"principals=\"a\"",
         "add cert-authority if the key signs certificates, or take principals= out"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pool pool = {0};
        struct key_file file;
        struct diags diags = {0};
        char line[512];
        int len = snprintf(line, sizeof line, "%s %s\n", cases[i].options, ed25519);
        assert_int_equal(
            key_file_parse(&pool, &fixture_host, "keys", line, (size_t)len, &file, &diags), 0);
        assert_int_equal(file.n, 0);
        assert_int_equal(diags.n, 1);
        assert_string_equal(diags.items[0].hint, cases[i].hint);
        diags_free(&diags);
        pool_free(&pool);
    }
}

static void test_expiry(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t expires;
    } cases[] = {
        {"20300101Z", 1893456000},
        {"203001010000Z", 1893456000},
        {"20300101000000Z", 1893456000},
        {"20300101235959Z", 1893542399},
        {"20240229Z", 1709164800},
        {"20000229Z", 951782400},
        {"19700101Z", 1}, /* long past, and not 0, which is "never" */
        {"99991231235959Z", 253402300799},
        /* Without Z it is local time: here, two hours before UTC. */
        {"20300101", 1893448800},
        {"203001010200", 1893456000},
        {"20300101020001", 1893456001},
    };
    assert_int_equal(setenv("TZ", "XYZ-2", 1), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pool pool = {0};
        struct policy_key key;
        struct err err;
        char line[512];
        snprintf(line, sizeof line, "expiry-time=\"%s\" %s", cases[i].text, ed25519);
        if (parse(&pool, line, &key, &err) != 1)
            fail_msg("%s: %s", line, err.text);
        assert_int_equal(key.expires, cases[i].expires);
        pool_free(&pool);
    }
    unsetenv("TZ");
}

static void test_authority(void **state)
{
    (void)state;
    struct pool pool = {0};
    struct policy_key key;
    struct err err;
    char line[512];
    snprintf(line, sizeof line,
             "cert-authority,principals=\"ci,a b\",from=\"10.0.0.0/8 !10.1.0.0/16,::1\" %s x",
             ed25519);
    assert_int_equal(parse(&pool, line, &key, &err), 1);
    assert_true(key.is_authority);
    assert_int_equal(key.principals.n, 2);
    assert_string_equal(key.principals.items[0], "ci");
    assert_string_equal(key.principals.items[1], "a b");
    assert_int_equal(key.from.n, 3);
    assert_false(key.from.rules[0].negated);
    assert_true(key.from.rules[1].negated);
    assert_string_equal(key.from.rules[1].text, "!10.1.0.0/16");
    assert_int_equal(key.from.rules[1].prefix, 112);
    snprintf(line, sizeof line, "%s", ed25519);
    assert_int_equal(parse(&pool, line, &key, &err), 1);
    assert_false(key.is_authority);
    assert_int_equal(key.expires, 0);
    assert_int_equal(key.from.n, 0);
    pool_free(&pool);
}

static void test_bits(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        unsigned bits;
        const char *name;
    } cases[] = {
        {ed25519, 256, "ED25519"}, {p256, 256, "ECDSA"},   {p384, 384, "ECDSA"},
        {p521, 521, "ECDSA"},      {rsa2048, 2048, "RSA"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pool pool = {0};
        struct policy_key key;
        struct err err;
        assert_int_equal(parse(&pool, cases[i].line, &key, &err), 1);
        assert_int_equal(key_blob_bits(key.blob, key.blob_len), cases[i].bits);
        assert_string_equal(key_type_short(key.type), cases[i].name);
        pool_free(&pool);
    }
    assert_int_equal(key_blob_bits((const unsigned char *)"", 0), 0);
    assert_string_equal(key_type_short("x"), "unknown");
}

/* Whatever a file holds, it is taken apart within bounds and each line is judged by itself. */
static void test_hostile_files(void **state)
{
    (void)state;
    enum { BIG = 65536 };
    static char data[2 * BIG];
    static const struct {
        const char *head;
        char fill;
        const char *why;
    } cases[] = {
        {"", 'a', "line is longer than 16384 bytes"},
        {"command=\"", '\\', "line is longer than 16384 bytes"},
        {"from=\"", '1', "line is longer than 16384 bytes"},
        {"ssh-ed25519 ", 'A', "line is longer than 16384 bytes"},
        {"#", '#', "line is longer than 16384 bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pool pool = {0};
        struct key_file file;
        struct diags diags = {0};
        size_t len = strlen(cases[i].head);
        memcpy(data, cases[i].head, len);
        memset(data + len, cases[i].fill, BIG - len);
        int more = snprintf(data + BIG, BIG, "\n%s good\n", ed25519);
        assert_int_equal(
            key_file_parse(&pool, &fixture_host, "keys", data, BIG + (size_t)more, &file, &diags),
            0);
        assert_int_equal(diags.n, 1);
        assert_int_equal(diags.items[0].line, 1);
        assert_string_equal(diags.items[0].text, cases[i].why);
        assert_int_equal(file.n, 1);
        assert_int_equal(file.keys[0].origin.line, 2);
        diags_free(&diags);
        pool_free(&pool);
    }
}

/* Nothing of a private key is told, wherever in the file it stands. */
static void test_private_keys(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n",
        "\n \n-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n",
        "# mine\n-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n",
        "ssh-ed25519 AAAA\n-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0\n",
        "c2VjcmV0\n-----BEGIN PRIVATE KEY-----\n",
        "PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\nc2VjcmV0\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct pool pool = {0};
        struct key_file file;
        struct diags diags = {0};
        assert_int_equal(
            key_file_parse(&pool, &fixture_host, "keys", texts[i], strlen(texts[i]), &file, &diags),
            0);
        assert_int_equal(file.n, 0);
        assert_int_equal(diags.n, 1);
        assert_int_equal(diags.items[0].line, 1);
        assert_string_equal(diags.items[0].text,
                            "this is a private key: the public one (.pub) belongs here");
        diags_free(&diags);
        pool_free(&pool);
    }
}

/* What other programs write: said once, and the rest is read where that can be. */
static void test_other_formats(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *problem;
        size_t n;
    } cases[] = {
        {"---- BEGIN SSH2 PUBLIC KEY ----\nComment: x\nAAAA\n---- END SSH2 PUBLIC KEY ----\n",
         "keys:1: error: this key is in the format of RFC 4716, not of OpenSSH (convert it: "
         "ssh-keygen -i -f FILE)",
         0},
        {KEY_A " a\r\n\r\n" KEY_B " b\r\n",
         "keys:1: error: line ends are CRLF; convert with: sed -i 's/\\r$//' keys", 2},
        {"\xef\xbb\xbf" KEY_A " a\n",
         "keys:1: error: the file begins with a byte order mark (save the file as plain text)", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pool pool = {0};
        struct key_file file;
        struct diags diags = {0};
        char line[256] = "";
        assert_int_equal(key_file_parse(&pool, &fixture_host, "keys", cases[i].text,
                                        strlen(cases[i].text), &file, &diags),
                         0);
        assert_int_equal(diags.n, 1);
        diag_format(&diags.items[0], line, sizeof line);
        assert_string_equal(line, cases[i].problem);
        assert_int_equal(file.n, cases[i].n);
        diags_free(&diags);
        pool_free(&pool);
    }
}

/* An option can't be closed, and another one opened, by what stands in its value. */
static void test_values_stay_values(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        const char *force; /* NULL: the line is refused */
    } cases[] = {
        {"command=\"a\\\",restrict,command=\\\"b\"", "a\",restrict,command=\"b"},
        {"command=\"a\\\\\" pty\"", "a\\\" pty"},
        {"command=\"a\" ,restrict", NULL},
        {"command=\"'$(id)' %n\"", "'$(id)' %n"},
        {"command=\"\\\"\"", "\""},
        {"command=\"x\"\"y\"", NULL},
        {"command='x'", NULL},
        {"\"restrict\"", NULL},
        {"command=\"a\nb\"", NULL},
        {"command=\"a\tb\"", "a\tb"},
        {"command=\"a\x7f\"", NULL},
        {"=\"x\"", NULL},
        {",restrict", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pool pool = {0};
        struct policy_key key;
        struct err err;
        char line[512];
        snprintf(line, sizeof line, "%s %s", cases[i].options, ed25519);
        int rc = parse(&pool, line, &key, &err);
        if (cases[i].force == NULL) {
            assert_int_equal(rc, -1);
        } else {
            assert_int_equal(rc, 1);
            assert_string_equal(key.force, cases[i].force);
            assert_false(key.restricted);
        }
        pool_free(&pool);
    }
}

static void test_offers(void **state)
{
    (void)state;
    struct pool pool = {0};
    unsigned char *blob;
    size_t len;
    struct err err;
    char line[512];
    snprintf(line, sizeof line, "%s alice@client", ed25519);
    assert_int_equal(key_offer_parse(&pool, line, strlen(line), &blob, &len, &err), 0);
    assert_int_equal(len, 51);
    static const struct {
        const char *line;
        const char *why;
    } cases[] = {
        {"", "unknown key type ''"},
        {"restrict ssh-ed25519 AAAA", "unknown key type 'restrict'"},
        {"ssh-ed25519 AAAA", "the key's data is not of the type 'ssh-ed25519'"},
        {"ssh-ed25519", "no key after 'ssh-ed25519'"},
        {"ssh-dss AAAA", "ssh-dss key: DSA keys are too weak"},
        {"ssh-ed25519-cert-v01@openssh.com AAAA", "certificates of type '' are not accepted"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(
            key_offer_parse(&pool, cases[i].line, strlen(cases[i].line), &blob, &len, &err), -1);
        assert_string_equal(err.text, cases[i].why);
    }
    pool_free(&pool);
}

static void test_bounds(void **state)
{
    (void)state;
    static char line[KEY_LINE_MAX + 200];
    struct pool pool = {0};
    struct policy_key key;
    struct err err;
    int head = snprintf(line, sizeof line, "%s ", ed25519);
    memset(line + head, 'c', KEY_COMMENT_MAX);
    assert_int_equal(parse(&pool, line, &key, &err), 1);
    assert_int_equal(strlen(key.comment), KEY_COMMENT_MAX);
    line[head + KEY_COMMENT_MAX] = 'c';
    assert_int_equal(parse(&pool, line, &key, &err), -1);
    assert_string_equal(err.text, "comment is longer than 256 bytes");
    memset(line, 'a', KEY_LINE_MAX + 1);
    assert_int_equal(parse(&pool, line, &key, &err), -1);
    assert_string_equal(err.text, "line is longer than 16384 bytes");
    head = snprintf(line, sizeof line, "ssh-rsa ");
    memset(line + head, 'A', 8192);
    line[head + 8192] = '\0';
    assert_int_equal(parse(&pool, line, &key, &err), -1);
    assert_string_equal(err.text, "key is longer than 4096 bytes");
    pool_free(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),         cmocka_unit_test(test_lines_without_keys),
        cmocka_unit_test(test_options),       cmocka_unit_test(test_refused),
        cmocka_unit_test(test_hints),         cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_authority),     cmocka_unit_test(test_bits),
        cmocka_unit_test(test_hostile_files), cmocka_unit_test(test_values_stay_values),
        cmocka_unit_test(test_offers),        cmocka_unit_test(test_blobs),
        cmocka_unit_test(test_base64),        cmocka_unit_test(test_files),
        cmocka_unit_test(test_bounds),        cmocka_unit_test(test_private_keys),
        cmocka_unit_test(test_other_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
