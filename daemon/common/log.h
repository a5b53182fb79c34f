/*
 * log.h - the operator's log: one event, one line, printable ASCII, bounded.
 *
 * The master writes it (stderr in the foreground, else syslog(3)); other processes send their lines
 * to the master. Whatever comes from a peer passes through log_escape() by construction: log_line()
 * escapes the finished line.
 */
#ifndef POSTERN_DAEMON_COMMON_LOG_H
#define POSTERN_DAEMON_COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_TRACE
};

enum { LOG_LINE_MAX = 1024 };

/* "error", …, "trace"; -1 if `name` is none of them. */
int log_level_parse(const char *name);
const char *log_level_name(enum log_level level);

/* Where lines go from now on; `foreground` means stderr with a time stamp (or, where systemd reads
 * it, with the priority in front that sd-daemon(3) describes), else the system's log (/dev/log).
 * Neither is ever waited for: lines that it does not take are lost, and counted. */
void log_open(bool foreground, enum log_level level);
void log_set_level(enum log_level level);
enum log_level log_level(void);
bool log_enabled(enum log_level level);

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* For a line whose parts have been escaped: backslashes stand as they are. */
void log_escaped(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Copies `len` bytes of `src` to dst[cap] as printable ASCII: backslash, control and non-ASCII
 * bytes become \\, \n, \r, \t or \xNN; what doesn't fit ends in "...". Always terminates; returns
 * dst.
 */
char *log_escape(char *dst, size_t cap, const void *src, size_t len);

#endif
