/*
 * diag.h - collecting what is wrong with a policy: all of it, not only the first.
 */
#ifndef POSTERN_CONFIG_DIAG_H
#define POSTERN_CONFIG_DIAG_H

#include "policy.h"

/*
 * Adds one error. `line` 0 means the file as a whole; `hint` may be NULL. Values in the text must
 * have been escaped. When memory runs out the problem counts as truncated, so it still refuses the
 * policy.
 */
void diag_add(struct diags *diags, const char *file, unsigned line, const char *hint,
              const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* The same for what is legal but unwise. Past the first WARNINGS_MAX problems it is left out, so
 * that warnings never take an error's place; then diags.more_warnings is set. */
enum { WARNINGS_MAX = DIAGS_MAX / 2 };
void diag_warn(struct diags *diags, const char *file, unsigned line, const char *hint,
               const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Whether there is an error: warnings don't count. */
bool diags_any(const struct diags *diags);

/* "file:line", "file", or "built-in" for what no file says. Returns buf. */
const char *origin_format(const struct origin *at, char *buf, size_t len);

/* For setters and parsers; returns -1. */
int err_no_memory(struct err *err);

/* By file, then line; the order of discovery within a line. */
void diags_sort(struct diags *diags);

#endif
