/*
 * trail_reader.h - the lines of one file of the audit trail, which may be compressed.
 */
#ifndef POSTERN_DAEMON_CLI_TRAIL_READER_H
#define POSTERN_DAEMON_CLI_TRAIL_READER_H

#include "lines.h"

#include <sys/types.h>

struct trail_reader {
    const char *name; /* for messages */
    struct lines lines;
    int fd;
    pid_t child; /* unpacks it; 0: nobody has to */
};

/*
 * Opens `path`, "-" for standard input. What was compressed by gzip, xz or zstd goes through that
 * program; of standard input that can't be, and is refused with a word of how. What is wrong is
 * said on stderr. Returns an exit status; trail_reader_close() either way.
 */
int trail_reader_open(struct trail_reader *reader, const char *path);

/* Returns EX_OK, or another status if not all of the file could be unpacked, which has been said.
 */
int trail_reader_close(struct trail_reader *reader);

#endif
