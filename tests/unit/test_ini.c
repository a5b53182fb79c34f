/* The strict INI reader: every way in which inih alone would lose, cut or merge something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ini_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct result {
    struct pool pool;
    struct ini_doc doc;
    struct diags diags;
};

static void read_bytes(struct result *r, const char *data, size_t len)
{
    *r = (struct result){0};
    /* A copy of exact size, so that the sanitizers see reads behind its end. */
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, data, len);
    assert_int_equal(ini_file_read(&r->pool, "f.ini", copy, len, &r->doc, &r->diags), 0);
    free(copy);
}

static void read_text(struct result *r, const char *text)
{
    read_bytes(r, text, strlen(text));
}

static void done(struct result *r)
{
    pool_free(&r->pool);
    diags_free(&r->diags);
}

/* The document in one line: [type name] key=value@line … */
static void dump(const struct result *r, char *out, size_t cap)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < r->doc.n; i++) {
        const struct ini_section *s = &r->doc.sections[i];
        used += (size_t)snprintf(out + used, cap - used, "[%s:%s@%u]", s->type, s->name,
                                 s->origin.line);
        for (size_t k = 0; k < s->n_entries; k++)
            used += (size_t)snprintf(out + used, cap - used, "(%s=%s@%u)", s->entries[k].key,
                                     s->entries[k].value, s->entries[k].line);
    }
}

static void test_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *doc;
    } cases[] = {
        {"", ""},
        {"\n\n", ""},
        {"; comment\n# comment\n  ; indented comment\n", ""},
        {"[server]\n", "[server:@1]"},
        {"[tenant \"a.b_c-9\"]", "[tenant:a.b_c-9@1]"},
        {"[tenant   \"x\"]   ; comment\nk=v\n", "[tenant:x@1](k=v@2)"},
        {"[s]\nk = v\n", "[s:@1](k=v@2)"},
        /* inih cuts section names at 49 bytes, so that two would become one. */
        {"[tenant \"abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklm1\"]\nk = v\n"
         "[tenant \"abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklm2\"]\nk = w\n",
         "[tenant:abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklm1@1](k=v@2)"
         "[tenant:abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklm2@3](k=w@4)"},
        {"[test \"readers can't push; or [pull\"] ; it's so\nk = v\n",
         "[test:readers can't push; or [pull@1](k=v@2)"},
        {"[s]\nk\t=\t  v w  \t\n", "[s:@1](k=v w@2)"},
        {"[s]\nk = v", "[s:@1](k=v@2)"},
        {"[s]\nk =\n", "[s:@1](k=@2)"},
        {"[s]\nk =        ; resets\n", "[s:@1](k=@2)"},
        {"[s]\nk = a ; b\n", "[s:@1](k=a@2)"},
        {"[s]\nk = a\t;b\n", "[s:@1](k=a@2)"},
        {"[s]\nk = a;b\n", "[s:@1](k=a;b@2)"},
        {"[s]\nk = a # b\n", "[s:@1](k=a # b@2)"},
        {"[s]\nk = #b\n", "[s:@1](k=#b@2)"},
        {"[s]\nk = \"a b\";c ; d\n", "[s:@1](k=\"a b\";c@2)"},
        {"[s]\nk = 'a;b'\n", "[s:@1](k='a;b'@2)"},
        {"[s]\nk = a=b:c\n", "[s:@1](k=a=b:c@2)"},
        {"[s]\nk = [x]\n", "[s:@1](k=[x]@2)"},
        {"[s]\nk = caf\xc3\xa9\n", "[s:@1](k=caf\xc3\xa9@2)"},
        {"[s]\nk = 1\nk = 2\n\n; x\nk = 3\n", "[s:@1](k=1@2)(k=2@3)(k=3@6)"},
        {"[s]\n[s]\n[t]\na=1\n", "[s:@1][s:@2][t:@3](a=1@4)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct result r;
        char doc[512];
        read_text(&r, cases[i].text);
        dump(&r, doc, sizeof doc);
        if (r.diags.n > 0)
            print_error("%s: %s\n", cases[i].text, r.diags.items[0].text);
        assert_int_equal(r.diags.n, 0);
        assert_string_equal(doc, cases[i].doc);
        done(&r);
    }
}

