#include "cast.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char replacement[] = "\xef\xbf\xbd";

static size_t put(char *out, const void *data, size_t len)
{
    memcpy(out, data, len);
    return len;
}

static size_t put_ascii(char *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    /* What has a letter of its own, by its code. */
    static const char letters[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    if (c == '"' || c == '\\' || (c < 0x20 && letters[c] != '\0')) {
        out[0] = '\\';
        out[1] = c < 0x20 ? letters[c] : (char)c;
        return 2;
    }
    if (c >= 0x20 && c != 0x7f) {
        out[0] = (char)c;
        return 1;
    }
    const char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    return put(out, escape, sizeof escape);
}

/* Of more than one byte, and valid. */
static size_t put_sequence(char *out, const unsigned char *bytes, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    /* C1 controls: whoever looks at the file itself has a terminal, too. */
    if (bytes[0] != 0xc2 || bytes[1] > 0x9f)
        return put(out, bytes, len);
    const char escape[6] = {'\\', 'u', '0', '0', hex[bytes[1] >> 4], hex[bytes[1] & 15]};
    return put(out, escape, sizeof escape);
}

/* What may follow a first byte (Unicode, table 3-7). Returns false if it can't be one. */
static bool begin_sequence(struct cast_text *text, unsigned char c)
{
    if (c < 0xc2 || c > 0xf4)
        return false;
    *text = (struct cast_text){.held = {c},
                               .n_held = 1,
                               .missing = c < 0xe0   ? 1
                                          : c < 0xf0 ? 2
                                                     : 3,
                               .low = c == 0xe0   ? 0xa0
                                      : c == 0xf0 ? 0x90
                                                  : 0x80,
                               .high = c == 0xed   ? 0x9f
                                       : c == 0xf4 ? 0x8f
                                                   : 0xbf};
    return true;
}

static size_t put_first(struct cast_text *text, unsigned char c, char *out)
{
    if (c < 0x80)
        return put_ascii(out, c);
    return begin_sequence(text, c) ? 0 : put(out, replacement, sizeof replacement - 1);
}

static size_t put_byte(struct cast_text *text, unsigned char c, char *out)
{
    if (text->missing == 0)
        return put_first(text, c, out);
    if (c < text->low || c > text->high) {
        size_t len = put(out, replacement, sizeof replacement - 1);
        *text = (struct cast_text){0};
        return len + put_first(text, c, out + len);
    }
    if (--text->missing > 0) {
        text->held[text->n_held++] = c;
        text->low = 0x80;
        text->high = 0xbf;
        return 0;
    }
    unsigned char whole[4];
    size_t n = put((char *)whole, text->held, text->n_held);
    whole[n++] = c;
    *text = (struct cast_text){0};
    return put_sequence(out, whole, n);
}

/* How many bytes from here on stand for themselves: most of what is printed does. */
static size_t plain_run(const unsigned char *data, size_t len)
{
    size_t n = 0;
    while (n < len && data[n] >= 0x20 && data[n] < 0x7f && data[n] != '"' && data[n] != '\\')
        n++;
    return n;
}

static size_t begin_line(uint64_t time_us, char code, char *out)
{
    int n = snprintf(out, CAST_SHORT_MAX, "[%" PRIu64 ".%06" PRIu64 ", \"%c\", \"",
                     time_us / 1000000, time_us % 1000000, code);
    return n > 0 ? (size_t)n : 0;
}

static size_t end_line(char *out, size_t len)
{
    return len + put(out + len, "\"]\n", 3);
}

size_t cast_event(struct cast_text *text, uint64_t time_us, char code, const unsigned char *data,
                  size_t len, char *out)
{
    size_t begun = begin_line(time_us, code, out);
    size_t n = begun;
    len = len < CAST_BYTES_MAX ? len : CAST_BYTES_MAX;
    for (size_t i = 0; i < len;) {
        size_t plain = text->missing == 0 ? plain_run(data + i, len - i) : 0;
        n += put(out + n, data + i, plain);
        i += plain;
        if (i < len)
            n += put_byte(text, data[i++], out + n);
    }
    return n == begun ? 0 : end_line(out, n);
}

size_t cast_event_end(struct cast_text *text, uint64_t time_us, char code, char *out)
{
    if (text->missing == 0)
        return 0;
    *text = (struct cast_text){0};
    size_t n = begin_line(time_us, code, out);
    n += put(out + n, replacement, sizeof replacement - 1);
    return end_line(out, n);
}

size_t cast_resize(uint64_t time_us, uint32_t columns, uint32_t rows, char *out)
{
    size_t n = begin_line(time_us, 'r', out);
    int len = snprintf(out + n, CAST_SHORT_MAX - n, "%" PRIu32 "x%" PRIu32, columns, rows);
    return end_line(out, n + (len > 0 ? (size_t)len : 0));
}

size_t cast_remark(uint64_t time_us, const char *remark, char *out)
{
    size_t n = begin_line(time_us, 'm', out);
    int len = snprintf(out + n, CAST_SHORT_MAX - n - 3, "%.200s", remark);
    return end_line(out, n + (len > 0 ? (size_t)len : 0));
}
