/*
 * rate.h - an allowance of so many starts per interval, that all of them may be used at once and
 * that grows back evenly. Pure.
 *
 * What is kept is one moment: when the allowance will be whole again. So when the rate changes,
 * what was used up before counts by its time. (The generic cell rate algorithm, ITU-T I.371.)
 */
#ifndef POSTERN_DAEMON_MASTER_RATE_H
#define POSTERN_DAEMON_MASTER_RATE_H

#include <stdbool.h>
#include <stdint.h>

/* A whole allowance when zeroed. Times are milliseconds of CLOCK_MONOTONIC. */
struct rate {
    uint64_t whole_ns;
};

/* How long until the next start is allowed at `count` per `interval_ms`; 0: now, or no rate at all
 * (count is 0). Rounded up. */
uint64_t rate_wait_ms(struct rate *rate, uint32_t count, uint64_t interval_ms, uint64_t now_ms);

/* Uses up one start that rate_wait_ms() allows. */
void rate_take(struct rate *rate, uint32_t count, uint64_t interval_ms, uint64_t now_ms);

/* True if nothing of the allowance is used up: then there is nothing to remember. */
bool rate_is_whole(const struct rate *rate, uint64_t now_ms);

#endif
