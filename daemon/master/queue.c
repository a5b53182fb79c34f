#include "queue.h"

#include <stdlib.h>
#include <string.h>

struct queue_lane {
    struct queue_lane *next;
    struct queue_item *first, *last; /* never none */
    struct queue_item *cursor;       /* of queue_number() */
    size_t n;
    char key[];
};

static struct queue_lane *find_lane(const struct queue *queue, const char *key)
{
    struct queue_lane *lane = queue->first;
    while (lane != NULL && strcmp(lane->key, key) != 0)
        lane = lane->next;
    return lane;
}

static void append_lane(struct queue *queue, struct queue_lane *lane)
{
    lane->next = NULL;
    if (queue->last != NULL)
        queue->last->next = lane;
    else
        queue->first = lane;
    queue->last = lane;
}

static void unlink_lane(struct queue *queue, const struct queue_lane *lane)
{
    struct queue_lane **at = &queue->first, *before = NULL;
    while (*at != lane) {
        before = *at;
        at = &before->next;
    }
    *at = lane->next;
    if (queue->last == lane)
        queue->last = before;
}

int queue_add(struct queue *queue, struct queue_item *item, const char *key)
{
    struct queue_lane *lane = find_lane(queue, key);
    item->next = NULL;
    if (lane == NULL) {
        size_t len = strlen(key) + 1;
        lane = calloc(1, sizeof *lane + len);
        if (lane == NULL)
            return -1;
        memcpy(lane->key, key, len);
        lane->first = item;
        append_lane(queue, lane);
    } else {
        lane->last->next = item;
    }
    lane->last = item;
    lane->n++;
    item->lane = lane;
    queue->n++;
    return 0;
}

size_t queue_count(const struct queue *queue, const char *key)
{
    const struct queue_lane *lane = find_lane(queue, key);
    return lane != NULL ? lane->n : 0;
}

struct queue_item *queue_first(const struct queue *queue)
{
    return queue->first != NULL ? queue->first->first : NULL;
}

void queue_remove(struct queue *queue, struct queue_item *item)
{
    struct queue_lane *lane = item->lane;
    struct queue_item **at = &lane->first, *before = NULL;
    while (*at != item) {
        before = *at;
        at = &before->next;
    }
    *at = item->next;
    if (lane->last == item)
        lane->last = before;
    item->next = NULL;
    item->lane = NULL;
    lane->n--;
    queue->n--;
    if (lane->first == NULL) {
        unlink_lane(queue, lane);
        free(lane);
    }
}

void queue_turn(struct queue *queue)
{
    struct queue_lane *lane = queue->first;
    if (lane == NULL || lane == queue->last)
        return;
    unlink_lane(queue, lane);
    append_lane(queue, lane);
}

void queue_number(struct queue *queue, void (*visit)(struct queue_item *item, void *user),
                  void *user)
{
    size_t place = 0;
    for (struct queue_lane *lane = queue->first; lane != NULL; lane = lane->next)
        lane->cursor = lane->first;
    while (place < queue->n) {
        for (struct queue_lane *lane = queue->first; lane != NULL; lane = lane->next) {
            struct queue_item *item = lane->cursor;
            if (item == NULL)
                continue;
            lane->cursor = item->next;
            item->place = ++place;
            if (visit != NULL)
                visit(item, user);
        }
    }
}
