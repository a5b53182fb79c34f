/* PROXY headers, both versions: what is taken, what is refused and why, wherever they are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proxy_header.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(s)  (s), sizeof(s) - 1
#define V4        "\xc0\0\x02\x01\xc6\x33\x64\x02\xc8\x22\0\x16"
#define V6                                                                                         \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\xc8\x22" \
    "\0\x16"

static const char *show(const struct sockaddr_storage *ss, char buf[80])
{
    char host[64], port[8];
    assert_int_equal(getnameinfo((const struct sockaddr *)ss, sizeof *ss, host, sizeof host, port,
                                 sizeof port, NI_NUMERICHOST | NI_NUMERICSERV),
                     0);
    (void)snprintf(buf, 80, "%s %s", host, port);
    return buf;
}

/* With the whole of it, with more behind it, and with every part of it. */
static void check_good(const char *bytes, size_t len, const char *source, const char *destination)
{
    struct proxy_header header;
    unsigned char buf[PROXY_HEADER_MAX + 64];
    char shown[80];
    memcpy(buf, bytes, len);
    memset(buf + len, 'S', 64);
    for (size_t n = 0; n < len; n++)
        assert_int_equal(proxy_header_parse(buf, n, &header), PROXY_MORE);
    for (size_t more = 0; more <= 64; more += 64) {
        assert_int_equal(proxy_header_parse(buf, len + more, &header), PROXY_DONE);
        assert_int_equal(header.len, len);
        assert_int_equal(header.has_address, source != NULL);
        if (source != NULL) {
            assert_string_equal(show(&header.source, shown), source);
            assert_string_equal(show(&header.destination, shown), destination);
        }
    }
}

static void test_good(void **state)
{
    (void)state;
    check_good(BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 51234 22\r\n"), "192.0.2.1 51234",
               "198.51.100.2 22");
    check_good(BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
               "255.255.255.255 65535", "255.255.255.255 65535");
    check_good(BYTES("PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n"), "2001:db8::1 0",
               "2001:db8::2 65535");
    check_good(BYTES("PROXY UNKNOWN\r\n"), NULL, NULL);
    check_good(BYTES("PROXY UNKNOWN anything \x01 at all\r\n"), NULL, NULL);
    check_good(BYTES(SIGNATURE "\x21\x11\0\x0c" V4), "192.0.2.1 51234", "198.51.100.2 22");
    check_good(BYTES(SIGNATURE "\x21\x21\0\x24" V6), "2001:db8::1 51234", "2001:db8::2 22");
    /* TLVs: one with a value, one without. */
    check_good(BYTES(SIGNATURE "\x21\x11\0\x16" V4 "\x03\0\x04"
                               "abcd"
                               "\x04\0\0"),
               "192.0.2.1 51234", "198.51.100.2 22");
    /* Its own connection, whatever it says of addresses. */
    check_good(BYTES(SIGNATURE "\x20\0\0\0"), NULL, NULL);
    check_good(BYTES(SIGNATURE "\x20\x11\0\x03"
                               "xyz"),
               NULL, NULL);
    check_good(BYTES(SIGNATURE "\x21\0\0\x03"
                               "xyz"),
               NULL, NULL);
}

static void test_longest(void **state)
{
    (void)state;
    /* Version 1: 107 bytes with the line's end, and one more. */
    char line[128] = "PROXY UNKNOWN ";
    struct proxy_header header;
    memset(line + 14, 'x', sizeof line - 14);
    memcpy(line + 105, "\r\n", 2);
    check_good(line, 107, NULL, NULL);
    memcpy(line + 105, "x\r\n", 3);
    assert_int_equal(proxy_header_parse((unsigned char *)line, 106, &header), PROXY_MORE);
    assert_int_equal(proxy_header_parse((unsigned char *)line, 107, &header), PROXY_BAD);
    assert_string_equal(header.problem, "its line is too long");
    /* Version 2: as much as the buffer holds, and one more. */
    char big[PROXY_HEADER_MAX] = SIGNATURE "\x21\x11";
    size_t rest = PROXY_HEADER_MAX - 16;
    big[14] = (char)(rest >> 8);
    big[15] = (char)(rest & 0xff);
    memcpy(big + 16, V4, 12);
    big[28] = 0x04;
    big[29] = (char)((rest - 15) >> 8);
    big[30] = (char)((rest - 15) & 0xff);
    check_good(big, sizeof big, "192.0.2.1 51234", "198.51.100.2 22");
    big[15]++;
    assert_int_equal(proxy_header_parse((unsigned char *)big, 16, &header), PROXY_BAD);
    assert_string_equal(header.problem, "it is too long");
}

static void test_bad(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *problem;
    } cases[] = {
        {BYTES("SSH-2.0-OpenSSH\r\n"), "it is no PROXY header"},
        {BYTES("PROXX "), "it is no PROXY header"},
        {BYTES("proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n"), "it is no PROXY header"},
        {BYTES("\r\n\r\n\0\r\nQUIX"), "it is no PROXY header"},
        {BYTES("PROXY \r\n"), "its protocol is missing"},
        {BYTES("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n"),
         "its protocol is none of TCP4, TCP6 and UNKNOWN"},
        {BYTES("PROXY TCP4567890 1.2.3.4\r\n"), "its protocol is missing"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n"), "its line does not end in CR LF"},
        {BYTES("PROXY \n"), "its line does not end in CR LF"},
        {BYTES("PROXY TCP4\r\n"), "an address is malformed"},
        {BYTES("PROXY TCP4 1.2.3.4\r\n"), "an address is malformed"},
        {BYTES("PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n"), "an address is malformed"},
        {BYTES("PROXY TCP4 1.2.3.400 1.2.3.4 1 2\r\n"), "an address is malformed"},
        {BYTES("PROXY TCP4 ::1 ::1 1 2\r\n"), "an address is malformed"},
        {BYTES("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n"), "an address is malformed"},
        {BYTES("PROXY TCP4 1.2.3.4\0 1.2.3.4 1 2\r\n"), "an address is malformed"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"), "a port is malformed"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n"), "a port is malformed"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n"), "a port is malformed"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n"), "a port is malformed"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n"), "a port is malformed"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n"), "a port is malformed"},
        {BYTES(SIGNATURE "\x11"), "its version is unknown"},
        {BYTES(SIGNATURE "\x22"), "its command is unknown"},
        {BYTES(SIGNATURE "\x21\x12\0\x0c" V4), "its addresses are not of TCP"},
        {BYTES(SIGNATURE "\x21\x31\0\0"), "its addresses are not of TCP"},
        {BYTES(SIGNATURE "\x21\x11\0\x0b"
                         "xxxxxxxxxxx"),
         "its addresses are cut short"},
        {BYTES(SIGNATURE "\x21\x21\0\x0c" V4), "its addresses are cut short"},
        {BYTES(SIGNATURE "\x21\x11\xff\xff"), "it is too long"},
        {BYTES(SIGNATURE "\x21\x11\0\x0e" V4 "\x03\0"), "what follows its addresses is malformed"},
        {BYTES(SIGNATURE "\x21\x11\0\x10" V4 "\x03\0\x02x"),
         "what follows its addresses is malformed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct proxy_header header;
        const unsigned char *bytes = (const unsigned char *)cases[i].bytes;
        assert_int_equal(proxy_header_parse(bytes, cases[i].len, &header), PROXY_BAD);
        assert_string_equal(header.problem, cases[i].problem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
