/* Audit lines: valid JSON, one line, whatever the bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "json.h"

#include <string.h>

static const char *finish(struct json *json)
{
    size_t len = json_end(json);
    json->buf[len] = '\0';
    return json->buf;
}

static void test_members(void **state)
{
    (void)state;
    static struct json json;
    json = (struct json){.len = 0};
    json_uint(&json, "v", 1);
    json_str(&json, "s", "a\"b\\c\n\x1b\x7f\xff");
    json_bytes(&json, "b", "x\0y", 3);
    json_str(&json, "n", NULL);
    json_uint(&json, "big", UINT64_MAX);
    json_texts(&json, "none", NULL, 0);
    json_texts(&json, "two", (const char *const[]){"a", "\"\n"}, 2);
    assert_string_equal(finish(&json),
                        "{\"v\":1,\"s\":\"a\\\"b\\\\c\\u000a\\u001b\\u007f\\u00ff\","
                        "\"b\":\"x\\u0000y\",\"n\":null,\"big\":18446744073709551615,"
                        "\"none\":[],\"two\":[\"a\",\"\\\"\\u000a\"]}\n");
}

static void test_long_value_is_cut(void **state)
{
    (void)state;
    static struct json json;
    static char value[JSON_VALUE_MAX + 100];
    json = (struct json){.len = 0};
    memset(value, 'x', sizeof value - 1);
    json_str(&json, "s", value);
    const char *line = finish(&json);
    assert_int_equal(strlen(line), strlen("{\"s\":\"\"}\n") + JSON_VALUE_MAX + 3);
    assert_non_null(strstr(line, "xxx...\"}\n"));
}

static void test_full_line_stays_valid(void **state)
{
    (void)state;
    static struct json json;
    static char value[JSON_VALUE_MAX];
    json = (struct json){.len = 0};
    memset(value, '\n', sizeof value);
    json_uint(&json, "v", 1);
    json_bytes(&json, "a", value, sizeof value); /* six times as long when escaped: fits once */
    json_bytes(&json, "b", value, sizeof value);
    json_uint(&json, "late", 2);
    const char *line = finish(&json);
    assert_int_equal(strlen(line),
                     strlen("{\"v\":1,\"a\":\"\",\"truncated\":true}\n") + 6 * JSON_VALUE_MAX);
    assert_non_null(strstr(line, "\\u000a\",\"truncated\":true}\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_long_value_is_cut),
        cmocka_unit_test(test_full_line_stays_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
