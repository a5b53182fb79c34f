/* Key revocation lists: those in krl/, which ssh-keygen wrote, and others made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "krl.h"

#include <stdio.h>
#include <string.h>

enum { FILE_MAX = 4096 };

static unsigned char file[FILE_MAX];
static struct pool pool;
static struct krl krl;
static char problem[512];

static const char authority[] = "the authority", other[] = "another one";

/* The list's parts, by hand. */
static struct wire_writer list;

static struct wire_bytes bytes(const void *data, size_t len)
{
    return (struct wire_bytes){data, len};
}

static void put(struct wire_writer *w, unsigned type, struct wire_bytes data)
{
    wire_put_u8(w, (uint8_t)type);
    wire_put_bytes(w, data);
}

static void begin_list(uint32_t format, uint64_t flags)
{
    list = (struct wire_writer){.buf = file, .cap = sizeof file};
    memcpy(file, "SSHKRL\n", 8);
    list.len = 8;
    wire_put_u32(&list, format);
    wire_put_u64(&list, 1);
    wire_put_u64(&list, 2);
    wire_put_u64(&list, flags);
    wire_put_bytes(&list, bytes("reserved", 8));
    wire_put_bytes(&list, bytes("comment", 7));
}

/* A section of certificates of one authority that holds one section. */
static void put_certificates(const char *whose, unsigned type, struct wire_bytes data)
{
    unsigned char buf[1024];
    struct wire_writer w = {.buf = buf, .cap = sizeof buf};
    wire_put_bytes(&w, bytes(whose, strlen(whose)));
    wire_put_bytes(&w, bytes(NULL, 0));
    put(&w, type, data);
    put(&list, 1, bytes(buf, w.len));
}

static void put_bitmap(const char *whose, uint64_t offset, const char *bits, size_t len)
{
    unsigned char buf[256];
    struct wire_writer w = {.buf = buf, .cap = sizeof buf};
    wire_put_u64(&w, offset);
    wire_put_bytes(&w, bytes(bits, len));
    put_certificates(whose, 0x22, bytes(buf, w.len));
}

static void put_range(const char *whose, uint64_t low, uint64_t high)
{
    unsigned char buf[16];
    struct wire_writer w = {.buf = buf, .cap = sizeof buf};
    wire_put_u64(&w, low);
    wire_put_u64(&w, high);
    put_certificates(whose, 0x21, bytes(buf, w.len));
}

static bool parse(size_t len)
{
    struct err err = {0};
    pool_free(&pool);
    bool ok = krl_parse(&pool, file, len, &krl, &err) == 0;
    snprintf(problem, sizeof problem, "%s", ok ? "" : err.text);
    return ok;
}

static void assert_parsed(void)
{
    assert_false(list.overflow);
    assert_true(parse(list.len));
}

static void assert_problem(const char *expected)
{
    assert_false(list.overflow);
    assert_false(parse(list.len));
    assert_string_equal(problem, expected);
}

static size_t read_file(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tests/unit/krl/%s.krl", SOURCE_DIR, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t len = fread(file, 1, sizeof file, f);
    fclose(f);
    return len;
}

static bool has(struct wire_bytes whose, uint64_t serial, const char *id)
{
    const struct certificate certificate = {
        .authority = whose, .serial = serial, .key_id = bytes(id, strlen(id))};
    return krl_has_certificate(&krl, &certificate);
}

static bool has_serial(const char *whose, uint64_t serial)
{
    return has(bytes(whose, strlen(whose)), serial, "no such id");
}

static void test_of_ssh_keygen(void **state)
{
    static const char *const names[] = {"certificates", "anyone"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        bool anyone = i == 1;
        assert_true(parse(read_file(names[i])));
        assert_int_equal(krl.n_authorities, 1);
        struct wire_bytes whose = anyone ? bytes(authority, 3) : krl.authorities[0];
        assert_int_equal(krl.authorities[0].len, anyone ? 0 : 51);
        for (uint64_t serial = 0; serial < 7000; serial++) {
            bool listed = serial == 7 ||
                          (serial >= 1000 && serial <= 1200 && (serial - 1000) % 3 == 0) ||
                          (serial >= 5000 && serial <= 6000);
            assert_int_equal(has(whose, serial, ""), listed);
            assert_int_equal(has(bytes(other, strlen(other)), serial, ""), anyone && listed);
        }
        assert_true(has(whose, 100000000000, ""));
        assert_false(has(whose, 100000000001, ""));
        assert_true(has(whose, UINT64_MAX, ""));
        assert_false(has(whose, UINT64_MAX - 1, ""));
        assert_true(has(whose, 1, "left"));
        assert_true(has(whose, 0, "also gone"));
        assert_false(has(whose, 0, "lef"));
        assert_false(has(whose, 0, "left "));
    }
    assert_true(parse(read_file("empty")));
    assert_false(has_serial(authority, 7));
}

