/* What becomes of any bytes in a recording: JSON, whatever the reads that cut them, and the text
 * that a reader with the whole of it would see. */
#include "cast.h"
#include "cast_read.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 16384 };

/* How many bytes of a sequence are as they should be (Unicode, table 3-7), looking ahead. */
static size_t valid_part(const uint8_t *s, size_t left, size_t *whole)
{
    static const struct {
        uint8_t first, last, low, high;
        size_t len;
    } rows[] = {
        {0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    *whole = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (s[0] < rows[i].first || s[0] > rows[i].last)
            continue;
        size_t n = 1;
        *whole = rows[i].len;
        while (n < rows[i].len && n < left && s[n] >= (n == 1 ? rows[i].low : 0x80) &&
               s[n] <= (n == 1 ? rows[i].high : 0xbf))
            n++;
        return n;
    }
    return 1;
}

static size_t expect(const uint8_t *s, size_t len, char *out)
{
    size_t n = 0, whole;
    for (size_t at = 0; at < len;) {
        size_t part = valid_part(s + at, len - at, &whole);
        memcpy(out + n, part == whole ? (const char *)s + at : "\xef\xbf\xbd",
               part == whole ? part : 3);
        n += part == whole ? part : 3;
        at += part;
    }
    return n;
}

static size_t read_line(const char *line, size_t len, char *out)
{
    struct cast_event event;
    if (len > CAST_LINE_MAX || (len > 0 && memchr(line, '\n', len) != line + len - 1))
        abort();
    for (size_t i = 0; i + 1 < len; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            abort();
    if (len > 0 && !cast_read_event(line, len, &event))
        abort();
    if (len == 0)
        return 0;
    size_t n = event.len;
    memcpy(out, event.text, n);
    cast_event_free(&event);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char line[CAST_LINE_MAX], got[3 * MOST + 3], wanted[3 * MOST + 3];
    struct cast_text text = {0};
    struct cast_event event;
    struct cast_header header;
    struct err err;
    size_t n = 0;
    /* The reader, of the bytes as they are. */
    (void)cast_read_event((const char *)data, size, &event);
    cast_event_free(&event);
    (void)cast_read_header((const char *)data, size, &header, &err);
    cast_header_free(&header);
    if (size < 1 || size > MOST)
        return 0;
    size_t step = (size_t)data[0] + 1;
    for (size_t at = 1; at < size; at += step) {
        size_t part = size - at < step ? size - at : step;
        n += read_line(line, cast_event(&text, at, 'o', data + at, part, line), got + n);
    }
    n += read_line(line, cast_event_end(&text, size, 'o', line), got + n);
    size_t want = expect(data + 1, size - 1, wanted);
    if (n != want || memcmp(got, wanted, n) != 0)
        abort();
    return 0;
}
