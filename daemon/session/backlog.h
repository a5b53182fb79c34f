/*
 * backlog.h - bytes that one side has given and the other can't take yet. Bounded by its users.
 */
#ifndef POSTERN_DAEMON_SESSION_BACKLOG_H
#define POSTERN_DAEMON_SESSION_BACKLOG_H

#include <stddef.h>

/* Empty when zeroed. */
struct backlog {
    unsigned char *data; /* owned */
    size_t start, len, cap;
};

/* Appends a copy. Returns 0, or -1 if memory is short or the total would be over `most`; nothing
 * is appended then. */
int backlog_put(struct backlog *backlog, const void *data, size_t len, size_t most);

/* The bytes at the front: backlog->len of them. */
const unsigned char *backlog_front(const struct backlog *backlog);

/* Forgets n <= len bytes at the front; memory is given back with the last one. */
void backlog_drop(struct backlog *backlog, size_t n);

void backlog_free(struct backlog *backlog);

#endif