static void test_keys_of_ssh_keygen(void **state)
{
    static const unsigned char digest[KRL_SHA1] = {0x2f, 0x44, 0x79, 0xb1, 0xb4, 0xf4, 0xa3,
                                                   0x55, 0x34, 0x7c, 0x18, 0x26, 0xbf, 0xdf,
                                                   0xc2, 0xdd, 0xc9, 0x87, 0x7d, 0x43};
    unsigned char wrong[KRL_SHA1];
    (void)state;
    memcpy(wrong, digest, sizeof wrong);
    wrong[KRL_SHA1 - 1]++;
    assert_true(parse(read_file("keys")));
    assert_int_equal(krl.n_keys, 1);
    assert_int_equal(krl.keys[0].len, 51);
    assert_int_equal(krl.n_sha256, 1);
    assert_int_equal(krl.sha256[0].data[0], 0x21);
    for (size_t i = 0; i < 2; i++) {
        assert_true(krl_has_sha1(&krl, digest));
        assert_false(krl_has_sha1(&krl, wrong));
        assert_true(parse(read_file("sha1")));
        assert_int_equal(krl.n_sha1, 3);
    }
    assert_true(parse(read_file("hash")));
    assert_int_equal(krl.n_sha256, 1);
    assert_false(krl_has_sha1(&krl, digest));
}

static void test_ranges(void **state)
{
    (void)state;
    begin_list(1, 0);
    put_range(authority, 100, 200);
    put_range(authority, 150, 160);
    put_range(authority, 50, 100);
    put_range(other, 1, 1);
    put_range(authority, 201, UINT64_MAX);
    assert_parsed();
    assert_false(has_serial(authority, 49));
    for (uint64_t serial = 50; serial < 300; serial++)
        assert_true(has_serial(authority, serial));
    assert_true(has_serial(authority, UINT64_MAX));
    assert_true(has_serial(other, 1));
    assert_false(has_serial(authority, 1));
    /* A certificate without a number has none that could be listed. */
    assert_false(has_serial(authority, 0));
}

static void test_bitmaps(void **state)
{
    (void)state;
    begin_list(1, 0);
    put_bitmap(authority, 10, "\x00\x81\x01", 3);
    put_bitmap(authority, UINT64_MAX - 7, "\x00\x80", 2);
    put_bitmap(other, 0, "\x02", 1);
    put_bitmap(other, 50, "", 0);
    put_bitmap(other, 60, "\0\0", 2);
    assert_parsed();
    for (uint64_t serial = 0; serial < 100; serial++) {
        assert_int_equal(has_serial(authority, serial),
                         serial == 10 || serial == 18 || serial == 25);
        assert_int_equal(has_serial(other, serial), serial == 1);
    }
    assert_true(has_serial(authority, UINT64_MAX));
    assert_false(has_serial(authority, UINT64_MAX - 7));
}

static void test_numbers_that_are_none(void **state)
{
    static const char expected[] = "the list is damaged: serial numbers that are none";
    (void)state;
    begin_list(1, 0);
    put_range(authority, 0, 3);
    assert_problem(expected);
    begin_list(1, 0);
    put_range(authority, 4, 3);
    assert_problem(expected);
    begin_list(1, 0);
    put_bitmap(authority, 0, "\x01", 1);
    assert_problem(expected);
    begin_list(1, 0);
    put_bitmap(authority, UINT64_MAX, "\x02", 1);
    assert_problem(expected);
    begin_list(1, 0);
    put_bitmap(authority, 5, "\x80", 1);
    assert_problem("the list is damaged: a bitmap of serial numbers");
}

static void test_extensions(void **state)
{
    unsigned char buf[64];
    (void)state;
    for (unsigned critical = 0; critical < 2; critical++) {
        for (unsigned inner = 0; inner < 2; inner++) {
            struct wire_writer w = {.buf = buf, .cap = sizeof buf};
            wire_put_bytes(&w, bytes("name", 4));
            wire_put_u8(&w, (uint8_t)critical);
            wire_put_bytes(&w, bytes("data", 4));
            begin_list(1, 0);
            if (inner)
                put_certificates(authority, 0x39, bytes(buf, w.len));
            else
                put(&list, 255, bytes(buf, w.len));
            put_range(authority, 3, 3);
            if (critical)
                assert_problem("the list has an extension that is not understood");
            else
                assert_parsed();
        }
    }
}

