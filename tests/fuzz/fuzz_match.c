/*
 * Templates from bytes against words from bytes: two templates, a line each, then the words, each
 * with a NUL behind it. A match keeps what each placeholder promises, by a second reading of it
 * here; what doesn't match by that reading doesn't match; and what one template covers, it takes.
 */
#include "policy_fixture.h"
#include "split.h"
#include "template.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEMPLATE_MAX = 512, WORDS_MAX = 16, WORD_MAX = 2048, COMPONENTS_MAX = 4096 };

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* A path as a list of names. */
struct components {
    struct {
        const char *name;
        size_t len;
    } items[COMPONENTS_MAX];
    size_t n;
};

/* False if it climbs above what it began with. */
static bool add_components(struct components *c, const char *path)
{
    size_t floor = c->n;
    while (*path != '\0') {
        size_t len = strcspn(path, "/");
        if (len == 2 && strncmp(path, "..", 2) == 0) {
            if (c->n == floor)
                return false;
            c->n--;
        } else if (len > 1 || (len == 1 && path[0] != '.')) {
            require(c->n < COMPONENTS_MAX);
            c->items[c->n].name = path;
            c->items[c->n++].len = len;
        }
        path += len + (path[len] == '/');
    }
    return true;
}

static bool is_directory_form(const char *s)
{
    size_t len = strlen(s);
    return s[len - 1] == '/' || (len > 1 && strcmp(s + len - 2, "/.") == 0);
}

/* What {path:dir} makes of a word; false: nothing. */
static bool expect_path(const char *dir, const char *s, char *out)
{
    static struct components at;
    static struct components top;
    at.n = top.n = 0;
    (void)add_components(&top, dir);
    if (s[0] == '\0' || s[0] == '-' || (s[0] == '~' && s[1] != '/' && s[1] != '\0'))
        return false;
    if (s[0] != '/')
        (void)add_components(&at, dir);
    if (!add_components(&at, s[0] == '~' ? s + 1 : s) || at.n <= top.n)
        return false;
    for (size_t i = 0; i < at.n; i++) {
        if (i < top.n && (at.items[i].len != top.items[i].len ||
                          memcmp(at.items[i].name, top.items[i].name, at.items[i].len) != 0))
            return false;
        *out++ = '/';
        memcpy(out, at.items[i].name, at.items[i].len);
        out += at.items[i].len;
    }
    if (is_directory_form(s))
        *out++ = '/';
    *out = '\0';
    return true;
}

static bool expect_int(const char *s)
{
    size_t n = 0;
    for (; s[n] >= '0' && s[n] <= '9'; n++)
        ;
    return n >= 1 && n <= 18 && s[n] == '\0';
}

/* What the program may get for this word, in `out`; false: nothing. */
static bool expect_word(const struct template_word *w, const char *s, char *out)
{
    strcpy(out, s);
    switch (w->type) {
    case WORD_LITERAL:
        return strcmp(w->text, s) == 0;
    case WORD_WORD:
        return s[0] != '\0' && s[0] != '-';
    case WORD_INT:
        return expect_int(s);
    case WORD_ONEOF:
        for (size_t i = 0; i < w->choices.n; i++)
            if (strcmp(w->choices.items[i], s) == 0)
                return true;
        return false;
    case WORD_PATH:
        return expect_path(w->dir, s, out);
    case WORD_RE: {
        regmatch_t m;
        return strlen(s) <= 1024 && regexec(w->regex, s, 1, &m, 0) == 0 && m.rm_so == 0 &&
               s[m.rm_eo] == '\0';
    }
    case WORD_ANY:
    case WORD_ARGS:
        return true;
    }
    return false;
}

static const struct template_word *word_of(const struct command_template *tpl, size_t i)
{
    size_t last = tpl->n_words - 1;
    if (i < last)
        return &tpl->words[i];
    return i == last || tpl->words[last].type == WORD_ARGS ? &tpl->words[last] : NULL;
}

/* Whether words [0, n) should match, and if they did, that argv is what they should become. */
static bool expect_match(const struct command_template *tpl, const struct str_list *words,
                         const struct str_list *argv)
{
    static char out[PATH_MAX + WORD_MAX + 2];
    size_t least = tpl->n_words - (tpl->words[tpl->n_words - 1].type == WORD_ARGS);
    if (words->n < least)
        return false;
    for (size_t i = 0; i < words->n; i++) {
        const struct template_word *w = word_of(tpl, i);
        if (w == NULL || !expect_word(w, words->items[i], out) || strlen(out) >= PATH_MAX)
            return false;
        if (argv != NULL)
            require(strcmp(argv->items[i], out) == 0);
    }
    return true;
}

static bool check_match(const struct command_template *tpl, const struct str_list *words)
{
    struct str_list argv;
    char why[160] = "";
    size_t depth = SIZE_MAX;
    bool matched = template_match(tpl, words, &argv, why, sizeof why, &depth);
    require(depth <= words->n && why[0] != '\0');
    for (const char *c = why; *c != '\0'; c++)
        require(*c >= 0x20 && *c < 0x7f);
    require(expect_match(tpl, words, matched ? &argv : NULL) == matched);
    if (matched) {
        require(argv.n == words->n && argv.items[argv.n] == NULL);
        split_free(&argv);
    } else {
        require(argv.items == NULL && argv.n == 0);
    }
    return matched;
}

/* Takes a line off the front; false if it is no template. */
static bool take_template(struct pool *pool, const char **data, const char *end,
                          struct command_template *tpl)
{
    static const struct origin here = {"t", 1};
    char text[TEMPLATE_MAX + 1];
    struct err err = {0};
    const char *newline = memchr(*data, '\n', (size_t)(end - *data));
    if (newline == NULL || newline - *data > TEMPLATE_MAX)
        return false;
    size_t len = (size_t)(newline - *data);
    memcpy(text, *data, len);
    text[len] = '\0';
    *data = newline + 1;
    if (strlen(text) != len)
        return false;
    if (template_parse(pool, text, &here, tpl, &err) == 0)
        return true;
    require(err.text[0] != '\0');
    return false;
}

static void take_words(const char *data, const char *end, char words[][WORD_MAX + 1],
                       struct str_list *list)
{
    while (data < end && list->n < WORDS_MAX) {
        const char *nul = memchr(data, '\0', (size_t)(end - data));
        size_t len = (size_t)((nul == NULL ? end : nul) - data);
        size_t kept = len > WORD_MAX ? WORD_MAX : len;
        memcpy(words[list->n], data, kept);
        words[list->n][kept] = '\0';
        list->items[list->n] = words[list->n];
        list->n++;
        data += len + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char words[WORDS_MAX][WORD_MAX + 1];
    char *items[WORDS_MAX];
    struct str_list list = {.items = items};
    struct pool pool = {0};
    struct command_template wide;
    struct command_template narrow;
    const char *at = (const char *)data;
    const char *end = at + size;
    if (size > 0 && take_template(&pool, &at, end, &wide) &&
        take_template(&pool, &at, end, &narrow)) {
        take_words(at, end, words, &list);
        bool wide_takes = check_match(&wide, &list);
        bool narrow_takes = check_match(&narrow, &list);
        if (template_covers(&wide, &narrow))
            require(wide_takes || !narrow_takes);
        if (template_covers(&narrow, &wide))
            require(narrow_takes || !wide_takes);
        require(template_covers(&wide, &wide));
    }
    pool_free(&pool);
    return 0;
}
