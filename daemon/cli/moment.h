/*
 * moment.h - points in time as text, always UTC.
 */
#ifndef POSTERN_DAEMON_CLI_MOMENT_H
#define POSTERN_DAEMON_CLI_MOMENT_H

#include <stddef.h>
#include <stdint.h>

enum { MOMENT_TEXT_MAX = 40 };

/*
 * "2026-01-02", "2026-01-02T03:04", "…:05", "…:05.678", with or without a 'Z' at the end: seconds
 * since the epoch, from 1970 to 9999. Fractions are cut off. Returns 0, or -1 if it is none of
 * these.
 */
int moment_parse(const char *text, int64_t *seconds);

/* "2026-01-02T03:04:05Z". Returns buf. */
const char *moment_format(int64_t seconds, char buf[MOMENT_TEXT_MAX]);

#endif
