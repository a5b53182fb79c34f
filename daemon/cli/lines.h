/*
 * lines.h - reading a long file line by line in bounded memory.
 */
#ifndef POSTERN_DAEMON_CLI_LINES_H
#define POSTERN_DAEMON_CLI_LINES_H

#include <stdbool.h>
#include <stddef.h>

enum { LINES_BUFFER = 1 << 20 };

struct lines {
    int fd;      /* borrowed */
    char *buf;   /* LINES_BUFFER bytes */
    size_t from; /* where the next line begins */
    size_t to;
    bool ended;
    bool waits; /* at its end there may be more later, and half a line is none yet */
};

enum lines_result {
    LINES_END,
    LINES_ONE,
    LINES_TOO_LONG, /* a line that doesn't fit; it has been passed over */
    LINES_FAILED,   /* errno says why */
};

/* Returns 0, or -1: out of memory. */
int lines_begin(struct lines *lines, int fd);
void lines_free(struct lines *lines);

/* Gives the next line without its newline, good until the next call; it may hold NULs. */
enum lines_result lines_next(struct lines *lines, const char **line, size_t *len);

/* Another file begins: what has been read ahead of the old one is dropped. */
void lines_restart(struct lines *lines);

/* The first bytes of what is to come, as many as there are up to `want`. NULL: see errno. */
const char *lines_peek(struct lines *lines, size_t want, size_t *len);

#endif
