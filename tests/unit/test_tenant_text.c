/* Policies made of templates, and key files changed line by line. */
#include "key_text.h"
#include "tenant_template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static const char text[] = "; tiny: acme on host 2222\n"
                           ";   ssh -p 2222 acme@host\n"
                           "[sandbox \"acme\"]\n"
                           "workspace      = exec\n"
                           "workspace-size = 1G\n"
                           "network = none\n"
                           "memory  = 1G\n"
                           "cpu     = 100%\n"
                           "[tenant \"acme\"]\n"
                           "keys = keys/acme\n"
                           "subsystem = sftp: /x\n"
                           "; pacme acme. acme-x\n"
                           "[test \"acme\"]\n"
                           "keys = x\n"
                           "user = acme";

static void expect_filled(const struct template_wish *wish, const char *wanted)
{
    struct err err = {0};
    size_t len = 0;
    char *got = tenant_template_fill(text, wish, &len, &err);
    assert_non_null(got);
    assert_int_equal(len, strlen(got));
    assert_string_equal(strstr(got, ";\n") + 2, wanted);
    free(got);
}

static void test_name_takes_the_place_of_words(void **state)
{
    (void)state;
    const struct template_wish wish = {
        .tenant = "bob", .template = "tiny", .host = "example.org", .port = "22"};
    expect_filled(&wish, "; tiny: bob on host 2222\n"
                         ";   ssh -p 22 bob@example.org\n"
                         "[sandbox \"bob\"]\n"
                         "workspace      = exec\n"
                         "workspace-size = 1G\n"
                         "network = none\n"
                         "memory  = 1G\n"
                         "cpu     = 100%\n"
                         "[tenant \"bob\"]\n"
                         "keys = keys/bob\n"
                         "subsystem = sftp: /x\n"
                         "; pacme acme. acme-x\n"
                         "[test \"bob\"]\n"
                         "keys = x\n"
                         "user = bob\n");
}

static void test_settings_that_were_wished_for(void **state)
{
    (void)state;
    const char *const from[] = {"10.0.0.0/8", "::1"};
    const struct template_wish wish = {.tenant = "b",
                                       .template = "tiny",
                                       .host = "h",
                                       .port = "1",
                                       .workspace = "/srv/acme",
                                       .network = "host",
                                       .from = from,
                                       .n_from = 2,
                                       .no_memory = true,
                                       .no_cpu = true,
                                       .no_subsystem = true};
    expect_filled(&wish, "; tiny: b on host 2222\n"
                         ";   ssh -p 1 b@h\n"
                         "[sandbox \"b\"]\n"
                         "workspace      = /srv/acme\n"
                         "; workspace-size = 1G\n"
                         "network = host\n"
                         "; memory  = 1G\n"
                         "; cpu     = 100%\n"
                         "[tenant \"b\"]\n"
                         "keys = keys/b\n"
                         "from = 10.0.0.0/8\n"
                         "from = ::1\n"
                         "; subsystem = sftp: /x\n"
                         "; pacme acme. acme-x\n"
                         "[test \"b\"]\n"
                         "keys = x\n"
                         "user = b\n");
}

static void expect_unfit(const char *template, const struct template_wish *wish, const char *why)
{
    struct err err = {0};
    size_t len;
    assert_null(tenant_template_fill(template, wish, &len, &err));
    assert_string_equal(err.text, why);
}

static void test_template_without_a_line_for_it(void **state)
{
    (void)state;
    const struct template_wish wish = {.tenant = "b",
                                       .template = "t",
                                       .host = "h",
                                       .port = "1",
                                       .workspace = "exec",
                                       .network = "host"};
    expect_unfit("", &wish, "the template has no 'keys' in a [tenant]");
    expect_unfit("[test \"x\"]\nkeys = x\n", &wish, "the template has no 'keys' in a [tenant]");
    expect_unfit("[tenant \"x\"]\nkeys = x\n", &wish, "the template has no 'workspace' to set");
    expect_unfit("[tenant \"x\"]\nkeys=x\nworkspace=none\n", &wish,
                 "the template has no 'network' to set");
}

