/*
 * penalty.h - sources that are not served for a while, since what came from them was trouble.
 *
 * Each offence costs points, which go away with time; a source with PENALTY_POINTS of them is not
 * served for a while, and twice as long each time that it comes to that again. A bounded table:
 * when it is full the source that was heard of the longest time ago is forgotten, those that are
 * served before those that are not.
 */
#ifndef POSTERN_DAEMON_MASTER_PENALTY_H
#define POSTERN_DAEMON_MASTER_PENALTY_H

#include "source.h"

enum {
    PENALTIES_MAX = 1024,
    PENALTY_POINTS = 10,
    PENALTY_POINT_MS = 10000, /* until one is gone */
    PENALTY_FIRST_MS = 10000,
    PENALTY_LONGEST_MS = 600000,
    PENALTY_FORGIVE_MS = 600000, /* without an offence, until the next is half as long again */
};

enum offence {
    OFFENCE_CRASH,    /* its session died by a signal: at once */
    OFFENCE_TRIES,    /* max-auth-tries was reached */
    OFFENCE_GRACE,    /* login-grace went by */
    OFFENCE_PROTOCOL, /* what was sent is not SSH */
    OFFENCE_FAILED,   /* it went after failed attempts */
    OFFENCES
};

struct penalty {
    struct source_key source;
    uint64_t until_ms;  /* on the caller's clock */
    uint64_t last_ms;   /* the last offence, or attempt while it was not served */
    uint64_t points_ms; /* up to when points were taken away */
    uint64_t level_ms;  /* the same of the level */
    uint32_t points;
    uint32_t level; /* how often it has come to PENALTY_POINTS */
    bool used;
};

struct penalties {
    struct penalty items[PENALTIES_MAX];
};

struct state;

/* All of them (state.h). */
void penalty_carry(struct state *state, struct penalties *penalties);

/* Writes an offence down. Returns how long its source is not served from now on, if that begins
 * with it or gets longer, else 0. */
uint64_t penalty_add(struct penalties *penalties, const struct source_key *source,
                     enum offence offence, uint64_t now_ms);

/* Whether the source is not served. */
bool penalty_applies(struct penalties *penalties, const struct source_key *source, uint64_t now_ms);

/* Calls `each` for every source that has points or is not served, with the milliseconds that the
 * latter still takes, or 0. */
void penalty_list(const struct penalties *penalties, uint64_t now_ms,
                  void (*each)(void *arg, const struct source_key *source, uint32_t points,
                               uint64_t left_ms),
                  void *arg);

/* "its session crashed", … */
const char *offence_name(enum offence offence);

#endif
