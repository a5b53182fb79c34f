/*
 * queue.h - who is next: one lane for each key, the lanes in turn, first come first served within
 * a lane. So a key that asks for much delays another by no more than one at a time. Pure.
 */
#ifndef POSTERN_DAEMON_MASTER_QUEUE_H
#define POSTERN_DAEMON_MASTER_QUEUE_H

#include <stddef.h>

struct queue_lane;

/* Embedded in what waits (CONTAINER_OF). Zeroed: in no queue. */
struct queue_item {
    struct queue_item *next;
    struct queue_lane *lane;
    size_t place; /* from 1; as of the last queue_number() */
};

/* Empty when zeroed. */
struct queue {
    struct queue_lane *first, *last; /* in the order of their turns; none is empty */
    size_t n;
};

/* Puts the item at the end of the lane named `key`. Returns 0, or -1 if memory ran out. */
int queue_add(struct queue *queue, struct queue_item *item, const char *key);

/* How many items the lane named `key` has. */
size_t queue_count(const struct queue *queue, const char *key);

/* Whose turn it is, or NULL. */
struct queue_item *queue_first(const struct queue *queue);

/* The first has its turn and is about to be removed: all other lanes come before its own now. */
void queue_turn(struct queue *queue);

/* Takes out any item; it must be in this queue. */
void queue_remove(struct queue *queue, struct queue_item *item);

/* Sets the place of every item, by the order in which they will have their turns. Calls `visit`,
 * unless it is NULL, for each in that order. */
void queue_number(struct queue *queue, void (*visit)(struct queue_item *item, void *user),
                  void *user);

#endif