static void test_commands_and_summary(void **state)
{
    (void)state;
    char buf[64];
    const char *at = "; x: y\n;   first\n;  no\n;   \n;   second";
    size_t len;
    assert_memory_equal(tenant_template_command(&at, &len), "first", 5);
    assert_int_equal(len, 5);
    assert_memory_equal(tenant_template_command(&at, &len), "second", 6);
    assert_int_equal(len, 6);
    assert_null(tenant_template_command(&at, &len));
    assert_string_equal(tenant_template_summary("; x: y\nz", buf, sizeof buf), "y");
    assert_string_equal(tenant_template_summary("; x\n; a: b\n", buf, sizeof buf), "");
    assert_string_equal(tenant_template_summary("[x: y]\n", buf, sizeof buf), "");
    assert_string_equal(tenant_template_summary("; x: y", buf, sizeof buf), "");
}

static void expect_keys(const char *data, const struct key_wish *wish, const char *wanted)
{
    struct key_text out = {0};
    struct err err = {0};
    assert_int_equal(key_text_add(&out, data, strlen(data), wish, &err), 0);
    assert_string_equal(out.data != NULL ? out.data : "", wanted);
    assert_int_equal(out.len, strlen(wanted));
    free(out.data);
}

static void test_keys_with_options(void **state)
{
    (void)state;
    const struct key_wish none = {0};
    const struct key_wish all = {.comment = "new one", .from = "10.0.0.0/8", .expiry = "20300101Z"};
    expect_keys("", &none, "");
    expect_keys("\n# x\n  \n\t" KEY " a b \t\r\n" KEY, &none, KEY " a b\n" KEY "\n");
    expect_keys("restrict,command=\"a \\\"b\\\" c\" " KEY " x", &none,
                "restrict,command=\"a \\\"b\\\" c\" " KEY " x\n");
    expect_keys(KEY " x\n", &all,
                "from=\"10.0.0.0/8\",expiry-time=\"20300101Z\" " KEY " new one\n");
    expect_keys("no-pty,command=\"a b\"  " KEY "\n", &all,
                "from=\"10.0.0.0/8\",expiry-time=\"20300101Z\",no-pty,command=\"a b\" " KEY
                " new one\n");
}

static void test_lines_are_taken_out(void **state)
{
    (void)state;
    static const struct {
        const char *before;
        unsigned line;
        const char *after; /* NULL: there is no such line */
    } cases[] = {
        {"a\nb\nc\n", 1, "b\nc\n"},
        {"a\nb\nc\n", 2, "a\nc\n"},
        {"a\nb\nc\n", 3, "a\nb\n"},
        {"a\nb\nc", 3, "a\nb\n"},
        {"a", 1, ""},
        {"a\nb\n", 3, NULL},
        {"a\nb\n", 0, NULL},
        {"", 1, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct key_text got = {0};
        struct err err = {0};
        assert_int_equal(key_text_append(&got, "", 0, &err), 0);
        free(got.data);
        got = (struct key_text){.data = strdup(cases[i].before), .len = strlen(cases[i].before)};
        int rc = key_text_remove_line(&got, cases[i].line, &err);
        assert_int_equal(rc, cases[i].after != NULL ? 0 : -1);
        const char *wanted = cases[i].after != NULL ? cases[i].after : cases[i].before;
        assert_string_equal(got.data, wanted);
        assert_int_equal(got.len, strlen(wanted));
        free(got.data);
    }
}

static void test_appending_ends_the_last_line(void **state)
{
    (void)state;
    struct key_text got = {0};
    struct err err = {0};
    assert_int_equal(key_text_append(&got, "a", 1, &err), 0);
    assert_int_equal(key_text_append(&got, "b\n", 2, &err), 0);
    assert_int_equal(key_text_append(&got, "", 0, &err), 0);
    assert_string_equal(got.data, "a\nb\n");
    free(got.data);
}

static void test_plain_values(void **state)
{
    (void)state;
    assert_true(key_text_is_plain("10.0.0.0/8, !::1"));
    assert_true(key_text_is_plain(""));
    assert_false(key_text_is_plain("a\"b"));
    assert_false(key_text_is_plain("a\\b"));
    assert_false(key_text_is_plain("a\nb"));
    assert_false(key_text_is_plain("a\x7f"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_takes_the_place_of_words),
        cmocka_unit_test(test_settings_that_were_wished_for),
        cmocka_unit_test(test_template_without_a_line_for_it),
        cmocka_unit_test(test_commands_and_summary),
        cmocka_unit_test(test_keys_with_options),
        cmocka_unit_test(test_lines_are_taken_out),
        cmocka_unit_test(test_appending_ends_the_last_line),
        cmocka_unit_test(test_plain_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
