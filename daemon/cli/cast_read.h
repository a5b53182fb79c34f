/*
 * cast_read.h - the lines of an asciicast v2 file, read back. What a session has written is not to
 * be trusted: any bytes may be in it.
 */
#ifndef POSTERN_DAEMON_CLI_CAST_READ_H
#define POSTERN_DAEMON_CLI_CAST_READ_H

#include "err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Texts borrow from `root`; NULL where there is none. cast_header_free() must be called. */
struct cast_header {
    json_t *root;
    uint32_t width, height;
    int64_t timestamp; /* seconds since the epoch; 0: unknown */
    const char *command;
    const char *exec, *tenant, *client; /* of the master's own record */
    bool terminal;
};

/* Returns 0, or -1 with err: it is no such file. */
int cast_read_header(const char *line, size_t len, struct cast_header *out, struct err *err);
void cast_header_free(struct cast_header *header);

struct cast_event {
    json_t *root;
    double time; /* seconds since the beginning, 0 to CAST_TIME_MAX */
    char code;
    const char *text; /* UTF-8, may hold NULs */
    size_t len;
};

#define CAST_TIME_MAX 1e9

/* False: the line is none, perhaps the rest of one. cast_event_free() must be called either way. */
bool cast_read_event(const char *line, size_t len, struct cast_event *out);
void cast_event_free(struct cast_event *event);

/* Writes the text so that nothing but lines and tabs acts on a terminal. */
void cast_print_escaped(const char *text, size_t len, FILE *to);

#endif
