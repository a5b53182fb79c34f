#include "template.h"

#include <limits.h>
#include <string.h>

/* Longer than any word that the cases below reason about without trying them. */
enum { SHORT_WORD_MAX = 32 };

static bool is_same_path_or_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    return strncmp(path, dir, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* Of words that are fixed, each can be tried. */
static bool takes_all(const struct template_word *wide, const struct str_list *choices)
{
    for (size_t i = 0; i < choices->n; i++)
        if (!template_word_matches(wide, choices->items[i]))
            return false;
    return true;
}

static bool takes_int(const struct template_word *wide)
{
    return wide->type == WORD_WORD ||
           (wide->type == WORD_PATH && strlen(wide->dir) < PATH_MAX - SHORT_WORD_MAX);
}

/*
 * A path that is relative, or begins with "~/", is under whatever directory it is judged by; only
 * absolute ones tell directories apart. What is short enough below a directory is so above it.
 */
static bool takes_path(const struct template_word *wide, const char *dir)
{
    return wide->type == WORD_WORD ||
           (wide->type == WORD_PATH && is_same_path_or_below(dir, wide->dir));
}

/* Whether `wide` lets through all that `narrow` does; neither is {args}. */
static bool covers_word(const struct template_word *wide, const struct template_word *narrow)
{
    if (wide->type == WORD_ANY)
        return true;
    switch (narrow->type) {
    case WORD_LITERAL:
        return template_word_matches(wide, narrow->text);
    case WORD_ONEOF:
        return takes_all(wide, &narrow->choices);
    case WORD_PATH:
        return takes_path(wide, narrow->dir);
    case WORD_INT:
        return wide->type == WORD_INT || takes_int(wide);
    case WORD_WORD:
        return wide->type == WORD_WORD;
    case WORD_RE:
        return wide->type == WORD_RE && strcmp(wide->text, narrow->text) == 0;
    case WORD_ANY:
    case WORD_ARGS:
        return false;
    }
    return false;
}

bool template_covers(const struct command_template *wide, const struct command_template *narrow)
{
    bool wide_open = wide->words[wide->n_words - 1].type == WORD_ARGS;
    bool narrow_open = narrow->words[narrow->n_words - 1].type == WORD_ARGS;
    size_t wide_fixed = wide->n_words - (wide_open ? 1 : 0);
    size_t narrow_fixed = narrow->n_words - (narrow_open ? 1 : 0);
    bool length_fits =
        wide_open ? narrow_fixed >= wide_fixed : !narrow_open && narrow_fixed == wide_fixed;
    if (!length_fits)
        return false;
    for (size_t i = 0; i < wide_fixed; i++)
        if (!covers_word(&wide->words[i], &narrow->words[i]))
            return false;
    return true;
}
