/*
 * recording.h - what a command prints, written into the file that came with the answer to its exec:
 * asciicast v2, whose first line is the master's already.
 *
 * Of a terminal everything is kept, with changes of its size; of pipes the first RECORDING_HEAD and
 * the last TAIL_MAX bytes of each stream, with a remark of how many are missing between; the first
 * end for both streams when they do for one. Nothing of what the client sends is. The file can only
 * grow: this process has no system call that would move back in it or shorten it (filter.c), and
 * the kernel keeps the bound (confine.h).
 *
 * A disk may be slow, or full. Nothing waits for it: lines gather here, up to
 * RECORDING_PENDING_MAX; after a write that took long the next one is put off for RECORDING_REST
 * times as long. What finds no room is left out, with a remark of how much that was, and the
 * recording is incomplete.
 */
#ifndef POSTERN_DAEMON_SESSION_RECORDING_H
#define POSTERN_DAEMON_SESSION_RECORDING_H

#include "messages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RECORDING_HEAD = 64 * 1024,
    RECORDING_PENDING_MAX = 128 * 1024,
    RECORDING_SLOW_US = 200 * 1000,
    RECORDING_REST = 9,
    RECORDING_REST_MAX_US = 60 * 1000 * 1000,
    RECORDING_RETRY_US = 1000 * 1000, /* after a write that failed */
    RECORDING_END_US = 1000 * 1000,   /* that the end may take */
    RECORDING_REMARKS = 1024,         /* bytes that are kept for our last words */
    RECORDING_TAILS_ROOM = 1 << 20,   /* more than both tails and a line of a head can take */
};

struct recording;

/* Takes fd, of a file that may grow by `room` bytes. `terminal`: all is kept. NULL if memory ran
 * out; fd is closed then. */
struct recording *recording_begin(int fd, uint64_t room, bool terminal);

/* All take NULL for an exec that isn't recorded. */
void recording_output(struct recording *recording, const unsigned char *data, size_t len,
                      bool is_stderr);
void recording_resize(struct recording *recording, uint32_t columns, uint32_t rows);

/* Writes what waits, if it is time. */
void recording_flush(struct recording *recording);
/* Milliseconds until recording_flush() would write something; -1: it has nothing to write. */
int recording_due(const struct recording *recording);

/* Writes all that is left, closes the file, frees the recording, and says what became of it. */
enum recorded recording_end(struct recording *recording);

#endif
