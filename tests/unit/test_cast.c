/* Recordings: what is made of any bytes, what is kept of many, and how it is read back. */
#include "cast.h"
#include "cast_read.h"
#include "cleanup.h"
#include "recording.h"
#include "tail.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* After the others. */
#include <cmocka.h>

#define BAD "\xef\xbf\xbd"

/* One event of all bytes, its end included. */
static const struct {
    const char *bytes;
    size_t len;
    const char *text;
} texts[] = {
#define T(bytes, text)                                                                             \
    {                                                                                              \
        bytes, sizeof(bytes) - 1, text                                                             \
    }
    T("", ""),
    T("plain", "plain"),
    T("a\"b\\c/", "a\\\"b\\\\c/"),
    T("\b\t\n\f\r", "\\b\\t\\n\\f\\r"),
    T("\0\x01\x1b[31m\x1f\x7f", "\\u0000\\u0001\\u001b[31m\\u001f\\u007f"),
    /* the first and the last of each length */
    T("\xc2\xa0\xdf\xbf", "\xc2\xa0\xdf\xbf"),
    T("\xe0\xa0\x80\xef\xbf\xbf", "\xe0\xa0\x80\xef\xbf\xbf"),
    T("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"),
    T("\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80"),
    /* C1 controls */
    T("\xc2\x80\xc2\x9b\xc2\x9f", "\\u0080\\u009b\\u009f"),
    /* not a first byte */
    T("\x80\xbf", BAD BAD),
    T("\xc0\x80\xc1\xbf", BAD BAD BAD BAD),
    T("\xf5\x80\xff\xfe", BAD BAD BAD BAD),
    /* too long, surrogates, too large: none of their bytes belong together */
    T("\xe0\x9f\xbf", BAD BAD BAD),
    T("\xf0\x8f\xbf\xbf", BAD BAD BAD BAD),
    T("\xed\xa0\x80", BAD BAD BAD),
    T("\xf4\x90\x80\x80", BAD BAD BAD BAD),
    /* cut off, by what can stand alone and by the end */
    T("\xe2\x82x", BAD "x"),
    T("\xf0\x9f\x98", BAD),
    T("\xf0\x9f\x98\n", BAD "\\n"),
    T("\xf0\x9f\xf0\x9f\x98\x80", BAD "\xf0\x9f\x98\x80"),
    T("\xe2\xe2\xe2\x82\xac", BAD BAD "\xe2\x82\xac"),
    T("\xc3\"", BAD "\\\""),
#undef T
};

/* The texts of the events that the bytes become when each piece comes by itself. */
static void encode(const char *bytes, size_t len, size_t piece, char *out)
{
    static char line[CAST_LINE_MAX];
    struct cast_text text = {0};
    size_t n = 0;
    static const char begin[] = "[1.000002, \"o\", \"";
    for (size_t at = 0; at <= len; at += piece) {
        size_t part = len - at < piece ? len - at : piece;
        size_t got = at < len ? cast_event(&text, 1000002, 'o', (const unsigned char *)bytes + at,
                                           part, line)
                              : 0;
        if (at + part >= len && got == 0)
            got = cast_event_end(&text, 1000002, 'o', line);
        else if (at + part >= len) {
            char more[CAST_SHORT_MAX];
            size_t end = cast_event_end(&text, 1000002, 'o', more);
            if (end > 0) {
                assert_true(end == sizeof begin - 1 + 6);
                memcpy(line + got - 3, BAD "\"]\n", 6);
                got += 3;
            }
        }
        if (got == 0)
            continue;
        assert_memory_equal(line, begin, sizeof begin - 1);
        assert_memory_equal(line + got - 3, "\"]\n", 3);
        memcpy(out + n, line + sizeof begin - 1, got - 3 - (sizeof begin - 1));
        n += got - 3 - (sizeof begin - 1);
    }
    out[n] = '\0';
}

