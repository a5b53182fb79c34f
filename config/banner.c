#include "banner.h"
#include "cleanup.h"
#include "text.h"
#include "values.h"

#include <string.h>

/* The length of the UTF-8 sequence at `s` (RFC 3629: shortest form, no surrogates), 0 if it is
 * none. */
static size_t utf8_length(const unsigned char *s, size_t len)
{
    static const struct {
        unsigned char first, last; /* of the lead byte */
        unsigned char low, high;   /* of the byte after it */
        unsigned char len;
    } forms[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < array_len(forms); i++) {
        if (s[0] < forms[i].first || s[0] > forms[i].last)
            continue;
        if (forms[i].len > len)
            return 0;
        if (forms[i].len > 1 && (s[1] < forms[i].low || s[1] > forms[i].high))
            return 0;
        for (size_t k = 2; k < forms[i].len; k++)
            if (s[k] < 0x80 || s[k] > 0xbf)
                return 0;
        return forms[i].len;
    }
    return 0;
}

/* Of one character: C0 but for tab, DEL, and C1, which terminals obey as well. */
static bool is_control(const unsigned char *s, size_t len)
{
    if (len == 1)
        return (s[0] < ' ' && s[0] != '\t') || s[0] == 0x7f;
    return len == 2 && s[0] == 0xc2 && s[1] < 0xa0;
}

int banner_convert(const char *text, size_t len, char out[BANNER_MAX + 1], struct err *err)
{
    const unsigned char *s = (const unsigned char *)text;
    unsigned line = 1;
    size_t used = 0;
    if (len == 0)
        return err_set(err, 0, "it is empty");
    for (size_t at = 0, n; at < len; at += n) {
        bool crlf = s[at] == '\r' && at + 1 < len && s[at + 1] == '\n';
        bool ends = crlf || s[at] == '\n';
        n = ends ? 1U + crlf : utf8_length(s + at, len - at);
        if (n == 0)
            return err_set(err, 0, "line %u is not UTF-8", line);
        if (!ends && is_control(s + at, n))
            return err_set(err, 0, "line %u has a control character", line);
        /* Room for one line end more. */
        if (used + (ends ? 2 : n) + 2 > BANNER_MAX)
            return err_set(err, 0, "it is longer than %d bytes", BANNER_MAX);
        memcpy(out + used, ends ? (const unsigned char *)"\r\n" : s + at, ends ? 2 : n);
        used += ends ? 2 : n;
        line += ends;
    }
    if (used < 2 || out[used - 1] != '\n') {
        memcpy(out + used, "\r\n", 2);
        used += 2;
    }
    out[used] = '\0';
    return 0;
}

int banner_load(struct loader *l, const char *value, char **out, struct err *err)
{
    char banner[BANNER_MAX + 1];
    cleanup_free char *data = NULL;
    size_t len = strlen(value);
    char shown[160];
    if (value[0] == '/') {
        if (value_path(value, err) < 0)
            return -1;
        /* Ours alone to write: [server] is root's, and so is what it names. */
        if (l->host->read_file(l->host->user, value, BANNER_MAX, 0, &data, &len, err) < 0)
            return err_wrap(err, "banner '%s'", text_escape_str(shown, sizeof shown, value));
    }
    if (banner_convert(data != NULL ? data : value, len, banner, err) < 0)
        return err_wrap(err, "banner");
    *out = pool_strdup(l->pool, banner);
    return *out == NULL ? err_no_memory(err) : 0;
}
