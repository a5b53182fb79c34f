/*
 * text.h - bytes that nobody vouches for, made fit for a message; and guesses at what was meant.
 */
#ifndef POSTERN_CONFIG_TEXT_H
#define POSTERN_CONFIG_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Writes `data` as printable ASCII: other bytes, quotes and backslashes become \xNN, \" and \\.
 * What doesn't fit ends in "...". `cap` is at least 8. Returns buf.
 */
const char *text_escape(char *buf, size_t cap, const char *data, size_t len);
const char *text_escape_str(char *buf, size_t cap, const char *s);

/* What to say of a value that was put in quotes where they mean nothing; NULL if it wasn't. */
const char *text_quote_hint(const char *value);

/* Whether something in it looks like a comment, and is none. */
bool text_has_hash(const char *value);
/* What to say of a value that is wrong: quotes or such a comment may be why; or NULL. */
const char *text_value_hint(const char *value);

/* The next word of a blank-separated list, and *s moved behind it; NULL at the end. */
const char *text_next_word(const char **s, size_t *len);

/* Of one run: each guess looks at every name there is. */
enum { GUESSES_MAX = 100 };

/* The best guess so far at what `wanted` should have been. */
struct suggestion {
    const char *wanted;
    const char *best; /* NULL: nothing is near enough */
    unsigned distance;
};

void suggest_begin(struct suggestion *s, const char *wanted);
void suggest_try(struct suggestion *s, const char *candidate);
/* "did you mean 'x'?", or "". Returns buf. */
const char *suggest_hint(const struct suggestion *s, char *buf, size_t len);

#endif
