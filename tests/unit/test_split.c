/* The command splitter: POSIX quoting, no expansion, and what a shell would act on is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "decide.h"
#include "split.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE(s) (s), sizeof(s) - 1

static void test_words(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        size_t len;
        const char *words; /* each in <> */
    } cases[] = {
        {LINE(""), ""},
        {LINE("  \t "), ""},
        {LINE("a"), "<a>"},
        {LINE("a b\tc  d "), "<a><b><c><d>"},
        {LINE("'a b' c"), "<a b><c>"},
        {LINE("\"a b\" c"), "<a b><c>"},
        {LINE("a'b'\"c\"d"), "<abcd>"},
        {LINE("''"), "<>"},
        {LINE("a '' \"\" b"), "<a><><><b>"},
        {LINE("a\\ b"), "<a b>"},
        {LINE("\\a\\\\\\'\\\""), "<a\\'\">"},
        {LINE("\\$HOME \\`id\\` \\;"), "<$HOME><`id`><;>"},
        {LINE("'$HOME `id` ; | & * ? [ # ~ \\'"), "<$HOME `id` ; | & * ? [ # ~ \\>"},
        {LINE("\"; | & * ? [ # ~ ( ) < >\""), "<; | & * ? [ # ~ ( ) < >>"},
        {LINE("\"\\$ \\` \\\" \\\\ \\a \\'\""), "<$ ` \" \\ \\a \\'>"},
        {LINE("'a\nb'"), "<a\nb>"},
        {LINE("\"a\nb\""), "<a\nb>"},
        {LINE("a#b x#"), "<a#b><x#>"},
        {LINE("\\#a '#b'"), "<#a><#b>"},
        {LINE("~/x ~ a~"), "<~/x><~><a~>"},
        {LINE("A=b --c={d} !e ^f %g"), "<A=b><--c={d}><!e><^f><%g>"},
        {LINE("git-upload-pack '/srv/git/it'\\''s.git'"), "<git-upload-pack></srv/git/it's.git>"},
        {LINE("\xff\xfe \x80"), "<\xff\xfe><\x80>"},
        {LINE("a\rb \x1b"), "<a\rb><\x1b>"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str_list words;
        struct split_error why = {0};
        char got[256] = "";
        size_t used = 0;
        char *copy = malloc(cases[i].len + 1);
        memcpy(copy, cases[i].line, cases[i].len);
        if (split_command(copy, cases[i].len, &words, &why) < 0)
            fail_msg("%s: %s", cases[i].line, why.text);
        for (size_t k = 0; k < words.n; k++)
            used += (size_t)snprintf(got + used, sizeof got - used, "<%s>", words.items[k]);
        assert_string_equal(got, cases[i].words);
        split_free(&words);
        free(copy);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        size_t len;
        size_t offset;
        const char *why;
    } cases[] = {
        {LINE("a | b"), 2, "unquoted shell character '|' at byte 2"},
        {LINE("a & b"), 2, "unquoted shell character '&' at byte 2"},
        {LINE("a;b"), 1, "unquoted shell character ';' at byte 1"},
        {LINE("a <b"), 2, "unquoted shell character '<' at byte 2"},
        {LINE("a >b"), 2, "unquoted shell character '>' at byte 2"},
        {LINE("(a)"), 0, "unquoted shell character '(' at byte 0"},
        {LINE("a )"), 2, "unquoted shell character ')' at byte 2"},
        {LINE("a $b"), 2, "unquoted shell character '$' at byte 2"},
        {LINE("a`b`"), 1, "unquoted shell character '`' at byte 1"},
        {LINE("a\nb"), 1, "unquoted shell character newline at byte 1"},
        {LINE("a*"), 1, "unquoted shell character '*' at byte 1"},
        {LINE("a?"), 1, "unquoted shell character '?' at byte 1"},
        {LINE("[a]"), 0, "unquoted shell character '[' at byte 0"},
        {LINE("a #b"), 2, "unquoted shell character '#' at byte 2"},
        {LINE("\"$a\""), 1, "in double quotes, unescaped '$' at byte 1"},
        {LINE("\"`a`\""), 1, "in double quotes, unescaped '`' at byte 1"},
        {LINE("a\\\nb"), 2, "escaped newline at byte 2"},
        {LINE("\"a\\\nb\""), 3, "escaped newline at byte 3"},
        {LINE("a 'b"), 2, "unbalanced ' at byte 2"},
        {LINE("a \"b"), 2, "unbalanced \" at byte 2"},
        {LINE("\"a\\\""), 0, "unbalanced \" at byte 0"},
        {LINE("a\\"), 1, "backslash with nothing after it at byte 1"},
        {LINE("a\0b"), 1, "NUL byte at byte 1"},
        {LINE("'a\0b'"), 2, "NUL byte at byte 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str_list words;
        struct split_error why = {0};
        assert_int_equal(split_command(cases[i].line, cases[i].len, &words, &why), -1);
        assert_string_equal(why.text, cases[i].why);
        assert_int_equal(why.offset, cases[i].offset);
        assert_int_equal(words.n, 0);
        assert_null(words.items);
    }
}

static void test_bounds(void **state)
{
    (void)state;
    static char line[COMMAND_MAX + 2];
    struct str_list words;
    struct split_error why;
    memset(line, 'a', sizeof line);
    assert_int_equal(split_command(line, COMMAND_MAX, &words, &why), 0);
    assert_int_equal(strlen(words.items[0]), COMMAND_MAX);
    split_free(&words);
    assert_int_equal(split_command(line, COMMAND_MAX + 1, &words, &why), -1);
    assert_string_equal(why.text, "command is too long at byte 65536");
    for (size_t i = 0; i < 600; i++)
        line[i] = i % 2 == 0 ? 'a' : ' ';
    assert_int_equal(split_command(line, 512, &words, &why), 0);
    assert_int_equal(words.n, SPLIT_WORDS_MAX);
    split_free(&words);
    assert_int_equal(split_command(line, 513, &words, &why), -1);
    assert_string_equal(why.text, "too many words at byte 512");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
