#include "ini_file.h"
#include "diag.h"
#include "ini_header.h"
#include "text.h"

#include <ini.h>
#include <stdio.h>
#include <string.h>

enum { INIH_SECTION_MAX = 49 }; /* longer section names are cut by inih */

struct reader {
    struct pool *pool;
    const char *file;
    struct ini_doc *doc;
    struct diags *diags;
    const char *data;
    size_t len;
    size_t pos;
    unsigned line;

    bool in_section; /* false before the first and after a refused header */
    bool told;       /* that what follows belongs to no section */
    bool told_crlf;
    char section[INIH_SECTION_MAX + 1]; /* as inih knows it: names could be too long for it */

    /* The key line being fed to inih, and what inih made of it. */
    bool has_key;
    char key[INI_KEY_LEN_MAX + 1];
    const char *value;
    size_t value_len;
    size_t fed;
    bool delivered;
    bool disagreed;
    char seen[INI_LINE_LEN_MAX + 1];
    size_t seen_len;

    bool out_of_memory;
};

static bool next_line(struct reader *r, struct line *out)
{
    if (r->pos >= r->len)
        return false;
    const char *begin = r->data + r->pos;
    const char *end = memchr(begin, '\n', r->len - r->pos);
    out->at = begin;
    out->len = end == NULL ? r->len - r->pos : (size_t)(end - begin);
    r->pos += out->len + 1;
    r->line++;
    return true;
}

static void refuse(struct reader *r, const char *hint, const char *text)
{
    diag_add(r->diags, r->file, r->line, hint, "%s", text);
}

/* Says once of a file that it was written elsewhere; then reads it as if it had not been. */
static void cut_carriage_return(struct reader *r, struct line *l)
{
    if (l->len == 0 || l->at[l->len - 1] != '\r')
        return;
    l->len--;
    if (!r->told_crlf)
        diag_add(r->diags, r->file, r->line, NULL,
                 "line ends are CRLF; convert with: sed -i 's/\\r$//' %s", r->file);
    r->told_crlf = true;
}

/* What holds for every line, comments too. */
static bool is_clean(struct reader *r, struct line l)
{
    if (l.len > INI_LINE_LEN_MAX) {
        diag_add(r->diags, r->file, r->line, NULL, "line is longer than %d bytes",
                 INI_LINE_LEN_MAX);
        return false;
    }
    for (size_t i = 0; i < l.len; i++) {
        unsigned char c = (unsigned char)l.at[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            diag_add(r->diags, r->file, r->line, NULL, "control character 0x%02x at column %zu", c,
                     i + 1);
            return false;
        }
    }
    return true;
}

/* Cuts an inline comment off. A quote that is open where it begins makes the line ambiguous. */
static bool cut_comment(struct reader *r, struct line *l)
{
    char quote = '\0';
    for (size_t i = 0; i < l->len; i++) {
        char c = l->at[i];
        if (c == ';' && i > 0 && line_is_blank(l->at[i - 1])) {
            if (quote != '\0') {
                refuse(r, "inside quotes, write ';' without a blank before it",
                       "' ;' begins a comment, even inside quotes");
                return false;
            }
            l->len = i;
            return true;
        }
        if (quote == '\0' && line_is_quote(c))
            quote = c;
        else if (c == quote)
            quote = '\0';
    }
    return true;
}

/* Opens the section and writes the line inih gets. */
static bool take_header(struct reader *r, struct line l, char *out, size_t cap)
{
    struct line type;
    struct line name;
    const char *hint = NULL;
    const char *problem = ini_header_parse(l, &type, &name, &hint);
    r->in_section = ini_header_is_readable(type, name);
    r->told = true;
    if (problem != NULL)
        refuse(r, hint, problem);
    if (!r->in_section)
        return false;
    (void)snprintf(r->section, sizeof r->section, "%.*s %u", (int)type.len, type.at, r->line);
    struct ini_section section = {.type = pool_strndup(r->pool, type.at, type.len),
                                  .name = pool_strndup(r->pool, name.at, name.len),
                                  .origin = {r->file, r->line}};
    if (section.type == NULL || section.name == NULL ||
        pool_push(r->pool, (void *)&r->doc->sections, &r->doc->n, &section, sizeof section) < 0) {
        r->out_of_memory = true;
        return false;
    }
    int n = snprintf(out, cap, "[%s]\n", r->section);
    return n > 0 && (size_t)n < cap;
}

