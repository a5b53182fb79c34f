/*
 * regular.h - sources that somebody has logged in from lately: when there are too many that have
 * not, these are let in first, so that a flood from everywhere keeps out strangers alone.
 *
 * A bounded table: the one that logged in the longest time ago is forgotten. It need not survive
 * the process.
 */
#ifndef POSTERN_DAEMON_MASTER_REGULAR_H
#define POSTERN_DAEMON_MASTER_REGULAR_H

#include "source.h"

enum { REGULARS_MAX = 1024, REGULAR_MS = 24 * 60 * 60 * 1000 };

/* All zeroes is an empty table. */
struct regulars {
    struct regular {
        struct source_key source;
        uint64_t last_ms; /* on the caller's clock */
        bool used;
    } items[REGULARS_MAX];
};

/* Somebody has logged in from there. */
void regular_add(struct regulars *regulars, const struct source_key *source, uint64_t now_ms);

struct state;

/* All of them (state.h). */
void regular_carry(struct state *state, struct regulars *regulars);

/* Whether somebody has within REGULAR_MS. */
bool regular_is(const struct regulars *regulars, const struct source_key *source, uint64_t now_ms);

#endif