#define HINT_INDENT " (a line can't continue the one before it)"
#define HINT_COLUMN " (begin it in the first column)"

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len; /* 0: of the string */
        const char *problem;
        const char *doc; /* what is left */
    } cases[] = {
        /* inih takes these for more of the previous key. */
        {"[s]\nk = v\n  deny\n", 0, "f.ini:3: error: line is indented" HINT_INDENT,
         "[s:@1](k=v@2)"},
        {"[s]\nk = v\n  --deny=x\n", 0, "f.ini:3: error: line is indented" HINT_INDENT,
         "[s:@1](k=v@2)"},
        /* What follows is read as it was meant, for its other errors: there are more of them than
         * one in most files that have one. */
        {"[s]\nk = v\n  deny = x\n", 0, "f.ini:3: error: line is indented" HINT_COLUMN,
         "[s:@1](k=v@2)(deny=x@3)"},
        {"[s]\nk = v\n\t[b]\n", 0, "f.ini:3: error: line is indented" HINT_COLUMN,
         "[s:@1](k=v@2)[b:@3]"},
        {" [s]\n", 0, "f.ini:1: error: line is indented" HINT_COLUMN, "[s:@1]"},
        /* inih gives these keys to the section before. */
        {"[s]\nk = v\n[a\ndeny = x\n", 0, "f.ini:3: error: a section header without ']'",
         "[s:@1](k=v@2)[a:@3](deny=x@4)"},
        {"[s]\n[a \"x\"\ndeny = x\n", 0, "f.ini:2: error: a section header without ']'",
         "[s:@1][a:x@2](deny=x@3)"},
        {"[s]\n[a \ndeny = x\n", 0, "f.ini:2: error: a section header without ']'",
         "[s:@1][a:@2](deny=x@3)"},
        {"[s]\n[a !\ndeny = x\n", 0, "f.ini:2: error: a section header without ']'",
         "[s:@1][a:!@2](deny=x@3)"},
        {"[s]\n[!\ndeny = x\n", 0, "f.ini:2: error: a section header without ']'", "[s:@1]"},
        {"[s]\n[a] junk\ndeny = x\n", 0, "f.ini:2: error: text after the section header",
         "[s:@1][a:@2](deny=x@3)"},
        {"[a] # x\n", 0,
         "f.ini:1: error: text after the section header (a comment after it begins with ';')",
         "[a:@1]"},
        {"[a]]\n", 0, "f.ini:1: error: text after the section header", "[a:@1]"},
        {"[a]k=v\n", 0, "f.ini:1: error: text after the section header", "[a:@1]"},
        {"[]\n", 0, "f.ini:1: error: a section is [type] or [type \"name\"]", ""},
        {"[\"x\"]\n", 0, "f.ini:1: error: a section is [type] or [type \"name\"]", ""},
        {"[A]\n", 0, "f.ini:1: error: a section is [type] or [type \"name\"]", ""},
        {"[a\"x\"]\n", 0, "f.ini:1: error: a section is [type] or [type \"name\"]", ""},
        {"[a ]\n", 0, "f.ini:1: error: blank before ']'", ""},
        {"[a x]\n", 0, "f.ini:1: error: the name of a section stands in double quotes", "[a:x@1]"},
        {"[a 'x']\n", 0, "f.ini:1: error: the name of a section stands in double quotes",
         "[a:x@1]"},
        {"[a \"x]\n", 0, "f.ini:1: error: the name of a section stands in double quotes",
         "[a:x@1]"},
        {"[a \"\"]\n", 0, "f.ini:1: error: the name of a section is empty", ""},
        {"[a \"x\" \"y\"]\n", 0, "f.ini:1: error: the name of a section stands in double quotes",
         ""},
        {"[a \"]\n", 0, "f.ini:1: error: the name of a section stands in double quotes", ""},
        {"[a \"x]y\"]\n", 0, "f.ini:1: error: text after the section header", "[a:x@1]"},
        {"[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n", 0,
         "f.ini:1: error: section header is too long", ""},
        /* inih ends the value, or the file, at a NUL. */
        {"[s]\nk = a\0b\nd = e\n", 17, "f.ini:2: error: control character 0x00 at column 6",
         "[s:@1](d=e@3)"},
        {"[s]\nk = a\x1b[0m\n", 0, "f.ini:2: error: control character 0x1b at column 6", "[s:@1]"},
        {"; \x7f\n", 0, "f.ini:1: error: control character 0x7f at column 3", ""},
        /* Told once; the rest is read as it is meant. */
        {"[s]\r\nk = v\r\n\r\n; c\r\nj = w\n", 0,
         "f.ini:1: error: line ends are CRLF; convert with: sed -i 's/\\r$//' f.ini",
         "[s:@1](k=v@2)(j=w@5)"},
        {"[s]\nk = a\rb\n", 0, "f.ini:2: error: control character 0x0d at column 6", "[s:@1]"},
        {"include x\n[s]\n", 0,
         "f.ini:1: error: neither a section, a key nor a comment (nothing is included: every *.ini "
         "file in policy.d is read)",
         "[s:@2]"},
        {"\xef\xbb\xbf[s]\n", 0,
         "f.ini:1: error: the file begins with a byte order mark (save the file as plain text)",
         "[s:@1]"},
        {"\xff\xfe[\0s\0]\0\n\0", 10,
         "f.ini:1: error: the file is in UTF-16 (save the file as plain text, in ASCII or UTF-8)",
         ""},
        {"\xfe\xff\0[\0s\0]\0\n", 10,
         "f.ini:1: error: the file is in UTF-16 (save the file as plain text, in ASCII or UTF-8)",
         ""},
        /* inih cuts quoted values too. */
        {"[s]\nk = \"a ; b\"\n", 0,
         "f.ini:2: error: ' ;' begins a comment, even inside quotes (inside quotes, write ';' "
         "without a blank before it)",
         "[s:@1]"},
        {"[s]\nk = 'a ; b'\n", 0,
         "f.ini:2: error: ' ;' begins a comment, even inside quotes (inside quotes, write ';' "
         "without a blank before it)",
         "[s:@1]"},
        {"k = v\nj = w\n[s]\n", 0, "f.ini:1: error: key before the first section", "[s:@3]"},
        {"[s]\nwords\n", 0,
         "f.ini:2: error: neither a section, a key nor a comment (write 'key = value')", "[s:@1]"},
        {"[s]\nkey: value\n", 0,
         "f.ini:2: error: neither a section, a key nor a comment (write 'key = value')", "[s:@1]"},
        {"[s]\n= v\n", 0, "f.ini:2: error: a key is made of letters, digits and '-'", "[s:@1]"},
        {"[s]\na b = v\n", 0, "f.ini:2: error: a key is made of letters, digits and '-'", "[s:@1]"},
        {"[s]\na:b = v\n", 0, "f.ini:2: error: a key is made of letters, digits and '-'", "[s:@1]"},
        {"[s]\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa = v\n", 0,
         "f.ini:2: error: key is longer than 40 bytes", "[s:@1]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct result r;
        char doc[512];
        char problem[512] = "";
        read_bytes(&r, cases[i].text, cases[i].len > 0 ? cases[i].len : strlen(cases[i].text));
        dump(&r, doc, sizeof doc);
        if (r.diags.n > 0)
            diag_format(&r.diags.items[0], problem, sizeof problem);
        assert_string_equal(problem, cases[i].problem);
        assert_int_equal(r.diags.n, 1);
        assert_string_equal(doc, cases[i].doc);
        done(&r);
    }
}

