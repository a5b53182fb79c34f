/*
 * loop.h - the master's event loop: descriptors by epoll(7), one-shot timers by a heap.
 *
 * Sources and timers are embedded in the objects that own them (CONTAINER_OF); the loop never owns
 * memory or descriptors. A source may be removed, and its owner freed, from any callback.
 */
#ifndef POSTERN_DAEMON_MASTER_LOOP_H
#define POSTERN_DAEMON_MASTER_LOOP_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

struct loop;

struct loop_source {
    int fd; /* -1: not in the loop */
    void (*on_ready)(struct loop_source *source);
};

struct loop_timer {
    uint64_t due_ms; /* CLOCK_MONOTONIC */
    size_t slot;     /* 1-based place in the heap; 0: not armed */
    void (*on_due)(struct loop_timer *timer);
};

struct loop *loop_new(struct err *err);
void loop_free(struct loop *loop);

/* Watches fd for reading (hang-up and errors count as readable). Returns 0, or -1 with err. */
int loop_add(struct loop *loop, struct loop_source *source, int fd,
             void (*on_ready)(struct loop_source *), struct err *err);
/* Watches a file of cgroup v2 that tells of events: ready when it has changed since it was last
 * read, which must have been once before this. Returns 0, or -1 with err. */
int loop_add_changing(struct loop *loop, struct loop_source *source, int fd,
                      void (*on_ready)(struct loop_source *), struct err *err);
/* Watches a source of loop_add() for writing instead (hang-up and errors count), or for reading
 * again. Returns 0, or -1 with err. */
int loop_watch_writing(struct loop *loop, struct loop_source *source, bool writing,
                       struct err *err);
/* Safe on a source that isn't in the loop. Doesn't close the descriptor. */
void loop_remove(struct loop *loop, struct loop_source *source);

/* Arms or re-arms a timer `delay_ms` from now. Returns 0, or -1 if memory ran out. */
int loop_arm(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms,
             void (*on_due)(struct loop_timer *));
/* The same for a moment of loop_now_ms(), which may have gone by. */
int loop_arm_at(struct loop *loop, struct loop_timer *timer, uint64_t due_ms,
                void (*on_due)(struct loop_timer *));
/* Safe on a timer that isn't armed. */
void loop_disarm(struct loop *loop, struct loop_timer *timer);

/* Waits for, and runs, one round of events and due timers. Returns 0, or -1 with err. */
int loop_turn(struct loop *loop, struct err *err);

/* CLOCK_MONOTONIC in milliseconds, and in microseconds. */
uint64_t loop_now_ms(void);
uint64_t loop_now_us(void);

#endif
