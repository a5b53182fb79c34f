/*
 * split.h - a command line to words by POSIX quoting rules (XCU 2.2), with no expansion at all.
 *
 * What a shell would act on - operators, expansions, globs, comments - is refused, not passed on,
 * so that a line means the same here as in a shell or nothing.
 */
#ifndef POSTERN_CONFIG_SPLIT_H
#define POSTERN_CONFIG_SPLIT_H

#include "policy.h"

enum { SPLIT_WORDS_MAX = 256 };

struct split_error {
    size_t offset;  /* in bytes, of what was refused */
    char text[128]; /* printable */
};

/*
 * Splits `line`, whose bytes may be anything. On success `words` owns its strings, see
 * split_free(); an empty line has no words. Returns 0, or -1 with `why`.
 */
int split_command(const char *line, size_t len, struct str_list *words, struct split_error *why);

/*
 * Reads one word at *pos, which is neither at a blank nor at the end, into `word` (at least
 * len - *pos + 1 bytes). `refused` names further characters that must be quoted. Returns the word's
 * length with *pos behind it, or -1 with `why`.
 */
ssize_t split_word(const char *line, size_t len, size_t *pos, const char *refused, char *word,
                   struct split_error *why);

/* What the author of a line can do about an error at `c`: " (…)", or "". */
const char *split_remedy(char c);

void split_free(struct str_list *words);

#endif
