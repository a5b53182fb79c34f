/* postern replay's parts: reading the trail back to the byte, judging it, gathering in bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "flips.h"
#include "judge.h"
#include "json.h"
#include "key_file.h"
#include "lines.h"
#include "policy_fixture.h"
#include "record.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define START                                                                                      \
    "{\"v\":1,\"time\":\"2026-11-22T18:57:17.607Z\",\"event\":\"start\",\"exec\":\"c1.1\","        \
    "\"tenant\":\"git\",\"user\":\"git\",\"key\":\"SHA256:x\",\"client\":\"192.0.2.1\","           \
    "\"kind\":\"exec\",\"command\":\"id\",\"decision\":\"allow\",\"reason\":null,"                 \
    "\"sandbox\":\"box\""

static enum record_kind read_text(const char *text, struct record *out, enum record_skip *why)
{
    return record_read(text, strlen(text), out, why);
}

static void test_record(void **state)
{
    (void)state;
    struct record r;
    enum record_skip why;
    assert_int_equal(read_text(START "}", &r, &why), RECORD_START);
    assert_int_equal(r.time, 1795373837);
    assert_string_equal(r.exec, "c1.1");
    assert_string_equal(r.user, "git");
    assert_string_equal(r.tenant, "git");
    assert_string_equal(r.key, "SHA256:x");
    assert_string_equal(r.client, "192.0.2.1");
    assert_int_equal(r.kind, EXEC_COMMAND);
    assert_string_equal(r.command, "id");
    assert_true(r.allowed);
    assert_string_equal(r.sandbox, "box");
    record_free(&r);
}

static void test_other_lines(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum record_kind kind;
    } cases[] = {
        {"{\"v\":1,\"event\":\"end\"}", RECORD_OTHER},
        {"{\"v\":1,\"event\":\"end\",\"reason\":\"\\\"start\\\"\"}", RECORD_OTHER},
        {"{\"v\":1,\"event\":\"auth\",\"user\":\"start\"}", RECORD_OTHER},
        {"", RECORD_MALFORMED},
        {"x", RECORD_MALFORMED},
        {"}", RECORD_MALFORMED},
        {"{\"v\":1,\"time\":\"2026", RECORD_MALFORMED},
        {START, RECORD_MALFORMED},
        {START "} ,", RECORD_MALFORMED},
        {"[\"start\"]", RECORD_MALFORMED},
        {"{\"event\":\"start\",\"event\":\"start\"}", RECORD_MALFORMED},
        {"{\"v\":1,\"event\":\"start\",\"tenant\":\"a\"}", RECORD_MALFORMED},
    };
    struct record r;
    enum record_skip why;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(read_text(cases[i].text, &r, &why), cases[i].kind);
        record_free(&r);
    }
}

static void test_skipped(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum record_skip why;
    } cases[] = {
        {START ",\"command_cut\":\"it is longer\"}", RECORD_SKIP_CUT},
        {START ",\"truncated\":true}", RECORD_SKIP_INCOMPLETE},
        {START ",\"limit\":\"max-execs\"}", RECORD_SKIP_LIMIT},
        {"{\"v\":2,\"event\":\"start\"}", RECORD_SKIP_VERSION},
        {"{\"event\":\"start\"}", RECORD_SKIP_VERSION},
        {"{\"v\":1,\"event\":\"start\",\"tenant\":null,\"key\":null}", RECORD_SKIP_LOGIN},
    };
    struct record r;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum record_skip why = RECORD_SKIPS_N;
        assert_int_equal(read_text(cases[i].text, &r, &why), RECORD_SKIPPED);
        assert_int_equal(why, cases[i].why);
        record_free(&r);
    }
    enum record_skip why;
    assert_int_equal(read_text(START ",\"limit\":null}", &r, &why), RECORD_START);
    record_free(&r);
}

/* What the master's own writer has escaped comes back as it was, whatever it was. */
static void test_commands_come_back(void **state)
{
    (void)state;
    static struct json json;
    char bytes[257];
    struct record r;
    enum record_skip why;
    for (size_t i = 0; i < 256; i++)
        bytes[i] = (char)i;
    bytes[256] = '"';
    memset(&json, 0, sizeof json);
    json_uint(&json, "v", 1);
    json_str(&json, "time", "2026-11-22T18:57:17.607Z");
    json_str(&json, "event", "start");
    json_str(&json, "exec", "c1.1");
    json_str(&json, "tenant", "git");
    json_str(&json, "user", "git");
    json_str(&json, "key", NULL);
    json_str(&json, "client", "::1");
    json_str(&json, "kind", "subsystem");
    json_bytes(&json, "command", bytes, sizeof bytes);
    json_str(&json, "decision", "deny");
    json_str(&json, "sandbox", NULL);
    size_t len = json_end(&json);
    assert_int_equal(record_read(json.buf, len - 1, &r, &why), RECORD_START);
    assert_int_equal(r.command_len, sizeof bytes);
    assert_memory_equal(r.command, bytes, sizeof bytes);
    assert_int_equal(r.kind, EXEC_SUBSYSTEM);
    assert_false(r.allowed);
    assert_null(r.key);
    assert_null(r.sandbox);
    record_free(&r);
}

