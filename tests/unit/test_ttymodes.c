/* The modes of a client's terminal, as RFC 4254 §8 encodes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ttymodes.h"

#include <stdbool.h>

#define APPLY(modes, bytes) ttymodes_apply((const unsigned char *)(bytes), sizeof(bytes) - 1, modes)

static void test_characters(void **state)
{
    struct termios m = {.c_cc = {[VINTR] = 3, [VEOF] = 4, [VSUSP] = 26}};
    (void)state;
    APPLY(&m, "\1\0\0\0\x18\5\0\0\0\xff\12\0\1\0\1\0");
    assert_int_equal(m.c_cc[VINTR], 0x18);
    assert_int_equal(m.c_cc[VEOF], 0);  /* no key */
    assert_int_equal(m.c_cc[VSUSP], 0); /* no byte has that value */
}

static void test_flags(void **state)
{
    struct termios m = {.c_iflag = IXON, .c_lflag = ECHO | ICANON, .c_oflag = 0};
    (void)state;
    APPLY(&m, "\x26\0\0\0\0\x2a\0\0\0\1\x35\0\0\0\0\x46\xff\0\0\0\x48\0\0\0\1\0");
    assert_int_equal(m.c_iflag, IUTF8);
    assert_int_equal(m.c_lflag, ICANON);
    assert_int_equal(m.c_oflag, OPOST | ONLCR);
}

static void test_speed(void **state)
{
    struct termios m = {0};
    (void)state;
    assert_int_equal(cfsetspeed(&m, B38400), 0);
    APPLY(&m, "\x81\0\0\x25\x80");
    assert_int_equal(cfgetospeed(&m), B9600);
    APPLY(&m, "\x81\0\0\0\0\x81\xff\xff\xff\xff\x81\0\0\0\1");
    assert_int_equal(cfgetospeed(&m), B9600);
}

static void test_where_reading_stops(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        bool applied; /* the ECHO at the end */
    } cases[] = {
        {"", 0, false},
        {"\x35\0\0\0\1", 5, true},
        {"\x35\0\0\0", 4, false},
        {"\x35", 1, false},
        {"\0\x35\0\0\0\1", 6, false},
        {"\xa0\0\0\0\0\x35\0\0\0\1", 10, false},
        {"\xff\x35\0\0\0\1", 6, false},
        {"\x9f\0\0\0\0\x35\0\0\0\1", 10, true}, /* unknown, but of a known shape */
        {"\x35\0\0\0\0\x35\0\0\0\1", 10, true}, /* the last one counts */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct termios m = {0};
        ttymodes_apply((const unsigned char *)cases[i].bytes, cases[i].len, &m);
        assert_int_equal(m.c_lflag, cases[i].applied ? ECHO : 0);
    }
}

static void test_nothing_else_changes(void **state)
{
    struct termios before = {.c_cflag = CS8 | CREAD}, after;
    (void)state;
    ttymodes_default(&before);
    assert_int_equal(before.c_iflag, BRKINT | IMAXBEL);
    after = before;
    /* CS7, PARENB, DSUSP, FLUSH, STATUS, PENDIN, ISPEED */
    APPLY(&after, "\x5a\0\0\0\1\x5c\0\0\0\1\x0b\0\0\0\1\x0f\0\0\0\1\x11\0\0\0\1\x3e\0\0\0\1"
                  "\x80\0\0\x25\x80");
    assert_memory_equal(&before, &after, sizeof before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_characters),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_speed),
        cmocka_unit_test(test_where_reading_stops),
        cmocka_unit_test(test_nothing_else_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
