#include "lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int lines_begin(struct lines *lines, int fd)
{
    *lines = (struct lines){.fd = fd, .buf = malloc(LINES_BUFFER)};
    return lines->buf == NULL ? -1 : 0;
}

void lines_free(struct lines *lines)
{
    free(lines->buf);
    *lines = (struct lines){.fd = -1};
}

/* Reads behind what is there; the buffer must not be full. Returns 0, or -1 with errno. */
static int read_more(struct lines *lines)
{
    ssize_t n;
    do
        n = read(lines->fd, lines->buf + lines->to, LINES_BUFFER - lines->to);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -1;
    lines->ended = n == 0;
    lines->to += (size_t)n;
    return 0;
}

void lines_restart(struct lines *lines)
{
    lines->from = lines->to = 0;
    lines->ended = false;
}

static void move_to_front(struct lines *lines)
{
    memmove(lines->buf, lines->buf + lines->from, lines->to - lines->from);
    lines->to -= lines->from;
    lines->from = 0;
}

const char *lines_peek(struct lines *lines, size_t want, size_t *len)
{
    move_to_front(lines);
    while (lines->to < want && !lines->ended)
        if (read_more(lines) < 0)
            return NULL;
    *len = lines->to < want ? lines->to : want;
    return lines->buf;
}

static enum lines_result take_line(struct lines *lines, size_t len, size_t newline, bool is_cut,
                                   const char **line, size_t *line_len)
{
    *line = lines->buf + lines->from;
    *line_len = len;
    lines->from += len + newline;
    return is_cut ? LINES_TOO_LONG : LINES_ONE;
}

enum lines_result lines_next(struct lines *lines, const char **line, size_t *len)
{
    bool is_cut = false;
    size_t searched = 0;
    for (;;) {
        const char *begin = lines->buf + lines->from;
        size_t have = lines->to - lines->from;
        const char *end = memchr(begin + searched, '\n', have - searched);
        if (end != NULL)
            return take_line(lines, (size_t)(end - begin), 1, is_cut, line, len);
        if (lines->ended && lines->waits) {
            lines->ended = false;
            return LINES_END;
        }
        if (lines->ended)
            return have > 0 || is_cut ? take_line(lines, have, 0, is_cut, line, len) : LINES_END;
        searched = have;
        move_to_front(lines);
        if (lines->to == LINES_BUFFER) {
            is_cut = true;
            lines->to = 0;
            searched = 0;
        }
        if (read_more(lines) < 0)
            return LINES_FAILED;
    }
}
