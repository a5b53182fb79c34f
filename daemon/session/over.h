/*
 * over.h - the limits of an exec that only its session can see: how long no byte has moved, and how
 * many it has written. The master is told and ends it; nothing past the limit is carried.
 */
#ifndef POSTERN_DAEMON_SESSION_OVER_H
#define POSTERN_DAEMON_SESSION_OVER_H

#include "chan.h"

/* The exec starts, with the limits that its answer carries. */
void over_begin(struct channel *channel, const struct event *answer);

/* Bytes were moved in some direction. */
void over_moved(struct channel *channel);

/* How many of the command's bytes may still be read. */
uint64_t over_room(const struct channel *channel);
/* So many were read. */
void over_read(struct channel *channel, size_t n);
/* There is more than there may be: no more of it is read. */
void over_output(struct channel *channel);

/* Tells the master if the time without a byte is over. */
void over_check_idle(struct channel *channel);

/* Milliseconds until any channel's time is over, or its recording has something to write; -1:
 * never.
 */
int over_timeout(const struct session *session);

/* CLOCK_MONOTONIC in milliseconds. */
uint64_t over_clock(void);

#endif
