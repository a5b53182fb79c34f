/*
 * banner.h - what clients are told before they log in (RFC 4252 §5.4).
 */
#ifndef POSTERN_CONFIG_BANNER_H
#define POSTERN_CONFIG_BANNER_H

#include "loader.h"

enum { BANNER_MAX = 4096 }; /* bytes, with lines that end in CR LF */

/*
 * The banner that `value` names: a file, if it begins with a slash, or itself. It is UTF-8 without
 * control characters but line ends and tabs, so that it does nothing to a terminal. *out ends in a
 * line end and lives as long as the policy. Returns 0, or -1 with err.
 */
int banner_load(struct loader *l, const char *value, char **out, struct err *err);

/* Judges and converts a text; out[] gets its NUL. Returns 0, or -1 with err. */
int banner_convert(const char *text, size_t len, char out[BANNER_MAX + 1], struct err *err);

#endif
