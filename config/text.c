#include "text.h"

#include <stdio.h>
#include <string.h>

const char *text_escape(char *buf, size_t cap, const char *data, size_t len)
{
    size_t used = 0;
    size_t cut = 0; /* as far as "..." still fits behind it */
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];
        char piece[5] = {(char)c};
        if (c == '"' || c == '\\')
            (void)snprintf(piece, sizeof piece, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f)
            (void)snprintf(piece, sizeof piece, "\\x%02x", c);
        size_t n = piece[0] == '\\' ? strlen(piece) : 1;
        if (used + n > cap - 1) {
            memcpy(buf + cut, "...", 3);
            used = cut + 3;
            break;
        }
        memcpy(buf + used, piece, n);
        used += n;
        if (used + 4 <= cap)
            cut = used;
    }
    buf[used] = '\0';
    return buf;
}

const char *text_escape_str(char *buf, size_t cap, const char *s)
{
    return text_escape(buf, cap, s, strlen(s));
}

const char *text_quote_hint(const char *value)
{
    size_t len = strlen(value);
    bool quoted = len >= 2 && (value[0] == '"' || value[0] == '\'') && value[len - 1] == value[0];
    return quoted ? "write it without the quotes" : NULL;
}

bool text_has_hash(const char *value)
{
    char quote = '\0';
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '#' && c > value && quote == '\0' && (c[-1] == ' ' || c[-1] == '\t'))
            return true;
        if (quote == '\0' && (*c == '"' || *c == '\''))
            quote = *c;
        else if (*c == quote)
            quote = '\0';
    }
    return false;
}

const char *text_value_hint(const char *value)
{
    if (text_has_hash(value))
        return "a comment after a value begins with ';'";
    return text_quote_hint(value);
}

const char *text_next_word(const char **s, size_t *len)
{
    const char *word = *s + strspn(*s, " \t");
    *len = strcspn(word, " \t");
    *s = word + *len;
    return *len == 0 ? NULL : word;
}

enum { SUGGEST_MAX = 40 }; /* longer words get no suggestion */

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

/* Edits (insert, delete, change, swap of neighbours) from a to b; both at most SUGGEST_MAX long. */
static unsigned edit_distance(const char *a, size_t alen, const char *b, size_t blen)
{
    unsigned rows[3][SUGGEST_MAX + 1];
    unsigned *before = rows[0];
    unsigned *above = rows[1];
    unsigned *row = rows[2];
    for (size_t j = 0; j <= blen; j++)
        above[j] = (unsigned)j;
    for (size_t i = 1; i <= alen; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= blen; j++) {
            unsigned change = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = min3(change, above[j] + 1, row[j - 1] + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        unsigned *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[blen];
}

void suggest_begin(struct suggestion *s, const char *wanted)
{
    /* One edit for every three letters: shorter words are too much like each other. */
    *s = (struct suggestion){.wanted = wanted, .distance = (unsigned)strlen(wanted) / 3 + 1};
}

void suggest_try(struct suggestion *s, const char *candidate)
{
    size_t alen = strlen(s->wanted);
    size_t blen = strlen(candidate);
    size_t apart = alen > blen ? alen - blen : blen - alen;
    if (alen == 0 || alen > SUGGEST_MAX || blen > SUGGEST_MAX || apart >= s->distance)
        return;
    unsigned distance = edit_distance(s->wanted, alen, candidate, blen);
    if (distance < s->distance) {
        s->distance = distance;
        s->best = candidate;
    }
}

const char *suggest_hint(const struct suggestion *s, char *buf, size_t len)
{
    buf[0] = '\0';
    if (s->best != NULL)
        (void)snprintf(buf, len, "did you mean '%s'?", s->best);
    return buf;
}