static bool is_key(struct line key)
{
    for (size_t i = 0; i < key.len; i++) {
        char c = key.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return key.len > 0;
}

static bool is_include(struct line l)
{
    static const char word[] = "include";
    size_t n = sizeof word - 1;
    return l.len >= n && memcmp(l.at, word, n) == 0 && (l.len == n || line_is_blank(l.at[n]));
}

/* Splits "key = value" and makes it the line that is being fed. */
static bool take_key(struct reader *r, struct line l)
{
    const char *equals = memchr(l.at, '=', l.len);
    if (equals == NULL) {
        refuse(r, is_include(l) ? INI_NO_INCLUDE : "write 'key = value'",
               "neither a section, a key nor a comment");
        return false;
    }
    size_t at = (size_t)(equals - l.at);
    struct line key = line_trim((struct line){l.at, at});
    struct line value = line_trim((struct line){equals + 1, l.len - at - 1});
    if (!is_key(key)) {
        refuse(r, NULL, "a key is made of letters, digits and '-'");
        return false;
    }
    if (key.len > INI_KEY_LEN_MAX) {
        diag_add(r->diags, r->file, r->line, NULL, "key is longer than %d bytes", INI_KEY_LEN_MAX);
        return false;
    }
    if (!r->in_section) {
        if (!r->told)
            refuse(r, is_include(key) ? INI_NO_INCLUDE : NULL, "key before the first section");
        r->told = true;
        return false;
    }
    memcpy(r->key, key.at, key.len);
    r->key[key.len] = '\0';
    r->has_key = true;
    r->value = value.at;
    r->value_len = value.len;
    r->fed = 0;
    r->delivered = false;
    r->disagreed = false;
    r->seen_len = 0;
    return true;
}

/*
 * How much of what is left fits in `room` bytes. inih trims each piece and takes one that begins
 * with ';' or '#' for a comment, so a cut stands between two other characters.
 */
static size_t piece_len(const struct reader *r, size_t room)
{
    size_t left = r->value_len - r->fed;
    if (left <= room)
        return left;
    const char *at = r->value + r->fed;
    size_t n = room;
    while (n > 0 &&
           (line_is_blank(at[n - 1]) || line_is_blank(at[n]) || at[n] == ';' || at[n] == '#'))
        n--;
    return n;
}

/* The first piece is "key=…"; inih gives each indented line after it to the same key. */
static bool feed_value(struct reader *r, char *out, size_t cap)
{
    int head = r->fed == 0 ? snprintf(out, cap, "%s=", r->key) : snprintf(out, cap, " ");
    if (head < 0 || (size_t)head + 2 >= cap)
        return false;
    size_t n = piece_len(r, cap - (size_t)head - 2);
    if (n == 0 && r->fed < r->value_len) {
        refuse(r, NULL, "too much blank space inside a value");
        r->has_key = false;
        return false;
    }
    memcpy(out + head, r->value + r->fed, n);
    memcpy(out + head + n, "\n", 2);
    r->fed += n;
    return true;
}

/* Keeps the key if inih read the line as we did. */
static void finish_key(struct reader *r)
{
    if (!r->has_key)
        return;
    r->has_key = false;
    if (!r->delivered || r->disagreed || r->seen_len != r->value_len ||
        memcmp(r->seen, r->value, r->value_len) != 0) {
        refuse(r, NULL, "this line can be read in two ways");
        return;
    }
    struct ini_section *section = &r->doc->sections[r->doc->n - 1];
    struct ini_entry entry = {.key = pool_strdup(r->pool, r->key),
                              .value = pool_strndup(r->pool, r->value, r->value_len),
                              .line = r->line};
    if (entry.key == NULL || entry.value == NULL ||
        pool_push(r->pool, (void *)&section->entries, &section->n_entries, &entry, sizeof entry) <
            0)
        r->out_of_memory = true;
}

/* Whether it is read as if it began in the first column, for the other errors in it. */
static bool take_indented(struct reader *r, struct line l)
{
    const char *equals = memchr(l.at, '=', l.len);
    bool is_whole =
        l.at[0] == '[' || (l.at[0] >= 'a' && l.at[0] <= 'z' && equals != NULL &&
                           is_key(line_trim((struct line){l.at, (size_t)(equals - l.at)})));
    refuse(r, is_whole ? "begin it in the first column" : "a line can't continue the one before it",
           "line is indented");
    return is_whole;
}

/* ini_reader: gives inih the next line it may see. */
static char *feed_line(char *out, int size, void *stream)
{
    struct reader *r = stream;
    size_t cap = size < 0 ? 0 : (size_t)size;
    if (cap < INI_KEY_LEN_MAX + 64)
        return NULL;
    if (r->has_key && r->fed < r->value_len && feed_value(r, out, cap))
        return out;
    finish_key(r);
    struct line l;
    while (!r->out_of_memory && next_line(r, &l)) {
        cut_carriage_return(r, &l);
        if (!is_clean(r, l))
            continue;
        struct line text = line_trim(l);
        if (text.len == 0 || text.at[0] == ';' || text.at[0] == '#' ||
            (text.at != l.at && !take_indented(r, text)))
            continue;
        if (!cut_comment(r, &text))
            continue;
        text = line_trim(text);
        if (text.at[0] == '[') {
            if (take_header(r, text, out, cap))
                return out;
        } else if (take_key(r, text) && feed_value(r, out, cap)) {
            return out;
        }
    }
    return NULL;
}

/* ini_handler */
static int on_value(void *user, const char *section, const char *name, const char *value)
{
    struct reader *r = user;
    size_t len = strlen(value);
    if (!r->has_key || strcmp(section, r->section) != 0 || strcmp(name, r->key) != 0 ||
        len > sizeof r->seen - 1 - r->seen_len) {
        r->disagreed = true;
        return 1;
    }
    memcpy(r->seen + r->seen_len, value, len);
    r->seen_len += len;
    r->delivered = true;
    return 1;
}

int ini_file_read(struct pool *pool, const char *file, const char *data, size_t len,
                  struct ini_doc *doc, struct diags *diags)
{
    if (len > INI_FILE_SIZE_MAX) {
        diag_add(diags, file, 0, NULL, "file is longer than %d bytes", INI_FILE_SIZE_MAX);
        return 0;
    }
    bool marked = len >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0;
    if (marked)
        diag_add(diags, file, 1, "save the file as plain text",
                 "the file begins with a byte order mark");
    if (len >= 2 && (memcmp(data, "\xff\xfe", 2) == 0 || memcmp(data, "\xfe\xff", 2) == 0)) {
        diag_add(diags, file, 1, "save the file as plain text, in ASCII or UTF-8",
                 "the file is in UTF-16");
        return 0;
    }
    data += marked ? 3 : 0;
    len -= marked ? 3 : 0;
    struct reader r = {
        .pool = pool, .file = file, .doc = doc, .diags = diags, .data = data, .len = len};
    int rc = ini_parse_stream(feed_line, &r, on_value, &r);
    if (r.out_of_memory)
        return -1;
    if (rc != 0 || r.pos < r.len || r.has_key)
        diag_add(diags, file, r.line, NULL, "the file can't be read unambiguously");
    return 0;
}
