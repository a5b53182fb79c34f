#include "tail.h"

#include <string.h>

/* Forgets the oldest bytes. */
static void drop(struct tail *tail, size_t n)
{
    tail->start = (tail->start + n) % TAIL_MAX;
    tail->len -= n;
    while (n > 0) {
        struct tail_piece *piece = &tail->pieces[tail->first];
        size_t part = piece->len < n ? piece->len : n;
        piece->len -= part;
        n -= part;
        if (piece->len > 0)
            return;
        tail->first = (tail->first + 1) % TAIL_PIECES;
        tail->n_pieces--;
    }
}

static void append(struct tail *tail, const unsigned char *data, size_t len)
{
    size_t end = (tail->start + tail->len) % TAIL_MAX;
    size_t part = len < TAIL_MAX - end ? len : TAIL_MAX - end;
    memcpy(tail->data + end, data, part);
    memcpy(tail->data, data + part, len - part);
    tail->len += len;
}

static void note_time(struct tail *tail, uint64_t time_us, size_t len)
{
    struct tail_piece *last =
        &tail->pieces[(tail->first + tail->n_pieces + TAIL_PIECES - 1) % TAIL_PIECES];
    bool joins = tail->n_pieces > 0 &&
                 (tail->n_pieces == TAIL_PIECES || time_us - last->time_us < TAIL_JOIN_US);
    if (joins) {
        last->len += len;
        return;
    }
    tail->pieces[(tail->first + tail->n_pieces++) % TAIL_PIECES] =
        (struct tail_piece){time_us, len};
}

void tail_put(struct tail *tail, uint64_t time_us, const unsigned char *data, size_t len)
{
    if (len > TAIL_MAX) {
        tail->lost += len - TAIL_MAX;
        data += len - TAIL_MAX;
        len = TAIL_MAX;
    }
    if (len == 0)
        return;
    if (tail->len + len > TAIL_MAX) {
        size_t over = tail->len + len - TAIL_MAX;
        tail->lost += over;
        drop(tail, over);
    }
    append(tail, data, len);
    note_time(tail, time_us, len);
}

bool tail_time(const struct tail *tail, uint64_t *time_us)
{
    if (tail->len == 0)
        return false;
    *time_us = tail->pieces[tail->first].time_us;
    return true;
}

size_t tail_take(struct tail *tail, unsigned char *buf, size_t cap)
{
    if (tail->len == 0)
        return 0;
    size_t len = tail->pieces[tail->first].len;
    len = len < cap ? len : cap;
    size_t part = len < TAIL_MAX - tail->start ? len : TAIL_MAX - tail->start;
    memcpy(buf, tail->data + tail->start, part);
    memcpy(buf + part, tail->data, len - part);
    drop(tail, len);
    return len;
}
