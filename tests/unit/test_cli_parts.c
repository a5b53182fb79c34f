/* postern's own small parts: times, tables, JSON documents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "doc.h"
#include "moment.h"
#include "style.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_moments(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds;
    } good[] = {
        {"1970-01-01", 0},
        {"2000-02-29", 951782400},
        {"2026-11-22T18:57", 1795373820},
        {"2026-11-22T18:57Z", 1795373820},
        {"2026-11-22T18:57:17", 1795373837},
        {"2026-11-22T18:57:17Z", 1795373837},
        {"2026-11-22T18:57:17.607Z", 1795373837},
        {"9999-12-31T23:59:59Z", 253402300799},
    };
    static const char *const bad[] = {
        "",
        "2026",
        "2026-1-2",
        "2026-02-30",
        "2026-13-01",
        "1969-12-31",
        "2026-11-22 ",
        "2026-11-22T",
        "2026-11-22T24:00",
        "2026-11-22T18:60",
        "20261122",
        "2026-11-22ZZ",
        "2026-11-22T18:57:",
        "2026-11-22T18:57:17.",
        "now",
        "2026-11-22T18:57:17.6x",
        "+026-11-22",
    };
    int64_t seconds;
    char text[MOMENT_TEXT_MAX];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(moment_parse(good[i].text, &seconds), 0);
        assert_int_equal(seconds, good[i].seconds);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(moment_parse(bad[i], &seconds), -1);
    }
    assert_string_equal(moment_format(1795373837, text), "2026-11-22T18:57:17Z");
}

static char *printed(struct table *table)
{
    static char buf[1024];
    memset(buf, 0, sizeof buf);
    FILE *to = fmemopen(buf, sizeof buf, "w");
    assert_non_null(to);
    assert_int_equal(table_print(table, to), 0);
    fclose(to);
    return buf;
}

static void test_table(void **state)
{
    (void)state;
    struct table table = {.columns = 3};
    table_add(&table, STYLE_GOOD, "ok");
    table_add(&table, STYLE_PLAIN, "a long name");
    table_add(&table, STYLE_PLAIN, "(x:1)");
    table_add(&table, STYLE_BAD, "FAIL");
    table_add(&table, STYLE_PLAIN, "b\033[2J");
    table_add(&table, STYLE_PLAIN, "(x:%d)", 22);
    table_note(&table, STYLE_PLAIN, "why");
    assert_string_equal(printed(&table), "ok    a long name  (x:1)\n"
                                         "FAIL  b?[2J        (x:22)\n"
                                         "    why\n");
    struct table empty = {.columns = 1};
    assert_string_equal(printed(&empty), "");
}

static void test_color(void **state)
{
    (void)state;
    struct table table = {.columns = 2};
    assert_int_equal(style_choose("sometimes"), -1);
    assert_int_equal(style_choose("always"), 0);
    table_add(&table, STYLE_GOOD, "ok");
    table_add(&table, STYLE_PLAIN, "x");
    table_add(&table, STYLE_BAD, "FAIL");
    table_add(&table, STYLE_PLAIN, "y");
    /* Codes have no width. */
    assert_string_equal(printed(&table), "\033[32mok\033[0m    x\n\033[31mFAIL\033[0m  y\n");
    assert_int_equal(style_choose("never"), 0);
    assert_string_equal(style_begin(stdout, STYLE_ERROR), "");
    assert_int_equal(style_choose("auto"), 0);
}

static void test_document(void **state)
{
    (void)state;
    json_t *doc = doc_new("test");
    doc_bytes(doc, "bytes", "a\0\xff\"\n", 5);
    doc_text(doc, "none", NULL);
    doc_uint(doc, "n", 7);
    doc_uint(doc, "unknown", UINT64_MAX);
    doc_bool(doc, "yes", true);
    doc_time(doc, "at", 0);
    doc_place(doc, "f", 3);
    json_t *list = doc_array(doc, "list");
    doc_push_text(list, "x");
    doc_place(doc_push(list, json_object()), NULL, 0);
    char *text = json_dumps(doc, JSON_COMPACT | JSON_ENSURE_ASCII);
    assert_string_equal(text, "{\"v\":1,\"kind\":\"test\",\"bytes\":\"a\\u0000\\u00FF\\\"\\n\","
                              "\"none\":null,\"n\":7,\"unknown\":null,\"yes\":true,"
                              "\"at\":\"1970-01-01T00:00:00Z\",\"file\":\"f\",\"line\":3,"
                              "\"list\":[\"x\",{\"file\":null,\"line\":null}]}");
    free(text);
    json_decref(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_color),
        cmocka_unit_test(test_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
