#include "ini_header.h"

#include <string.h>

enum { TYPE_LEN_MAX = 32 };

static bool is_section_type(struct line l)
{
    for (size_t i = 0; i < l.len; i++)
        if (!((l.at[i] >= 'a' && l.at[i] <= 'z') || l.at[i] == '-'))
            return false;
    return l.len > 0;
}

/* What stands between the brackets: a type and, if there is one, a quoted name. A problem with the
 * quotes alone leaves a name, so that what is in the section can be judged. */
static const char *split_header(struct line inner, struct line *type, struct line *name)
{
    size_t n = 0;
    while (n < inner.len && !line_is_blank(inner.at[n]) && inner.at[n] != '"')
        n++;
    *type = (struct line){inner.at, n};
    *name = (struct line){"", 0};
    if (!is_section_type(*type))
        return "a section is [type] or [type \"name\"]";
    struct line rest = line_trim((struct line){inner.at + n, inner.len - n});
    if (rest.len == 0)
        return inner.len == n ? NULL : "blank before ']'";
    if (n < inner.len && inner.at[n] == '"')
        return "a section is [type] or [type \"name\"]";
    if (rest.len < 2 || rest.at[0] != '"' ||
        memchr(rest.at + 1, '"', rest.len - 1) != rest.at + rest.len - 1) {
        while (rest.len > 0 && line_is_quote(rest.at[0]))
            rest = (struct line){rest.at + 1, rest.len - 1};
        while (rest.len > 0 && line_is_quote(rest.at[rest.len - 1]))
            rest.len--;
        *name = rest;
        return "the name of a section stands in double quotes";
    }
    *name = (struct line){rest.at + 1, rest.len - 2};
    return name->len == 0 ? "the name of a section is empty" : NULL;
}

bool ini_header_is_readable(struct line type, struct line name)
{
    return is_section_type(type) && type.len <= TYPE_LEN_MAX &&
           (name.len == 0 || memchr(name.at, '"', name.len) == NULL);
}

const char *ini_header_parse(struct line l, struct line *type, struct line *name, const char **hint)
{
    const char *close = memchr(l.at, ']', l.len);
    size_t end = close == NULL ? l.len : (size_t)(close - l.at);
    struct line inner = {l.at + 1, end - 1};
    if (close == NULL)
        inner = line_trim(inner);
    const char *problem = split_header(inner, type, name);
    if (problem != NULL && name->len == 0)
        *type = *name; /* not readable */
    struct line rest =
        close == NULL ? (struct line){"", 0} : line_trim((struct line){close + 1, l.len - end - 1});
    if (close == NULL)
        return "a section header without ']'";
    if (rest.len > 0) {
        *hint = rest.at[0] == '#' ? "a comment after it begins with ';'" : NULL;
        return "text after the section header";
    }
    if (problem != NULL)
        return problem;
    return type->len > TYPE_LEN_MAX ? "section header is too long" : NULL;
}
