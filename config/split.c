#include "split.h"
#include "decide.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cursor {
    const char *line;
    size_t len;
    size_t pos;
    const char *refused;
    char *word;
    size_t used;
    struct split_error *why;
};

static int fail(struct cursor *c, size_t offset, const char *text)
{
    c->why->offset = offset;
    (void)snprintf(c->why->text, sizeof c->why->text, "%s at byte %zu", text, offset);
    return -1;
}

static int fail_char(struct cursor *c, const char *what)
{
    char text[96];
    char ch = c->line[c->pos];
    if (ch == '\n')
        (void)snprintf(text, sizeof text, "%s newline", what);
    else
        (void)snprintf(text, sizeof text, "%s '%c'", what, ch);
    return fail(c, c->pos, text);
}

static bool is_one_of(char ch, const char *set)
{
    return ch != '\0' && strchr(set, ch) != NULL;
}

static void put(struct cursor *c)
{
    c->word[c->used++] = c->line[c->pos++];
}

static int take_escaped(struct cursor *c)
{
    c->pos++;
    if (c->pos == c->len)
        return fail(c, c->pos - 1, "backslash with nothing after it");
    if (c->line[c->pos] == '\n')
        return fail_char(c, "escaped");
    put(c);
    return 0;
}

static int take_single(struct cursor *c)
{
    size_t open = c->pos++;
    while (c->pos < c->len && c->line[c->pos] != '\'')
        put(c);
    if (c->pos == c->len)
        return fail(c, open, "unbalanced '");
    c->pos++;
    return 0;
}

static int take_double(struct cursor *c)
{
    size_t open = c->pos++;
    while (c->pos < c->len && c->line[c->pos] != '"') {
        char ch = c->line[c->pos];
        if (ch == '$' || ch == '`')
            return fail_char(c, "in double quotes, unescaped");
        /* Elsewhere in double quotes a backslash stands for itself. */
        bool escapes =
            ch == '\\' && c->pos + 1 < c->len && is_one_of(c->line[c->pos + 1], "$`\"\\\n");
        if (!escapes)
            put(c);
        else if (take_escaped(c) < 0)
            return -1;
    }
    if (c->pos == c->len)
        return fail(c, open, "unbalanced \"");
    c->pos++;
    return 0;
}

static int take_plain(struct cursor *c, size_t start)
{
    char ch = c->line[c->pos];
    if (is_one_of(ch, "|&;<>()$`*?[\n"))
        return fail_char(c, "unquoted shell character");
    if (ch == '#' && c->pos == start)
        return fail_char(c, "unquoted shell character");
    if (is_one_of(ch, c->refused))
        return fail_char(c, "unquoted");
    put(c);
    return 0;
}

ssize_t split_word(const char *line, size_t len, size_t *pos, const char *refused, char *word,
                   struct split_error *why)
{
    struct cursor c = {
        .line = line, .len = len, .pos = *pos, .refused = refused, .word = word, .why = why};
    while (c.pos < len && line[c.pos] != ' ' && line[c.pos] != '\t') {
        char ch = line[c.pos];
        int rc = ch == '\\'   ? take_escaped(&c)
                 : ch == '\'' ? take_single(&c)
                 : ch == '"'  ? take_double(&c)
                              : take_plain(&c, *pos);
        if (rc < 0)
            return -1;
    }
    word[c.used] = '\0';
    *pos = c.pos;
    return (ssize_t)c.used;
}

static int add_word(struct str_list *words, const char *word)
{
    words->items[words->n] = strdup(word);
    if (words->items[words->n] == NULL)
        return -1;
    words->n++;
    return 0;
}

static int split_into(const char *line, size_t len, struct str_list *words, char *word,
                      struct split_error *why)
{
    struct cursor c = {.line = line, .len = len, .why = why};
    for (;;) {
        while (c.pos < len && (line[c.pos] == ' ' || line[c.pos] == '\t'))
            c.pos++;
        if (c.pos == len)
            return 0;
        if (words->n == SPLIT_WORDS_MAX)
            return fail(&c, c.pos, "too many words");
        if (split_word(line, len, &c.pos, "", word, why) < 0)
            return -1;
        if (add_word(words, word) < 0)
            return fail(&c, c.pos, "out of memory");
    }
}

int split_command(const char *line, size_t len, struct str_list *words, struct split_error *why)
{
    *words = (struct str_list){0};
    struct cursor c = {.why = why};
    if (len > COMMAND_MAX)
        return fail(&c, COMMAND_MAX, "command is too long");
    const char *nul = len == 0 ? NULL : memchr(line, '\0', len);
    if (nul != NULL)
        return fail(&c, (size_t)(nul - line), "NUL byte");
    char *word = malloc(len + 1);
    words->items = calloc(SPLIT_WORDS_MAX, sizeof *words->items);
    int rc = word == NULL || words->items == NULL ? fail(&c, 0, "out of memory")
                                                  : split_into(line, len, words, word, why);
    free(word);
    if (rc < 0)
        split_free(words);
    return rc;
}

const char *split_remedy(char c)
{
    if (c == '#')
        return " (a comment after a value begins with ';')";
    return c != '\0' && strchr("|&;<>()$`*?[", c) != NULL ? " (quote it: no shell reads this line)"
                                                          : "";
}

void split_free(struct str_list *words)
{
    for (size_t i = 0; i < words->n; i++)
        free(words->items[i]);
    free(words->items);
    *words = (struct str_list){0};
}
