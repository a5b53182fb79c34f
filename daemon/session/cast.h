/*
 * cast.h - the lines of an asciicast v2 file, made of whatever a command has written. Pure.
 *
 * A line is a JSON array: the time in seconds, a code and a text. Codes: "o" what was written (of a
 * terminal, or to stdout), "e" what was written to stderr, "r" a new size, "m" a remark of ours.
 * The text is UTF-8: a sequence that two reads have split is joined, and what is no UTF-8 becomes
 * U+FFFD, one for each maximal part of a sequence that can't be continued (Unicode, chapter 3.9).
 */
#ifndef POSTERN_DAEMON_SESSION_CAST_H
#define POSTERN_DAEMON_SESSION_CAST_H

#include <stddef.h>
#include <stdint.h>

enum {
    CAST_BYTES_MAX = 8192, /* of one event */
    /* A byte becomes six at most; three may wait for the rest of their sequence. */
    CAST_LINE_MAX = 6 * (CAST_BYTES_MAX + 3) + 64,
    CAST_SHORT_MAX = 512, /* of a line that holds none of its bytes */
};

/* What a stream has begun and not ended; start with {0}. */
struct cast_text {
    unsigned char held[3];
    unsigned char n_held;
    unsigned char missing;   /* bytes of the sequence; 0: none was begun */
    unsigned char low, high; /* between which the next one must be */
};

/*
 * Each writes one line with its newline and returns its length; time is in microseconds.
 * cast_event() takes at most CAST_BYTES_MAX bytes, writes to out[CAST_LINE_MAX] and returns 0 where
 * they only begin a sequence; cast_event_end() writes what was begun and will never be ended, if
 * anything. All but cast_event() write to out[CAST_SHORT_MAX].
 */
size_t cast_event(struct cast_text *text, uint64_t time_us, char code, const unsigned char *data,
                  size_t len, char *out);
size_t cast_event_end(struct cast_text *text, uint64_t time_us, char code, char *out);
size_t cast_resize(uint64_t time_us, uint32_t columns, uint32_t rows, char *out);
/* The remark is printable ASCII, without quotes or backslashes. */
size_t cast_remark(uint64_t time_us, const char *remark, char *out);

#endif
