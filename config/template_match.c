#include "split.h"
#include "template.h"
#include "text.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RE_WORD_MAX = 1024 };

static bool is_int(const char *s)
{
    size_t n = strspn(s, "0123456789");
    return n > 0 && n <= 18 && s[n] == '\0';
}

/*
 * Whether the expression matches the whole word. POSIX finds the longest of the leftmost matches,
 * so the whole word, if it matches; pasting anchors around the text would not survive "a)|b".
 */
static bool is_whole_match(const regex_t *regex, const char *s)
{
    regmatch_t match;
    return regexec(regex, s, 1, &match, 0) == 0 && match.rm_so == 0 &&
           (size_t)match.rm_eo == strlen(s);
}

static bool is_choice(const struct str_list *choices, const char *s)
{
    for (size_t i = 0; i < choices->n; i++)
        if (strcmp(choices->items[i], s) == 0)
            return true;
    return false;
}

/*
 * Joins `rest` to what is in out[0..*used), component by component: "." and "" vanish, ".." takes
 * the last one back, but none of the first `floor` bytes. Returns why not, or NULL.
 */
static const char *normalise(const char *rest, char *out, size_t cap, size_t *used, size_t floor)
{
    while (*rest != '\0') {
        size_t len = strcspn(rest, "/");
        if (len == 2 && memcmp(rest, "..", 2) == 0) {
            if (*used == floor)
                return "path climbs too high with '..'";
            while (out[--*used] != '/')
                ;
        } else if (len > 0 && !(len == 1 && rest[0] == '.')) {
            if (*used + len + 2 > cap)
                return "path is too long";
            out[(*used)++] = '/';
            memcpy(out + *used, rest, len);
            *used += len;
        }
        rest += len + (rest[len] == '/' ? 1 : 0);
    }
    out[*used] = '\0';
    return NULL;
}

/* Whether the path says by its end that it means a directory. */
static bool is_directory_form(const char *s)
{
    size_t len = strlen(s);
    if (len > 1 && s[len - 1] == '.' && s[len - 2] == '/')
        len--;
    return s[len - 1] == '/';
}

/*
 * Writes the normalised absolute path to `out`. A slash at its end stays: to rsync, for one, "a/"
 * is what is in "a". Returns why not, or NULL.
 */
static const char *match_path(const char *dir, const char *s, char *out, size_t cap)
{
    if (s[0] == '\0')
        return "path is empty";
    if (s[0] == '-')
        return "path begins with '-'";
    if (s[0] == '~' && s[1] != '\0' && s[1] != '/')
        return "another user's '~' means nothing here";
    size_t used = 0;
    const char *problem = s[0] == '/' ? NULL : normalise(dir, out, cap, &used, 0);
    if (problem == NULL)
        problem = normalise(s[0] == '~' ? s + 1 : s, out, cap, &used, used);
    if (problem != NULL || !is_directory_form(s))
        return problem;
    if (used + 2 > cap)
        return "path is too long";
    memcpy(out + used, "/", 2);
    return NULL;
}

static const char *match_under(const char *dir, const char *s, char *out, size_t cap)
{
    const char *problem = match_path(dir, s, out, cap);
    if (problem != NULL)
        return problem;
    size_t len = strlen(dir);
    if (strncmp(out, dir, len) != 0 || out[len] != '/' || out[len + 1] == '\0')
        return "path isn't under the directory";
    return NULL;
}

/* Whether one word matches; *result is the word that the program gets. Returns why not, or NULL. */
static const char *match_word(const struct template_word *w, const char *s, char *path, size_t cap,
                              const char **result)
{
    *result = s;
    switch (w->type) {
    case WORD_LITERAL:
        return strcmp(w->text, s) == 0 ? NULL : "differs";
    case WORD_WORD:
        if (s[0] == '\0')
            return "is empty";
        return s[0] == '-' ? "begins with '-'" : NULL;
    case WORD_INT:
        return is_int(s) ? NULL : "isn't a decimal integer";
    case WORD_ONEOF:
        return is_choice(&w->choices, s) ? NULL : "is none of the alternatives";
    case WORD_PATH:
        *result = path;
        return match_under(w->dir, s, path, cap);
    case WORD_RE:
        /* Matching can take quadratic time, and it is the client that chose the word. */
        if (strlen(s) > RE_WORD_MAX)
            return "is too long for an expression";
        return is_whole_match(w->regex, s) ? NULL : "doesn't match the expression";
    case WORD_ANY:
    case WORD_ARGS:
        return NULL;
    }
    return "can't be matched";
}

bool template_word_matches(const struct template_word *w, const char *s)
{
    char path[PATH_MAX];
    const char *result;
    return match_word(w, s, path, sizeof path, &result) == NULL;
}

static int copy_word(struct str_list *argv, const char *s)
{
    argv->items[argv->n] = strdup(s);
    if (argv->items[argv->n] == NULL)
        return -1;
    argv->n++;
    return 0;
}

static bool match_all(const struct command_template *tpl, const struct str_list *words,
                      struct str_list *argv, char *why, size_t why_len, size_t *depth)
{
    char path[PATH_MAX];
    char shown[64];
    for (size_t i = 0; i < words->n; i++) {
        size_t last = tpl->n_words - 1;
        bool in_args = i >= last && tpl->words[last].type == WORD_ARGS;
        if (i > last && !in_args) {
            (void)snprintf(why, why_len, "%zu words, at most %zu match", words->n, tpl->n_words);
            return false;
        }
        const struct template_word *w = &tpl->words[in_args ? last : i];
        const char *result;
        const char *problem = match_word(w, words->items[i], path, sizeof path, &result);
        if (problem != NULL) {
            (void)snprintf(why, why_len, "word %zu, \"%s\": %s", i + 1,
                           text_escape_str(shown, sizeof shown, words->items[i]), problem);
            return false;
        }
        *depth = i + 1;
        if (copy_word(argv, result) < 0) {
            (void)snprintf(why, why_len, "out of memory");
            return false;
        }
    }
    size_t needed = tpl->n_words - (tpl->words[tpl->n_words - 1].type == WORD_ARGS ? 1 : 0);
    if (words->n < needed) {
        (void)snprintf(why, why_len, "ends before %s",
                       text_escape_str(shown, sizeof shown, tpl->words[words->n].text));
        return false;
    }
    (void)snprintf(why, why_len, "matched");
    return true;
}

bool template_match(const struct command_template *tpl, const struct str_list *words,
                    struct str_list *argv, char *why, size_t why_len, size_t *depth)
{
    *depth = 0;
    *argv = (struct str_list){0};
    argv->items = calloc(words->n + 1, sizeof *argv->items);
    if (argv->items == NULL) {
        (void)snprintf(why, why_len, "out of memory");
        return false;
    }
    if (match_all(tpl, words, argv, why, why_len, depth))
        return true;
    split_free(argv);
    return false;
}