static void test_signatures(void **state)
{
    (void)state;
    begin_list(1, 0);
    put_range(authority, 3, 3);
    put(&list, 4, bytes("a key", 5));
    wire_put_bytes(&list, bytes("its signature", 13));
    put(&list, 4, bytes("another", 7));
    wire_put_bytes(&list, bytes("", 0));
    assert_parsed();
    assert_true(has_serial(authority, 3));
    put_range(authority, 4, 4);
    assert_problem("the list is damaged: something follows its signature");
    begin_list(1, 0);
    put(&list, 4, bytes("a key", 5));
    assert_problem("the list is damaged: a signature");
}

static void test_what_is_not_understood(void **state)
{
    (void)state;
    begin_list(2, 0);
    assert_problem("the list has format 2: only 1 is understood");
    begin_list(1, 4);
    assert_problem("the list has flags that are not understood");
    begin_list(1, 0);
    put(&list, 6, bytes("x", 1));
    assert_problem("the list has a section that is not understood (6)");
    begin_list(1, 0);
    put_certificates(authority, 0x24, bytes("x", 1));
    assert_problem("the list revokes certificates in a way that is not understood (section 0x24)");
    begin_list(1, 0);
    file[0] = 's';
    assert_problem("this is no key revocation list");
}

static void test_damaged(void **state)
{
    static const char digest[KRL_SHA256] = {0};
    (void)state;
    begin_list(1, 0);
    list.len -= 3;
    assert_problem("the list is damaged: it ends too early");
    begin_list(1, 0);
    wire_put_u8(&list, 2);
    wire_put_u32(&list, UINT32_MAX);
    assert_problem("the list is damaged: it ends too early");
    begin_list(1, 0);
    put(&list, 2, bytes("\0\0\0\0", 4));
    assert_problem("the list is damaged: a key");
    for (unsigned type = 3; type <= 5; type += 2) {
        begin_list(1, 0);
        wire_put_u8(&list, (uint8_t)type);
        wire_put_u32(&list, 4 + 31);
        wire_put_bytes(&list, bytes(digest, 31));
        assert_problem("the list is damaged: a fingerprint");
    }
    begin_list(1, 0);
    put_certificates(authority, 0x20, bytes("1234567", 7));
    assert_problem("the list is damaged: a list of serial numbers");
    begin_list(1, 0);
    put_certificates(authority, 0x21, bytes("123456781234567", 15));
    assert_problem("the list is damaged: a range of serial numbers");
    begin_list(1, 0);
    put_certificates(authority, 0x23, bytes("\0\0\0\5left", 8));
    assert_problem("the list is damaged: a list of key ids");
    begin_list(1, 0);
    put(&list, 1, bytes("\0\0\0\1a", 5));
    assert_problem("the list is damaged: an authority");
}

/* What is cut off is noticed, but for whole sections. */
static void test_cut(void **state)
{
    static const char *const names[] = {"certificates", "keys", "sha1"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        size_t whole = read_file(names[i]), sound = 0;
        for (size_t len = 0; len < whole; len++)
            sound += parse(len);
        assert_in_range(sound, 1, 3);
    }
}

static void test_too_many_authorities(void **state)
{
    static unsigned char big[KRL_AUTHORITIES_MAX * 16 + 1024];
    struct err err = {0};
    (void)state;
    begin_list(1, 0);
    struct wire_writer w = {.buf = big, .cap = sizeof big, .len = list.len};
    memcpy(big, file, list.len);
    for (size_t i = 0; i <= KRL_AUTHORITIES_MAX; i++) {
        pool_free(&pool);
        if (i == KRL_AUTHORITIES_MAX)
            assert_int_equal(krl_parse(&pool, big, w.len, &krl, &err), 0);
        put(&w, 1, bytes("\0\0\0\0\0\0\0\0", 8));
    }
    assert_false(w.overflow);
    assert_int_equal(krl_parse(&pool, big, w.len, &krl, &err), -1);
    assert_string_equal(err.text, "the list has more than 4096 sections of certificates");
}

static int forget(void **state)
{
    (void)state;
    pool_free(&pool);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_ssh_keygen),
        cmocka_unit_test(test_keys_of_ssh_keygen),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_bitmaps),
        cmocka_unit_test(test_numbers_that_are_none),
        cmocka_unit_test(test_extensions),
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_what_is_not_understood),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_too_many_authorities),
    };
    return cmocka_run_group_tests(tests, NULL, forget);
}
