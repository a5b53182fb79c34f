#include "backlog.h"

#include <stdlib.h>
#include <string.h>

static int reserve(struct backlog *backlog, size_t len)
{
    if (backlog->start + backlog->len + len <= backlog->cap)
        return 0;
    if (backlog->len > 0)
        memmove(backlog->data, backlog->data + backlog->start, backlog->len);
    backlog->start = 0;
    if (backlog->len + len <= backlog->cap)
        return 0;
    unsigned char *data = realloc(backlog->data, backlog->len + len);
    if (data == NULL)
        return -1;
    backlog->data = data;
    backlog->cap = backlog->len + len;
    return 0;
}

int backlog_put(struct backlog *backlog, const void *data, size_t len, size_t most)
{
    if (len == 0)
        return 0;
    if (backlog->len > most || len > most - backlog->len || reserve(backlog, len) < 0)
        return -1;
    memcpy(backlog->data + backlog->start + backlog->len, data, len);
    backlog->len += len;
    return 0;
}

const unsigned char *backlog_front(const struct backlog *backlog)
{
    return backlog->data + backlog->start;
}

void backlog_drop(struct backlog *backlog, size_t n)
{
    backlog->start += n;
    backlog->len -= n;
    if (backlog->len == 0)
        backlog_free(backlog);
}

void backlog_free(struct backlog *backlog)
{
    free(backlog->data);
    *backlog = (struct backlog){0};
}
