/*
 * control_words.h - how keys are named to the running server.
 */
#ifndef POSTERN_DAEMON_CLI_CONTROL_WORDS_H
#define POSTERN_DAEMON_CLI_CONTROL_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#define CONTROL_KEY_USAGE                                                                          \
    "a key is named by its fingerprint: SHA256: and at least the first eight characters"

/* A fingerprint as `ssh-keygen -l` prints it, or its beginning, with or without "SHA256:": writes
 * it with that. False if it is none. */
bool control_key_word(const char *given, char *out, size_t len);

#endif
