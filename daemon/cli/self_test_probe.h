/*
 * self_test_probe.h - the program that asks from inside a sandbox: how it gets there, and what it
 * is told of the sandbox that it is in.
 */
#ifndef POSTERN_DAEMON_CLI_SELF_TEST_PROBE_H
#define POSTERN_DAEMON_CLI_SELF_TEST_PROBE_H

#include "err.h"
#include "policy.h"

#include <stdbool.h>
#include <stddef.h>

/* Opens a copy of the program that can be executed by /proc/self/fd: it needs no name in the
 * sandbox, so the sandbox is what it is for any command. Returns 0 and *out, owned, or -1 with err.
 */
int probe_load(const char *path, int *out, struct err *err);

enum { PROBE_WORDS_MAX = 1024 };

/* Its arguments; empty when zeroed. */
struct probe_words {
    const char *argv[PROBE_WORDS_MAX + 1];
    size_t n;
    char *own[PROBE_WORDS_MAX + 1];
    size_t n_own;
    bool failed; /* there are too many, or memory ran out */
};

/* What is to be found in the sandbox; it begins after the test `after`, "" for the first. Standard
 * input is the program itself. */
void probe_describe(const struct sandbox_spec *spec, const char *after, struct probe_words *words);
void probe_words_free(struct probe_words *words);

#endif