static void test_texts(void **state)
{
    static char out[4096];
    (void)state;
    for (size_t i = 0; i < array_len(texts); i++)
        for (size_t piece = 1; piece <= texts[i].len + 1; piece++) {
            encode(texts[i].bytes, texts[i].len, piece, out);
            assert_string_equal(out, texts[i].text);
        }
}

static void test_longest(void **state)
{
    static unsigned char bytes[CAST_BYTES_MAX + 1];
    static char line[CAST_LINE_MAX];
    struct cast_text text = {
        .held = {0xf0, 0x9f, 0x98}, .n_held = 3, .missing = 1, .low = 0x80, .high = 0xbf};
    (void)state;
    memset(bytes, 1, sizeof bytes);
    size_t n = cast_event(&text, UINT64_MAX, 'o', bytes, sizeof bytes, line);
    assert_true(n < CAST_LINE_MAX);
    static const char begin[] = "[18446744073709.551615, \"o\", \"" BAD "\\u0001\\u0001";
    assert_memory_equal(line, begin, sizeof begin - 1);
    assert_int_equal(n,
                     strlen("[18446744073709.551615, \"o\", \"" BAD "\"]\n") + 6 * CAST_BYTES_MAX);
}

static void test_other_lines(void **state)
{
    char line[CAST_SHORT_MAX];
    (void)state;
    size_t n = cast_resize(61000001, 120, 40, line);
    assert_int_equal(n, strlen("[61.000001, \"r\", \"120x40\"]\n"));
    assert_memory_equal(line, "[61.000001, \"r\", \"120x40\"]\n", n);
    n = cast_remark(0, "postern: hm", line);
    assert_int_equal(n, strlen("[0.000000, \"m\", \"postern: hm\"]\n"));
    assert_memory_equal(line, "[0.000000, \"m\", \"postern: hm\"]\n", n);
    struct cast_text none = {0};
    assert_int_equal(cast_event(&none, 0, 'o', (const unsigned char *)"\xe2\x82", 2, line), 0);
    n = cast_event_end(&none, 7, 'e', line);
    assert_memory_equal(line, "[0.000007, \"e\", \"" BAD "\"]\n", n);
    assert_int_equal(cast_event_end(&none, 7, 'e', line), 0);
}

/* Against a list that forgets nothing: whatever is put, the end of it comes back, with times that
 * never go backwards. */
static void test_tail(void **state)
{
    static unsigned char all[8 * TAIL_MAX], got[TAIL_MAX + 1];
    (void)state;
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (unsigned char)(i * 7 + i / 251);
    static const size_t steps[] = {1, 3, 1000, TAIL_MAX - 1, TAIL_MAX, TAIL_MAX + 5, 3 * TAIL_MAX};
    for (size_t s = 0; s < array_len(steps); s++) {
        struct tail *tail = calloc(1, sizeof *tail);
        size_t put = 0, n = 0, part;
        uint64_t time_us = 5, before = 0;
        assert_non_null(tail);
        assert_false(tail_time(tail, &before));
        while (put < sizeof all) {
            size_t step = sizeof all - put < steps[s] ? sizeof all - put : steps[s];
            tail_put(tail, time_us, all + put, step);
            put += step;
            time_us += put % 3 == 0 ? TAIL_JOIN_US : 1;
        }
        assert_int_equal(tail->lost, sizeof all - TAIL_MAX);
        while (tail_time(tail, &time_us)) {
            assert_true(time_us >= before);
            before = time_us;
            part = tail_take(tail, got + n, n % 2 == 0 ? 777 : TAIL_MAX);
            assert_true(part > 0);
            n += part;
        }
        assert_int_equal(n, TAIL_MAX);
        assert_memory_equal(got, all + sizeof all - TAIL_MAX, TAIL_MAX);
        free(tail);
    }
}