/* Code points that the writer never makes: not a byte's. */
static void test_foreign_commands(void **state)
{
    (void)state;
    struct record r;
    enum record_skip why;
    static const char text[] =
        "{\"v\":1,\"time\":\"2026-11-22T18:57:17Z\",\"event\":\"start\",\"exec\":\"1\","
        "\"tenant\":\"git\",\"user\":\"git\",\"client\":\"::1\",\"kind\":\"exec\","
        "\"command\":\"\\u0100\",\"decision\":\"deny\"}";
    assert_int_equal(read_text(text, &r, &why), RECORD_MALFORMED);
    record_free(&r);
}

#define OLD_TENANT "[sandbox \"box\"]\nnetwork = none\n[tenant \"git\"]\nkeys = keys/a\n"

static enum judgement judge_one(const char *policy_text, const struct record *record,
                                struct flip *flip)
{
    static struct policy *policy;
    struct judge judge;
    policy_free(policy);
    policy = fixture_load_good(policy_text);
    assert_int_equal(judge_begin(&judge, policy), 0);
    enum judgement got = judge_record(&judge, record, flip);
    judge_free(&judge);
    return got;
}

static const char *fingerprint_a(void)
{
    static char fingerprint[KEY_FINGERPRINT_MAX];
    struct policy *policy = fixture_load_good(OLD_TENANT "shell = /bin/sh\n");
    (void)snprintf(fingerprint, sizeof fingerprint, "%s", policy->tenants[0].keys[0].fingerprint);
    policy_free(policy);
    return fingerprint;
}

static struct record record_of(bool allowed)
{
    return (struct record){.time = 1000000000,
                           .exec = "c1.1",
                           .user = "git",
                           .tenant = "git",
                           .key = fingerprint_a(),
                           .client = "192.0.2.1",
                           .command = (char[]){"id"},
                           .command_len = 2,
                           .allowed = allowed,
                           .sandbox = allowed ? "box" : NULL};
}

static void test_judging(void **state)
{
    (void)state;
    char command[] = "id";
    struct record allowed = record_of(true);
    struct record denied = record_of(false);
    struct flip flip;
    allowed.command = denied.command = command;
    static const char same[] = OLD_TENANT "sandbox = box\nshell = /bin/sh\n";
    static const char nothing[] = OLD_TENANT "sandbox = box\ncommand = ls\n";
    assert_int_equal(judge_one(same, &allowed, &flip), JUDGE_SAME);
    assert_int_equal(judge_one(nothing, &denied, &flip), JUDGE_SAME);

    assert_int_equal(judge_one(nothing, &allowed, &flip), JUDGE_DIFFERS);
    assert_int_equal(flip.kind, FLIP_DENY);
    assert_string_equal(flip.reason, "\"id\" is not a command that is allowed here");
    assert_string_equal(flip.rule.file, "/p/policy.d/t.ini");

    assert_int_equal(judge_one(same, &denied, &flip), JUDGE_DIFFERS);
    assert_int_equal(flip.kind, FLIP_ALLOW);
    assert_string_equal(flip.after, "box");
    assert_int_equal(flip.rule.line, 6);

    assert_int_equal(judge_one(OLD_TENANT "shell = /bin/sh\n", &allowed, &flip), JUDGE_DIFFERS);
    assert_int_equal(flip.kind, FLIP_SANDBOX);
    assert_string_equal(flip.before, "box");
    assert_string_equal(flip.after, "default");

    assert_int_equal(judge_one("[tenant \"other\"]\nuser = git\nkeys = keys/a\nshell = /bin/sh\n",
                               &allowed, &flip),
                     JUDGE_DIFFERS);
    assert_int_equal(flip.kind, FLIP_TENANT);
    assert_string_equal(flip.before, "git");
    assert_string_equal(flip.after, "other");
}

