#include "key_text.h"
#include "cleanup.h"
#include "key_blob.h"

#include <errno.h>
#include <string.h>

static int add(struct key_text *text, const char *data, size_t len, struct err *err)
{
    char *larger = realloc(text->data, text->len + len + 1);
    if (larger == NULL)
        return err_set(err, ENOMEM, "key file");
    if (len > 0)
        memcpy(larger + text->len, data, len);
    text->data = larger;
    text->len += len;
    larger[text->len] = '\0';
    return 0;
}

static int add_string(struct key_text *text, const char *s, struct err *err)
{
    return add(text, s, strlen(s), err);
}

int key_text_append(struct key_text *text, const char *data, size_t len, struct err *err)
{
    if (add(text, data, len, err) < 0)
        return -1;
    return text->len > 0 && text->data[text->len - 1] != '\n' ? add_string(text, "\n", err) : 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The length of the next word; one of options has blanks inside quotes only. */
static size_t word_len(const char *s, size_t len)
{
    bool quoted = false;
    size_t i = 0;
    for (; i < len && (quoted || !is_blank(s[i])); i++) {
        if (s[i] == '\\' && i + 1 < len && s[i + 1] == '"')
            i++;
        else if (s[i] == '"')
            quoted = !quoted;
    }
    return i < len ? i : len;
}

static size_t skip_blanks(const char *s, size_t len)
{
    size_t i = 0;
    while (i < len && is_blank(s[i]))
        i++;
    return i;
}

/* `from="…",expiry-time="…"` before what options there are, which are `len` bytes. */
static int add_options(struct key_text *text, const char *options, size_t len,
                       const struct key_wish *wish, struct err *err)
{
    const char *const values[] = {wish->from, wish->expiry};
    static const char *const names[] = {"from=\"", "expiry-time=\""};
    const char *before = "";
    for (size_t i = 0; i < array_len(values); i++) {
        if (values[i] == NULL)
            continue;
        if (add_string(text, before, err) < 0 || add_string(text, names[i], err) < 0 ||
            add_string(text, values[i], err) < 0 || add_string(text, "\"", err) < 0)
            return -1;
        before = ",";
    }
    if (len > 0 && (add_string(text, before, err) < 0 || add(text, options, len, err) < 0))
        return -1;
    return len > 0 || before[0] != '\0' ? add_string(text, " ", err) : 0;
}

static int add_key(struct key_text *text, const char *line, size_t len, const struct key_wish *wish,
                   struct err *err)
{
    size_t options = word_len(line, len);
    if (is_key_type(line, options))
        options = 0;
    if (add_options(text, line, options, wish, err) < 0)
        return -1;
    line += options;
    len -= options;
    size_t skip = skip_blanks(line, len);
    line += skip;
    len -= skip;
    if (wish->comment == NULL)
        return add(text, line, len, err) < 0 ? -1 : add_string(text, "\n", err);
    size_t end = word_len(line, len);
    end += skip_blanks(line + end, len - end);
    end += word_len(line + end, len - end);
    return add(text, line, end, err) < 0 || add_string(text, " ", err) < 0 ||
                   add_string(text, wish->comment, err) < 0 || add_string(text, "\n", err) < 0
               ? -1
               : 0;
}

int key_text_add(struct key_text *text, const char *data, size_t len, const struct key_wish *wish,
                 struct err *err)
{
    for (size_t pos = 0; pos < len;) {
        const char *line = data + pos;
        const char *newline = memchr(line, '\n', len - pos);
        size_t n = newline == NULL ? len - pos : (size_t)(newline - line);
        pos += n + 1;
        while (n > 0 && (is_blank(line[n - 1]) || line[n - 1] == '\r'))
            n--;
        size_t skip = skip_blanks(line, n);
        if (skip < n && line[skip] != '#' && add_key(text, line + skip, n - skip, wish, err) < 0)
            return -1;
    }
    return 0;
}

int key_text_remove_line(struct key_text *text, unsigned number, struct err *err)
{
    size_t pos = 0;
    for (unsigned i = 1; i < number && pos < text->len; i++) {
        const char *newline = memchr(text->data + pos, '\n', text->len - pos);
        pos = newline == NULL ? text->len : (size_t)(newline - text->data) + 1;
    }
    if (number == 0 || pos >= text->len)
        return err_set(err, 0, "there is no line %u", number);
    const char *newline = memchr(text->data + pos, '\n', text->len - pos);
    size_t end = newline == NULL ? text->len : (size_t)(newline - text->data) + 1;
    memmove(text->data + pos, text->data + end, text->len - end + 1);
    text->len -= end - pos;
    return 0;
}

bool key_text_is_plain(const char *value)
{
    for (; *value != '\0'; value++)
        if ((unsigned char)*value < ' ' || *value == '"' || *value == '\\' || *value == 0x7f)
            return false;
    return true;
}