static void test_tail_times(void **state)
{
    struct tail *tail = calloc(1, sizeof *tail);
    unsigned char got[8];
    uint64_t time_us = 0;
    (void)state;
    assert_non_null(tail);
    tail_put(tail, 10, (const unsigned char *)"ab", 2);
    tail_put(tail, 10 + TAIL_JOIN_US - 1, (const unsigned char *)"c", 1);
    tail_put(tail, 10 + TAIL_JOIN_US, (const unsigned char *)"de", 2);
    assert_int_equal(tail_take(tail, got, sizeof got), 3);
    assert_memory_equal(got, "abc", 3);
    assert_true(tail_time(tail, &time_us));
    assert_int_equal(time_us, 10 + TAIL_JOIN_US);
    assert_int_equal(tail_take(tail, got, 1), 1);
    assert_int_equal(tail_take(tail, got, sizeof got), 1);
    assert_int_equal(tail_take(tail, got, sizeof got), 0);
    free(tail);
}

/* A file that is read back while the recording has it. */
struct file {
    int fd;
    char *text;
    size_t len;
};

static int make_file(struct file *file)
{
    file->fd = memfd_create("recording", MFD_CLOEXEC);
    assert_true(file->fd >= 0);
    return fcntl(file->fd, F_DUPFD_CLOEXEC, 3);
}

static void read_back(struct file *file)
{
    off_t size = lseek(file->fd, 0, SEEK_END);
    assert_true(size >= 0);
    file->len = (size_t)size;
    file->text = malloc(file->len + 1);
    assert_non_null(file->text);
    assert_int_equal(pread(file->fd, file->text, file->len, 0), size);
    file->text[file->len] = '\0';
}

static void close_file_of(struct file *file)
{
    free(file->text);
    close_fd(&file->fd);
}

/* All texts of a code together; every line must be one. */
static size_t texts_of(const struct file *file, char code, char *out)
{
    size_t n = 0;
    double before = 0;
    for (const char *line = file->text; *line != '\0';) {
        const char *end = strchr(line, '\n');
        struct cast_event event;
        assert_non_null(end);
        assert_true(cast_read_event(line, (size_t)(end - line), &event));
        assert_true(event.time >= before);
        before = event.time;
        if (event.code == code) {
            memcpy(out + n, event.text, event.len);
            n += event.len;
        }
        cast_event_free(&event);
        line = end + 1;
    }
    out[n] = '\0';
    return n;
}

static char out[16 << 20];

static void test_terminal(void **state)
{
    struct file file;
    struct recording *recording = recording_begin(make_file(&file), 1 << 20, true);
    (void)state;
    assert_non_null(recording);
    recording_output(recording, (const unsigned char *)"a\xe2", 2, false);
    recording_output(recording, (const unsigned char *)"\x82", 1, false);
    recording_resize(recording, 100, 50);
    recording_output(recording, (const unsigned char *)"\xac\r\n", 3, false);
    recording_output(recording, (const unsigned char *)"\xf0\x9f", 2, false);
    assert_int_equal(recording_due(recording), -1);
    assert_int_equal(recording_end(recording), RECORDED_WHOLE);
    read_back(&file);
    (void)texts_of(&file, 'o', out);
    assert_string_equal(out, "a\xe2\x82\xac\r\n" BAD);
    (void)texts_of(&file, 'r', out);
    assert_string_equal(out, "100x50");
    close_file_of(&file);
}

static void test_nothing(void **state)
{
    (void)state;
    recording_output(NULL, (const unsigned char *)"x", 1, false);
    recording_resize(NULL, 1, 1);
    recording_flush(NULL);
    assert_int_equal(recording_due(NULL), -1);
    assert_int_equal(recording_end(NULL), RECORDED_NOT);
}

