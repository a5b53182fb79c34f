/*
 * tail.h - the last bytes of a stream, with the times at which they came. Pure.
 */
#ifndef POSTERN_DAEMON_SESSION_TAIL_H
#define POSTERN_DAEMON_SESSION_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TAIL_MAX = 64 * 1024,
    TAIL_PIECES = 128,    /* times that are remembered; what comes beyond has the last one */
    TAIL_JOIN_US = 10000, /* what comes within this time of a piece belongs to it */
};

struct tail_piece {
    uint64_t time_us;
    size_t len;
};

/* Large: allocate it, zeroed. */
struct tail {
    unsigned char data[TAIL_MAX];
    size_t start, len; /* of a ring */
    struct tail_piece pieces[TAIL_PIECES];
    size_t first, n_pieces; /* the same */
    uint64_t lost;          /* bytes that have made room for later ones */
};

void tail_put(struct tail *tail, uint64_t time_us, const unsigned char *data, size_t len);

/* When the oldest bytes came; false: there are none. */
bool tail_time(const struct tail *tail, uint64_t *time_us);
/* Takes the oldest bytes, as many as came at one time and fit into buf[cap]. */
size_t tail_take(struct tail *tail, unsigned char *buf, size_t cap);

#endif
