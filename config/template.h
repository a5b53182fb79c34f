/*
 * template.h - command templates: `git-upload-pack {path:/srv/git}`.
 *
 * A word of a template is a literal, quoted where a shell would need it, or one whole placeholder.
 * A placeholder ends at the first '}' that ends a word.
 */
#ifndef POSTERN_CONFIG_TEMPLATE_H
#define POSTERN_CONFIG_TEMPLATE_H

#include "policy.h"
#include "pool.h"

#include <regex.h>

struct template_word {
    enum template_word_type type;
    char *text;              /* as written; the literal itself for WORD_LITERAL */
    struct str_list choices; /* WORD_ONEOF */
    char *dir;               /* WORD_PATH: without a slash at its end, "" for the root */
    regex_t *regex;          /* WORD_RE */
};

/* Whether a word is spelled like a placeholder, which means something in a template alone. */
bool is_placeholder(const char *word);

/* Parses `text`. Memory is the pool's. Returns 0, or -1 with err. */
int template_parse(struct pool *pool, const char *text, const struct origin *at,
                   struct command_template *out, struct err *err);

/*
 * Matches a split command line, word for word. On a match `argv` owns a copy of the words (see
 * split_free()) in which paths are absolute and normalised. Otherwise returns false, `why` says
 * what did not match, and *depth is how many words did.
 */
bool template_match(const struct command_template *tpl, const struct str_list *words,
                    struct str_list *argv, char *why, size_t why_len, size_t *depth);

/* Whether this word of a template lets the word `s` through. */
bool template_word_matches(const struct template_word *w, const char *s);

/*
 * Whether `wide` matches every command line that `narrow` matches: behind it, `narrow` is never
 * reached. True only if that is certain; expressions are compared as text.
 */
bool template_covers(const struct command_template *wide, const struct command_template *narrow);

#endif