/* Two streams, one longer than head and tail. */
static void test_pipes(void **state)
{
    struct file file;
    struct recording *recording = recording_begin(make_file(&file), 2 << 20, false);
    static char expected[RECORDING_HEAD + TAIL_MAX + 1];
    static char data[300000];
    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)('a' + i % 23);
    assert_non_null(recording);
    recording_output(recording, (const unsigned char *)"first", 5, true);
    for (size_t at = 0; at < sizeof data; at += 10000)
        recording_output(recording, (const unsigned char *)data + at, 10000, false);
    recording_output(recording, (const unsigned char *)"last", 4, true);
    assert_int_equal(recording_end(recording), RECORDED_WHOLE);
    read_back(&file);
    (void)texts_of(&file, 'e', out);
    assert_string_equal(out, "firstlast");
    memcpy(expected, data, RECORDING_HEAD);
    memcpy(expected + RECORDING_HEAD, data + sizeof data - TAIL_MAX, TAIL_MAX);
    assert_int_equal(texts_of(&file, 'o', out), RECORDING_HEAD + TAIL_MAX);
    assert_memory_equal(out, expected, RECORDING_HEAD + TAIL_MAX);
    (void)texts_of(&file, 'm', out);
    assert_string_equal(out, "postern: 168928 bytes of stdout are left out here");
    close_file_of(&file);
}

/* What fits into both is whole, a character that both share too. */
static void test_pipes_meet(void **state)
{
    struct file file;
    struct recording *recording = recording_begin(make_file(&file), 2 << 20, false);
    static char data[RECORDING_HEAD + TAIL_MAX];
    (void)state;
    memset(data, 'x', sizeof data);
    memcpy(data + RECORDING_HEAD - 1, "\xc3\xbc", 2);
    recording_output(recording, (const unsigned char *)data, sizeof data, false);
    assert_int_equal(recording_end(recording), RECORDED_WHOLE);
    read_back(&file);
    assert_int_equal(texts_of(&file, 'o', out), sizeof data);
    assert_memory_equal(out, data, sizeof data);
    assert_int_equal(texts_of(&file, 'm', out), 0);
    close_file_of(&file);
}

/* Single bytes take much room: both tails and every remark find theirs, in the least there is. */
static void test_pipes_small_writes(void **state)
{
    struct file file;
    struct recording *recording = recording_begin(make_file(&file), 2 << 20, false);
    (void)state;
    for (size_t i = 0; i < 400000; i++)
        recording_output(recording, (const unsigned char *)"\x01", 1, i % 2 == 0);
    assert_int_equal(recording_end(recording), RECORDED_WHOLE);
    read_back(&file);
    assert_true(file.len <= 2 << 20);
    size_t n = texts_of(&file, 'o', out);
    assert_true(n > TAIL_MAX && n < RECORDING_HEAD + TAIL_MAX);
    assert_true(texts_of(&file, 'e', out) > TAIL_MAX);
    (void)texts_of(&file, 'm', out);
    assert_non_null(strstr(out, "bytes of stdout are left out here"));
    assert_non_null(strstr(out, "bytes of stderr are left out here"));
    close_file_of(&file);
}

/* Six times as much as was read, at once. */
static void test_much_at_once(void **state)
{
    struct file file;
    struct recording *recording = recording_begin(make_file(&file), 8 << 20, true);
    static unsigned char data[256 * 1024];
    (void)state;
    memset(data, 1, sizeof data);
    recording_output(recording, data, sizeof data, false);
    assert_int_equal(recording_end(recording), RECORDED_WHOLE);
    read_back(&file);
    assert_int_equal(texts_of(&file, 'o', out), sizeof data);
    close_file_of(&file);
}

static void test_full(void **state)
{
    struct file file;
    struct recording *recording = recording_begin(make_file(&file), 20000, true);
    static unsigned char data[30000];
    (void)state;
    memset(data, 'x', sizeof data);
    recording_output(recording, data, sizeof data, false);
    recording_resize(recording, 1, 1);
    recording_output(recording, (const unsigned char *)"end", 3, false);
    assert_int_equal(recording_end(recording), RECORDED_FULL);
    read_back(&file);
    assert_true(file.len <= 20000);
    assert_int_equal(texts_of(&file, 'o', out), 2 * CAST_BYTES_MAX);
    (void)texts_of(&file, 'm', out);
    assert_string_equal(out, "postern: 13619 bytes were not recorded: record-max");
    assert_int_equal(texts_of(&file, 'r', out), 0);
    close_file_of(&file);
}