/* Values of every length around inih's 200-byte lines, with blanks and comment signs inside. */
static void test_long_values(void **state)
{
    (void)state;
    static const char filler[] = "abc def;gh #i \"j\" [k] l=m:n ";
    char text[INI_LINE_LEN_MAX + 64];
    for (size_t len = 1; len < 8000; len += len < 700 ? 1 : 611) {
        size_t head = (size_t)sprintf(text, "[tenant \"x\"]\nkeys = ");
        for (size_t i = 0; i < len; i++)
            text[head + i] = filler[i % (sizeof filler - 1)];
        text[head + len - 1] = '.';
        memcpy(text + head + len, "\nz = 1\n", 8);
        struct result r;
        read_text(&r, text);
        assert_int_equal(r.diags.n, 0);
        assert_int_equal(r.doc.sections[0].n_entries, 2);
        assert_int_equal(strlen(r.doc.sections[0].entries[0].value), len);
        assert_memory_equal(r.doc.sections[0].entries[0].value, text + head, len);
        assert_string_equal(r.doc.sections[0].entries[1].key, "z");
        assert_int_equal(r.doc.sections[0].entries[1].line, 3);
        done(&r);
    }
}

/* The tail of a long line must not become a key of its own. */
static void test_long_value_does_not_inject(void **state)
{
    (void)state;
    char text[600];
    for (size_t pad = 150; pad < 260; pad++) {
        size_t n = (size_t)sprintf(text, "[s]\ncommand = ");
        memset(text + n, 'a', pad);
        sprintf(text + n + pad, " shell = /bin/sh\n");
        struct result r;
        read_text(&r, text);
        assert_int_equal(r.diags.n, 0);
        assert_int_equal(r.doc.sections[0].n_entries, 1);
        assert_string_equal(r.doc.sections[0].entries[0].key, "command");
        assert_int_equal(strlen(r.doc.sections[0].entries[0].value), pad + 16);
        done(&r);
    }
}

