/*
 * ini_header.h - inside ini_file.c: the line that begins a section, and lines in general.
 */
#ifndef POSTERN_CONFIG_INI_HEADER_H
#define POSTERN_CONFIG_INI_HEADER_H

#include <stdbool.h>
#include <stddef.h>

/* A view into the file. */
struct line {
    const char *at;
    size_t len;
};

static inline bool line_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static inline bool line_is_quote(char c)
{
    return c == '"' || c == '\'';
}

static inline struct line line_trim(struct line l)
{
    while (l.len > 0 && line_is_blank(l.at[0])) {
        l.at++;
        l.len--;
    }
    while (l.len > 0 && line_is_blank(l.at[l.len - 1]))
        l.len--;
    return l;
}

/* Takes "[type]" or "[type \"name\"]", without blanks around it, apart. Returns what is wrong, with
 * a *hint or NULL; or NULL. */
const char *ini_header_parse(struct line l, struct line *type, struct line *name,
                             const char **hint);

/* Whether a section could be meant, although there is a problem. */
bool ini_header_is_readable(struct line type, struct line name);

#endif