/* The kernel's word, where the session's own count is wrong: nothing dies of it. */
static void test_kernel_bound(void **state)
{
    struct file file;
    struct rlimit old, limit;
    struct recording *recording = recording_begin(make_file(&file), 1 << 20, true);
    (void)state;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = (struct rlimit){5000, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    static unsigned char data[10000];
    memset(data, 'x', sizeof data);
    recording_output(recording, data, sizeof data, false);
    assert_true(recording_due(recording) > 0);
    enum recorded result = recording_end(recording);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(result, RECORDED_INCOMPLETE);
    read_back(&file);
    assert_int_equal(file.len, 5000);
    close_file_of(&file);
}

/* A pipe stands for a disk: while it takes nothing lines wait, up to the bound, and what comes
 * then is counted; when it takes something again it goes on. */
static void test_stuck_disk(void **state)
{
    int pipe_fds[2];
    static char got[1 << 20];
    static unsigned char data[CAST_BYTES_MAX];
    size_t len = 0;
    ssize_t n;
    (void)state;
    memset(data, 'y', sizeof data);
    assert_int_equal(pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC), 0);
    struct recording *recording = recording_begin(pipe_fds[1], 1 << 20, true);
    for (size_t i = 0; i < 40; i++)
        recording_output(recording, data, sizeof data, false);
    assert_true(recording_due(recording) > 0);
    while ((n = read(pipe_fds[0], got + len, sizeof got - len)) > 0)
        len += (size_t)n;
    assert_int_equal(errno, EAGAIN);
    fcntl(pipe_fds[0], F_SETPIPE_SZ, 1 << 20);
    assert_int_equal(recording_end(recording), RECORDED_INCOMPLETE);
    while ((n = read(pipe_fds[0], got + len, sizeof got - len)) > 0)
        len += (size_t)n;
    got[len] = '\0';
    struct file file = {.text = got, .len = len};
    size_t kept = texts_of(&file, 'o', out);
    assert_true(kept > RECORDING_PENDING_MAX && kept < 40 * CAST_BYTES_MAX);
    (void)texts_of(&file, 'm', out);
    char expected[128];
    (void)snprintf(expected, sizeof expected,
                   "postern: %zu bytes were not recorded: the disk is slow or full",
                   40 * sizeof data - kept);
    assert_string_equal(out, expected);
    close(pipe_fds[0]);
}

static void test_read_header(void **state)
{
    static const char ours[] =
        "{\"version\":2,\"width\":100,\"height\":30,\"timestamp\":1600000000,\"command\":\"ls\","
        "\"postern\":{\"exec\":\"ab-1.1\",\"tenant\":\"acme\",\"client\":\"::1\","
        "\"terminal\":false}}";
    static const char *const wrong[] = {
        "",       "{}",  "[]", "{\"version\":1}", "{\"version\":\"2\"}", "{\"version\":2",
        "\xff{}", "nul", "2",  "{\"version\":3}",
    };
    struct cast_header h;
    struct err err = {0};
    (void)state;
    assert_int_equal(cast_read_header(ours, sizeof ours - 1, &h, &err), 0);
    assert_int_equal(h.width, 100);
    assert_int_equal(h.height, 30);
    assert_int_equal(h.timestamp, 1600000000);
    assert_string_equal(h.command, "ls");
    assert_string_equal(h.exec, "ab-1.1");
    assert_string_equal(h.tenant, "acme");
    assert_string_equal(h.client, "::1");
    assert_false(h.terminal);
    cast_header_free(&h);
    assert_int_equal(cast_read_header("{\"version\":2,\"width\":-1}", 24, &h, &err), 0);
    assert_int_equal(h.width, 0);
    assert_null(h.exec);
    assert_true(h.terminal);
    cast_header_free(&h);
    for (size_t i = 0; i < array_len(wrong); i++) {
        assert_int_equal(cast_read_header(wrong[i], strlen(wrong[i]), &h, &err), -1);
        cast_header_free(&h);
    }
}

