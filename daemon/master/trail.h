/*
 * trail.h - one place that the audit trail goes to: a file, standard error or the journal. Lines
 * that it doesn't take are held and written in order as soon as it does; memory is bounded, and
 * what doesn't fit is counted.
 *
 * A handover takes all of it along.
 */
#ifndef POSTERN_DAEMON_MASTER_TRAIL_H
#define POSTERN_DAEMON_MASTER_TRAIL_H

#include "audit_event.h"
#include "err.h"

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum {
    TRAIL_HELD_MAX = 8 << 20, /* bytes; half of it for lines that matter more than others */
};

enum trail_kind { TRAIL_FILE, TRAIL_STDERR, TRAIL_JOURNAL };

struct trail_line;

struct trail {
    enum trail_kind kind;
    const char *name; /* path, "stderr" or "journal"; borrowed */
    int fd;
    dev_t dev; /* which file `fd` is */
    ino_t ino;
    bool torn;                /* its last line lacks the end */
    struct trail_line *first; /* held, the oldest first */
    struct trail_line **end;
    size_t held;
    int error;       /* errno of the last write; 0: it succeeded */
    uint64_t n_lost; /* not told of in the trail yet */
    struct timespec lost_since;
    struct err stale; /* why the file, which was renamed, is not made anew: it is written on */
};

/* Opens `name`, which is borrowed for the trail's life. Returns 0, or -1 with err (and EX_CANTCREAT
 * as code). trail_close() either way. */
int trail_open(struct trail *trail, const char *name, struct err *err);
/* What is still held is forgotten. */
void trail_close(struct trail *trail);

/*
 * Adds a line (with its newline) of the event, and writes what can be written. `matters`: it may
 * use the half of the memory that other lines may not. A file that has been renamed or removed is
 * made anew first. False if the line is lost.
 */
bool trail_put(struct trail *trail, enum audit_event event, const char *line, size_t len,
               bool matters);
/* Writes what is held, as far as it can. */
void trail_flush(struct trail *trail);

/* Nothing is held. */
bool trail_is_clear(const struct trail *trail);
size_t trail_count_held(const struct trail *trail);

/* With what is held, for a handover (state.h); `name` is borrowed as by trail_open(). */
struct state;
void trail_carry(struct state *state, struct trail *trail, const char *name);

/* Passes what is held and counted on to a newly opened one of the same name. */
void trail_hand_on(struct trail *from, struct trail *to);

#endif