static void test_judging_of_logins(void **state)
{
    (void)state;
    char command[] = "id";
    struct record allowed = record_of(true);
    struct flip flip;
    allowed.command = command;
    /* The key has gone. */
    assert_int_equal(
        judge_one("[tenant \"git\"]\nkeys = keys/b\nshell = /bin/sh\n", &allowed, &flip),
        JUDGE_DIFFERS);
    assert_int_equal(flip.kind, FLIP_DENY);
    assert_string_equal(flip.reason, "this login has no such key");
    /* By the address and the time of then. */
    assert_int_equal(judge_one(OLD_TENANT "from = 198.51.100.0/24\nshell = /bin/sh\n"
                                          "sandbox = box\n",
                               &allowed, &flip),
                     JUDGE_DIFFERS);
    assert_int_equal(flip.kind, FLIP_DENY);
    assert_int_equal(judge_one(OLD_TENANT "from = 192.0.2.0/24\nshell = /bin/sh\nsandbox = box\n",
                               &allowed, &flip),
                     JUDGE_SAME);
    /* No key was asked for. */
    allowed.key = NULL;
    assert_int_equal(judge_one("[sandbox \"box\"]\nnetwork = none\n[tenant \"git\"]\n"
                               "auth = none\nforce = /bin/date\nsandbox = box\n",
                               &allowed, &flip),
                     JUDGE_SAME);
}

static void test_judging_at_the_time_of_then(void **state)
{
    (void)state;
    char command[] = "id";
    struct record allowed = record_of(true);
    struct flip flip;
    struct judge judge;
    allowed.command = command;
    fixture_reset();
    fixture_add_text("/p/policy.d/keys/old", "expiry-time=\"20200101Z\" " KEY_A "\n");
    fixture_add_text("/p/policy.d/t.ini", "[sandbox \"box\"]\nnetwork = none\n[tenant \"git\"]\n"
                                          "keys = keys/old\nsandbox = box\nshell = /bin/sh\n");
    struct policy *policy = fixture_load();
    assert_non_null(policy);
    assert_int_equal(judge_begin(&judge, policy), 0);
    allowed.time = 1577836799;
    assert_int_equal(judge_record(&judge, &allowed, &flip), JUDGE_SAME);
    allowed.time = 1577836800;
    assert_int_equal(judge_record(&judge, &allowed, &flip), JUDGE_DIFFERS);
    assert_non_null(strstr(flip.reason, "2020-01-01"));
    judge_free(&judge);
    policy_free(policy);
}

static void test_certificates_are_not_judged(void **state)
{
    (void)state;
    char command[] = "id";
    struct record allowed = record_of(true);
    struct flip flip;
    struct judge judge;
    allowed.command = command;
    fixture_reset();
    fixture_add_text("/p/policy.d/keys/ca", "cert-authority " KEY_A "\n");
    fixture_add_text("/p/policy.d/t.ini", "[tenant \"git\"]\nkeys = keys/ca\nshell = /bin/sh\n");
    struct policy *policy = fixture_load();
    assert_non_null(policy);
    assert_int_equal(judge_begin(&judge, policy), 0);
    assert_int_equal(judge_record(&judge, &allowed, &flip), JUDGE_CERTIFICATE);
    /* Another login's authority is nothing to this one; nor is what no login could be. */
    allowed.user = "acme";
    assert_int_equal(judge_record(&judge, &allowed, &flip), JUDGE_DIFFERS);
    assert_string_equal(flip.reason, "no tenant has this login");
    char user[4096];
    memset(user, 'u', sizeof user - 1);
    user[sizeof user - 1] = '\0';
    allowed.user = user;
    assert_int_equal(judge_record(&judge, &allowed, &flip), JUDGE_DIFFERS);
    judge_free(&judge);
    policy_free(policy);
}

static struct flip flip_of(const char *command, int64_t when)
{
    return (struct flip){.kind = FLIP_DENY,
                         .user = "git",
                         .command = command,
                         .command_len = strlen(command),
                         .exec = "c1.1",
                         .first = when};
}

static void test_grouping(void **state)
{
    (void)state;
    struct flips flips;
    assert_int_equal(flips_begin(&flips, fixture_host.sha256), 0);
    struct flip one = flip_of("rare", 5);
    assert_int_equal(flips_add(&flips, &one), 0);
    for (int64_t when = 10; when < 13; when++) {
        one = flip_of("often", when);
        assert_int_equal(flips_add(&flips, &one), 0);
    }
    one.tenant = "";
    assert_int_equal(flips_add(&flips, &one), 0); /* "" is not nobody */
    one = flip_of("often", 9);
    one.exec = "c9.9";
    assert_int_equal(flips_add(&flips, &one), 0);
    one.kind = FLIP_ALLOW;
    assert_int_equal(flips_add(&flips, &one), 0);
    flips_sort(&flips);
    assert_int_equal(flips.n, 4);
    assert_int_equal(flips.totals[FLIP_DENY], 6);
    assert_int_equal(flips.totals[FLIP_ALLOW], 1);
    const struct flip *first = flips_at(&flips, 0);
    assert_string_equal(first->command, "often");
    assert_int_equal(first->count, 4);
    assert_int_equal(first->first, 9);
    assert_int_equal(first->last, 12);
    assert_string_equal(first->exec, "c1.1");
    assert_null(first->tenant);
    assert_string_equal(flips_at(&flips, 1)->command, "rare");
    assert_string_equal(flips_at(&flips, 2)->tenant, "");
    assert_int_equal(flips_at(&flips, 3)->kind, FLIP_ALLOW);
    flips_free(&flips);
}

