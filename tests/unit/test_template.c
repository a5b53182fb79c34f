/* Command templates: what they may look like, and which words they let through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "split.h"
#include "template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct origin here = {"t.ini", 7};

#define TIMES_8(s)  s s s s s s s s
#define TIMES_65(s) s TIMES_8(TIMES_8(s))

/* The resulting argv with each word in <>, or "-" and why not. */
static void run(const char *text, const char *line, char *got, size_t cap)
{
    struct pool pool = {0};
    struct command_template tpl;
    struct err err = {0};
    struct str_list words;
    struct str_list argv;
    struct split_error why;
    char reason[160];
    size_t depth;
    if (template_parse(&pool, text, &here, &tpl, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    if (split_command(line, strlen(line), &words, &why) < 0)
        fail_msg("%s: %s", line, why.text);
    if (template_match(&tpl, &words, &argv, reason, sizeof reason, &depth)) {
        size_t used = 0;
        got[0] = '\0';
        assert_string_equal(reason, "matched");
        for (size_t i = 0; i < argv.n; i++)
            used += (size_t)snprintf(got + used, cap - used, "<%s>", argv.items[i]);
        assert_null(argv.items[argv.n]);
        split_free(&argv);
    } else {
        (void)snprintf(got, cap, "- %s", reason);
    }
    split_free(&words);
    pool_free(&pool);
}

static void test_matching(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *line;
        const char *result;
    } cases[] = {
        {"a", "a", "<a>"},
        {"a", "'a'", "<a>"},
        {"a", "b", "- word 1, \"b\": differs"},
        {"a", "/a", "- word 1, \"/a\": differs"},
        {"a", "a b", "- 2 words, at most 1 match"},
        {"a b", "a", "- ends before b"},
        {"a 'b  c' \\{d\\}", "a 'b  c' {d}", "<a><b  c><{d}>"},
        /* {word} */
        {"a {word}", "a b", "<a><b>"},
        {"a {word}", "a 'b c;$d'", "<a><b c;$d>"},
        {"a {word}", "a -b", "- word 2, \"-b\": begins with '-'"},
        {"a {word}", "a --upload-pack=x", "- word 2, \"--upload-pack=x\": begins with '-'"},
        {"a {word}", "a '-'", "- word 2, \"-\": begins with '-'"},
        {"a {word}", "a ''", "- word 2, \"\": is empty"},
        {"a {word}", "a", "- ends before {word}"},
        {"a {word}", "a '\nx'", "<a><\nx>"},
        /* {int} */
        {"a {int}", "a 0", "<a><0>"},
        {"a {int}", "a 123456789012345678", "<a><123456789012345678>"},
        {"a {int}", "a 1234567890123456789",
         "- word 2, \"1234567890123456789\": isn't a decimal integer"},
        {"a {int}", "a -1", "- word 2, \"-1\": isn't a decimal integer"},
        {"a {int}", "a +1", "- word 2, \"+1\": isn't a decimal integer"},
        {"a {int}", "a ''", "- word 2, \"\": isn't a decimal integer"},
        {"a {int}", "a 1x", "- word 2, \"1x\": isn't a decimal integer"},
        {"a {int}", "a ' 1'", "- word 2, \" 1\": isn't a decimal integer"},
        {"a {int}", "a 0x10", "- word 2, \"0x10\": isn't a decimal integer"},
        /* {oneof} */
        {"a {oneof:x|y z|-w}", "a x", "<a><x>"},
        {"a {oneof:x|y z|-w}", "a 'y z'", "<a><y z>"},
        {"a {oneof:x|y z|-w}", "a -w", "<a><-w>"},
        {"a {oneof:x|y z|-w}", "a 'x|y z'", "- word 2, \"x|y z\": is none of the alternatives"},
        {"a {oneof:x|y z|-w}", "a ''", "- word 2, \"\": is none of the alternatives"},
        {"{oneof:a|b} c", "b c", "<b><c>"},
        /* {path} */
        {"a {path:/srv/git}", "a x.git", "<a></srv/git/x.git>"},
        {"a {path:/srv/git}", "a /srv/git/x.git", "<a></srv/git/x.git>"},
        {"a {path:/srv/git}", "a '~/x.git'", "<a></srv/git/x.git>"},
        {"a {path:/srv/git}", "a ./x//y/./z/", "<a></srv/git/x/y/z/>"},
        {"a {path:/srv/git}", "a x//", "<a></srv/git/x/>"},
        {"a {path:/srv/git}", "a x/.", "<a></srv/git/x/>"},
        {"a {path:/srv/git}", "a x/./", "<a></srv/git/x/>"},
        {"a {path:/srv/git}", "a x.", "<a></srv/git/x.>"},
        {"a {path:/srv/git}", "a x/y/..", "<a></srv/git/x>"},
        {"a {path:/srv/git}", "a /srv/git/",
         "- word 2, \"/srv/git/\": path isn't under the directory"},
        {"a {path:/srv/git}", "a /srv/git//.",
         "- word 2, \"/srv/git//.\": path isn't under the directory"},
        {"a {path:/srv/git}", "a '~/'", "- word 2, \"~/\": path isn't under the directory"},
        {"a {path:/srv/git}", "a ./", "- word 2, \"./\": path isn't under the directory"},
        {"a {path:/}", "a '~/'", "- word 2, \"~/\": path isn't under the directory"},
        {"a {path:/srv/git}", "a x/../y", "<a></srv/git/y>"},
        {"a {path:/srv/git}", "a //srv///git//x", "<a></srv/git/x>"},
        {"a {path:/srv/git}", "a /srv/x/../git/y", "<a></srv/git/y>"},
        {"a {path:/srv/git}", "a 'it'\\''s $x\n'", "<a></srv/git/it's $x\n>"},
        {"a {path:/srv/git}", "a ...", "<a></srv/git/...>"},
        {"a {path:/srv/git}", "a x~/~y", "<a></srv/git/x~/~y>"},
        {"a {path:/srv/git}", "a x/-y", "<a></srv/git/x/-y>"},
        {"a {path:/}", "a etc", "<a></etc>"},
        {"a {path:/}", "a /etc/passwd", "<a></etc/passwd>"},
        {"a {path:/}", "a /", "- word 2, \"/\": path isn't under the directory"},
        {"a {path:/srv/git}", "a ../x", "- word 2, \"../x\": path climbs too high with '..'"},
        {"a {path:/srv/git}", "a ../git/x",
         "- word 2, \"../git/x\": path climbs too high with '..'"},
        {"a {path:/srv/git}", "a x/../../y",
         "- word 2, \"x/../../y\": path climbs too high with '..'"},
        {"a {path:/srv/git}", "a '~/../x'", "- word 2, \"~/../x\": path climbs too high with '..'"},
        {"a {path:/srv/git}", "a /srv/git/../x",
         "- word 2, \"/srv/git/../x\": path isn't under the directory"},
        {"a {path:/srv/git}", "a /../srv/git/x",
         "- word 2, \"/../srv/git/x\": path climbs too high with '..'"},
        {"a {path:/srv/git}", "a /srv/gitx",
         "- word 2, \"/srv/gitx\": path isn't under the directory"},
        {"a {path:/srv/git}", "a /srv/git",
         "- word 2, \"/srv/git\": path isn't under the directory"},
        {"a {path:/srv/git}", "a .", "- word 2, \".\": path isn't under the directory"},
        {"a {path:/srv/git}", "a '~'", "- word 2, \"~\": path isn't under the directory"},
        {"a {path:/srv/git}", "a x/..", "- word 2, \"x/..\": path isn't under the directory"},
        {"a {path:/srv/git}", "a /etc/passwd",
         "- word 2, \"/etc/passwd\": path isn't under the directory"},
        {"a {path:/srv/git}", "a ''", "- word 2, \"\": path is empty"},
        {"a {path:/srv/git}", "a -x", "- word 2, \"-x\": path begins with '-'"},
        {"a {path:/srv/git}", "a --help", "- word 2, \"--help\": path begins with '-'"},
        {"a {path:/srv/git}", "a '~root/x'",
         "- word 2, \"~root/x\": another user's '~' means nothing here"},
        /* {re} */
        {"a {re:[a-z]{2,3}}", "a ab", "<a><ab>"},
        {"a {re:[a-z]{2,3}}", "a abcd", "- word 2, \"abcd\": doesn't match the expression"},
        {"a {re:b|c}", "a b", "<a><b>"},
        {"a {re:b|c}", "a bx", "- word 2, \"bx\": doesn't match the expression"},
        {"a {re:b|c}", "a xc", "- word 2, \"xc\": doesn't match the expression"},
        {"a {re:b|bc}", "a bc", "<a><bc>"},
        {"a {re:(b|bc)(cd|d)?}", "a bcd", "<a><bcd>"},
        {"a {re:b*}", "a ''", "<a><>"},
        {"a {re:b*}", "a cb", "- word 2, \"cb\": doesn't match the expression"},
        {"a {re:x)|y}", "a xz", "- word 2, \"xz\": doesn't match the expression"},
        {"a {re:x)|y}", "a zy", "- word 2, \"zy\": doesn't match the expression"},
        {"a {re:([a-z]+/)+([a-z]+-)+([a-z]+[.])+([a-z]+_)+(x+,)+(y+:)+z}", "a a/b-c.d_x,y:z",
         "<a><a/b-c.d_x,y:z>"},
        {"a {re:[]{9999}]+}", "a ]{9}", "<a><]{9}>"},
        {"a {re:[[:alpha:]{9999}]+[\\1]}", "a 'b{9}\\'", "<a><b{9}\\>"},
        {"a {re:x{500}}", "a x", "- word 2, \"x\": doesn't match the expression"},
        {"a {re:b c}", "a 'b c'", "<a><b c>"},
        {"a {re:b}", "a 'b\nb'", "- word 2, \"b\\x0ab\": doesn't match the expression"},
        {"a {re:b} {int}", "a b 5", "<a><b><5>"},
        /* {any}, {args} */
        {"a {any} b", "a --x b", "<a><--x><b>"},
        {"a {any}", "a ''", "<a><>"},
        {"a {args}", "a", "<a>"},
        {"a {args}", "a -b 'c d' ''", "<a><-b><c d><>"},
        {"a b {args}", "a", "- ends before b"},
        {"a b {args}", "a c d", "- word 2, \"c\": differs"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char got[512];
        run(cases[i].text, cases[i].line, got, sizeof got);
        assert_string_equal(got, cases[i].result);
    }
}

static void test_refused_templates(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"", "a command template needs a program"},
        {"''", "the program's name is empty"},
        {"{word}", "{word} can't stand for the program: the client would choose it"},
        {"{any} x", "{any} can't stand for the program: the client would choose it"},
        {"{args}", "{args} can't stand for the program: the client would choose it"},
        {"a {args} b", "{args} must be the last word"},
        {"a {wrod}", "unknown placeholder {wrod}"},
        {"a {}", "unknown placeholder {}"},
        {"a {word:x}", "{word} takes no argument"},
        {"a {path}", "{path} needs an argument: {path:...}"},
        {"a {path:srv}", "{path:}: 'srv' is not an absolute path"},
        {"a {path:/srv/..}", "{path:}: '/srv/..' has an empty, '.' or '..' component"},
        {"a {path:}", "{path:}: '' is not an absolute path"},
        {"a {oneof:}", "{oneof:} has an empty alternative"},
        {"a {oneof:a||b}", "{oneof:} has an empty alternative"},
        {"a {oneof:a|}", "{oneof:} has an empty alternative"},
        {"a {re:}", "{re:} needs an expression"},
        {"a {re:(}", "{re:}: Unmatched ( or \\("},
        {"a {re:x)|(y}", "{re:}: Unmatched ( or \\("},
        {"a {re:(x)\\1}", "{re:}: back-references are not supported"},
        {"a {re:x{20000}}", "{re:}: repeats too often"},
        {"a {re:((x{200}){200}){200}}", "{re:}: repeats too often"},
        {"a {re:x++++++++++++++++++++++++++++++++}", "{re:}: repeats too often"},
        {"a {re:(((((((((((x+)+)+)+)+)+)+)+)+)+)+)+}", "{re:}: repeats too often"},
        {"a {re:x{500}{4}y}", "{re:}: repeats too often"},
        {"a {re:x{,501}}", "{re:}: repeats too often"},
        {"a {re:[a{9}]{501}}", "{re:}: repeats too often"},
        {"a {re:" TIMES_65("(") "x" TIMES_65(")") "}", "{re:}: nested too deeply"},
        {"a {re:[x]{501}}", "{re:}: repeats too often"},
        {"a {re:x{200}{200}{200}}", "{re:}: repeats too often"},
        {"a {word", "a placeholder is a whole word: '{' without a '}' that ends one"},
        {"a {word}x", "a placeholder is a whole word: '{' without a '}' that ends one"},
        {"a --x={word}", "unquoted '{' at byte 6"},
        {"a x}", "unquoted '}' at byte 3"},
        {"a | b", "unquoted shell character '|' at byte 2 (quote it: no shell reads this line)"},
        {"a $x", "unquoted shell character '$' at byte 2 (quote it: no shell reads this line)"},
        {"a 'b", "unbalanced ' at byte 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pool pool = {0};
        struct command_template tpl;
        struct err err = {0};
        if (template_parse(&pool, cases[i].text, &here, &tpl, &err) == 0)
            fail_msg("%s", cases[i].text);
        assert_string_equal(err.text, cases[i].why);
        pool_free(&pool);
    }
}

static void test_long_words(void **state)
{
    (void)state;
    char line[6000] = "a ";
    char got[8192];
    memset(line + 2, 'x', 4080);
    run("a {path:/srv/git}", line, got, sizeof got);
    assert_memory_equal(got, "<a></srv/git/xxx", 16);
    /* PATH_MAX with its NUL, and one byte more by a slash at the end. */
    memset(line + 2, 'x', 4086);
    run("a {path:/srv/git}", line, got, sizeof got);
    assert_int_equal(strlen(got), strlen("<a><>") + 4095);
    line[2 + 4086] = '/';
    run("a {path:/srv/git}", line, got, sizeof got);
    assert_non_null(strstr(got, "path is too long"));
    memset(line + 2, 'x', 5000);
    run("a {path:/srv/git}", line, got, sizeof got);
    assert_non_null(strstr(got, "path is too long"));
    run("a {re:x*}", line, got, sizeof got);
    assert_non_null(strstr(got, "is too long for an expression"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matching),
        cmocka_unit_test(test_refused_templates),
        cmocka_unit_test(test_long_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
