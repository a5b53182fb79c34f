/* The field codecs: bounds, sticky errors, and the check that nothing is left over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire.h"

#include <string.h>

static void test_round_trip(void **state)
{
    (void)state;
    unsigned char buf[256];
    struct wire_writer w = {.buf = buf, .cap = sizeof buf};
    wire_put_u8(&w, 0xfe);
    wire_put_u32(&w, 0x01020304);
    wire_put_u64(&w, UINT64_MAX - 1);
    wire_put_str(&w, "text");
    wire_put_str(&w, NULL);
    wire_put_bytes(&w, (struct wire_bytes){(const unsigned char *)"a\0b", 3});
    wire_put_strv(&w, (struct wire_strv){"x\0\0yz\0", 6, 3});
    assert_false(w.overflow);
    assert_memory_equal(buf + 1, "\1\2\3\4", 4); /* big-endian */

    struct wire_reader r = {.buf = buf, .len = w.len};
    assert_int_equal(wire_get_u8(&r), 0xfe);
    assert_int_equal(wire_get_u32(&r), 0x01020304);
    assert_int_equal(wire_get_u64(&r), UINT64_MAX - 1);
    assert_false(wire_end(&r));
    assert_string_equal(wire_get_str(&r, 4), "text");
    assert_string_equal(wire_get_str(&r, 0), "");
    struct wire_bytes b = wire_get_bytes(&r, 3);
    assert_int_equal(b.len, 3);
    assert_memory_equal(b.data, "a\0b", 3);
    struct wire_strv v = wire_get_strv(&r, 6);
    const char *vec[4];
    assert_int_equal(wire_strv_split(v, vec, 4), 0);
    assert_string_equal(vec[0], "x");
    assert_string_equal(vec[1], "");
    assert_string_equal(vec[2], "yz");
    assert_null(vec[3]);
    assert_true(wire_end(&r));
    assert_int_equal(wire_strv_split(v, vec, 3), -1);
}

/* Every shorter buffer overflows, and nothing is written past it. */
static void test_overflow(void **state)
{
    (void)state;
    for (size_t cap = 0; cap < 22; cap++) {
        unsigned char buf[32];
        memset(buf, 0x55, sizeof buf);
        struct wire_writer w = {.buf = buf, .cap = cap};
        wire_put_u8(&w, 1);
        wire_put_u64(&w, 2);
        wire_put_str(&w, "three");
        wire_put_u32(&w, 4);
        assert_int_equal(w.overflow, cap < 1 + 8 + 10 + 4);
        assert_true(w.len <= cap);
        for (size_t i = cap; i < sizeof buf; i++)
            assert_int_equal(buf[i], 0x55);
    }
}

static void test_short_reads(void **state)
{
    (void)state;
    static const unsigned char buf[] = {0, 0, 0, 2, 'a', 'b', 0};
    for (size_t len = 0; len < sizeof buf; len++) {
        struct wire_reader r = {.buf = buf, .len = len};
        assert_string_equal(wire_get_str(&r, 100), "");
        assert_false(wire_end(&r));
        assert_int_equal(wire_get_u8(&r), 0); /* the error sticks */
    }
    struct wire_reader r = {.buf = buf, .len = sizeof buf};
    assert_string_equal(wire_get_str(&r, 2), "ab");
    assert_true(wire_end(&r));
    r = (struct wire_reader){.buf = buf, .len = sizeof buf};
    assert_string_equal(wire_get_str(&r, 1), "");
    assert_false(wire_end(&r));
}

static void expect_bad_string(const unsigned char *buf, size_t len)
{
    struct wire_reader r = {.buf = buf, .len = len};
    assert_string_equal(wire_get_str(&r, 100), "");
    assert_false(wire_end(&r));
}

/* A view into the datagram is a C string, or it is nothing. */
static void test_terminators(void **state)
{
    (void)state;
    static const unsigned char missing[] = {0, 0, 0, 1, 'a', 'b'};
    static const unsigned char inside[] = {0, 0, 0, 3, 'a', 0, 'b', 0};
    static const unsigned char huge[] = {0xff, 0xff, 0xff, 0xff, 'a', 0};
    expect_bad_string(missing, sizeof missing);
    expect_bad_string(inside, sizeof inside);
    expect_bad_string(huge, sizeof huge);
    struct wire_reader r = {.buf = huge, .len = sizeof huge};
    assert_int_equal(wire_get_bytes(&r, SIZE_MAX).len, 0);
    assert_false(wire_end(&r));
}

static void expect_bad_vector(struct wire_strv v)
{
    unsigned char buf[64];
    struct wire_writer w = {.buf = buf, .cap = sizeof buf};
    wire_put_strv(&w, v);
    struct wire_reader r = {.buf = buf, .len = w.len};
    assert_int_equal(wire_get_strv(&r, 32).count, 0);
    assert_false(wire_end(&r));
}

static void test_vectors(void **state)
{
    (void)state;
    expect_bad_vector((struct wire_strv){"a\0b\0", 4, 1});
    expect_bad_vector((struct wire_strv){"a\0b\0", 4, 3});
    expect_bad_vector((struct wire_strv){"a\0b", 3, 1}); /* a last string without an end */
    expect_bad_vector((struct wire_strv){"", 0, 1});
    expect_bad_vector((struct wire_strv){"0123456789012345678901234567890123", 35, 1});

    char buf[8];
    struct wire_strv v;
    const char *const fits[] = {"abc", "def", NULL}, *const longer[] = {"abc", "defg", NULL};
    assert_int_equal(wire_strv_pack(&v, fits, buf, sizeof buf), 0);
    assert_int_equal(v.count, 2);
    assert_int_equal(v.len, 8);
    assert_int_equal(wire_strv_pack(&v, longer, buf, sizeof buf), -1);
    assert_int_equal(wire_strv_pack(&v, NULL, buf, sizeof buf), 0);
    assert_int_equal(v.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_short_reads), cmocka_unit_test(test_terminators),
        cmocka_unit_test(test_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