static void test_bounds(void **state)
{
    (void)state;
    static char text[INI_FILE_SIZE_MAX + 100];
    struct result r;
    memset(text, 'a', INI_LINE_LEN_MAX + 64);
    memcpy(text, "[s]\nk = ", 8);
    text[4 + INI_LINE_LEN_MAX] = '\0'; /* the second line is just as long as it may be */
    read_text(&r, text);
    assert_int_equal(r.diags.n, 0);
    assert_int_equal(strlen(r.doc.sections[0].entries[0].value), INI_LINE_LEN_MAX - 4);
    done(&r);

    memset(text + 12, 'a', INI_LINE_LEN_MAX + 1);
    text[4 + INI_LINE_LEN_MAX + 1] = '\0';
    read_text(&r, text);
    assert_int_equal(r.diags.n, 1);
    assert_string_equal(r.diags.items[0].text, "line is longer than 8192 bytes");
    done(&r);

    /* A gap that no piece can bridge. */
    sprintf(text, "[s]\nk = a%400sb\nj = 1\n", "");
    read_text(&r, text);
    assert_int_equal(r.diags.n, 1);
    assert_string_equal(r.diags.items[0].text, "too much blank space inside a value");
    assert_int_equal(r.doc.sections[0].n_entries, 1);
    done(&r);

    memset(text, '\n', INI_FILE_SIZE_MAX + 1);
    read_bytes(&r, text, INI_FILE_SIZE_MAX + 1);
    assert_int_equal(r.diags.n, 1);
    assert_string_equal(r.diags.items[0].text, "file is longer than 8388608 bytes");
    done(&r);
}

static void test_all_errors_in_one_run(void **state)
{
    (void)state;
    struct result r;
    read_text(&r, "x = 1\n[a\n[b]\n  y = 2\nz\nok = 1\n[c] d\n");
    assert_int_equal(r.diags.n, 5);
    for (size_t i = 0; i < 5; i++) {
        static const unsigned lines[] = {1, 2, 4, 5, 7};
        assert_int_equal(r.diags.items[i].line, lines[i]);
    }
    assert_int_equal(r.doc.n, 3);
    assert_int_equal(r.doc.sections[1].n_entries, 2);
    done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_long_values), cmocka_unit_test(test_long_value_does_not_inject),
        cmocka_unit_test(test_bounds),      cmocka_unit_test(test_all_errors_in_one_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