static void test_bounds(void **state)
{
    (void)state;
    struct flips flips;
    char command[32];
    assert_int_equal(flips_begin(&flips, fixture_host.sha256), 0);
    for (int i = 0; i < FLIPS_MAX + 5; i++) {
        (void)snprintf(command, sizeof command, "command %d", i);
        struct flip one = flip_of(command, 1);
        assert_int_equal(flips_add(&flips, &one), 0);
    }
    struct flip known = flip_of("command 0", 2);
    assert_int_equal(flips_add(&flips, &known), 0);
    assert_int_equal(flips.n, FLIPS_MAX);
    assert_int_equal(flips.more, 5);
    assert_int_equal(flips.totals[FLIP_DENY], FLIPS_MAX + 6);
    flips_sort(&flips);
    assert_string_equal(flips_at(&flips, 0)->command, "command 0");
    flips_free(&flips);

    /* By bytes, too: of a thousand commands of 128 KiB not all can be kept. */
    static char large[128 * 1024];
    memset(large, 'x', sizeof large - 1);
    assert_int_equal(flips_begin(&flips, fixture_host.sha256), 0);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(large, 8, "%06d", i);
        large[6] = 'x';
        struct flip one = flip_of(large, 1);
        assert_int_equal(flips_add(&flips, &one), 0);
    }
    assert_true(flips.bytes <= FLIPS_BYTES_MAX);
    assert_true(flips.n > 400);
    assert_int_equal(flips.n + flips.more, 1000);
    flips_free(&flips);
}

static int temporary_file(const char *data, size_t len)
{
    char name[] = "/tmp/postern-lines-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(write(fd, data, len), (ssize_t)len);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static void expect_line(struct lines *lines, const char *text)
{
    const char *line;
    size_t len;
    assert_int_equal(lines_next(lines, &line, &len), LINES_ONE);
    assert_int_equal(len, strlen(text));
    assert_memory_equal(line, text, len);
}

static void test_lines(void **state)
{
    (void)state;
    struct lines lines;
    const char *line;
    size_t len;
    int fd = temporary_file("one\n\ntwo\nlast", 13);
    assert_int_equal(lines_begin(&lines, fd), 0);
    assert_memory_equal(lines_peek(&lines, 3, &len), "one", 3);
    assert_int_equal(len, 3);
    expect_line(&lines, "one");
    expect_line(&lines, "");
    expect_line(&lines, "two");
    expect_line(&lines, "last");
    assert_int_equal(lines_next(&lines, &line, &len), LINES_END);
    assert_int_equal(lines_next(&lines, &line, &len), LINES_END);
    lines_free(&lines);
    close(fd);

    assert_int_equal(lines_begin(&lines, -1), 0);
    assert_int_equal(lines_next(&lines, &line, &len), LINES_FAILED);
    lines_free(&lines);
}

static void test_long_lines(void **state)
{
    (void)state;
    struct lines lines;
    const char *line;
    size_t len;
    size_t size = 3 * LINES_BUFFER;
    char *data = malloc(size);
    assert_non_null(data);
    memset(data, 'a', size);
    memcpy(data, "first\n", 6);
    memcpy(data + size - 12, "\nsecond\nend\n", 12);
    int fd = temporary_file(data, size);
    assert_int_equal(lines_begin(&lines, fd), 0);
    expect_line(&lines, "first");
    assert_int_equal(lines_next(&lines, &line, &len), LINES_TOO_LONG);
    expect_line(&lines, "second");
    expect_line(&lines, "end");
    assert_int_equal(lines_next(&lines, &line, &len), LINES_END);
    lines_free(&lines);
    close(fd);
    /* Also if it is the last one and has no end. */
    fd = temporary_file(data + 6, 2 * LINES_BUFFER);
    assert_int_equal(lines_begin(&lines, fd), 0);
    assert_int_equal(lines_next(&lines, &line, &len), LINES_TOO_LONG);
    assert_int_equal(lines_next(&lines, &line, &len), LINES_END);
    lines_free(&lines);
    close(fd);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record),
        cmocka_unit_test(test_other_lines),
        cmocka_unit_test(test_skipped),
        cmocka_unit_test(test_commands_come_back),
        cmocka_unit_test(test_foreign_commands),
        cmocka_unit_test(test_judging),
        cmocka_unit_test(test_judging_of_logins),
        cmocka_unit_test(test_judging_at_the_time_of_then),
        cmocka_unit_test(test_certificates_are_not_judged),
        cmocka_unit_test(test_grouping),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_long_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