static void test_read_event(void **state)
{
    static const struct {
        const char *line;
        double time;
    } right[] = {{"[1.5, \"o\", \"x\"]", 1.5},
                 {"[0, \"o\", \"x\"]", 0},
                 {"[-3, \"o\", \"x\"]", 0},
                 {"[1e300, \"o\", \"x\"]", CAST_TIME_MAX}};
    static const char *const wrong[] = {
        "",
        "[1, \"o\"]",
        "[1, \"o\", \"x\"",
        "[1, \"o\", 3]",
        "[\"1\", \"o\", \"x\"]",
        "[1, \"oo\", \"x\"]",
        "[1, \"\", \"x\"]",
        "[1, \"o\", \"x\", 1]",
        "[1, \"o\", \"\xff\"]",
        "{\"0\":1}",
        "[1, \"o\", \"x\"] y",
    };
    struct cast_event event;
    (void)state;
    for (size_t i = 0; i < array_len(right); i++) {
        assert_true(cast_read_event(right[i].line, strlen(right[i].line), &event));
        assert_true(event.time >= right[i].time && event.time <= right[i].time);
        assert_int_equal(event.code, 'o');
        assert_int_equal(event.len, 1);
        cast_event_free(&event);
    }
    for (size_t i = 0; i < array_len(wrong); i++) {
        assert_false(cast_read_event(wrong[i], strlen(wrong[i]), &event));
        cast_event_free(&event);
    }
    static const char nul[] = "[1, \"o\", \"a\\u0000b\"]";
    assert_true(cast_read_event(nul, sizeof nul - 1, &event));
    assert_int_equal(event.len, 3);
    assert_memory_equal(event.text, "a\0b", 3);
    cast_event_free(&event);
}

static void assert_escaped(const char *text, size_t n, const char *expected)
{
    char *shown = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&shown, &len);
    assert_non_null(to);
    cast_print_escaped(text, n, to);
    fclose(to);
    assert_string_equal(shown, expected);
    free(shown);
}

static void test_escaped(void **state)
{
    static const char text[] = "a\tb\r\n\x1b]0;t\x07\x7f\xc2\x9b\xc3\xbc\0.";
    static const char expected[] = "a\tb\\r\n\\x1b]0;t\\x07\\x7f\\x9b\xc3\xbc\\x00.";
    assert_escaped(text, sizeof text - 1, expected);
    (void)state;
}

/* What makes a line read as another one, and its neighbours, which don't; a last one is cut off. */
static void test_order_escaped(void **state)
{
    static const char text[] = "\u061c\u061b\u200d\u200e\u200f\u2010\u2029\u202a\u202e\u202f"
                               "\u2065\u2066\u2069\u206a\xe2\x80";
    static const char expected[] =
        "\\xd8\\x9c\u061b\u200d\\xe2\\x80\\x8e\\xe2\\x80\\x8f\u2010\u2029\\xe2\\x80\\xaa"
        "\\xe2\\x80\\xae\u202f\u2065\\xe2\\x81\\xa6\\xe2\\x81\\xa9\u206a\xe2\x80";
    assert_escaped(text, sizeof text - 1, expected);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_other_lines),  cmocka_unit_test(test_tail),
        cmocka_unit_test(test_tail_times),   cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_terminal),     cmocka_unit_test(test_pipes),
        cmocka_unit_test(test_pipes_meet),   cmocka_unit_test(test_pipes_small_writes),
        cmocka_unit_test(test_much_at_once), cmocka_unit_test(test_full),
        cmocka_unit_test(test_kernel_bound), cmocka_unit_test(test_stuck_disk),
        cmocka_unit_test(test_read_header),  cmocka_unit_test(test_read_event),
        cmocka_unit_test(test_escaped),      cmocka_unit_test(test_order_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
