/*
 * key_text.h - authorized_keys files as text, changed line by line: what isn't meant stays as it
 * is. Pure.
 */
#ifndef POSTERN_DAEMON_CLI_KEY_TEXT_H
#define POSTERN_DAEMON_CLI_KEY_TEXT_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>

/* What each key gets; NULL: nothing of that. */
struct key_wish {
    const char *comment; /* instead of its own */
    const char *from;    /* value of from= */
    const char *expiry;  /* value of expiry-time= */
};

/* A text that grows. */
struct key_text {
    char *data; /* malloc'd, *len bytes and a NUL; or NULL */
    size_t len;
};

/*
 * Adds the keys of a file: its lines but for blank ones and comments, with what is wished for. The
 * file has been parsed without errors (key_file.h). Returns 0, or -1 with err.
 */
int key_text_add(struct key_text *text, const char *data, size_t len, const struct key_wish *wish,
                 struct err *err);

/* Adds text as it stands, and a newline where the last line has none. */
int key_text_append(struct key_text *text, const char *data, size_t len, struct err *err);

/* Takes line `number` (from 1) out. -1 with err: there is none. */
int key_text_remove_line(struct key_text *text, unsigned number, struct err *err);

/* Whether a value can stand in an option's quotes, or in a line: no quotes, no control characters.
 */
bool key_text_is_plain(const char *value);

#endif
